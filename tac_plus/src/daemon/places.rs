//! How many connections there are, and whose.
//!
//! Owns their count, and who goes where there are as many as may be: a user of a client's
//! machine could open all of the client's, and a few hundred hosts all of the server's; to
//! everybody else it would seem dead. Strangers go, whose peers have not shown that they
//! are the client, those first that have got nowhere; and before a new connection of a
//! client is refused, one of its own on which nothing happens. Must never end one that is
//! at work.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

use super::limits::Limits;
use super::refusals::whose;

/// The connections there are.
#[derive(Clone, Default)]
pub(super) struct Places(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    total: usize,
    numbers: u64,
    by_address: HashMap<IpAddr, Client>,
    /// Of an address, or of a network of IPv6 that one host may have all of.
    strangers: HashMap<IpAddr, Strangers>,
    /// The same by their number, so that the most are found at once.
    by_strangers: BTreeSet<(usize, IpAddr)>,
}

#[derive(Default)]
struct Client {
    count: usize,
    known: BTreeMap<u64, Known>,
}

struct Known {
    idle_since: Arc<AtomicU64>,
    task: Option<AbortHandle>,
}

/// Those that have shown nothing yet by how far they have come, the oldest first.
#[derive(Default)]
struct Strangers {
    by_progress: [BTreeMap<u64, Stranger>; Progress::STEPS],
    count: usize,
}

struct Stranger {
    address: IpAddr,
    task: Option<AbortHandle>,
}

/// How far a stranger has come: who gets further than a connection is no longer like one
/// that says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Progress {
    /// It is connected.
    #[default]
    Silent,
    /// All of its first message has come.
    Speaking,
    /// It has been answered.
    Answered,
}

impl Progress {
    const STEPS: usize = 3;
}

/// Whose connection ended for a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GaveWay {
    /// A stranger's at this address.
    Stranger(IpAddr),
    /// One of the same client on which nothing happened.
    Idle,
}

impl Places {
    /// Counts a connection in, if there is room for it or can be made.
    pub(super) fn enter(&self, address: IpAddr, limits: &Limits) -> Option<Place> {
        let mut taken = self.taken();
        let of_address = (taken.by_address.get(&address)).map_or(0, |client| client.count);
        let mut gave_way = None;
        if of_address >= limits.connections_per_client {
            let stranger = taken.end_stranger(whose(address), Some(address));
            gave_way = Some(stranger.or_else(|| taken.end_idle(address))?);
        } else if taken.total >= limits.connections {
            let stranger = taken.end_of_most();
            gave_way = Some(stranger.or_else(|| taken.end_idle(address))?);
        }
        taken.numbers += 1;
        let number = taken.numbers;
        taken.total += 1;
        taken.by_address.entry(address).or_default().count += 1;
        let stranger = Stranger {
            address,
            task: None,
        };
        taken.change(whose(address), |strangers| {
            strangers.add(Progress::Silent, number, stranger);
        });
        Some(Place {
            places: self.clone(),
            address,
            number,
            idle_since: Arc::default(),
            gave_way,
        })
    }

    /// How many connections each address has now.
    pub(super) fn connections(&self) -> HashMap<IpAddr, u32> {
        let taken = self.taken();
        let counts = taken.by_address.iter();
        counts
            .map(|(address, client)| (*address, u32::try_from(client.count).unwrap_or(u32::MAX)))
            .collect()
    }

    /// How to end the connection of this number.
    pub(super) fn set_task(&self, address: IpAddr, number: u64, task: AbortHandle) {
        let mut taken = self.taken();
        let strangers = taken.strangers.get_mut(&whose(address));
        if let Some((_, stranger)) = strangers.and_then(|strangers| strangers.find(number)) {
            stranger.task = Some(task);
        } else if let Some(client) = taken.by_address.get_mut(&address)
            && let Some(known) = client.known.get_mut(&number)
        {
            known.task = Some(task);
        }
    }

