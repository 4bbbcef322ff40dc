//! What an outage, or whoever stands between this host and its servers, would mean here: the
//! warnings of `tacplus check`.
//!
//! Owns their words and the reading of the host's files for them. Must never show anything of
//! a password.

use std::fs::{self, File};
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode as Permissions, OFlags};
use tacacs_common::config::{Address, Config, Mode, Server, UnreachablePolicy};

/// The files of the host that tell who could get in without a server.
pub(super) struct Host {
    pub(super) passwd: Vec<u8>,
    /// `None`: it takes root.
    pub(super) shadow: Option<Vec<u8>>,
    pub(super) group: PathBuf,
    /// Before every home folder, so that tests have their own.
    pub(super) root: PathBuf,
}

impl Host {
    /// This one.
    pub(super) fn here() -> Self {
        Self {
            passwd: fs::read("/etc/passwd").unwrap_or_default(),
            shadow: fs::read("/etc/shadow").ok(),
            group: "/etc/group".into(),
            root: "/".into(),
        }
    }
}

/// Every warning, a line each.
pub(super) fn warnings(config: &Config, host: &Host) -> Vec<String> {
    let mut warnings: Vec<String> = config.servers.iter().filter_map(forgeable).collect();
    if config.global.unreachable == UnreachablePolicy::Ignore {
        warnings.push(
            "unreachable = ignore: whoever can make a server slow, full or silent (any local user, anybody who can \
             reach sshd) then decides that an old local password counts: take the line out and name one account in \
             fallback_users, or write deny"
                .to_owned(),
        );
    }
    warnings.extend(unasked_roles(config));
    let accounts = accounts(&host.passwd);
    if config.global.unreachable == UnreachablePolicy::Users {
        warn_of_names(config, host, &accounts, &mut warnings);
    }
    if config.mapping.mode == Mode::Local {
        warnings.extend(locked_out(config, host, &accounts));
    }
    warnings
}

/// Plain TACACS+ hides, and proves nothing.
fn forgeable(server: &Server) -> Option<String> {
    let is_near = match &server.address {
        Address::Unix(_) => true,
        Address::Ip(address) => match address.ip() {
            IpAddr::V6(v6) => v6
                .to_ipv4_mapped()
                .map_or(v6.is_loopback(), |v4| v4.is_loopback()),
            IpAddr::V4(v4) => v4.is_loopback(),
        },
        Address::Name { host, .. } => host.trim_end_matches('.') == "localhost",
    };
    (!is_near && server.tls.is_none()).then(|| {
        format!(
            "server '{}' ({}) is plain TACACS+ across a network: whoever can change packets on the way needs no \
             secret to turn a FAIL into a PASS or level 1 into 9. Let them pass only where you trust everybody, or \
             through a tunnel",
            server.name, server.address
        )
    })
}

/// Questions that no server is configured for: logins end as in an outage that never ends.
fn unasked_roles(config: &Config) -> Vec<String> {
    if config.global.agent.is_some() {
        return Vec::new();
    }
    let has = |role: fn(&Server) -> bool| config.servers.iter().any(role);
    let roles = [
        ("authentication", has(|server| server.roles.authentication)),
        ("authorization", has(|server| server.roles.authorization)),
    ];
    let missing = roles.iter().filter(|(_, has)| !has);
    missing
        .map(|(role, _)| {
            format!(
                "no server has the role {role}: every login ends as if none answered, which unreachable decides about"
            )
        })
        .collect()
}

