//! The user's entry in the identity store, which acct_mgmt keeps as the servers say.
//!
//! Owns when an entry is written, ended for the time being, or stands in for a server.
//! In mode `local` there is none: users are those of /etc/passwd.

use tacacs_common::config::{Config, Mode, Unknown};
use tacacs_common::escape;
use tacacs_common::exchange::author::Granted;
use tacacs_common::identity::learn::{self, Host};
use tacacs_common::identity::map::{self, Unmapped};
use tacacs_common::identity::{Entry, State, Store, StoreError, Writer};

use crate::call::{Call, Person, Site};
use crate::handle::{Account, Level, Note};
use crate::outcome::End;
use crate::{limits, process, talk};

/// Seconds after which an entry that has not changed is written again, to say that it
/// still holds.
const RENEWAL: u64 = 15 * 60;

/// How long a program may have been running of which nothing is known, in milliseconds.
const UNKNOWN_AGE: u64 = 10 * 60 * 1000;

const CHANGED: &[u8] = b"Your rights on this host have changed, log in again";

/// What `su` says, where it has something to store and must not.
const BY_LOGIN: &[u8] =
    b"Log in to this host once, by ssh or at its console: your rights are new here";

/// What becomes of a login that a server has approved.
enum Renewal {
    /// It goes on.
    Holds,
    /// Its program was told of another account.
    Again,
    /// There is something to store, and this program stores nothing.
    ByLogin,
}

/// Brings the store up to what a server granted. The login goes on only as the store
/// then says.
pub(crate) fn learn(
    call: &mut Call<'_>,
    config: &Config,
    person: &Person,
    granted: &Granted,
) -> End {
    if config.mapping.mode == Mode::Local {
        return End::Pass;
    }
    let (end, words) = match renew(call, config, person, granted) {
        Ok(Renewal::Holds) => return End::Pass,
        Ok(Renewal::Again) => ("refused once", CHANGED),
        Ok(Renewal::ByLogin) => (
            "refused; a program that its user may stop stores nothing, a login does",
            BY_LOGIN,
        ),
        Err(why) => {
            log_failure(call, Level::Error, person, "refused", &why);
            return End::Refused;
        }
    };
    let name = person.name();
    call.log(
        Level::Notice,
        &format!("the rights of {name} have changed: {end}"),
    );
    talk::tell(call, Note::Error, words);
    End::Refused
}

/// Answers whether the login may go on with what its program was told about the user.
fn renew(
    call: &Call<'_>,
    config: &Config,
    person: &Person,
    granted: &Granted,
) -> Result<Renewal, Unmapped> {
    let (site, mapping) = (call.site, &config.mapping);
    let host = Host {
        passwd: &site.passwd,
        group: &site.group,
        shells: &site.shells,
        now: site.now.unix,
    };
    let store = Store::open(&site.identity)?;
    let (mut entry, missing) = learn::entry(mapping, &store, &person.user, granted, &host)?;
    for group in missing {
        let group = escape::line(group.as_bytes());
        call.log(
            Level::Warning,
            &format!(
                "no group '{group}' in /etc/group, which [mapping] gives level {}",
                entry.level
            ),
        );
    }
    entry.changed = site.millis;
    if !limits::may_stand_in(config, granted) {
        let hours = u64::from(config.global.offline_hours);
        let age = hours.saturating_mul(3600).saturating_add(1);
        entry.learned = entry.learned.saturating_sub(age);
    }
    let old = store.by_name(person.user.as_bytes())?;
    let found = call.handle.account(&entry.name).map_err(Unmapped::Lookup)?;
    let found = found.as_ref();
    learn::not_elsewhere(mapping, old.as_ref(), &entry, found.map(|found| found.uid))?;
    let end = if was_told(call, config, &store, old.as_ref(), &entry, found)? {
        Renewal::Holds
    } else {
        Renewal::Again
    };
    let unchanged = old.as_ref().is_some_and(|old| same_rights(old, &entry));
    let covered = old.as_ref().is_some_and(|old| covers(&entry, old));
    let age = old.map_or(u64::MAX, |old| entry.learned.abs_diff(old.learned));
    if site.setuid {
        // Its caller could stop it while it holds the lock, for which every login waits, or
        // let it store tomorrow what a server has said today.
        return Ok(if covered { end } else { Renewal::ByLogin });
    }
    if unchanged && age < RENEWAL {
        return Ok(end);
    }
    let stored = Writer::open(&site.identity)
        .map_err(Unmapped::Store)
        .and_then(|writer| learn::put(writer, mapping, entry));
    match stored {
        Err(why) if unchanged => {
            log_failure(call, Level::Warning, person, "let in as before", &why)
        }
        result => result?,
    }
    Ok(end)
}

