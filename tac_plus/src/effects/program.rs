//! Programs that take part in a decision.
//!
//! Owns their processes. A program is the leader of a process group of its own, which
//! is killed as a whole when its time is up or nobody wants its answer any more. What a
//! program that ended by itself left in the background is left alone, and so is one that
//! this user may not kill, or that hangs in the kernel: no thread waits for it. Must never
//! hand a field to a shell as part of a line.

use std::ffi::OsStr;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::daemon::Log;
use crate::policy::callout::Outcome;
use crate::policy::{Done, Program};

/// More arguments than this fit no packet.
const STDOUT: usize = 64 * 1024;
/// More of it is read and dropped.
const STDERR: usize = 4096;
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// A program that ended while others hold its pipes open is noticed after this.
const TICK: Duration = Duration::from_millis(20);
/// So long others of its group may add to what it wrote, once it has ended.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// What was killed is gone after this, or it is not for this process to end.
const DYING: Duration = Duration::from_secs(2);
/// With more programs than this that nobody can end no further one is started.
const LOST: usize = 32;
/// One that closed its pipes ends soon.
const SHORT_TICK: Duration = Duration::from_millis(1);

/// Runs a program; what it does not end by itself is an outcome without a code, and a
/// line in the log. What a code means is the policy's, and so is the line about it.
/// `unwanted`: nobody waits for the outcome any more.
pub(super) fn run(
    program: &Program,
    unwanted: &dyn Fn() -> bool,
    lost: &Mutex<Vec<Child>>,
    log: &Log,
) -> Done {
    if unwanted() {
        return Done::Failed;
    }
    let lost = || lost.lock().unwrap_or_else(PoisonError::into_inner);
    // Those that have ended after all leave no zombie.
    lost().retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    if lost().len() >= LOST {
        let why = format!("was not started: {LOST} programs before it cannot be ended");
        log.error(program.tag.failure(&why, b""));
        return Done::Ended(Outcome::default());
    }
    let mut running = match Running::start(program) {
        Ok(running) => running,
        Err(error) => {
            let why = format!("cannot be started: {error}");
            log.error(program.tag.failure(&why, b""));
            return Done::Ended(Outcome::default());
        }
    };
    let ended = running.wait(program, unwanted);
    let (outcome, left) = running.stop();
    if let Some(child) = left {
        let why = "cannot be killed and is left to itself";
        log.error(program.tag.failure(why, b""));
        lost().push(child);
    }
    let why = match ended {
        Ok(()) if outcome.code.is_some() => None,
        Ok(()) => Some("was killed".to_owned()),
        Err(trouble) => Some(trouble),
    };
    if let Some(why) = why {
        log.error(program.tag.failure(&why, &outcome.stderr));
    }
    Done::Ended(outcome)
}

/// Whether there is such a program and this process may run it.
pub(super) fn can_start(program: &Path) -> bool {
    let runs = |path: &Path| {
        let allowed = accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).is_ok();
        allowed && path.is_file()
    };
    if program.as_os_str().as_bytes().contains(&b'/') {
        return runs(&Path::new("/").join(program));
    }
    PATH.split(':')
        .any(|folder| runs(&Path::new(folder).join(program)))
}

struct Running {
    child: Child,
    pid: Option<Pid>,
    stdin: Option<ChildStdin>,
    written: usize,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    outcome: Outcome,
    /// Whether its own end is its end, and not ours.
    complete: bool,
}

impl Running {
    fn start(program: &Program) -> io::Result<Self> {
        let mut words = program.words.iter().map(|word| OsStr::from_bytes(word));
        let first = words.next().ok_or(ErrorKind::NotFound)?;
        let variables = program
            .variables
            .iter()
            .map(|(name, value)| (name, OsStr::from_bytes(value)));
        let mut child = Command::new(first)
            .args(words)
            .env_clear()
            .env("PATH", PATH)
            .envs(variables)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let pipes = [
            stdin.as_ref().map(AsFd::as_fd),
            stdout.as_ref().map(AsFd::as_fd),
            stderr.as_ref().map(AsFd::as_fd),
        ];
        let unblocked = pipes
            .into_iter()
            .flatten()
            .try_for_each(|pipe| rustix::io::ioctl_fionbio(pipe, true));
        let running = Self {
            pid: i32::try_from(child.id()).ok().and_then(Pid::from_raw),
            child,
            stdin,
            written: 0,
            stdout,
            stderr,
            outcome: Outcome::default(),
            complete: false,
        };
        if let Err(error) = unblocked {
            running.stop();
            return Err(error.into());
        }
        Ok(running)
    }

