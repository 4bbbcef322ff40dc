//! What a process shows of itself, its argument list and its core; what it can load, and
//! what the host's name services tell it.
//!
//! Owns the crate's only `unsafe` code. Must never touch the argument list before
//! it was copied, nor when a second thread could be reading it.
#![allow(
    unsafe_code,
    reason = "the argument list is memory that Rust does not hand out"
)]

use std::ffi::{CStr, CString, c_char, c_int};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::{io, ptr};

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

static COUNT: AtomicUsize = AtomicUsize::new(0);
static LIST: AtomicPtr<*mut c_char> = AtomicPtr::new(ptr::null_mut());

/// glibc calls the functions of this section before `main`, with main's arguments;
/// other C libraries pass none, and there the list stays unknown.
#[cfg(target_env = "gnu")]
// SAFETY: the section holds pointers to functions of this very type, and the
// function only stores two numbers, which is sound before `main`.
#[unsafe(link_section = ".init_array")]
#[used]
static REMEMBER: extern "C" fn(c_int, *mut *mut c_char, *mut *mut c_char) = remember;

#[cfg(target_env = "gnu")]
extern "C" fn remember(count: c_int, list: *mut *mut c_char, _environment: *mut *mut c_char) {
    COUNT.store(usize::try_from(count).unwrap_or(0), Ordering::Relaxed);
    LIST.store(list, Ordering::Relaxed);
}

/// Keeps the memory of this process out of cores and away from other processes of
/// the same user. Best effort: a secret is not less needed where this is refused.
pub(crate) fn keep_memory_private() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = setrlimit(Resource::Core, none);
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Overwrites each of `secrets` where it stands at the end of an argument, alone or
/// behind its option, so that `ps` shows it no longer. To be called before any
/// thread is started.
pub(crate) fn overwrite_arguments(secrets: &[&[u8]]) {
    let list = LIST.load(Ordering::Relaxed);
    if list.is_null() {
        return;
    }
    for index in 1..COUNT.load(Ordering::Relaxed) {
        // SAFETY: the C library passed `list` with this many entries, which live as
        // long as the process.
        let argument = unsafe { *list.add(index) };
        if argument.is_null() {
            return;
        }
        // SAFETY: an entry that is not null points to a NUL-terminated string in
        // memory that the process may write to.
        let len = unsafe { CStr::from_ptr(argument) }.count_bytes();
        // SAFETY: the `len` bytes are those before the NUL just found. Nothing else
        // refers to them now: std copied them, and there is no other thread.
        let bytes = unsafe { std::slice::from_raw_parts_mut(argument.cast::<u8>(), len) };
        overwrite_end(bytes, secrets);
    }
}

/// Loads a shared library as the C library loads an NSS module, or says why it cannot.
/// Only for a library whose loading does nothing: what it needs is loaded with it.
pub(crate) fn load(library: &CStr) -> Result<(), String> {
    // SAFETY: a NUL-terminated name. Our module has no code that runs while it is loaded.
    let handle = unsafe { libc::dlopen(library.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if !handle.is_null() {
        // SAFETY: an open handle, closed once; nothing of the library was called.
        unsafe { libc::dlclose(handle) };
        return Ok(());
    }
    // SAFETY: no preconditions.
    let why = unsafe { libc::dlerror() };
    if why.is_null() {
        return Err("it cannot be loaded".to_owned());
    }
    // SAFETY: a NUL-terminated string that is valid until the next such call.
    let why = unsafe { CStr::from_ptr(why) };
    Err(why.to_string_lossy().into_owned())
}

/// The uid that lookups answer to this name.
///
/// # Errors
/// A name service could not say.
pub(crate) fn uid_of(name: &str) -> io::Result<Option<u32>> {
    let name = CString::new(name)?;
    look_up(&mut |place, buffer, result| {
        // SAFETY: a C string, and what `look_up` promises of the rest.
        let error = unsafe {
            libc::getpwnam_r(
                name.as_ptr(),
                place,
                buffer.as_mut_ptr(),
                buffer.len(),
                result,
            )
        };
        (error, |found: &libc::passwd| found.pw_uid)
    })
}

/// The name that lookups answer to this uid.
///
/// # Errors
/// As for [`uid_of`].
pub(crate) fn owner_of(uid: u32) -> io::Result<Option<String>> {
    look_up(&mut |place, buffer, result| {
        // SAFETY: what `look_up` promises.
        let error =
            unsafe { libc::getpwuid_r(uid, place, buffer.as_mut_ptr(), buffer.len(), result) };
        // SAFETY: an entry that a lookup has filled in.
        (error, |found: &libc::passwd| unsafe { text(found.pw_name) })
    })
}

/// The name that lookups answer to this gid.
///
/// # Errors
/// As for [`uid_of`].
pub(crate) fn group_of(gid: u32) -> io::Result<Option<String>> {
    look_up(&mut |place, buffer, result| {
        // SAFETY: what `look_up` promises.
        let error =
            unsafe { libc::getgrgid_r(gid, place, buffer.as_mut_ptr(), buffer.len(), result) };
        // SAFETY: an entry that a lookup has filled in.
        (error, |found: &libc::group| unsafe { text(found.gr_name) })
    })
}

/// The longest entry: a group of a directory may have very many members.
const MAX_ENTRY: usize = 16 * 1024 * 1024;

/// A lookup into a place for an entry, with a buffer for its texts, and the place where a
/// pointer to the entry is left if there is one; and what is wanted of that.
type Lookup<'l, T, R> = dyn FnMut(*mut T, &mut [c_char], *mut *mut T) -> (c_int, fn(&T) -> R) + 'l;

fn look_up<T, R>(lookup: &mut Lookup<'_, T, R>) -> io::Result<Option<R>> {
    let mut length = 1024;
    loop {
        let mut buffer = vec![0; length];
        let mut place = MaybeUninit::uninit();
        let mut result = ptr::null_mut();
        let (error, read) = lookup(place.as_mut_ptr(), &mut buffer, &raw mut result);
        match error {
            libc::ERANGE if length < MAX_ENTRY => length = length.saturating_mul(2),
            0 if result.is_null() => return Ok(None),
            // SAFETY: the C library has filled in the place that `result` leads to, whose
            // texts are in the buffer.
            0 => return Ok(Some(read(unsafe { &*result }))),
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// A text of an entry.
///
/// # Safety
/// `text` must be null or a NUL-terminated text that stays as it is until this returns.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_string_lossy().into_owned()
}

fn overwrite_end(argument: &mut [u8], secrets: &[&[u8]]) {
    let is_option = argument.starts_with(b"-");
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        let at = argument.len().wrapping_sub(secret.len());
        if argument.ends_with(secret)
            && (at == 0 || is_option)
            && let Some(end) = argument.get_mut(at..)
        {
            end.fill(b'x');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_overwritten_alone_and_behind_its_option_only() {
        for (argument, left) in [
            ("hidden", "xxxxxx"),
            ("-khidden", "-kxxxxxx"),
            ("--key=hidden", "--key=xxxxxx"),
            ("not-hidden", "not-hidden"),
            ("hidden-not", "hidden-not"),
            ("", ""),
        ] {
            let mut bytes = argument.as_bytes().to_vec();
            overwrite_end(&mut bytes, &[b"", b"hidden"]);
            assert_eq!(String::from_utf8(bytes).unwrap(), left);
        }
    }
}
