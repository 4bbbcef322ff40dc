//! What the host's own files say about users, groups and shells, read as files: NSS may
//! be what is asking.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::line::{self, MAX_GROUPS};

/// The gids of these groups in a text of the form of `/etc/group`, and the names that
/// it does not list.
pub fn gids<'n>(group: &[u8], names: &'n [String]) -> (Vec<u32>, Vec<&'n str>) {
    let (mut gids, mut missing) = (Vec::new(), Vec::new());
    for name in names {
        let gid = group
            .split(|byte| *byte == b'\n')
            .find_map(|line| gid_of(line, name));
        match gid {
            Some(gid) if gids.contains(&gid) => {}
            Some(gid) if gids.len() < MAX_GROUPS => gids.push(gid),
            _ => missing.push(name.as_str()),
        }
    }
    (gids, missing)
}

/// Who has this number in a text of the form of `/etc/passwd` or `/etc/group`, if
/// anybody but `name` has.
pub fn owner(text: &[u8], id: u32, name: &str) -> Option<String> {
    text.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let owner = fields.next().filter(|owner| *owner != name.as_bytes())?;
        let digits = str::from_utf8(fields.nth(1)?).ok()?;
        (digits.parse() == Ok(id)).then(|| String::from_utf8_lossy(owner).into_owned())
    })
}

fn gid_of(line: &[u8], name: &str) -> Option<u32> {
    let mut fields = line.split(|byte| *byte == b':');
    if fields.next() != Some(name.as_bytes()) {
        return None;
    }
    line::number(str::from_utf8(fields.nth(1)?).ok()?).filter(|gid| *gid < u32::MAX)
}

/// A file of the host; empty if it cannot be read, or is absurdly long.
pub fn text(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_TEXT).read_to_end(&mut bytes));
    if read.is_err() {
        bytes.clear();
    }
    bytes
}

const MAX_TEXT: u64 = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_by_name_and_missing_ones_named() {
        let group = b"root:x:0:\nsudo:x:27:bob\nadm:x:4:\nbroken:x\nsudo:x:28:\nodd:x:x:\n";
        let names = ["adm", "sudo", "nosuch", "broken", "odd", "adm"].map(str::to_owned);
        assert_eq!(
            gids(group, &names),
            (vec![4, 27], vec!["nosuch", "broken", "odd"])
        );
    }

    #[test]
    fn the_owner_of_a_number_is_another_name_that_has_it() {
        let passwd = b"root:x:0:0::/root:/bin/sh\nbroken:x\nbob:x:05000:1::/:/bin/sh\n";
        assert_eq!(owner(passwd, 5000, "alice").as_deref(), Some("bob"));
        assert_eq!(owner(passwd, 5000, "bob"), None);
        assert_eq!(owner(passwd, 5001, "alice"), None);
    }
}