    /// Talks with it until it ends; the error says why it has to be ended.
    fn wait(&mut self, program: &Program, unwanted: &dyn Fn() -> bool) -> Result<(), String> {
        let end = Instant::now() + program.limit;
        let mut since_end = None;
        loop {
            let ended = self.has_ended();
            self.write(&program.stdin);
            self.read().map_err(|error| error.to_string())?;
            if ended {
                let all_said = self.stdout.is_none() && self.stderr.is_none();
                let since = since_end.get_or_insert_with(Instant::now);
                if all_said || since.elapsed() >= LAST_WORDS {
                    self.complete = true;
                    return Ok(());
                }
            }
            if !ended && Instant::now() >= end {
                return Err(format!(
                    "did not end within {:?} and was killed",
                    program.limit
                ));
            }
            if unwanted() {
                return Err("was killed: nobody waits for it any more".to_owned());
            }
            self.poll();
        }
    }

    /// Without taking its exit status: until then its process group keeps its number.
    fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        let status = self.pid.map(|pid| waitid(WaitId::Pid(pid), options));
        !matches!(status, Some(Ok(None)))
    }

    fn write(&mut self, text: &[u8]) {
        let Some(stdin) = &mut self.stdin else {
            return;
        };
        while let Some(rest) = text.get(self.written..).filter(|rest| !rest.is_empty()) {
            match stdin.write(rest) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // It does not want to hear more.
                Err(_) => break,
            }
        }
        self.stdin = None;
    }

    fn read(&mut self) -> io::Result<()> {
        let outcome = &mut self.outcome;
        drain(&mut self.stdout, |bytes| {
            outcome.stdout.extend_from_slice(bytes);
        })?;
        drain(&mut self.stderr, |bytes| {
            let room = STDERR.saturating_sub(outcome.stderr.len());
            outcome
                .stderr
                .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        })?;
        if outcome.stdout.len() > STDOUT {
            return Err(io::Error::other("wrote too much and was killed"));
        }
        Ok(())
    }

    fn poll(&self) {
        let reads = [
            self.stdout.as_ref().map(AsFd::as_fd),
            self.stderr.as_ref().map(AsFd::as_fd),
        ];
        let mut pipes: Vec<PollFd<'_>> = reads
            .into_iter()
            .flatten()
            .map(|pipe: BorrowedFd<'_>| PollFd::from_borrowed_fd(pipe, PollFlags::IN))
            .collect();
        let tick = if pipes.is_empty() { SHORT_TICK } else { TICK };
        if let Some(stdin) = &self.stdin {
            pipes.push(PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::OUT));
        }
        // Whatever comes of it, everything is looked at next.
        let _ = poll(&mut pipes, Timespec::try_from(tick).ok().as_ref());
    }

    /// Takes its exit status; ends it first, with its group, if it did not itself. Gives
    /// it back if it cannot be ended.
    fn stop(mut self) -> (Outcome, Option<Child>) {
        if let Some(pid) = self.pid.filter(|_| !self.complete) {
            // Nobody may be left, which is as good.
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let end = Instant::now() + DYING;
        let status = loop {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < end => std::thread::sleep(SHORT_TICK),
                Ok(None) => return (Outcome::default(), Some(self.child)),
                status => break status.ok().flatten(),
            }
        };
        let mut outcome = std::mem::take(&mut self.outcome);
        outcome.code = status
            .filter(|_| self.complete)
            .as_ref()
            .and_then(ExitStatus::code);
        (outcome, None)
    }
}

/// Takes what there is; a pipe at its end is closed. Stops where a program writes
/// faster than it is read.
fn drain(pipe: &mut Option<impl Read>, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = [0; 4096];
    for _ in 0..=STDOUT / 4096 {
        let Some(open) = pipe else {
            return Ok(());
        };
        match open.read(&mut buffer) {
            Ok(0) => *pipe = None,
            Ok(count) => take(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
