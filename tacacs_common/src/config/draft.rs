//! A configuration while it is being read.
//!
//! Owns what was seen and where. Nothing in it was checked against anything
//! else yet; `check.rs` does that and makes the `Config`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::error::Place;
use super::keys::Section;
use super::types::{Accounting, Global, Mapping, Roles, SingleConnect, Source, Tls};
use crate::secret::Secret;

/// The section that lines are read into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Here {
    Global,
    Server(usize),
    Mapping,
    Accounting,
}

impl Here {
    pub(super) fn section(self) -> Section {
        match self {
            Self::Global => Section::Global,
            Self::Server(_) => Section::Server,
            Self::Mapping => Section::Mapping,
            Self::Accounting => Section::Accounting,
        }
    }
}

/// Everything read so far.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) global: Global,
    pub(super) servers: Vec<ServerDraft>,
    pub(super) mapping: Mapping,
    pub(super) accounting: Accounting,
    /// The last `secret` of an old file or the PAM line.
    pub(super) shared: Option<Shared>,
    /// `weak_secret` outside of every section.
    pub(super) shared_weak: bool,
    pub(super) warnings: Vec<String>,
    seen: Vec<(Here, String, Place)>,
}

/// A secret given once for several servers.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) secret: Arc<Secret>,
    pub(super) place: Place,
}

impl Draft {
    /// Remembers where a key stands; answers where it stood before.
    pub(super) fn note(&mut self, here: Here, key: &str, place: &Place) -> Option<&Place> {
        match self
            .seen
            .iter()
            .position(|(h, k, _)| *h == here && k == key)
        {
            Some(at) => self.seen.get(at).map(|(_, _, first)| first),
            None => {
                self.seen.push((here, key.to_owned(), place.clone()));
                None
            }
        }
    }

    /// Where a key stands.
    pub(super) fn place(&self, here: Here, key: &str) -> Option<&Place> {
        self.seen
            .iter()
            .find(|(h, k, _)| *h == here && k == key)
            .map(|(_, _, place)| place)
    }
}

/// One server while it is being read.
pub(super) struct ServerDraft {
    pub(super) name: String,
    /// Its heading, or the line of an old file.
    pub(super) place: Place,
    /// From `server=` and not from a section.
    pub(super) old: bool,
    pub(super) address: Option<String>,
    pub(super) secret: Option<Arc<Secret>>,
    /// Where `secret` stands.
    pub(super) secret_place: Option<Place>,
    pub(super) secret_file: Option<PathBuf>,
    pub(super) weak: bool,
    pub(super) roles: Roles,
    pub(super) single_connect: SingleConnect,
    pub(super) timeout: Option<Duration>,
    pub(super) source: Source,
    pub(super) vrf: Option<String>,
    pub(super) tls: bool,
    pub(super) tls_keys: Tls,
}

impl ServerDraft {
    pub(super) fn new(name: &str, place: Place) -> Self {
        Self {
            name: name.to_owned(),
            place,
            old: false,
            address: None,
            secret: None,
            secret_place: None,
            secret_file: None,
            weak: false,
            roles: Roles::ALL,
            single_connect: SingleConnect::Auto,
            timeout: None,
            source: Source::default(),
            vrf: None,
            tls: false,
            tls_keys: Tls::default(),
        }
    }
}
