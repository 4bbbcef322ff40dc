//! Changing the store: under a lock, aside, flushed, renamed.
//!
//! Owns the lock beside the file. Must never leave a reader with half a file, nor write
//! over a store that it could not read as a whole.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::geteuid;

use super::store::MAX_BYTES;
use super::{Book, Store, StoreError};
use crate::statefile::{self, Folder, Lock};

/// How long another writer is waited for; the caller may be sshd.
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
    /// The lock is not to be had within two seconds, or the store cannot be read.
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
    let lock = folder
        .lock(&file, LOCK_WAIT)
        .map_err(|error| statefile::at(&above.join(&file), &error))?;
    Ok((folder, lock))
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
