//! Who is a user or a group of the host itself: listed in `/etc/passwd` or
//! `/etc/group`, which are read as files, since NSS is what is asking.

use std::path::Path;

use crate::answer::Answer;
use crate::site::{Site, unreadable};

/// The names in such a file. Bytes: they may be in any encoding.
pub(crate) struct Locals(Vec<u8>);

impl Locals {
    /// The users. Without this file nobody can be told from a local user, and nobody
    /// is found.
    pub(crate) fn users(site: &Site<'_>) -> Answer<Self> {
        Self::read(site.passwd)
    }

    /// The groups, likewise.
    pub(crate) fn groups(site: &Site<'_>) -> Answer<Self> {
        Self::read(site.group)
    }

    fn read(path: &Path) -> Answer<Self> {
        std::fs::read(path).map(Self).map_err(|_| unreadable())
    }

    /// Whether the name is listed, even with a broken entry.
    pub(crate) fn list(&self, name: &str) -> bool {
        self.0.split(|byte| *byte == b'\n').any(|line| {
            line.strip_prefix(name.as_bytes())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b":"))
        })
    }
}
