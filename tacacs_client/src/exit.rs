//! How a program ends: the exit codes, and what is said for those that are errors.

use std::fmt::Display;
use std::process::ExitCode;

/// The exit codes of every program of the project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// A server approved; all is well.
    Pass = 0,
    /// A server refused.
    Denied = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// No server gave an answer that counts.
    Unreachable = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A reason to stop, said on standard error.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) text: String,
}

impl Failure {
    /// The command line, the configuration or this host.
    pub(crate) fn usage(text: impl Display) -> Self {
        Self {
            exit: Exit::Usage,
            text: text.to_string(),
        }
    }

    /// The servers.
    pub(crate) fn unreachable(text: impl Display) -> Self {
        Self {
            exit: Exit::Unreachable,
            text: text.to_string(),
        }
    }
}
