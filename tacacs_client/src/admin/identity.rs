//! `tacplus identity`: the users that this host knows from its servers.
//!
//! Owns what an administrator may do to the identity store. Must never write an entry
//! that no server approved, but for the uid in it.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use serde::Serialize;
use tacacs_common::client::{Client, getent};
use tacacs_common::config::{Config, Mode};
use tacacs_common::escape;
use tacacs_common::exchange::author::{Granted, grant, login_arguments};
use tacacs_common::identity::learn::{self, Host};
use tacacs_common::identity::map::{self, Unmapped};
use tacacs_common::identity::{self, Book, Entry, Refusal, State, Store, Writer, name};
use tacacs_common::outcome::Outcome;
use tacacs_common::packet::{AuthenMethod, AuthenService, AuthenType, AuthorRequest, PrivLvl};

use super::elsewhere::{self, PASSWD};
use super::{ConfigFile, NAME};
use crate::exit::{Exit, Failure};
use crate::output;

const GROUP: &str = "/etc/group";
const SHELLS: &str = "/etc/shells";

const DAY: u64 = 24 * 60 * 60;

#[derive(Subcommand)]
pub(super) enum Identity {
    /// List the users and shared accounts that this host knows
    List {
        /// list names that were forgotten too, whose uids stay taken
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        store: StoreFile,
    },
    /// Show everything about one user, also one that was forgotten
    Show {
        /// the user
        name: String,
        #[command(flatten)]
        store: StoreFile,
    },
    /// Ask a server about a user, and store the answer
    Add {
        /// the user; with mode = shared also a shared account, about which no server is asked
        name: String,
        /// the uid, of uid_range [default: the one the user has, or that the name gives]
        #[arg(long, value_name = "N")]
        uid: Option<u32>,
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        store: StoreFile,
    },
    /// End an entry; its uid stays taken
    Forget {
        /// the user
        name: String,
        #[command(flatten)]
        store: StoreFile,
    },
    /// Forget the users that no server has approved for a long time
    Prune {
        /// how long, in days
        #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u64).range(1..))]
        older_than: u64,
        #[command(flatten)]
        store: StoreFile,
    },
    /// Make a damaged store whole again from its well-formed lines
    Repair {
        #[command(flatten)]
        store: StoreFile,
    },
}

#[derive(Args)]
pub(super) struct StoreFile {
    /// the identity store
    #[arg(long, value_name = "FILE", default_value = identity::PATH)]
    store: PathBuf,
    /// print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(action: &Identity) -> Result<Exit, Failure> {
    match action {
        Identity::List { all, store } => list(store, *all),
        Identity::Show { name, store } => show(store, name),
        Identity::Add {
            name,
            uid,
            config,
            store,
        } => add(store, &config.config, name, *uid),
        Identity::Forget { name, store } => forget(store, name),
        Identity::Prune { older_than, store } => prune(store, *older_than),
        Identity::Repair { store } => repair(store),
    }
}

/// An entry, as JSON.
#[derive(Serialize)]
struct Shown<'e> {
    name: &'e str,
    uid: u32,
    gid: u32,
    gecos: &'e str,
    home: &'e str,
    shell: &'e str,
    groups: &'e [u32],
    level: u8,
    /// Seconds since 1970.
    learned: u64,
    /// Milliseconds since 1970.
    changed: u64,
    state: &'static str,
}

impl<'e> Shown<'e> {
    fn new(entry: &'e Entry) -> Self {
        Self {
            name: &entry.name,
            uid: entry.uid,
            gid: entry.gid,
            gecos: &entry.gecos,
            home: &entry.home,
            shell: &entry.shell,
            groups: &entry.groups,
            level: entry.level,
            learned: entry.learned,
            changed: entry.changed,
            state: entry.state.word(),
        }
    }

    fn json(entry: &Entry) -> String {
        serde_json::to_string(&Shown::new(entry)).unwrap_or_default()
    }
}

