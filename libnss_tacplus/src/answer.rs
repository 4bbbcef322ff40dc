//! How a lookup ends, and what glibc has to be told then.

use std::ffi::c_int;

/// What was found, or why nothing was.
pub(crate) type Answer<T> = Result<T, Failure>;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// There is no such user or group here. Also when nobody was asked.
    NotFound,
    /// A server was asked and gave no answer that counts.
    Unreachable,
    /// The caller's buffer is too small: it tries again with a larger one.
    BufferTooSmall,
    /// This process is short of descriptors or memory: it may try again.
    Shortage,
    /// A panic was caught.
    Panicked,
}

/// `enum nss_status`, and what becomes of errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// The status.
    pub(crate) status: c_int,
    /// The error number. Never 0 and never ERANGE but for a buffer: glibc would make
    /// it larger and larger.
    pub(crate) errno: Option<c_int>,
}

const TRYAGAIN: c_int = -2;
const UNAVAIL: c_int = -1;
const NOTFOUND: c_int = 0;
const SUCCESS: c_int = 1;

/// The table of the GNU C library's manual, "NSS Module Interface".
pub(crate) const fn told(end: Answer<()>) -> Told {
    let (status, errno) = match end {
        Ok(()) => (SUCCESS, None),
        Err(Failure::NotFound) => (NOTFOUND, Some(libc::ENOENT)),
        Err(Failure::Unreachable | Failure::Panicked) => (UNAVAIL, Some(libc::ENOENT)),
        Err(Failure::BufferTooSmall) => (TRYAGAIN, Some(libc::ERANGE)),
        Err(Failure::Shortage) => (TRYAGAIN, Some(libc::EAGAIN)),
    };
    Told { status, errno }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_its_status_and_its_error_number() {
        for (end, status, errno) in [
            (Ok(()), 1, None),
            (Err(Failure::NotFound), 0, Some(libc::ENOENT)),
            (Err(Failure::Unreachable), -1, Some(libc::ENOENT)),
            (Err(Failure::Panicked), -1, Some(libc::ENOENT)),
            (Err(Failure::BufferTooSmall), -2, Some(libc::ERANGE)),
            (Err(Failure::Shortage), -2, Some(libc::EAGAIN)),
        ] {
            assert_eq!(told(end), Told { status, errno }, "{end:?}");
        }
    }
}
