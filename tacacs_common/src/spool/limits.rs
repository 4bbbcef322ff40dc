//! How much a spool may hold, and of whom.
//!
//! Owns the rule that nobody can fill it alone. One user's records are at most a tenth
//! of it. Those of setuid programs that one uid has called are at most half a tenth,
//! whoever they are about: a caller of `su` in a loop uses up nobody's share, not even
//! that of the user whom it becomes.

use std::fmt;

use super::record::Entry;

const USER_SHARE: u64 = 10;
const CALLER_SHARE: u64 = 20;

/// How much a spool may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Number of records.
    pub records: u64,
    /// Sum of the lengths of their bodies.
    pub bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            records: 10_000,
            bytes: 64 << 20,
        }
    }
}

/// What would be exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// What the spool may hold.
    Spool,
    /// What it may hold of one user.
    User,
    /// What it may hold of the setuid programs of one caller.
    Caller,
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spool => "it is full: see 'tacplus spool status', and deliver it",
            Self::User => "a tenth of it holds records of this user, and no more may",
            Self::Caller => {
                "a twentieth of it holds records of programs that this user's caller started, and no more may"
            }
        })
    }
}

impl Limits {
    /// Whether these entries keep within the limits, of which `entry` is one.
    pub(super) fn hold<'a>(
        self,
        entries: impl Iterator<Item = &'a Entry> + Clone,
        entry: &Entry,
    ) -> Result<(), Excess> {
        let fits = |limits: Self, counts: &dyn Fn(&Entry) -> bool| {
            let mut used = Self {
                records: 0,
                bytes: 0,
            };
            for entry in entries.clone().filter(|entry| counts(entry)) {
                used.records += 1;
                used.bytes = used.bytes.saturating_add(entry.length);
            }
            used.records <= limits.records && used.bytes <= limits.bytes
        };
        if !fits(self, &|_| true) {
            return Err(Excess::Spool);
        }
        let is_users = |other: &Entry| other.user == entry.user;
        if entry.user.is_some() && !fits(self.share(USER_SHARE), &is_users) {
            return Err(Excess::User);
        }
        let is_callers = |other: &Entry| other.caller == entry.caller;
        if entry.caller.is_some() && !fits(self.share(CALLER_SHARE), &is_callers) {
            return Err(Excess::Caller);
        }
        Ok(())
    }

    /// One user's part of these limits.
    pub(super) const fn of_one_user(self) -> Self {
        self.share(USER_SHARE)
    }

    const fn share(self, parts: u64) -> Self {
        Self {
            records: self.records.div_ceil(parts),
            bytes: self.bytes.div_ceil(parts),
        }
    }
}
