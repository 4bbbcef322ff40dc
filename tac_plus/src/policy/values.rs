//! Values that are more than a word: dates, networks, names in certificates.
//!
//! Owns their text forms. Must never read a clock.

use std::fmt;
use std::net::IpAddr;

/// A calendar day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    days: i64,
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

impl Date {
    /// Before every other: what is written there and cannot be read as a day.
    pub const NEVER: Self = Self { days: i64::MIN };

    /// The day of so many days since 1 January 1970.
    #[must_use]
    pub fn from_days(days: i64) -> Self {
        Self { days }
    }

    /// Days since 1 January 1970.
    #[must_use]
    pub fn days(self) -> i64 {
        self.days
    }

    /// `May 23 2005`, its month in any case and as long as one likes, or `2005-05-23`.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?.trim();
        let mut words = text.split_ascii_whitespace();
        let (year, month, day) = match (words.next()?, words.next(), words.next()) {
            (word, None, None) => {
                let mut parts = word.splitn(3, '-');
                let year = number(parts.next()?)?;
                (year, number(parts.next()?)?, number(parts.next()?)?)
            }
            (month, Some(day), Some(year)) => {
                let month = month.get(..3)?.to_ascii_lowercase();
                let month = MONTHS.iter().position(|name| *name == month)?;
                let day = number(day.trim_end_matches(','))?;
                (number(year)?, i64::try_from(month).ok()? + 1, day)
            }
            _ => return None,
        };
        if words.next().is_some() || !(1970..=9999).contains(&year) {
            return None;
        }
        let date = Self::civil(year, month, day);
        (date.parts() == (year, month, day)).then_some(date)
    }

    /// The day of a date in the Gregorian calendar, counted in years that begin in
    /// March: their months have the same lengths every year but for the last.
    fn civil(year: i64, month: i64, day: i64) -> Self {
        let year = if month <= 2 { year - 1 } else { year };
        let month = (month + 9) % 12;
        let of_year = (153 * month + 2) / 5 + day - 1;
        let days = year * 365 + year / 4 - year / 100 + year / 400 + of_year - 719_468;
        Self { days }
    }

    /// Year, month and day.
    fn parts(self) -> (i64, i64, i64) {
        let days = self.days.saturating_add(719_468);
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year + era * 400 + i64::from(month <= 2);
        (year, month, day)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NEVER {
            return write!(f, "never");
        }
        let (year, month, day) = self.parts();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

fn number(text: &str) -> Option<i64> {
    let digits = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// An address, or all addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// This very address.
    #[must_use]
    pub fn host(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let prefix = bits(address);
        Self { address, prefix }
    }

    /// The network of this prefix length that an address is in; `None` if it is longer
    /// than the address.
    #[must_use]
    pub fn of(address: IpAddr, prefix: u8) -> Option<Self> {
        let address = address.to_canonical();
        let beyond = bits(address).checked_sub(prefix)?;
        let address = match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(beyond.into()).unwrap_or(0);
                IpAddr::V4((address.to_bits() & mask).into())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(beyond.into()).unwrap_or(0);
                IpAddr::V6((address.to_bits() & mask).into())
            }
        };
        Some(Self { address, prefix })
    }

    /// Its first address.
    #[must_use]
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// How many bits of it count.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.prefix
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, prefix } = self;
        if *prefix == bits(*address) {
            write!(f, "{address}")
        } else {
            write!(f, "{address}/{prefix}")
        }
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// A subjectAltName that a client's certificate must hold (RFC 9887 section 3.4.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TlsName {
    /// `dNSName`, lower case.
    Dns(String),
    /// `iPAddress`.
    Address(IpAddr),
}

impl fmt::Display for TlsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "{name}"),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_read_in_both_forms() {
        for (text, expected) in [
            ("May 23 2005", Some("2005-05-23")),
            ("MAY 23 2005", Some("2005-05-23")),
            ("  january  1  1970 ", Some("1970-01-01")),
            ("feb 29 2024", Some("2024-02-29")),
            ("Dec 31, 9999", Some("9999-12-31")),
            ("2026-12-01", Some("2026-12-01")),
            ("Feb 29 2023", None),
            ("Foo 1 2024", None),
            ("May 2005", None),
            ("May 0 2005", None),
            ("2026-13-01", None),
            ("2026-12-01-1", None),
            ("May 1 2005 x", None),
            ("/bin/sh", None),
            ("", None),
        ] {
            let date = Date::parse(text.as_bytes()).map(|date| date.to_string());
            assert_eq!(date.as_deref(), expected, "{text}");
        }
        assert_eq!(Date::parse(b"Jan 2 1970").map(Date::days), Some(1));
        assert_eq!(Date::parse(b"Mar 1 2000").map(Date::days), Some(11_017));
    }

    #[test]
    fn every_day_is_the_one_after_the_day_before() {
        for days in 0..150_000 {
            let (year, month, day) = Date::from_days(days).parts();
            assert_eq!(Date::civil(year, month, day).days(), days);
        }
    }

    #[test]
    fn a_network_keeps_only_the_bits_that_count() {
        let network = |address: &str, prefix| {
            Network::of(address.parse().unwrap(), prefix).map(|network| network.to_string())
        };
        assert_eq!(network("192.0.2.77", 24).as_deref(), Some("192.0.2.0/24"));
        assert_eq!(network("192.0.2.77", 0).as_deref(), Some("0.0.0.0/0"));
        assert_eq!(network("192.0.2.77", 32).as_deref(), Some("192.0.2.77"));
        assert_eq!(network("192.0.2.77", 33), None);
        assert_eq!(network("2001:db8::1", 0).as_deref(), Some("::/0"));
        assert_eq!(
            network("2001:db8:1::1", 32).as_deref(),
            Some("2001:db8::/32")
        );
    }
}
