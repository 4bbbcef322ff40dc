//! Turns at handshakes.
//!
//! Owns the few threads that work on them, beside the one that answers requests, and whose
//! turn it is: a signature takes up to ten milliseconds, and anybody can ask for one. The
//! oldest work of the client whose turn is longest ago comes next, so that whoever asks
//! once waits for one of those who ask a thousand times. What nobody waits for any more
//! costs nothing.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// At the same time. One is left for requests where there are several processors.
const THREADS: usize = 4;
/// They count for less than requests (nice(2)).
const NICE: i32 = 5;
/// A thread without work ends after this long.
const REST: Duration = Duration::from_secs(60);

type Work = Box<dyn FnOnce() + Send>;

/// Whoever works on handshakes.
pub(crate) struct Turns(Arc<Shared>);

struct Shared {
    threads: usize,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Waiting,
    threads: usize,
    idle: usize,
}

/// Work that waits, and in which order.
#[derive(Default)]
struct Waiting {
    clients: HashMap<IpAddr, VecDeque<(u64, Work)>>,
    /// Clients with work by their last turn and their oldest work.
    turns: BTreeSet<(u64, u64, IpAddr)>,
    /// When those with work, or at it a moment ago, had their last turn.
    last: HashMap<IpAddr, u64>,
    numbers: u64,
}

impl Turns {
    pub(crate) fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Shared {
            threads: processors.saturating_sub(1).clamp(1, THREADS),
            state: Mutex::default(),
            work: Condvar::new(),
        }))
    }

    /// Has the work done in its client's turn; `None` if it cannot be.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        client: IpAddr,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, done) = oneshot::channel();
        let work = Box::new(move || {
            if !sender.is_closed() {
                // Whoever waited may be gone by now.
                let _ = sender.send(work());
            }
        });
        if !self.add(client, work) {
            return None;
        }
        done.await.ok()
    }

    fn add(&self, client: IpAddr, work: Work) -> bool {
        let shared = &self.0;
        let mut state = shared.state();
        if state.idle == 0 && state.threads < shared.threads {
            let thread = Arc::clone(shared);
            let started = std::thread::Builder::new()
                .name("tls".to_owned())
                .spawn(move || thread.serve());
            match started {
                Ok(_) => state.threads += 1,
                Err(_) if state.threads == 0 => return false,
                Err(_) => {}
            }
        }
        state.waiting.push(client, work);
        drop(state);
        shared.work.notify_one();
        true
    }
}

impl Waiting {
    fn push(&mut self, client: IpAddr, work: Work) {
        self.numbers += 1;
        let number = self.numbers;
        let queue = self.clients.entry(client).or_default();
        if queue.is_empty() {
            let last = self.last.get(&client).copied().unwrap_or(0);
            self.turns.insert((last, number, client));
        }
        queue.push_back((number, work));
    }

    fn pop(&mut self) -> Option<Work> {
        let (_, _, client) = self.turns.pop_first()?;
        let queue = self.clients.get_mut(&client)?;
        let (_, work) = queue.pop_front()?;
        self.numbers += 1;
        let turn = self.numbers;
        self.last.insert(client, turn);
        match queue.front() {
            Some((number, _)) => {
                self.turns.insert((turn, *number, client));
            }
            None => {
                self.clients.remove(&client);
            }
        }
        if self.clients.is_empty() {
            // Nobody waits: whoever comes next is first.
            self.last.clear();
        }
        Some(work)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        // Of this thread only. Refused is no harm: then it counts as much as requests.
        let _ = rustix::process::setpriority_process(None, NICE);
        let mut state = self.state();
        loop {
            let Some(work) = state.waiting.pop() else {
                state.idle += 1;
                let waited = self.work.wait_timeout(state, REST);
                let (woken, timed_out) = waited.unwrap_or_else(PoisonError::into_inner);
                state = woken;
                state.idle -= 1;
                if timed_out.timed_out() && state.waiting.turns.is_empty() {
                    state.threads -= 1;
                    return;
                }
                continue;
            };
            drop(state);
            // What panics drops its sender; the thread goes on.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            state = self.state();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const TWO: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
    const THREE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 3));

    #[test]
    fn whoever_asks_once_waits_for_one_of_those_who_ask_often() {
        let (done, order) = channel();
        let mut waiting = Waiting::default();
        for (client, number) in [(ONE, 1), (ONE, 2), (ONE, 3), (TWO, 4), (TWO, 5), (THREE, 6)] {
            let done = done.clone();
            waiting.push(client, Box::new(move || done.send(number).unwrap()));
        }
        while let Some(work) = waiting.pop() {
            work();
        }
        drop(done);
        let order: Vec<i32> = order.iter().collect();
        assert_eq!(order, [1, 4, 6, 2, 5, 3]);
        assert!(waiting.last.is_empty() && waiting.clients.is_empty());
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_not_worked_on_and_what_panics_is_lost_alone() {
        let turns = Turns::new();
        assert_eq!(turns.run(ONE, || panic!("as it should")).await, None::<()>);
        let forgotten = turns.run(ONE, || panic!("nobody waits"));
        drop(forgotten);
        assert_eq!(turns.run(TWO, || 7).await, Some(7));
    }
}
