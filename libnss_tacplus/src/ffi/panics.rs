//! What a panic says, and where.

use std::ffi::c_char;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::program;

/// Keeps panics quiet: nothing on stderr, and in the log one line that says where,
/// never its message, which may quote what it choked on. The hook is this module's
/// own, for its standard library is linked into it.
pub(super) fn quiet() {
    // Not a lock: a thread that holds one may be missing in a forked copy.
    static DONE: AtomicBool = AtomicBool::new(false);
    if !DONE.swap(true, Ordering::Relaxed) {
        std::panic::set_hook(Box::new(|info| {
            // syslog opens a socket, which a confined program may not.
            if !program::has_asked() {
                return;
            }
            let place = info
                .location()
                .map_or_else(String::new, ToString::to_string);
            let line = format!("libnss_tacplus: internal error at {place}, please report it\0");
            // SAFETY: the format takes exactly one string, which ends with a NUL.
            unsafe {
                libc::syslog(
                    libc::LOG_AUTHPRIV | libc::LOG_ERR,
                    c"%s".as_ptr(),
                    line.as_ptr().cast::<c_char>(),
                );
            }
        }));
    }
}
