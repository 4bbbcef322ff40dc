//! Changing the store: under a lock, aside, flushed, renamed.
//!
//! Owns the lock beside the file. Must never leave a reader with half a file, nor write
//! over a store that it could not read as a whole.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::process::geteuid;

use super::store::MAX_BYTES;
use super::{Book, Store, StoreError};
use crate::statefile::{self, Folder, Lock};

/// How long another writer is waited for. A login waits less: `statefile::wait_at_most`.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// The store, held against all other writers.
pub struct Writer {
    folder: Folder,
    path: PathBuf,
    store: Store,
    _lock: Lock,
}

impl Writer {
    /// Waits for the lock, and opens the store as it then is. Root's process makes the
    /// folder if it is missing.
    ///
    /// # Errors
    /// The lock is not to be had within two seconds, or what is left of the time that this
    /// thread may wait for locks; or the store cannot be read.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let (folder, lock) = lock(path)?;
        Ok(Self {
            folder,
            store: Store::open(path)?,
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// The store as it is until [`change`](Self::change) returns.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Puts a changed store in the place of this one.
    ///
    /// # Errors
    /// Whatever `work` answers, and what kept the new file from the disk. Then the old
    /// one stands as it was.
    pub fn change<E: From<StoreError>>(
        self,
        work: impl FnOnce(&mut Book) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut book = Book::read(&self.store)?;
        work(&mut book)?;
        Ok(write(&self.folder, &self.path, &book)?)
    }
}

/// Keeps every line of a damaged store that is well formed, and leaves the old file
/// beside it as `identity.damaged`. Answers how many entries it kept and the numbers of
/// the lines that it did not.
///
/// # Errors
/// The file cannot be read, locked or written, or is not to be trusted.
pub fn repair(path: &Path) -> Result<(usize, BTreeSet<usize>), StoreError> {
    let (folder, _lock) = lock(path)?;
    let (_, name) = statefile::split(path)?;
    let limit = usize::try_from(MAX_BYTES).unwrap_or(usize::MAX);
    let Some(old) = folder
        .read(name, limit)
        .map_err(|error| statefile::at(path, &error))?
    else {
        return Ok((0, BTreeSet::new()));
    };
    let (book, lost) = Book::salvage(&old);
    let mut aside = name.to_owned();
    aside.push(".damaged");
    folder.replace(&aside, &old, 0o600)?;
    write(&folder, path, &book)?;
    Ok((book.entries().len(), lost))
}

fn lock(path: &Path) -> io::Result<(Folder, Lock)> {
    let (above, name) = statefile::split(path)?;
    let folder = if geteuid().is_root() {
        Folder::create(above, 0o755)?
    } else {
        Folder::open(above)?
    };
    let mut file = name.to_owned();
    file.push(".lock");
    let lock = folder.lock(&file, LOCK_WAIT).map_err(|error| {
        let error = if error.kind() == io::ErrorKind::TimedOut {
            held_up(&folder, &file)
        } else {
            error
        };
        statefile::at(&above.join(&file), &error)
    })?;
    Ok((folder, lock))
}

/// Says who holds the lock, and what to do: nobody has a reason to hold it that long.
fn held_up(folder: &Folder, lock: &OsStr) -> io::Error {
    let inode = folder
        .open_file(lock, OFlags::RDONLY)
        .and_then(|file| file.metadata())
        .map(|found| found.ino());
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let why = match inode.ok().and_then(|inode| holder(&locks, inode)) {
        Some(pid) => format!(
            "is locked by process {pid} for longer than a change takes: let it go on ('kill -CONT {pid}'), or end it"
        ),
        None => "is locked by another process for longer than a change takes: end it".to_owned(),
    };
    io::Error::new(io::ErrorKind::TimedOut, why)
}

/// Whose flock(2) on this inode proc_locks(5) shows. The device is no help: some file
/// systems show another one there than stat(2) does.
fn holder(locks: &str, inode: u64) -> Option<u32> {
    locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let ours = words.next() == Some("FLOCK");
        let pid = words.nth(2)?.parse().ok()?;
        let file = words.next()?.rsplit(':').next()?.parse();
        (ours && file == Ok(inode)).then_some(pid)
    })
}

fn write(folder: &Folder, path: &Path, book: &Book) -> Result<(), StoreError> {
    let (_, name) = statefile::split(path)?;
    let text = book
        .text()
        .map_err(|error| StoreError::Io(io::Error::other(error)))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge).into());
    }
    sweep(folder, name);
    folder
        .replace(name, &text, 0o644)
        .map_err(|error| statefile::at(path, &error).into())
}

/// Removes what writers that were killed left. Under the lock nobody else writes.
fn sweep(folder: &Folder, name: &OsStr) {
    let mut start = OsString::from(".");
    start.push(name);
    start.push(".");
    let mut left: Vec<OsString> = Vec::new();
    let listed = folder.names(&mut |file| {
        let file = String::from_utf8_lossy(file);
        if file.starts_with(&*start.to_string_lossy()) {
            left.push(file.into_owned().into());
        }
    });
    if listed.is_ok() {
        for file in left {
            let _ = folder.remove(&file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::holder;

    #[test]
    fn the_holder_of_a_lock_is_found_among_all_locks_of_the_host() {
        let locks = "\
            1: POSIX  ADVISORY  WRITE 11 08:01:77 0 EOF\n\
            2: FLOCK  ADVISORY  WRITE 22 08:01:78 0 EOF\n\
            3: FLOCK  ADVISORY  WRITE 33 00:1d:77 0 EOF\n\
            3: -> FLOCK  ADVISORY  WRITE 44 00:1d:77 0 EOF\n";
        assert_eq!(holder(locks, 77), Some(33));
        assert_eq!(holder(locks, 79), None);
        assert_eq!(holder("garbage\n\n1: FLOCK", 77), None);
    }
}
