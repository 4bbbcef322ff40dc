//! Log lines: to standard error or a file, and to the system log.
//!
//! Owns the one thread that writes them. Must never make a request wait: if
//! whoever reads the log stops reading, lines are dropped and counted.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::files::append_to;
use super::json::Object;
use super::severity::Severity;
use super::syslog::Syslog;
use super::time::Stamp;
use crate::policy::draft::Settings;

/// Bytes that may wait for a slow reader.
const WAITING: usize = 1024 * 1024;
/// Bytes of a buffer that are kept when it is empty.
const KEPT: usize = 64 * 1024;
/// Lines that come within this time share a write.
const PAUSE: Duration = Duration::from_millis(1);
/// The digit of an error.
const ERR: &str = "3";
/// How long the end of the program waits for a slow reader.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where to put lines. Cheap to copy.
#[derive(Clone)]
pub struct Log(Arc<Handle>);

/// The last copy of a log closes it.
struct Handle(Arc<Shared>);

/// The writer: tells when it has ended, which is after every [`Log`] is gone.
pub struct Writer(Receiver<()>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    ready: Condvar,
}

/// What the writer has not taken yet.
#[derive(Default)]
struct Waiting {
    /// Each begins with the digit of its severity and ends with a newline.
    lines: String,
    lost: u64,
    style: Option<Style>,
    reopen: bool,
    closed: bool,
    /// Whether the writer waits to be told of a change.
    asleep: bool,
}

/// What lines look like and where they go besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Style {
    /// One JSON object a line.
    pub(super) json: bool,
    /// Also to the system log, under this facility.
    pub(super) facility: Option<String>,
}

impl Style {
    /// What a configuration says.
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            json: settings.log_json,
            facility: settings.facility.clone(),
        }
    }
}

impl Log {
    /// A log in a file, or on standard error without one and as long as it cannot be
    /// opened.
    ///
    /// # Errors
    ///
    /// If no thread can be started.
    pub fn start(path: Option<&Path>) -> io::Result<(Self, Writer)> {
        let (file, trouble) = match path.map(open).transpose() {
            Ok(file) => (file, None),
            Err(error) => (None, path.map(|path| unopened(path, &error))),
        };
        let shared = Arc::new(Shared::default());
        let mut printer = Printer {
            shared: Arc::clone(&shared),
            path: path.map(Path::to_owned),
            file,
            style: Style::default(),
            syslog: None,
            stamp: Stamp::default(),
            to_journal: is_the_journals(),
            lost: 0,
            torn: false,
        };
        let (alive, ended) = channel();
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                printer.run();
                drop(alive);
            })?;
        let log = Self(Arc::new(Handle(shared)));
        if let Some(trouble) = trouble {
            log.error(trouble);
        }
        Ok((log, Writer(ended)))
    }

    /// Why a log could not be in this file, if it could not. Makes none.
    #[must_use]
    pub fn trouble(path: &Path) -> Option<String> {
        let error = super::files::try_out(path).err()?;
        Some(unopened(path, &error))
    }

    /// Logs a line, or several. Text from the network in it must be escaped already.
    pub fn line(&self, line: impl AsRef<str>) {
        self.add(line.as_ref(), Severity::of);
    }

    /// Logs that something does not work.
    pub fn error(&self, line: impl AsRef<str>) {
        self.add(line.as_ref(), |_| Severity::Err);
    }

    fn add(&self, text: &str, severity: impl Fn(&str) -> Severity) {
        self.0.0.tell(|waiting| {
            if waiting.lines.len() + text.len() > WAITING {
                waiting.lost += 1;
                return;
            }
            for line in text.lines() {
                waiting.lines.push(severity(line).digit());
                waiting.lines.push_str(line);
                waiting.lines.push('\n');
            }
        });
    }

    /// What lines look like from now on.
    pub(super) fn set_style(&self, style: Style) {
        self.0.0.tell(|waiting| waiting.style = Some(style));
    }

    /// Opens the log's file anew: a rotation has moved it away.
    pub(super) fn reopen(&self) {
        self.0.0.tell(|waiting| waiting.reopen = true);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.tell(|waiting| waiting.closed = true);
    }
}

