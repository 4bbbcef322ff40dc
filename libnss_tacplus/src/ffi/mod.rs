//! The C edge: what glibc calls, and the guard around it.
//!
//! Owns all unsafe code of the module. Must never let a panic, a changed errno or a
//! pointer to anything but the caller's buffer into the host process, which is
//! somebody else's: any program that asks who owns a file.
#![allow(unsafe_code, reason = "this is the C boundary")]

mod groups;
mod panics;
mod room;

use std::ffi::{CStr, c_char, c_int, c_long};
use std::panic::{AssertUnwindSafe, catch_unwind};

use libc::{gid_t, group, passwd, size_t, uid_t};
use tacacs_common::identity::{Entry, Group};

use self::groups::Groups;
use self::room::Room;
use crate::answer::{Answer, Failure, told};
use crate::lookup;
use crate::site::Site;
use crate::walk::{GROUPS, PERSONS};

/// No name that the module answers for is longer.
const MAX_NAME: usize = 255;

/// The `*` keeps every password out; with `x`, pam_unix would look for the user in
/// the shadow file and refuse an expired account that is none.
const PASSWORD: &str = "*";

// The unwinder, as a part of the module: it would take longer to load than a lookup takes,
// and what a process loads when it has panicked may be anybody's.
#[cfg(not(test))]
#[link(name = "gcc_eh", kind = "static", modifiers = "-bundle")]
unsafe extern "C" {}

unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int;
}

/// # Safety
/// For glibc alone, as every function here: `name` is a C string, `result` a place
/// for a `struct passwd`, `buffer` has `length` bytes, `errnop` is a place for a
/// number, all the caller's own until this returns.
#[unsafe(no_mangle)]
unsafe extern "C" fn _nss_tacplus_getpwnam_r(
    name: *const c_char,
    result: *mut passwd,
    buffer: *mut c_char,
    length: size_t,
    errnop: *mut c_int,
) -> c_int {
    let find = &mut || {
        // SAFETY: glibc's promise above.
        let person = lookup::person_by_name(&Site::host(), unsafe { text(name) }?)?;
        // SAFETY: glibc's promise above.
        unsafe { put_person(&person, result, buffer, length) }
    };
    // SAFETY: glibc's promise above.
    unsafe { guard(errnop, find) }
}

/// # Safety
/// As [`_nss_tacplus_getpwnam_r`].
#[unsafe(no_mangle)]
unsafe extern "C" fn _nss_tacplus_getpwuid_r(
    uid: uid_t,
    result: *mut passwd,
    buffer: *mut c_char,
    length: size_t,
    errnop: *mut c_int,
) -> c_int {
    let find = &mut || {
        let person = lookup::person_by_uid(&Site::host(), uid)?;
        // SAFETY: glibc's promise above.
        unsafe { put_person(&person, result, buffer, length) }
    };
    // SAFETY: glibc's promise above.
    unsafe { guard(errnop, find) }
}

/// # Safety
/// As [`_nss_tacplus_getpwnam_r`], with a place for a `struct group`.
#[unsafe(no_mangle)]
unsafe extern "C" fn _nss_tacplus_getgrnam_r(
    name: *const c_char,
    result: *mut group,
    buffer: *mut c_char,
    length: size_t,
    errnop: *mut c_int,
) -> c_int {
    let find = &mut || {
        // SAFETY: glibc's promise above.
        let group = lookup::group_by_name(&Site::host(), unsafe { text(name) }?)?;
        // SAFETY: glibc's promise above.
        unsafe { put_group(&group, result, buffer, length) }
    };
    // SAFETY: glibc's promise above.
    unsafe { guard(errnop, find) }
}

/// # Safety
/// As [`_nss_tacplus_getgrnam_r`].
#[unsafe(no_mangle)]
unsafe extern "C" fn _nss_tacplus_getgrgid_r(
    gid: gid_t,
    result: *mut group,
    buffer: *mut c_char,
    length: size_t,
    errnop: *mut c_int,
) -> c_int {
    let find = &mut || {
        let group = lookup::group_by_gid(&Site::host(), gid)?;
        // SAFETY: glibc's promise above.
        unsafe { put_group(&group, result, buffer, length) }
    };
    // SAFETY: glibc's promise above.
    unsafe { guard(errnop, find) }
}

/// The supplementary groups of a user, without a look at any other.
///
/// # Safety
/// As [`_nss_tacplus_getpwnam_r`]; `start`, `size` and `list` are the length, the
/// room and the place of glibc's own malloc'ed array.
#[unsafe(no_mangle)]
unsafe extern "C" fn _nss_tacplus_initgroups_dyn(
    user: *const c_char,
    primary: gid_t,
    start: *mut c_long,
    size: *mut c_long,
    list: *mut *mut gid_t,
    limit: c_long,
    errnop: *mut c_int,
) -> c_int {
    let find = &mut || {
        // SAFETY: glibc's promise above.
        let found = lookup::groups_of(&Site::host(), unsafe { text(user) }?, primary)?;
        // SAFETY: glibc's promise above.
        let mut groups = unsafe { Groups::new(start, size, list, limit) };
        found.into_iter().try_for_each(|gid| groups.add(gid))
    };
    // SAFETY: glibc's promise above.
    unsafe { guard(errnop, find) }
}

#[unsafe(no_mangle)]
extern "C" fn _nss_tacplus_setpwent(_stay_open: c_int) -> c_int {
    walk(&mut || PERSONS.rewind())
}

