//! The numbers of a spool.
//!
//! Owns the files `counters` and `counters.setuid`, the latter for programs whose user
//! may stop them while they hold its lock. A file has one length for ever and is
//! written in place by one write under its own lock: a process that is killed leaves
//! the old numbers or the new ones, at the price of one system call. A power cut may
//! bring older numbers back, so no number may decide whether a record is kept.

use std::io;
use std::os::unix::fs::FileExt;

use crate::statefile::{Lock, check_size_limit};

pub(super) const FILE: &str = "counters";
pub(super) const SETUID_FILE: &str = "counters.setuid";
pub(super) const MAX_BYTES: usize = 1024;

/// What happened here since the folder was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    /// The highest number of a record that has left.
    pub(super) last: u64,
    pub(super) delivered: u64,
    pub(super) refused: u64,
    pub(super) dropped: u64,
    pub(super) corrupt: u64,
    pub(super) removed: u64,
}

impl Counters {
    pub(super) fn load(lock: &Lock) -> io::Result<Self> {
        let mut text = [0; MAX_BYTES];
        let length = lock.file().read_at(&mut text, 0)?;
        Ok(Self::parse(text.get(..length).unwrap_or_default()))
    }

    pub(super) fn store(&self, lock: &Lock) -> io::Result<()> {
        let text = self.text();
        check_size_limit(text.len())?;
        lock.file().write_all_at(text.as_bytes(), 0)
    }

    /// What cannot be read counts as zero, and so does the upper half of the range:
    /// whatever a damaged file says, counting on never overflows.
    pub(super) fn parse(text: &[u8]) -> Self {
        let mut counters = Self::default();
        let text = std::str::from_utf8(text).unwrap_or_default();
        for (name, value) in text.lines().filter_map(|line| line.split_once(' ')) {
            if let Some((_, field)) = counters.fields().into_iter().find(|field| field.0 == name) {
                *field = value.parse::<i64>().unwrap_or(0).max(0).unsigned_abs();
            }
        }
        counters
    }

    /// A record with this number has left: none of a later one is lower. A number of
    /// the upper half is no number that was ever given here.
    pub(super) fn left(&mut self, seq: u64) {
        if i64::try_from(seq).is_ok() {
            self.last = self.last.max(seq);
        }
    }

    /// The sums of two files.
    pub(super) fn plus(mut self, other: &Self) -> Self {
        let mut other = *other;
        for ((_, field), (_, more)) in self.fields().into_iter().zip(other.fields()) {
            *field = field.saturating_add(*more);
        }
        self
    }

    fn text(mut self) -> String {
        self.fields()
            .iter()
            .map(|(name, value)| format!("{name} {value:020}\n"))
            .collect()
    }

    fn fields(&mut self) -> [(&'static str, &mut u64); 6] {
        [
            ("last", &mut self.last),
            ("delivered", &mut self.delivered),
            ("refused", &mut self.refused),
            ("dropped", &mut self.dropped),
            ("corrupt", &mut self.corrupt),
            ("removed", &mut self.removed),
        ]
    }
}
