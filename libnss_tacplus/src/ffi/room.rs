//! The caller's buffer: everything that a result points to lies in it.
//!
//! Must never write a byte past its end, whatever its length.

use std::ffi::c_char;
use std::mem::{MaybeUninit, align_of, size_of};
use std::ptr;

use crate::answer::{Answer, Failure};

/// What is left of the buffer.
pub(super) struct Room<'b> {
    rest: &'b mut [MaybeUninit<u8>],
}

impl<'b> Room<'b> {
    /// # Safety
    /// Unless it is null, `buffer` must have `length` bytes that may be written, and
    /// that nobody else uses while the result lives.
    pub(super) unsafe fn new(buffer: *mut c_char, length: usize) -> Self {
        if buffer.is_null() {
            return Self { rest: &mut [] };
        }
        let length = length.min(isize::MAX.unsigned_abs());
        // SAFETY: the caller's promise; `MaybeUninit` does not ask what is in there.
        let rest = unsafe { std::slice::from_raw_parts_mut(buffer.cast(), length) };
        Self { rest }
    }

    /// Copies a text and ends it with a NUL.
    pub(super) fn text(&mut self, text: &str) -> Answer<*mut c_char> {
        let bytes = text.as_bytes();
        // C would see another, shorter text.
        if bytes.contains(&0) {
            return Err(Failure::NotFound);
        }
        let place = self.take(bytes.len().saturating_add(1))?;
        for (to, from) in place.iter_mut().zip(bytes.iter().chain(&[0])) {
            to.write(*from);
        }
        Ok(place.as_mut_ptr().cast())
    }

    /// An empty list of texts: nothing but its final null pointer.
    pub(super) fn no_texts(&mut self) -> Answer<*mut *mut c_char> {
        let odd = self.rest.as_ptr().align_offset(align_of::<*mut c_char>());
        self.take(odd)?;
        let null = size_of::<*mut c_char>();
        let place = self.take(null)?;
        // A null pointer is all zeros wherever this module runs.
        place.fill(MaybeUninit::new(0));
        const { assert!(ptr::null::<c_char>().is_null()) };
        Ok(place.as_mut_ptr().cast())
    }

    fn take(&mut self, length: usize) -> Answer<&'b mut [MaybeUninit<u8>]> {
        let rest = std::mem::take(&mut self.rest);
        let (place, rest) = rest
            .split_at_mut_checked(length)
            .ok_or(Failure::BufferTooSmall)?;
        self.rest = rest;
        Ok(place)
    }
}
