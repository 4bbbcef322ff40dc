//! Starts a program beside the host's own.
//!
//! Owns posix_spawn(3): no copy of the host's memory, no code of ours between fork and
//! exec, so it is safe whatever threads and locks the host has. Must never start
//! anything in the host's environment, which may be the caller's of a setuid program.

use std::ffi::{CStr, c_char, c_short};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use libc::{STDERR_FILENO, STDIN_FILENO, STDOUT_FILENO};
use rustix::process::Pid;

/// Starts the program at `path` with an empty environment, `stdout` as its standard
/// output, nothing to read and nowhere to complain; out of reach of the keys of a
/// terminal, where the person who logs in may be sitting.
pub(crate) fn spawn(path: &CStr, args: [&CStr; 3], stdout: BorrowedFd<'_>) -> io::Result<Pid> {
    let actions = Actions::new(stdout)?;
    let group = OwnGroup::new()?;
    let [name, first, second] = args.map(|arg| arg.as_ptr().cast_mut());
    let argv: [*mut c_char; 4] = [name, first, second, ptr::null_mut()];
    let environment: [*mut c_char; 1] = [ptr::null_mut()];
    let mut pid = 0;
    // SAFETY: the strings end with NUL and the lists with a null pointer; all of them
    // outlive the call, which copies nothing back but the process id. It does not write
    // to the strings: their type is a tradition of exec.
    let error = unsafe {
        libc::posix_spawn(
            &raw mut pid,
            path.as_ptr(),
            &raw const actions.0,
            &raw const group.0,
            argv.as_ptr(),
            environment.as_ptr(),
        )
    };
    done(error)?;
    Pid::from_raw(pid).ok_or_else(|| io::ErrorKind::Other.into())
}

/// What happens to descriptors between fork and exec.
struct Actions(libc::posix_spawn_file_actions_t);

impl Actions {
    fn new(stdout: BorrowedFd<'_>) -> io::Result<Self> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: the C library fills in what it is given the address of.
        done(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
        // SAFETY: it said that it did.
        let mut actions = Self(unsafe { actions.assume_init() });
        // First, for where the host has closed its own 0 to 2 it may be one of them.
        let fd = stdout.as_raw_fd();
        // SAFETY: an initialised list; numbers are all that it is given.
        done(unsafe {
            libc::posix_spawn_file_actions_adddup2(&raw mut actions.0, fd, STDOUT_FILENO)
        })?;
        for (fd, flags) in [
            (STDIN_FILENO, libc::O_RDONLY),
            (STDERR_FILENO, libc::O_WRONLY),
        ] {
            let path = c"/dev/null".as_ptr();
            // SAFETY: an initialised list; the C library copies the path.
            done(unsafe {
                libc::posix_spawn_file_actions_addopen(&raw mut actions.0, fd, path, flags, 0)
            })?;
        }
        Ok(actions)
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: it was initialised, and nobody uses it after this.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

/// A process group of its own: SIGINT, SIGQUIT and SIGTSTP of a terminal go to a group, and
/// the host may have a handler for them, which ends with exec.
struct OwnGroup(libc::posix_spawnattr_t);

impl OwnGroup {
    fn new() -> io::Result<Self> {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: the C library fills in what it is given the address of.
        done(unsafe { libc::posix_spawnattr_init(attributes.as_mut_ptr()) })?;
        // SAFETY: it said that it did.
        let mut group = Self(unsafe { attributes.assume_init() });
        let flags = libc::POSIX_SPAWN_SETPGROUP as c_short;
        // SAFETY: initialised attributes; a number is all that they are given.
        done(unsafe { libc::posix_spawnattr_setflags(&raw mut group.0, flags) })?;
        // SAFETY: as above. Zero stands for the number of the new process.
        done(unsafe { libc::posix_spawnattr_setpgroup(&raw mut group.0, 0) })?;
        Ok(group)
    }
}

impl Drop for OwnGroup {
    fn drop(&mut self) {
        // SAFETY: it was initialised, and nobody uses it after this.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}

/// These functions return their error and leave errno alone.
fn done(error: i32) -> io::Result<()> {
    match error {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::io::Read;
    use std::os::fd::AsFd;

    use rustix::process::{WaitOptions, waitpid};

    use super::*;

    /// What a line of shell prints.
    fn printed(line: &str) -> String {
        let line = CString::new(line).unwrap();
        let (mut out, stdout) = io::pipe().unwrap();
        let args = [c"sh", c"-c", &line];
        let child = spawn(c"/bin/sh", args, stdout.as_fd()).unwrap();
        drop(stdout);
        let mut text = String::new();
        out.read_to_string(&mut text).unwrap();
        waitpid(Some(child), WaitOptions::empty()).unwrap();
        text
    }

    #[test]
    fn nothing_of_the_host_reaches_what_is_started() {
        // The shell makes up a few variables itself.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        assert_eq!(
            printed("echo \"$HOME$CARGO_MANIFEST_DIR\" >&2; echo \"$HOME$CARGO_MANIFEST_DIR\""),
            "\n"
        );
        assert_eq!(
            printed("readlink /proc/$$/fd/0 /proc/$$/fd/2"),
            "/dev/null\n/dev/null\n"
        );
    }

    #[test]
    fn the_keys_of_a_terminal_do_not_reach_what_is_started() {
        let ids = printed("cut -d' ' -f1,5 /proc/$$/stat");
        let (process, group) = ids.trim().split_once(' ').unwrap();
        assert_eq!(process, group, "it leads a group of its own");
    }

    #[test]
    fn what_is_not_there_is_not_started() {
        let (_out, stdout) = io::pipe().unwrap();
        let error = spawn(c"/nonexistent", [c""; 3], stdout.as_fd()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