#[unsafe(no_mangle)]
extern "C" fn _nss_tacplus_endpwent() -> c_int {
    walk(&mut || PERSONS.rewind())
}

/// # Safety
/// As [`_nss_tacplus_getpwnam_r`].
#[unsafe(no_mangle)]
unsafe extern "C" fn _nss_tacplus_getpwent_r(
    result: *mut passwd,
    buffer: *mut c_char,
    length: size_t,
    errnop: *mut c_int,
) -> c_int {
    let find = &mut || {
        // SAFETY: glibc's promise above.
        PERSONS.person(&Site::host(), &mut |person| unsafe {
            put_person(person, result, buffer, length)
        })
    };
    // SAFETY: glibc's promise above.
    unsafe { guard(errnop, find) }
}

#[unsafe(no_mangle)]
extern "C" fn _nss_tacplus_setgrent(_stay_open: c_int) -> c_int {
    walk(&mut || GROUPS.rewind())
}

#[unsafe(no_mangle)]
extern "C" fn _nss_tacplus_endgrent() -> c_int {
    walk(&mut || GROUPS.rewind())
}

/// # Safety
/// As [`_nss_tacplus_getgrnam_r`].
#[unsafe(no_mangle)]
unsafe extern "C" fn _nss_tacplus_getgrent_r(
    result: *mut group,
    buffer: *mut c_char,
    length: size_t,
    errnop: *mut c_int,
) -> c_int {
    let find = &mut || {
        // SAFETY: glibc's promise above.
        GROUPS.group(&Site::host(), &mut |group| unsafe {
            put_group(group, result, buffer, length)
        })
    };
    // SAFETY: glibc's promise above.
    unsafe { guard(errnop, find) }
}

/// The beginning or the end of a walk, for which glibc offers no place for a number.
fn walk(run: &mut dyn FnMut() -> Answer<()>) -> c_int {
    let mut errno = 0;
    // SAFETY: a place for a number.
    unsafe { guard(&raw mut errno, run) }
}

/// Runs one lookup: panics stopped, errno as it was unless the caller is told one.
///
/// # Safety
/// `errnop` must be null or a place for a number. It may be errno itself.
unsafe fn guard(errnop: *mut c_int, run: &mut dyn FnMut() -> Answer<()>) -> c_int {
    panics::quiet();
    // SAFETY: always a valid pointer to this thread's errno.
    let errno = unsafe { *libc::__errno_location() };
    let uncancelled = Uncancelled::new();
    let end = catch_unwind(AssertUnwindSafe(run)).unwrap_or(Err(Failure::Panicked));
    drop(uncancelled);
    let told = told(end);
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
    if let Some(number) = told.errno
        && !errnop.is_null()
    {
        // SAFETY: the caller's promise.
        unsafe { *errnop = number };
    }
    told.status
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
        unsafe { pthread_setcancelstate(self.0, std::ptr::null_mut()) };
    }
}

/// A name as text. What is no text, or too long, names nobody.
///
/// # Safety
/// `name` must be null or a C string that stays as it is while the result lives.
unsafe fn text<'n>(name: *const c_char) -> Answer<&'n str> {
    // SAFETY: the caller's promise; no byte behind the NUL is looked at.
    if name.is_null() || unsafe { libc::strnlen(name, MAX_NAME) } >= MAX_NAME {
        return Err(Failure::NotFound);
    }
    // SAFETY: the caller's promise.
    let name = unsafe { CStr::from_ptr(name) };
    name.to_str().map_err(|_| Failure::NotFound)
}

/// Fills in a `struct passwd` once all its texts have found room.
///
/// # Safety
/// As [`_nss_tacplus_getpwnam_r`] for `result`, `buffer` and `length`.
unsafe fn put_person(
    person: &Entry,
    result: *mut passwd,
    buffer: *mut c_char,
    length: size_t,
) -> Answer<()> {
    // SAFETY: the caller's promise.
    let mut room = unsafe { Room::new(buffer, length) };
    let filled = passwd {
        pw_name: room.text(&person.name)?,
        pw_passwd: room.text(PASSWORD)?,
        pw_uid: person.uid,
        pw_gid: person.gid,
        pw_gecos: room.text(&person.gecos)?,
        pw_dir: room.text(&person.home)?,
        pw_shell: room.text(&person.shell)?,
    };
    // SAFETY: the caller's promise; nothing in there needs to be dropped.
    unsafe { result.write(filled) };
    Ok(())
}

/// Fills in a `struct group`, which never lists members: they are told to each
/// login by `initgroups_dyn`.
///
/// # Safety
/// As [`_nss_tacplus_getgrnam_r`] for `result`, `buffer` and `length`.
unsafe fn put_group(
    found: &Group,
    result: *mut group,
    buffer: *mut c_char,
    length: size_t,
) -> Answer<()> {
    // SAFETY: the caller's promise.
    let mut room = unsafe { Room::new(buffer, length) };
    let filled = group {
        gr_mem: room.no_texts()?,
        gr_name: room.text(&found.name)?,
        gr_passwd: room.text(PASSWORD)?,
        gr_gid: found.gid,
    };
    // SAFETY: the caller's promise; nothing in there needs to be dropped.
    unsafe { result.write(filled) };
    Ok(())
}

#[cfg(test)]
mod tests;
