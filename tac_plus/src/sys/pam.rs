//! PAM as an application: one transaction, its conversation handed to safe code.
//!
//! Owns the handle and the answers until the library takes them. A conversation
//! that panics ends the transaction, not the process.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use tacacs_common::secret::Secret;

const PAM_SUCCESS: c_int = 0;
const PAM_BUF_ERR: c_int = 5;
/// `PAM_OPEN_ERR`, `PAM_SYMBOL_ERR`, `PAM_SERVICE_ERR`, `PAM_SYSTEM_ERR`, `PAM_BUF_ERR`,
/// `PAM_AUTHINFO_UNAVAIL`, `PAM_ABORT`, `PAM_MODULE_UNKNOWN`.
const UNDECIDED: [c_int; 8] = [1, 2, 3, 4, PAM_BUF_ERR, 9, 26, 28];
const PAM_CONV_ERR: c_int = 19;
/// Who has no password does not get in by giving none.
const PAM_DISALLOW_NULL_AUTHTOK: c_int = 1;
const PAM_TTY: c_int = 3;
const PAM_RHOST: c_int = 4;
const PAM_PROMPT_ECHO_OFF: c_int = 1;
const PAM_PROMPT_ECHO_ON: c_int = 2;
const PAM_ERROR_MSG: c_int = 3;
const PAM_TEXT_INFO: c_int = 4;
/// `PAM_MAX_NUM_MSG`.
const MESSAGES: c_int = 32;
/// `PAM_MAX_RESP_SIZE`, with its zero byte.
const LONGEST: usize = 512;

/// Whoever answers a module's questions.
pub(crate) trait Conversation {
    /// The answer to a prompt; `None` ends the transaction.
    fn answer(&mut self, prompt: &[u8], echo: bool) -> Option<Secret>;
    /// Something for the user to read.
    fn tell(&mut self, message: &[u8]);
}

/// What is asked about, from where.
pub(crate) struct Subject<'a> {
    pub(crate) service: &'a str,
    pub(crate) user: &'a [u8],
    pub(crate) tty: &'a [u8],
    pub(crate) rhost: &'a [u8],
}

/// Why somebody is not let in, in the library's words.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The modules say no.
    No(String),
    /// They cannot say: nothing is known.
    Undecided(String),
}

#[repr(C)]
struct Handle {
    _opaque: [u8; 0],
}

#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct Response {
    text: *mut c_char,
    code: c_int,
}

