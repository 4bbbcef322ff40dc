//! Local time.

/// A point in local time, to the second.
#[derive(Clone, Copy)]
pub(crate) struct LocalTime {
    /// Since 1 January 1970.
    pub(crate) days: i64,
    /// 0 to 11.
    pub(crate) month: usize,
    /// 1 to 31.
    pub(crate) day: u8,
    pub(crate) hour: u8,
    pub(crate) minute: u8,
    /// 0 to 60.
    pub(crate) second: u8,
}

/// Local time of `seconds` since 1970 UTC; `None` outside what the C library can say.
pub(crate) fn local_time(seconds: i64) -> Option<LocalTime> {
    let seconds: libc::time_t = seconds;
    let mut parts = std::mem::MaybeUninit::<libc::tm>::uninit();
    // SAFETY: both pointers are valid for the call; localtime_r writes through the
    // second one only and keeps neither.
    let done = unsafe { libc::localtime_r(&raw const seconds, parts.as_mut_ptr()) };
    if done.is_null() {
        return None;
    }
    // SAFETY: a non-null result says that localtime_r filled the structure.
    let parts = unsafe { parts.assume_init() };
    let small = |value: libc::c_int| u8::try_from(value).ok();
    Some(LocalTime {
        days: seconds
            .checked_add(parts.tm_gmtoff)?
            .div_euclid(24 * 60 * 60),
        month: usize::try_from(parts.tm_mon).ok()?,
        day: small(parts.tm_mday)?,
        hour: small(parts.tm_hour)?,
        minute: small(parts.tm_min)?,
        second: small(parts.tm_sec)?,
    })
}
