//! Running programs on the stage: to their end, or as daemons.

use std::fmt;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{self, Child, Command};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Result, Stage, wait};

/// What a program that ended left behind.
#[derive(Debug)]
pub struct Output {
    /// Exit code; 128 + number for a signal, 124 when it took too long.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error; for a dialog, everything its terminal showed.
    pub stderr: String,
}

impl Output {
    /// Runs the command to its end.
    pub(crate) fn of(command: &mut Command) -> Result<Self> {
        Ok(command.output()?.into())
    }

    /// An error with everything it said, unless it ended with 0.
    pub fn success(&self) -> Result {
        if self.code == 0 {
            Ok(())
        } else {
            Err(self.to_string().into())
        }
    }
}

impl From<process::Output> for Output {
    fn from(output: process::Output) -> Self {
        let signal = output.status.signal().unwrap_or_default();
        Self {
            code: output.status.code().unwrap_or(128 + signal),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "exit code {}", self.code)?;
        writeln!(
            f,
            "--- stdout\n{}\n--- stderr\n{}",
            self.stdout, self.stderr
        )
    }
}

/// A program that stays on the stage until it is stopped or dropped.
pub struct Daemon {
    nsenter: Child,
    pid: Pid,
}

impl Daemon {
    pub(crate) fn start(stage: &Stage, name: &str, program: &str, args: &[&str]) -> Result<Self> {
        let line = "exec \"$@\" >>\"$0\" 2>&1";
        let log = format!("/var/log/{name}.out");
        let mut command = stage.enter(&["sh", "-c", line, &log, program]);
        let mut nsenter = command.args(args).spawn()?;
        let parent = nsenter.id();
        let pid = wait::until(&format!("{name} to start"), || {
            (nsenter.try_wait().ok()?.is_none()).then(|| child_of(parent))?
        })?;
        Ok(Self { nsenter, pid })
    }

    /// Its process id as the host numbers it.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.nsenter.try_wait(), Ok(None))
    }

    /// Kills it, as a crash of its host would, and waits until it is gone.
    pub fn kill(&mut self) -> Result {
        if self.is_running() {
            kill_process(self.pid, Signal::KILL)?;
        }
        self.nsenter.wait()?;
        Ok(())
    }

    /// Stops it where it is: its sockets stay open and nobody answers.
    pub fn freeze(&self) -> Result {
        Ok(kill_process(self.pid, Signal::STOP)?)
    }

    /// Lets it go on after [`Daemon::freeze`].
    pub fn thaw(&self) -> Result {
        kill_process(self.pid, Signal::CONT)?;
        // nsenter stops itself with its child.
        let nsenter = Pid::from_raw(i32::try_from(self.nsenter.id())?).ok_or("no process id")?;
        Ok(kill_process(nsenter, Signal::CONT)?)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// The only child of a process, once it is there.
fn child_of(parent: u32) -> Option<Pid> {
    let parent = parent.to_string();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    for process in processes {
        let name = process.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(process.path().join("stat")).unwrap_or_default();
        // "pid (name) state ppid ...": the name may hold blanks and brackets.
        let after_name = stat
            .rsplit_once(')')
            .map(|(_, rest)| rest)
            .unwrap_or_default();
        if after_name.split_whitespace().nth(1) == Some(parent.as_str()) {
            return Pid::from_raw(pid);
        }
    }
    None
}
