//! What the host's own files say about users, groups and shells, read as files: NSS may
//! be what is asking.

use std::io;
use std::path::Path;

use super::line::{self, MAX_GROUPS};
use crate::hostfile;

/// The gids that a file of the form of `/etc/group` gives these groups, and the names
/// that it does not list.
///
/// # Errors
/// The file cannot be read as a whole.
pub fn gids<'n>(group: &Path, names: &'n [String]) -> io::Result<(Vec<u32>, Vec<&'n str>)> {
    let (mut gids, mut missing) = (Vec::new(), Vec::new());
    if names.is_empty() {
        return Ok((gids, missing));
    }
    let mut found = vec![None; names.len()];
    hostfile::lines(group, &mut |line| {
        for (name, gid) in names.iter().zip(&mut found) {
            *gid = gid.or_else(|| gid_of(line, name));
        }
        found.contains(&None)
    })?;
    for (name, gid) in names.iter().zip(found) {
        match gid {
            Some(gid) if gids.contains(&gid) => {}
            Some(gid) if gids.len() < MAX_GROUPS => gids.push(gid),
            _ => missing.push(name.as_str()),
        }
    }
    Ok((gids, missing))
}

/// Who has this number in a file of the form of `/etc/passwd` or `/etc/group`, if
/// anybody but `name` has.
///
/// # Errors
/// The file cannot be read as a whole.
pub fn owner(path: &Path, id: u32, name: &str) -> io::Result<Option<String>> {
    let mut owner = None;
    hostfile::lines(path, &mut |line| {
        owner = owner_of(line, id).filter(|owner| owner != name);
        owner.is_none()
    })?;
    Ok(owner)
}

/// Whether a file of the form of `/etc/shells` lists this shell. Without it there is
/// none.
///
/// # Errors
/// The file cannot be read as a whole.
pub fn is_shell(shells: &Path, shell: &str) -> io::Result<bool> {
    let mut found = false;
    hostfile::lines_if_any(shells, &mut |line| {
        found = line.trim_ascii() == shell.as_bytes();
        !found
    })?;
    Ok(found)
}

fn owner_of(line: &[u8], id: u32) -> Option<String> {
    let mut fields = line.split(|byte| *byte == b':');
    let owner = fields.next()?;
    let digits = str::from_utf8(fields.nth(1)?).ok()?;
    (digits.parse() == Ok(id)).then(|| String::from_utf8_lossy(owner).into_owned())
}

fn gid_of(line: &[u8], name: &str) -> Option<u32> {
    let mut fields = line.split(|byte| *byte == b':');
    if fields.next() != Some(name.as_bytes()) {
        return None;
    }
    line::number(str::from_utf8(fields.nth(1)?).ok()?).filter(|gid| *gid < u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn groups_are_found_by_name_and_missing_ones_named() {
        let group =
            file(b"root:x:0:\nsudo:x:27:bob\nadm:x:4:\nbroken:x\nsudo:x:28:\nodd:x:x:\nfix:x:7\n");
        let names = ["adm", "sudo", "nosuch", "broken", "odd", "adm", "fix"].map(str::to_owned);
        assert_eq!(
            gids(group.path(), &names).unwrap(),
            (vec![4, 27, 7], vec!["nosuch", "broken", "odd"])
        );
        assert!(gids(Path::new("/nonexistent/group"), &names).is_err());
    }

    #[test]
    fn the_owner_of_a_number_is_another_name_that_has_it() {
        let passwd = file(b"root:x:0:0::/root:/bin/sh\nbroken:x\nbob:x:05000:1::/:/bin/sh\n");
        let owner = |id, name| owner(passwd.path(), id, name).unwrap();
        assert_eq!(owner(5000, "alice").as_deref(), Some("bob"));
        assert_eq!(owner(5000, "bob"), None);
        assert_eq!(owner(5001, "alice"), None);
    }

    #[test]
    fn a_shell_is_listed_on_a_line_of_its_own() {
        let shells = file(b"# shells\n/bin/sh\n /bin/zsh \n/bin/bash -r\n");
        for (shell, listed) in [("/bin/sh", true), ("/bin/zsh", true), ("/bin/bash", false)] {
            assert_eq!(is_shell(shells.path(), shell).unwrap(), listed, "{shell}");
        }
        assert!(!is_shell(Path::new("/nonexistent/shells"), "/bin/sh").unwrap());
    }
}
