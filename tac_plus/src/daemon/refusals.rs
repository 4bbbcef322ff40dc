//! What is said about those who are refused.
//!
//! Owns how often: whoever can connect can be refused a hundred thousand times a second,
//! and a log that is full of it loses the lines about logins. One line for each address
//! and reason, then how many more there were, each minute, in a table of fixed size.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::log::Log;

/// Addresses and reasons that have lines of their own.
const ENTRIES: usize = 512;
/// How often counts are told.
pub(super) const EVERY: Duration = Duration::from_secs(60);

/// Who was refused of late, and why.
#[derive(Default)]
pub(super) struct Refusals(Mutex<Table>);

#[derive(Default)]
struct Table {
    entries: HashMap<(IpAddr, &'static str), Entry>,
    /// Those that found no room.
    others: u64,
}

struct Entry {
    line: Box<str>,
    more: u64,
}

impl Refusals {
    /// Logs this line, or counts it where the same was logged about this address.
    pub(super) fn tell(
        &self,
        log: &Log,
        address: IpAddr,
        reason: &'static str,
        line: impl FnOnce() -> String,
    ) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = table.count(address, reason, line) {
            log.line(line);
        }
    }

    /// Logs how many more there were. To be called [`EVERY`] so often.
    pub(super) fn sum_up(&self, log: &Log) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for line in table.sum_up() {
            log.line(line);
        }
    }
}

impl Table {
    fn count(
        &mut self,
        address: IpAddr,
        reason: &'static str,
        line: impl FnOnce() -> String,
    ) -> Option<String> {
        let key = (whose(address), reason);
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.more += 1;
            return None;
        }
        if self.entries.len() >= ENTRIES {
            self.others += 1;
            return None;
        }
        let line = line();
        let entry = Entry {
            line: line.as_str().into(),
            more: 0,
        };
        self.entries.insert(key, entry);
        Some(line)
    }

    /// Who did not come back is forgotten, and news the next time.
    fn sum_up(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        self.entries.retain(|(address, _), entry| {
            let more = std::mem::take(&mut entry.more);
            if more > 0 {
                let line = &entry.line;
                lines.push(format!("{line} ({more} more from {address} since)"));
            }
            more > 0
        });
        lines.sort_unstable();
        let others = std::mem::take(&mut self.others);
        if others > 0 {
            lines.push(format!(
                "{others} more refusals of addresses that are too many to be named"
            ));
        }
        lines
    }
}

/// Whom one line is about: an address, and of IPv6 the network that one host may have.
pub(super) fn whose(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(table: &mut Table, address: &str, reason: &'static str) -> Option<String> {
        let line = || format!("{address} refused: {reason}");
        table.count(address.parse().unwrap(), reason, line)
    }

    #[test]
    fn each_address_and_reason_has_a_line_and_then_a_count() {
        let mut table = Table::default();
        for (address, reason, is_news) in [
            ("192.0.2.1", "unknown", true),
            ("192.0.2.1", "unknown", false),
            ("192.0.2.1", "secret", true),
            ("::ffff:192.0.2.1", "secret", false),
            ("192.0.2.2", "unknown", true),
            ("2001:db8::1", "unknown", true),
            ("2001:db8::2", "unknown", false),
            ("2001:db8:0:1::1", "unknown", true),
        ] {
            let news = count(&mut table, address, reason).is_some();
            assert_eq!(news, is_news, "{address} {reason}");
        }
        assert_eq!(
            table.sum_up(),
            [
                "192.0.2.1 refused: secret (1 more from 192.0.2.1 since)",
                "192.0.2.1 refused: unknown (1 more from 192.0.2.1 since)",
                "2001:db8::1 refused: unknown (1 more from 2001:db8:: since)",
            ]
        );
        assert!(
            count(&mut table, "192.0.2.2", "unknown").is_some(),
            "news again"
        );
        assert!(
            count(&mut table, "192.0.2.1", "unknown").is_none(),
            "never gone"
        );
        assert!(table.sum_up().len() == 1 && table.sum_up().is_empty());
        assert!(table.entries.is_empty());
    }

    #[test]
    fn a_flood_from_anywhere_is_a_bounded_number_of_lines() {
        let mut table = Table::default();
        let addresses = 0..100_000u32;
        let lines = addresses.filter_map(|last| {
            let address = IpAddr::from(last.to_be_bytes());
            table.count(address, "unknown", || "refused".to_owned())
        });
        assert_eq!(lines.count(), ENTRIES);
        let told = table.sum_up();
        assert_eq!(
            told,
            ["99488 more refusals of addresses that are too many to be named"]
        );
    }
}
