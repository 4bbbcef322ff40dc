//! The part of Linux-PAM's interface that this module uses, declared by hand from
//! `security/_pam_types.h`, `pam_modules.h`, `pam_modutil.h` and `pam_ext.h`.
//!
//! Owns the declarations. They are Linux-PAM's stable interfaces, the
//! same on every architecture.

use std::ffi::{c_char, c_int, c_uint, c_void};

/// `pam_handle_t`, of which nobody but libpam sees the inside.
#[repr(C)]
pub(super) struct PamHandle {
    _opaque: [u8; 0],
}

#[repr(C)]
pub(super) struct PamMessage {
    pub(super) msg_style: c_int,
    pub(super) msg: *const c_char,
}

#[repr(C)]
pub(super) struct PamResponse {
    pub(super) resp: *mut c_char,
    pub(super) resp_retcode: c_int,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct PamConv {
    pub(super) conv: Option<Converse>,
    pub(super) appdata: *mut c_void,
}

pub(super) type Converse = unsafe extern "C" fn(
    num_msg: c_int,
    msg: *mut *const PamMessage,
    resp: *mut *mut PamResponse,
    appdata: *mut c_void,
) -> c_int;

pub(super) type Cleanup =
    unsafe extern "C" fn(pamh: *mut PamHandle, data: *mut c_void, error_status: c_int);

pub(super) const PAM_SUCCESS: c_int = 0;

pub(super) const PAM_SERVICE: c_int = 1;
pub(super) const PAM_TTY: c_int = 3;
pub(super) const PAM_RHOST: c_int = 4;
pub(super) const PAM_CONV: c_int = 5;
pub(super) const PAM_AUTHTOK: c_int = 6;
pub(super) const PAM_OLDAUTHTOK: c_int = 7;

pub(super) const PAM_PROMPT_ECHO_OFF: c_int = 1;
pub(super) const PAM_PROMPT_ECHO_ON: c_int = 2;
pub(super) const PAM_ERROR_MSG: c_int = 3;
pub(super) const PAM_TEXT_INFO: c_int = 4;

pub(super) const PAM_SILENT: c_int = 0x8000;
pub(super) const PAM_DATA_SILENT: c_int = 0x4000_0000;
pub(super) const PAM_CHANGE_EXPIRED_AUTHTOK: c_int = 0x0020;
pub(super) const PAM_PRELIM_CHECK: c_int = 0x4000;

#[link(name = "pam")]
unsafe extern "C" {
    pub(super) fn pam_get_user(
        pamh: *mut PamHandle,
        user: *mut *const c_char,
        prompt: *const c_char,
    ) -> c_int;
    pub(super) fn pam_get_item(
        pamh: *const PamHandle,
        item: c_int,
        value: *mut *const c_void,
    ) -> c_int;
    pub(super) fn pam_set_item(pamh: *mut PamHandle, item: c_int, value: *const c_void) -> c_int;
    pub(super) fn pam_get_data(
        pamh: *const PamHandle,
        name: *const c_char,
        data: *mut *const c_void,
    ) -> c_int;
    pub(super) fn pam_set_data(
        pamh: *mut PamHandle,
        name: *const c_char,
        data: *mut c_void,
        cleanup: Option<Cleanup>,
    ) -> c_int;
    pub(super) fn pam_modutil_getpwnam(
        pamh: *mut PamHandle,
        user: *const c_char,
    ) -> *mut libc::passwd;
    pub(super) fn pam_fail_delay(pamh: *mut PamHandle, musec_delay: c_uint) -> c_int;
    pub(super) fn pam_getenv(pamh: *mut PamHandle, name: *const c_char) -> *const c_char;
    pub(super) fn pam_putenv(pamh: *mut PamHandle, name_value: *const c_char) -> c_int;
    pub(super) fn pam_syslog(pamh: *const PamHandle, priority: c_int, format: *const c_char, ...);
}