fn list(with: &StoreFile, all: bool) -> Result<Exit, Failure> {
    let mut entries = Vec::new();
    Store::open(&with.store)
        .and_then(|store| {
            store.each(&mut |entry| {
                if all || entry.is_known() {
                    entries.push(entry);
                }
                true
            })
        })
        .map_err(Failure::usage)?;
    if with.json {
        let entries: Vec<String> = entries.iter().map(Shown::json).collect();
        output::result(format_args!("{{\"entries\":[{}]}}\n", entries.join(",")));
        return Ok(Exit::Pass);
    }
    let now = now();
    let mut text = String::new();
    for entry in &entries {
        let age = match entry.state {
            State::Shared => "-".to_owned(),
            _ => format!("{} d", now.saturating_sub(entry.learned).div_euclid(DAY)),
        };
        text.push_str(&format!(
            "{:<32}  {:>10}  {:>5}  {:<9}  {age:>7}\n",
            entry.name,
            entry.uid,
            entry.level,
            entry.state.word(),
        ));
    }
    if text.is_empty() {
        output::tell(NAME, format_args!("{}: no entries", with.store.display()));
    } else {
        output::result(format_args!(
            "{:<32}  {:>10}  {:>5}  {:<9}  {:>7}\n{text}",
            "NAME", "UID", "LEVEL", "STATE", "LEARNED"
        ));
    }
    Ok(Exit::Pass)
}

fn show(with: &StoreFile, name: &str) -> Result<Exit, Failure> {
    let all = Store::open(&with.store)
        .and_then(|store| store.all_of(name.as_bytes()))
        .map_err(Failure::usage)?;
    // The living one, or else the latest of those that ended.
    let last = all
        .into_iter()
        .max_by_key(|entry| (entry.is_known(), entry.changed));
    let entry = last.ok_or_else(|| unknown(name))?;
    if with.json {
        output::result(format_args!("{}\n", Shown::json(&entry)));
        return Ok(Exit::Pass);
    }
    let groups: Vec<String> = entry.groups.iter().map(u32::to_string).collect();
    let age = now().saturating_sub(entry.learned);
    let learned = match entry.state {
        State::Shared => "-".to_owned(),
        _ => format!("{} ({} h ago)", entry.learned, age.div_euclid(3600)),
    };
    output::result(format_args!(
        "name     {}\nuid      {}\ngid      {}\ngecos    {}\nhome     {}\nshell    {}\ngroups   {}\nlevel    {}\nlearned  {learned}\nstate    {}\n",
        entry.name,
        entry.uid,
        entry.gid,
        entry.gecos,
        entry.home,
        entry.shell,
        groups.join(","),
        entry.level,
        entry.state.word(),
    ));
    Ok(Exit::Pass)
}

fn add(with: &StoreFile, config: &Path, user: &str, uid: Option<u32>) -> Result<Exit, Failure> {
    needs_root(&with.store)?;
    let config = Config::load(config).map_err(Failure::usage)?;
    let mapping = &config.mapping;
    if let Some(uid) = uid.filter(|uid| !mapping.uid_range.contains(uid)) {
        let (first, last) = (mapping.uid_range.start(), mapping.uid_range.end());
        return Err(Failure::usage(format!(
            "uid {uid} is not in uid_range {first}-{last}"
        )));
    }
    let shared = mapping.mode == Mode::Shared;
    let level = name::shared_level(user, &mapping.user_prefix).filter(|_| shared);
    if shared && level.is_none() && uid.is_some() {
        return Err(Failure::usage(
            "with mode = shared users have the uid of their account: give --uid to that",
        ));
    }
    if level.is_none() {
        map::named(mapping, user).map_err(unmapped)?;
    }
    elsewhere::not_of_the_host(&config, user)?;
    let store = Store::open(&with.store).map_err(Failure::usage)?;
    let entry = match level {
        Some(level) => account(&config, &store, level, uid)?,
        None => {
            let granted = ask(&config, user)?;
            plan(&config, &store, user, uid, &granted).map_err(unmapped)?
        }
    };
    let owner = if shared {
        format!("{}{}", mapping.user_prefix, entry.level)
    } else {
        entry.name.clone()
    };
    elsewhere::not_of_another_service(&config, &store, &entry, &owner)?;
    Writer::open(&with.store)
        .map_err(Unmapped::Store)
        .and_then(|writer| match level {
            Some(_) => writer.change(|book| Ok(book.put(entry.clone())?)),
            None => learn::put(writer, mapping, entry.clone()),
        })
        .map_err(unmapped)?;
    if with.json {
        output::result(format_args!("{}\n", Shown::json(&entry)));
    } else {
        output::result(format_args!(
            "{}: uid {}, level {}\n",
            entry.name, entry.uid, entry.level
        ));
    }
    Ok(Exit::Pass)
}

