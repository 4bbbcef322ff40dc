//! `tacplus spool`: accounting records that no server has taken yet.

use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tacacs_common::client::{Client, getent};
use tacacs_common::config::Config;
use tacacs_common::outcome::Outcome;
use tacacs_common::spool::{Delivery, End, Limits, Report, Spool, Status};

use super::NAME;
use crate::exit::{Exit, Failure};
use crate::output;

/// One writer's counters, as JSON.
#[derive(Serialize)]
struct WriterStatus<'w> {
    writer: &'w str,
    pending: u64,
    bytes: u64,
    /// Seconds since 1970.
    oldest: Option<u64>,
    spooled: u64,
    delivered: u64,
    refused: u64,
    dropped: u64,
    corrupt: u64,
    removed: u64,
}

impl<'w> WriterStatus<'w> {
    const fn new(writer: &'w str, status: &Status) -> Self {
        Self {
            writer,
            pending: status.pending,
            bytes: status.bytes,
            oldest: status.oldest,
            spooled: status.spooled,
            delivered: status.delivered,
            refused: status.refused,
            dropped: status.dropped,
            corrupt: status.corrupt,
            removed: status.removed,
        }
    }

    fn text(&self, now: u64) -> String {
        let age = self.oldest.map_or_else(String::new, |oldest| {
            format!(", the oldest {} s old", now.saturating_sub(oldest))
        });
        format!(
            "{}\n  pending    {} records, {} bytes{age}\n  spooled    {}\n  delivered  {}\n  refused    {}\n  dropped    {}\n  corrupt    {}\n  removed    {}\n",
            self.writer,
            self.pending,
            self.bytes,
            self.spooled,
            self.delivered,
            self.refused,
            self.dropped,
            self.corrupt,
            self.removed
        )
    }
}

/// Prints the counters of every writer.
pub(super) fn status(root: &Path, json: bool) -> Result<Exit, Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map(|now| now.as_secs()).unwrap_or(0);
    let mut all = Vec::new();
    for (name, spool) in &writers(root)? {
        let status = spool.status().map_err(Failure::usage)?;
        all.push(serde_or_text(
            &WriterStatus::new(name, &status),
            json,
            |s| s.text(now),
        ));
    }
    print(root, json, &all);
    Ok(Exit::Pass)
}

/// What became of one writer's records, as JSON.
#[derive(Serialize)]
struct WriterFlush<'w> {
    writer: &'w str,
    delivered: u64,
    refused: u64,
    corrupt: u64,
    end: &'static str,
}

/// Sends everything that waits; [`Exit::Pass`] when nothing is left.
pub(super) fn flush(config: &Path, root: &Path, json: bool) -> Result<Exit, Failure> {
    let config = Config::load(config).map_err(Failure::usage)?;
    let mut client = Client::new(&config).resolving_by(getent::within);
    let mut all = Vec::new();
    let mut exit = Exit::Pass;
    for (name, spool) in &writers(root)? {
        let report = spool.deliver(usize::MAX, &mut |record| send(&mut client, &record.body));
        let (end, worst) = ended(name, &report);
        if worst != Exit::Pass {
            exit = worst;
        }
        let flush = WriterFlush {
            writer: name,
            delivered: report.delivered,
            refused: report.refused,
            corrupt: report.corrupt,
            end,
        };
        all.push(serde_or_text(&flush, json, |f| {
            format!(
                "{}: {} delivered, {} refused, {} corrupt: {}\n",
                f.writer, f.delivered, f.refused, f.corrupt, f.end
            )
        }));
    }
    print(root, json, &all);
    Ok(exit)
}

fn send(client: &mut Client<'_>, body: &[u8]) -> Delivery {
    let outcome = client.account(body);
    match &outcome {
        Outcome::Pass(_) => {}
        Outcome::Deny(denial) => {
            output::tell(NAME, format_args!("{}: {}", denial.server, denial.reason));
        }
        Outcome::Unreachable(unreachable) => output::tell(NAME, unreachable),
    }
    Delivery::of(&outcome)
}

fn ended(writer: &str, report: &Report) -> (&'static str, Exit) {
    match &report.end {
        End::Done => ("done", Exit::Pass),
        End::Limit | End::Retry => ("waiting for a server", Exit::Unreachable),
        End::Busy => ("another process is delivering", Exit::Denied),
        End::Failed(error) => {
            output::tell(NAME, format_args!("{writer}: {error}"));
            ("failed", Exit::Usage)
        }
    }
}

/// The spools under `root`, in the order of their names.
pub(super) fn writers(root: &Path) -> Result<Vec<(String, Spool)>, Failure> {
    let failed = |error: io::Error| Failure::usage(format!("{}: {error}", root.display()));
    let mut writers = Vec::new();
    let entries = match std::fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(writers),
        Err(error) => return Err(failed(error)),
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if !entry.file_type().map_err(failed)?.is_dir() {
            continue;
        }
        let spool = Spool::open_existing(&entry.path(), Limits::default());
        if let Some(spool) = spool.map_err(Failure::usage)? {
            writers.push((entry.file_name().to_string_lossy().into_owned(), spool));
        }
    }
    writers.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(writers)
}

fn serde_or_text<T: Serialize>(value: &T, json: bool, text: impl FnOnce(&T) -> String) -> String {
    if json {
        serde_json::to_string(value).unwrap_or_default()
    } else {
        text(value)
    }
}

fn print(root: &Path, json: bool, all: &[String]) {
    if json {
        output::result(format_args!("{{\"writers\":[{}]}}\n", all.join(",")));
    } else if all.is_empty() {
        output::result(format_args!(
            "{}: nothing was ever spooled\n",
            root.display()
        ));
    } else {
        output::result(all.concat());
    }
}
