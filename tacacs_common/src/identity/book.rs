//! The rules of changing the store, on all its entries in memory.
//!
//! Owns which uid belongs to which name. Must never let go of that: an entry that ends
//! stays behind, forgotten.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::fmt;

use super::store::{HEAD, MAGIC};
use super::{Entry, State, Store, StoreError, line};

/// Every entry, in the order of the file.
#[derive(Default)]
pub struct Book {
    entries: Vec<Entry>,
}

/// Why an entry cannot be put into the book.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its uid is or was another name's.
    #[allow(missing_docs)]
    Taken { uid: u32, owner: String },
    /// It is an account that this user still has.
    InUse(String),
    /// It does not fit a line.
    Unwritable,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { uid, owner } => {
                write!(f, "uid {uid} is that of '{owner}'; choose another")
            }
            Self::InUse(user) => write!(f, "it is the account of '{user}': forget its users first"),
            Self::Unwritable => f.write_str("the entry does not fit a line of the store"),
        }
    }
}

impl std::error::Error for Refusal {}

impl Book {
    /// Every entry of a store.
    pub(super) fn read(store: &Store) -> Result<Self, StoreError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut sorted = true;
        store.each(&mut |entry| {
            sorted &= entries.last().is_none_or(|last| is_before(last, &entry));
            entries.push(entry);
            true
        })?;
        if sorted {
            Ok(Self { entries })
        } else {
            Err(StoreError::Damaged("its lines are out of order"))
        }
    }

    /// The entries of a damaged file whose lines are well formed and contradict no line
    /// before them, and the numbers of the lines that are lost.
    pub(super) fn salvage(text: &[u8]) -> (Self, BTreeSet<usize>) {
        let (mut book, mut lost) = (Self::default(), BTreeSet::new());
        let lines = || (1_usize..).zip(text.split(|byte| *byte == b'\n'));
        // Accounts first, since they say which users may have one uid.
        for accounts in [true, false] {
            for (number, text) in lines() {
                if text.is_empty() || text.starts_with(MAGIC.as_bytes()) || is_index(text) {
                    continue;
                }
                let entry = line::parse(text);
                let is_account = matches!(&entry, Some(entry) if entry.state == State::Shared);
                if is_account == accounts && !entry.is_some_and(|entry| book.keep(entry)) {
                    lost.insert(number);
                }
            }
        }
        (book, lost)
    }

    /// Adds an entry as it is, if neither its name nor its uid is there.
    fn keep(&mut self, entry: Entry) -> bool {
        let living = |old: &Entry| old.is_known() && entry.is_known() && old.name == entry.name;
        let free = self.clash(&entry).is_none() && !self.entries.iter().any(living);
        if free {
            self.insert(entry);
        }
        free
    }

    /// The entries, sorted by name.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The living entry of this name.
    pub fn find(&mut self, name: &str) -> Option<&mut Entry> {
        self.entries
            .iter_mut()
            .find(|entry| entry.is_known() && entry.name == name)
    }

    /// Puts an entry in the place of the living one of its name. If that had another
    /// uid of its own, this uid stays taken.
    ///
    /// # Errors
    /// The uid is another's, or the entry could not be read back.
    pub fn put(&mut self, entry: Entry) -> Result<(), Refusal> {
        if !line::push(&mut Vec::new(), &entry) {
            return Err(Refusal::Unwritable);
        }
        if let Some(other) = self.clash(&entry) {
            return Err(Refusal::Taken {
                uid: entry.uid,
                owner: other.name.clone(),
            });
        }
        self.retire(&entry.name);
        // A uid that comes back to its name is no longer a forgotten one.
        self.entries
            .retain(|old| old.name != entry.name || old.uid != entry.uid);
        self.insert(entry);
        Ok(())
    }

    /// Ends the living entry of this name, if there is one. Its uid stays taken.
    ///
    /// # Errors
    /// It is an account that users have.
    pub fn forget(&mut self, name: &str) -> Result<(), Refusal> {
        let account = self
            .find(name)
            .filter(|entry| entry.state == State::Shared)
            .map(|entry| entry.uid);
        if let Some(uid) = account {
            let user = |entry: &&Entry| entry.uid == uid && entry.name != name;
            if let Some(user) = self.entries.iter().find(user) {
                return Err(Refusal::InUse(user.name.clone()));
            }
        }
        self.retire(name);
        Ok(())
    }

    /// The living entry of a name becomes a forgotten one, or nothing if its uid is that
    /// of an account.
    fn retire(&mut self, name: &str) {
        let living = |entry: &Entry| entry.is_known() && entry.name == name;
        let Some(at) = self.entries.iter().position(living) else {
            return;
        };
        let mut old = self.entries.remove(at);
        if old.state == State::Shared || !self.is_shared(old.uid) {
            old.disable();
            old.state = State::Forgotten;
            self.insert(old);
        }
    }

    /// Whether this uid is that of an account, past or present.
    fn is_shared(&self, uid: u32) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.uid == uid && entry.state == State::Shared)
    }

    /// The entry that the uid of this one belongs to, if that is another.
    fn clash(&self, entry: &Entry) -> Option<&Entry> {
        let of_uid = || self.entries.iter().filter(|other| other.uid == entry.uid);
        let is_account = entry.state == State::Shared;
        match of_uid().find(|other| other.state == State::Shared) {
            // Every user may have an account's uid, but nobody as the account.
            Some(account) => Some(account).filter(|it| (it.name == entry.name) != is_account),
            None => {
                of_uid().find(|other| other.name != entry.name || (is_account && other.is_known()))
            }
        }
    }

    fn insert(&mut self, entry: Entry) {
        let at = self
            .entries
            .partition_point(|other| is_before(other, &entry));
        self.entries.insert(at, entry);
    }

    /// The file.
    pub(super) fn text(&self) -> Result<Vec<u8>, Refusal> {
        let mut text = vec![b'0'; HEAD];
        // A heap, whose code is a tenth of that of a sort: modules carry it into sshd.
        let mut index = BinaryHeap::new();
        for entry in &self.entries {
            // Of those with one uid the account owns it, else the only one.
            let user = entry.state != State::Shared;
            index.push(Reverse((entry.uid, user, text.len())));
            if !line::push(&mut text, entry) {
                return Err(Refusal::Unwritable);
            }
        }
        let start = text.len();
        let mut last = None;
        while let Some(Reverse((uid, _, offset))) = index.pop() {
            if last.replace(uid) != Some(uid) {
                text.extend_from_slice(format!("{uid:010} {offset:010}\n").as_bytes());
            }
        }
        let head = format!("{MAGIC}{start:010} {:010}\n", text.len());
        for (place, byte) in text.iter_mut().zip(head.bytes()) {
            *place = byte;
        }
        Ok(text)
    }
}

/// The order of the file: by name, the living one first.
fn is_before(a: &Entry, b: &Entry) -> bool {
    (&a.name, !a.is_known(), a.uid) < (&b.name, !b.is_known(), b.uid)
}

/// Whether this is a line of the index: digits, a blank, digits.
fn is_index(text: &[u8]) -> bool {
    text.contains(&b' ')
        && text
            .iter()
            .all(|byte| *byte == b' ' || byte.is_ascii_digit())
}
