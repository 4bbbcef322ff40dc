//! The time as lines begin with it.
//!
//! Owns the daemon's clock for lines, computed once a second.

use rustix::time::{ClockId, clock_gettime};

use crate::policy::values::Date;
use crate::sys::{self, LocalTime};

/// The time of now, in the words of each kind of line.
#[derive(Default)]
pub(super) struct Stamp {
    second: u64,
    text: String,
    iso: String,
}

impl Stamp {
    /// `Nov  2 06:20:41`, local, as the original and syslog write it.
    pub(super) fn text(&mut self) -> &str {
        self.refresh();
        &self.text
    }

    /// `2026-11-02T05:20:41Z`.
    pub(super) fn iso(&mut self) -> &str {
        self.refresh();
        &self.iso
    }

    fn refresh(&mut self) {
        let now = seconds();
        if now == self.second && !self.text.is_empty() {
            return;
        }
        self.second = now;
        let seconds = i64::try_from(now).unwrap_or(i64::MAX);
        self.text = sys::local_time(seconds).map_or_else(String::new, |time| local(&time));
        let (day, of_day) = (Date::from_days(seconds / 86_400), seconds % 86_400);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        self.iso = format!("{day}T{hour:02}:{minute:02}:{second:02}Z");
    }
}

/// Since 1 January 1970. The kernel's coarse clock is a few milliseconds behind, and five
/// times cheaper: every line and every request look at it.
pub(super) fn seconds() -> u64 {
    let now = clock_gettime(ClockId::RealtimeCoarse);
    u64::try_from(now.tv_sec).unwrap_or(0)
}

fn local(time: &LocalTime) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let month = MONTHS.get(time.month).copied().unwrap_or("???");
    format!(
        "{month} {:2} {:02}:{:02}:{:02}",
        time.day, time.hour, time.minute, time.second
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_begins_with_the_month_the_padded_day_and_the_time() {
        let time = LocalTime {
            days: 0,
            month: 10,
            day: 2,
            hour: 6,
            minute: 5,
            second: 41,
        };
        assert_eq!(local(&time), "Nov  2 06:05:41");
    }
}
