//! How long an operation may wait for servers.
//!
//! Three limits (the `[global]` keys of their names): `timeout` for one connect or
//! one reply, `authen_timeout` for a reply that a person's telephone may have to
//! approve first, `deadline` for the sum of the waits on servers. A person's
//! typing is in none of them.

use std::time::{Duration, Instant};

/// A wait that woke up this much too late says nothing about the server: this
/// process was stopped, or the machine slept.
const OVERSLEPT: Duration = Duration::from_secs(2);

/// A server counts as dead after this much silence, or most of its own `timeout` if
/// that is shorter: a lost SYN is sent again only after a second (RFC 6298 section 2).
pub(super) const FAIR_CHANCE: Duration = Duration::from_secs(1);

/// What is left of an operation's `deadline`.
pub(super) struct Budget {
    left: Duration,
}

impl Budget {
    pub(super) const fn new(deadline: Duration) -> Self {
        Self { left: deadline }
    }

    pub(super) const fn is_spent(&self) -> bool {
        self.left.is_zero()
    }

    /// Lowers what is left to at most `limit`.
    pub(super) fn cap(&mut self, limit: Duration) {
        self.left = self.left.min(limit);
    }

    /// Runs `work` with an equal share for one of so many, and takes off what it used.
    pub(super) fn share<T>(&mut self, of: usize, work: impl FnOnce(&mut Self) -> T) -> T {
        let parts = u32::try_from(of).unwrap_or(u32::MAX).max(1);
        let mut share = Self::new(self.left.checked_div(parts).unwrap_or_default());
        let given = share.left;
        let result = work(&mut share);
        self.take(given.saturating_sub(share.left));
        result
    }

    /// Runs `wait` with a limit of `timeout` or of what is left, and takes the
    /// time it used off: no more than its limit, since beyond it this process was
    /// stopped. Who calls su can do that, and must not use up the server's time.
    pub(super) fn spend<T>(&mut self, timeout: Duration, wait: impl FnOnce(&Wait) -> T) -> T {
        let limit = Wait::new(timeout.min(self.left));
        let result = wait(&limit);
        self.take(limit.elapsed().min(limit.limit));
        result
    }

    /// Takes time off that no limit held back.
    pub(super) fn take(&mut self, time: Duration) {
        self.left = self.left.saturating_sub(time);
    }
}

/// One wait with its end.
pub(super) struct Wait {
    started: Instant,
    limit: Duration,
}

impl Wait {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            started: Instant::now(),
            limit,
        }
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Time left, `None` when there is none.
    pub(super) fn remaining(&self) -> Option<Duration> {
        self.limit
            .checked_sub(self.elapsed())
            .filter(|left| !left.is_zero())
    }

    /// Whether a wait that has ended since `begun` says nothing against a server with
    /// this `timeout`: a setuid program can be stopped by its caller, and the deadline
    /// may have left next to nothing.
    pub(super) fn is_late(&self, begun: Instant, timeout: Duration) -> bool {
        // Not all of it: some went by before.
        let fair = timeout.mul_f32(0.75).min(FAIR_CHANCE);
        begun.elapsed() < fair || self.elapsed() > self.limit.saturating_add(OVERSLEPT)
    }

    /// When it began.
    pub(super) const fn begun(&self) -> Instant {
        self.started
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_overslept_takes_no_more_than_its_limit() {
        let mut budget = Budget::new(Duration::from_millis(30));
        budget.spend(Duration::from_millis(10), |wait| {
            std::thread::sleep(Duration::from_millis(50));
            assert_eq!(wait.remaining(), None);
        });
        assert_eq!(budget.left, Duration::from_millis(20));
    }

    #[test]
    fn waits_share_the_deadline_and_each_has_its_own_limit() {
        let mut budget = Budget::new(Duration::from_secs(12));
        budget.spend(Duration::from_secs(5), |wait| {
            assert!(wait.remaining() <= Some(Duration::from_secs(5)));
        });
        budget.cap(Duration::from_millis(500));
        budget.spend(Duration::from_secs(5), |wait| {
            assert!(wait.remaining() <= Some(Duration::from_millis(500)));
        });
        budget.cap(Duration::ZERO);
        assert!(budget.is_spent());
        budget.spend(Duration::from_secs(5), |wait| {
            assert_eq!(wait.remaining(), None)
        });
    }
}
