//! The addresses of a server's name, within a limit.
//!
//! getaddrinfo(3) cannot be interrupted: with a dead DNS it holds a login for as long as
//! resolv.conf(5) has it wait, again and again. So getent(1) calls it, in a process of
//! its own that is killed when the time is up.
//!
//! Owns that process until it is reaped. Must never touch another one: this may be
//! somebody else's process, which may have children and reap them as it likes; and never
//! run what somebody but root put in getent's place. Not for setuid programs, whose caller
//! may kill their children, and not for name lookups.

use std::ffi::{CStr, CString, OsStr};
use std::fs::symlink_metadata;
use std::io::{self, PipeReader, Read};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::budget::Wait;
use super::connect::wait_for;

/// Starts the program at a path, with these arguments and no environment, this standard
/// output, nothing to read and nowhere to complain.
pub type Spawn = fn(&CStr, [&CStr; 3], BorrowedFd<'_>) -> io::Result<Pid>;

/// Part of the C library, whose resolver it asks as this process would.
const GETENT: &CStr = c"/usr/bin/getent";

/// More than any server has addresses.
const LONGEST: usize = 16 * 1024;

/// Its exit code for a name that has no address.
const NOT_FOUND: i32 = 2;

/// Asks getent(1), for a program of ours. A [`Resolver`](super::Resolver).
pub fn within(name: &str, limit: Duration) -> Option<io::Result<Vec<IpAddr>>> {
    within_by(spawn, name, limit)
}

/// The same, started another way. `None`: it cannot be asked, so this process may
/// resolve by itself.
pub fn within_by(spawn: Spawn, name: &str, limit: Duration) -> Option<io::Result<Vec<IpAddr>>> {
    let name = CString::new(name).ok()?;
    let program = Path::new(OsStr::from_bytes(GETENT.to_bytes()));
    is_roots(program).then(|| ask(spawn, GETENT, [c"getent", c"ahosts", &name], limit))?
}

/// Whether nobody but root can have put a program where it is. A file server may have
/// locked itself into a folder of its user's, and the program there would run as root.
fn is_roots(program: &Path) -> bool {
    program.ancestors().all(|place| {
        let found = symlink_metadata(place);
        found.is_ok_and(|found| {
            let safe = found.uid() == 0 && found.mode() & 0o022 == 0;
            safe && !found.is_symlink()
        })
    })
}

fn spawn(path: &CStr, args: [&CStr; 3], stdout: BorrowedFd<'_>) -> io::Result<Pid> {
    let [_, first, second] = args.map(|arg| OsStr::from_bytes(arg.to_bytes()));
    let child = Command::new(OsStr::from_bytes(path.to_bytes()))
        .args([first, second])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(stdout.try_clone_to_owned()?)
        .stderr(Stdio::null())
        .spawn()?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| io::ErrorKind::Other.into())
}

fn ask(
    spawn: Spawn,
    program: &CStr,
    args: [&CStr; 3],
    limit: Duration,
) -> Option<io::Result<Vec<IpAddr>>> {
    let wait = Wait::new(limit);
    let (out, stdout) = io::pipe().ok()?;
    let child = spawn(program, args, stdout.as_fd()).ok()?;
    // Only the child's copy is left, so that its end is the end of the file.
    drop(stdout);
    let text = read(out, &wait);
    // Without an end of its output it is waited for no longer.
    let end = match &text {
        Ok(_) => end(child, &wait),
        Err(_) => end(child, &Wait::new(Duration::ZERO)),
    };
    match text {
        Ok(text) => answer(&text, end),
        Err(error) => Some(Err(error)),
    }
}

/// How a child ended.
#[derive(Clone, Copy)]
enum End {
    Code(i32),
    /// By a signal that is not ours: it cannot run here.
    Killed,
    /// By ours, or somebody else has reaped it: a host may ignore SIGCHLD, or wait for
    /// any child.
    Unknown,
}

/// Reaps a child, which is killed unless it ends within the wait.
fn end(child: Pid, wait: &Wait) -> End {
    loop {
        match waitpid(Some(child), WaitOptions::NOHANG) {
            Ok(Some((_, status))) => return status.exit_status().map_or(End::Killed, End::Code),
            Ok(None) if wait.remaining().is_some() => sleep(Duration::from_millis(1)),
            Ok(None) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return End::Unknown,
        }
    }
    // It is not reaped yet, so the number is its own.
    let _ = kill_process(child, Signal::KILL);
    while let Err(rustix::io::Errno::INTR) = waitpid(Some(child), WaitOptions::empty()) {}
    End::Unknown
}

