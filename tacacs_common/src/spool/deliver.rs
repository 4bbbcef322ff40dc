//! Delivering what waits: one process at a time, and no appender waits for it.
//!
//! Owns the order of delivery, and the rule by which a record that a server does not
//! take is set aside: it must keep nobody else's records on the host, and a server
//! that takes nothing at all must not make this host set anything aside.
//!
//! * A user's records leave in the order of their appends, all users' together where
//!   every record is taken.
//! * A record that a server was asked to take and did not stays, and with it the later
//!   ones of its user. Those of other users go on.
//! * When such a server then takes a later record of another user, that counts as one
//!   error of the record, in its file's name. After [`ERRORS`] of them it is set aside.

use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::io;
use std::time::Duration;

use super::Spool;
use super::aside;
use super::record::{self, Entry, Record};
use crate::client::Accepted;
use crate::outcome::{DenyReason, Outcome};
use crate::statefile::{Folder, Lock};

/// So many errors set a record aside.
const ERRORS: u8 = 3;

/// So many records in a row that nobody takes, of as many users, show that the server
/// is at fault and not the records.
const DOUBTS: usize = 4;

/// What became of a record that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// This server answered SUCCESS: the record may go.
    Stored(String),
    /// No server will ever take this record: set it aside.
    Refused,
    /// These servers were asked and did not take it: see whether they take another
    /// user's.
    Failed(Vec<String>),
    /// Nobody could be asked: keep it, and stop here.
    Retry,
}

impl Delivery {
    /// What an answer to a record means for it.
    pub fn of(outcome: &Outcome<Accepted>) -> Self {
        match outcome {
            Outcome::Pass(accepted) => Self::Stored(accepted.server.clone()),
            // It will not fit a packet tomorrow either.
            Outcome::Deny(denial) if matches!(denial.reason, DenyReason::Unsendable(_)) => {
                Self::Refused
            }
            Outcome::Deny(_) => Self::Retry,
            Outcome::Unreachable(why) => {
                let tried = why.tried.iter();
                let asked = tried.filter(|(_, trouble)| trouble.is_about_request());
                let servers: Vec<String> = asked.map(|(server, _)| server.clone()).collect();
                match servers.as_slice() {
                    [] => Self::Retry,
                    _ => Self::Failed(servers),
                }
            }
        }
    }
}

/// Why a delivery came to its end.
#[derive(Debug)]
pub enum End {
    /// Nothing is left of what was there at the beginning.
    Done,
    /// As many records as asked for were sent.
    Limit,
    /// A record has to wait for a server.
    Retry,
    /// Another process is delivering.
    Busy,
    /// The file system refused; the message names the folder.
    Failed(io::Error),
}

/// What one delivery did.
#[derive(Debug)]
pub struct Report {
    /// Records a server stored.
    pub delivered: u64,
    /// Records moved to `refused/`.
    pub refused: u64,
    /// Files moved to `corrupt/`.
    pub corrupt: u64,
    /// Why it came to its end.
    pub end: End,
}

impl Spool {
    /// Sends up to `limit` records, oldest first, and removes those that a server
    /// stored. At most one process delivers at a time; another is told
    /// [`End::Busy`] at once.
    ///
    /// A record may be sent again, byte for byte the same, if the process dies
    /// between the server's answer and the removal.
    pub fn deliver(&self, limit: usize, send: &mut dyn FnMut(&Record) -> Delivery) -> Report {
        let mut report = Report {
            delivered: 0,
            refused: 0,
            corrupt: 0,
            end: End::Done,
        };
        report.end = self
            .deliver_into(&mut report, limit, send)
            .unwrap_or_else(|error| End::Failed(self.at(&error)));
        report
    }

    fn deliver_into(
        &self,
        report: &mut Report,
        limit: usize,
        send: &mut dyn FnMut(&Record) -> Delivery,
    ) -> io::Result<End> {
        let begun = self.scan()?;
        if begun.is_empty() {
            return Ok(End::Done);
        }
        let Some(_turn) = self.turn()? else {
            return Ok(End::Busy);
        };
        if !begun.temporaries.is_empty() {
            self.sweep();
        }
        // A name that appears while the folder is read may be missed. Whatever was there
        // before the last one that was seen then is surely seen now: nothing overtakes it.
        let last = begun.last();
        let mut waiting = self.scan()?.records;
        waiting.retain(|entry| entry.seq <= last);
        // A heap, whose code is a tenth of that of a sort: modules carry it into sshd.
        let waiting = BinaryHeap::from(waiting).into_sorted_vec();
        Round {
            spool: self,
            report,
            waiting: waiting.into(),
            held: BTreeSet::new(),
            failures: Vec::new(),
            doubts: 0,
            stuck: None,
        }
        .run(limit, send)
    }

    /// The right to take records away; `None` while another process has it.
    pub(super) fn turn(&self) -> io::Result<Option<Lock>> {
        match self.folder.lock("deliver".as_ref(), Duration::ZERO) {
            Ok(lock) => Ok(Some(lock)),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(None),
            Err(error) => Err(error),
        }
    }
}

