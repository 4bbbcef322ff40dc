//! The C edge: what libpam calls, and the guard around it.
//!
//! Owns all unsafe code of the module. Must never let a panic, a changed errno or
//! a word on stdout or stderr into the host process, which is somebody else's.
#![allow(unsafe_code, reason = "this is the C boundary")]

mod libpam;
mod live;
mod resolve;
mod spawn;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::ptr;
use std::sync::Once;

use libpam::PamHandle;
use live::Live;
pub(crate) use resolve::resolve;
pub(crate) use spawn::spawn;

use crate::call::{Call, Site};
use crate::handle::{Handle, Level, Memory};
use crate::outcome::{End, Phase, code};
use crate::{account, login, passwd, process, session};

/// Under which name the module's memory hangs on the handle.
const DATA: &CStr = c"pam_tacplus_rs";

/// Checks a password, or leads the dialogue that the server wants.
///
/// # Safety
/// For libpam alone, which guarantees what every PAM module relies on: `pamh` is
/// its handle and `argv` has `argc` strings, all valid until this returns.
#[unsafe(no_mangle)]
unsafe extern "C" fn pam_sm_authenticate(
    pamh: *mut PamHandle,
    flags: c_int,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    // SAFETY: passed on as libpam gave them.
    unsafe {
        guard(
            pamh,
            flags,
            argc,
            argv,
            Phase::Authenticate,
            login::authenticate,
        )
    }
}

/// There are no credentials beyond the login: always succeeds. It is called
/// several times, once of them in the user's own process.
#[unsafe(no_mangle)]
extern "C" fn pam_sm_setcred(
    _pamh: *mut PamHandle,
    _flags: c_int,
    _argc: c_int,
    _argv: *const *const c_char,
) -> c_int {
    libpam::PAM_SUCCESS
}

/// Asks for the authorization to log in.
///
/// # Safety
/// As [`pam_sm_authenticate`].
#[unsafe(no_mangle)]
unsafe extern "C" fn pam_sm_acct_mgmt(
    pamh: *mut PamHandle,
    flags: c_int,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    // SAFETY: passed on as libpam gave them.
    unsafe { guard(pamh, flags, argc, argv, Phase::Account, account::authorize) }
}

/// Records that a session begins.
///
/// # Safety
/// As [`pam_sm_authenticate`].
#[unsafe(no_mangle)]
unsafe extern "C" fn pam_sm_open_session(
    pamh: *mut PamHandle,
    flags: c_int,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    // SAFETY: passed on as libpam gave them.
    unsafe { guard(pamh, flags, argc, argv, Phase::Session, session::open) }
}

/// Records that a session ends.
///
/// # Safety
/// As [`pam_sm_authenticate`].
#[unsafe(no_mangle)]
unsafe extern "C" fn pam_sm_close_session(
    pamh: *mut PamHandle,
    flags: c_int,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    // SAFETY: passed on as libpam gave them.
    unsafe { guard(pamh, flags, argc, argv, Phase::Session, session::close) }
}

/// Changes the password at the server.
///
/// # Safety
/// As [`pam_sm_authenticate`].
#[unsafe(no_mangle)]
unsafe extern "C" fn pam_sm_chauthtok(
    pamh: *mut PamHandle,
    flags: c_int,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    // Which password has expired, another module knows: acct_mgmt here never says so.
    // Changing the server's would leave that one as it is, and the next login the same.
    if flags & libpam::PAM_CHANGE_EXPIRED_AUTHTOK != 0 {
        return code(Phase::Update, End::Ignored);
    }
    let (phase, run): (Phase, Run) = if flags & libpam::PAM_PRELIM_CHECK == 0 {
        (Phase::Update, passwd::update)
    } else {
        (Phase::Prelim, passwd::prelim)
    };
    // SAFETY: passed on as libpam gave them.
    unsafe { guard(pamh, flags, argc, argv, phase, run) }
}

unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int;
}

