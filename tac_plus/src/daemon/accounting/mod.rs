//! Accounting records on their way to where they are kept.
//!
//! Owns the order of records and what "stored" means: write(2) has taken all of it,
//! so that it survives the end of this process, or with `accounting sync = yes` the
//! disk has; and the system log has it, if it is to. Records that come while others
//! are being written share the next write. Must never do any of this on the thread
//! that answers requests.
//!
//! | file | owns |
//! |---|---|
//! | `file` | the accounting file |
//! | `queue` | records that wait |

mod file;
mod queue;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::files::try_out;
use super::json::Object;
use super::log::Log;
use super::syslog::{self, Syslog};
use super::time::Stamp;
use crate::effects::inbox::Ticket;
use crate::escape::lone_blanks;
use crate::policy::Done;
use crate::policy::draft::{AccountingFormat, Settings};
use file::RecordFile;
use queue::{Job, Queue};

/// How long another daemon may hold the lock, and the queue may be full, before
/// records are answered with ERROR.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where records go, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    file: Option<PathBuf>,
    sync: bool,
    format: AccountingFormat,
    /// Also to the system log, under the facility of this name or `daemon`.
    syslog: Option<Option<String>>,
}

impl Target {
    /// What a configuration says.
    pub(super) fn of(settings: &Settings) -> Self {
        let default = || (!settings.accounting_syslog).then(|| Settings::DEFAULT_ACCOUNTING.into());
        Self {
            file: settings.accounting_file.clone().or_else(default),
            sync: settings.accounting_sync,
            format: settings.accounting_format,
            syslog: (settings.accounting_syslog).then(|| settings.facility.clone()),
        }
    }

    /// Why records could not go there now, for the one who starts the server or reloads
    /// to know. Writes nothing.
    pub(super) fn trouble(&self) -> Vec<String> {
        let syslog = self.syslog.as_ref().and_then(|_| syslog::trouble());
        let syslog = syslog.map(|error| no_syslog(&error));
        self.file_trouble().into_iter().chain(syslog).collect()
    }

    fn file_trouble(&self) -> Option<String> {
        let path = self.file.as_ref()?;
        let error = try_out(path).err()?;
        let path = path.display();
        Some(format!(
            "accounting file {path} cannot be written: {error}; records are answered with \
             ERROR until it can"
        ))
    }
}

/// Where to put records.
pub(super) struct Store(Arc<Queue>);

/// Jobs for the writer, and the way back: which records are stored, in their order.
type Work = (Vec<Job>, oneshot::Sender<Vec<bool>>);

impl Store {
    /// Starts the writer. To be called within a runtime.
    pub(super) fn start(target: Target, log: Log) -> io::Result<Self> {
        // Not the standard library's, which spins before it sleeps: on one core nobody
        // can end that wait.
        let (batches, work) = mpsc::channel(1);
        let mut writer = Writer {
            file: RecordFile::new(log.clone()),
            log,
            failing: false,
            syslog: None,
            target,
            stamp: Stamp::default(),
        };
        writer.turn();
        std::thread::Builder::new()
            .name("accounting".to_owned())
            .spawn(move || writer.run(work))?;
        let queue = Arc::new(Queue::default());
        tokio::spawn(relay(Arc::clone(&queue), batches));
        Ok(Self(queue))
    }

    /// Hands over a record. The ticket tells [`Done::Stored`] once it is stored.
    pub(super) async fn record(&self, line: &[u8], ticket: Ticket) {
        let Err(mut ticket) = self.0.add(line, ticket) else {
            return;
        };
        // A writer that hangs for so long drops the ticket, which says "failed".
        let end = Instant::now() + PATIENCE;
        loop {
            let room = self.0.room();
            match self.0.add(line, ticket) {
                Ok(()) => return,
                Err(again) => ticket = again,
            }
            if tokio::time::timeout_at(end, room).await.is_err() {
                return;
            }
        }
    }

