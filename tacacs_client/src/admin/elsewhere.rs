//! Who already has a name or a number, beside the identity store: the host's own files and
//! every other name service of it.
//!
//! Owns what keeps `tacplus identity add` from storing somebody else's.

use std::path::Path;

use tacacs_common::config::Config;
use tacacs_common::hostfile;
use tacacs_common::identity::map::Unmapped;
use tacacs_common::identity::{Entry, Store, learn};

use super::identity::{denied, unmapped};
use crate::exit::Failure;
use crate::sys;

pub(super) const PASSWD: &str = "/etc/passwd";

/// The module passes over the names that the host keeps for itself.
pub(super) fn not_of_the_host(config: &Config, user: &str) -> Result<(), Failure> {
    let is_local = hostfile::lists(Path::new(PASSWD), user)
        .map_err(|error| Failure::usage(format!("{PASSWD}: {error}")))?;
    if is_local {
        return Err(denied(format!("'{user}' is a local user, see {PASSWD}")));
    }
    if config.global.exclude_users.iter().any(|name| name == user) {
        return Err(denied(format!("'{user}' is listed in exclude_users")));
    }
    Ok(())
}

/// Asks every name service of the host: a directory may have the name, or a user or a group
/// of this number. `name` is whose number it is to be: the user's, or that of an account.
pub(super) fn not_of_another_service(
    config: &Config,
    store: &Store,
    entry: &Entry,
    name: &str,
) -> Result<(), Failure> {
    let lookup = |error| unmapped(Unmapped::Lookup(error));
    let old = store.by_name(entry.name.as_bytes());
    let old = old.map_err(Failure::usage)?;
    if let Some(told) = sys::uid_of(&entry.name).map_err(lookup)? {
        learn::not_elsewhere(&config.mapping, old.as_ref(), entry, Some(told)).map_err(unmapped)?;
    }
    let collision = |owner| {
        unmapped(Unmapped::Collision {
            name: name.to_owned(),
            uid: entry.uid,
            owner,
        })
    };
    if let Some(owner) = sys::owner_of(entry.uid).map_err(lookup)?
        && owner != name
        && !is_stored(store, &owner, entry.uid)?
    {
        return Err(collision(owner));
    }
    match sys::group_of(entry.gid).map_err(lookup)? {
        Some(group) if group != name && !is_stored(store, &group, entry.gid)? => {
            Err(collision(format!("group {group}")))
        }
        _ => Ok(()),
    }
}

/// Whether it is one of those who share an account.
fn is_stored(store: &Store, user: &str, uid: u32) -> Result<bool, Failure> {
    let entry = store.by_name(user.as_bytes()).map_err(Failure::usage)?;
    Ok(entry.is_some_and(|entry| entry.uid == uid))
}
