//! How long a server keeps somebody waiting, on a machine that has much else to do.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A watch that stands still while threads of the server, or the one that holds it,
/// are ready and other programs have the processors: a machine with much else to do
/// makes nobody slow by it.
pub struct Watch {
    began: Instant,
    queued: Duration,
    tasks: PathBuf,
}

impl Watch {
    /// Of the process with this number.
    pub fn start(process: u32) -> Self {
        let tasks = PathBuf::from(format!("/proc/{process}/task"));
        Self {
            began: Instant::now(),
            queued: queued(&tasks),
            tasks,
        }
    }

    pub fn elapsed(&self) -> Duration {
        let queued = queued(&self.tasks).saturating_sub(self.queued);
        self.began.elapsed().saturating_sub(queued)
    }
}

/// How long the threads of a folder of /proc, and this one, were ready and did not run.
fn queued(tasks: &Path) -> Duration {
    let tasks = std::fs::read_dir(tasks).unwrap();
    let paths = tasks.map(|task| task.unwrap().path());
    let nanoseconds = paths
        .chain([PathBuf::from("/proc/thread-self")])
        // A thread may have ended meanwhile.
        .filter_map(|task| std::fs::read_to_string(task.join("schedstat")).ok())
        .filter_map(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok());
    Duration::from_nanos(nanoseconds.sum())
}
