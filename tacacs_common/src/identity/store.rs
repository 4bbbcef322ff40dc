//! Reading the store.
//!
//! Owns the layout of the file, which a lookup need not read as a whole:
//!
//! ```text
//! tacplus-identity 1 INDEX SIZE    where the index starts, how long the file is
//! alice:2010...                    a line an entry, sorted by name; entries that
//! bob:2010...                      ended stand behind the living one of their name
//! UID OFFSET                       the index: a line a uid, sorted, and where its
//! UID OFFSET                       owner's line starts; ten digits each
//! ```
//!
//! A finished file never changes: a writer puts another in its place. So one open
//! descriptor sees one state, and a lock is of no use here.
//!
//! A file that is not trusted, or not as long as it says, is no store at all, and a
//! line that is met and is not well formed is an error of that lookup: entries are
//! lost by both, but nobody gets another's.

use std::cmp::Ordering;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::line::{self, MAX_LINE};
use super::{Entry, Group};
use crate::statefile;

pub(super) const MAGIC: &str = "tacplus-identity 1 ";

/// The first line, its line break included.
pub(super) const HEAD: usize = MAGIC.len() + 10 + 1 + 10 + 1;

/// A line of the index, its line break included.
pub(super) const INDEX_LINE: usize = 10 + 1 + 10 + 1;

/// The largest file that is read: some 500,000 entries.
pub(super) const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Room for two lines: wherever a read starts, one whole line is in it.
const BLOCK: usize = 2 * MAX_LINE;

