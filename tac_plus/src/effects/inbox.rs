//! Results on their way back to the connection that waits for them.
//!
//! Owns the way from whoever performs an effect to the session that asked for it.
//! Every [`Ticket`] is answered exactly once, with [`Done::Failed`] if whoever held
//! it is gone or takes too long, and its number is used for one effect only: a late
//! result finds nobody and reaches no other session.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::policy::Done;

/// The effects that a connection waits for. Costs nothing before the first one.
#[derive(Default)]
pub(crate) struct Inbox {
    shared: Option<Arc<Shared>>,
    waiting: Vec<Waiting>,
    numbers: u64,
}

/// An effect that has no result yet.
struct Waiting {
    session_id: u32,
    number: u64,
    /// It has this one at the latest.
    end: Instant,
    is_pause: bool,
}

#[derive(Default)]
struct Shared {
    results: Mutex<Vec<(u64, Done)>>,
    arrived: Notify,
    gone: AtomicBool,
}

/// The right to tell one result.
pub(crate) struct Ticket {
    /// `None` once it is told.
    shared: Option<Arc<Shared>>,
    number: u64,
}

impl Inbox {
    /// A ticket for an effect of this session, which failed if it takes longer than
    /// the limit.
    pub(crate) fn ticket(&mut self, session_id: u32, limit: Duration) -> Ticket {
        self.numbers += 1;
        self.waiting.push(Waiting {
            session_id,
            number: self.numbers,
            end: Instant::now() + limit,
            is_pause: false,
        });
        Ticket {
            shared: Some(Arc::clone(self.shared.get_or_insert_default())),
            number: self.numbers,
        }
    }

    /// As [`Inbox::ticket`], for a session that waits for its turn and for nothing else.
    pub(crate) fn pause(&mut self, session_id: u32, limit: Duration) -> Ticket {
        let ticket = self.ticket(session_id, limit);
        if let Some(last) = self.waiting.last_mut() {
            last.is_pause = true;
        }
        ticket
    }

    /// How many sessions wait for their turn.
    pub(crate) fn pauses(&self) -> usize {
        self.waiting.iter().filter(|one| one.is_pause).count()
    }

    /// Whether anything but turns is waited for.
    pub(crate) fn is_busy(&self) -> bool {
        self.waiting.iter().any(|one| !one.is_pause)
    }

    /// A session begins: whatever is in flight for an earlier one of that number is
    /// none of its business.
    pub(crate) fn begin(&mut self, session_id: u32) {
        self.waiting.retain(|one| one.session_id != session_id);
    }

    /// Whether no effect is in flight.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// When the next effect has taken too long.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.waiting.iter().map(|one| one.end).min()
    }

    /// Waits until something was told; for ever if nothing can be. May be dropped and
    /// called again. Also what nobody waits for any more has to be taken: it may hold
    /// a dialogue.
    pub(crate) async fn arrived(&self) {
        match &self.shared {
            Some(shared) => shared.arrived.notified().await,
            None => std::future::pending().await,
        }
    }

    /// The results there are, each with its session: what was told in the order it
    /// was, then what took too long.
    pub(crate) fn take(&mut self) -> Vec<(u32, Done)> {
        let mut found = Vec::new();
        if let Some(shared) = &self.shared {
            for (number, done) in shared.results().drain(..) {
                if let Some(at) = self.waiting.iter().position(|one| one.number == number) {
                    found.push((self.waiting.swap_remove(at).session_id, done));
                }
            }
        }
        if !self.waiting.is_empty() {
            let now = Instant::now();
            let late = self.waiting.extract_if(.., |one| one.end <= now);
            found.extend(late.map(|one| (one.session_id, Done::Failed)));
        }
        found
    }

    /// Waits until there may be a result, `limit` at most, and takes what there is.
    /// Who waits that long in vain gets none any more.
    pub(crate) async fn next(&mut self, limit: Duration) -> Vec<(u32, Done)> {
        let end = Instant::now() + limit;
        let due = self.deadline().map_or(end, |due| due.min(end));
        // Whether anything was told shows next.
        let _ = tokio::time::timeout_at(due.into(), self.arrived()).await;
        let mut found = self.take();
        if found.is_empty() && Instant::now() >= end {
            let late = self.waiting.drain(..);
            found.extend(late.map(|one| (one.session_id, Done::Failed)));
        }
        found
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.gone.store(true, Ordering::Relaxed);
        }
    }
}

