//! Who is a user or a group of the host itself: listed in `/etc/passwd` or
//! `/etc/group`, which are read as files, since NSS is what is asking.

use std::path::Path;

use tacacs_common::hostfile;

use crate::answer::Answer;
use crate::site::{Site, unreadable};

/// Whether this is a user, also one with a broken entry. Without the file nobody can be
/// told from a local user, and nobody is found.
pub(crate) fn has_user(site: &Site<'_>, name: &str) -> Answer<bool> {
    lists(site.passwd, name)
}

/// Whether this is a group, likewise.
pub(crate) fn has_group(site: &Site<'_>, name: &str) -> Answer<bool> {
    lists(site.group, name)
}

fn lists(path: &Path, name: &str) -> Answer<bool> {
    hostfile::lists(path, name).map_err(|_| unreadable())
}
