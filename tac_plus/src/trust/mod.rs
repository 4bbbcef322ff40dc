//! What a plain connection has shown, and what a first packet may cost.
//!
//! Owns every answer that somebody without the secret gets: how often one session_id may
//! be used, how many packets that make no sense are told so, and when. The pad of a body
//! is a function of the session_id and the secret, and the client chooses the first: each
//! answer that tells sense from nonsense tells a byte of somebody's password in the end.
//! Knows no clock and no connection.
//!
//! | file | owns |
//! |---|---|
//! | `session_ids` | which were used, and how often |

mod session_ids;

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::Duration;

use crate::policy::counters::Counters;
use session_ids::{MOST, SessionIds};

/// How long a session_id is remembered at least. Two honest logins in this time that meet
/// by chance are one in some thousands; four are none that anybody will see.
const RECENT: Duration = Duration::from_secs(600);
/// And one under which a request made sense, if there is room as long. Only whoever has
/// the secret makes such, so nobody else can fill that room.
const RECORDED: Duration = Duration::from_secs(365 * 24 * 3600);

/// How many packets that make no sense are told so at once, by address.
const TOLD: u32 = 10;
/// And one more in this time: an operator who looks for the mistake sees it, whoever
/// tries secrets learns little.
const TOLD_AGAIN: Duration = Duration::from_secs(10);
/// A refusal leaves on the second tick after all of its packet has come. The work of
/// finding out what is wrong takes less than one, so it does not show.
const TICK: Duration = Duration::from_millis(50);

/// What is remembered of all plain connections.
pub(crate) struct Trust {
    keys: RandomState,
    recent: SessionIds,
    /// Those that somebody may have recorded a sensible request of.
    recorded: SessionIds,
    /// What was admitted last and is not counted yet, for each of its secrets.
    open: Vec<Open>,
    open_id: u32,
    open_since: Duration,
    mix: (u64, u64),
    told: Counters,
}

/// A session_id under a secret, and how often it was used before.
struct Open {
    key: u64,
    uses: u8,
    is_recorded: bool,
}

/// A secret, as session_ids under it are told from those under another. It says nothing
/// about the secret to anybody outside of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag(u64);

/// What a packet that makes no sense gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// An ERROR; else the connection is closed without a word.
    pub(crate) told: bool,
    /// When, since the same moment as all times here.
    pub(crate) at: Duration,
}

impl Trust {
    /// Nobody sent anything yet. Takes no memory to speak of before somebody does.
    pub(crate) fn new() -> Self {
        let keys = RandomState::new();
        Self {
            mix: (keys.hash_one(0), keys.hash_one(1)),
            open: Vec::new(),
            open_id: 0,
            open_since: Duration::ZERO,
            keys,
            recent: SessionIds::new(RECENT),
            recorded: SessionIds::new(RECORDED),
            told: Counters::new(TOLD_AGAIN, TOLD),
        }
    }

    /// The tag of a secret: one for all clients that have it.
    pub(crate) fn tag(&self, secret: &[u8]) -> Tag {
        Tag(self.keys.hash_one(secret))
    }

    /// Whether the body of a first packet is looked at. Asked for all secrets that it may be
    /// obfuscated with. It counts, and unless [`Trust::made_sense`] is called next, as one
    /// that made no sense. `now`: since any moment, always the same one.
    pub(crate) fn admits(&mut self, secrets: &[Tag], session_id: u32, now: Duration) -> bool {
        self.settle();
        let mut admits = true;
        for secret in secrets {
            let key = self.key(*secret, session_id);
            let recorded = self.recorded.uses(key, now);
            let uses = self.recent.uses(key, now).max(recorded);
            admits &= uses < MOST;
            let is_recorded = recorded > 0;
            self.open.push(Open {
                key,
                uses,
                is_recorded,
            });
        }
        (self.open_id, self.open_since) = (session_id, now);
        if !admits {
            self.open.clear();
        }
        admits
    }

    /// A first packet made sense under one of these secrets: it may have been recorded on
    /// its way, and is worth to be asked about for long.
    pub(crate) fn made_sense(&mut self, secrets: &[Tag], session_id: u32, now: Duration) {
        if session_id == self.open_id && !self.open.is_empty() {
            for Open { key, uses, .. } in self.open.drain(..) {
                self.recorded.set(key, uses + 1, now);
            }
            return;
        }
        // Others were admitted meanwhile, and it was counted then.
        for secret in secrets {
            let key = self.key(*secret, session_id);
            let uses = self.recent.uses(key, now).max(self.recorded.uses(key, now));
            self.recorded.set(key, uses.max(1), now);
        }
    }