    /// Changes where later records go, or opens the same file anew.
    pub(super) fn set_target(&self, target: Target) {
        self.0.set_target(target);
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Hands everything that has come to the writer, and its results back. What costs
/// here is waking threads, so it is done once for many records, and the connections
/// are woken from here, on their own thread.
async fn relay(queue: Arc<Queue>, batches: mpsc::Sender<Work>) {
    while let Some(batch) = queue.next().await {
        let (done, results) = oneshot::channel();
        // The writer has finished the batch before, so this never waits.
        let _ = batches.send((batch.jobs, done)).await;
        // If it is gone, nothing is stored, and the tickets say so when they go.
        let stored = results.await.unwrap_or_default();
        for (ticket, stored) in batch.tickets.into_iter().zip(stored) {
            ticket.done(if stored { Done::Stored } else { Done::Failed });
        }
    }
}

struct Writer {
    target: Target,
    file: RecordFile,
    syslog: Option<Syslog>,
    stamp: Stamp,
    log: Log,
    /// Whether the system log did not take the last record.
    failing: bool,
}

impl Writer {
    fn run(&mut self, mut work: mpsc::Receiver<Work>) {
        while let Some((jobs, done)) = work.blocking_recv() {
            let mut stored = Vec::new();
            for job in jobs {
                match job {
                    Job::Records(lines) => self.store(&lines, &mut stored),
                    Job::Target(target) => {
                        self.target = target;
                        self.turn();
                    }
                }
            }
            // Nobody there any more: the daemon is ending.
            let _ = done.send(stored);
        }
    }

    /// Stores lines, and says of each whether it is.
    fn store(&mut self, lines: &[u8], stored: &mut Vec<bool>) {
        let first = stored.len();
        let mut text = Vec::with_capacity(lines.len() + lines.len() / 4);
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            stored.push(self.add(&mut text, line));
        }
        if !self.file.append(&mut text, self.target.sync) {
            stored.iter_mut().skip(first).for_each(|one| *one = false);
        }
    }

    /// To the target that is set now.
    fn turn(&mut self) {
        self.file.set_path(self.target.file.clone());
        let facility = self.target.syslog.as_ref();
        self.syslog = facility.map(|name| Syslog::new(name.as_deref()));
    }

    /// Puts a line into the text of a write; tells whether the system log has it, if it
    /// is to.
    fn add(&mut self, text: &mut Vec<u8>, line: &[u8]) -> bool {
        if self.target.file.is_some() {
            match self.target.format {
                AccountingFormat::Text => {
                    text.extend_from_slice(self.stamp.text().as_bytes());
                    text.push(b'\t');
                    text.extend_from_slice(line);
                }
                AccountingFormat::Json => {
                    let line = String::from_utf8_lossy(line);
                    let object = json(self.stamp.iso(), &line);
                    text.extend_from_slice(object.as_bytes());
                }
            }
        }
        let Some(system) = &mut self.syslog else {
            return true;
        };
        let text = String::from_utf8_lossy(line);
        let fields = text.trim_end_matches('\n').split('\t').map(lone_blanks);
        // The original's four blanks between fields.
        let message = fields.collect::<Vec<_>>().join("    ");
        let sent = system.send(self.stamp.text(), syslog::INFO, &message);
        // When it begins and when it ends, not every time.
        match &sent {
            Err(error) if !self.failing => self.log.error(no_syslog(error)),
            Ok(()) if self.failing => self.log.line("the system log takes records again"),
            _ => {}
        }
        self.failing = sent.is_err();
        sent.is_ok()
    }
}

fn no_syslog(error: &io::Error) -> String {
    format!("the system log takes no records: {error}; they are answered with ERROR")
}

/// A record's line as an object. What was escaped for the line stays so.
fn json(time: &str, line: &str) -> String {
    let mut fields = line.trim_end_matches('\n').split('\t');
    let mut out = String::with_capacity(line.len() * 2);
    let mut object = Object::begin(&mut out);
    object.text("time", time);
    for name in ["device", "user", "port", "rem_addr", "record"] {
        object.text(name, fields.next().unwrap_or_default());
    }
    object.texts("args", fields);
    object.end();
    out
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
