//! Records that wait for the writer.
//!
//! Owns their order, and how much may wait: so many records, and so many bytes, since
//! one record may be as long as a packet and its escapes longer. Must never take a
//! record that it cannot keep.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::Target;
use crate::effects::inbox::Ticket;

/// Records that may wait before connections are made to wait.
const RECORDS: usize = 4096;
/// And bytes of them. One alone may be longer.
const BYTES: usize = 4 * 1024 * 1024;
/// Looks for more of those that come at the same time.
const LOOKS: u32 = 3;

/// What the writer is to do next.
pub(super) enum Job {
    /// Lines that share a write; each ends with a newline and holds no other.
    Records(Vec<u8>),
    /// Later records go there; also the same place anew, after a rotation.
    Target(Target),
}

/// What has come since the last time, and the tickets of its records in their order.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) jobs: Vec<Job>,
    pub(super) tickets: Vec<Ticket>,
    bytes: usize,
}

#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    came: Notify,
    taken: Notify,
}

#[derive(Default)]
struct Waiting {
    batch: Batch,
    closed: bool,
}

impl Queue {
    /// Takes a record in, or gives its ticket back if there is no room for it.
    pub(super) fn add(&self, line: &[u8], ticket: Ticket) -> Result<(), Ticket> {
        let mut waiting = self.waiting();
        let batch = &mut waiting.batch;
        let records = batch.tickets.len();
        if records >= RECORDS || (records > 0 && batch.bytes + line.len() > BYTES) {
            return Err(ticket);
        }
        let is_first = batch.jobs.is_empty();
        batch.bytes += line.len();
        batch.tickets.push(ticket);
        match batch.jobs.last_mut() {
            Some(Job::Records(lines)) => lines.extend_from_slice(line),
            _ => batch.jobs.push(Job::Records(line.to_vec())),
        }
        drop(waiting);
        if is_first {
            self.came.notify_one();
        }
        Ok(())
    }

    /// Waits for the next time that there may be room again. To be made before the look
    /// that finds none.
    pub(super) fn room(&self) -> Notified<'_> {
        self.taken.notified()
    }

    pub(super) fn set_target(&self, target: Target) {
        self.waiting().batch.jobs.push(Job::Target(target));
        self.came.notify_one();
    }

    /// Nothing more comes.
    pub(super) fn close(&self) {
        self.waiting().closed = true;
        self.came.notify_one();
    }

    /// Everything that has come, once something has; `None` when nothing will.
    pub(super) async fn next(&self) -> Option<Batch> {
        loop {
            self.gather().await;
            let (batch, closed) = self.take();
            if !batch.jobs.is_empty() {
                self.taken.notify_waiters();
                return Some(batch);
            }
            if closed {
                return None;
            }
            self.came.notified().await;
        }
    }

    fn take(&self) -> (Batch, bool) {
        let mut waiting = self.waiting();
        (std::mem::take(&mut waiting.batch), waiting.closed)
    }

    /// Lets connections that have something to store now, or that hear something new
    /// before the loop would sleep, come along: a record that misses a write waits for
    /// two.
    async fn gather(&self) {
        let mut known = 0;
        for _ in 0..LOOKS {
            let count = self.waiting().batch.tickets.len();
            if count == known {
                return;
            }
            known = count;
            tokio::task::yield_now().await;
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::effects::inbox::Inbox;

    fn ticket() -> Ticket {
        Inbox::default().ticket(1, Duration::from_secs(3600))
    }

    #[tokio::test]
    async fn what_waits_is_bounded_in_bytes_and_in_number_and_there_is_room_again_later() {
        for (length, room) in [(64 * 1024, BYTES / (64 * 1024)), (10, RECORDS)] {
            let queue = Queue::default();
            let line = vec![b'x'; length];
            let mut taken_in = 0;
            while queue.add(&line, ticket()).is_ok() {
                taken_in += 1;
            }
            assert_eq!(taken_in, room);
            let again = queue.room();
            assert_eq!(
                queue.next().await.map(|batch| batch.tickets.len()),
                Some(room)
            );
            again.await;
            assert!(queue.add(&line, ticket()).is_ok());
        }
    }

    #[test]
    fn one_record_is_taken_however_long_it_is() {
        let queue = Queue::default();
        assert!(queue.add(&vec![b'x'; BYTES + 1], ticket()).is_ok());
        assert!(queue.add(b"x", ticket()).is_err());
    }

    #[tokio::test]
    async fn records_before_a_change_of_the_target_stay_before_it() {
        let queue = Queue::default();
        let add = |line: &[u8]| assert!(queue.add(line, ticket()).is_ok());
        add(b"one\n");
        add(b"two\n");
        let settings = crate::policy::draft::Settings::default();
        queue.set_target(Target::of(&settings));
        add(b"three\n");
        queue.close();
        let batch = queue.next().await.unwrap();
        let jobs = batch.jobs.iter().map(|job| match job {
            Job::Records(lines) => String::from_utf8_lossy(lines),
            Job::Target(_) => "target".into(),
        });
        assert_eq!(
            jobs.collect::<Vec<_>>(),
            ["one\ntwo\n", "target", "three\n"]
        );
        assert!(queue.next().await.is_none());
    }
}
