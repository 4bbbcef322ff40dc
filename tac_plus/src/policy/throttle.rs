//! How long who failed often has to wait.
//!
//! Owns the counting of failures in bounded memory. Must never lock anybody out: the
//! wait has an end, and failures are forgotten with time. Knows no clock.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::Attempt;

/// Failures of a user, of a place and of a client that cost nothing: people mistype,
/// and behind a client there are many.
const FREE: [u32; 3] = [3, 10, 100];
/// One failure is forgotten in this time, by the same three.
const FORGOTTEN: [Duration; 3] = [
    Duration::from_secs(20),
    Duration::from_secs(10),
    Duration::from_secs(1),
];
/// The first wait; each further failure doubles it.
const FIRST: Duration = Duration::from_millis(100);

/// Failures of users, places and clients.
pub struct Throttle([Counters; 3]);

impl Throttle {
    /// Nobody failed yet.
    #[must_use]
    pub fn new() -> Self {
        Self(FORGOTTEN.map(Counters::new))
    }

    /// Counts an attempt; tells how long its answer has to wait. `now`: since any
    /// moment, always the same one. Waits depend on the attempts before this one, so
    /// that the wait tells nothing about its answer.
    pub fn count(&mut self, attempt: &Attempt, now: Duration) -> Duration {
        let mut wait = Duration::ZERO;
        for ((counters, who), free) in self.0.iter_mut().zip(attempt.who).zip(FREE) {
            let Some(who) = who else { continue };
            let before = if attempt.passed {
                counters.count(who, now)
            } else {
                counters.add(who, now) - 1
            };
            if let Some(over) = before.checked_sub(free) {
                wait = wait.max(FIRST.saturating_mul(1 << over.min(16)));
            }
        }
        wait.min(attempt.longest)
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new()
    }
}

/// How many of the sets that a number may be in.
const SETS: usize = 1024;
/// Places in a set.
const WAYS: usize = 4;

/// Counts that fade. Where there is no room, whoever counts least is forgotten: names
/// made up by the thousand do not drive out the one that is really attacked.
pub struct Counters {
    /// One is taken off each count in this time, whole seconds of it.
    fades: Duration,
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
    pub fn new(fades: Duration) -> Self {
        Self {
            fades,
            places: Vec::new(),
            sets: RandomState::new(),
        }
    }

    /// The count of `who`.
    #[must_use]
    pub fn count(&self, who: u64, now: Duration) -> u32 {
        // Where nobody has failed yet, nobody has to be looked for.
        if self.places.is_empty() {
            return 0;
        }
        let mut set = self.places.get(self.set(who)).into_iter().flatten();
        let found = set.find(|counter| counter.who == who);
        found.map_or(0, |counter| counter.at(self.tick(now)))
    }

    /// One more; the count with it.
    pub fn add(&mut self, who: u64, now: Duration) -> u32 {
        let tick = self.tick(now);
        if self.places.is_empty() {
            self.places = vec![Default::default(); SETS];
        }
        let set = self.set(who);
        let Some(set) = self.places.get_mut(set) else {
            return 1;
        };
        let known = set.iter().position(|counter| counter.who == who);
        let least = (0..WAYS).min_by_key(|at| set.get(*at).map(|counter| counter.at(tick)));
        let Some(counter) = known.or(least).and_then(|at| set.get_mut(at)) else {
            return 1;
        };
        let count = if counter.who == who {
            counter.at(tick)
        } else {
            0
        };
        *counter = Counter {
            who,
            count: count.saturating_add(1),
            since: tick,
        };
        counter.count
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

    const LONGEST: Duration = Duration::from_secs(2);

    fn attempt(passed: bool, user: u64, place: u64, client: u64) -> Attempt {
        Attempt {
            passed,
            who: [Some(user), Some(place), Some(client)],
            longest: LONGEST,
        }
    }

    #[test]
    fn the_fourth_failure_of_a_user_waits_and_each_further_one_longer_up_to_the_limit() {
        let mut throttle = Throttle::new();
        let mut waits = Vec::new();
        for place in 0..10 {
            let wait = throttle.count(&attempt(false, 1, place, place), Duration::ZERO);
            waits.push(wait.as_millis());
        }
        assert_eq!(waits, [0, 0, 0, 100, 200, 400, 800, 1600, 2000, 2000]);
    }

    #[test]
    fn the_wait_is_the_same_for_a_right_password_and_another_user_has_none() {
        let mut throttle = Throttle::new();
        for place in 0..6 {
            throttle.count(&attempt(false, 1, place, place), Duration::ZERO);
        }
        let mut wait = |passed, user| {
            let attempt = attempt(passed, user, 77, 77);
            throttle.count(&attempt, Duration::ZERO).as_millis()
        };
        assert_eq!(
            [wait(true, 1), wait(false, 1), wait(true, 2)],
            [800, 800, 0]
        );
    }

    #[test]
    fn a_place_and_a_client_are_counted_whatever_the_user_is() {
        for (free, place, client) in [(10, Some(1), None), (100, None, Some(1))] {
            let mut throttle = Throttle::new();
            let mut count = |user| {
                let attempt = Attempt {
                    who: [Some(user), place, client],
                    ..attempt(false, 0, 0, 0)
                };
                throttle.count(&attempt, Duration::ZERO)
            };
            assert!((0..free).all(|user| count(user).is_zero()));
            assert!(!count(1000).is_zero(), "{free}");
        }
    }

    #[test]
    fn failures_are_forgotten_with_time() {
        let mut throttle = Throttle::new();
        for place in 0..6 {
            throttle.count(&attempt(false, 1, place, place), Duration::ZERO);
        }
        let mut wait = |seconds| {
            let attempt = attempt(true, 1, 77, 77);
            let now = Duration::from_secs(seconds);
            throttle.count(&attempt, now).as_millis()
        };
        assert_eq!([wait(0), wait(20), wait(60), wait(80)], [800, 400, 100, 0]);
    }

    #[test]
    fn names_that_share_a_set_cannot_be_looked_for() {
        let mut counters = Counters::new(Duration::from_secs(20));
        for name in 0..=WAYS as u64 {
            for _ in 0..10 + name {
                counters.add(7 + name * SETS as u64, Duration::ZERO);
            }
        }
        assert_eq!(counters.count(7, Duration::ZERO), 10);
    }

    #[test]
    fn a_flood_of_names_does_not_make_an_attacked_one_forgotten() {
        let mut counters = Counters::new(Duration::from_secs(20));
        for _ in 0..50 {
            counters.add(7, Duration::ZERO);
        }
        for name in 1_000..200_000 {
            counters.add(name, Duration::ZERO);
        }
        assert_eq!(counters.count(7, Duration::ZERO), 50);
    }
}
