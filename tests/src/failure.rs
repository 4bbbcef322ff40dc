//! Why a test or the demo failed, shown line by line.

use std::error::Error;
use std::fmt;

/// An error's text. Rust prints the error of a test or of `main` with Debug,
/// which of a text makes one long quoted line: here both show it as it is.
pub struct Failure(String);

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into().to_string())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