/// What the approval makes of the user.
fn plan(
    config: &Config,
    store: &Store,
    user: &str,
    uid: Option<u32>,
    granted: &Granted,
) -> Result<Entry, Unmapped> {
    let (mut entry, missing) =
        learn::entry_with_uid(&config.mapping, store, user, uid, granted, &this_host())?;
    entry.changed = u64::try_from(since_1970().as_millis()).unwrap_or(u64::MAX);
    for group in missing {
        let level = entry.level;
        output::tell(
            NAME,
            format_args!(
                "warning: no group '{group}' in {GROUP}, which [mapping] gives level {level}"
            ),
        );
    }
    Ok(entry)
}

/// The account that users of a level share. It is there from the first login on; with
/// another uid it has to be there before.
fn account(config: &Config, store: &Store, level: u8, uid: Option<u32>) -> Result<Entry, Failure> {
    let name = format!("{}{level}", config.mapping.user_prefix);
    let old = store.by_name(name.as_bytes()).map_err(Failure::usage)?;
    if let Some(old) = old.filter(|old| uid.is_some_and(|uid| uid != old.uid)) {
        return Err(denied(format!(
            "{name} has uid {} already, and so have its users",
            old.uid
        )));
    }
    let entry = map::account_with_uid(&config.mapping, store, level, uid).map_err(unmapped)?;
    learn::free(&config.mapping, &entry, &this_host()).map_err(unmapped)?;
    Ok(entry)
}

fn this_host() -> Host<'static> {
    Host {
        passwd: Path::new(PASSWD),
        group: Path::new(GROUP),
        shells: Path::new(SHELLS),
        now: now(),
    }
}

/// Asks the servers as a login does.
fn ask(config: &Config, user: &str) -> Result<Granted, Failure> {
    let global = &config.global;
    let args =
        login_arguments(&global.service, global.protocol.as_deref()).map_err(Failure::usage)?;
    let request = AuthorRequest {
        // Nobody has shown who they are, and nobody is at a terminal.
        authen_method: AuthenMethod::None,
        priv_lvl: PrivLvl::USER,
        authen_type: AuthenType::NotSet,
        authen_service: AuthenService::Login,
        user: user.as_bytes(),
        port: b"",
        rem_addr: b"",
        args: args.as_arguments(),
    };
    let mut client = Client::new(config).resolving_by(getent::within);
    let answer = match client.authorize(&request) {
        Outcome::Pass(answer) => answer,
        Outcome::Deny(denial) => {
            let words = escape::line(&denial.server_msg);
            let gap = if words.is_empty() { "" } else { ": " };
            return Err(denied(format!(
                "{}: {}{gap}{words}",
                denial.server, denial.reason
            )));
        }
        Outcome::Unreachable(why) => return Err(Failure::unreachable(why)),
    };
    let reply = answer.args.as_arguments();
    let handled = config.mapping.all_handled();
    match grant(request.args, answer.status, reply, &handled) {
        Ok(granted) if granted.as_asked => Ok(granted),
        Ok(_) => Err(denied(format!(
            "{}: the server approved something else than asked",
            answer.server
        ))),
        Err(refusal) => Err(denied(format!("{}: {refusal}", answer.server))),
    }
}

