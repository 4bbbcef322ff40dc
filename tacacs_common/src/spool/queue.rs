//! The names in a spool's folder.
//!
//! Owns how a folder becomes a list and how a list is held against limits. Must
//! never open a file: whatever a scan needs stands in the names.

use std::io;

use super::Limits;
use super::record::Entry;
use crate::statefile::Folder;

/// The files of a folder, in no order.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) records: Vec<Entry>,
    /// Records being written, by writers alive or dead.
    pub(super) temporaries: Vec<Entry>,
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
        total(self.records.iter())
    }

    /// Whether a record of this length keeps within the limits; what is being written
    /// counts already.
    pub(super) fn has_room(&self, length: u64, limits: Limits) -> bool {
        let records = self.all().count() as u64;
        let bytes = total(self.all()).saturating_add(length);
        records < limits.records && bytes <= limits.bytes
    }

    /// The oldest records, as many as have to go to keep within the limits.
    pub(super) fn excess(&mut self, limits: Limits) -> &[Entry] {
        self.records.sort_unstable();
        let mut room = limits;
        let kept = self
            .records
            .iter()
            .rev()
            .take_while(|entry| {
                let fits = room.records > 0 && room.bytes >= entry.length;
                if fits {
                    room.records -= 1;
                    room.bytes -= entry.length;
                }
                fits
            })
            .count();
        self.records
            .split_at_checked(self.records.len().saturating_sub(kept))
            .map_or(&[], |(excess, _)| excess)
    }

    fn all(&self) -> impl Iterator<Item = &Entry> {
        self.records.iter().chain(&self.temporaries)
    }
}

fn total<'a>(entries: impl Iterator<Item = &'a Entry>) -> u64 {
    entries.fold(0, |sum, entry| sum.saturating_add(entry.length))
}
