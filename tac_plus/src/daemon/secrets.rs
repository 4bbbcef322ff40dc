//! What is said about shared secrets.
//!
//! Owns how often: an old secret is worth a line a day, and a wrong one an ERROR
//! (RFC 8907 section 4.5) until somebody tries too many. Each such ERROR tells
//! whoever sent the packet whether a guess was right. Must never hold a secret.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::policy::throttle::WrongSecrets;
use crate::policy::values::Date;

/// Addresses that are remembered before old ones are forgotten.
const REMEMBERED: usize = 4096;

/// What has been said already.
#[derive(Default)]
pub(super) struct Secrets {
    old: Mutex<HashMap<IpAddr, Date>>,
    wrong: Mutex<WrongSecrets>,
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

    /// Whether an address that sent a packet with a wrong secret is still told so.
    /// `now`: since any moment, always the same one.
    pub(super) fn is_told(&self, address: IpAddr, now: Duration) -> bool {
        lock(&self.wrong).is_answered(address, now)
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
    fn an_old_secret_is_news_once_a_day_for_each_client() {
        let secrets = Secrets::default();
        let (today, tomorrow) = (Date::from_days(20_000), Date::from_days(20_001));
        assert!(secrets.is_news(ONE, today));
        assert!(!secrets.is_news(ONE, today));
        assert!(secrets.is_news(OTHER, today));
        assert!(secrets.is_news(ONE, tomorrow));
    }
}
