//! Threads for what blocks.
//!
//! Owns their number and the queue before them. Both are bounded, no client may take more
//! than half, and clients take turns: a flood through one device leaves room for the
//! others, and they do not wait for all of it. A job that finds no room is dropped, and its
//! ticket says so.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A thread without work ends after this long.
const REST: Duration = Duration::from_secs(60);

type Work = Box<dyn FnOnce() + Send>;

/// A bounded number of threads, started when there is work for them.
pub(super) struct Pool(Arc<Shared>);

struct Shared {
    name: &'static str,
    /// How much less than requests they count (nice(2)).
    nice: i32,
    threads: usize,
    queue: usize,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<(IpAddr, Work)>,
    threads: usize,
    idle: usize,
    /// Jobs that wait or run.
    jobs: usize,
    /// The same, by client.
    by_client: HashMap<IpAddr, Client>,
    /// When each job that runs began, by its number.
    running: HashMap<u64, Instant>,
    numbers: u64,
}

#[derive(Default)]
struct Client {
    jobs: usize,
    /// The number of the job that began last; none has that of zero.
    last: u64,
}

impl State {
    /// Takes the oldest job of the client whose turn is longest ago.
    fn next(&mut self) -> Option<(IpAddr, Work)> {
        let turn = |client| self.by_client.get(client).map_or(0, |client| client.last);
        let waiting = self.queue.iter().enumerate();
        let (at, _) = waiting.min_by_key(|(_, (client, _))| turn(client))?;
        self.queue.remove(at)
    }
}

/// There was no room for a job.
pub(super) struct Full;

impl Pool {
    pub(super) fn new(name: &'static str, nice: i32, threads: usize, queue: usize) -> Self {
        Self(Arc::new(Shared {
            name,
            nice,
            threads,
            queue,
            state: Mutex::default(),
            work: Condvar::new(),
        }))
    }

    /// Whether there is nothing to do.
    pub(super) fn is_idle(&self) -> bool {
        self.0.state().jobs == 0
    }

    /// How many threads have been at one job for longer than this. What blocks for ever
    /// cannot be ended, and keeps its thread.
    pub(super) fn stuck(&self, longer: Duration) -> usize {
        let state = self.0.state();
        let running = state.running.values();
        running.filter(|since| since.elapsed() > longer).count()
    }

    /// Has the work done by one of the threads.
    pub(super) fn run(
        &self,
        client: IpAddr,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<(), Full> {
        let shared = &self.0;
        let mut state = shared.state();
        let of_client = state.by_client.get(&client).map_or(0, |client| client.jobs);
        let room = shared.threads + shared.queue;
        if state.jobs >= room || of_client >= room.div_ceil(2) {
            return Err(Full);
        }
        if state.idle <= state.queue.len() && state.threads < shared.threads {
            let thread = Arc::clone(shared);
            let started = std::thread::Builder::new()
                .name(shared.name.to_owned())
                .spawn(move || thread.serve());
            match started {
                Ok(_) => state.threads += 1,
                Err(_) if state.threads == 0 => return Err(Full),
                Err(_) => {}
            }
        }
        state.jobs += 1;
        state.by_client.entry(client).or_default().jobs += 1;
        state.queue.push_back((client, Box::new(work)));
        shared.work.notify_one();
        Ok(())
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        // Of this thread only. Refused is no harm: then it counts as much as requests.
        let _ = rustix::process::setpriority_process(None, self.nice);
        let mut state = self.state();
        loop {
            let Some((client, work)) = state.next() else {
                state.idle += 1;
                let waited = self.work.wait_timeout(state, REST);
                let (woken, timed_out) = waited.unwrap_or_else(PoisonError::into_inner);
                state = woken;
                state.idle -= 1;
                if timed_out.timed_out() && state.queue.is_empty() {
                    state.threads -= 1;
                    return;
                }
                continue;
            };
            state.numbers += 1;
            let number = state.numbers;
            if let Some(client) = state.by_client.get_mut(&client) {
                client.last = number;
            }
            state.running.insert(number, Instant::now());
            drop(state);
            // What panics drops its ticket; the thread goes on.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            state = self.state();
            state.running.remove(&number);
            state.jobs -= 1;
            if let Some(entry) = state.by_client.get_mut(&client) {
                entry.jobs -= 1;
                if entry.jobs == 0 {
                    state.by_client.remove(&client);
                }
            }
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
    fn work_that_finds_no_room_is_refused_and_there_is_room_again_later() {
        let pool = Pool::new("test", 0, 1, 3);
        let (start, started) = channel();
        let (end, ended) = channel::<()>();
        let running = pool.run(ONE, move || {
            start.send(()).unwrap();
            let _ = ended.recv();
        });
        assert!(running.is_ok());
        started.recv().unwrap();
        let (done, count) = channel();
        let job = |client| {
            let done = done.clone();
            pool.run(client, move || done.send(()).unwrap()).is_ok()
        };
        assert!(job(ONE));
        assert!(!job(ONE), "a client has half of it");
        assert!(job(TWO) && job(TWO));
        assert!(!job(THREE), "the queue is full");
        drop(end);
        (0..3).for_each(|_| count.recv().unwrap());
        assert!(job(ONE), "and empty again");
    }

    #[test]
    fn who_has_one_job_does_not_wait_for_all_of_somebody_elses() {
        let pool = Pool::new("test", 0, 1, 9);
        let (start, started) = channel();
        let (end, ended) = channel::<()>();
        let running = pool.run(ONE, move || {
            start.send(()).unwrap();
            let _ = ended.recv();
        });
        assert!(running.is_ok());
        started.recv().unwrap();
        let (done, order) = channel();
        for (client, number) in [(ONE, 1), (ONE, 2), (TWO, 3), (ONE, 4), (TWO, 5), (THREE, 6)] {
            let done = done.clone();
            let added = pool.run(client, move || done.send(number).unwrap());
            assert!(added.is_ok());
        }
        drop((end, done));
        assert_eq!(order.iter().collect::<Vec<i32>>(), [3, 6, 1, 5, 2, 4]);
    }

    #[test]
    fn a_job_that_does_not_end_shows() {
        let pool = Pool::new("test", 0, 1, 1);
        let (start, started) = channel();
        let (end, ended) = channel::<()>();
        let running = pool.run(ONE, move || {
            start.send(()).unwrap();
            let _ = ended.recv();
        });
        assert!(running.is_ok());
        started.recv().unwrap();
        while pool.stuck(Duration::from_millis(1)) == 0 {
            std::thread::yield_now();
        }
        assert_eq!(pool.stuck(Duration::from_secs(3600)), 0);
        drop(end);
        while !pool.is_idle() {
            std::thread::yield_now();
        }
        assert_eq!(pool.stuck(Duration::ZERO), 0);
    }

    #[test]
    fn work_that_panics_takes_no_thread_along() {
        let pool = Pool::new("test", 0, 1, 8);
        let (done, result) = channel();
        assert!(pool.run(ONE, || panic!("as it should")).is_ok());
        assert!(pool.run(ONE, move || done.send(()).unwrap()).is_ok());
        result.recv().unwrap();
    }
}
