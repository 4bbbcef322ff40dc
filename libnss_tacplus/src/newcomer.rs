//! Names that are not stored, and users whom a server has refused since: what `unknown`
//! says of them, for whom, and what they would be on this host. Nothing is written:
//! that is the PAM module's, after a login.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use tacacs_common::config::{Config, Mode, Unknown};
use tacacs_common::hold_down::boottime;
use tacacs_common::identity::learn::{self, Host};
use tacacs_common::identity::{Entry, Group, Store, map};

use crate::answer::{Answer, Failure};
use crate::lookup::is_ours;
use crate::program::{Part, part};
use crate::site::{Site, unreadable};
use crate::{ask, local};

/// How long this process goes on with an answer: `id` wants the user, his groups and
/// their names. A login program goes on with a user to its end, for its PAM modules have
/// to find out what it was told first; that there is none it asks again, for it may be
/// one that runs for months.
const KEPT: Duration = Duration::from_secs(3);

/// The last name that was asked about, and the answer.
static LAST: Mutex<Option<Asked>> = Mutex::new(None);

struct Asked {
    name: String,
    at: Duration,
    answer: Answer<Newcomer>,
}

/// Somebody who would be a user of this host.
#[derive(Clone)]
struct Newcomer {
    entry: Entry,
    group: Group,
}

/// The user that a name is not now, and may be after a login.
pub(crate) fn person(site: &Site<'_>, store: &Store, name: &str) -> Answer<Entry> {
    if !site.is_root {
        return Err(Failure::NotFound);
    }
    let config = Config::load(site.conf).map_err(|_| unreadable())?;
    if config.mapping.unknown == Unknown::Never || !is_ours(&config, name) {
        return Err(Failure::NotFound);
    }
    let part = part(&site.proc.join("exe"), &config.mapping).ok_or(Failure::NotFound)?;
    if local::has_user(site, name)? {
        return Err(Failure::NotFound);
    }
    match (config.mapping.unknown, part) {
        (Unknown::Authorize, _) => {
            let kept = if part == Part::Login {
                Duration::MAX
            } else {
                KEPT
            };
            let answer = recall(kept, &|asked| asked.name == name).unwrap_or_else(|| {
                let answer = authorized(site, &config, store, name);
                remember(name, &answer);
                answer
            });
            answer.map(|newcomer| newcomer.entry)
        }
        // Of the lowest level: acct_mgmt settles the rights before any session.
        (Unknown::Allocate, Part::Login) => {
            map::allocate(&config.mapping, store, name).map_err(|_| Failure::NotFound)
        }
        (Unknown::Allocate | Unknown::Never, _) => Err(Failure::NotFound),
    }
}

/// The user of this uid, if this process asked about him a moment ago.
pub(crate) fn person_by_uid(site: &Site<'_>, uid: u32) -> Answer<Entry> {
    remembered(site, &|newcomer| newcomer.entry.uid == uid).map(|newcomer| newcomer.entry)
}

/// The group of this gid, if it is that of the user about whom this process asked a
/// moment ago.
pub(crate) fn group_by_gid(site: &Site<'_>, gid: u32) -> Answer<Group> {
    remembered(site, &|newcomer| newcomer.group.gid == gid).map(|newcomer| newcomer.group)
}

/// The same by its name.
pub(crate) fn group_by_name(site: &Site<'_>, name: &str) -> Answer<Group> {
    remembered(site, &|newcomer| newcomer.group.name == name).map(|newcomer| newcomer.group)
}

fn remembered(site: &Site<'_>, is_wanted: &dyn Fn(&Newcomer) -> bool) -> Answer<Newcomer> {
    if !site.is_root {
        return Err(Failure::NotFound);
    }
    recall(KEPT, &|asked| asked.answer.as_ref().is_ok_and(is_wanted))
        .unwrap_or(Err(Failure::NotFound))
}

fn authorized(site: &Site<'_>, config: &Config, store: &Store, name: &str) -> Answer<Newcomer> {
    let mapping = &config.mapping;
    let granted = ask::about(site, config, name)?;
    let host = Host {
        passwd: site.passwd,
        group: site.group,
        shells: Path::new("/etc/shells"),
        now: 0,
    };
    let planned = learn::entry(mapping, store, name, &granted, &host);
    let (entry, _) = planned.map_err(|_| Failure::NotFound)?;
    let group = match mapping.mode {
        Mode::Shared => {
            let account = map::account(mapping, store, entry.level);
            account.map_err(|_| Failure::NotFound)?.name
        }
        _ => entry.name.clone(),
    };
    let gid = entry.gid;
    Ok(Newcomer {
        entry,
        group: Group { name: group, gid },
    })
}

/// Never waits: whoever holds the lock may be a thread that a fork left behind.
fn recall(kept: Duration, is_wanted: &dyn Fn(&Asked) -> bool) -> Option<Answer<Newcomer>> {
    let last = LAST.try_lock().ok()?;
    let asked = last.as_ref()?;
    (asked.holds(kept, boottime()) && is_wanted(asked)).then(|| asked.answer.clone())
}

impl Asked {
    fn holds(&self, kept: Duration, now: Duration) -> bool {
        let kept = if self.answer.is_ok() { kept } else { KEPT };
        now.checked_sub(self.at).is_some_and(|age| age < kept)
    }
}

fn remember(name: &str, answer: &Answer<Newcomer>) {
    if let Ok(mut last) = LAST.try_lock() {
        *last = Some(Asked {
            name: name.to_owned(),
            at: boottime(),
            answer: answer.clone(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_there_is_no_user_is_not_remembered_for_ever() {
        let (at, later) = (Duration::from_secs(100), Duration::from_secs(104));
        for failure in [Failure::NotFound, Failure::Unreachable, Failure::Shortage] {
            let asked = Asked {
                name: "alice".to_owned(),
                at,
                answer: Err(failure),
            };
            assert!(asked.holds(Duration::MAX, at), "{failure:?}");
            assert!(!asked.holds(Duration::MAX, later), "{failure:?}");
        }
    }
}
