//! The accounting file.
//!
//! Owns the one thread that appends to it. A record counts as stored once
//! write(2) has taken all of it: then it survives the end of this process. Several
//! records that wait share one write. Two daemons may share the file: every write
//! happens under an fcntl(2) lock. After a rotation the new file is found by its inode.
//! Must never wait for a reader: a pipe that nobody reads is an error, not a standstill.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::fs::FlockOperation;
use tokio::sync::mpsc;

use super::log::Log;
use crate::effects::inbox::Ticket;
use crate::policy::Done;
use crate::sys::{self, LocalTime};

/// Records that may wait before connections are made to wait.
const QUEUE: usize = 1024;
/// Records in one write.
const BATCH: usize = 256;
/// How long another daemon may hold the lock, and the queue may be full, before
/// records are answered with ERROR.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where to put records.
pub(super) struct Store(mpsc::Sender<Job>);

enum Job {
    Record(Vec<u8>, Ticket),
    /// Write there from now on.
    Path(PathBuf),
}

impl Store {
    /// Tries the file, logs if it cannot be written, and starts the writer.
    pub(super) fn start(path: PathBuf, log: Log) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let mut writer = Writer {
            path,
            file: None,
            reader: None,
            torn: false,
            log,
            failing: false,
            clock: Clock::default(),
        };
        writer.try_file();
        std::thread::Builder::new()
            .name("accounting".to_owned())
            .spawn(move || writer.run(queue))?;
        Ok(Self(jobs))
    }

    /// Hands over a record. The ticket tells [`Done::Stored`] once it is stored.
    pub(super) async fn record(&self, line: Vec<u8>, ticket: Ticket) {
        // A writer that is gone or hangs drops the ticket, which says "failed".
        let _ = (self.0)
            .send_timeout(Job::Record(line, ticket), PATIENCE)
            .await;
    }

    /// Changes the file, or opens the same one anew.
    pub(super) async fn set_path(&self, path: PathBuf) {
        let _ = self.0.send(Job::Path(path)).await;
    }
}

struct Writer {
    path: PathBuf,
    file: Option<File>,
    /// The same file for reading, from its opening to the first write.
    reader: Option<File>,
    /// Whether a failed write left half a line.
    torn: bool,
    log: Log,
    failing: bool,
    clock: Clock,
}

impl Writer {
    fn run(&mut self, mut queue: mpsc::Receiver<Job>) {
        let mut text = Vec::new();
        let mut waiting = Vec::new();
        while let Some(first) = queue.blocking_recv() {
            let mut next = Some(first);
            while let Some(job) = next {
                match job {
                    Job::Record(line, ticket) => {
                        self.clock.prefix(&mut text);
                        text.extend_from_slice(&line);
                        waiting.push(ticket);
                    }
                    Job::Path(path) => {
                        // Records before the change belong to the old file.
                        self.store(&mut text, &mut waiting);
                        self.path = path;
                        self.file = None;
                        self.try_file();
                    }
                }
                next = if waiting.len() < BATCH {
                    queue.try_recv().ok()
                } else {
                    None
                };
            }
            self.store(&mut text, &mut waiting);
        }
    }

    fn store(&mut self, text: &mut Vec<u8>, waiting: &mut Vec<Ticket>) {
        if waiting.is_empty() {
            return;
        }
        let result = self.append(text);
        self.report(&result);
        for ticket in waiting.drain(..) {
            ticket.done(if result.is_ok() {
                Done::Stored
            } else {
                Done::Failed
            });
        }
        text.clear();
    }

    fn try_file(&mut self) {
        let result = self.open().map(|file| self.file = Some(file));
        self.report(&result);
    }

    /// Logs when writing begins to fail and when it works again, not every time.
    fn report(&mut self, result: &io::Result<()>) {
        let path = self.path.display();
        match result {
            Err(error) if !self.failing => {
                self.log.line(format!(
                    "accounting file {path} cannot be written: {error}; records are answered with ERROR"
                ));
            }
            Ok(()) if self.failing => self
                .log
                .line(format!("accounting file {path} is written again")),
            _ => {}
        }
        self.failing = result.is_err();
    }