impl Shared {
    fn results(&self) -> MutexGuard<'_, Vec<(u64, Done)>> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// Tells the result.
    pub(crate) fn done(mut self, done: Done) {
        self.tell(done);
    }

    /// Whether the connection is no longer there to hear it.
    pub(crate) fn is_for_nobody(&self) -> bool {
        let gone = |shared: &Arc<Shared>| shared.gone.load(Ordering::Relaxed);
        self.shared.as_ref().is_none_or(gone)
    }

    fn tell(&mut self, done: Done) {
        if let Some(shared) = self.shared.take() {
            shared.results().push((self.number, done));
            shared.arrived.notify_one();
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.tell(Done::Failed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::TryRecvError;

    use super::*;
    use crate::effects::Dialogue;
    use crate::policy::PamSays;

    const LONG: Duration = Duration::from_secs(3600);

    fn taken(inbox: &mut Inbox) -> Vec<(u32, &'static str)> {
        let name = |done| match done {
            Done::Stored => "stored",
            Done::Due => "due",
            Done::Failed => "failed",
            _ => "something else",
        };
        let results = inbox.take().into_iter();
        results
            .map(|(session, done)| (session, name(done)))
            .collect()
    }

    #[test]
    fn results_come_in_the_order_of_their_arrival_each_with_its_session() {
        let mut inbox = Inbox::default();
        let (first, second) = (inbox.ticket(1, LONG), inbox.ticket(2, LONG));
        second.done(Done::Stored);
        assert_eq!(taken(&mut inbox), [(2, "stored")]);
        drop(first);
        assert_eq!(taken(&mut inbox), [(1, "failed")], "nobody performed it");
        assert!(inbox.is_empty());
    }

    #[test]
    fn what_takes_too_long_failed_and_a_pause_is_nothing_to_be_busy_with() {
        let mut inbox = Inbox::default();
        let late = inbox.ticket(1, Duration::ZERO);
        let pause = inbox.pause(2, LONG);
        assert!(inbox.is_busy() && inbox.pauses() == 1);
        assert_eq!(taken(&mut inbox), [(1, "failed")]);
        assert!(!inbox.is_busy());
        late.done(Done::Stored);
        pause.done(Done::Due);
        assert_eq!(taken(&mut inbox), [(2, "due")]);
        assert_eq!(inbox.pauses(), 0);
    }

    #[test]
    fn a_late_result_reaches_no_later_session_of_the_same_number() {
        let mut inbox = Inbox::default();
        let late = inbox.ticket(1, LONG);
        inbox.begin(1);
        let next = inbox.ticket(1, LONG);
        late.done(Done::Due);
        assert_eq!(taken(&mut inbox), []);
        next.done(Done::Stored);
        assert_eq!(taken(&mut inbox), [(1, "stored")]);
    }

    #[tokio::test]
    async fn a_question_that_comes_too_late_ends_its_dialogue() {
        let mut inbox = Inbox::default();
        let late = inbox.ticket(1, Duration::ZERO);
        assert_eq!(taken(&mut inbox), [(1, "failed")]);
        let (waits, answer) = std::sync::mpsc::channel();
        late.done(Done::Pam(PamSays::Ask {
            prompt: Vec::new(),
            echo: false,
            dialogue: Dialogue::waiting(waits),
        }));
        tokio::time::timeout(LONG, inbox.arrived()).await.unwrap();
        assert_eq!(taken(&mut inbox), []);
        assert!(
            answer
                .try_recv()
                .is_err_and(|error| error == TryRecvError::Disconnected)
        );
    }

    #[test]
    fn a_ticket_knows_that_its_connection_is_gone() {
        let mut inbox = Inbox::default();
        let ticket = inbox.ticket(1, LONG);
        assert!(!ticket.is_for_nobody());
        drop(inbox);
        assert!(ticket.is_for_nobody());
    }
}
