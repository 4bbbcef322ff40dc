//! Answers that wait for their turn.
//!
//! Owns the clock of [`Throttle`], and the way from there to the connections. Must never
//! know what an answer is.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::log::Log;
use crate::effects::inbox::{Inbox, Ticket};
use crate::policy::throttle::{LIMIT, Throttle, Verdict};
use crate::policy::{Attempt, Done};

/// After the longest wait, a turn that nobody called is none.
const GRACE: Duration = Duration::from_secs(1);

/// Whose answers wait.
pub(super) struct Waits {
    state: Mutex<State>,
    changed: Notify,
    started: Instant,
}

#[derive(Default)]
struct State {
    throttle: Throttle,
    tickets: HashMap<u64, Ticket>,
}

impl Waits {
    /// `started`: what times are counted from.
    pub(super) fn new(started: Instant) -> Self {
        Self {
            state: Mutex::default(),
            changed: Notify::new(),
            started,
        }
    }

    /// Counts an attempt. Its session is told later, or what comes back is told at once.
    /// `most`: so many sessions of one connection may wait.
    pub(super) fn count(
        &self,
        attempt: &Attempt,
        now: Instant,
        session_id: u32,
        inbox: &mut Inbox,
        most: usize,
    ) -> Option<Done> {
        let now = now.saturating_duration_since(self.started);
        let mut state = self.state();
        let may_wait = inbox.is_empty() || inbox.pauses() < most;
        match state.throttle.count(attempt, may_wait, now) {
            Verdict::Now => Some(Done::Due),
            Verdict::TooLate => {
                self.changed.notify_one();
                Some(Done::TooLate)
            }
            Verdict::Wait(number) => {
                let ticket = inbox.pause(session_id, LIMIT + GRACE);
                state.tickets.insert(number, ticket);
                self.changed.notify_one();
                None
            }
        }
    }

    /// Calls turns for as long as the daemon runs.
    pub(super) async fn run(&self, log: &Log) {
        loop {
            let next = self.call(log);
            let due = async {
                match next {
                    Some(next) => tokio::time::sleep_until((self.started + next).into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                () = self.changed.notified() => {}
            }
        }
    }

    /// Tells whose turn it is; when there is more to tell.
    fn call(&self, log: &Log) -> Option<Duration> {
        let mut state = self.state();
        for (number, is_given) in state.throttle.due(self.started.elapsed()) {
            if let Some(ticket) = state.tickets.remove(&number) {
                ticket.done(match is_given {
                    true => Done::Due,
                    false => Done::TooLate,
                });
            }
        }
        for line in state.throttle.news() {
            log.line(line);
        }
        state.throttle.next()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