    /// All of the text, or nothing of it.
    fn append(&mut self, text: &mut Vec<u8>) -> io::Result<()> {
        let mut file = self.open()?;
        let appended = self.append_to(&mut file, text);
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
    fn open(&mut self) -> io::Result<File> {
        if let Some(file) = self.file.take().filter(|file| is_at(file, &self.path)) {
            return Ok(file);
        }
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o640)
            // A pipe without a reader is an error at once.
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(&self.path)?;
        self.torn = false;
        // Whoever may write but not read goes without the look at the last byte.
        self.reader = Some(&file)
            .filter(|file| file.metadata().is_ok_and(|metadata| metadata.is_file()))
            .and_then(|_| File::open(&self.path).ok());
        Ok(file)
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

/// The time in front of a record, computed once a second.
#[derive(Default)]
struct Clock {
    second: u64,
    text: String,
}

impl Clock {
    fn prefix(&mut self, out: &mut Vec<u8>) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        if now != self.second || self.text.is_empty() {
            self.second = now;
            self.text = i64::try_from(now)
                .ok()
                .and_then(sys::local_time)
                .map_or_else(String::new, |time| stamp(&time));
        }
        out.extend_from_slice(self.text.as_bytes());
        out.push(b'\t');
    }
}

/// `Nov  2 06:20:41`, as the original writes it.
fn stamp(time: &LocalTime) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let month = MONTHS.get(time.month).copied().unwrap_or("???");
    format!(
        "{month} {:2} {:02}:{:02}:{:02}",
        time.day, time.hour, time.minute, time.second
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::inbox::Inbox;

    #[test]
    fn a_record_begins_with_the_month_the_padded_day_and_the_time() {
        let time = LocalTime {
            month: 10,
            day: 2,
            hour: 6,
            minute: 5,
            second: 41,
        };
        assert_eq!(stamp(&time), "Nov  2 06:05:41");
    }

    fn stored(store: &Store, line: &str) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let mut inbox = Inbox::default();
        let results = runtime.block_on(async {
            store.record(line.into(), inbox.ticket(1)).await;
            inbox.next(PATIENCE).await
        });
        results == [(1, Done::Stored)]
    }

    fn fields_after_time(path: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines()
            .map(|line| line.split_once('\t').unwrap().1.to_owned())
            .collect()
    }

    #[test]
    fn a_rotated_file_is_left_alone_and_a_new_one_begun() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acct");
        let (log, _writer) = Log::to_stderr().unwrap();
        let store = Store::start(path.clone(), log).unwrap();
        assert!(stored(&store, "one\n"));
        let rotated = folder.path().join("acct.1");
        std::fs::rename(&path, &rotated).unwrap();
        assert!(stored(&store, "two\n"));
        assert_eq!(fields_after_time(&rotated), ["one"]);
        assert_eq!(fields_after_time(&path), ["two"]);
    }

    #[test]
    fn what_cannot_be_written_is_not_stored_until_it_can_be_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("later").join("acct");
        let (log, _writer) = Log::to_stderr().unwrap();
        let store = Store::start(path.clone(), log).unwrap();
        assert!(!stored(&store, "lost\n"));
        std::fs::create_dir(folder.path().join("later")).unwrap();
        assert!(stored(&store, "kept\n"));
        assert_eq!(fields_after_time(&path), ["kept"]);
    }

    #[test]
    fn half_a_line_of_a_writer_that_was_killed_swallows_no_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acct");
        std::fs::write(&path, "Nov  2 06:05:41\thalf a rec").unwrap();
        let (log, _writer) = Log::to_stderr().unwrap();
        let store = Store::start(path.clone(), log).unwrap();
        assert!(stored(&store, "one\n"));
        assert!(stored(&store, "two\n"));
        assert_eq!(fields_after_time(&path), ["half a rec", "one", "two"]);
    }

    #[test]
    fn a_pipe_that_nobody_reads_is_an_error_and_one_that_is_read_gets_records() {
        use std::io::Read;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acct");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let (log, _writer) = Log::to_stderr().unwrap();
        let store = Store::start(path.clone(), log).unwrap();
        assert!(!stored(&store, "lost\n"));
        let mut reader = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&path)
            .unwrap();
        assert!(stored(&store, "kept\n"));
        let mut text = [0; 64];
        let count = reader.read(&mut text).unwrap();
        assert!(text[..count].ends_with(b"\tkept\n"));
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let (log, _writer) = Log::to_stderr().unwrap();
        let store = Store::start(PathBuf::from("/dev/full"), log).unwrap();
        assert!(!stored(&store, "lost\n"));
    }
}
