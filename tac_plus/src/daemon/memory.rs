//! What strangers may have this process keep.
//!
//! Owns one total for all of them, beyond the little that each has for nothing: whoever
//! has shown neither a secret nor a certificate may be anybody, from any number of
//! addresses.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that a connection may keep without being counted.
pub(super) const FREE: usize = 2048;
/// And all of them together beyond that.
const TOTAL: usize = 16 * 1024 * 1024;

/// What is kept for strangers now.
#[derive(Default)]
pub(super) struct Memory(AtomicUsize);

/// Some of it; given back when this goes.
pub(super) struct Lease<'m> {
    memory: &'m Memory,
    bytes: usize,
}

impl Memory {
    /// A lease of nothing yet.
    pub(super) const fn lease(&self) -> Lease<'_> {
        Lease {
            memory: self,
            bytes: 0,
        }
    }
}

impl Lease<'_> {
    /// Makes it one for so many bytes, if there is room.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(FREE).saturating_sub(self.bytes);
        if more > 0 && self.memory.0.load(Ordering::Relaxed) + more > TOTAL {
            return false;
        }
        self.take(bytes);
        true
    }

    /// The same, whether there is room or not.
    pub(super) fn take(&mut self, bytes: usize) {
        let more = bytes.saturating_sub(FREE).saturating_sub(self.bytes);
        self.memory.0.fetch_add(more, Ordering::Relaxed);
        self.bytes += more;
    }

    /// Nothing is kept any more, or it is no stranger's.
    pub(super) fn give_back(&mut self) {
        if self.bytes > 0 {
            let bytes = std::mem::take(&mut self.bytes);
            self.memory.0.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_share_one_total_and_a_little_is_free() {
        let memory = Memory::default();
        let mut many: Vec<_> = (0..TOTAL / 65_536).map(|_| memory.lease()).collect();
        assert!(many.iter_mut().all(|lease| lease.grow(65_536)));
        let mut free = memory.lease();
        assert!(free.grow(FREE), "that is not counted");
        let more = (0..100).map(|_| memory.lease());
        let mut more: Vec<_> = more.collect();
        let taken = more
            .iter_mut()
            .filter_map(|lease| lease.grow(65_536).then_some(()));
        assert!(taken.count() < 100, "there is an end");
        drop(many);
        assert!(free.grow(65_536) && free.grow(65_536), "and room again");
        drop((free, more));
        assert_eq!(memory.0.load(Ordering::Relaxed), 0);
    }
}
