//! Questions to the person at the terminal.
//!
//! Asks on /dev/tty and never on standard input, so that both can be used at once.
//! What is shown has to be escaped already.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};

use tacacs_common::secret::Secret;

/// Asks for something that is not shown while it is typed.
pub(crate) fn ask_hidden(prompt: &str) -> io::Result<Secret> {
    rpassword::prompt_password(prompt).map(|answer| Secret::new(answer.into_bytes()))
}

/// Asks for something that may be seen.
pub(crate) fn ask_shown(prompt: &str) -> io::Result<Secret> {
    let mut terminal = File::options().read(true).write(true).open("/dev/tty")?;
    terminal.write_all(prompt.as_bytes())?;
    let mut line = Vec::new();
    if BufReader::new(terminal).read_until(b'\n', &mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    trim_line_end(&mut line);
    Ok(Secret::new(line))
}

/// Takes one line end off.
pub(crate) fn trim_line_end(line: &mut Vec<u8>) {
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
}