fn forget(with: &StoreFile, name: &str) -> Result<Exit, Failure> {
    needs_root(&with.store)?;
    let writer = Writer::open(&with.store).map_err(Failure::usage)?;
    let entry = writer
        .store()
        .by_name(name.as_bytes())
        .map_err(Failure::usage)?
        .ok_or_else(|| unknown(name))?;
    change(writer, |book| book.forget(name))?;
    print_names(with, "forgotten", &[entry]);
    Ok(Exit::Pass)
}

fn prune(with: &StoreFile, days: u64) -> Result<Exit, Failure> {
    needs_root(&with.store)?;
    let before = now().saturating_sub(days.saturating_mul(DAY));
    let writer = Writer::open(&with.store).map_err(Failure::usage)?;
    let mut old = Vec::new();
    writer
        .store()
        .each(&mut |entry| {
            let user = matches!(entry.state, State::Active | State::Disabled);
            if user && entry.learned < before {
                old.push(entry);
            }
            true
        })
        .map_err(Failure::usage)?;
    if !old.is_empty() {
        change(writer, |book| {
            old.iter().try_for_each(|entry| book.forget(&entry.name))
        })?;
    }
    print_names(with, "forgotten", &old);
    Ok(Exit::Pass)
}

fn repair(with: &StoreFile) -> Result<Exit, Failure> {
    needs_root(&with.store)?;
    let (kept, lost) = identity::repair(&with.store).map_err(Failure::usage)?;
    if with.json {
        let lost: Vec<String> = lost.iter().map(usize::to_string).collect();
        output::result(format_args!(
            "{{\"kept\":{kept},\"lost_lines\":[{}]}}\n",
            lost.join(",")
        ));
        return Ok(Exit::Pass);
    }
    let entries = if kept == 1 { "entry" } else { "entries" };
    output::result(format_args!("{kept} {entries} kept\n"));
    for line in lost {
        let file = with.store.display();
        output::tell(
            NAME,
            format_args!("{file}.damaged:{line}: not a well-formed entry, lost"),
        );
    }
    Ok(Exit::Pass)
}

fn change(
    writer: Writer,
    work: impl FnOnce(&mut Book) -> Result<(), Refusal>,
) -> Result<(), Failure> {
    writer
        .change(|book| Ok::<(), Unmapped>(work(book)?))
        .map_err(unmapped)
}

fn print_names(with: &StoreFile, what: &str, entries: &[Entry]) {
    let names = entries.iter().map(|entry| entry.name.as_str());
    if with.json {
        let names = serde_json::to_string(&names.collect::<Vec<_>>()).unwrap_or_default();
        output::result(format_args!("{{\"{what}\":{names}}}\n"));
    } else {
        for name in names {
            output::result(format_args!("{name}: {what}\n"));
        }
    }
}

fn unknown(name: &str) -> Failure {
    denied(format!("'{}' is not known", escape::line(name.as_bytes())))
}

pub(super) fn denied(text: String) -> Failure {
    Failure {
        exit: Exit::Denied,
        text,
    }
}

/// What is wrong with this host, and what is a refusal.
pub(super) fn unmapped(why: Unmapped) -> Failure {
    match why {
        Unmapped::Store(_)
        | Unmapped::Local
        | Unmapped::Unwritable
        | Unmapped::Key(_)
        | Unmapped::Lookup(_)
        | Unmapped::Unread(..) => Failure::usage(why),
        _ => denied(why.to_string()),
    }
}

/// The host's own store is root's; saying so beats "permission denied".
fn needs_root(store: &Path) -> Result<(), Failure> {
    if store == Path::new(identity::PATH) && !rustix::process::geteuid().is_root() {
        return Err(Failure::usage(
            "the identity store belongs to root: run this as root",
        ));
    }
    Ok(())
}

fn now() -> u64 {
    since_1970().as_secs()
}

fn since_1970() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default()
}
