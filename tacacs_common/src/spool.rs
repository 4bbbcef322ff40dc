//! Accounting records that no server has taken yet, on disk.
//!
//! Owns one writer's folder under `/var/spool/tacplus`. Must never lose a record
//! whose [`Spool::append`] returned, deliver half of one, change a byte of it, let
//! an appender wait for the network, or grow without bound.
//!
//! | in the folder | what |
//! |---|---|
//! | `SEQ.CREATED.LENGTH` | a record; the order of `SEQ` is the order of the appends |
//! | `.SEQ.CREATED.LENGTH` | a record being written, locked by its writer |
//! | `counters` | [`Counters`], and the lock under which names are given |
//! | `deliver` | the lock of the one process that delivers |
//! | `refused/`, `corrupt/` | what a server will never take, what cannot be read |
//!
//! The directory itself is the index, so there is nothing that a crash could leave
//! in disagreement with the records.

mod counters;
mod queue;
mod record;

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags};

use crate::statefile::{self, Folder, Lock};
use counters::Counters;
use queue::Queue;
use record::Entry;
pub use record::{MAX_BODY, Record};

/// The parent of the writers' folders.
pub const ROOT: &str = "/var/spool/tacplus";

/// Names are given under this lock, and nothing slow is done: a longer wait means
/// that its holder was stopped, and appending goes on without it.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// Bounds of `refused/` and `corrupt/`, each; the oldest go first.
const ASIDE: Limits = Limits {
    records: 1000,
    bytes: 8 << 20,
};

/// How much a spool may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Number of records.
    pub records: u64,
    /// Sum of the lengths of their bodies.
    pub bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            records: 10_000,
            bytes: 64 << 20,
        }
    }
}

