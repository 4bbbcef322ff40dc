//! How long answers wait about an account that somebody guesses at.
//!
//! Owns the counting of failures in bounded memory, and whose answer is the next. Must
//! never lock anybody out: a wait has an end, and failures are forgotten with time. An
//! account nobody guesses at has no part in any of this. Knows no clock.
//!
//! A wait alone stops nobody who asks a thousand times at once. So answers about one
//! account leave one after the other, in turns: by client, and there by where its users
//! come from. What would have to wait too long is refused, right or wrong.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::Attempt;
use super::counters::Counters;
use crate::escape::Word;

/// Failures of a user that cost nothing: people mistype.
const FREE: u32 = 3;
/// More are not counted, so that they are forgotten soon after the last.
const MOST: u32 = 9;
/// One failure is forgotten in this time.
const FORGOTTEN: Duration = Duration::from_secs(20);
/// The first wait; each further failure doubles it.
const FIRST: Duration = Duration::from_millis(100);
/// From one answer about an account to the next.
const PLACE: Duration = Duration::from_millis(250);
/// No answer waits longer, in all: clients give up after five seconds, and may then do
/// without this server.
pub const LIMIT: Duration = Duration::from_secs(3);
/// Nor for itself: a place or two of others may come before it.
const ALONE: Duration = Duration::from_millis(2500);
/// Answers that wait about one account.
const WAITING: usize = 64;
/// Accounts that are guessed at, at a time. What is beyond waits without turns.
const ACCOUNTS: usize = 4096;

/// Failures of users, and the answers that wait for them.
pub struct Throttle {
    failures: Counters,
    accounts: HashMap<u64, Account>,
    /// When there is something to do about which.
    agenda: BTreeSet<(Duration, u64)>,
    numbers: u64,
    news: Vec<String>,
}

/// When an attempt's answer may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// At once.
    Now,
    /// When [`Throttle::due`] says so of this number.
    Wait(u64),
    /// Never: it would have to wait too long.
    TooLate,
}

/// An account that is guessed at.
struct Account {
    name: Box<[u8]>,
    waiting: Vec<Waiting>,
    /// From when on the next answer may leave.
    next: Duration,
    /// When clients, and places of theirs, had their turn last.
    turns: HashMap<(u64, Option<u64>), u64>,
    /// Where it stands on the agenda.
    at: Duration,
}

/// An answer that waits.
struct Waiting {
    number: u64,
    client: u64,
    place: u64,
    ready: Duration,
    end: Duration,
}

impl Throttle {
    /// Nobody failed yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            failures: Counters::new(FORGOTTEN, MOST),
            accounts: HashMap::new(),
            agenda: BTreeSet::new(),
            numbers: 0,
            news: Vec::new(),
        }
    }

    /// Counts an attempt; tells when its answer may be given. `now`: since any moment,
    /// always the same one. Everything depends on the attempts before this one, so that
    /// no wait and no refusal tells anything about its answer. Without `may_wait` it is
    /// refused instead.
    pub fn count(&mut self, attempt: &Attempt, may_wait: bool, now: Duration) -> Verdict {
        let Some(user) = attempt.user else {
            return Verdict::Now;
        };
        let before = if attempt.passed {
            self.failures.count(user, now)
        } else {
            self.failures.add(user, now).1
        };
        let Some(over) = before.checked_sub(FREE) else {
            return Verdict::Now;
        };
        let wait = FIRST.saturating_mul(1 << over.min(16));
        let wait = wait.min(attempt.longest).min(ALONE);
        self.numbers += 1;
        let waiting = Waiting {
            number: self.numbers,
            client: attempt.client,
            place: attempt.place,
            ready: now + wait,
            end: now + LIMIT,
        };
        let Some(account) = self.account(user, &attempt.name, now) else {
            return Verdict::TooLate;
        };
        let places = u32::try_from(account.ahead_of(&waiting)).unwrap_or(u32::MAX);
        let is_late = wait + PLACE.saturating_mul(places) > LIMIT;
        if !may_wait || is_late || account.waiting.len() >= WAITING {
            return Verdict::TooLate;
        }
        let number = waiting.number;
        account.waiting.push(waiting);
        self.plan(user, now);
        Verdict::Wait(number)
    }

    /// Answers that may be given by now, or with `false` never may.
    pub fn due(&mut self, now: Duration) -> Vec<(u64, bool)> {
        let mut found = Vec::new();
        while let Some((at, user)) = self.agenda.first().copied()
            && at <= now
        {
            let failures = self.failures.count(user, now);
            if let Some(account) = self.accounts.get_mut(&user) {
                account.release(now, &mut self.numbers, &mut found);
                if account.waiting.is_empty() && failures < FREE {
                    let name = Word(&account.name);
                    self.news
                        .push(format!("answers about user={name} are no longer delayed"));
                    self.accounts.remove(&user);
                    self.agenda.remove(&(at, user));
                    continue;
                }
            }
            self.plan(user, now);
        }
        found
    }

    /// When there will be something due.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        self.agenda.first().map(|(at, _)| *at)
    }

    /// What is worth a line in the log since the last time.
    pub fn news(&mut self) -> Vec<String> {
        std::mem::take(&mut self.news)
    }

    fn account(&mut self, user: u64, name: &[u8], now: Duration) -> Option<&mut Account> {
        if !self.accounts.contains_key(&user) {
            if self.accounts.len() >= ACCOUNTS {
                return None;
            }
            self.news.push(format!(
                "answers about user={} are delayed: somebody guesses at its password",
                Word(name)
            ));
            let account = Account {
                name: name.into(),
                waiting: Vec::new(),
                next: now,
                turns: HashMap::new(),
                at: now + FORGOTTEN,
            };
            self.agenda.insert((account.at, user));
            self.accounts.insert(user, account);
        }
        self.accounts.get_mut(&user)
    }

    /// Puts an account on the agenda anew.
    fn plan(&mut self, user: u64, now: Duration) {
        if let Some(account) = self.accounts.get_mut(&user) {
            self.agenda.remove(&(account.at, user));
            account.at = account.next_event().unwrap_or(now + FORGOTTEN);
            self.agenda.insert((account.at, user));
        }
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new()
    }
}

