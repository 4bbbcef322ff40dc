//! The real PAM handle, safe to use.
//!
//! Owns every call into libpam and into the application's conversation. Memory
//! with a typed answer is wiped before it is freed.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::time::Duration;
use std::{io, ptr};

use tacacs_common::secret::Secret;
use zeroize::{Zeroize, Zeroizing};

use super::libpam::{self, PamConv, PamHandle, PamMessage, PamResponse};
use crate::handle::{Account, Handle, Item, Level, Note, Token};

/// A PAM handle during one call of libpam into this module.
pub(super) struct Live {
    pamh: *mut PamHandle,
}

impl Live {
    /// # Safety
    /// `pamh` must be the handle that libpam passed to the exported function that
    /// runs, and the result must not outlive that call.
    pub(super) unsafe fn new(pamh: *mut PamHandle) -> Self {
        Self { pamh }
    }

    /// The bytes of a text item, copied: libpam may replace the item at any time.
    fn bytes(&self, item: c_int) -> Option<Secret> {
        let mut value: *const c_void = ptr::null();
        // SAFETY: `new`'s caller guarantees the handle; `value` is a place for
        // one pointer.
        let code = unsafe { libpam::pam_get_item(self.pamh, item, &raw mut value) };
        if code != libpam::PAM_SUCCESS || value.is_null() {
            return None;
        }
        // SAFETY: libpam keeps these items as NUL-terminated strings and nothing
        // is called that could free this one before it is copied.
        let text = unsafe { CStr::from_ptr(value.cast::<c_char>()) };
        Some(Secret::from_slice(text.to_bytes()))
    }

    /// The application's conversation, copied: it may set another one while it runs.
    fn conversation(&self) -> Option<PamConv> {
        let mut value: *const c_void = ptr::null();
        // SAFETY: as in `bytes`.
        let code = unsafe { libpam::pam_get_item(self.pamh, libpam::PAM_CONV, &raw mut value) };
        if code != libpam::PAM_SUCCESS || value.is_null() {
            return None;
        }
        // SAFETY: libpam keeps its own aligned copy of the `struct pam_conv` that
        // the application gave.
        Some(unsafe { *value.cast::<PamConv>() })
    }

    /// One message to the application; its answer, if it gives one.
    fn converse(&self, style: c_int, text: &str) -> Result<Option<Secret>, ()> {
        let text = CString::new(text).map_err(drop)?;
        let PamConv { conv, appdata } = self.conversation().ok_or(())?;
        let call = conv.ok_or(())?;
        let message = PamMessage {
            msg_style: style,
            msg: text.as_ptr(),
        };
        let mut messages: *const PamMessage = &raw const message;
        let mut response: *mut PamResponse = ptr::null_mut();
        // SAFETY: the application promised libpam a function of this type. The
        // message, its text and the place for the response outlive the call.
        let code = unsafe { call(1, &raw mut messages, &raw mut response, appdata) };
        if code != libpam::PAM_SUCCESS {
            // What `response` is after a failure is not defined: left alone.
            return Err(());
        }
        if response.is_null() {
            return Ok(None);
        }
        // SAFETY: after success a response that is not null is the application's
        // malloc'ed array of as many elements as there were messages, one, and
        // belongs to the caller, as does its text.
        let answer = unsafe { taken((*response).resp) };
        // SAFETY: as above; it is freed once and not used any more.
        unsafe { libc::free(response.cast()) };
        Ok(answer)
    }
}

/// Copies an answer, wipes it where it lay and frees it.
///
/// # Safety
/// `text` must be null or a malloc'ed, NUL-terminated string that belongs to the
/// caller; it is gone afterwards.
unsafe fn taken(text: *mut c_char) -> Option<Secret> {
    if text.is_null() {
        return None;
    }
    // SAFETY: NUL-terminated by this function's contract, so `len` bytes may be
    // read and written, and nobody else has a reference to them.
    let bytes = unsafe { std::slice::from_raw_parts_mut(text.cast::<u8>(), libc::strlen(text)) };
    let answer = Secret::from_slice(bytes);
    bytes.zeroize();
    // SAFETY: malloc'ed by this function's contract, and not used after this.
    unsafe { libc::free(text.cast()) };
    Some(answer)
}

/// The end of what `set_data` left.
unsafe extern "C" fn free_text(_pamh: *mut PamHandle, text: *mut c_void, _error_status: c_int) {
    if !text.is_null() {
        // SAFETY: the CString that `set_data` gave to libpam together with this function,
        // which libpam calls once for it.
        drop(unsafe { CString::from_raw(text.cast()) });
    }
}

const fn item_number(item: Item) -> c_int {
    match item {
        Item::Service => libpam::PAM_SERVICE,
        Item::Tty => libpam::PAM_TTY,
        Item::Rhost => libpam::PAM_RHOST,
    }
}

const fn token_number(token: Token) -> c_int {
    match token {
        Token::Password => libpam::PAM_AUTHTOK,
        Token::OldPassword => libpam::PAM_OLDAUTHTOK,
    }
}

impl Handle for Live {
    fn user(&mut self) -> Option<String> {
        let mut user: *const c_char = ptr::null();
        // SAFETY: `new`'s caller guarantees the handle; a null prompt means the
        // default one; `user` is a place for one pointer.
        let code = unsafe { libpam::pam_get_user(self.pamh, &raw mut user, ptr::null()) };
        if code != libpam::PAM_SUCCESS || user.is_null() {
            return None;
        }
        // SAFETY: libpam's own NUL-terminated copy, and nothing is called that
        // could free it before it is copied.
        let user = unsafe { CStr::from_ptr(user) };
        user.to_str().ok().map(str::to_owned)
    }

