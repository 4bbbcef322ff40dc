//! Where things are on the host: parameters, so that tests are exact.

use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use tacacs_common::identity::{self, Store, StoreError};
use tacacs_common::{config, hold_down};

use crate::answer::{Answer, Failure};

/// A host.
pub(crate) struct Site<'a> {
    pub(crate) conf: &'a Path,
    pub(crate) passwd: &'a Path,
    pub(crate) group: &'a Path,
    pub(crate) store: &'a Path,
    pub(crate) hold_down: &'a Path,
    pub(crate) sessions: &'a Path,
    /// `/proc/self`, with `sessionid` and `exe`.
    pub(crate) proc: &'a Path,
    pub(crate) is_root: bool,
}

impl Site<'_> {
    /// This host.
    pub(crate) fn host() -> Self {
        Self {
            conf: Path::new(config::PATH),
            passwd: Path::new("/etc/passwd"),
            group: Path::new("/etc/group"),
            store: Path::new(identity::PATH),
            hold_down: Path::new(hold_down::PATH),
            sessions: Path::new("/run/tacplus/sessions"),
            proc: Path::new("/proc/self"),
            is_root: rustix::process::geteuid().is_root(),
        }
    }

    /// The identity store as it is now.
    pub(crate) fn store(&self) -> Answer<Store> {
        Store::open(self.store).map_err(damaged)
    }
}

/// A store that cannot be read gives no answer, and nobody may be made up beside it:
/// what it would have said of the uid is not known.
pub(crate) fn damaged(_: StoreError) -> Failure {
    unreadable()
}

/// Why a file could not be read: for want of a descriptor, or because of the file.
/// The errors of those who read it do not tell.
pub(crate) fn unreadable() -> Failure {
    match openat(CWD, "/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => Failure::Shortage,
        _ => Failure::NotFound,
    }
}
