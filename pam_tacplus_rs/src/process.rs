//! The program that logs somebody in, as `/proc` shows it: since when it runs, for what it
//! was told about a user it was told after that, and who may stop it.

use std::io;
use std::path::Path;

use crate::call::Site;

/// A program that is its own parent more often than that is none of ours.
const GENERATIONS: usize = 8;

/// What `/proc/PID/stat` counts in: hundredths of a second, on every architecture that
/// Rust knows.
const TICK: u64 = 10;

/// When it started, in milliseconds since 1970 and by today's clock. `None` without
/// `/proc`.
///
/// Some programs go on in a copy of themselves with what was told to their parent: sshd
/// in a keyboard-interactive dialogue, cron for a job. `copies` says whether a program
/// is one of them; the leader of a session is nobody's copy.
///
/// # Errors
/// The process is short of what it takes to look, as its caller can make it.
pub(crate) fn started(site: &Site, copies: &dyn Fn(&str) -> bool) -> io::Result<Option<u64>> {
    let Some(mut process) = Process::read(&site.proc)? else {
        return Ok(None);
    };
    for _ in 0..GENERATIONS {
        let name = process.program.rsplit('/').next().unwrap_or_default();
        if process.pid == process.session || !copies(name) {
            break;
        }
        let parent = site.proc.with_file_name(process.parent.to_string());
        match Process::read(&parent)?.filter(|parent| parent.program == process.program) {
            Some(parent) => process = parent,
            None => break,
        }
    }
    let now = u64::try_from(site.now.boot.as_millis()).unwrap_or(u64::MAX);
    let age = now.saturating_sub(process.start.saturating_mul(TICK));
    Ok(Some(site.millis.saturating_sub(age)))
}

/// Whether the program runs at the terminal of somebody's login who is not root, as that of
/// `sudo su` does: its keys stop it. A daemon that logs people in has no terminal, and a
/// program that does it at one was started before anybody was logged in there.
pub(crate) fn is_at_a_users_terminal(proc: &Path) -> bool {
    let read = std::fs::read_to_string(proc.join("loginuid"));
    let Ok(login_uid) = read.map_or_else(unknown, |text| Ok(text.trim().parse().ok())) else {
        return true;
    };
    let is_users = login_uid.is_some_and(|uid: u32| uid != 0 && uid != u32::MAX);
    is_users && Process::read(proc).map_or(true, |it| it.is_some_and(|it| it.terminal != 0))
}

/// What `/proc` does not show is not known. That nothing can be opened at all is an error:
/// whoever started a setuid program may have seen to that.
fn unknown<T>(error: io::Error) -> io::Result<Option<T>> {
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM) => Err(error),
        _ => Ok(None),
    }
}

struct Process {
    pid: u32,
    parent: u32,
    session: u32,
    /// The controlling terminal; 0 is none.
    terminal: i32,
    /// In ticks since boot.
    start: u64,
    program: String,
}

impl Process {
    /// `None`: there is no such process, or it cannot be made out.
    fn read(folder: &Path) -> io::Result<Option<Self>> {
        let stat = std::fs::read(folder.join("stat"));
        let program = stat.and_then(|stat| Ok((stat, std::fs::read_link(folder.join("exe"))?)));
        program.map_or_else(unknown, |(stat, exe)| {
            Ok(exe.to_str().and_then(|exe| Self::parse(&stat, exe)))
        })
    }