/// Whom `fallback_users` names in vain.
fn warn_of_names(
    config: &Config,
    host: &Host,
    accounts: &[Account<'_>],
    warnings: &mut Vec<String>,
) {
    let listed = &config.global.fallback_users;
    for name in listed.names() {
        let account = accounts.iter().find(|account| account.name == name);
        let local = config.mapping.mode == Mode::Local;
        let why = match account {
            Some(account) if is_unasked(config, account) => {
                "is nobody a server is asked about, and gets in without"
            }
            None if local => "has no line in /etc/passwd",
            _ => continue,
        };
        warnings.push(format!("fallback_users: '{name}' {why}"));
    }
    match listed.empty_groups(&host.group) {
        Ok(groups) => warnings.extend(groups.iter().map(|group| {
            format!(
                "fallback_users: nobody is named by '@{group}': {} lists no member of such a group",
                host.group.display()
            )
        })),
        Err(error) => warnings.push(format!(
            "fallback_users: no group names anybody: {}: {error}",
            host.group.display()
        )),
    }
}

/// Whether in an outage nobody could get in but at the console, where every user is one that
/// servers are asked about.
fn locked_out(config: &Config, host: &Host, accounts: &[Account<'_>]) -> Option<String> {
    let policy = match config.global.unreachable {
        UnreachablePolicy::Ignore => return None,
        UnreachablePolicy::Users => "unreachable = users",
        UnreachablePolicy::Deny => "unreachable = deny",
    };
    let Some(shadow) = &host.shadow else {
        return Some(
            "whether anybody could log in during an outage is not checked, which takes root"
                .to_owned(),
        );
    };
    let is_named = |name: &str| {
        let listed = &config.global.fallback_users;
        config.global.unreachable == UnreachablePolicy::Users
            && listed.name(name, &host.group).unwrap_or(false)
    };
    let gets_in = |account: &Account<'_>| {
        (is_unasked(config, account) || is_named(account.name))
            && account.has_shell()
            && (account.has_password(shadow) || account.has_key(&host.root))
    };
    (!accounts.iter().any(gets_in)).then(|| {
        format!(
            "while no server answers nobody can log in but at the console ({policy}): neither root nor anybody whom \
             fallback_users names or no server is asked about has a local password or a key. Name an account that \
             has one in fallback_users, or give root one"
        )
    })
}

/// root, excluded and system users, and in other modes than `local` every local one.
fn is_unasked(config: &Config, account: &Account<'_>) -> bool {
    let global = &config.global;
    config.mapping.mode != Mode::Local
        || account.uid < global.min_uid
        || global.exclude_users.iter().any(|name| name == account.name)
}

/// A line of /etc/passwd.
struct Account<'p> {
    name: &'p str,
    password: &'p str,
    uid: u32,
    home: &'p str,
    shell: &'p str,
}

fn accounts(passwd: &[u8]) -> Vec<Account<'_>> {
    let lines = passwd.split(|byte| *byte == b'\n');
    let lines = lines.filter_map(|line| str::from_utf8(line).ok());
    let account = |line| {
        let mut fields = str::split(line, ':');
        Some(Account {
            name: fields.next()?,
            password: fields.next()?,
            uid: fields.next()?.parse().ok()?,
            home: fields.nth(2)?,
            shell: fields.next()?,
        })
    };
    lines.filter_map(account).collect()
}

impl Account<'_> {
    fn has_shell(&self) -> bool {
        !self.shell.ends_with("/nologin") && !self.shell.ends_with("/false")
    }

    /// Whether there is a password that somebody can type.
    fn has_password(&self, shadow: &[u8]) -> bool {
        let hashed = if self.password == "x" {
            let mut lines = shadow.split(|byte| *byte == b'\n');
            lines.find_map(|line| {
                let mut fields = line.split(|byte| *byte == b':');
                fields.next().filter(|name| *name == self.name.as_bytes())?;
                fields.next()
            })
        } else {
            Some(self.password.as_bytes())
        };
        hashed.is_some_and(|hash| {
            !hash.is_empty() && !hash.starts_with(b"!") && !hash.starts_with(b"*")
        })
    }

    /// Whether there is a key where sshd looks for one by default.
    fn has_key(&self, root: &Path) -> bool {
        ["authorized_keys", "authorized_keys2"].iter().any(|file| {
            let home = root.join(self.home.trim_start_matches('/'));
            let keys = users_file(&home.join(".ssh").join(file));
            keys.is_ok_and(|keys| {
                let mut lines = keys.lines().map(str::trim_start);
                lines.any(|line| !line.is_empty() && !line.starts_with('#'))
            })
        })
    }
}

/// Longest part of a user's file that is read.
const LONGEST: u64 = 1024 * 1024;

/// What stands in a file of a user's, who may have put anything in its place.
fn users_file(path: &Path) -> io::Result<String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Permissions::empty())?);
    let mut text = Vec::new();
    if file.metadata()?.is_file() {
        file.take(LONGEST).read_to_end(&mut text)?;
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests;
