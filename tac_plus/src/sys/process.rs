//! What a process is: its user, and the sockets that it was started with.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// A user or group of this host.
pub(crate) struct Account {
    pub(crate) uid: libc::uid_t,
    pub(crate) gid: libc::gid_t,
}

/// The user of this name.
pub(crate) fn user(name: &CStr) -> io::Result<Option<Account>> {
    let mut entry = std::mem::MaybeUninit::<libc::passwd>::uninit();
    let mut buffer = vec![0; 16 * 1024];
    let mut found = std::ptr::null_mut();
    // SAFETY: every pointer is valid for the call, and the length is the buffer's.
    let error = unsafe {
        libc::getpwnam_r(
            name.as_ptr(),
            entry.as_mut_ptr(),
            buffer.as_mut_ptr(),
            buffer.len(),
            &raw mut found,
        )
    };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    if found.is_null() {
        return Ok(None);
    }
    // SAFETY: a non-null result says that getpwnam_r filled the entry; its numbers are
    // copied, its pointers not used.
    let entry = unsafe { entry.assume_init() };
    Ok(Some(Account {
        uid: entry.pw_uid,
        gid: entry.pw_gid,
    }))
}

/// The number of the group of this name.
pub(crate) fn group(name: &CStr) -> io::Result<Option<libc::gid_t>> {
    let mut entry = std::mem::MaybeUninit::<libc::group>::uninit();
    let mut buffer = vec![0; 1024 * 1024];
    let mut found = std::ptr::null_mut();
    // SAFETY: as for getpwnam_r above.
    let error = unsafe {
        libc::getgrnam_r(
            name.as_ptr(),
            entry.as_mut_ptr(),
            buffer.as_mut_ptr(),
            buffer.len(),
            &raw mut found,
        )
    };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    // SAFETY: a non-null result says that getgrnam_r filled the entry.
    Ok((!found.is_null()).then(|| unsafe { entry.assume_init() }.gr_gid))
}

/// Gives memory that was freed back to the system, where the C library would keep it.
pub(crate) fn give_memory_back() {
    // SAFETY: it only looks at memory that nobody uses, under the allocator's own locks.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Becomes this user and group for good, all threads of the process; `name` is whose
/// further groups count, nobody's if there is none.
pub(crate) fn become_account(account: &Account, name: Option<&CString>) -> io::Result<()> {
    let done = |code: libc::c_int| match code {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    };
    let Account { uid, gid } = *account;
    match name {
        // SAFETY: the name is a valid C string, which the call does not keep.
        Some(name) => done(unsafe { libc::initgroups(name.as_ptr(), gid) })?,
        // SAFETY: an empty list is never read.
        None => done(unsafe { libc::setgroups(0, std::ptr::null()) })?,
    }
    // SAFETY: plain numbers.
    done(unsafe { libc::setresgid(gid, gid, gid) })?;
    // SAFETY: plain numbers.
    done(unsafe { libc::setresuid(uid, uid, uid) })
}

/// Takes over a descriptor that this process was started with, and keeps it from
/// programs that it starts. `None` if there is none of that number.
pub(crate) fn inherited(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: asking for the flags of any number is harmless.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return None;
    }
    // SAFETY: the descriptor is open, and the service manager gave it to this process
    // to own; the caller asks for each number once, before anything else is opened.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    // It may be handed on to a child in the worst case.
    let _ = rustix::io::fcntl_setfd(&descriptor, rustix::io::FdFlags::CLOEXEC);
    Some(descriptor)
}