    /// Ends the connection of one stranger, of those that there are most of.
    pub(super) fn end_one(&self) -> Option<IpAddr> {
        match self.taken().end_of_most()? {
            GaveWay::Stranger(address) => Some(address),
            GaveWay::Idle => None,
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Strangers {
    fn add(&mut self, progress: Progress, number: u64, stranger: Stranger) {
        let step = progress as usize;
        if let Some(strangers) = self.by_progress.get_mut(step) {
            strangers.insert(number, stranger);
            self.count += 1;
        }
    }

    fn find(&mut self, number: u64) -> Option<(usize, &mut Stranger)> {
        let mut steps = self.by_progress.iter_mut().enumerate();
        steps.find_map(|(step, strangers)| Some((step, strangers.get_mut(&number)?)))
    }

    fn remove(&mut self, number: u64) -> Option<Stranger> {
        let mut steps = self.by_progress.iter_mut();
        let found = steps.find_map(|strangers| strangers.remove(&number))?;
        self.count -= 1;
        Some(found)
    }

    /// The oldest of those that have come least far, at this address if there is one.
    fn first(&self, address: Option<IpAddr>) -> Option<u64> {
        let mut all = self.by_progress.iter().flatten();
        let is_meant = |stranger: &Stranger| address.is_none_or(|one| one == stranger.address);
        all.find_map(|(number, stranger)| is_meant(stranger).then_some(*number))
    }
}

impl Taken {
    /// Changes the strangers of a group and keeps their order right.
    fn change<T>(&mut self, group: IpAddr, change: impl FnOnce(&mut Strangers) -> T) -> T {
        let strangers = self.strangers.entry(group).or_default();
        let before = strangers.count;
        let result = change(strangers);
        let after = strangers.count;
        if after == 0 {
            self.strangers.remove(&group);
        }
        if before != after {
            self.by_strangers.remove(&(before, group));
            if after > 0 {
                self.by_strangers.insert((after, group));
            }
        }
        result
    }

    /// Ends the connection of one of those that there are most of.
    fn end_of_most(&mut self) -> Option<GaveWay> {
        let (_, group) = self.by_strangers.last()?;
        self.end_stranger(*group, None)
    }

    /// Ends a stranger's connection.
    fn end_stranger(&mut self, group: IpAddr, address: Option<IpAddr>) -> Option<GaveWay> {
        let stranger = self.change(group, |strangers| {
            let number = strangers.first(address)?;
            strangers.remove(number)
        })?;
        if let Some(task) = stranger.task {
            task.abort();
        }
        self.leave(stranger.address);
        Some(GaveWay::Stranger(stranger.address))
    }

    /// Ends the connection of a client on which nothing has happened for longest.
    fn end_idle(&mut self, address: IpAddr) -> Option<GaveWay> {
        let client = self.by_address.get_mut(&address)?;
        let known = client.known.iter();
        let idle = known.map(|(number, known)| (known.idle_since.load(Ordering::Relaxed), *number));
        let (_, number) = idle.filter(|(since, _)| *since > 0).min()?;
        if let Some(task) = client.known.remove(&number).and_then(|known| known.task) {
            task.abort();
        }
        self.leave(address);
        Some(GaveWay::Idle)
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
}

/// A connection's place in the count, given back when it ends.
pub(super) struct Place {
    places: Places,
    address: IpAddr,
    number: u64,
    idle_since: Arc<AtomicU64>,
    gave_way: Option<GaveWay>,
}

impl Place {
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// Whose connection gave way to this one; it ends soon.
    pub(super) const fn gave_way(&self) -> Option<GaveWay> {
        self.gave_way
    }

    /// The stranger has come so far.
    pub(super) fn advance(&self, progress: Progress) {
        self.places
            .taken()
            .change(whose(self.address), |strangers| {
                if let Some(stranger) = strangers.remove(self.number) {
                    strangers.add(progress, self.number, stranger);
                }
            });
    }

    /// The peer has shown that it is the client: it is a stranger no longer.
    pub(super) fn keep(&self) {
        let mut taken = self.places.taken();
        let group = whose(self.address);
        let found = taken.change(group, |strangers| strangers.remove(self.number));
        if let Some(Stranger { address, task }) = found
            && let Some(client) = taken.by_address.get_mut(&address)
        {
            let idle_since = Arc::clone(&self.idle_since);
            client.known.insert(self.number, Known { idle_since, task });
        }
    }

    /// Since when nothing happens on it, in any unit from one on; zero while it is at work.
    pub(super) fn set_idle_since(&self, moment: u64) {
        self.idle_since.store(moment, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        let group = whose(self.address);
        let was_stranger = taken.change(group, |strangers| strangers.remove(self.number));
        let client = taken.by_address.get_mut(&self.address);
        let was_known = client.and_then(|client| client.known.remove(&self.number));
        // Whoever is nowhere has left already.
        if was_stranger.is_some() || was_known.is_some() {
            taken.leave(self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const TWO: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
    const THREE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 3));

    fn limits(connections: usize, connections_per_client: usize) -> Limits {
        Limits {
            connections,
            connections_per_client,
            ..Limits::default()
        }
    }

    fn counts(places: &Places) -> (usize, usize, usize) {
        let taken = places.taken();
        let strangers = taken.strangers.values().map(|strangers| strangers.count);
        (taken.total, taken.by_address.len(), strangers.sum())
    }

    #[test]
    fn a_stranger_gives_way_and_who_is_known_and_at_work_stays() {
        let (places, limits) = (Places::default(), limits(10, 2));
        let known = places.enter(ONE, &limits).unwrap();
        known.keep();
        let oldest = places.enter(ONE, &limits).unwrap();
        let newest = places.enter(ONE, &limits).unwrap();
        assert_eq!(newest.gave_way(), Some(GaveWay::Stranger(ONE)));
        // It has gone from the count, and neither its end nor its word changes that.
        oldest.keep();
        drop(oldest);
        assert_eq!(counts(&places), (2, 1, 1));
        newest.keep();
        assert!(places.enter(ONE, &limits).is_none(), "both are at work");
        assert!(places.enter(TWO, &limits).is_some());
        drop((known, newest));
        assert_eq!(counts(&places), (0, 0, 0));
        assert!(places.taken().by_strangers.is_empty());
    }

    #[test]
    fn the_longest_idle_connection_of_a_client_gives_way_to_its_own_only() {
        let (places, limits) = (Places::default(), limits(3, 3));
        let all = [ONE, ONE, ONE].map(|address| places.enter(address, &limits).unwrap());
        for (place, idle) in all.iter().zip([0, 9, 4]) {
            place.keep();
            place.set_idle_since(idle);
        }
        assert!(places.enter(TWO, &limits).is_none(), "another client");
        let new = places.enter(ONE, &limits).unwrap();
        assert_eq!(new.gave_way(), Some(GaveWay::Idle));
        new.keep();
        let [busy, later, longest] = all;
        drop(longest);
        assert_eq!(counts(&places).0, 3, "it has left already");
        later.set_idle_since(0);
        assert!(places.enter(ONE, &limits).is_none(), "all are at work");
        drop((busy, later, new));
        assert_eq!(counts(&places), (0, 0, 0));
    }

    #[test]
    fn where_all_is_full_the_oldest_of_those_with_most_strangers_goes() {
        let (places, limits) = (Places::default(), limits(4, 4));
        let known = places.enter(ONE, &limits).unwrap();
        known.keep();
        let one = places.enter(ONE, &limits).unwrap();
        let two = [TWO, TWO].map(|address| places.enter(address, &limits).unwrap());
        let new = places.enter(THREE, &limits).unwrap();
        assert_eq!(new.gave_way(), Some(GaveWay::Stranger(TWO)));
        new.keep();
        one.keep();
        let last = places.enter(THREE, &limits).unwrap();
        assert_eq!(last.gave_way(), Some(GaveWay::Stranger(TWO)));
        last.keep();
        assert!(places.enter(TWO, &limits).is_none(), "nobody is a stranger");
        drop((known, one, two, new, last));
        assert_eq!(counts(&places), (0, 0, 0));
    }

    #[test]
    fn a_network_of_one_host_counts_as_one_address() {
        let (places, limits) = (Places::default(), limits(3, 3));
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let _calm = places.enter(address("2001:db8:1::1"), &limits).unwrap();
        let _flood = ["2001:db8:2::1", "2001:db8:2::2"]
            .map(|text| places.enter(address(text), &limits).unwrap());
        let new = places.enter(ONE, &limits).unwrap();
        let gone = GaveWay::Stranger(address("2001:db8:2::1"));
        assert_eq!(new.gave_way(), Some(gone));
    }

    #[test]
    fn who_has_come_further_goes_after_all_that_have_not() {
        let (places, limits) = (Places::default(), limits(10, 3));
        let early = places.enter(ONE, &limits).unwrap();
        early.advance(Progress::Speaking);
        early.advance(Progress::Answered);
        let speaking = places.enter(ONE, &limits).unwrap();
        speaking.advance(Progress::Speaking);
        let mut silent: Vec<_> = (0..100)
            .map(|_| places.enter(ONE, &limits).unwrap())
            .collect();
        early.keep();
        speaking.keep();
        assert_eq!(counts(&places), (3, 1, 1), "all of the silent but the last");
        assert!(silent.pop().is_some_and(|place| place.gave_way().is_some()));
    }
}
