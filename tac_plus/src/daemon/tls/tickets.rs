//! Tickets: what lets a client resume a session.
//!
//! Owns the sessions themselves; a ticket is only the number of one. So each is good
//! once (RFC 9887 section 3.6), none outlives its time or the configuration that it
//! was made under, and there is no key that would open old ones.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustls::crypto::SecureRandom;
use rustls::server::ProducesTickets;
use zeroize::Zeroizing;

/// Sessions that are kept; the oldest go first.
const KEPT: usize = 8192;
/// And bytes of them: each holds its client's certificates, as many as that sent.
const BYTES: usize = 16 * 1024 * 1024;

type Number = [u8; 32];

/// Sessions that may be resumed.
pub(super) struct Tickets {
    lifetime: Duration,
    random: &'static dyn SecureRandom,
    sessions: Mutex<Sessions>,
}

#[derive(Default)]
struct Sessions {
    by_number: HashMap<Number, (Instant, Zeroizing<Vec<u8>>)>,
    /// In the order of their making; those that were used may still be in here.
    order: VecDeque<Number>,
    bytes: usize,
}

impl Tickets {
    pub(super) fn new(lifetime: Duration, random: &'static dyn SecureRandom) -> Self {
        Self {
            lifetime,
            random,
            sessions: Mutex::default(),
        }
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets")
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(self.lifetime.as_secs()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut number = Number::default();
        self.random.fill(&mut number).ok()?;
        let now = Instant::now();
        let mut sessions = self.sessions();
        let session = (now, Zeroizing::new(plain.to_vec()));
        sessions.by_number.insert(number, session);
        sessions.bytes += plain.len();
        sessions.order.push_back(number);
        sessions.forget(now, self.lifetime);
        Some(number.to_vec())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let number = Number::try_from(ticket).ok()?;
        let (made, session) = self.sessions().remove(&number)?;
        (made.elapsed() < self.lifetime).then(|| session.to_vec())
    }
}

impl Sessions {
    fn remove(&mut self, number: &Number) -> Option<(Instant, Zeroizing<Vec<u8>>)> {
        let found = self.by_number.remove(number)?;
        self.bytes = self.bytes.saturating_sub(found.1.len());
        Some(found)
    }

    fn forget(&mut self, now: Instant, lifetime: Duration) {
        while let Some(oldest) = self.order.front() {
            let goes = match self.by_number.get(oldest) {
                Some((made, _)) => {
                    let full = self.order.len() > KEPT || self.bytes > BYTES;
                    full || now.duration_since(*made) >= lifetime
                }
                None => true,
            };
            if !goes {
                return;
            }
            if let Some(oldest) = self.order.pop_front() {
                self.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tickets(lifetime: Duration) -> Tickets {
        let provider = rustls::crypto::ring::default_provider();
        Tickets::new(lifetime, provider.secure_random)
    }

    #[test]
    fn a_ticket_is_good_once_and_for_its_time() {
        let tickets = tickets(Duration::from_secs(3600));
        let (one, two) = (tickets.encrypt(b"one"), tickets.encrypt(b"two"));
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_ne!(one, two);
        assert_eq!(tickets.decrypt(&two).as_deref(), Some(&b"two"[..]));
        assert_eq!(tickets.decrypt(&two), None);
        assert_eq!(tickets.decrypt(&one).as_deref(), Some(&b"one"[..]));
        assert_eq!(tickets.decrypt(b"short"), None);
        let over = self::tickets(Duration::ZERO);
        let ticket = over.encrypt(b"one").unwrap();
        assert_eq!(over.decrypt(&ticket), None);
    }

    #[test]
    fn more_tickets_than_are_kept_push_out_the_oldest() {
        let tickets = tickets(Duration::from_secs(3600));
        let first = tickets.encrypt(b"first").unwrap();
        for _ in 0..KEPT {
            tickets.encrypt(b"x").unwrap();
        }
        assert_eq!(tickets.decrypt(&first), None);
        assert_eq!(tickets.sessions().by_number.len(), KEPT);
        let long = vec![b'x'; 64 * 1024];
        for _ in 0..2 * BYTES / long.len() {
            let last = tickets.encrypt(&long).unwrap();
            assert!(tickets.sessions().bytes <= BYTES);
            assert!(tickets.sessions().by_number.contains_key(last.as_slice()));
        }
        assert_eq!(tickets.sessions().by_number.len(), BYTES / long.len());
    }
}