type Run = fn(&mut Call<'_>) -> End;

/// Runs one phase: pointers into references once, panics stopped, errno kept.
///
/// # Safety
/// As [`pam_sm_authenticate`].
unsafe fn guard(
    pamh: *mut PamHandle,
    flags: c_int,
    argc: c_int,
    argv: *const *const c_char,
    phase: Phase,
    run: Run,
) -> c_int {
    quiet_panics();
    let errno = Errno::keep();
    let uncancelled = Uncancelled::new();
    // SAFETY: `pamh` is libpam's, and `Live` does not outlive this call.
    let mut live = unsafe { Live::new(pamh) };
    // SAFETY: `argc` and `argv` are libpam's.
    let words = unsafe { words(argc, argv) };
    // SAFETY: `pamh` is libpam's.
    let place = unsafe { memory(pamh) };
    // Taken out for the length of the call, so that no reference into the handle
    // is alive while the application's conversation runs.
    // SAFETY: a place that `memory` gave is a valid Box's, which only the cleanup
    // frees, and libpam does not run that during a module's call.
    let mut memory = unsafe { place.as_mut() }
        .map(std::mem::take)
        .unwrap_or_default();
    let end = catch_unwind(AssertUnwindSafe(|| {
        let site = Site::host(*memory.setuid.get_or_insert_with(is_setuid), caller());
        let silent = flags & libpam::PAM_SILENT != 0;
        run(&mut Call::new(
            &mut live,
            &mut memory,
            &site,
            &words,
            phase,
            silent,
        ))
    }))
    .unwrap_or(End::Panicked);
    // SAFETY: as above.
    match unsafe { place.as_mut() } {
        Some(place) => *place = memory,
        // There was no memory to hang on the handle: end what would hang in it.
        None => {
            if let Ok(Some(line)) = catch_unwind(AssertUnwindSafe(|| abandon(memory))) {
                live.log(Level::Warning, &line);
            }
        }
    }
    drop(uncancelled);
    drop(errno);
    code(phase, end)
}

/// The module's memory in this handle, made on first use; null if libpam has no
/// room for it.
///
/// # Safety
/// `pamh` must be libpam's handle.
unsafe fn memory(pamh: *mut PamHandle) -> *mut Memory {
    let mut data: *const c_void = ptr::null();
    // SAFETY: the handle is the caller's promise; `data` takes one pointer.
    let code = unsafe { libpam::pam_get_data(pamh, DATA.as_ptr(), &raw mut data) };
    if code == libpam::PAM_SUCCESS && !data.is_null() {
        return data.cast_mut().cast();
    }
    let fresh = Box::into_raw(Box::<Memory>::default());
    // SAFETY: as above; libpam gives `fresh` to `cleanup`, once.
    let code = unsafe { libpam::pam_set_data(pamh, DATA.as_ptr(), fresh.cast(), Some(cleanup)) };
    if code == libpam::PAM_SUCCESS {
        return fresh;
    }
    // SAFETY: libpam did not take it, so it is still ours.
    drop(unsafe { Box::from_raw(fresh) });
    ptr::null_mut()
}

/// The handle ends, here or in a forked copy of the process.
unsafe extern "C" fn cleanup(pamh: *mut PamHandle, data: *mut c_void, status: c_int) {
    if data.is_null() {
        return;
    }
    quiet_panics();
    let errno = Errno::keep();
    let uncancelled = Uncancelled::new();
    // SAFETY: `data` is the Box that `memory` gave to libpam together with this
    // function, which libpam calls once for it.
    let memory = unsafe { Box::from_raw(data.cast::<Memory>()) };
    // The application says that another copy of this handle goes on.
    let goes_on = status & libpam::PAM_DATA_SILENT != 0;
    let ended = AssertUnwindSafe(|| (!goes_on).then(|| abandon(*memory))?);
    if let Ok(Some(line)) = catch_unwind(ended) {
        // SAFETY: libpam passes its handle, still whole for the time of the call.
        unsafe { Live::new(pamh) }.log(Level::Warning, &line);
    }
    drop(uncancelled);
    drop(errno);
}

fn abandon(memory: Memory) -> Option<String> {
    let site = Site::host(memory.setuid.unwrap_or_else(is_setuid), caller());
    session::abandon(memory, &site)
}

/// Who started this program, where that is not root: by the kernel's note of the start,
/// or by the real uid.
fn caller() -> Option<u32> {
    // SAFETY: getauxval has no preconditions.
    let started_by = unsafe { libc::getauxval(libc::AT_UID) };
    let real = rustix::process::getuid().as_raw();
    [u32::try_from(started_by).unwrap_or(0), real]
        .into_iter()
        .find(|uid| *uid != 0)
}

/// Whether somebody other than root started this program. sudo takes root's real uid
/// before it comes here, so the kernel's note of the start is asked too; and what sudo
/// runs was started by root, at the terminal of the same user.
fn is_setuid() -> bool {
    // SAFETY: getauxval has no preconditions.
    let started_by = unsafe { libc::getauxval(libc::AT_UID) };
    started_by != 0
        || !rustix::process::getuid().is_root()
        || process::is_at_a_users_terminal(Path::new("/proc/self"))
}

/// The words of the PAM line. What is not UTF-8 is no word the configuration
/// knows, and is refused there.
///
/// # Safety
/// `argv` must have `argc` NUL-terminated strings that stay valid.
unsafe fn words<'a>(argc: c_int, argv: *const *const c_char) -> Vec<&'a str> {
    let count = usize::try_from(argc).unwrap_or(0);
    if argv.is_null() || count == 0 {
        return Vec::new();
    }
    // SAFETY: the caller guarantees `argc` pointers.
    let pointers = unsafe { std::slice::from_raw_parts(argv, count) };
    pointers
        .iter()
        .filter(|pointer| !pointer.is_null())
        .map(|pointer| {
            // SAFETY: the caller guarantees NUL-terminated strings that stay valid.
            let word = unsafe { CStr::from_ptr(*pointer) };
            word.to_str().unwrap_or("\u{FFFD}")
        })
        .collect()
}

/// Puts errno back on drop: some hosts look at it behind libpam's back.
struct Errno(c_int);

impl Errno {
    fn keep() -> Self {
        // SAFETY: always a valid pointer to this thread's errno.
        Self(unsafe { *libc::__errno_location() })
    }
}

impl Drop for Errno {
    fn drop(&mut self) {
        // SAFETY: as in `keep`.
        unsafe { *libc::__errno_location() = self.0 };
    }
}

/// Keeps the thread from being cancelled while it is in here: that would unwind frames that
/// only a panic may unwind, and end the process.
struct Uncancelled(c_int);

impl Uncancelled {
    fn new() -> Self {
        const PTHREAD_CANCEL_DISABLE: c_int = 1;
        let mut before = 0;
        // SAFETY: a state that there is, and a place for the one before.
        unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &raw mut before) };
        Self(before)
    }
}

