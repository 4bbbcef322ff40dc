//! The accounting file.
//!
//! Owns appending to it: all of a text or nothing of it. Two daemons may share the
//! file: every write happens under an fcntl(2) lock. After a rotation the new file is
//! found by its inode. Must never wait for a reader: a pipe that nobody reads is an
//! error, not a standstill.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;

use super::PATIENCE;
use crate::daemon::files::append_to;
use crate::daemon::log::Log;

/// A file that records are appended to, if there is one.
pub(super) struct RecordFile {
    path: Option<PathBuf>,
    file: Option<File>,
    /// The same file for reading, from its opening to the first write.
    reader: Option<File>,
    /// Whether a failed write left half a line.
    torn: bool,
    failing: bool,
    log: Log,
}

impl RecordFile {
    pub(super) fn new(log: Log) -> Self {
        Self {
            path: None,
            file: None,
            reader: None,
            torn: false,
            failing: false,
            log,
        }
    }

    /// Opens this file, or the same one anew; logs if it cannot be opened.
    pub(super) fn set_path(&mut self, path: Option<PathBuf>) {
        self.file = None;
        self.path = path;
        if let Some(path) = self.path.clone() {
            let result = self.file_at(&path).map(|file| self.file = Some(file));
            self.report(&path, &result);
        }
    }

    /// Appends all of a text or nothing of it, to the disk itself if `sync`; tells
    /// whether that is done.
    pub(super) fn append(&mut self, text: &mut Vec<u8>, sync: bool) -> bool {
        let Some(path) = self.path.clone().filter(|_| !text.is_empty()) else {
            return true;
        };
        let result = self.append_at(&path, text, sync);
        self.report(&path, &result);
        result.is_ok()
    }

    /// Logs when writing begins to fail and when it works again, not every time.
    fn report(&mut self, path: &Path, result: &io::Result<()>) {
        let path = path.display();
        match result {
            Err(error) if !self.failing => self.log.error(format!(
                "accounting file {path} cannot be written: {error}; records are answered with ERROR"
            )),
            Ok(()) if self.failing => {
                (self.log).line(format!("accounting file {path} is written again"));
            }
            _ => {}
        }
        self.failing = result.is_err();
    }

    fn append_at(&mut self, path: &Path, text: &mut Vec<u8>, sync: bool) -> io::Result<()> {
        let mut file = self.file_at(path)?;
        let mut appended = self.append_to(&mut file, text);
        if appended.is_ok() && sync {
            appended = flush(&file);
        }
        self.file = Some(file);
        appended
    }

    fn append_to(&mut self, file: &mut File, text: &mut Vec<u8>) -> io::Result<()> {
        lock(file)?;
        let reader = self.reader.take();
        if self.torn || reader.as_ref().is_some_and(ends_mid_line) {
            // Half a line, whoever left it, must not swallow the record after it.
            text.insert(0, b'\n');
        }
        let before = file.metadata().map(|metadata| metadata.len());
        let written = file.write_all(text);
        self.torn = match written {
            Ok(()) => false,
            // What cannot be cut (a pipe) keeps its half a line.
            Err(_) => self.torn || before.and_then(|length| file.set_len(length)).is_err(),
        };
        let unlocked = rustix::fs::fcntl_lock(&*file, FlockOperation::Unlock);
        // Closing any descriptor of a file gives up its lock, so not before this.
        drop(reader);
        written.and(unlocked.map_err(io::Error::from))
    }

    /// The file under the path now: a log rotation may have moved the open one away.
    fn file_at(&mut self, path: &Path) -> io::Result<File> {
        if let Some(file) = self.file.take().filter(|file| is_at(file, path)) {
            return Ok(file);
        }
        let file = append_to(path)?;
        self.torn = false;
        // Whoever may write but not read goes without the look at the last byte.
        self.reader = Some(&file)
            .filter(|file| file.metadata().is_ok_and(|metadata| metadata.is_file()))
            .and_then(|_| File::open(path).ok());
        Ok(file)
    }
}

/// To the disk. What has none (a pipe, a terminal) is done with writing.
fn flush(file: &File) -> io::Result<()> {
    match file.sync_data() {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        result => result,
    }
}

/// Whether a writer before this one was stopped in the middle of a record.
fn ends_mid_line(file: &File) -> bool {
    let mut last = [b'\n'];
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    length > 0 && file.read_exact_at(&mut last, length - 1).is_ok() && last != [b'\n']
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

/// Waits for the lock in small steps: a blocking wait could last for ever.
fn lock(file: &File) -> io::Result<()> {
    let start = Instant::now();
    loop {
        match rustix::fs::fcntl_lock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS)
                if start.elapsed() < PATIENCE =>
            {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => {
                return Err(io::Error::new(
                    io::ErrorKind::WouldBlock,
                    "another process keeps it locked",
                ));
            }
            Err(error) => return Err(error.into()),
        }
    }
}