impl Writer {
    /// Waits until everything is written, but not for ever: whoever has stopped
    /// reading, or a disk that hangs, must not keep the program from ending.
    pub fn finish(self) {
        // Nothing is ever sent: this ends with the thread or with the patience.
        let _ = self.0.recv_timeout(PATIENCE);
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, change: impl FnOnce(&mut Waiting)) {
        let mut waiting = self.waiting();
        change(&mut waiting);
        if std::mem::take(&mut waiting.asleep) {
            drop(waiting);
            self.ready.notify_one();
        }
    }
}

struct Printer {
    shared: Arc<Shared>,
    path: Option<PathBuf>,
    file: Option<File>,
    style: Style,
    syslog: Option<Syslog>,
    stamp: Stamp,
    /// Whether standard error is the journal's, which reads a severity before a line.
    to_journal: bool,
    /// Lines that could not be written, until that is told.
    lost: u64,
    /// Whether a failed write left half a line.
    torn: bool,
}

impl Printer {
    fn run(&mut self) {
        let mut text = String::new();
        // Lines are collected in one of two buffers while the other is written.
        let mut spare = String::new();
        loop {
            let mut waiting = self.shared.waiting();
            while waiting.is_idle() {
                waiting.asleep = true;
                waiting = self
                    .shared
                    .ready
                    .wait(waiting)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            let closed = waiting.closed;
            let mut taken = std::mem::take(&mut *waiting);
            waiting.closed = closed;
            waiting.lines = std::mem::take(&mut spare);
            drop(waiting);
            if closed && taken.lines.is_empty() && taken.lost == 0 {
                return;
            }
            self.take(&taken, &mut text);
            spare = std::mem::take(&mut taken.lines);
            for buffer in [&mut spare, &mut text] {
                buffer.clear();
                buffer.shrink_to(KEPT);
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn take(&mut self, taken: &Waiting, text: &mut String) {
        if let Some(style) = &taken.style
            && *style != self.style
        {
            self.style = style.clone();
            let facility = self.style.facility.as_deref();
            self.syslog = facility.map(|name| Syslog::new(Some(name)));
        }
        text.clear();
        for line in taken.lines.lines() {
            let (digit, line) = line.split_at_checked(1).unwrap_or_default();
            self.add(text, digit, line);
        }
        self.lost += taken.lost;
        if self.lost > 0 {
            let lost = self.lost;
            let line = format!(
                "{lost} log lines were lost: nobody read them fast enough, or there was no room for them"
            );
            self.add(text, ERR, &line);
        }
        if self.write(text) {
            self.lost = 0;
        } else {
            let told = u64::from(self.lost > 0);
            let lines = text.bytes().filter(|byte| *byte == b'\n').count();
            self.lost += u64::try_from(lines).unwrap_or(0).saturating_sub(told);
        }
        if taken.reopen {
            self.reopen();
        }
    }

    /// One that cannot be opened leaves the lines where they go now.
    fn reopen(&mut self) {
        let Some(path) = &self.path else {
            return;
        };
        match open(path) {
            Ok(file) => self.file = Some(file),
            Err(error) => {
                let mut text = String::new();
                let trouble = unopened(path, &error);
                self.add(&mut text, ERR, &trouble);
                self.write(&text);
            }
        }
    }

    /// Tells whether all of it is written: there is nowhere else to say that it is not.
    fn write(&mut self, text: &str) -> bool {
        let Some(file) = &mut self.file else {
            return io::stderr().write_all(text.as_bytes()).is_ok();
        };
        let text = text.as_bytes();
        let begun = match std::mem::take(&mut self.torn) {
            true => file.write_all(b"\n"),
            false => Ok(()),
        };
        let written = begun.and_then(|()| file.write_all(text));
        // A line that was cut must not swallow the one after it.
        self.torn = written.is_err();
        written.is_ok()
    }

    fn add(&mut self, text: &mut String, digit: &str, line: &str) {
        if let Some(syslog) = &mut self.syslog {
            let severity = digit.parse().unwrap_or(Severity::Info as u8);
            // The line is in the log all the same.
            let _ = syslog.send(self.stamp.text(), severity, line);
        }
        if self.to_journal && self.file.is_none() {
            text.push('<');
            text.push_str(digit);
            text.push('>');
        }
        if self.style.json {
            json(text, self.stamp.iso(), line);
            return;
        }
        if self.file.is_some() {
            text.push_str(self.stamp.text());
            text.push(' ');
        }
        text.push_str("tac_plus: ");
        text.push_str(line);
        text.push('\n');
    }
}

impl Waiting {
    fn is_idle(&self) -> bool {
        let something = !self.lines.is_empty() || self.lost > 0 || self.style.is_some();
        !(something || self.reopen || self.closed)
    }
}

/// Whether standard error leads to the journal, as systemd.exec(5) has it.
fn is_the_journals() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    rustix::fs::fstat(io::stderr())
        .is_ok_and(|own| stream == format!("{}:{}", own.st_dev, own.st_ino))
}

fn unopened(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    format!("the log {path} cannot be opened: {error}; lines go where they went before")
}

/// Writes wait for who reads a pipe, up to here: requests do not.
fn open(path: &Path) -> io::Result<File> {
    let file = append_to(path)?;
    rustix::io::ioctl_fionbio(&file, false)?;
    Ok(file)
}

/// The line as an object; `what: name=value ...` becomes fields of their own.
fn json(out: &mut String, time: &str, line: &str) {
    let mut object = Object::begin(out);
    object.text("time", time);
    match fields(line) {
        Some((message, fields)) => {
            object.text("message", message);
            for (name, value) in fields {
                object.text(name, value);
            }
        }
        None => object.text("message", line),
    }
    object.end();
}

type Fields<'a> = Vec<(&'a str, &'a str)>;

/// Takes a line of `name=value` words apart; values are words or stand between single
/// quotes, which the escaping of names from the network keeps so.
fn fields(line: &str) -> Option<(&str, Fields<'_>)> {
    let first = line.find('=')?;
    let begin = line.get(..first)?.rfind(' ')? + 1;
    let message = line.get(..begin)?.trim_end().trim_end_matches(':');
    let mut rest = line.get(begin..)?;
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
        if name.is_empty() || !name.chars().all(is_name) {
            return None;
        }
        let (value, after) = match after.strip_prefix('\'') {
            Some(quoted) => quoted.split_once('\'')?,
            None => after.split_at(after.find(' ').unwrap_or(after.len())),
        };
        fields.push((name, value));
        rest = match after.strip_prefix(' ') {
            Some(more) => more,
            None if after.is_empty() => after,
            None => return None,
        };
    }
    Some((message, fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_names_and_values_becomes_fields_and_any_other_a_message() {
        let line = "login failure: user=alice port=tty\\0401 reason='wrong password'";
        let expected = vec![
            ("user", "alice"),
            ("port", "tty\\0401"),
            ("reason", "wrong password"),
        ];
        assert_eq!(fields(line), Some(("login failure", expected)));
        for line in [
            "listening on 127.0.0.1:49",
            "tac_plus.conf:3: a = b does not fit",
            "what: a='b'c",
            "what: a='b",
        ] {
            assert_eq!(fields(line), None, "{line}");
        }
    }

    #[test]
    fn lines_that_a_full_disk_does_not_take_are_counted_once_it_takes_lines_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let (log, writer) = Log::start(Some(&path)).unwrap();
        log.line("one\ntwo");
        log.line("three");
        std::fs::remove_file(&path).unwrap();
        log.reopen();
        while !path.exists() {
            std::thread::yield_now();
        }
        log.line("four");
        drop(log);
        writer.finish();
        let text = std::fs::read_to_string(path).unwrap();
        let said: Vec<_> = text
            .lines()
            .filter_map(|line| line.split_once("tac_plus: "))
            .collect();
        let said: Vec<_> = said.iter().map(|(_, line)| *line).collect();
        let lost =
            "3 log lines were lost: nobody read them fast enough, or there was no room for them";
        assert_eq!(said, ["four", lost]);
    }

    #[test]
    fn a_file_that_was_moved_away_is_left_alone_when_the_log_is_reopened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let (log, writer) = Log::start(Some(&path)).unwrap();
        log.line("one");
        while std::fs::read_to_string(&path).unwrap().is_empty() {
            std::thread::yield_now();
        }
        let moved = folder.path().join("log.1");
        std::fs::rename(&path, &moved).unwrap();
        log.reopen();
        while !path.exists() {
            std::thread::yield_now();
        }
        log.line("two");
        drop(log);
        writer.finish();
        let (old, new) = (
            std::fs::read_to_string(moved),
            std::fs::read_to_string(path),
        );
        assert!(old.unwrap().ends_with("tac_plus: one\n"));
        assert!(new.unwrap().ends_with("tac_plus: two\n"));
    }
}