impl Drop for Uncancelled {
    fn drop(&mut self) {
        // SAFETY: the state of before, which nobody wants to know.
        unsafe { pthread_setcancelstate(self.0, ptr::null_mut()) };
    }
}

/// A panic says where in one line of the log, and nothing on stderr. Its message
/// is left out: it may quote what it choked on. The hook is this module's own, for
/// its standard library is linked into it.
fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            let place = info
                .location()
                .map_or_else(String::new, ToString::to_string);
            let line = format!("pam_tacplus: internal error at {place}, please report it\0");
            // SAFETY: the format takes exactly one string, which ends with a NUL.
            unsafe {
                libc::syslog(
                    libc::LOG_AUTHPRIV | libc::LOG_ERR,
                    c"%s".as_ptr(),
                    line.as_ptr().cast::<c_char>(),
                );
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_pam_line_come_in_their_order() {
        let line = [c"debug".as_ptr(), c"login=chap".as_ptr(), c"\xff".as_ptr()];
        // SAFETY: three strings that outlive the result.
        let words = unsafe { words(3, line.as_ptr()) };
        assert_eq!(words, ["debug", "login=chap", "\u{FFFD}"]);
        // SAFETY: without words the pointer is not looked at.
        assert!(unsafe { super::words(0, ptr::null()) }.is_empty());
    }

    #[test]
    fn errno_is_put_back() {
        // SAFETY: always a valid pointer to this thread's errno.
        let errno = || unsafe { libc::__errno_location() };
        // SAFETY: as above.
        unsafe { *errno() = libc::ENOENT };
        let kept = Errno::keep();
        let _ = std::fs::metadata("/nonexistent/\u{1F512}/x\0");
        // SAFETY: as above.
        unsafe { *errno() = libc::EACCES };
        drop(kept);
        // SAFETY: as above.
        assert_eq!(unsafe { *errno() }, libc::ENOENT);
    }

    #[test]
    fn no_thread_is_cancelled_inside_the_module_and_any_is_outside() {
        let mut state = -1;
        {
            let _uncancelled = Uncancelled::new();
            // SAFETY: the state that it is in, and a place for it.
            unsafe { pthread_setcancelstate(1, &raw mut state) };
            assert_eq!(state, 1, "PTHREAD_CANCEL_DISABLE");
        }
        // SAFETY: as above.
        unsafe { pthread_setcancelstate(0, &raw mut state) };
        assert_eq!(state, 0, "PTHREAD_CANCEL_ENABLE");
    }

    #[test]
    fn a_panic_ends_as_a_system_error_and_nothing_else_happens() {
        let harness = std::panic::take_hook();
        // SAFETY: libpam answers an error to a null handle, and there are no words.
        let code = unsafe {
            guard(ptr::null_mut(), 0, 0, ptr::null(), Phase::Account, |_| {
                panic!("as a test")
            })
        };
        std::panic::set_hook(harness);
        assert_eq!(code, 4, "PAM_SYSTEM_ERR");
    }
}
