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

mod file;

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::json::Object;
use super::log::Log;
use super::syslog::Syslog;
use super::time::Stamp;
use crate::effects::inbox::Ticket;
use crate::escape::lone_blanks;
use crate::policy::Done;
use crate::policy::draft::{AccountingFormat, Settings};
use file::RecordFile;

/// Records that may wait before connections are made to wait.
const QUEUE: usize = 4096;
/// Records in one write.
const BATCH: usize = 1024;
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

    /// Whether records could go there now, for the one who starts the server or
    /// reloads to know. Writes nothing.
    pub(super) fn check(&self) -> Result<(), String> {
        let Some(path) = &self.file else {
            return Ok(());
        };
        file::try_out(path).map_err(|error| {
            let path = path.display();
            format!("accounting file {path} cannot be opened: {error}")
        })
    }
}

/// Where to put records.
pub(super) struct Store(mpsc::Sender<Job>);

enum Job {
    /// Fields separated by tabs, ended by a newline, escaped.
    Record(Vec<u8>, Ticket),
    /// Later records go there; also the same place anew, after a rotation.
    Target(Target),
}

/// Jobs for the writer, and the way back.
type Batch = (Vec<Job>, oneshot::Sender<Vec<(Ticket, Done)>>);

impl Store {
    /// Starts the writer. To be called within a runtime.
    pub(super) fn start(target: Target, log: Log) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (batches, work) = sync_channel(1);
        let mut writer = Writer {
            file: RecordFile::new(log),
            syslog: None,
            target,
            stamp: Stamp::default(),
        };
        writer.turn();
        std::thread::Builder::new()
            .name("accounting".to_owned())
            .spawn(move || writer.run(&work))?;
        tokio::spawn(relay(queue, batches));
        Ok(Self(jobs))
    }

    /// Hands over a record. The ticket tells [`Done::Stored`] once it is stored.
    pub(super) async fn record(&self, line: Vec<u8>, ticket: Ticket) {
        // A writer that is gone or hangs drops the ticket, which says "failed".
        let _ = (self.0)
            .send_timeout(Job::Record(line, ticket), PATIENCE)
            .await;
    }

    /// Changes where later records go, or opens the same file anew.
    pub(super) async fn set_target(&self, target: Target) {
        let _ = self.0.send(Job::Target(target)).await;
    }
}

/// Hands everything that has come to the writer, and its results back. What costs
/// here is waking threads, so it is done once for many records: this task gets its
/// turn after every connection that has something to store now, and the connections
/// are woken from here, on their own thread.
async fn relay(mut queue: mpsc::Receiver<Job>, batches: SyncSender<Batch>) {
    loop {
        let mut jobs = Vec::new();
        if queue.recv_many(&mut jobs, BATCH).await == 0 {
            return;
        }
        let (done, results) = oneshot::channel();
        // The writer has finished the batch before, so this never waits. If it is
        // gone, the tickets go with the jobs.
        let _ = batches.send((jobs, done));
        for (ticket, done) in results.await.unwrap_or_default() {
            ticket.done(done);
        }
    }
}

struct Writer {
    target: Target,
    file: RecordFile,
    syslog: Option<Syslog>,
    stamp: Stamp,
}

/// Records of one write, not yet written.
#[derive(Default)]
struct Pending {
    text: Vec<u8>,
    tickets: Vec<(Ticket, bool)>,
}

impl Writer {
    fn run(&mut self, work: &Receiver<Batch>) {
        for (jobs, done) in work {
            let mut results = Vec::with_capacity(jobs.len());
            let mut pending = Pending::default();
            for job in jobs {
                match job {
                    Job::Record(line, ticket) => self.add(&mut pending, &line, ticket),
                    Job::Target(target) => {
                        // Records before the change belong to the old file.
                        self.store(&mut pending, &mut results);
                        self.target = target;
                        self.turn();
                    }
                }
            }
            self.store(&mut pending, &mut results);
            // Nobody there any more: the daemon is ending.
            let _ = done.send(results);
        }
    }

    /// To the target that is set now.
    fn turn(&mut self) {
        self.file.set_path(self.target.file.clone());
        let facility = self.target.syslog.as_ref();
        self.syslog = facility.map(|name| Syslog::new(name.as_deref()));
    }

    fn add(&mut self, pending: &mut Pending, line: &[u8], ticket: Ticket) {
        let logged = match &mut self.syslog {
            None => true,
            Some(syslog) => {
                let text = String::from_utf8_lossy(line);
                let fields = text.trim_end_matches('\n').split('\t').map(lone_blanks);
                // The original's four blanks between fields.
                let message = fields.collect::<Vec<_>>().join("    ");
                syslog.send(self.stamp.text(), &message).is_ok()
            }
        };
        if self.target.file.is_some() {
            match self.target.format {
                AccountingFormat::Text => {
                    pending.text.extend_from_slice(self.stamp.text().as_bytes());
                    pending.text.push(b'\t');
                    pending.text.extend_from_slice(line);
                }
                AccountingFormat::Json => {
                    let line = String::from_utf8_lossy(line);
                    let object = json(self.stamp.iso(), &line);
                    pending.text.extend_from_slice(object.as_bytes());
                }
            }
        }
        pending.tickets.push((ticket, logged));
    }

    fn store(&mut self, pending: &mut Pending, results: &mut Vec<(Ticket, Done)>) {
        let stored = self.file.append(&mut pending.text, self.target.sync);
        pending.text.clear();
        for (ticket, logged) in pending.tickets.drain(..) {
            let done = if stored && logged {
                Done::Stored
            } else {
                Done::Failed
            };
            results.push((ticket, done));
        }
    }
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