    fn parse(stat: &[u8], program: &str) -> Option<Self> {
        let stat = String::from_utf8_lossy(stat);
        // The name in parentheses may hold anything, and others as well.
        let (head, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_whitespace();
        Some(Self {
            pid: head.split(' ').next()?.parse().ok()?,
            parent: fields.nth(1)?.parse().ok()?,
            session: fields.nth(1)?.parse().ok()?,
            terminal: fields.next()?.parse().ok()?,
            start: fields.nth(14)?.parse().ok()?,
            // An update has replaced the file.
            program: program
                .strip_suffix(" (deleted)")
                .unwrap_or(program)
                .to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use crate::testing::Host;

    use super::*;

    /// A process as `/proc` shows it.
    fn process(host: &Host, name: &str, ids: [u32; 3], start: u64, program: &str) {
        put(host, name, ids, 0, start, program);
    }

    fn put(host: &Host, name: &str, ids: [u32; 3], terminal: i32, start: u64, program: &str) {
        let [pid, parent, session] = ids;
        let folder = host.site.proc.parent().unwrap().join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        let stat = format!(
            "{pid} (a ) b) S {parent} {pid} {session} {terminal} -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 {start} 9 9\n"
        );
        fs::write(folder.join("stat"), stat).unwrap();
        symlink(program, folder.join("exe")).unwrap();
    }

    #[test]
    fn a_copy_of_a_program_runs_since_the_program_does() {
        let host = Host::new(&[], "");
        let sshd = "/usr/sbin/sshd";
        let sshd_copies = |name: &str| name == "sshd";
        // It is 5.5 s since boot.
        process(&host, "1", [1, 0, 1], 1, sshd);
        process(&host, "7", [7, 1, 7], 500, sshd);
        process(&host, "proc", [9, 7, 7], 530, sshd);
        assert_eq!(
            started(&host.site, &sshd_copies).unwrap(),
            Some(host.site.millis - 500)
        );
        process(&host, "proc", [9, 7, 7], 530, "/usr/sbin/sshd (deleted)");
        assert_eq!(
            started(&host.site, &sshd_copies).unwrap(),
            Some(host.site.millis - 500)
        );
        // Other servers ask about a user in the copy.
        assert_eq!(
            started(&host.site, &|_| false).unwrap(),
            Some(host.site.millis - 200)
        );
        // The leader of a session goes by itself, also where its parent is the same.
        process(&host, "proc", [9, 7, 9], 530, sshd);
        assert_eq!(
            started(&host.site, &sshd_copies).unwrap(),
            Some(host.site.millis - 200)
        );
        // So does a program that another one started.
        process(&host, "7", [7, 1, 7], 500, "/bin/bash");
        process(&host, "proc", [9, 7, 7], 530, "/bin/su");
        assert_eq!(
            started(&host.site, &sshd_copies).unwrap(),
            Some(host.site.millis - 200)
        );
    }

    #[test]
    fn what_proc_does_not_show_is_not_known_and_a_shortage_is_an_error() {
        let mut host = Host::new(&[], "");
        assert_eq!(started(&host.site, &|_| true).unwrap(), None);
        host.running_for(100);
        host.audit("7", "0");
        let limit = getrlimit(Resource::Nofile);
        let none = Rlimit {
            current: Some(0),
            ..limit
        };
        setrlimit(Resource::Nofile, none).unwrap();
        let found = started(&host.site, &|_| true);
        let is_users = is_at_a_users_terminal(&host.site.proc);
        setrlimit(Resource::Nofile, limit).unwrap();
        assert!(found.is_err());
        assert!(is_users);
        assert!(started(&host.site, &|_| true).unwrap().is_some());
        assert!(!is_at_a_users_terminal(&host.site.proc));
    }

    #[test]
    fn a_program_at_the_terminal_of_a_users_login_is_its_users() {
        let host = Host::new(&[], "");
        for (login_uid, terminal, is_users) in [
            // su or sudo behind a sudo, in a session of ssh or at the console.
            ("1001", 34816, true),
            ("2010000015", -30720, true),
            // login at the console, before anybody is logged in.
            ("4294967295", 1025, false),
            // root itself.
            ("0", 34816, false),
            // sshd that an administrator started from a session.
            ("1001", 0, false),
            ("", 34816, false),
        ] {
            put(&host, "proc", [9, 7, 7], terminal, 530, "/bin/su");
            host.audit("7", login_uid);
            let found = is_at_a_users_terminal(&host.site.proc);
            assert_eq!(found, is_users, "{login_uid:?} {terminal}");
        }
        // A kernel without audit knows nobody's login.
        fs::remove_file(host.site.proc.join("loginuid")).unwrap();
        assert!(!is_at_a_users_terminal(&host.site.proc));
    }
}
