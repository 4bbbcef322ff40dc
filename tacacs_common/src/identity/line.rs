//! An entry as a line of the store:
//! `name:uid:gid:gecos:home:shell:groups:level:learned:changed:state`.
//!
//! Owns what a well-formed line is. One that is not is never read as an entry, so
//! that nothing which programs trust in a passwd entry is missing from one of ours.

use super::{Entry, State, name};
use crate::config::Case;

/// The longest line, its line break included.
pub(super) const MAX_LINE: usize = 2048;

/// No uid or gid below is ever one of ours: those are the system's.
const FIRST_ID: u32 = 1000;

/// The longest gecos, home or shell.
pub(super) const MAX_TEXT: usize = 255;

/// More groups than that do not fit a line.
pub(super) const MAX_GROUPS: usize = 64;

/// Adds an entry's line. False, and nothing added, if it would not be read back.
pub(super) fn push(text: &mut Vec<u8>, entry: &Entry) -> bool {
    let start = text.len();
    let word = |text: &mut Vec<u8>, word: &str| {
        text.extend_from_slice(word.as_bytes());
        text.push(b':');
    };
    word(text, &entry.name);
    word(text, &entry.uid.to_string());
    word(text, &entry.gid.to_string());
    word(text, &entry.gecos);
    word(text, &entry.home);
    word(text, &entry.shell);
    for (at, gid) in entry.groups.iter().enumerate() {
        if at > 0 {
            text.push(b',');
        }
        text.extend_from_slice(gid.to_string().as_bytes());
    }
    word(text, "");
    word(text, &entry.level.to_string());
    word(text, &entry.learned.to_string());
    word(text, &entry.changed.to_string());
    text.extend_from_slice(entry.state.word().as_bytes());
    let same = text.get(start..).and_then(parse).as_ref() == Some(entry);
    if same {
        text.push(b'\n');
    } else {
        text.truncate(start);
    }
    same
}

/// Reads a line, without its line break.
pub(super) fn parse(line: &[u8]) -> Option<Entry> {
    if line.len() >= MAX_LINE {
        return None;
    }
    let mut fields = str::from_utf8(line).ok()?.split(':');
    let mut next = || fields.next();
    let entry = Entry {
        name: next()
            .filter(|text| name::is_name(text, Case::Keep))?
            .to_owned(),
        uid: next().and_then(id)?,
        gid: next().and_then(id)?,
        gecos: next().filter(|text| is_text(text))?.to_owned(),
        home: next().filter(|text| is_path(text))?.to_owned(),
        shell: next().filter(|text| is_path(text))?.to_owned(),
        groups: next().and_then(groups)?,
        level: next().and_then(number).filter(|level| *level <= 15)?,
        learned: next().and_then(number)?,
        changed: next().and_then(number)?,
        state: next().and_then(state)?,
    };
    fields.next().is_none().then_some(entry)
}

/// The name that a line begins with.
pub(super) fn name_of(line: &[u8]) -> Option<&[u8]> {
    let end = line.iter().position(|byte| *byte == b':')?;
    line.get(..end)
}

/// Decimal digits, written in the one way that they are written.
pub(super) fn number<T: TryFrom<u64>>(text: &str) -> Option<T> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = digits && (text.len() == 1 || !text.starts_with('0'));
    let number: u64 = if canonical {
        text.parse().ok()?
    } else {
        return None;
    };
    T::try_from(number).ok()
}

/// A uid or gid that may be one of ours.
pub(super) fn is_id(id: u32) -> bool {
    (FIRST_ID..u32::MAX).contains(&id)
}

fn id(text: &str) -> Option<u32> {
    number(text).filter(|number| is_id(*number))
}

fn groups(text: &str) -> Option<Vec<u32>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let groups: Vec<u32> = text.split(',').map(number).collect::<Option<_>>()?;
    (groups.len() <= MAX_GROUPS && !groups.contains(&u32::MAX)).then_some(groups)
}

/// A gecos: what a terminal and a passwd line can take.
pub(super) fn is_text(text: &str) -> bool {
    text.len() <= MAX_TEXT
        && !text
            .chars()
            .any(|letter| letter == ':' || letter.is_control())
}

/// A path that says where it leads.
pub(super) fn is_path(text: &str) -> bool {
    let parts = text.strip_prefix('/');
    is_text(text)
        && parts.is_some_and(|parts| {
            parts
                .split('/')
                .all(|part| !matches!(part, "" | "." | ".."))
        })
}

fn state(word: &str) -> Option<State> {
    [
        State::Active,
        State::Disabled,
        State::Shared,
        State::Forgotten,
    ]
    .into_iter()
    .find(|state| state.word() == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "alice:2010000007:2010000007:Alice A.:/home/alice:/bin/bash:27,100:15:1700000000:1600000000000:active";

    #[test]
    fn a_line_reads_back_as_the_entry_it_was_written_from() {
        let entry = parse(ALICE.as_bytes()).unwrap();
        assert_eq!(entry.groups, [27, 100]);
        assert_eq!((entry.level, entry.state), (15, State::Active));
        let mut text = Vec::new();
        assert!(push(&mut text, &entry));
        assert_eq!(text, format!("{ALICE}\n").into_bytes());
    }

    #[test]
    fn a_line_that_is_not_well_formed_is_no_entry() {
        for (from, to) in [
            ("alice:", "-rf:"),
            ("alice:", "12:"),
            ("alice:", ":"),
            ("alice:", "a\nb:"),
            (":2010000007:2010000007:", ":0:2010000007:"),
            (":2010000007:2010000007:", ":999:2010000007:"),
            (":2010000007:2010000007:", ":4294967295:2010000007:"),
            (":2010000007:2010000007:", ":2010000007:0:"),
            (":2010000007:2010000007:", ":02010000007:2010000007:"),
            (":2010000007:2010000007:", ":+2010000007:2010000007:"),
            (":2010000007:2010000007:", ":99999999999:2010000007:"),
            ("Alice A.", "Alice\u{1b}[2J"),
            ("/home/alice", "home/alice"),
            ("/home/alice", "/home/../root"),
            ("/home/alice", "/"),
            ("/home/alice", ""),
            ("/bin/bash", ""),
            ("27,100", "27,"),
            ("27,100", "27,x"),
            ("27,100", "4294967295"),
            (":15:", ":16:"),
            (":15:", ":-1:"),
            (":15:", "::"),
            ("1700000000", "soon"),
            ("1600000000000", "-1"),
            ("active", "Active"),
            ("active", "active:more"),
            (":active", ""),
        ] {
            let line = ALICE.replacen(from, to, 1);
            assert_ne!(line, ALICE, "{from:?}");
            assert_eq!(parse(line.as_bytes()), None, "{line:?}");
        }
        assert_eq!(parse(b"\xff\xfe"), None);
        assert_eq!(
            parse(&ALICE.replace("Alice A.", &"x".repeat(2048)).into_bytes()),
            None
        );
    }

    #[test]
    fn an_entry_that_would_not_be_read_back_is_not_written() {
        let mut entry = parse(ALICE.as_bytes()).unwrap();
        entry.home = "/home/a:0:0".to_owned();
        let mut text = b"before\n".to_vec();
        assert!(!push(&mut text, &entry));
        assert_eq!(text, b"before\n");
    }
}