/// Whether the program that logs in was told of this account when it asked, some time
/// before the account phase: what it was told it will use.
fn was_told(
    call: &Call<'_>,
    config: &Config,
    store: &Store,
    old: Option<&Entry>,
    entry: &Entry,
    found: Option<&Account>,
) -> Result<bool, Unmapped> {
    let mapping = &config.mapping;
    let logs_in = |program: &str| is_login_program(config, program);
    // The user may have started this login before another one, in which the rights
    // changed.
    if old.is_some_and(|old| may_be_outdated(call.site, old, &logs_in)) {
        return Ok(false);
    }
    Ok(match (old, mapping.unknown) {
        (Some(old), _) if old.state == State::Active => old.is_same_account(entry),
        (_, Unknown::Allocate) => {
            map::allocate(mapping, store, &entry.name)?.is_same_account(entry)
        }
        (Some(old), Unknown::Never) => old.is_same_account(entry),
        (None, Unknown::Never) => true,
        // It asked a server, which may have thought otherwise then, or of a question
        // without address. The lookups of one program remember the answer.
        (_, Unknown::Authorize)
            if mapping.mode == Mode::Shared || mapping.lets_servers_choose() =>
        {
            found.map_or(mapping.mode != Mode::Shared, |told| is_account(told, entry))
        }
        (_, Unknown::Authorize) => true,
    })
}

fn is_login_program(config: &Config, program: &str) -> bool {
    let mut programs = config.mapping.login_programs.iter();
    programs.any(|login| login == program)
}

fn is_account(told: &Account, entry: &Entry) -> bool {
    (told.uid, told.gid, &told.home, &told.shell)
        == (entry.uid, entry.gid, &entry.home, &entry.shell)
}

/// Whether the program that logs in may have been told of another account before this entry
/// became what it is. Groups are asked for later.
fn may_be_outdated(site: &Site, entry: &Entry, copies: &dyn Fn(&str) -> bool) -> bool {
    match process::started(site, copies) {
        Ok(Some(since)) => entry.changed >= since,
        Ok(None) => entry.changed >= site.millis.saturating_sub(UNKNOWN_AGE),
        Err(_) => true,
    }
}

/// Whether nothing but the date is new. A change in the future was noted by a clock that
/// has been set since.
fn same_rights(old: &Entry, new: &Entry) -> bool {
    let possible = old.changed <= new.changed;
    let mut old = old.clone();
    (old.learned, old.changed) = (new.learned, new.changed);
    possible && old == *new
}

/// Whether a session with the rights that are stored has none that a server has just
/// refused to give.
fn covers(granted: &Entry, old: &Entry) -> bool {
    let mut groups = old.groups.iter();
    old.state == State::Active
        && old.is_same_account(granted)
        && groups.all(|group| granted.groups.contains(group))
}

/// A server refused a person who had proved to be the user: no more rights, until a
/// server approves again. Files keep their owner's name. On plain TCP whoever is on the
/// way can say so too, and approve as well: it costs a login, and no uid, file or home.
pub(crate) fn disable(call: &Call<'_>, config: &Config, person: &Person) {
    if config.mapping.mode == Mode::Local {
        return;
    }
    if call.site.setuid {
        // As in `renew`. Who does not want to be disabled would end the program anyway.
        call.debug(|| "the entry stays until a login is refused".to_owned());
        return;
    }
    let done = stored(call.site, &person.user).and_then(|entry| {
        if entry.is_none_or(|entry| entry.state != State::Active) {
            return Ok(());
        }
        Writer::open(&call.site.identity)?.change(|book| {
            if let Some(entry) = book.find(&person.user) {
                entry.disable();
                if config.mapping.mode == Mode::Shared {
                    entry.changed = call.site.millis;
                }
            }
            Ok::<_, StoreError>(())
        })
    });
    if let Err(why) = done {
        log_failure(
            call,
            Level::Error,
            person,
            "its groups and shell stay",
            &why.into(),
        );
    }
}