    /// Counts what was admitted last, of which nobody said that it made sense.
    fn settle(&mut self) {
        let now = self.open_since;
        for Open {
            key,
            uses,
            is_recorded,
        } in self.open.drain(..)
        {
            self.recent.set(key, uses + 1, now);
            if is_recorded {
                self.recorded.set(key, uses + 1, now);
            }
        }
    }

    /// One number for a secret and a session_id. Whoever could choose two that meet would
    /// need the keys of this process; a look takes place for every request, so that a hash
    /// made for more costs too much.
    fn key(&self, Tag(secret): Tag, session_id: u32) -> u64 {
        let (one, other) = self.mix;
        let product = u128::from(secret ^ one) * u128::from(u64::from(session_id) ^ other);
        let [low, high] = [product, product >> 64].map(|half| half as u64);
        (low ^ high).wrapping_mul(one | 1) ^ ((low ^ high) >> 29)
    }

    /// What becomes of a packet that came whole at `now` and makes no sense.
    pub(crate) fn senseless(&mut self, address: IpAddr, now: Duration) -> Answer {
        let who = self.keys.hash_one(address.to_canonical());
        let told = self.told.count(who, now) < TOLD && self.told.add(who, now).0 <= TOLD;
        let at = tick_after(now);
        Answer { told, at }
    }
}

/// The moment at which a refusal leaves whose packet came at `now`.
pub(crate) fn tick_after(now: Duration) -> Duration {
    let ticks = now.as_millis() / TICK.as_millis() + 2;
    TICK.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_fourth_first_packet_under_one_session_id_is_not_looked_at_whoever_sends_it() {
        let mut trust = Trust::new();
        let [one, other] = [b"one secret", b"other one."].map(|secret| trust.tag(secret));
        let both = [one, other];
        for (secrets, id, now, admitted) in [
            (&[one][..], 7, 0, true),
            (&[one], 7, 1, true),
            // A client of several secrets counts for each, and one that uses only one for that.
            (&both, 7, 2, true),
            (&[one], 7, 3, false),
            (&both, 7, 4, false),
            (&[other], 7, 5, true),
            (&[other], 7, 6, true),
            (&[other], 7, 7, false),
            // Another session_id is another question.
            (&[one], 8, 8, true),
            // And ten minutes are another time.
            (&[one], 7, 590, false),
            (&[one], 7, 2 * 601 + 10, true),
        ] {
            let found = trust.admits(secrets, id, at(now));
            assert_eq!(found, admitted, "{id} at {now}");
        }
    }

    #[test]
    fn a_session_id_of_a_recorded_request_is_remembered_for_longer_than_any_other() {
        let mut trust = Trust::new();
        let secret = [trust.tag(b"one secret")];
        assert!(trust.admits(&secret, 7, at(0)));
        trust.made_sense(&secret, 7, at(0));
        // An hour for each try, whose packets make no sense.
        let tries = (1..10).filter(|hour| trust.admits(&secret, 7, at(3600 * hour)));
        assert_eq!(tries.count(), 2);
        // Whoever floods with ids of their own fills another memory.
        let refused = (100..1_000_000).filter(|id| !trust.admits(&secret, *id, at(40_000)));
        assert!(refused.count() < 20, "of a million that nobody used");
        assert!(!trust.admits(&secret, 7, at(80_000)));
    }

    #[test]
    fn a_few_packets_that_make_no_sense_are_told_so_then_rarely() {
        let mut trust = Trust::new();
        let mut told = |last: u8, seconds: u64, count: u32| {
            let address = IpAddr::from([192, 0, 2, last]);
            let answers = (0..count).map(|_| trust.senseless(address, at(seconds)));
            answers.filter(|answer| answer.told).count()
        };
        assert_eq!(told(1, 0, 1000), 10);
        assert_eq!(told(2, 0, 1), 1, "another client");
        assert_eq!(told(1, 10, 1000), 1);
        assert_eq!(told(1, 3600, 1000), 10);
    }

    #[test]
    fn a_refusal_leaves_on_a_tick_that_is_the_same_for_a_whole_tick_of_work() {
        for (came, leaves) in [
            (0, 100),
            (1, 100),
            (49, 100),
            (50, 150),
            (99, 150),
            (1000, 1100),
        ] {
            let came = Duration::from_millis(came);
            assert_eq!(tick_after(came), Duration::from_millis(leaves), "{came:?}");
            assert!(tick_after(came) - came > TICK);
        }
    }
}