/// Why a record was not stored.
#[derive(Debug)]
pub enum Error {
    /// The spool holds as much as it may.
    Full(Limits),
    /// The body is longer than [`MAX_BODY`]; its length.
    TooLong(usize),
    /// The file system refused; the message names the folder.
    Io(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(limits) => write!(
                f,
                "accounting spool is full ({} records, {} bytes): deliver it or raise its limit",
                limits.records, limits.bytes
            ),
            Self::TooLong(length) => write!(
                f,
                "accounting record of {length} bytes is longer than {MAX_BODY}"
            ),
            Self::Io(error) => write!(f, "accounting spool: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

/// What became of a record that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// A server answered SUCCESS: the record may go.
    Stored,
    /// A server answered that it will never take this record: set it aside.
    Refused,
    /// Nobody answered: keep it, and stop here.
    Retry,
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

/// The state of a spool. The counters run since the folder was made; a crash of the
/// host may set them back a little.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Records waiting.
    pub pending: u64,
    /// Sum of the lengths of their bodies.
    pub bytes: u64,
    /// When the first of them was made, in seconds since 1970.
    pub oldest: Option<u64>,
    /// Records ever stored here.
    pub spooled: u64,
    /// Records that a server stored; more than once if a process died in between.
    pub delivered: u64,
    /// Records that a server will never take.
    pub refused: u64,
    /// Records that could not be stored here: spool or disk full.
    pub dropped: u64,
    /// Records that could not be read back.
    pub corrupt: u64,
}

/// One writer's folder of records.
pub struct Spool {
    folder: Folder,
    path: PathBuf,
    limits: Limits,
}

impl Spool {
    /// Opens a writer's folder, such as `/var/spool/tacplus/pam`, and makes it (0700)
    /// and the one above it (0755) if they are missing.
    pub fn open(path: &Path, limits: Limits) -> io::Result<Self> {
        let (parent, name) = statefile::split(path)?;
        let folder = Folder::create(parent, 0o755)?
            .create_sub(name, 0o700)
            .map_err(|error| statefile::at(path, &error))?;
        Ok(Self {
            folder,
            path: path.to_owned(),
            limits,
        })
    }

    /// Opens a writer's folder if it is there, to look at it or to deliver it.
    pub fn open_existing(path: &Path, limits: Limits) -> io::Result<Option<Self>> {
        match Folder::open(path) {
            Ok(folder) => Ok(Some(Self {
                folder,
                path: path.to_owned(),
                limits,
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Stores the body of an accounting request, made at `created` (seconds since
    /// 1970). When it returns `Ok`, the record is on the disk.
    pub fn append(&self, body: &[u8], created: u64) -> Result<(), Error> {
        if body.len() > MAX_BODY {
            self.count(|counters| counters.dropped += 1);
            return Err(Error::TooLong(body.len()));
        }
        let bytes = record::encode(body, created);
        let (entry, mut file) = self.reserve(body.len() as u64, created)?;
        let (temporary, name) = (entry.temporary(), entry.name());
        statefile::write_durably(&mut file, &bytes)
            .and_then(|()| self.folder.publish(temporary.as_ref(), name.as_ref()))
            .map_err(|error| {
                let _ = self.folder.remove(temporary.as_ref());
                self.count(|counters| {
                    counters.spooled = counters.spooled.saturating_sub(1);
                    counters.dropped += 1;
                });
                self.failed(&error)
            })
    }

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
            .unwrap_or_else(|error| End::Failed(statefile::at(&self.path, &error)));
        report
    }

    /// What waits here, and the counters.
    pub fn status(&self) -> io::Result<Status> {
        let read = || {
            // For whole numbers, where this process may have it.
            let _lock = self.lock();
            let queue = self.scan()?;
            let counters = self.counters()?;
            Ok(Status {
                pending: queue.records.len() as u64,
                bytes: queue.bytes(),
                oldest: queue.records.iter().min().map(|entry| entry.created),
                spooled: counters.spooled,
                delivered: counters.delivered,
                refused: counters.refused,
                dropped: counters.dropped,
                corrupt: counters.corrupt,
            })
        };
        read().map_err(|error| statefile::at(&self.path, &error))
    }
}

/// Appending: a name first, under the lock, then the slow part without it.
impl Spool {
    fn reserve(&self, length: u64, created: u64) -> Result<(Entry, File), Error> {
        let failed = |error| self.failed(&error);
        let lock = match self.lock() {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return self.reserve_unlocked(length, created);
            }
            lock => lock.map_err(failed)?,
        };
        let mut counters = Counters::load(&lock).map_err(failed)?;
        let mut queue = self.scan().map_err(failed)?;
        if !queue.has_room(length, self.limits) && self.sweep(&queue, &mut counters) {
            queue = self.scan().map_err(failed)?;
        }
        let reserved = if queue.has_room(length, self.limits) {
            // The counters know names whose records are gone or not to be seen yet;
            // after a power cut the queue may know later ones.
            let seq = queue.last().max(counters.last).saturating_add(1);
            let entry = Entry {
                seq,
                created,
                length,
            };
            self.create_counted(&entry, counters, &lock)
                .map(|file| (entry, file))
                .map_err(failed)
        } else {
            Err(Error::Full(self.limits))
        };
        if reserved.is_err() {
            counters.dropped += 1;
            let _ = counters.store(&lock);
        }
        reserved
    }

    /// A name in spite of a lock whose holder does not go on: whoever calls su can
    /// stop it there, and must not keep the records of others from the disk.
    fn reserve_unlocked(&self, length: u64, created: u64) -> Result<(Entry, File), Error> {
        let failed = |error| self.failed(&error);
        let mut last = self.counters().map_err(failed)?.last;
        loop {
            let queue = self.scan().map_err(failed)?;
            if !queue.has_room(length, self.limits) {
                return Err(Error::Full(self.limits));
            }
            // One number is left for the holder of the lock.
            last = queue.last().max(last).saturating_add(2);
            let entry = Entry {
                seq: last,
                created,
                length,
            };
            let file = match self.create_temporary(&entry) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                file => file.map_err(failed)?,
            };
            // From here on nobody else takes this name; it may have been taken before.
            if !self.scan().map_err(failed)?.records.contains(&entry) {
                return Ok((entry, file));
            }
            let _ = self.folder.remove(entry.temporary().as_ref());
        }
    }

    /// The counters go first: without them on record, a name could be given twice.
    fn create_counted(
        &self,
        entry: &Entry,
        mut counters: Counters,
        lock: &Lock,
    ) -> io::Result<File> {
        counters.last = entry.seq;
        counters.spooled += 1;
        counters.store(lock)?;
        self.create_temporary(entry)
    }

    fn create_temporary(&self, entry: &Entry) -> io::Result<File> {
        let name = entry.temporary();
        let file = self.folder.create_file(name.as_ref(), 0o600)?;
        // Tells `sweep` that the writer lives.
        if let Err(errno) = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            let _ = self.folder.remove(name.as_ref());
            return Err(errno.into());
        }
        Ok(file)
    }

    /// Removes what dead writers left; true if there was anything. The caller holds
    /// the lock under which files are made, so a file without a lock has no writer.
    fn sweep(&self, queue: &Queue, counters: &mut Counters) -> bool {
        let mut any = false;
        for entry in &queue.temporaries {
            let name = entry.temporary();
            let is_dead = self
                .folder
                .open_file(name.as_ref(), OFlags::RDONLY)
                .is_ok_and(|file| {
                    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
                });
            if is_dead && self.folder.remove(name.as_ref()).is_ok() {
                counters.spooled = counters.spooled.saturating_sub(1);
                any = true;
            }
        }
        any
    }

    fn failed(&self, error: &io::Error) -> Error {
        Error::Io(statefile::at(&self.path, error))
    }
}

/// What a name in the queue stands for.
enum Loaded {
    Record(Record),
    /// Torn, or not ours.
    Damaged,
    Gone,
}

/// Delivering: one process at a time, and never under the appenders' lock while a
/// server is asked.
impl Spool {
    fn deliver_into(
        &self,
        report: &mut Report,
        limit: usize,
        send: &mut dyn FnMut(&Record) -> Delivery,
    ) -> io::Result<End> {
        if self.scan()?.is_empty() {
            return Ok(End::Done);
        }
        let _turn = match self.folder.lock("deliver".as_ref(), Duration::ZERO) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(End::Busy),
            Err(error) => return Err(error),
        };
        let mut queue = self.scan()?;
        if !queue.temporaries.is_empty() {
            self.count(|counters| {
                self.sweep(&queue, counters);
            });
        }
        queue.records.sort_unstable();
        let mut sent = 0;
        let mut stuck = None;
        for entry in &queue.records {
            if sent == limit {
                return Ok(End::Limit);
            }
            let aside = match self.load(entry)? {
                Loaded::Gone => continue,
                Loaded::Damaged => {
                    report.corrupt += 1;
                    self.count(|counters| counters.corrupt += 1);
                    self.set_aside(entry, "corrupt")
                }
                Loaded::Record(record) => {
                    sent += 1;
                    match send(&record) {
                        Delivery::Stored => {
                            report.delivered += 1;
                            // Counted first: a crash in between counts a record twice, as it
                            // will then be sent twice, instead of losing it from the sums.
                            self.count(|counters| counters.delivered += 1);
                            self.folder.remove(entry.name().as_ref())?;
                            continue;
                        }
                        Delivery::Refused => {
                            report.refused += 1;
                            self.count(|counters| counters.refused += 1);
                            self.set_aside(entry, "refused")
                        }
                        Delivery::Retry => return Ok(End::Retry),
                    }
                }
            };
            // What cannot be moved stays where it is, and those that follow go on.
            if let Err(error) = aside {
                stuck.get_or_insert(error);
            }
        }
        stuck.map_or(Ok(End::Done), Err)
    }

    fn load(&self, entry: &Entry) -> io::Result<Loaded> {
        let record = match self.folder.read(entry.name().as_ref(), record::MAX_FILE) {
            Ok(None) => return Ok(Loaded::Gone),
            Ok(Some(bytes)) => record::decode(bytes, entry),
            Err(error) if record::is_damage(&error) => None,
            Err(error) => return Err(error),
        };
        Ok(record.map_or(Loaded::Damaged, Loaded::Record))
    }

    /// Moves a file out of the queue, into a folder with bounds of its own.
    fn set_aside(&self, entry: &Entry, folder: &str) -> io::Result<()> {
        let aside = self.folder.create_sub(folder.as_ref(), 0o700)?;
        self.folder.move_to(entry.name().as_ref(), &aside)?;
        // The queue comes first: what cannot be cleared away here is left alone.
        for oldest in Queue::read(&aside).unwrap_or_default().excess(ASIDE) {
            let _ = aside.remove(oldest.name().as_ref());
        }
        Ok(())
    }
}

/// The lock, the counters and the names.
impl Spool {
    fn lock(&self) -> io::Result<Lock> {
        self.folder.lock(counters::FILE.as_ref(), LOCK_WAIT)
    }

    /// The counters as they are, for who need not change them.
    fn counters(&self) -> io::Result<Counters> {
        let text = self
            .folder
            .read(counters::FILE.as_ref(), counters::MAX_BYTES)?;
        Ok(text.map_or_else(Counters::default, |text| Counters::parse(&text)))
    }

    /// Changes the counters, as far as that is possible: no record waits for a number.
    fn count(&self, change: impl FnOnce(&mut Counters)) {
        if let Ok(lock) = self.lock()
            && let Ok(mut counters) = Counters::load(&lock)
        {
            change(&mut counters);
            let _ = counters.store(&lock);
        }
    }

    fn scan(&self) -> io::Result<Queue> {
        Queue::read(&self.folder)
    }
}
