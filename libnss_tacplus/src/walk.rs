//! All users or all groups, one after the other: those in the store, and only those.
//!
//! Owns what is remembered between two calls, which is a name: nothing stays open.

use std::sync::Mutex;

use tacacs_common::identity::{Entry, Group};

use crate::answer::{Answer, Failure};
use crate::local::Locals;
use crate::site::{Site, damaged};

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
        self.step(site, &mut |entry| {
            put(entry)?;
            Ok(true)
        })
    }

    /// The next group.
    pub(crate) fn group(
        &self,
        site: &Site<'_>,
        put: &mut dyn FnMut(&Group) -> Answer<()>,
    ) -> Answer<()> {
        let store = site.store()?;
        let locals = Locals::groups(site)?;
        self.step(site, &mut |entry| {
            let group = store.group_by_name(entry.name.as_bytes());
            group
                .map_err(damaged)?
                .filter(|group| !locals.list(&group.name))
                .map_or(Ok(false), |group| put(&group).map(|()| true))
        })
    }

    /// Goes on to the next entry that `take` takes.
    fn step(&self, site: &Site<'_>, take: &mut dyn FnMut(&Entry) -> Answer<bool>) -> Answer<()> {
        let store = site.store()?;
        let locals = Locals::users(site)?;
        self.with(&mut |name| {
            loop {
                let next = store.after(name.as_bytes()).map_err(damaged)?;
                let entry = next.ok_or(Failure::NotFound)?;
                let taken = !locals.list(&entry.name) && take(&entry)?;
                *name = entry.name;
                if taken {
                    return Ok(());
                }
            }
        })
    }

    /// Never waits: whoever holds the lock may be a thread that a fork left behind.
    fn with(&self, work: &mut dyn FnMut(&mut String) -> Answer<()>) -> Answer<()> {
        let mut name = self.0.try_lock().map_err(|_| Failure::Shortage)?;
        work(&mut name)
    }
}
