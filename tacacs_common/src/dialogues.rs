//! How many dialogues wait for a person at each server, for every process of the host.
//!
//! Owns a folder of lock files, one for each dialogue that may wait. A lock is its
//! holder's until the holder ends, by whatever: the kernel gives it back. Must never wait
//! for one, since whoever holds it may let it wait for ever, and never let more dialogues
//! wait than it counts.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::geteuid;

use crate::statefile::{Folder, Lock};

/// Where the dialogues of the host are counted.
pub const PATH: &str = "/run/tacplus/dialogues";

/// Longest part of a server's address in the name of a file.
const MAX_NAME: usize = 200;

/// The dialogues of the host.
pub struct Dialogues {
    folder: PathBuf,
    most: u32,
}

/// The right to let a dialogue wait, for as long as it is kept.
#[must_use]
pub struct Slot {
    _lock: Option<Lock>,
}

impl Dialogues {
    /// At most `most` dialogues a server, counted in `folder`.
    pub fn new(folder: &Path, most: u32) -> Self {
        Self {
            folder: folder.to_owned(),
            most,
        }
    }

    /// Takes a slot at a server; `None`: all are taken. `setuid`: for a program whose caller
    /// may stop it for ever. Such programs have half of the slots, so that logins keep theirs.
    ///
    /// Only root's dialogues count: nobody else can write the folder, nor needs it to open
    /// connections.
    ///
    /// # Errors
    /// The dialogues cannot be counted.
    pub fn enter(&self, server: &str, setuid: bool) -> io::Result<Option<Slot>> {
        if !geteuid().is_root() {
            return Ok(Some(Slot { _lock: None }));
        }
        let folder = self.open()?;
        let most = if setuid { self.most / 2 } else { self.most };
        // Logins begin with those that only they have.
        for number in (0..most).rev() {
            match folder.lock(&name(server, number), Duration::ZERO) {
                Ok(lock) => return Ok(Some(Slot { _lock: Some(lock) })),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// The folder, which nobody but root may look into.
    fn open(&self) -> io::Result<Folder> {
        if let Some(parent) = self.folder.parent() {
            Folder::create(parent, 0o755)?;
        }
        Folder::create(&self.folder, 0o700)
    }
}

/// The file of one slot. Servers whose names come out the same share their slots.
fn name(server: &str, number: u32) -> OsString {
    let plain = |letter: char| match letter {
        letter if letter.is_ascii_alphanumeric() || ".:-[]".contains(letter) => letter,
        _ => '_',
    };
    let server: String = server.chars().take(MAX_NAME).map(plain).collect();
    format!("{server}.{number}").into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_slot_is_taken_once_and_free_again_when_its_dialogue_ends() {
        if !geteuid().is_root() {
            eprintln!("skipped: only root's dialogues are counted");
            return;
        }
        let run = tempfile::tempdir().unwrap();
        let folder = run.path().join("tacplus/dialogues");
        let dialogues = Dialogues::new(&folder, 3);
        let enter = |server, setuid| dialogues.enter(server, setuid).unwrap();

        let first = enter("192.0.2.1:49", false);
        let _second = enter("192.0.2.1:49", false).unwrap();
        let _third = enter("192.0.2.1:49", false).unwrap();
        assert!(enter("192.0.2.1:49", false).is_none());
        assert!(enter("192.0.2.2:49", false).is_some(), "another server");
        drop(first);
        assert!(enter("192.0.2.1:49", false).is_some());
    }

    #[test]
    fn programs_whose_caller_can_stop_them_leave_half_of_the_slots_to_logins() {
        if !geteuid().is_root() {
            eprintln!("skipped: only root's dialogues are counted");
            return;
        }
        let run = tempfile::tempdir().unwrap();
        for (most, setuid_most) in [(10, 5), (3, 1), (2, 1)] {
            let dialogues = Dialogues::new(&run.path().join(most.to_string()), most);
            let taken = |setuid| {
                let enter = || dialogues.enter("unix:/run/agent", setuid).unwrap();
                std::iter::from_fn(enter).collect::<Vec<_>>()
            };
            let stopped = taken(true);
            assert_eq!(stopped.len(), setuid_most);
            assert_eq!(taken(false).len(), most as usize - setuid_most);
            drop(stopped);
            // As long as there are others, logins leave theirs to su.
            let _one = dialogues.enter("unix:/run/agent", false).unwrap();
            assert_eq!(taken(true).len(), setuid_most);
        }
    }

    #[test]
    fn nobody_but_root_can_hold_a_slot_and_what_cannot_be_counted_is_an_error() {
        if !geteuid().is_root() {
            eprintln!("skipped: only root's dialogues are counted");
            return;
        }
        let run = tempfile::tempdir().unwrap();
        let folder = run.path().join("dialogues");
        let dialogues = Dialogues::new(&folder, 1);
        let _slot = dialogues.enter("a/b c", false).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join("a_b_c.0")), 0o600);

        let open = run.path().join("open");
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(Dialogues::new(&open, 1).enter("s", false).is_err());
        let file = run.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(Dialogues::new(&file, 1).enter("s", false).is_err());
    }
}
