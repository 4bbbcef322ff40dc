//! glibc's list of group ids, which every NSS module in turn adds to.

use std::ffi::c_long;

use libc::{gid_t, size_t};

use crate::answer::{Answer, Failure};

/// The list, for the length of one call.
pub(super) struct Groups {
    start: *mut c_long,
    size: *mut c_long,
    list: *mut *mut gid_t,
    limit: c_long,
}

impl Groups {
    /// # Safety
    /// All three must be valid places, nobody else's for the time being, such that
    /// `*list` is malloc'ed memory for `*size` ids of which `*start` are filled in.
    pub(super) unsafe fn new(
        start: *mut c_long,
        size: *mut c_long,
        list: *mut *mut gid_t,
        limit: c_long,
    ) -> Self {
        Self {
            start,
            size,
            list,
            limit,
        }
    }

    /// Adds an id that is not in the list yet. A list that may not grow any more
    /// takes it silently, as glibc's own modules do.
    pub(super) fn add(&mut self, gid: gid_t) -> Answer<()> {
        // SAFETY: `new`'s caller guarantees the places.
        let (start, size, list) = unsafe { (*self.start, *self.size, *self.list) };
        let filled = usize::try_from(start).unwrap_or(0);
        // SAFETY: `new`'s caller guarantees so many ids. A null list has none.
        let mut known = (0..filled).map(|index| unsafe { *list.add(index) });
        if known.any(|known| known == gid) {
            return Ok(());
        }
        if start >= size && !self.grow(size)? {
            return Ok(());
        }
        // SAFETY: there is room for one more than are filled in; `grow` may have
        // moved the list, so its place is read again.
        unsafe {
            (*self.list).add(filled).write(gid);
            *self.start = start.saturating_add(1);
        }
        Ok(())
    }

    /// Makes room for more ids; `false` when the limit is reached.
    fn grow(&mut self, size: c_long) -> Answer<bool> {
        let mut larger = size.max(8).saturating_mul(2);
        if self.limit > 0 {
            larger = larger.min(self.limit);
        }
        if larger <= size {
            return Ok(false);
        }
        let bytes = size_t::try_from(larger)
            .ok()
            .and_then(|ids| ids.checked_mul(size_of::<gid_t>()))
            .ok_or(Failure::Shortage)?;
        // SAFETY: `new`'s caller guarantees malloc'ed memory; if there is no more,
        // realloc leaves it as it is.
        let list = unsafe { libc::realloc((*self.list).cast(), bytes) };
        if list.is_null() {
            return Err(Failure::Shortage);
        }
        // SAFETY: `new`'s caller guarantees the places.
        unsafe {
            *self.list = list.cast();
            *self.size = larger;
        }
        Ok(true)
    }
}
