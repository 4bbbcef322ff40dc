//! Whom `fallback_users` names.
//!
//! Owns the reading of `/etc/group`, as a file and by its member lists alone. Must never ask
//! NSS or the identity store: a server must not be able to put anybody on this list.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::types::Case;
use super::values::words;
use crate::identity::name::is_name;

/// A group of a hundred thousand members has a line of this length. Beyond it the file is
/// taken for damaged, and names nobody.
const MAX_LINE: usize = 1 << 20;

/// What is read of the file at most.
const MAX_FILE: usize = 16 << 20;

/// Those who may go on without a server's word while none answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FallbackUsers {
    names: Vec<String>,
    groups: Vec<String>,
}

impl FallbackUsers {
    /// Reads names and `@groups`; `None` if one of them is no name.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut users = Self::default();
        for word in words(text) {
            let (list, name) = match word.strip_prefix('@') {
                Some(group) => (&mut users.groups, group),
                None => (&mut users.names, word),
            };
            if !is_name(name, Case::Keep) {
                return None;
            }
            list.push(name.to_owned());
        }
        Some(users)
    }

    /// Whether there is nobody on the list.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.groups.is_empty()
    }

    /// The names that stand for themselves.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The groups, without their `@`.
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// Whether a user is on the list, by name or as a member that `group`, a file of the
    /// form of `/etc/group`, lists. A primary group does not count.
    ///
    /// # Errors
    /// The file cannot be read, or is not one of groups: then nobody is on the list by it.
    pub fn name(&self, user: &str, group: &Path) -> io::Result<bool> {
        if self.names.iter().any(|name| name == user) {
            return Ok(true);
        }
        if self.groups.is_empty() {
            return Ok(false);
        }
        let mut found = false;
        each_line(group, &mut |line| {
            found |= self.groups.iter().any(|name| {
                let mut members = members(line, name).into_iter().flatten();
                members.any(|member| member == user.as_bytes())
            });
        })?;
        Ok(found)
    }

    /// The groups whose members nobody is, in a file of the form of `/etc/group`.
    ///
    /// # Errors
    /// As for [`name`](Self::name).
    pub fn empty_groups(&self, group: &Path) -> io::Result<Vec<&str>> {
        let mut empty: Vec<&str> = self.groups.iter().map(String::as_str).collect();
        if !empty.is_empty() {
            each_line(group, &mut |line| {
                empty.retain(|name| members(line, name).into_iter().flatten().next().is_none());
            })?;
        }
        Ok(empty)
    }
}

impl fmt::Display for FallbackUsers {
    /// As the file has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = self.groups.iter().map(|group| format!("@{group}"));
        let all: Vec<String> = self.names.iter().cloned().chain(groups).collect();
        f.write_str(&all.join(" "))
    }
}

/// The members of the group of this name, if this is its line. A line whose gid is none is
/// nobody's, as for the C library.
fn members<'l>(line: &'l [u8], name: &str) -> Option<impl Iterator<Item = &'l [u8]>> {
    let mut fields = line.split(|byte| *byte == b':');
    let own = fields.next() == Some(name.as_bytes());
    let gid = fields.nth(1)?;
    let members = fields.next()?;
    let is_group = own && !gid.is_empty() && gid.iter().all(u8::is_ascii_digit);
    let names = || {
        let members = members.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        members.filter(|member| !member.is_empty())
    };
    (is_group && fields.next().is_none()).then(names)
}

/// Hands every line over, in pieces: the file may be long.
fn each_line(path: &Path, take: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let mut file = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    let mut all = 0_usize;
    loop {
        line.clear();
        let mut piece = (&mut file).take(MAX_LINE as u64);
        let length = piece.read_until(b'\n', &mut line)?;
        all = all.saturating_add(length);
        let whole = line.strip_suffix(b"\n");
        if length == MAX_LINE && whole.is_none() || all > MAX_FILE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, TOO_LONG));
        }
        if length == 0 {
            return Ok(());
        }
        take(whole.unwrap_or(&line));
    }
}

const TOO_LONG: &str = "it has a line of more than 1 MB, or is longer than 16 MB";

#[cfg(test)]
mod tests {
    use super::*;

    fn users(text: &str) -> FallbackUsers {
        FallbackUsers::parse(text).unwrap()
    }

    fn file(text: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn a_user_is_named_by_name_or_by_the_member_list_of_a_group() {
        let group = file(
            b"root:x:0:\nops:x:27:bob, carol\nbroken:x:nine:dave\nops:x:28:erin\nshort:x:29\n\
              alice:x:1001:\n#ops:x:30:frank\nlong:x:31:gina:harry",
        );
        let list = users("alice, @ops @broken @short @long @nosuch @alice");
        for (name, expected) in [
            ("alice", true),
            ("bob", true),
            ("carol", true),
            ("erin", true),
            ("dave", false),
            ("frank", false),
            ("gina", false),
            ("Alice", false),
            ("ops", false),
            ("bo", false),
            ("", false),
        ] {
            assert_eq!(list.name(name, group.path()).unwrap(), expected, "{name}");
        }
        // A primary group is nobody's membership.
        assert!(!users("@alice").name("alice", group.path()).unwrap());
        assert_eq!(
            list.empty_groups(group.path()).unwrap(),
            ["broken", "short", "long", "nosuch", "alice"]
        );
    }

    #[test]
    fn who_is_named_by_name_needs_no_file_of_groups() {
        let nowhere = Path::new("/nonexistent/group");
        assert!(users("alice @ops").name("alice", nowhere).unwrap());
        assert!(!users("alice").name("bob", nowhere).unwrap());
        assert!(!users("").name("", nowhere).unwrap());
        assert!(users("alice @ops").name("bob", nowhere).is_err());
    }

    #[test]
    fn a_file_that_is_absurdly_long_names_nobody() {
        let list = users("@ops");
        let mut line = b"ops:x:27:bob,".to_vec();
        line.resize(MAX_LINE - 1, b'x');
        line.push(b'\n');
        assert!(list.name("bob", file(&line).path()).unwrap());
        line.insert(13, b'x');
        assert!(list.name("bob", file(&line).path()).is_err());
        let many = [b"ops:x:27:bob\n".as_slice(), &vec![b'\n'; MAX_FILE]].concat();
        assert!(list.name("bob", file(&many).path()).is_err());
        assert!(list.name("bob", Path::new("/")).is_err());
    }

    #[test]
    fn only_names_are_names() {
        for bad in [
            "@",
            "0",
            "1000",
            "-rf",
            "a:b",
            "a/b",
            "alice @@ops",
            "*",
            "%u",
            "@1",
        ] {
            assert_eq!(FallbackUsers::parse(bad), None, "{bad}");
        }
        assert_eq!(users("@ops,alice\tbob").to_string(), "alice bob @ops");
        assert!(users(" , ").is_empty() && !users("@ops").is_empty());
    }
}
