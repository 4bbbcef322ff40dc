//! Standard output and standard error, where a closed pipe is no reason to panic.

use std::fmt::Display;
use std::io::Write;

/// The result. A reader that went away wanted no more of it.
pub(crate) fn result(text: impl Display) {
    let mut out = std::io::stdout().lock();
    let _ = write!(out, "{text}");
    let _ = out.flush();
}

/// A line for the person, behind the program's name.
pub(crate) fn tell(program: &str, text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{program}: {text}");
}
