//! Who TACACS+ users are on this host: names, uids, homes, groups.
//!
//! Owns the mapping rules and `/var/lib/tacplus/identity`, the store of every user
//! that has logged in. Must never give one user's entry for another's name or uid,
//! nor a uid that once was one name's to another name.
//!
//! | module | owns |
//! |---|---|
//! | `name` | which names are names |
//! | `map` | name and level to uid, home, shell: pure |
//! | `host` | `/etc/group` and `/etc/shells`, as files |
//! | `learn` | an approval to an entry |
//! | `line` | an entry as a line of text |
//! | `store` | reading the store: one open, no lock |
//! | `book` | the rules of changing it |
//! | `writer` | changing it: lock, write aside, rename |
//!
//! # For lookups
//!
//! [`Store::open`], then [`Store::by_name`], [`Store::by_uid`], [`Store::group_by_name`],
//! [`Store::group_by_gid`], [`Store::groups_of`]; [`Store::after`] enumerates without
//! keeping anything open between two calls. A lookup opens one descriptor and reads a
//! few blocks, however many entries there are.
//!
//! A login program is to hear of a name that is not stored, or that is stored as
//! [`State::Disabled`], what [`map::plan`] makes of a server's answer (`unknown =
//! authorize`) or [`map::allocate`] of the name alone (`unknown = allocate`):
//! acct_mgmt counts on it when it decides whether a login goes on with the uid, home
//! and shell that the program was told.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod book;
pub mod host;
pub mod learn;
mod line;
pub mod map;
pub mod name;
mod store;
mod writer;

pub use book::{Book, Refusal};
pub use store::{Store, StoreError};
pub use writer::{Writer, repair};

/// Where the store of the host is.
pub const PATH: &str = "/var/lib/tacplus/identity";

/// The shell of a disabled entry.
pub const NOLOGIN: &str = "/usr/sbin/nologin";

/// A line of the store: a user, or an account that users of one level share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The login name.
    pub name: String,
    /// Its uid, never another name's unless that is the shared account.
    pub uid: u32,
    /// The primary group; the user's own where it equals the uid.
    pub gid: u32,
    /// The comment field.
    pub gecos: String,
    /// The home folder.
    pub home: String,
    /// The login shell.
    pub shell: String,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// The privilege level that a server gave, 0 to 15.
    pub level: u8,
    /// When a server last confirmed the entry: seconds since 1970.
    pub learned: u64,
    /// Until when a program may have been told of another account: milliseconds since 1970.
    pub changed: u64,
    /// Whether the entry still counts.
    pub state: State,
}

/// What an entry stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A user.
    Active,
    /// A user whom a server refused: files keep the owner's name, nobody logs in.
    Disabled,
    /// An account that users of one level share, which nobody logs in to by its name.
    Shared,
    /// Nobody any more; the uid stays taken.
    Forgotten,
}

/// A group that the store answers for: that of a user or of a shared account. Whoever
/// has it as primary group is not listed in it, as in `/etc/group`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name, which is its user's.
    pub name: String,
    /// Its gid, which is its user's uid.
    pub gid: u32,
}

impl State {
    /// The word for it in the store.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Shared => "shared",
            Self::Forgotten => "forgotten",
        }
    }
}

impl Entry {
    /// Whether lookups find it.
    pub fn is_known(&self) -> bool {
        self.state != State::Forgotten
    }

    /// Whether a program that was told the one knows all that it keeps of the other.
    pub fn is_same_account(&self, other: &Self) -> bool {
        (self.uid, self.gid, &self.home, &self.shell)
            == (other.uid, other.gid, &other.home, &other.shell)
    }

    /// Takes the right to log in away and leaves the name on the files.
    pub fn disable(&mut self) {
        self.state = State::Disabled;
        self.shell = NOLOGIN.to_owned();
        self.groups.clear();
    }
}
