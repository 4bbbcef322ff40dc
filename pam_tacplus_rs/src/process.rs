//! Since when the program runs that logs somebody in: what it was told about a user it
//! was told after that.

use std::path::Path;

use crate::call::Site;

/// A program that is its own parent more often than that is none of ours.
const GENERATIONS: usize = 8;

/// What `/proc/PID/stat` counts in: hundredths of a second, on every architecture that
/// Rust knows.
const TICK: u64 = 10;

/// When it started, in milliseconds since 1970 and by today's clock.
///
/// Some programs go on in a copy of themselves with what was told to their parent: sshd
/// in a keyboard-interactive dialogue, cron for a job. `copies` says whether a program
/// is one of them; the leader of a session is nobody's copy.
pub(crate) fn started(site: &Site, copies: &dyn Fn(&str) -> bool) -> Option<u64> {
    let mut process = Process::read(&site.proc)?;
    for _ in 0..GENERATIONS {
        let name = process.program.rsplit('/').next().unwrap_or_default();
        if process.pid == process.session || !copies(name) {
            break;
        }
        let parent = site.proc.parent()?.join(process.parent.to_string());
        match Process::read(&parent).filter(|parent| parent.program == process.program) {
            Some(parent) => process = parent,
            None => break,
        }
    }
    let now = u64::try_from(site.now.boot.as_millis()).ok()?;
    let age = now.saturating_sub(process.start.saturating_mul(TICK));
    Some(site.millis.saturating_sub(age))
}

struct Process {
    pid: u32,
    parent: u32,
    session: u32,
    /// In ticks since boot.
    start: u64,
    program: String,
}

impl Process {
    fn read(folder: &Path) -> Option<Self> {
        let stat = std::fs::read(folder.join("stat")).ok()?;
        let stat = String::from_utf8_lossy(&stat);
        // The name in parentheses may hold anything, and others as well.
        let (head, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_whitespace();
        let program = std::fs::read_link(folder.join("exe")).ok()?;
        let program = program.to_str()?;
        Some(Self {
            pid: head.split(' ').next()?.parse().ok()?,
            parent: fields.nth(1)?.parse().ok()?,
            session: fields.nth(1)?.parse().ok()?,
            start: fields.nth(15)?.parse().ok()?,
            // An update has replaced the file.
            program: program.trim_end_matches(" (deleted)").to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use crate::testing::Host;

    use super::*;

    /// A process as `/proc` shows it.
    fn process(host: &Host, name: &str, ids: [u32; 3], start: u64, program: &str) {
        let [pid, parent, session] = ids;
        let folder = host.site.proc.parent().unwrap().join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        let stat = format!(
            "{pid} (a ) b) S {parent} {pid} {session} 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 {start} 9 9\n"
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
            started(&host.site, &sshd_copies),
            Some(host.site.millis - 500)
        );
        process(&host, "proc", [9, 7, 7], 530, "/usr/sbin/sshd (deleted)");
        assert_eq!(
            started(&host.site, &sshd_copies),
            Some(host.site.millis - 500)
        );
        // Other servers ask about a user in the copy.
        assert_eq!(
            started(&host.site, &|_| false),
            Some(host.site.millis - 200)
        );
        // The leader of a session goes by itself, also where its parent is the same.
        process(&host, "proc", [9, 7, 9], 530, sshd);
        assert_eq!(
            started(&host.site, &sshd_copies),
            Some(host.site.millis - 200)
        );
        // So does a program that another one started.
        process(&host, "7", [7, 1, 7], 500, "/bin/bash");
        process(&host, "proc", [9, 7, 7], 530, "/bin/su");
        assert_eq!(
            started(&host.site, &sshd_copies),
            Some(host.site.millis - 200)
        );
    }

    #[test]
    fn what_proc_does_not_show_is_not_known() {
        let host = Host::new(&[], "");
        assert_eq!(started(&host.site, &|_| true), None);
    }
}
