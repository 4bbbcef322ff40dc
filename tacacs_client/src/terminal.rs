//! Questions to the person at the terminal.
//!
//! Asks on /dev/tty and never on standard input, so that both can be used at once.
//! What is shown has to be escaped already.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tacacs_common::secret::Secret;
use zeroize::Zeroizing;

/// A terminal hands over lines of at most this length.
const LINE: usize = 4096;

/// Asks for something that is not shown while it is typed.
pub(crate) fn ask_hidden(prompt: &str) -> io::Result<Secret> {
    let mut terminal = open()?;
    // Before the prompt: who answers it at once must not be shown either.
    let silence = Silence::begin(&terminal)?;
    terminal.write_all(prompt.as_bytes())?;
    let answer = read_line(&mut terminal);
    drop(silence);
    answer
}

/// Asks for something that may be seen.
pub(crate) fn ask_shown(prompt: &str) -> io::Result<Secret> {
    let mut terminal = open()?;
    terminal.write_all(prompt.as_bytes())?;
    read_line(&mut terminal)
}

fn open() -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/tty")
}

fn read_line(terminal: &mut File) -> io::Result<Secret> {
    let mut line = Zeroizing::new([0; LINE]);
    let len = terminal.read(line.as_mut_slice())?;
    match line.get(..len) {
        None | Some([]) => Err(io::ErrorKind::UnexpectedEof.into()),
        Some(line) => Ok(Secret::from_slice(without_line_end(line))),
    }
}

/// Takes one line end off.
pub(crate) fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// A terminal that does not show what is typed, until this goes.
struct Silence {
    terminal: File,
    before: Termios,
}

impl Silence {
    /// What was typed before the question is thrown away: it was shown.
    fn begin(terminal: &File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(terminal.as_fd(), OptionalActions::Flush, &silent)?;
        Ok(Self {
            terminal: terminal.try_clone()?,
            before,
        })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}
