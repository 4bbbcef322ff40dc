//! Results on their way back to the connection that waits for them.
//!
//! Owns the way from whoever performs an effect to the session that asked for it.
//! Every [`Ticket`] is answered exactly once, with [`Done::Failed`] if whoever held
//! it is gone, and its number is used for one effect only: a late result finds
//! nobody and reaches no other session.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::policy::Done;

/// The effects that a connection waits for. Costs nothing before the first one.
#[derive(Default)]
pub(crate) struct Inbox {
    shared: Option<Arc<Shared>>,
    /// Session and number of every effect that has no result yet.
    waiting: Vec<(u32, u64)>,
    numbers: u64,
}

#[derive(Default)]
struct Shared {
    results: Mutex<Vec<(u64, Done)>>,
    arrived: Notify,
    abandoned: Notify,
}

/// The right to tell one result.
pub(crate) struct Ticket {
    /// `None` once it is told.
    shared: Option<Arc<Shared>>,
    number: u64,
}

impl Inbox {
    /// A ticket for an effect of this session.
    pub(crate) fn ticket(&mut self, session_id: u32) -> Ticket {
        self.numbers += 1;
        self.waiting.push((session_id, self.numbers));
        Ticket {
            shared: Some(Arc::clone(self.shared.get_or_insert_default())),
            number: self.numbers,
        }
    }

    /// A session begins: whatever is in flight for an earlier one of that number is
    /// none of its business.
    pub(crate) fn begin(&mut self, session_id: u32) {
        self.waiting.retain(|(other, _)| *other != session_id);
    }

    /// Whether no effect is in flight.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Waits until there is a result; for ever if nothing is in flight. May be
    /// dropped and called again.
    pub(crate) async fn arrived(&self) {
        match &self.shared {
            Some(shared) if !self.waiting.is_empty() => shared.arrived.notified().await,
            _ => std::future::pending().await,
        }
    }

    /// The results there are, each with its session, in the order of their arrival.
    pub(crate) fn take(&mut self) -> Vec<(u32, Done)> {
        let Some(shared) = &self.shared else {
            return Vec::new();
        };
        let mut results = shared.results();
        let found = results.drain(..).filter_map(|(number, done)| {
            let at = self
                .waiting
                .iter()
                .position(|(_, other)| *other == number)?;
            Some((self.waiting.remove(at).0, done))
        });
        found.collect()
    }

    /// Gives up whatever is in flight.
    pub(crate) fn give_up(&mut self) -> Vec<(u32, Done)> {
        let mut results = self.take();
        let late = self.waiting.drain(..);
        results.extend(late.map(|(session_id, _)| (session_id, Done::Failed)));
        results
    }

    /// Waits until there is a result, `limit` at most, and takes what there is. Who
    /// waits that long in vain gets no result any more.
    pub(crate) async fn next(&mut self, limit: Duration) -> Vec<(u32, Done)> {
        match tokio::time::timeout(limit, self.arrived()).await {
            Ok(()) => self.take(),
            Err(_) => self.give_up(),
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.abandoned.notify_waiters();
        }
    }
}

impl Shared {
    fn results(&self) -> std::sync::MutexGuard<'_, Vec<(u64, Done)>> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// Tells the result.
    pub(crate) fn done(mut self, done: Done) {
        self.tell(done);
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
    use super::*;

    #[test]
    fn results_come_in_the_order_of_their_arrival_each_with_its_session() {
        let mut inbox = Inbox::default();
        let (first, second) = (inbox.ticket(1), inbox.ticket(2));
        second.done(Done::Stored);
        assert_eq!(inbox.take(), [(2, Done::Stored)]);
        drop(first);
        assert_eq!(inbox.take(), [(1, Done::Failed)], "nobody performed it");
        assert!(inbox.is_empty());
    }

    #[test]
    fn a_late_result_reaches_no_later_session_of_the_same_number() {
        let mut inbox = Inbox::default();
        let late = inbox.ticket(1);
        inbox.begin(1);
        late.done(Done::Stored);
        assert_eq!(inbox.take(), []);
        let given_up = inbox.ticket(2);
        assert_eq!(inbox.give_up(), [(2, Done::Failed)]);
        let next = inbox.ticket(2);
        given_up.done(Done::Stored);
        assert_eq!(inbox.take(), []);
        next.done(Done::Stored);
        assert_eq!(inbox.take(), [(2, Done::Stored)]);
    }
}