impl Account {
    /// How many answers that wait have their turn before this one, if nobody else comes.
    fn ahead_of(&self, new: &Waiting) -> usize {
        let mut by_client: HashMap<u64, usize> = HashMap::new();
        let mut by_place: HashMap<u64, usize> = HashMap::new();
        for one in &self.waiting {
            if one.client == new.client {
                *by_place.entry(one.place).or_default() += 1;
            } else {
                *by_client.entry(one.client).or_default() += 1;
            }
        }
        let own = by_place.remove(&new.place).unwrap_or(0);
        let others = by_place.values().map(|count| *count.min(&(own + 1)));
        let of_client = own + others.sum::<usize>();
        let of_others = by_client.values().map(|count| *count.min(&(of_client + 1)));
        of_client + of_others.sum::<usize>()
    }

    /// Takes out what has its turn by now, and what has waited too long.
    fn release(&mut self, now: Duration, numbers: &mut u64, found: &mut Vec<(u64, bool)>) {
        if self.next <= now
            && let Some(at) = self.turn(now)
        {
            let Waiting {
                number,
                client,
                place,
                ..
            } = self.waiting.swap_remove(at);
            if self.turns.len() > 2 * WAITING {
                self.turns.clear();
            }
            *numbers += 1;
            self.turns.insert((client, None), *numbers);
            self.turns.insert((client, Some(place)), *numbers);
            self.next = now + PLACE;
            found.push((number, true));
        }
        let late = self.waiting.extract_if(.., |one| one.end <= now);
        found.extend(late.map(|one| (one.number, false)));
    }

    /// Whose turn it is: the client's that had none for longest, and of its places the
    /// same.
    fn turn(&self, now: Duration) -> Option<usize> {
        let last = |client, place| self.turns.get(&(client, place)).copied().unwrap_or(0);
        let ready = self.waiting.iter().enumerate();
        let ready = ready.filter(|(_, one)| one.ready <= now);
        let turn = |one: &Waiting| {
            (
                last(one.client, None),
                last(one.client, Some(one.place)),
                one.number,
            )
        };
        ready.min_by_key(|(_, one)| turn(one)).map(|(at, _)| at)
    }

