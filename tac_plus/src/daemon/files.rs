//! Files that the daemon appends to.
//!
//! Owns how they are opened and made. Must never wait: a pipe that nobody reads is an
//! error, not a standstill.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, accessat};

use crate::sys::process;

/// Who reads logs, where there is such a group: what logrotate gives new files to.
const READERS: &std::ffi::CStr = c"adm";
const MODE: u32 = 0o640;

/// Opens a file for appending, or makes it, for the readers of logs to read.
pub(super) fn append_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .append(true)
        .mode(MODE)
        // A pipe without a reader is an error at once.
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    match options.open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        result => return result,
    }
    let file = options.create(true).open(path)?;
    // Without that group, or the right to use it, the file is whose it is.
    if let Ok(Some(group)) = process::group(READERS)
        && fchown(&file, None, Some(group)).is_ok()
    {
        file.set_permissions(Permissions::from_mode(MODE))?;
    }
    Ok(file)
}

/// Whether a file could be appended to, or made. Nothing is: whoever asks may be another
/// user than the one who will write, and closing a file that is there would give up the
/// lock that its writer may just hold.
pub(super) fn try_out(path: &Path) -> io::Result<()> {
    let there = if path.exists() {
        path
    } else {
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        folder.unwrap_or(Path::new("."))
    };
    Ok(accessat(CWD, there, Access::WRITE_OK, AtFlags::EACCESS)?)
}
