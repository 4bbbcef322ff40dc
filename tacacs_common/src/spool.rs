//! Accounting records that no server has taken yet, on disk.
//!
//! Owns one writer's folder under `/var/spool/tacplus`. Must never lose a record
//! whose [`Spool::append`] returned, deliver half of one, change a byte of it, let
//! an appender wait for the network or for another process, or grow without bound.
//!
//! | in the folder | what |
//! |---|---|
//! | `SEQ.CREATED.LENGTH.USER.CALLER.ERRORS` | a record; the order of `SEQ` is the order of the appends |
//! | the same behind a dot | a record being written, locked by its writer |
//! | `counters`, `counters.setuid` | the numbers of [`Status`] |
//! | `deliver` | the lock of the one process that delivers, or changes what waits |
//! | `refused/`, `corrupt/` | what a server does not take, what cannot be read |
//!
//! The directory itself is the index, so there is nothing that a crash could leave
//! in disagreement with the records, and no lock under which one is appended: a
//! process that is stopped keeps nobody waiting.

mod aside;
mod counters;
mod deliver;
mod limits;
mod queue;
mod record;

use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::statefile::{self, Folder};
pub use aside::{Listed, Place};
use counters::Counters;
pub use deliver::{Delivery, End, Report};
pub use limits::{Excess, Limits};
use queue::Queue;
use record::Entry;
pub use record::{MAX_BODY, Record};

/// The parent of the writers' folders.
pub const ROOT: &str = "/var/spool/tacplus";

/// How often a free name is looked for. One that is taken was so by a process that
/// goes on, so each try is another's success.
const TRIES: usize = 1000;

/// What another process does to the counters takes no longer, unless it is stopped.
const COUNT_WAIT: Duration = Duration::from_millis(20);

/// Why a record was not stored.
#[derive(Debug)]
pub enum Error {
    /// It does not fit any more.
    Full(Excess),
    /// The body is longer than [`MAX_BODY`]; its length.
    TooLong(usize),
    /// The file system refused; the message names the folder.
    Io(io::Error),
}

