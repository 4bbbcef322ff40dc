//! One name, one uid, one group.
//!
//! Owns the order of the questions: what needs no file first, then the store, then,
//! for a name and for few programs, a server. Must never answer for root, nor for a
//! name of the host itself, nor with one user's entry for another's name.

use tacacs_common::config::{Case, Config, Mode};
use tacacs_common::identity::name::{is_name, is_shared_account};
use tacacs_common::identity::{Entry, Group, State, Store};

use crate::answer::{Answer, Failure};
use crate::site::{Site, damaged};
use crate::{audit, local, newcomer};

/// The user of this name.
pub(crate) fn person_by_name(site: &Site<'_>, name: &str) -> Answer<Entry> {
    if !is_candidate(name) {
        return Err(Failure::NotFound);
    }
    let store = site.store()?;
    match store.by_name(name.as_bytes()).map_err(damaged)? {
        // Whom a server refused it may have taken back: a login would get the new shell.
        Some(entry) if entry.state == State::Disabled => {
            newcomer::person(site, &store, name).or_else(|_| known(site, entry))
        }
        Some(entry) => known(site, entry),
        None => newcomer::person(site, &store, name),
    }
}

/// The user of this uid: where users share one, the caller's own login, if it is one
/// of theirs.
pub(crate) fn person_by_uid(site: &Site<'_>, uid: u32) -> Answer<Entry> {
    if !is_id(uid) {
        return Err(Failure::NotFound);
    }
    let store = site.store()?;
    let Some(owner) = store.by_uid(uid).map_err(damaged)? else {
        return newcomer::person_by_uid(site, uid);
    };
    let own = match owner.state {
        State::Shared => own_login(site, &store, uid),
        _ => None,
    };
    not_local(site, own.unwrap_or(owner))
}

/// The group of this name: every user has his own, and so has every shared account.
pub(crate) fn group_by_name(site: &Site<'_>, name: &str) -> Answer<Group> {
    if !is_candidate(name) {
        return Err(Failure::NotFound);
    }
    let group = match site.store()?.group_by_name(name.as_bytes()) {
        Ok(Some(group)) => group,
        Ok(None) => newcomer::group_by_name(site, name)?,
        Err(error) => return Err(damaged(error)),
    };
    not_local_group(site, group)
}

/// The group of this gid.
pub(crate) fn group_by_gid(site: &Site<'_>, gid: u32) -> Answer<Group> {
    if !is_id(gid) {
        return Err(Failure::NotFound);
    }
    let group = match site.store()?.group_by_gid(gid) {
        Ok(Some(group)) => group,
        Ok(None) => newcomer::group_by_gid(site, gid)?,
        Err(error) => return Err(damaged(error)),
    };
    not_local_group(site, group)
}

/// The supplementary groups of a user with this primary group. With another one the
/// user is another module's, and gets none of ours.
pub(crate) fn groups_of(site: &Site<'_>, name: &str, primary: u32) -> Answer<Vec<u32>> {
    // So ask those who want to see the groups only.
    let any = primary == u32::MAX;
    if !any && !is_id(primary) {
        return Err(Failure::NotFound);
    }
    let person = person_by_name(site, name)?;
    if any || person.gid == primary {
        Ok(person.groups)
    } else {
        Err(Failure::NotFound)
    }
}

/// Names that may be those of users, whatever the configuration says: not root, not
/// the `*` of a shell's completion, not the `pam_unix_non_existent:` with which
/// pam_unix passes time.
fn is_candidate(name: &str) -> bool {
    name != "root" && is_name(name, Case::Keep)
}

/// Ids that may be a user's: not root's, and not the one that means nobody at all.
const fn is_id(id: u32) -> bool {
    id != 0 && id != u32::MAX
}

/// A stored user, if the name is still a TACACS+ user's. The PAM module ignores a name
/// that is not, so that such a user must not be able to log in by other means. Who is
/// not root logs nobody in, and mostly cannot read the configuration.
fn known(site: &Site<'_>, entry: Entry) -> Answer<Entry> {
    let ours = !site.is_root
        || entry.state == State::Shared
        || Config::load_for_lookup(site.conf).map_or(true, |config| is_ours(&config, &entry.name));
    if !ours {
        return Err(Failure::NotFound);
    }
    not_local(site, entry)
}

/// Whether the configuration leaves this name to the servers.
pub(crate) fn is_ours(config: &Config, name: &str) -> bool {
    let mapping = &config.mapping;
    let excluded = config.global.exclude_users.iter().any(|user| user == name);
    let account = mapping.mode == Mode::Shared && is_shared_account(name, &mapping.user_prefix);
    mapping.mode != Mode::Local && !excluded && !account && is_name(name, mapping.case)
}

/// A name that the host has given away itself means its local user.
fn not_local(site: &Site<'_>, entry: Entry) -> Answer<Entry> {
    if local::has_user(site, &entry.name)? {
        Err(Failure::NotFound)
    } else {
        Ok(entry)
    }
}

/// The own group of a user who is called like a group of the host has no name: sudo,
/// sshd and polkit give rights to names, and would take it for the host's.
fn not_local_group(site: &Site<'_>, group: Group) -> Answer<Group> {
    if local::has_group(site, &group.name)? {
        Err(Failure::NotFound)
    } else {
        Ok(group)
    }
}

/// The user of the caller's own audit session, if this uid is his.
fn own_login(site: &Site<'_>, store: &Store, uid: u32) -> Option<Entry> {
    let name = audit::user(site)?;
    let entry = store.by_name(name.as_bytes()).ok()??;
    (entry.uid == uid).then_some(entry)
}

#[cfg(test)]
mod tests;
