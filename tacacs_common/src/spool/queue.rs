//! The names in a spool's folder.
//!
//! Owns how a folder becomes a list and how a list is held against limits. Must
//! never open a file: whatever a scan needs stands in the names.

use std::collections::BinaryHeap;
use std::io;

use super::limits::{Excess, Limits};
use super::record::Entry;
use crate::statefile::Folder;

/// The files of a folder, in no order.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) records: Vec<Entry>,
    /// Records being written, by writers alive or dead.
    pub(super) temporaries: Vec<Entry>,
}

/// Whether this is the name of a record that is being written.
pub(super) fn is_temporary(name: &[u8]) -> bool {
    let name = str::from_utf8(name).ok();
    name.and_then(|name| Entry::parse(name.strip_prefix('.')?))
        .is_some()
}

impl Queue {
    pub(super) fn read(folder: &Folder) -> io::Result<Self> {
        let mut queue = Self::default();
        folder.names(&mut |name| {
            let Ok(name) = std::str::from_utf8(name) else {
                return;
            };
            let (list, name) = match name.strip_prefix('.') {
                Some(name) => (&mut queue.temporaries, name),
                None => (&mut queue.records, name),
            };
            list.extend(Entry::parse(name));
        })?;
        Ok(queue)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.temporaries.is_empty()
    }

    /// The highest number in use.
    pub(super) fn last(&self) -> u64 {
        self.all().map(|entry| entry.seq).max().unwrap_or(0)
    }

    /// Sum of the lengths of the records.
    pub(super) fn bytes(&self) -> u64 {
        let lengths = self.records.iter().map(|entry| entry.length);
        lengths.fold(0, u64::saturating_add)
    }

    /// Whether this keeps within the limits with one of its entries, `entry`.
    pub(super) fn has_room(&self, entry: &Entry, limits: Limits) -> Result<(), Excess> {
        limits.hold(self.all(), entry)
    }

    /// Whether this keeps within the limits when `entry` comes as well.
    pub(super) fn has_room_besides(&self, entry: &Entry, limits: Limits) -> Result<(), Excess> {
        limits.hold(self.all().chain([entry]), entry)
    }

    /// The oldest records of these that `counts`, as many as have to go to keep within
    /// the limits.
    pub(super) fn excess(&mut self, limits: Limits, counts: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let records = std::mem::take(&mut self.records);
        self.records = BinaryHeap::from(records).into_sorted_vec();
        let mut room = limits;
        let counted = self.records.iter().rev().filter(|entry| counts(entry));
        let excess = counted.skip_while(|entry| {
            let fits = room.records > 0 && room.bytes >= entry.length;
            if fits {
                room.records -= 1;
                room.bytes -= entry.length;
            }
            fits
        });
        excess.copied().collect()
    }

    fn all(&self) -> impl Iterator<Item = &Entry> + Clone {
        self.records.iter().chain(&self.temporaries)
    }
}
