//! All users or all groups, one after the other: those in the store, and only those.
//!
//! Owns what is remembered between two calls, which is a name: nothing stays open.

use std::sync::Mutex;

use tacacs_common::identity::{Entry, Group, State, Store};

use crate::answer::{Answer, Failure};
use crate::local;
use crate::site::{Site, damaged};

/// There are sixteen levels, and accounts of former configurations.
const ACCOUNTS: usize = 64;

/// Whether an entry is the one that a walk has come for.
type Take<'t> = dyn FnMut(&Store, &Entry) -> Answer<bool> + 't;

/// The walk of `getpwent`, and that of `getgrent`. glibc has one of each for the whole
/// process, and calls from one thread at a time.
pub(crate) static PERSONS: Walk = Walk::new();
/// See [`PERSONS`].
pub(crate) static GROUPS: Walk = Walk::new();

/// Where a walk has come to: the last name that was answered, at first none.
pub(crate) struct Walk(Mutex<String>);

impl Walk {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(String::new()))
    }

    /// Starts at the beginning.
    pub(crate) fn rewind(&self) -> Answer<()> {
        self.with(&mut |name| {
            *name = String::new();
            Ok(())
        })
    }

    /// The next user. One for whom `put` has no room is the next one again.
    pub(crate) fn person(
        &self,
        site: &Site<'_>,
        put: &mut dyn FnMut(&Entry) -> Answer<()>,
    ) -> Answer<()> {
        self.step(site, &mut |_, entry| {
            if local::has_user(site, &entry.name)? {
                return Ok(false);
            }
            put(entry).map(|()| true)
        })
    }

    /// The next group.
    pub(crate) fn group(
        &self,
        site: &Site<'_>,
        put: &mut dyn FnMut(&Group) -> Answer<()>,
    ) -> Answer<()> {
        // The accounts of mode shared whose users were met: no need to look for each.
        let mut accounts = Vec::new();
        self.step(site, &mut |store, entry| {
            if entry.state != State::Shared && accounts.contains(&entry.gid) {
                return Ok(false);
            }
            let group = store.group_by_gid(entry.gid).map_err(damaged)?;
            match group.filter(|group| group.name == entry.name) {
                Some(group) => {
                    let local =
                        local::has_user(site, &group.name)? || local::has_group(site, &group.name)?;
                    if local {
                        return Ok(false);
                    }
                    put(&group).map(|()| true)
                }
                None => {
                    if accounts.len() < ACCOUNTS {
                        accounts.push(entry.gid);
                    }
                    Ok(false)
                }
            }
        })
    }

    /// Goes on to the next entry that `take` takes.
    fn step(&self, site: &Site<'_>, take: &mut Take<'_>) -> Answer<()> {
        let store = site.store()?;
        self.with(&mut |name| {
            let mut end = Err(Failure::NotFound);
            let from = std::mem::take(name);
            let mut last = None;
            let walked = store.each_after(from.as_bytes(), &mut |entry| {
                let taken = take(&store, &entry);
                let goes_on = matches!(taken, Ok(false));
                match taken {
                    // There was no room for it: it is the next one again.
                    Err(why) => end = Err(why),
                    Ok(taken) => {
                        last = Some(entry.name);
                        if taken {
                            end = Ok(());
                        }
                    }
                }
                goes_on
            });
            *name = last.unwrap_or(from);
            walked.map_err(damaged)?;
            end
        })
    }

    /// Never waits: whoever holds the lock may be a thread that a fork left behind.
    fn with(&self, work: &mut dyn FnMut(&mut String) -> Answer<()>) -> Answer<()> {
        let mut name = self.0.try_lock().map_err(|_| Failure::Shortage)?;
        work(&mut name)
    }
}
