//! Counts that fade.
//!
//! Owns how often somebody did something of late, in bounded memory. Knows no clock.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// How many of the sets that a number may be in.
const SETS: usize = 1024;
/// Places in a set.
const WAYS: usize = 4;

/// Counts that fade. Where there is no room, whoever counts least is forgotten: names
/// made up by the thousand do not drive out the one that is really attacked.
pub(crate) struct Counters {
    /// One is taken off each count in this time, whole seconds of it.
    fades: Duration,
    /// None gets higher.
    most: u32,
    places: Vec<[Counter; WAYS]>,
    /// Chooses the sets: whoever knew who shares one could drive another out of it.
    sets: RandomState,
}

#[derive(Clone, Copy, Default)]
struct Counter {
    who: u64,
    count: u32,
    /// As of when, in units of `fades`.
    since: u64,
}

impl Counters {
    /// All zero. Takes no memory before the first count.
    #[must_use]
    pub(crate) fn new(fades: Duration, most: u32) -> Self {
        Self {
            fades,
            most,
            places: Vec::new(),
            sets: RandomState::new(),
        }
    }

    /// The count of `who`.
    #[must_use]
    pub(crate) fn count(&self, who: u64, now: Duration) -> u32 {
        // Where nobody has failed yet, nobody has to be looked for.
        if self.places.is_empty() {
            return 0;
        }
        let mut set = self.places.get(self.set(who)).into_iter().flatten();
        let found = set.find(|counter| counter.who == who);
        found.map_or(0, |counter| counter.at(self.tick(now)))
    }

    /// One more; the count with it, and before.
    pub(crate) fn add(&mut self, who: u64, now: Duration) -> (u32, u32) {
        let tick = self.tick(now);
        if self.places.is_empty() {
            self.places = vec![Default::default(); SETS];
        }
        let set = self.set(who);
        let Some(set) = self.places.get_mut(set) else {
            return (1, 0);
        };
        let known = set.iter().position(|counter| counter.who == who);
        let least = (0..WAYS).min_by_key(|at| set.get(*at).map(|counter| counter.at(tick)));
        let Some(counter) = known.or(least).and_then(|at| set.get_mut(at)) else {
            return (1, 0);
        };
        let count = if counter.who == who {
            counter.at(tick)
        } else {
            0
        };
        *counter = Counter {
            who,
            count: count.saturating_add(1).min(self.most),
            since: tick,
        };
        (counter.count, count)
    }

    fn tick(&self, now: Duration) -> u64 {
        now.as_secs() / self.fades.as_secs().max(1)
    }

    fn set(&self, who: u64) -> usize {
        usize::try_from(self.sets.hash_one(who) % SETS as u64).unwrap_or(0)
    }
}

impl Counter {
    fn at(&self, tick: u64) -> u32 {
        let faded = u32::try_from(tick.saturating_sub(self.since)).unwrap_or(u32::MAX);
        self.count.saturating_sub(faded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_share_a_set_cannot_be_looked_for() {
        let mut counters = Counters::new(Duration::from_secs(20), 100);
        for name in 0..=WAYS as u64 {
            for _ in 0..10 + name {
                counters.add(7 + name * SETS as u64, Duration::ZERO);
            }
        }
        assert_eq!(counters.count(7, Duration::ZERO), 10);
    }

    #[test]
    fn a_flood_of_names_does_not_make_an_attacked_one_forgotten() {
        let mut counters = Counters::new(Duration::from_secs(20), 100);
        for _ in 0..50 {
            counters.add(7, Duration::ZERO);
        }
        for name in 1_000..200_000 {
            counters.add(name, Duration::ZERO);
        }
        assert_eq!(counters.count(7, Duration::ZERO), 50);
    }
}
