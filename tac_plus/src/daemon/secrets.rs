//! What is said about old secrets.
//!
//! Owns how often: a line a day for each client that uses one. Must never hold a secret.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use crate::policy::values::Date;

/// Addresses that are remembered before old ones are forgotten.
const REMEMBERED: usize = 4096;

/// What has been said already.
#[derive(Default)]
pub(super) struct Secrets {
    old: Mutex<HashMap<IpAddr, Date>>,
}

impl Secrets {
    /// Whether nobody has said today that this client uses an old secret.
    pub(super) fn is_news(&self, address: IpAddr, today: Date) -> bool {
        let mut old = self.old.lock().unwrap_or_else(PoisonError::into_inner);
        if old.len() > REMEMBERED {
            old.retain(|_, said| *said == today);
        }
        old.insert(address, today) != Some(today)
    }
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
