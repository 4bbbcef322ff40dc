//! How many connections there are, and whose.
//!
//! Owns their count. Where a client has as many as it may, one on which nothing has shown
//! yet that its peer is the client gives way to a new one: a user of the client's machine
//! could open them all, and the server would seem dead to the machine's logins. Must never
//! end a connection whose peer has shown that.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

use super::limits::Limits;

/// The connections there are.
#[derive(Clone, Default)]
pub(super) struct Places(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    total: usize,
    by_address: HashMap<IpAddr, Client>,
    numbers: u64,
}

#[derive(Default)]
struct Client {
    count: usize,
    /// Those that have shown nothing yet, the oldest first, and how to end them.
    strangers: BTreeMap<u64, Option<AbortHandle>>,
}

impl Places {
    /// Counts a connection in, if there is room for it or can be made.
    pub(super) fn enter(&self, address: IpAddr, limits: &Limits) -> Option<Place> {
        let mut taken = self.taken();
        let of_address = (taken.by_address.get(&address)).map_or(0, |client| client.count);
        let full = taken.total >= limits.connections || of_address >= limits.connections_per_client;
        if full && !taken.evict(address) {
            return None;
        }
        taken.numbers += 1;
        let number = taken.numbers;
        taken.total += 1;
        let client = taken.by_address.entry(address).or_default();
        client.count += 1;
        client.strangers.insert(number, None);
        Some(Place {
            places: self.clone(),
            address,
            number,
            is_known: AtomicBool::new(false),
            is_anothers: full,
        })
    }

    /// How to end the connection of this number, if it is still a stranger's.
    pub(super) fn set_task(&self, address: IpAddr, number: u64, task: AbortHandle) {
        let mut taken = self.taken();
        let client = taken.by_address.get_mut(&address);
        if let Some(place) = client.and_then(|client| client.strangers.get_mut(&number)) {
            *place = Some(task);
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Ends the oldest connection of a stranger at this address, if there is one.
    fn evict(&mut self, address: IpAddr) -> bool {
        let Some(client) = self.by_address.get_mut(&address) else {
            return false;
        };
        let Some((_, task)) = client.strangers.pop_first() else {
            return false;
        };
        if let Some(task) = task {
            task.abort();
        }
        self.leave(address);
        true
    }

    fn leave(&mut self, address: IpAddr) {
        self.total = self.total.saturating_sub(1);
        if let Some(client) = self.by_address.get_mut(&address) {
            client.count = client.count.saturating_sub(1);
            if client.count == 0 {
                self.by_address.remove(&address);
            }
        }
    }

    /// Whether the connection of this number was a stranger's until now.
    fn forget(&mut self, address: IpAddr, number: u64) -> bool {
        let client = self.by_address.get_mut(&address);
        client.is_some_and(|client| client.strangers.remove(&number).is_some())
    }
}

/// A connection's place in the count, given back when it ends.
pub(super) struct Place {
    places: Places,
    address: IpAddr,
    number: u64,
    is_known: AtomicBool,
    is_anothers: bool,
}

impl Place {
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// Whether another connection gave way to this one, which ends it soon.
    pub(super) const fn is_anothers(&self) -> bool {
        self.is_anothers
    }

    /// The peer has shown that it is the client: nobody takes its place.
    pub(super) fn keep(&self) {
        if !self.is_known.load(Ordering::Relaxed)
            && self.places.taken().forget(self.address, self.number)
        {
            self.is_known.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        // A stranger that is no longer among them has left already.
        if self.is_known.load(Ordering::Relaxed) || taken.forget(self.address, self.number) {
            taken.leave(self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const TWO: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn limits(connections: usize, connections_per_client: usize) -> Limits {
        Limits {
            connections,
            connections_per_client,
            ..Limits::default()
        }
    }

    #[test]
    fn a_stranger_gives_way_and_who_is_known_stays() {
        let (places, limits) = (Places::default(), limits(10, 2));
        let known = places.enter(ONE, &limits).unwrap();
        known.keep();
        let oldest = places.enter(ONE, &limits).unwrap();
        let newest = places.enter(ONE, &limits).unwrap();
        // It has gone from the count, and neither its end nor its word changes that.
        oldest.keep();
        drop(oldest);
        assert_eq!(places.taken().total, 2);
        newest.keep();
        assert!(places.enter(ONE, &limits).is_none(), "both are known");
        assert!(places.enter(TWO, &limits).is_some());
        drop((known, newest));
        assert_eq!(places.taken().total, 0);
        assert!(places.taken().by_address.is_empty());
    }

    #[test]
    fn nobody_gives_way_to_another_client() {
        let (places, limits) = (Places::default(), limits(2, 2));
        let strangers = [ONE, ONE].map(|address| places.enter(address, &limits).unwrap());
        assert!(places.enter(TWO, &limits).is_none());
        assert!(places.enter(ONE, &limits).is_some());
        drop(strangers);
        assert!(places.enter(TWO, &limits).is_some());
    }
}