/// What it printed, and its end.
fn answer(text: &[u8], end: End) -> Option<io::Result<Vec<IpAddr>>> {
    let text = String::from_utf8_lossy(text);
    let addresses: Vec<IpAddr> = text.lines().filter_map(address).collect();
    match end {
        _ if !addresses.is_empty() => Some(Ok(addresses)),
        End::Code(NOT_FOUND) | End::Unknown => Some(Err(io::Error::other("it has no address now"))),
        // Not what getent does: another program, or it cannot run here.
        End::Code(_) | End::Killed => None,
    }
}

/// One of each address: it comes once more for every other type of socket.
fn address(line: &str) -> Option<IpAddr> {
    let mut words = line.split_whitespace();
    let address = words.next()?.parse().ok()?;
    (words.next() == Some("STREAM")).then_some(address)
}

fn read(mut out: PipeReader, wait: &Wait) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut part = [0; 1024];
    loop {
        wait_for(out.as_fd(), PollFlags::IN, wait)?;
        match out.read(&mut part) {
            Ok(0) => return Ok(text),
            Ok(count) => text.extend_from_slice(part.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if text.len() > LONGEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// What comes of a line of shell in getent's place.
    fn asked(line: &str, limit: Duration) -> Option<io::Result<Vec<IpAddr>>> {
        let line = CString::new(line).unwrap();
        ask(spawn, c"/bin/sh", [c"sh", c"-c", &line], limit)
    }

    #[test]
    fn a_name_has_each_of_its_addresses_once() {
        let addresses = asked(
            "for type in 'STREAM aaa.example.net' 'DGRAM ' 'RAW '; do
                echo \"192.0.2.1       $type\"; echo \"2001:db8::1     $type\"
            done",
            LONG,
        );
        let expected: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        assert_eq!(addresses.unwrap().unwrap(), expected);
    }

    #[test]
    fn a_name_without_an_address_is_an_error_and_is_not_asked_for_again() {
        let error = asked("exit 2", LONG).unwrap().unwrap_err();
        assert_eq!(error.to_string(), "it has no address now");
    }

    #[test]
    fn what_does_not_end_in_time_is_killed() {
        let begun = Instant::now();
        let error = asked("exec sleep 60", Duration::from_millis(300))
            .unwrap()
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() < Duration::from_secs(30), "not waited for");
    }

    #[test]
    fn output_without_an_end_is_cut_off() {
        let error = asked("exec cat /dev/zero", LONG).unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn without_getent_the_process_resolves_by_itself() {
        assert!(ask(spawn, c"/nonexistent/getent", [c""; 3], LONG).is_none());
        assert!(asked("exit 127", LONG).is_none());
        // As a filter of system calls does to what is started.
        assert!(asked("kill -SYS $$", LONG).is_none());
    }

    #[test]
    fn a_program_that_somebody_but_root_could_have_put_there_is_not_run() {
        assert!(is_roots(Path::new("/usr/bin")));
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("getent");
        std::fs::write(&program, "").unwrap();
        std::fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
        assert!(!is_roots(&program), "anybody may put another in its place");
        assert!(!is_roots(Path::new("/nonexistent/getent")));
        assert!(!is_roots(Path::new("/proc/self/exe")), "a link");
    }

    #[test]
    fn who_prints_no_more_and_goes_on_is_killed() {
        let begun = Instant::now();
        let line = "echo 192.0.2.1 STREAM; exec >&-; exec sleep 60";
        let found = asked(line, Duration::from_millis(300)).unwrap();
        assert_eq!(found.unwrap().len(), 1);
        assert!(begun.elapsed() < Duration::from_secs(30), "not waited for");
    }

    #[test]
    fn nothing_of_this_process_reaches_the_other() {
        let script = "test -z \"$HOME$CARGO_MANIFEST_DIR\" || exit 1
            test \"$(readlink /proc/self/fd/0)\" = /dev/null || exit 1
            echo x >&2
            echo '192.0.2.1 STREAM'";
        assert_eq!(asked(script, LONG).unwrap().unwrap().len(), 1);
    }

    #[test]
    fn the_system_s_own_getent_knows_this_host() {
        let addresses = within("localhost", LONG).unwrap().unwrap();
        assert!(addresses.iter().all(IpAddr::is_loopback), "{addresses:?}");
        assert!(!addresses.is_empty());
    }
}
