//! What is said about shared secrets.
//!
//! Owns how often: an old secret is worth a line a day, and a wrong one an ERROR
//! (RFC 8907 section 4.5) until somebody tries too many. Each such ERROR tells
//! whoever sent the packet whether a guess was right. Must never hold a secret.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::policy::values::Date;

/// Wrong secrets of one address that are answered within [`WINDOW`].
const ANSWERED: u32 = 20;
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered before old ones are forgotten.
const REMEMBERED: usize = 4096;

/// What has been said already.
#[derive(Default)]
pub(super) struct Secrets {
    old: Mutex<HashMap<IpAddr, Date>>,
    wrong: Mutex<HashMap<IpAddr, (Instant, u32)>>,
}

/// What a wrong secret gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// An ERROR, and a line in the log.
    Error,
    /// The end of the connection, and a line in the log: the last for a while.
    FirstSilence,
    /// The end of the connection.
    Silence,
}

impl Secrets {
    /// Whether nobody has said today that this client uses an old secret.
    pub(super) fn is_news(&self, address: IpAddr, today: Date) -> bool {
        let mut old = lock(&self.old);
        if old.len() > REMEMBERED {
            old.retain(|_, said| *said == today);
        }
        old.insert(address, today) != Some(today)
    }

    /// An address sent a packet that suggests a wrong secret.
    pub(super) fn wrong(&self, address: IpAddr, now: Instant) -> Answer {
        let mut wrong = lock(&self.wrong);
        let is_over = |begun: Instant| now.saturating_duration_since(begun) >= WINDOW;
        if wrong.len() > REMEMBERED {
            wrong.retain(|_, (begun, _)| !is_over(*begun));
        }
        let (begun, count) = wrong.entry(address).or_insert((now, 0));
        if is_over(*begun) {
            (*begun, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        match *count {
            ..=ANSWERED => Answer::Error,
            count if count == ANSWERED + 1 => Answer::FirstSilence,
            _ => Answer::Silence,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn a_guesser_is_told_a_few_times_a_minute_and_nobody_else_suffers() {
        let (secrets, start) = (Secrets::default(), Instant::now());
        for _ in 0..ANSWERED {
            assert_eq!(secrets.wrong(ONE, start), Answer::Error);
        }
        assert_eq!(secrets.wrong(ONE, start), Answer::FirstSilence);
        assert_eq!(secrets.wrong(ONE, start), Answer::Silence);
        assert_eq!(secrets.wrong(OTHER, start), Answer::Error);
        let almost = start + WINDOW.saturating_sub(Duration::from_millis(1));
        assert_eq!(secrets.wrong(ONE, almost), Answer::Silence);
        assert_eq!(secrets.wrong(ONE, start + WINDOW), Answer::Error);
    }

    #[test]
    fn many_guessers_are_not_remembered_for_ever() {
        let (secrets, start) = (Secrets::default(), Instant::now());
        for number in 0..=REMEMBERED as u32 {
            secrets.wrong(IpAddr::V4(number.into()), start);
        }
        secrets.wrong(ONE, start + WINDOW);
        assert_eq!(lock(&secrets.wrong).len(), 1);
    }

    #[test]
    fn an_old_secret_is_news_once_a_day_for_each_client() {
        let secrets = Secrets::default();
        let (today, tomorrow) = (Date::from_days(20_000), Date::from_days(20_001));
        assert!(secrets.is_news(ONE, today));
        assert!(!secrets.is_news(ONE, today));
        assert!(secrets.is_news(OTHER, today));
        assert!(secrets.is_news(ONE, tomorrow));
    }
}
