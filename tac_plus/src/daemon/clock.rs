//! The day that it is here.
//!
//! Owns the look at the clock for days: local time costs more than a request may.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::time::seconds;
use crate::policy::values::Date;
use crate::sys;

/// Computed once a second.
#[derive(Default)]
pub(super) struct Today {
    second: AtomicU64,
    days: AtomicI64,
}

impl Today {
    /// Today, in local time.
    pub(super) fn date(&self) -> Date {
        let now = seconds();
        if self.second.load(Ordering::Acquire) != now {
            let time = i64::try_from(now).ok().and_then(sys::local_time);
            // Where nobody knows the day, everything is over.
            let days = time.map_or(i64::MAX, |time| time.days);
            self.days.store(days, Ordering::Relaxed);
            self.second.store(now, Ordering::Release);
        }
        Date::from_days(self.days.load(Ordering::Relaxed))
    }
}
