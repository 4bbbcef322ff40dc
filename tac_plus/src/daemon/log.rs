//! Log lines on standard error.
//!
//! Owns the one thread that writes them. Must never make a request wait: if
//! whoever reads the log stops reading, lines are dropped and counted.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::time::Duration;

/// Lines that may wait for a slow reader.
const QUEUE: usize = 4096;
/// How long the end of the program waits for such a reader.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where to put lines. Cheap to copy.
#[derive(Clone)]
pub struct Log {
    lines: SyncSender<String>,
    lost: Arc<AtomicU64>,
}

/// The writer: tells when it has ended, which is after every [`Log`] is gone.
pub struct Writer(Receiver<()>);

impl Log {
    /// A log on standard error.
    ///
    /// # Errors
    ///
    /// If no thread can be started.
    pub fn to_stderr() -> std::io::Result<(Self, Writer)> {
        let (lines, queue) = sync_channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&lost);
        let (alive, ended) = channel();
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                write(&queue, &count);
                drop(alive);
            })?;
        Ok((Self { lines, lost }, Writer(ended)))
    }

    /// Logs a line. Text from the network in it must be escaped already.
    pub fn line(&self, line: String) {
        if self.lines.try_send(line).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Writer {
    /// Waits until everything is written, but not for ever: whoever has stopped
    /// reading, or a disk that hangs, must not keep the program from ending.
    pub fn finish(self) {
        // Nothing is ever sent: this ends with the thread or with the patience.
        let _ = self.0.recv_timeout(PATIENCE);
    }
}

fn write(queue: &Receiver<String>, lost: &AtomicU64) {
    let mut text = String::new();
    while let Ok(first) = queue.recv() {
        text.clear();
        for line in std::iter::once(first).chain(queue.try_iter().take(256)) {
            for part in line.lines() {
                text.push_str("tac_plus: ");
                text.push_str(part);
                text.push('\n');
            }
        }
        let missing = lost.swap(0, Ordering::Relaxed);
        if missing > 0 {
            text.push_str(&format!(
                "tac_plus: {missing} log lines were lost: nobody read them fast enough\n"
            ));
        }
        // There is nowhere to report that standard error is gone.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}
