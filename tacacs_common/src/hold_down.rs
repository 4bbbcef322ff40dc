//! Servers that did not answer a moment ago, for every process of the host.
//!
//! Owns `/run/tacplus/servers`: one line a dead server, the end of its hold-down
//! in milliseconds of CLOCK_BOOTTIME, a blank, its key. Must never fail or delay a
//! login: what cannot be read or trusted is as if absent, and what cannot be
//! written stays unwritten.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::geteuid;
use rustix::time::{ClockId, clock_gettime};

use crate::statefile::{self, Folder};

/// Where the hold-down of the host is kept.
pub const PATH: &str = "/run/tacplus/servers";

const MAX_BYTES: usize = 64 * 1024;
const LOCK_WAIT: Duration = Duration::from_millis(50);

/// Time since boot, suspended time included: the `now` of this module.
pub fn boottime() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    let nanos = u32::try_from(now.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), nanos)
}

/// The hold-down list of the host.
pub struct HoldDown {
    path: PathBuf,
    hold: Duration,
    locks: bool,
}

impl HoldDown {
    /// A list kept at `path`, whose servers are passed over for `hold` after a
    /// failure. A `hold` of zero turns it off.
    pub fn new(path: impl Into<PathBuf>, hold: Duration) -> Self {
        Self {
            path: path.into(),
            hold,
            locks: true,
        }
    }

    /// For a setuid program, whose caller may stop it while it holds the lock: it writes
    /// without one.
    pub const fn without_lock(&mut self) {
        self.locks = false;
    }

    /// The servers held down now. Read it once per operation.
    pub fn held(&self, now: Duration) -> HeldSet {
        if self.hold.is_zero() {
            return HeldSet::default();
        }
        let mut lines = match statefile::read(&self.path, MAX_BYTES) {
            Ok(Some(bytes)) => parse(&bytes),
            _ => Vec::new(),
        };
        lines.retain(|line| self.is_current(line, now));
        HeldSet(lines.into_iter().map(|line| line.key).collect())
    }

    /// Holds a server down from now on. Only root's word counts for the host: for
    /// anyone else this does nothing.
    ///
    /// An error is for the log alone; the operation goes on without it.
    pub fn mark(&self, key: &str, now: Duration) -> io::Result<()> {
        if self.hold.is_zero() || !is_key(key) {
            return Ok(());
        }
        let end = millis(now.saturating_add(self.hold));
        self.rewrite(&mut |lines| {
            lines.retain(|line| line.key != key && self.is_current(line, now));
            lines.push(Line {
                end,
                key: key.to_owned(),
            });
        })
    }

    /// Lets a server that answered go. As [`mark`](Self::mark), of effect for root only.
    pub fn clear(&self, key: &str) -> io::Result<()> {
        match statefile::read(&self.path, MAX_BYTES) {
            // Nearly always: no line, so no lock and no write either.
            Ok(Some(bytes)) if parse(&bytes).iter().any(|line| line.key == key) => {
                self.rewrite(&mut |lines| lines.retain(|line| line.key != key))
            }
            _ => Ok(()),
        }
    }

    /// An end further ahead than the hold-down was written under another setting or
    /// in another boot.
    fn is_current(&self, line: &Line, now: Duration) -> bool {
        line.end > millis(now) && line.end <= millis(now.saturating_add(self.hold))
    }

    fn rewrite(&self, change: &mut dyn FnMut(&mut Vec<Line>)) -> io::Result<()> {
        let Some(name) = self.path.file_name() else {
            return Ok(());
        };
        let Some(folder) = self.own_folder()? else {
            return Ok(());
        };
        let mut lock = name.to_owned();
        lock.push(".lock");
        let in_file = |error: io::Error| statefile::at(&self.path, &error);
        // Whoever has it that long was stopped. A line that is lost between two writers costs
        // one login a wait; every login one is worse.
        let _lock = match self.locks.then(|| folder.lock(&lock, LOCK_WAIT)) {
            Some(Err(error)) if error.kind() == io::ErrorKind::TimedOut => None,
            taken => taken.transpose().map_err(in_file)?,
        };
        let mut lines = match folder.read(name, MAX_BYTES) {
            Ok(Some(bytes)) => parse(&bytes),
            _ => Vec::new(),
        };
        change(&mut lines);
        let text: String = lines.iter().map(Line::text).collect();
        folder
            .replace(name, text.as_bytes(), 0o644)
            .map_err(in_file)
    }

    /// The folder of the list if this process is the one to write there.
    fn own_folder(&self) -> io::Result<Option<Folder>> {
        let path = self.path.parent().unwrap_or(Path::new("."));
        let folder = if geteuid().is_root() {
            Folder::create(path, 0o755)?
        } else {
            match Folder::open(path) {
                Ok(folder) => folder,
                Err(_) => return Ok(None),
            }
        };
        Ok(folder.is_own()?.then_some(folder))
    }
}

/// The servers that were held down at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldSet(Vec<String>);

impl HeldSet {
    /// Whether this server is to be passed over.
    pub fn is_held(&self, key: &str) -> bool {
        self.0.iter().any(|held| held == key)
    }
}

struct Line {
    end: u64,
    key: String,
}

impl Line {
    fn text(&self) -> String {
        format!("{} {}\n", self.end, self.key)
    }
}

/// The lines of a list; none at all if one of them is not ours.
fn parse(bytes: &[u8]) -> Vec<Line> {
    let line = |text: &str| {
        let (end, key) = text.split_once(' ')?;
        is_key(key).then_some(Line {
            end: end.parse().ok()?,
            key: key.to_owned(),
        })
    };
    std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| text.lines().map(line).collect())
        .unwrap_or_default()
}

/// A key fills its line to the end, so only a line break could break it.
fn is_key(key: &str) -> bool {
    !key.is_empty() && !key.contains(char::is_control)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