pub(super) fn load(folder: &Folder, entry: &Entry) -> io::Result<Loaded> {
    let record = match folder.read(entry.name().as_ref(), record::MAX_FILE) {
        Ok(None) => return Ok(Loaded::Gone),
        Ok(Some(bytes)) => record::decode(bytes, entry),
        Err(error) if record::is_damage(&error) => None,
        Err(error) => return Err(error),
    };
    Ok(record.map_or(Loaded::Damaged, Loaded::Record))
}

/// What a name in the queue stands for.
pub(super) enum Loaded {
    Record(Record),
    /// Torn, or not ours.
    Damaged,
    Gone,
}

/// A record that servers did not take.
struct Failure {
    entry: Entry,
    servers: Vec<String>,
}

/// One delivery.
struct Round<'a> {
    spool: &'a Spool,
    report: &'a mut Report,
    /// What was not sent yet, in order.
    waiting: VecDeque<Entry>,
    /// Users with a record that was not taken: what is later waits for it.
    held: BTreeSet<Option<u64>>,
    /// Those records, until the same server takes another's.
    failures: Vec<Failure>,
    /// How many in a row were not taken.
    doubts: usize,
    /// What could not be moved stays where it is, and those that follow go on.
    stuck: Option<io::Error>,
}

impl Round<'_> {
    fn run(mut self, limit: usize, send: &mut dyn FnMut(&Record) -> Delivery) -> io::Result<End> {
        let mut sent = 0;
        while let Some(entry) = self.next() {
            if sent == limit {
                return Ok(End::Limit);
            }
            let record = match load(&self.spool.folder, &entry)? {
                Loaded::Gone => continue,
                Loaded::Damaged => {
                    self.report.corrupt += 1;
                    self.spool.count(|counters| {
                        counters.corrupt += 1;
                        counters.left(entry.seq);
                    });
                    self.set_aside(&entry, aside::CORRUPT);
                    continue;
                }
                Loaded::Record(record) => record,
            };
            sent += 1;
            match send(&record) {
                Delivery::Stored(server) => self.stored(&entry, &server),
                Delivery::Refused => self.refuse(&entry),
                Delivery::Failed(servers) => {
                    self.held.insert(entry.user);
                    self.failures.push(Failure { entry, servers });
                    self.doubts += 1;
                    if self.doubts == DOUBTS {
                        return Ok(End::Retry);
                    }
                }
                Delivery::Retry => return Ok(End::Retry),
            }
        }
        match self.stuck {
            Some(error) => Err(error),
            None if self.held.is_empty() => Ok(End::Done),
            None => Ok(End::Retry),
        }
    }

    /// The oldest record whose user has none that was not taken. While a server is in
    /// doubt, the newest that is the first of its user: it is the last that whoever wants
    /// to keep others' records here could have placed.
    fn next(&mut self) -> Option<Entry> {
        let at = if self.doubts == 0 {
            self.waiting
                .iter()
                .position(|entry| !self.held.contains(&entry.user))?
        } else {
            let mut seen = self.held.clone();
            let firsts = self.waiting.iter().enumerate();
            let newest = firsts.filter(|(_, entry)| seen.insert(entry.user)).last()?;
            newest.0
        };
        self.waiting.remove(at)
    }

    fn stored(&mut self, entry: &Entry, server: &str) {
        self.doubts = 0;
        self.report.delivered += 1;
        // Counted first: a crash in between counts a record twice, as it will then be
        // sent twice, instead of losing it from the sums.
        self.spool.count(|counters| {
            counters.delivered += 1;
            counters.left(entry.seq);
        });
        if let Err(error) = self.spool.folder.remove(entry.name().as_ref()) {
            self.stuck.get_or_insert(error);
        }
        let (shown, rest) = std::mem::take(&mut self.failures)
            .into_iter()
            .partition(|failure| {
                failure.entry.user != entry.user
                    && failure.entry.seq < entry.seq
                    && failure.servers.iter().any(|failed| failed == server)
            });
        self.failures = rest;
        for failure in shown {
            self.err(failure.entry);
        }
    }

    /// A record is at fault, and not the server.
    fn err(&mut self, entry: Entry) {
        let counted = entry.with_errors(entry.errors.saturating_add(1));
        if counted.errors >= ERRORS {
            self.refuse(&entry);
            return;
        }
        let (old, new) = (entry.name(), counted.name());
        if let Err(error) = self.spool.folder.publish(old.as_ref(), new.as_ref()) {
            self.stuck.get_or_insert(error);
        }
    }

    fn refuse(&mut self, entry: &Entry) {
        self.report.refused += 1;
        self.spool.count(|counters| {
            counters.refused += 1;
            counters.left(entry.seq);
        });
        self.set_aside(entry, aside::REFUSED);
    }

    fn set_aside(&mut self, entry: &Entry, folder: &str) {
        if let Err(error) = self.spool.set_aside(entry, folder) {
            self.stuck.get_or_insert(error);
        }
    }
}