    fn next_event(&self) -> Option<Duration> {
        let ready = self.waiting.iter().map(|one| one.ready).min()?;
        let end = self.waiting.iter().map(|one| one.end).min()?;
        Some(ready.max(self.next).min(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn attempt(passed: bool, user: u64, client: u64, place: u64) -> Attempt {
        Attempt {
            passed,
            user: Some(user),
            name: b"alice".as_slice().into(),
            client,
            place,
            longest: ms(2000),
        }
    }

    /// How long each answer waits, in milliseconds, or nothing for one that is refused.
    fn waits(throttle: &mut Throttle, attempts: &[(u64, Attempt)]) -> Vec<Option<u64>> {
        let mut numbers = Vec::new();
        let mut answers = HashMap::new();
        let mut attempts_left = attempts.iter();
        let mut next = attempts_left.next();
        for now in 0..20_000 {
            while let Some((at, attempt)) = next.filter(|(at, _)| *at <= now) {
                let verdict = throttle.count(attempt, true, ms(*at));
                numbers.push((*at, verdict));
                next = attempts_left.next();
            }
            for (number, is_given) in throttle.due(ms(now)) {
                answers.insert(number, is_given.then_some(now));
            }
        }
        let wait = |(at, verdict): &(u64, Verdict)| match verdict {
            Verdict::Now => Some(0),
            Verdict::TooLate => None,
            Verdict::Wait(number) => answers[number].map(|now| now - at),
        };
        numbers.iter().map(wait).collect()
    }

    fn guessed(throttle: &mut Throttle, failures: u64) {
        for place in 0..failures {
            throttle.count(&attempt(false, 1, 100, place), false, ms(0));
        }
    }

    #[test]
    fn the_fourth_failure_of_a_user_waits_and_each_further_one_longer_up_to_the_limit() {
        let mut throttle = Throttle::new();
        // Ten seconds apart, so that one is forgotten for every two.
        let guesses: Vec<_> = (0..8).map(|_| (0, attempt(false, 1, 1, 1))).collect();
        let found = waits(&mut throttle, &guesses[..4]);
        assert_eq!(found, [Some(0), Some(0), Some(0), Some(100)]);
        for (failures, wait) in [
            (4, 200),
            (5, 400),
            (6, 800),
            (7, 1600),
            (8, 2000),
            (50, 2000),
        ] {
            let mut throttle = Throttle::new();
            guessed(&mut throttle, failures);
            let found = waits(&mut throttle, &guesses[..1]);
            assert_eq!(found, [Some(wait)], "{failures}");
        }
    }

    #[test]
    fn the_wait_is_the_same_for_a_right_password_and_another_user_has_none() {
        for passed in [true, false] {
            let mut throttle = Throttle::new();
            guessed(&mut throttle, 6);
            let found = waits(
                &mut throttle,
                &[(0, attempt(passed, 1, 7, 7)), (0, attempt(passed, 2, 7, 7))],
            );
            assert_eq!(found, [Some(800), Some(0)]);
        }
    }

    #[test]
    fn an_account_that_nobody_guesses_at_never_waits_however_often_it_is_used() {
        let mut throttle = Throttle::new();
        for login in 0..5000 {
            let now = ms(2 * login);
            assert_eq!(
                throttle.count(&attempt(true, 2, 1, 1), true, now),
                Verdict::Now
            );
            // Others fail meanwhile, through the same device and from the same place.
            throttle.count(&attempt(false, 10 + login, 1, 1), true, now);
        }
    }

    #[test]
    fn failures_have_a_ceiling_and_are_forgotten_with_time() {
        let mut throttle = Throttle::new();
        guessed(&mut throttle, 10_000);
        let begun = throttle.news();
        assert_eq!(
            begun,
            ["answers about user=alice are delayed: somebody guesses at its password"]
        );
        let quiet = Duration::from_secs(20 * 7);
        assert!(throttle.due(quiet).is_empty());
        let over = throttle.news();
        assert_eq!(over, ["answers about user=alice are no longer delayed"]);
        assert_eq!(throttle.next(), None, "nothing is left to do");
        assert_eq!(
            throttle.count(&attempt(false, 1, 1, 1), true, quiet),
            Verdict::Now
        );
    }

    #[test]
    fn a_hundred_guessers_through_one_device_cost_alice_at_another_one_place() {
        let mut throttle = Throttle::new();
        guessed(&mut throttle, 20);
        // Each of a hundred places guesses again and again; alice comes in the middle.
        let mut all: Vec<_> = (0..2000)
            .map(|guess| (5 * guess, attempt(false, 1, 100, guess % 100)))
            .collect();
        all.insert(1000, (5000, attempt(true, 1, 7, 7)));
        let found = waits(&mut throttle, &all);
        let alice = found[1000].expect("not refused");
        assert!(alice <= 2000 + 250, "{alice}");
        let given = found.iter().flatten().count();
        assert!(given <= 10_000 / 250 + 10, "{given} answers in ten seconds");
        assert!(
            found.iter().flatten().all(|wait| *wait <= 3000),
            "{found:?}"
        );
    }

    #[test]
    fn places_behind_one_device_have_turns_too() {
        let mut throttle = Throttle::new();
        guessed(&mut throttle, 20);
        let mut all: Vec<_> = (0..20).map(|_| (0, attempt(false, 1, 1, 1))).collect();
        all.push((10, attempt(true, 1, 1, 2)));
        let found = waits(&mut throttle, &all);
        let alice = found[20].expect("not refused");
        assert!(alice <= 2000 + 250, "{alice}");
        assert!(found[..20].iter().any(Option::is_none), "there is an end");
    }

    #[test]
    fn nobody_waits_longer_than_three_seconds_whoever_comes_later() {
        let mut throttle = Throttle::new();
        guessed(&mut throttle, 20);
        // Every one is a new client, which goes before those that had their turn.
        let all: Vec<_> = (0..200)
            .map(|client| (10 * client, attempt(client % 2 == 0, 1, client, 1)))
            .collect();
        let found = waits(&mut throttle, &all);
        assert!(
            found.iter().flatten().all(|wait| *wait <= 3000),
            "{found:?}"
        );
    }
}
