#![forbid(unsafe_code)]
//! A person at a terminal: runs a command on a pseudo-terminal, waits for
//! questions and types the answers.
//!
//! The script is JSON on standard input (`e2e::dialog::Script`), so no answer is
//! ever on a command line. What the terminal showed goes to standard error, the
//! command's standard output is passed on untouched, its exit code is ours.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use e2e::dialog::{Script, Step};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

fn main() -> e2e::Result<ExitCode> {
    let script: Script = serde_json::from_reader(io::stdin())?;
    let mut terminal = File::from(openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?);
    grantpt(&terminal)?;
    unlockpt(&terminal)?;
    let name = ptsname(&terminal, Vec::new())?.into_string()?;
    let mut child = start(&name)?;
    let ended_in_time = converse(&mut terminal, &script)?;
    if !ended_in_time {
        child.kill()?;
    }
    let status = child.wait()?;
    let code = if ended_in_time {
        status.code().unwrap_or(125)
    } else {
        124
    };
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(125)))
}

/// Starts the command of our arguments with the terminal as its own.
fn start(terminal: &str) -> e2e::Result<Child> {
    let slave = OpenOptions::new().read(true).write(true).open(terminal)?;
    let child = Command::new("setsid")
        .args(["--ctty", "--wait"])
        .args(std::env::args_os().skip(1))
        .stdin(Stdio::from(slave.try_clone()?))
        .stderr(Stdio::from(slave))
        .spawn()?;
    Ok(child)
}

/// Shows what the terminal shows and answers in order, until nobody has the
/// terminal open any more. False when the script's limit came first.
fn converse(terminal: &mut File, script: &Script) -> e2e::Result<bool> {
    let end = Instant::now() + Duration::from_secs(script.limit);
    let mut steps = script.steps.iter();
    let mut awaited = steps.next();
    let mut unmatched = String::new();
    let mut buffer = [0; 4096];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let limit = Timespec {
            tv_sec: i64::try_from(left.as_secs())?,
            tv_nsec: 1_000_000,
        };
        let mut fds = [PollFd::new(terminal, PollFlags::IN)];
        if left.is_zero() || poll(&mut fds, Some(&limit))? == 0 {
            return Ok(false);
        }
        // EIO: the last process that had the terminal open is gone.
        let Ok(length @ 1..) = terminal.read(&mut buffer) else {
            return Ok(true);
        };
        let shown = buffer.get(..length).unwrap_or_default();
        io::stderr().write_all(shown)?;
        unmatched.push_str(&String::from_utf8_lossy(shown));
        while let Some(step) = awaited {
            let Some(at) = unmatched.find(&step.expect) else {
                break;
            };
            unmatched.drain(..at + step.expect.len());
            type_line(terminal, step)?;
            awaited = steps.next();
        }
    }
}

fn type_line(terminal: &mut File, step: &Step) -> io::Result<()> {
    // Not a wait for an event: it plays the person who is slow.
    thread::sleep(Duration::from_millis(step.delay));
    terminal.write_all(format!("{}\n", step.send).as_bytes())
}