/// Why the store gave no answer.
#[derive(Debug)]
pub enum StoreError {
    /// It could not be read, written or locked, or is not to be trusted.
    Io(io::Error),
    /// It is not as it was written.
    Damaged(&'static str),
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => write!(f, "identity store: {error}"),
            Self::Damaged(what) => write!(
                f,
                "identity store damaged: {what}; put a copy back, or run 'tacplus identity repair'"
            ),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The identity store as it was when it was opened.
pub struct Store {
    /// None: no store yet, which is an empty one.
    file: Option<File>,
    index: u64,
    size: u64,
}

type Found<T> = Result<Option<T>, StoreError>;

impl Store {
    /// Opens the store; one that does not exist is empty.
    ///
    /// # Errors
    /// It cannot be opened, is not to be trusted (a link, not root's, writable by
    /// others), or is not as long as it says.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = match statefile::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self {
                    file: None,
                    index: 0,
                    size: 0,
                });
            }
            Err(error) => return Err(error.into()),
        };
        let size = file.metadata()?.len();
        if size > MAX_BYTES {
            return Err(StoreError::Damaged("it is larger than 64 MiB"));
        }
        let mut head = [0; HEAD];
        let read = read_at(&file, &mut head, 0)?;
        let Some((index, stated)) = parse_head(read) else {
            return Err(StoreError::Damaged("its first line is not ours"));
        };
        let fits = stated == size && index >= HEAD as u64 && index <= size;
        let whole = size.saturating_sub(index).is_multiple_of(INDEX_LINE as u64);
        if !(fits && whole) {
            return Err(StoreError::Damaged("it is not as long as it says"));
        }
        Ok(Self {
            file: Some(file),
            index,
            size,
        })
    }

    /// The user or shared account of this name.
    ///
    /// # Errors
    /// The store cannot be read, or is damaged where the answer would be.
    pub fn by_name(&self, name: &[u8]) -> Found<Entry> {
        let mut found = None;
        self.lines_from(name, &mut |entry| {
            // The living one stands first.
            found = Some(entry).filter(|entry| entry.name.as_bytes() == name && entry.is_known());
            false
        })?;
        Ok(found)
    }

    /// All entries of this name: the living one if any, then those that ended.
    ///
    /// # Errors
    /// As for [`by_name`](Self::by_name).
    pub fn all_of(&self, name: &[u8]) -> Result<Vec<Entry>, StoreError> {
        let mut all = Vec::new();
        self.lines_from(name, &mut |entry| {
            let same = entry.name.as_bytes() == name;
            if same {
                all.push(entry);
            }
            same
        })?;
        Ok(all)
    }

    /// The user of this uid; the shared account where users share it.
    ///
    /// # Errors
    /// As for [`by_name`](Self::by_name).
    pub fn by_uid(&self, uid: u32) -> Found<Entry> {
        Ok(self.owner(uid)?.filter(Entry::is_known))
    }

    /// Whose this uid is or was.
    ///
    /// # Errors
    /// As for [`by_name`](Self::by_name).
    pub fn owner(&self, uid: u32) -> Found<Entry> {
        let line = INDEX_LINE as u64;
        let (mut low, mut high) = (0, self.size.saturating_sub(self.index).div_euclid(line));
        while low < high {
            let middle = low.midpoint(high);
            let at = self.index.saturating_add(middle.saturating_mul(line));
            let mut text = [0; INDEX_LINE];
            let Some((found, offset)) = parse_pair(self.read(&mut text, at)?) else {
                return Err(StoreError::Damaged(
                    "a line of its index is not well formed",
                ));
            };
            match found.cmp(&u64::from(uid)) {
                Ordering::Equal => return self.line_at(offset, uid).map(Some),
                Ordering::Less => low = middle.saturating_add(1),
                Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }

    /// The group of this name.
    ///
    /// # Errors
    /// As for [`by_name`](Self::by_name).
    pub fn group_by_name(&self, name: &[u8]) -> Found<Group> {
        let Some(entry) = self.by_name(name)? else {
            return Ok(None);
        };
        // A user who shares an account has that account's group, not one of the own name.
        let group = self.group_by_gid(entry.gid)?;
        Ok(group.filter(|group| group.name == entry.name))
    }

    /// The group of this gid.
    ///
    /// # Errors
    /// As for [`by_name`](Self::by_name).
    pub fn group_by_gid(&self, gid: u32) -> Found<Group> {
        let owner = self.by_uid(gid)?.filter(|owner| owner.gid == gid);
        Ok(owner.map(|owner| Group {
            name: owner.name,
            gid,
        }))
    }

    /// The supplementary groups of a user, `None` for a name that is not stored.
    ///
    /// # Errors
    /// As for [`by_name`](Self::by_name).
    pub fn groups_of(&self, name: &[u8]) -> Found<Vec<u32>> {
        Ok(self.by_name(name)?.map(|entry| entry.groups))
    }

    /// The first entry behind this name in the order of names; of all, behind the
    /// empty name. For enumerations that keep only a name from one call to the next.
    ///
    /// # Errors
    /// As for [`by_name`](Self::by_name).
    pub fn after(&self, name: &[u8]) -> Found<Entry> {
        let mut next = None;
        self.each_after(name, &mut |entry| {
            next = Some(entry);
            false
        })?;
        Ok(next)
    }

    /// Calls `each` with the entries that [`after`](Self::after) gives one by one, until
    /// it answers false: for enumerations that leave some out.
    ///
    /// # Errors
    /// As for [`by_name`](Self::by_name).
    pub fn each_after(
        &self,
        name: &[u8],
        each: &mut dyn FnMut(Entry) -> bool,
    ) -> Result<(), StoreError> {
        self.lines_from(name, &mut |entry| {
            let wanted = entry.is_known() && entry.name.as_bytes() > name;
            !wanted || each(entry)
        })
    }

    /// Calls `each` with every entry, those that ended too, in the order of names,
    /// until it answers false.
    ///
    /// # Errors
    /// As for [`by_name`](Self::by_name), at the first line that is not well formed.
    pub fn each(&self, each: &mut dyn FnMut(Entry) -> bool) -> Result<(), StoreError> {
        self.lines_from(b"", each)
    }

    /// Calls `each` with the entries from this name on.
    fn lines_from(
        &self,
        name: &[u8],
        each: &mut dyn FnMut(Entry) -> bool,
    ) -> Result<(), StoreError> {
        if self.file.is_none() {
            return Ok(());
        }
        let mut block = [0; BLOCK];
        let mut at = self.seek(name, &mut block)?;
        while at < self.index {
            let bytes = self.lines(&mut block, at)?;
            let mut rest = bytes;
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let (text, behind) = rest.split_at(end);
                rest = behind.get(1..).unwrap_or_default();
                // All lines of the block before the name were met on the way there.
                if line::name_of(text).is_none_or(|this| this >= name)
                    && !each(line::parse(text).ok_or(BAD_LINE)?)
                {
                    return Ok(());
                }
            }
            let used = bytes.len().saturating_sub(rest.len());
            if used == 0 {
                return Err(BAD_LINE);
            }
            at = at.saturating_add(used as u64);
        }
        Ok(())
    }

    /// A line start at or before the first line of this name, by less than a block.
    fn seek(&self, name: &[u8], block: &mut [u8; BLOCK]) -> Result<u64, StoreError> {
        let (mut low, mut high) = (HEAD as u64, self.index);
        // Both are starts of lines, and the first line that is not before the name
        // starts between them.
        while high.saturating_sub(low) > BLOCK as u64 {
            let middle = low.midpoint(high);
            let bytes = self.lines(block, middle)?;
            let skip = bytes
                .iter()
                .position(|byte| *byte == b'\n')
                .ok_or(BAD_LINE)?;
            let start = skip.saturating_add(1);
            let this = bytes.get(start..).and_then(line::name_of).ok_or(BAD_LINE)?;
            let start = middle.saturating_add(start as u64);
            if start >= high {
                return Err(BAD_LINE);
            }
            if this < name {
                low = start;
            } else {
                high = start;
            }
        }
        Ok(low)
    }

    /// The line at an offset of the index, which must be this uid's.
    fn line_at(&self, offset: u64, uid: u32) -> Result<Entry, StoreError> {
        // From the line break before it, which shows that a line starts there.
        let before = offset.checked_sub(1).filter(|at| *at < self.index);
        let mut block = [0; BLOCK];
        let bytes = self.lines(&mut block, before.ok_or(BAD_INDEX)?)?;
        let mut lines = bytes.splitn(3, |byte| *byte == b'\n');
        match (lines.next(), lines.next(), lines.next()) {
            (Some([]), Some(text), Some(_)) => line::parse(text)
                .filter(|entry| entry.uid == uid)
                .ok_or(BAD_INDEX),
            _ => Err(BAD_INDEX),
        }
    }

    /// A block of the entries.
    fn lines<'b>(&self, block: &'b mut [u8; BLOCK], at: u64) -> Result<&'b [u8], StoreError> {
        let bytes = self.read(block, at)?;
        let entries = self.index.saturating_sub(at).min(bytes.len() as u64);
        Ok(usize::try_from(entries)
            .ok()
            .and_then(|entries| bytes.get(..entries))
            .unwrap_or_default())
    }

    fn read<'b>(&self, buffer: &'b mut [u8], at: u64) -> Result<&'b [u8], StoreError> {
        match &self.file {
            Some(file) => Ok(read_at(file, buffer, at)?),
            None => Ok(&[]),
        }
    }
}