    fn account(&self, name: &str) -> io::Result<Option<Account>> {
        let name = CString::new(name)?;
        // The only word about why there is no entry. The C library leaves a 0 where all
        // was asked and nobody was found.
        // SAFETY: always a valid pointer to this thread's errno.
        unsafe { *libc::__errno_location() = 0 };
        // SAFETY: `new`'s caller guarantees the handle; the name outlives the call.
        let entry = unsafe { libpam::pam_modutil_getpwnam(self.pamh, name.as_ptr()) };
        if entry.is_null() {
            let error = io::Error::last_os_error();
            return match error.raw_os_error() {
                Some(0) => Ok(None),
                _ => Err(error),
            };
        }
        // SAFETY: not null, so a `struct passwd` that libpam keeps with the handle.
        let entry = unsafe { &*entry };
        let text = |text: *const c_char| {
            // SAFETY: null, or a C string that libpam keeps with its entry.
            let text = (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) });
            text.unwrap_or_default().to_string_lossy().into_owned()
        };
        Ok(Some(Account {
            uid: entry.pw_uid,
            gid: entry.pw_gid,
            home: text(entry.pw_dir),
            shell: text(entry.pw_shell),
        }))
    }

    fn item(&self, item: Item) -> Option<String> {
        let bytes = self.bytes(item_number(item))?;
        Some(String::from_utf8_lossy(bytes.expose()).into_owned())
    }

    fn token(&self, token: Token) -> Option<Secret> {
        self.bytes(token_number(token))
    }

    fn set_token(&mut self, token: Token, value: &Secret) -> bool {
        if value.expose().contains(&0) {
            return false;
        }
        let mut text = Zeroizing::new(Vec::with_capacity(value.len().saturating_add(1)));
        text.extend_from_slice(value.expose());
        text.push(0);
        // SAFETY: `new`'s caller guarantees the handle; `text` is NUL-terminated
        // and libpam copies it.
        let code =
            unsafe { libpam::pam_set_item(self.pamh, token_number(token), text.as_ptr().cast()) };
        code == libpam::PAM_SUCCESS
    }

    fn set_env(&mut self, name: &str, value: &str) -> bool {
        let Ok(text) = CString::new(format!("{name}={value}")) else {
            return false;
        };
        // SAFETY: `new`'s caller guarantees the handle; `text` is NUL-terminated
        // and libpam copies it.
        unsafe { libpam::pam_putenv(self.pamh, text.as_ptr()) == libpam::PAM_SUCCESS }
    }

    fn delay_failure(&mut self, time: Duration) {
        let micros = time.as_micros().try_into().unwrap_or(c_uint::MAX);
        // SAFETY: `new`'s caller guarantees the handle.
        unsafe { libpam::pam_fail_delay(self.pamh, micros) };
    }

    fn env(&self, name: &str) -> Option<String> {
        let name = CString::new(name).ok()?;
        // SAFETY: `new`'s caller guarantees the handle; the name outlives the call.
        let value = unsafe { libpam::pam_getenv(self.pamh, name.as_ptr()) };
        if value.is_null() {
            return None;
        }
        // SAFETY: libpam's own NUL-terminated text, copied before anything changes it.
        let value = unsafe { CStr::from_ptr(value) };
        Some(value.to_string_lossy().into_owned())
    }

    fn unset_env(&mut self, name: &str) {
        let Ok(name) = CString::new(name) else { return };
        // SAFETY: as in `env`. A name without `=` takes the variable away.
        unsafe { libpam::pam_putenv(self.pamh, name.as_ptr()) };
    }

    fn set_data(&mut self, name: &str, value: &str) -> bool {
        let (Ok(name), Ok(value)) = (CString::new(name), CString::new(value)) else {
            return false;
        };
        let value = value.into_raw();
        // SAFETY: `new`'s caller guarantees the handle; the name outlives the call, and
        // libpam gives `value` to `free_text`, once.
        let code = unsafe {
            libpam::pam_set_data(self.pamh, name.as_ptr(), value.cast(), Some(free_text))
        };
        if code == libpam::PAM_SUCCESS {
            return true;
        }
        // SAFETY: libpam did not take it, so it is still ours.
        drop(unsafe { CString::from_raw(value) });
        false
    }

    fn ask(&mut self, echo: bool, prompt: &str) -> Option<Secret> {
        let style = if echo {
            libpam::PAM_PROMPT_ECHO_ON
        } else {
            libpam::PAM_PROMPT_ECHO_OFF
        };
        self.converse(style, prompt).ok().flatten()
    }

    fn tell(&mut self, note: Note, text: &str) {
        let style = match note {
            Note::Info => libpam::PAM_TEXT_INFO,
            Note::Error => libpam::PAM_ERROR_MSG,
        };
        // A message that cannot be shown changes nothing about the decision.
        let _ = self.converse(style, text);
    }

    fn log(&self, level: Level, line: &str) {
        let Ok(line) = CString::new(line) else { return };
        let priority = match level {
            Level::Error => libc::LOG_ERR,
            Level::Warning => libc::LOG_WARNING,
            Level::Notice => libc::LOG_NOTICE,
            Level::Info => libc::LOG_INFO,
            Level::Debug => libc::LOG_DEBUG,
        };
        // SAFETY: `new`'s caller guarantees the handle; the format takes exactly
        // the one string given.
        unsafe { libpam::pam_syslog(self.pamh, priority, c"%s".as_ptr(), line.as_ptr()) };
    }
}
