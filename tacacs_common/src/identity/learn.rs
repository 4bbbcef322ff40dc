//! From a server's approval to an entry in the store. The PAM module and
//! `tacplus identity add` are those who write one.

use std::io;
use std::path::Path;

use super::map::{self, Unmapped, Wishes};
use super::{Entry, State, Store, Writer, host};
use crate::config::{Mapping, Mode};
use crate::exchange::author::Granted;

/// Where the host lists its users, groups and shells, and what time it is.
pub struct Host<'a> {
    /// `/etc/passwd`.
    pub passwd: &'a Path,
    /// `/etc/group`.
    pub group: &'a Path,
    /// `/etc/shells`.
    pub shells: &'a Path,
    /// Seconds since 1970.
    pub now: u64,
}

/// What an approval makes of a user, and the names of configured groups that the host
/// does not have.
///
/// # Errors
/// Why the user gets no account. An approval without a level gives none.
pub fn entry<'m>(
    mapping: &'m Mapping,
    store: &Store,
    user: &str,
    granted: &Granted,
    host: &Host<'_>,
) -> Result<(Entry, Vec<&'m str>), Unmapped> {
    entry_with_uid(mapping, store, user, None, granted, host)
}

/// The same, with the uid that an administrator chose, if one did.
///
/// # Errors
/// As for [`entry`].
pub fn entry_with_uid<'m>(
    mapping: &'m Mapping,
    store: &Store,
    user: &str,
    uid: Option<u32>,
    granted: &Granted,
    host: &Host<'_>,
) -> Result<(Entry, Vec<&'m str>), Unmapped> {
    let level = granted.priv_lvl.ok_or(Unmapped::NoLevel)?.level();
    let shells = |shell: &str| host::is_shell(host.shells, shell).map_err(unread(host.shells));
    let wishes = Wishes {
        uid,
        ..Wishes::read(mapping, granted.args.as_arguments(), &shells)?
    };
    let mut entry = map::plan(mapping, store, user, level, &wishes)?;
    free(mapping, &entry, host)?;
    let names = map::group_names(mapping, level);
    let (groups, missing) = host::gids(host.group, names).map_err(unread(host.group))?;
    entry.groups = groups;
    entry.learned = host.now;
    entry.changed = host.now.saturating_mul(1000);
    Ok((entry, missing))
}

/// Whether nobody of the host itself has the uid or the gid: whoever made a local user may
/// have chosen a number of uid_range.
///
/// # Errors
/// Whose it is.
pub fn free(mapping: &Mapping, entry: &Entry, host: &Host<'_>) -> Result<(), Unmapped> {
    let name = match mapping.mode {
        Mode::Shared => format!("{}{}", mapping.user_prefix, entry.level),
        Mode::Unique | Mode::Local => entry.name.clone(),
    };
    let owner = |path: &Path, id| host::owner(path, id, &name).map_err(unread(path));
    let owner = match owner(host.passwd, entry.uid)? {
        // A group of the own name only adds members to it.
        None => owner(host.group, entry.gid)?.map(|group| format!("group {group}")),
        user => user,
    };
    owner.map_or(Ok(()), |owner| {
        Err(Unmapped::Collision {
            name,
            uid: entry.uid,
            owner,
        })
    })
}

/// Whether what lookups answer about the user is ours to change. A user of another module
/// is not: of a directory, or of a service that has a user while it runs. Our own uids are
/// in uid_range, or stored.
///
/// # Errors
/// The uid is another module's, or no lookup finds a user whom the store has: then one of
/// them has failed, and who the program takes him for is not known.
pub fn not_elsewhere(
    mapping: &Mapping,
    old: Option<&Entry>,
    entry: &Entry,
    told: Option<u32>,
) -> Result<(), Unmapped> {
    let is_active = |old: &Entry| old.state == State::Active;
    match told {
        Some(uid)
            if uid != entry.uid
                && !mapping.uid_range.contains(&uid)
                && old.is_none_or(|old| old.uid != uid) =>
        {
            Err(Unmapped::Elsewhere(uid))
        }
        None if old.is_some_and(is_active) => Err(Unmapped::Unseen),
        _ => Ok(()),
    }
}

fn unread(path: &Path) -> impl Fn(io::Error) -> Unmapped {
    |error| Unmapped::Unread(path.to_owned(), error)
}

/// Stores a user's entry, and in mode shared the account that goes with it. Where no program
/// can have been told of another account, `changed` stays as it was.
///
/// # Errors
/// The uid is another's, or the store could not be written.
pub fn put(writer: Writer, mapping: &Mapping, mut entry: Entry) -> Result<(), Unmapped> {
    // What lookups answer about a user who is not active, whatever a server says of him.
    let fixed = mapping.mode == Mode::Unique && !mapping.lets_servers_choose();
    match writer.store().by_name(entry.name.as_bytes())? {
        Some(old) if old.state == State::Active && old.is_same_account(&entry) => {
            entry.changed = entry.changed.min(old.changed);
        }
        // In mode shared a lookup makes up another account while the user is disabled.
        Some(old) if fixed && old.state != State::Active && old.uid == entry.uid => {
            entry.changed = entry.changed.min(old.changed);
        }
        // The uid that lookups have answered before.
        None if fixed && entry.uid == map::given_uid(mapping, &entry.name)? => {
            entry.changed = 0;
        }
        _ => {}
    }
    let account = match mapping.mode {
        Mode::Shared => Some(map::account(mapping, writer.store(), entry.level)?),
        Mode::Unique | Mode::Local => None,
    };
    writer.change(|book| {
        for entry in account.into_iter().chain([entry]) {
            book.put(entry)?;
        }
        Ok(())
    })
}