const BAD_LINE: StoreError = StoreError::Damaged("one of its lines is not well formed");
const BAD_INDEX: StoreError = StoreError::Damaged("its index does not lead to the owner of a uid");

/// Where the index starts, and how long the file is.
pub(super) fn parse_head(head: &[u8]) -> Option<(u64, u64)> {
    parse_pair(head.strip_prefix(MAGIC.as_bytes())?)
}

/// Two numbers of ten digits, a blank between them and a line break behind.
fn parse_pair(text: &[u8]) -> Option<(u64, u64)> {
    let digits = |from: usize| {
        let digits = text.get(from..from.checked_add(10)?)?;
        let all = digits.iter().all(u8::is_ascii_digit);
        str::from_utf8(digits).ok().filter(|_| all)?.parse().ok()
    };
    let apart = text.get(10) == Some(&b' ') && text.get(21..) == Some(b"\n");
    apart.then_some((digits(0)?, digits(11)?))
}

/// Reads until the buffer or the file is full.
fn read_at<'b>(file: &File, buffer: &'b mut [u8], at: u64) -> io::Result<&'b [u8]> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at.saturating_add(filled as u64)) {
            Ok(0) => break,
            Ok(read) => filled = filled.saturating_add(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(buffer.get(..filled).unwrap_or_default())
}
