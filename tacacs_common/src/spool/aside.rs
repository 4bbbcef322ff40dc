//! What was set aside, and what an administrator may do with any record.
//!
//! Owns `refused/` and `corrupt/`, whose bounds are their own: the oldest go first, and
//! of one user at most a tenth stays, so that nobody's records push out another's.

use std::io;

use super::deliver::{Loaded, load};
use super::queue::Queue;
use super::record::{Entry, Record};
use super::{Limits, Spool, move_to};
use crate::statefile::Folder;

pub(super) const REFUSED: &str = "refused";
pub(super) const CORRUPT: &str = "corrupt";

/// Bounds of `refused/` and `corrupt/`, each.
const ASIDE: Limits = Limits {
    records: 1000,
    bytes: 8 << 20,
};

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In the queue.
    Waiting,
    /// Set aside: servers do not take it.
    Refused,
    /// Set aside: it cannot be read.
    Corrupt,
}

impl Place {
    const fn folder(self) -> Option<&'static str> {
        match self {
            Self::Waiting => None,
            Self::Refused => Some(REFUSED),
            Self::Corrupt => Some(CORRUPT),
        }
    }
}

/// A record as its file's name tells of it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Where it is.
    pub place: Place,
    /// Its number, which another record hardly ever has too.
    pub number: u64,
    /// The name of its file.
    pub name: String,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// The length of its body.
    pub length: u64,
    /// Who started the setuid program that made it.
    pub caller: Option<u32>,
    /// How often a server did not take it and took a later one of another user.
    pub errors: u8,
    entry: Entry,
}

impl Spool {
    /// All records: those that wait, in order, then those set aside.
    pub fn list(&self) -> io::Result<Vec<Listed>> {
        let list = || {
            let mut all = Vec::new();
            for place in [Place::Waiting, Place::Refused, Place::Corrupt] {
                let Some(queue) = self.queue_at(place)? else {
                    continue;
                };
                all.extend(queue.records.into_iter().map(|entry| Listed {
                    place,
                    number: entry.seq,
                    name: entry.name(),
                    created: entry.created,
                    length: entry.length,
                    caller: entry.caller,
                    errors: entry.errors,
                    entry,
                }));
            }
            all.sort_by_key(|listed| (listed.place, listed.entry));
            Ok(all)
        };
        list().map_err(|error| self.at(&error))
    }

    /// The record, if it is there and can be read.
    pub fn read(&self, listed: &Listed) -> io::Result<Option<Record>> {
        let read = || {
            let Some(folder) = self.folder_at(listed.place)? else {
                return Ok(None);
            };
            Ok(match load(&folder, &listed.entry)? {
                Loaded::Record(record) => Some(record),
                Loaded::Damaged | Loaded::Gone => None,
            })
        };
        read().map_err(|error| self.at(&error))
    }

    /// Removes the record for good; false if it has left its place meanwhile.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`]: another process is delivering.
    pub fn discard(&self, listed: &Listed) -> io::Result<bool> {
        self.in_turn(|| {
            let Some(folder) = self.folder_at(listed.place)? else {
                return Ok(false);
            };
            if !is_there(folder.remove(listed.name.as_ref()))? {
                return Ok(false);
            }
            if listed.place == Place::Waiting {
                self.count(|counters| {
                    counters.removed += 1;
                    counters.left(listed.number);
                });
            }
            Ok(true)
        })
    }

    /// Puts a record that was set aside into the queue again, in its old place, as if it
    /// had never failed; false if it is not there any more.
    ///
    /// # Errors
    /// As [`discard`](Self::discard).
    pub fn retry(&self, listed: &Listed) -> io::Result<bool> {
        self.in_turn(|| {
            let Some(folder) = self.folder_at(listed.place)? else {
                return Ok(false);
            };
            let name = listed.name.as_str();
            let fresh = listed.entry.with_errors(0);
            if listed.place == Place::Waiting {
                return is_there(self.folder.publish(name.as_ref(), fresh.name().as_ref()));
            }
            if !is_there(move_to(&folder, name, &self.folder, fresh))? {
                return Ok(false);
            }
            self.folder.sync()?;
            self.count(|counters| match listed.place {
                Place::Corrupt => counters.corrupt = counters.corrupt.saturating_sub(1),
                _ => counters.refused = counters.refused.saturating_sub(1),
            });
            Ok(true)
        })
    }

    fn in_turn<T>(&self, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match self.turn() {
            Ok(Some(_turn)) => act().map_err(|error| self.at(&error)),
            Ok(None) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "another process is delivering",
            )),
            Err(error) => Err(self.at(&error)),
        }
    }

    /// Moves a file out of the queue, into a folder with bounds of its own.
    pub(super) fn set_aside(&self, entry: &Entry, folder: &str) -> io::Result<()> {
        let aside = self.folder.create_sub(folder.as_ref(), 0o700)?;
        let name = entry.name();
        move_to(&self.folder, &name, &aside, *entry)?;
        // The queue comes first: what cannot be cleared away here is left alone.
        let mut queue = Queue::read(&aside).unwrap_or_default();
        let of_user = |other: &Entry| entry.user.is_some() && other.user == entry.user;
        let mut excess = queue.excess(ASIDE.of_one_user(), of_user);
        excess.extend(queue.excess(ASIDE, |_| true));
        for oldest in excess {
            let _ = aside.remove(oldest.name().as_ref());
        }
        Ok(())
    }

    fn queue_at(&self, place: Place) -> io::Result<Option<Queue>> {
        let folder = self.folder_at(place)?;
        folder.map(|folder| Queue::read(&folder)).transpose()
    }

    fn folder_at(&self, place: Place) -> io::Result<Option<Folder>> {
        let name = place.folder().unwrap_or(".");
        match self.folder.sub(name.as_ref()) {
            Ok(folder) => Ok(Some(folder)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// False where there is nothing of that name.
fn is_there(done: io::Result<()>) -> io::Result<bool> {
    match done {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
