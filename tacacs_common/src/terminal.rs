//! Questions of a program to the person at the terminal.
//!
//! Asks on /dev/tty and never on standard input, so that both can be used at once.
//! What is shown has to be escaped already. Must never be used in a module: there the
//! terminal, if any, belongs to the host.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// A terminal hands over lines of at most this length.
const LINE: usize = 4096;

/// Asks for something that is not shown while it is typed.
///
/// # Errors
/// No terminal, or `UnexpectedEof` where nothing was typed.
pub fn ask_hidden(prompt: &str) -> io::Result<Secret> {
    let terminal = open()?;
    // Before the prompt: who answers it at once must not be shown either.
    let silence = Silence::begin(&terminal)?;
    (&terminal).write_all(prompt.as_bytes())?;
    let answer = read_line(&terminal);
    drop(silence);
    answer
}

/// Asks for something that may be seen.
///
/// # Errors
/// As [`ask_hidden`].
pub fn ask_shown(prompt: &str) -> io::Result<Secret> {
    let mut terminal = open()?;
    terminal.write_all(prompt.as_bytes())?;
    read_line(&terminal)
}

fn open() -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/tty")
}

/// Reads a line without its end, byte by byte, so that no buffer keeps what follows.
///
/// # Errors
/// `UnexpectedEof` where there is no further line; a line that is too long.
pub fn read_line(input: impl AsFd) -> io::Result<Secret> {
    let mut line = Zeroizing::new(Vec::with_capacity(LINE));
    let mut byte = [0];
    while line.last() != Some(&b'\n') {
        if line.len() == LINE {
            return Err(io::Error::other("the line is too long"));
        }
        match rustix::io::retry_on_intr(|| rustix::io::read(&input, &mut byte))? {
            0 if line.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            0 => break,
            _ => line.extend_from_slice(&byte),
        }
    }
    let text = line.strip_suffix(b"\n").unwrap_or(&line);
    Ok(Secret::from_slice(text.strip_suffix(b"\r").unwrap_or(text)))
}

/// A terminal that does not show what is typed, until this goes.
struct Silence<'t> {
    terminal: &'t File,
    before: Termios,
}

impl<'t> Silence<'t> {
    /// What was typed before the question is thrown away: it was shown.
    fn begin(terminal: &'t File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}