/// The entry of the user, whatever its state.
pub(crate) fn stored(site: &Site, user: &str) -> Result<Option<Entry>, StoreError> {
    Store::open(&site.identity)?.by_name(user.as_bytes())
}

/// What the entry says where no server is to be asked (`skip_services`).
pub(crate) fn unasked(call: &Call<'_>, config: &Config, person: &Person) -> End {
    if config.mapping.mode == Mode::Local {
        return End::Ignored;
    }
    let refused = match stored(call.site, &person.user) {
        Ok(None) => return End::Ignored,
        Ok(Some(entry)) if entry.state != State::Active => "a server has refused the user",
        // cron keeps the uid of a job for as long as it runs.
        Ok(Some(entry)) if may_be_outdated(call.site, &entry, &|_| true) => {
            "the account has changed since this program was started, restart it"
        }
        Ok(Some(entry)) => match is_found(call, config, &entry) {
            Ok(()) => return End::Pass,
            Err(why) => {
                log_failure(call, Level::Error, person, "refused", &why);
                return End::Refused;
            }
        },
        Err(why) => {
            log_failure(call, Level::Error, person, "refused", &why.into());
            return End::Refused;
        }
    };
    call.log(
        Level::Notice,
        &format!("authorization of {} denied: {refused}", person.name()),
    );
    End::Refused
}

/// The entry that stands in for servers that cannot be reached, for as long as configured.
pub(crate) fn offline(call: &Call<'_>, config: &Config, person: &Person) -> Option<Entry> {
    let hours = u64::from(config.global.offline_hours);
    if hours == 0 {
        return None;
    }
    let entry = approved(call, config, person)?;
    let age = call.site.now.unix.checked_sub(entry.learned)?;
    (age <= hours.saturating_mul(3600)).then_some(entry)
}

/// The entry that a server approved last, if the program that logs in was told of it.
pub(crate) fn approved(call: &Call<'_>, config: &Config, person: &Person) -> Option<Entry> {
    let logs_in = |program: &str| is_login_program(config, program);
    let entry = active(call, config, person)?;
    if may_be_outdated(call.site, &entry, &logs_in) {
        return None;
    }
    match is_found(call, config, &entry) {
        Ok(()) => Some(entry),
        Err(why) => {
            log_failure(call, Level::Error, person, "as if there were none", &why);
            None
        }
    }
}

/// The session would be that of whom a lookup finds: what a server said of one user must
/// not let in another of that name.
fn is_found(call: &Call<'_>, config: &Config, entry: &Entry) -> Result<(), Unmapped> {
    let found = call.handle.account(&entry.name).map_err(Unmapped::Lookup)?;
    let uid = found.map(|found| found.uid);
    learn::not_elsewhere(&config.mapping, Some(entry), entry, uid)
}

/// The entry of a user who is not a local one and whom no server has refused since.
pub(crate) fn active(call: &Call<'_>, config: &Config, person: &Person) -> Option<Entry> {
    if config.mapping.mode == Mode::Local {
        return None;
    }
    match stored(call.site, &person.user) {
        Ok(entry) => entry.filter(|entry| entry.state == State::Active),
        Err(why) => {
            log_failure(
                call,
                Level::Error,
                person,
                "as if there were none",
                &why.into(),
            );
            None
        }
    }
}

fn log_failure(call: &Call<'_>, level: Level, person: &Person, what: &str, why: &Unmapped) {
    let why = escape::line(why.to_string().as_bytes());
    call.log(
        level,
        &format!("account of {}: {why}; {what}", person.name()),
    );
}

#[cfg(test)]
mod tests;
