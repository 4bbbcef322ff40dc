//! The host's own lists (`/etc/passwd`, `/etc/group`, `/etc/shells` ...), read as files,
//! since NSS may be what is asking.
//!
//! Owns how they are read: in pieces, so that a list of any length costs no memory, and
//! to its end or not at all. A file that cannot be read must never pass for an empty one:
//! nobody would be local any more.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// No host has a longer list: a million users, say.
const MAX_BYTES: u64 = 128 * 1024 * 1024;

/// What is looked at stands within this much of a line's start; the members of a group
/// may go on for as long as they like.
const MAX_LINE: u64 = 4096;

/// Calls `each` with the start of every line, without its line break, until it answers
/// false.
///
/// # Errors
/// The file cannot be opened or read, or is longer than any such list.
pub fn lines(path: &Path, each: &mut dyn FnMut(&[u8]) -> bool) -> io::Result<()> {
    let mut file = BufReader::new(File::open(path)?);
    if file.get_ref().metadata()?.len() > MAX_BYTES {
        return Err(too_long());
    }
    let (mut line, mut total) = (Vec::new(), 0_u64);
    loop {
        line.clear();
        let read = file.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        let mut length = read as u64;
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if length == MAX_LINE {
            length = length.saturating_add(file.skip_until(b'\n')? as u64);
        }
        total = total.saturating_add(length);
        if total > MAX_BYTES {
            return Err(too_long());
        }
        if !each(&line) {
            return Ok(());
        }
    }
}

/// As [`lines`], of a file that a host may do without: then there are none.
///
/// # Errors
/// As for [`lines`], but for a file that is not there.
pub fn lines_if_any(path: &Path, each: &mut dyn FnMut(&[u8]) -> bool) -> io::Result<()> {
    match lines(path, each) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Whether a file of the form of `/etc/passwd` or `/etc/group` lists this name, even with
/// a broken entry.
///
/// # Errors
/// As for [`lines`].
pub fn lists(path: &Path, name: &str) -> io::Result<bool> {
    let mut found = false;
    lines(path, &mut |line| {
        found = is_of(line, name);
        !found
    })?;
    Ok(found)
}

/// Whether a line of such a file is about this name.
pub fn is_of(line: &[u8], name: &str) -> bool {
    line.strip_prefix(name.as_bytes())
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b":"))
}

fn too_long() -> io::Error {
    io::Error::new(
        io::ErrorKind::FileTooLarge,
        "is longer than any list of a host's users",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passwd");
        std::fs::write(&path, text).unwrap();
        let mut all = Vec::new();
        lines(&path, &mut |line| {
            all.push(String::from_utf8_lossy(line).into_owned());
            true
        })
        .unwrap();
        all
    }

    #[test]
    fn every_line_is_met_once_and_a_long_one_by_its_start() {
        assert_eq!(read(b""), [""; 0]);
        assert_eq!(read(b"a:x\n\nb:x"), ["a:x", "", "b:x"]);
        let exact = "e".repeat(4096);
        let long = format!("staff:x:50:{}", "member,".repeat(100_000));
        let met = read(format!("{exact}\n{long}\nlast:x:1:\n").as_bytes());
        assert_eq!(met.len(), 3);
        assert_eq!(met[0], exact);
        assert!(met[1].starts_with("staff:x:50:member,") && met[1].len() == 4096);
        assert_eq!(met[2], "last:x:1:");
    }

    #[test]
    fn a_name_is_listed_by_a_whole_first_field_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passwd");
        std::fs::write(&path, "root:x:0:0\nbob2:x\nbroken\n:x:\n").unwrap();
        for (name, listed) in [
            ("root", true),
            ("broken", true),
            ("", true),
            ("bob", false),
            ("bob2", true),
            ("x", false),
        ] {
            assert_eq!(lists(&path, name).unwrap(), listed, "{name}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_as_a_whole_is_an_error_and_not_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passwd");
        assert!(lists(&path, "bob").is_err(), "it is missing");
        assert!(lines_if_any(&path, &mut |_| true).is_ok());
        assert!(lists(folder.path(), "bob").is_err(), "it is a folder");
        std::fs::write(&path, "bob:x:1:1::/:\n").unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_len(MAX_BYTES + 1).unwrap();
        let kind = |result: io::Result<()>| result.unwrap_err().kind();
        let whole = lines_if_any(&path, &mut |_| true);
        assert_eq!(kind(whole), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn a_list_of_any_length_costs_no_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passwd");
        let line = b"somebody:x:5000:5000:A name of some length:/home/somebody:/bin/bash\n";
        std::fs::write(&path, line.repeat(16 * 1024 * 1024 / line.len())).unwrap();
        let used = allocation_counter::measure(|| assert!(!lists(&path, "nobody").unwrap()));
        assert!(used.bytes_max < 64 * 1024, "{} bytes", used.bytes_max);
    }
}
