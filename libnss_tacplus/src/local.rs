//! Who is a user of the host itself: listed in `/etc/passwd`, which is read as a
//! file, since NSS is what is asking.

use crate::answer::Answer;
use crate::site::{Site, unreadable};

/// The names in `/etc/passwd`. Bytes: they may be in any encoding.
pub(crate) struct Locals(Vec<u8>);

impl Locals {
    /// Without this file nobody can be told from a local user, and nobody is found.
    pub(crate) fn read(site: &Site<'_>) -> Answer<Self> {
        std::fs::read(site.passwd)
            .map(Self)
            .map_err(|_| unreadable())
    }

    /// Whether the name is listed, even with a broken entry.
    pub(crate) fn list(&self, name: &str) -> bool {
        self.0.split(|byte| *byte == b'\n').any(|line| {
            line.strip_prefix(name.as_bytes())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b":"))
        })
    }
}
