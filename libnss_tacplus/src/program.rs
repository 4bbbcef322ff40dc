//! Which program this is, and whether it may talk to a server or make up an entry.
//!
//! A name looked up by any other program is none of the servers' business: every
//! `ls`, every web server and every typing error at a prompt looks names up.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::geteuid;
use tacacs_common::config::Mapping;

/// What the kernel appends when the file was replaced, as an update of a running
/// sshd does.
const REPLACED: &[u8] = b" (deleted)";

static ASKED: AtomicBool = AtomicBool::new(false);

/// What a program may do about a name that is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// It logs people in.
    Login,
    /// It shows what it finds.
    Lookup,
}

/// The part of this process. Only root's: it alone can read the secrets, and its
/// questions are its own. `exe` is `/proc/self/exe`, the file that the kernel runs:
/// the name in `comm` is the caller's choice, who may start a setuid program under
/// any name, and the process's own.
pub(crate) fn part(exe: &Path, mapping: &Mapping) -> Option<Part> {
    if !geteuid().is_root() {
        return None;
    }
    let program = running(exe)?;
    let listed = |programs: &[String]| programs.iter().any(|listed| listed.as_bytes() == program);
    let part = if listed(&mapping.login_programs) {
        Part::Login
    } else if listed(&mapping.lookup_programs) {
        Part::Lookup
    } else {
        return None;
    };
    ASKED.store(true, Ordering::Relaxed);
    Some(part)
}

/// Whether this process has been found to be one that may use sockets.
pub(crate) fn has_asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// The name of the program's file.
fn running(exe: &Path) -> Option<Vec<u8>> {
    let path = std::fs::read_link(exe).ok()?;
    let name = path.file_name()?.as_bytes();
    Some(name.strip_suffix(REPLACED).unwrap_or(name).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_the_file_that_runs_also_after_an_update_replaced_it() {
        let folder = tempfile::tempdir().unwrap();
        let exe = folder.path().join("exe");
        for (file, name) in [
            ("/usr/sbin/sshd", &b"sshd"[..]),
            ("/usr/sbin/sshd (deleted)", b"sshd"),
            ("/usr/lib/openssh/sshd-session", b"sshd-session"),
            ("/tmp/sshd x", b"sshd x"),
        ] {
            std::os::unix::fs::symlink(file, &exe).unwrap();
            assert_eq!(running(&exe).as_deref(), Some(name), "{file}");
            std::fs::remove_file(&exe).unwrap();
        }
        assert_eq!(running(&exe), None, "without /proc");
    }

    #[test]
    fn each_list_has_its_part_and_no_other_program_has_any() {
        if !geteuid().is_root() {
            assert_eq!(part(Path::new("/proc/self/exe"), &Mapping::default()), None);
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let exe = folder.path().join("exe");
        for (file, expected) in [
            ("/usr/sbin/sshd", Some(Part::Login)),
            ("/usr/bin/id", Some(Part::Lookup)),
            ("/usr/bin/ls", None),
            ("/usr/bin/id2", None),
        ] {
            std::os::unix::fs::symlink(file, &exe).unwrap();
            assert_eq!(part(&exe, &Mapping::default()), expected, "{file}");
            std::fs::remove_file(&exe).unwrap();
        }
    }
}