impl Error {
    /// Whether the caller of a setuid program may have brought this about: by limits
    /// that the program inherits, or by as many records as one may cause.
    pub fn may_be_provoked(&self) -> bool {
        match self {
            Self::Full(excess) => *excess != Excess::Spool,
            Self::TooLong(_) => false,
            Self::Io(error) => statefile::is_shortage(error),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(excess) => write!(f, "accounting spool: {excess}"),
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
    /// Records ever stored here: those that wait and those that left.
    pub spooled: u64,
    /// Records that a server stored; more than once if a process died in between.
    pub delivered: u64,
    /// Records set aside because a server does not take them.
    pub refused: u64,
    /// Records that could not be stored here: spool or disk full.
    pub dropped: u64,
    /// Records that could not be read back.
    pub corrupt: u64,
    /// Records that an administrator removed while they waited.
    pub removed: u64,
}

/// One writer's folder of records.
pub struct Spool {
    folder: Folder,
    path: PathBuf,
    limits: Limits,
    caller: Option<u32>,
    /// Somebody holds the counters who does not go on: nobody waits for that twice.
    held_up: Cell<bool>,
}

impl Spool {
    /// Opens a writer's folder, such as `/var/spool/tacplus/pam`, and makes it (0700)
    /// and the one above it (0755) if they are missing.
    pub fn open(path: &Path, limits: Limits) -> io::Result<Self> {
        let (parent, name) = statefile::split(path)?;
        let folder = Folder::create(parent, 0o755)?
            .create_sub(name, 0o700)
            .map_err(|error| statefile::at(path, &error))?;
        Ok(Self::of(folder, path, limits))
    }

    /// Opens a writer's folder if it is there, to look at it or to deliver it.
    pub fn open_existing(path: &Path, limits: Limits) -> io::Result<Option<Self>> {
        match Folder::open(path) {
            Ok(folder) => Ok(Some(Self::of(folder, path, limits))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn of(folder: Folder, path: &Path, limits: Limits) -> Self {
        Self {
            folder,
            path: path.to_owned(),
            limits,
            caller: None,
            held_up: Cell::new(false),
        }
    }

    /// For a setuid program, which this uid has started and may stop at any moment. It
    /// never holds a lock that others wait for, nor removes what others left, and what
    /// it appends is its caller's doing: see [`Limits`].
    #[must_use]
    pub const fn called_by(mut self, uid: Option<u32>) -> Self {
        self.caller = uid;
        self
    }

    /// Stores the body of an accounting request, made at `created` (seconds since
    /// 1970). When it returns `Ok`, the record is on the disk.
    pub fn append(&self, body: &[u8], created: u64) -> Result<(), Error> {
        let stored = self.store(body, created);
        if stored.is_err() {
            self.count(|counters| counters.dropped += 1);
        }
        stored
    }

    /// Whether anything waits here.
    pub fn has_waiting(&self) -> io::Result<bool> {
        Ok(!self.scan()?.records.is_empty())
    }

    /// What waits here, and the counters.
    pub fn status(&self) -> io::Result<Status> {
        let read = || {
            let queue = self.scan()?;
            let counters = self.counters()?;
            let pending = queue.records.len() as u64;
            let left = [
                counters.delivered,
                counters.refused,
                counters.corrupt,
                counters.removed,
            ];
            Ok(Status {
                pending,
                bytes: queue.bytes(),
                oldest: queue.records.iter().min().map(|entry| entry.created),
                spooled: left.iter().fold(pending, |sum, n| sum.saturating_add(*n)),
                delivered: counters.delivered,
                refused: counters.refused,
                dropped: counters.dropped,
                corrupt: counters.corrupt,
                removed: counters.removed,
            })
        };
        read().map_err(|error| self.at(&error))
    }
}

/// Appending: a name first, then the bytes, then the name that readers look for. Each
/// step is one system call that succeeds for one process only, so there is no lock.
impl Spool {
    fn store(&self, body: &[u8], created: u64) -> Result<(), Error> {
        if body.len() > MAX_BODY {
            return Err(Error::TooLong(body.len()));
        }
        let entry = Entry::new(body, created, self.caller);
        let (entry, mut file) = self.reserve(entry)?;
        let stored = statefile::write_durably(&mut file, &record::encode(body, created))
            .and_then(|()| move_to(&self.folder, &entry.temporary(), &self.folder, entry))
            .and_then(|()| self.folder.sync());
        stored.map_err(|error| {
            let _ = self.folder.remove(entry.temporary().as_ref());
            Error::Io(self.at(&error))
        })
    }

    /// A file for this record under a number that is higher than all there are. What is
    /// being written counts as there: of processes that are stopped at the same place,
    /// no more go on than fit.
    fn reserve(&self, mut entry: Entry) -> Result<(Entry, File), Error> {
        let failed = |error| Error::Io(self.at(&error));
        for _ in 0..TRIES {
            let queue = self.room_for(&entry)?;
            let counted = self.counters().map_err(failed)?.last;
            entry.seq = entry.seq.max(queue.last().max(counted)).saturating_add(1);
            match self
                .folder
                .create_temporary(entry.temporary().as_ref(), 0o600)
            {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error)),
                Ok(file) => {
                    let room = self.scan().map(|all| all.has_room(&entry, self.limits));
                    if let Ok(Ok(())) = room {
                        return Ok((entry, file));
                    }
                    let _ = self.folder.remove(entry.temporary().as_ref());
                    // Where two met at the edge there may be room for one: look again.
                    let _ = room.map_err(failed)?;
                }
            }
        }
        Err(failed(io::ErrorKind::AlreadyExists.into()))
    }

    /// What is there, if there is room for one more. What dead writers left takes none,
    /// once somebody has looked whom nobody can stop.
    fn room_for(&self, entry: &Entry) -> Result<Queue, Error> {
        let failed = |error| Error::Io(self.at(&error));
        let mut queue = self.scan().map_err(failed)?;
        let mut room = queue.has_room_besides(entry, self.limits);
        if room.is_err() && self.caller.is_none() && self.sweep() > 0 {
            queue = self.scan().map_err(failed)?;
            room = queue.has_room_besides(entry, self.limits);
        }
        room.map(|()| queue).map_err(Error::Full)
    }

    /// Removes what dead writers left; how many there were.
    fn sweep(&self) -> usize {
        self.folder.sweep(&queue::is_temporary).unwrap_or(0)
    }
}

/// The counters and the names.
impl Spool {
    /// The counters as they are, for who need not change them.
    fn counters(&self) -> io::Result<Counters> {
        let mut sum = Counters::default();
        for name in [counters::FILE, counters::SETUID_FILE] {
            let text = self.folder.read(name.as_ref(), counters::MAX_BYTES)?;
            sum = sum.plus(&Counters::parse(&text.unwrap_or_default()));
        }
        Ok(sum)
    }

    /// Changes the counters, as far as that is possible: no record waits for a number.
    fn count(&self, change: impl FnOnce(&mut Counters)) {
        let (name, wait) = match self.caller {
            None if self.held_up.get() => (counters::FILE, Duration::ZERO),
            None => (counters::FILE, COUNT_WAIT),
            Some(_) => (counters::SETUID_FILE, Duration::ZERO),
        };
        match self.folder.lock(name.as_ref(), wait) {
            Ok(lock) => {
                if let Ok(mut counters) = Counters::load(&lock) {
                    change(&mut counters);
                    let _ = counters.store(&lock);
                }
            }
            Err(_) => self.held_up.set(true),
        }
    }

    fn scan(&self) -> io::Result<Queue> {
        Queue::read(&self.folder)
    }

    fn at(&self, error: &io::Error) -> io::Error {
        statefile::at(&self.path, error)
    }
}

/// Moves a file to the name of this entry in `target`, or to the next one that is free
/// there.
fn move_to(folder: &Folder, name: &str, target: &Folder, mut entry: Entry) -> io::Result<()> {
    for _ in 0..TRIES {
        match folder.move_to(name.as_ref(), target, entry.name().as_ref()) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                entry.seq = match entry.seq {
                    // There is none above.
                    u64::MAX => u64::MAX - TRIES as u64,
                    seq => seq + 1,
                };
            }
            done => return done,
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