#[repr(C)]
struct Conv {
    converse:
        unsafe extern "C" fn(c_int, *mut *const Message, *mut *mut Response, *mut c_void) -> c_int,
    data: *mut c_void,
}

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_start(
        service: *const c_char,
        user: *const c_char,
        conversation: *const Conv,
        handle: *mut *mut Handle,
    ) -> c_int;
    fn pam_end(handle: *mut Handle, status: c_int) -> c_int;
    fn pam_set_item(handle: *mut Handle, item: c_int, value: *const c_void) -> c_int;
    fn pam_authenticate(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_acct_mgmt(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_strerror(handle: *mut Handle, status: c_int) -> *const c_char;
}

/// Authenticates and asks whether the account is good. Blocks as long as the
/// modules and the conversation do.
///
/// # Errors
///
/// Why not.
pub(crate) fn authenticate(
    subject: &Subject<'_>,
    conversation: &mut dyn Conversation,
) -> Result<(), Refused> {
    let text = |bytes: &[u8]| {
        CString::new(bytes).map_err(|_| Refused::No("a zero byte where PAM wants text".to_owned()))
    };
    let service = text(subject.service.as_bytes())?;
    let user = text(subject.user)?;
    let items = [
        (PAM_TTY, text(subject.tty)?),
        (PAM_RHOST, text(subject.rhost)?),
    ];
    // The callback gets a thin pointer to this fat one.
    let mut conversation = conversation;
    let conv = Conv {
        converse,
        data: (&raw mut conversation).cast(),
    };
    let mut handle = std::ptr::null_mut();
    // SAFETY: the strings outlive the call, which copies them; `conv` and what it
    // points to live until pam_end below.
    let started = unsafe {
        pam_start(
            service.as_ptr(),
            user.as_ptr(),
            &raw const conv,
            &raw mut handle,
        )
    };
    if started != PAM_SUCCESS {
        let why = format!("PAM cannot start (error {started})");
        return Err(Refused::Undecided(why));
    }
    let mut phase = "set-up";
    let mut status = PAM_SUCCESS;
    for (item, value) in &items {
        if status == PAM_SUCCESS && !value.is_empty() {
            // SAFETY: the handle is good until pam_end; the string is copied.
            status = unsafe { pam_set_item(handle, *item, value.as_ptr().cast()) };
        }
    }
    if status == PAM_SUCCESS {
        phase = "authentication";
        // SAFETY: as above; the conversation is called from this thread only.
        status = unsafe { pam_authenticate(handle, PAM_DISALLOW_NULL_AUTHTOK) };
    }
    if status == PAM_SUCCESS {
        phase = "account";
        // SAFETY: as above.
        status = unsafe { pam_acct_mgmt(handle, PAM_DISALLOW_NULL_AUTHTOK) };
    }
    let result = if status == PAM_SUCCESS {
        Ok(())
    } else {
        // SAFETY: the result is null or a string that lives as long as the handle.
        let text = unsafe {
            let text = pam_strerror(handle, status);
            (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
        };
        let why = text.unwrap_or_else(|| format!("error {status}"));
        let why = format!("{phase}: {why}");
        Err(if UNDECIDED.contains(&status) {
            Refused::Undecided(why)
        } else {
            Refused::No(why)
        })
    };
    // SAFETY: the handle came from pam_start and is not used after this.
    unsafe { pam_end(handle, status) };
    result
}

/// Called by the library with its modules' messages.
unsafe extern "C" fn converse(
    count: c_int,
    messages: *mut *const Message,
    responses: *mut *mut Response,
    data: *mut c_void,
) -> c_int {
    if !(1..=MESSAGES).contains(&count)
        || messages.is_null()
        || responses.is_null()
        || data.is_null()
    {
        return PAM_CONV_ERR;
    }
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: `data` is what `authenticate` put there: it waits in the call that
    // leads here, so nobody else uses the conversation.
    let conversation = unsafe { &mut *data.cast::<&mut dyn Conversation>() };
    // SAFETY: Linux-PAM passes an array of `count` pointers to messages.
    let messages = unsafe { std::slice::from_raw_parts(messages, count) };
    // SAFETY: an allocation of its own, of `count` zeroed responses, which the
    // library frees with free(3) as it wants them.
    let list = unsafe { libc::calloc(count, size_of::<Response>()) }.cast::<Response>();
    if list.is_null() {
        return PAM_BUF_ERR;
    }
    for (at, message) in messages.iter().enumerate() {
        // SAFETY: each message and its text are null or good for the call.
        let answer = unsafe { answer(*conversation, *message) };
        match answer {
            // SAFETY: `at` is below `count`.
            Ok(text) => unsafe { (*list.add(at)).text = text },
            Err(status) => {
                // SAFETY: made above and not handed to the library.
                unsafe { give_back(list, count) };
                return status;
            }
        }
    }
    // SAFETY: checked not to be null; the library takes the list over.
    unsafe { *responses = list };
    PAM_SUCCESS
}

/// # Safety
///
/// The message is null or points to one whose text is null or a string.
unsafe fn answer(
    conversation: &mut dyn Conversation,
    message: *const Message,
) -> Result<*mut c_char, c_int> {
    // SAFETY: the caller's promise.
    let message = unsafe { message.as_ref() }.ok_or(PAM_CONV_ERR)?;
    let text = if message.text.is_null() {
        &[]
    } else {
        // SAFETY: the caller's promise.
        unsafe { CStr::from_ptr(message.text) }.to_bytes()
    };
    let answered = catch_unwind(AssertUnwindSafe(|| match message.style {
        PAM_PROMPT_ECHO_OFF => conversation.answer(text, false).map(Some),
        PAM_PROMPT_ECHO_ON => conversation.answer(text, true).map(Some),
        PAM_ERROR_MSG | PAM_TEXT_INFO => {
            conversation.tell(text);
            Some(None)
        }
        _ => None,
    }));
    match answered {
        Ok(Some(None)) => Ok(std::ptr::null_mut()),
        Ok(Some(Some(answer))) => copy(&answer).ok_or(PAM_CONV_ERR),
        Ok(None) | Err(_) => Err(PAM_CONV_ERR),
    }
}

/// A copy that free(3) takes; `None` for what PAM would cut or refuse.
fn copy(answer: &Secret) -> Option<*mut c_char> {
    let bytes = answer.expose();
    if bytes.len() >= LONGEST || bytes.contains(&0) {
        return None;
    }
    // SAFETY: zeroed, one byte longer than what is copied into it.
    unsafe {
        let text = libc::calloc(bytes.len().checked_add(1)?, 1).cast::<u8>();
        if text.is_null() {
            return None;
        }
        text.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        Some(text.cast())
    }
}

/// # Safety
///
/// `list` is an allocation of `count` responses, whose texts are null or from [`copy`].
unsafe fn give_back(list: *mut Response, count: usize) {
    for at in 0..count {
        // SAFETY: the caller's promise; texts are strings, wiped before they go.
        unsafe {
            let text = (*list.add(at)).text;
            if !text.is_null() {
                libc::explicit_bzero(text.cast(), libc::strlen(text));
                libc::free(text.cast());
            }
        }
    }
    // SAFETY: the caller's promise.
    unsafe { libc::free(list.cast()) };
}
