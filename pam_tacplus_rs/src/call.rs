//! What every phase does first: who is it about, where does the person sit, which
//! configuration holds. And what it does last: a line in the log.
//!
//! Owns the order of these questions. Root is let go before the configuration is
//! read, so that a broken file never locks root out.

use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tacacs_common::client::{Client, Resolver, Trouble, getent, most_sockets};
use tacacs_common::config::{self, Config};
use tacacs_common::dialogues::{self, Dialogues};
use tacacs_common::outcome::Unreachable;
use tacacs_common::{escape, hold_down, identity, statefile};

use crate::entry;
use crate::ffi::{resolve, spawn};
use crate::handle::{Handle, Item, Level, Memory};
use crate::outcome::{End, Phase};
use crate::standing::{Passwd, Standing, is_root, who_is};

/// How long one login waits for locks, all of them together. Who holds one for longer was
/// stopped.
const LOCK_WAIT: Duration = Duration::from_millis(100);

/// How long libpam waits before a refusal, as pam_unix has it. The longest that a module of
/// the stack asks for counts, and libpam makes it up to half longer or shorter.
const REFUSAL_DELAY: Duration = Duration::from_secs(2);

/// Where things are on the host, and what time it is: parameters, so that tests
/// are exact.
pub(crate) struct Site {
    pub(crate) conf: PathBuf,
    pub(crate) passwd: PathBuf,
    pub(crate) group: PathBuf,
    pub(crate) shells: PathBuf,
    pub(crate) identity: PathBuf,
    pub(crate) hold_down: PathBuf,
    pub(crate) dialogues: PathBuf,
    pub(crate) spool: PathBuf,
    pub(crate) sessions: PathBuf,
    /// `/proc/self`, with `sessionid` and `loginuid`; beside it are the other processes.
    pub(crate) proc: PathBuf,
    /// `/run/systemd`.
    pub(crate) systemd: PathBuf,
    /// Where the stacks of services are.
    pub(crate) pam: Vec<PathBuf>,
    pub(crate) now: Now,
    /// The same moment as `now.unix`, in milliseconds.
    pub(crate) millis: u64,
    /// Whoever started this program is not root, or root's `sudo` did: may stop it at any moment, and has set
    /// its limits. What is waited for must not depend on it, nor what is believed.
    pub(crate) setuid: bool,
    /// Who that is, as far as the process itself shows it.
    pub(crate) caller: Option<u32>,
    /// Which process this is.
    pub(crate) pid: u32,
}

/// A moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Now {
    /// Seconds since 1970, UTC.
    pub(crate) unix: u64,
    /// Since boot, which no change of the clock moves.
    pub(crate) boot: Duration,
}

impl Site {
    /// This host, now.
    pub(crate) fn host(setuid: bool, caller: Option<u32>) -> Self {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let unix = unix.unwrap_or_default();
        Self {
            conf: config::PATH.into(),
            passwd: "/etc/passwd".into(),
            group: "/etc/group".into(),
            shells: "/etc/shells".into(),
            identity: identity::PATH.into(),
            hold_down: hold_down::PATH.into(),
            dialogues: dialogues::PATH.into(),
            spool: "/var/spool/tacplus/pam".into(),
            sessions: "/run/tacplus/sessions".into(),
            proc: "/proc/self".into(),
            systemd: "/run/systemd".into(),
            pam: ["/etc/pam.d", "/usr/lib/pam.d"].map(PathBuf::from).into(),
            now: Now {
                unix: unix.as_secs(),
                boot: hold_down::boottime(),
            },
            millis: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX),
            setuid,
            caller,
            pid: std::process::id(),
        }
    }
}

/// One call of libpam into the module.
pub(crate) struct Call<'a> {
    pub(crate) handle: &'a mut dyn Handle,
    pub(crate) memory: &'a mut Memory,
    pub(crate) site: &'a Site,
    words: &'a [&'a str],
    pub(crate) phase: Phase,
    silent: bool,
    debug: bool,
}

/// A TACACS+ user, somewhere.
pub(crate) struct Person {
    pub(crate) user: String,
    pub(crate) local: bool,
    /// The uid in /etc/passwd.
    pub(crate) uid: Option<u32>,
    pub(crate) port: String,
    pub(crate) rem_addr: String,
}

impl<'a> Call<'a> {
    pub(crate) fn new(
        handle: &'a mut dyn Handle,
        memory: &'a mut Memory,
        site: &'a Site,
        words: &'a [&'a str],
        phase: Phase,
        silent: bool,
    ) -> Self {
        if !std::mem::replace(&mut memory.begun, true) {
            statefile::wait_at_most(LOCK_WAIT);
        }
        Self {
            handle,
            memory,
            site,
            words,
            phase,
            silent,
            debug: false,
        }
    }

    /// Answers who this is about and what the configuration says, or how the phase
    /// ends because it is nobody of ours.
    pub(crate) fn begin(&mut self) -> Result<(Config, Person), End> {
        let Some(user) = self.handle.user() else {
            self.pass_over(None, "is missing or not UTF-8");
            return Err(End::Ignored);
        };
        let passwd = Passwd::read(&self.site.passwd, &user);
        if is_root(&user, passwd.as_ref().ok()) {
            return Err(End::Ignored);
        }
        let config = self.config()?;
        let passwd = passwd.map_err(|error| {
            let path = self.site.passwd.display();
            self.log(
                Level::Error,
                &format!("cannot tell who is local: {path}: {error}"),
            );
            End::Misconfigured
        })?;
        let service = self.handle.item(Item::Service).unwrap_or_default();
        let skipped = config.global.skip_services.contains(&service);
        if skipped {
            let service = escape::line(service.as_bytes());
            self.debug(|| format!("service {service} is in skip_services"));
        }
        let (local, uid) = match who_is(&user, &config, &passwd) {
            Standing::Tacacs { local, uid } => (local, uid),
            Standing::Ignored { why, known } => {
                if !skipped {
                    self.pass_over(known.then_some(&user), why);
                }
                return Err(End::Ignored);
            }
        };
        let tty = self.handle.item(Item::Tty).unwrap_or_default();
        let person = Person {
            user,
            local,
            uid,
            port: port(&tty),
            rem_addr: self.rem_addr(),
        };
        if skipped {
            return Err(match self.phase {
                Phase::Account => entry::unasked(self, &config, &person),
                _ => End::Ignored,
            });
        }
        Ok((config, person))
    }

    fn rem_addr(&self) -> String {
        rem_addr(&self.handle.item(Item::Rhost).unwrap_or_default())
    }

    /// Says once a login who is left to the other modules, and why: in authenticate, or
    /// in acct_mgmt if somebody else authenticated. A name that the host does not know is
    /// not said.
    fn pass_over(&mut self, known: Option<&str>, why: &str) {
        let is_first = match self.phase {
            Phase::Authenticate => true,
            Phase::Account => !self.memory.passed_over,
            Phase::Session | Phase::Prelim | Phase::Update => false,
        };
        if !is_first {
            return;
        }
        self.memory.passed_over = true;
        let rem_addr = self.rem_addr();
        let from = if rem_addr.is_empty() { "" } else { " from " };
        let line = match known {
            Some(user) => {
                let user = escape::line(user.as_bytes());
                format!("passed over: '{user}'{from}{rem_addr} {why}")
            }
            None => format!(
                "passed over: somebody{from}{rem_addr}, whose name {why}; it is not logged, for it may be a mistyped password"
            ),
        };
        self.log(Level::Info, &line);
    }

    /// Asks libpam to wait before it tells of a refusal, whoever it is that refuses.
    pub(crate) fn delay_refusals(&mut self) {
        if !self.words.contains(&"nodelay") {
            self.handle.delay_failure(REFUSAL_DELAY);
        }
    }

    fn config(&mut self) -> Result<Config, End> {
        let config = Config::load_with_pam_line(&self.site.conf, self.words).map_err(|error| {
            // Each line of its own, for a log cuts long ones.
            for problem in error.problems() {
                let problem = escape::line(problem.to_string().as_bytes());
                self.log(Level::Error, &format!("configuration error: {problem}"));
            }
            End::Misconfigured
        })?;
        self.debug = config.global.debug;
        if !std::mem::replace(&mut self.memory.warned, true) {
            for warning in &config.warnings {
                let warning = escape::line(warning.as_bytes());
                self.log(Level::Warning, &format!("configuration warning: {warning}"));
            }
        }
        Ok(config)
    }

    /// A client that goes on with the connection of the phase before, if any.
    pub(crate) fn client<'c>(&mut self, config: &'c Config) -> Client<'c> {
        let resolver: Resolver = if self.site.setuid {
            // Its caller may kill or stop its children, and a server would seem dead.
            |name, _| Some(resolve(name))
        } else {
            |name, limit| getent::within_by(spawn, name, limit)
        };
        let mut client = Client::new(config)
            .with_hold_down(&self.site.hold_down, config.global.hold_down)
            .counting(Dialogues::new(
                &self.site.dialogues,
                config.global.dialogues,
            ))
            .distrusting_its_caller(self.site.setuid)
            .resolving_by(resolver);
        if let Some(connection) = self.memory.connection.take() {
            client.resume(connection);
        }
        client.after(self.memory.in_vain);
        client
    }

    /// Puts a client's connection away for the next phase, and whom it asked in vain.
    pub(crate) fn keep(&mut self, client: Client<'_>) {
        self.memory.in_vain = client.in_vain();
        self.memory.connection = client.into_connection();
    }

    /// Whether messages that are not questions are unwelcome.
    pub(crate) fn is_silent(&self) -> bool {
        self.silent
    }

    /// One line in the log, about what is named in it.
    pub(crate) fn log(&self, level: Level, line: &str) {
        self.handle.log(level, line);
    }

    /// A step, if `debug = yes`.
    pub(crate) fn debug(&self, line: impl FnOnce() -> String) {
        if self.debug {
            self.handle.log(Level::Debug, &line());
        }
    }

    /// Says which servers were passed over on the way to one that answered.
    pub(crate) fn log_passed_over(&self, client: &mut Client<'_>) {
        self.log_troubles(&client.take_troubles());
    }

    /// Says what is wrong with each server, and answers that in one phrase.
    pub(crate) fn log_unreachable(&self, why: &Unreachable) -> &'static str {
        self.log_troubles(&why.tried);
        if why.tried.is_empty() {
            "no server is configured for this"
        } else {
            "no server gave an answer"
        }
    }

    fn log_troubles(&self, troubles: &[(String, Trouble)]) {
        for (server, trouble) in troubles {
            self.log(trouble_level(trouble), &trouble_line(server, trouble));
        }
        let of_ports =
            |trouble: &Trouble| matches!(trouble, Trouble::NoPort(_) | Trouble::LastPort(_));
        if troubles.iter().any(|(_, trouble)| of_ports(trouble))
            && !self.memory.ports_named.replace(true)
            && let Some((uid, sockets)) = most_sockets()
        {
            self.log(
                Level::Error,
                &format!("local ports are used up; uid {uid} has most sockets, {sockets}"),
            );
        }
    }
}

fn trouble_level(trouble: &Trouble) -> Level {
    match trouble {
        Trouble::WrongSecret(_) | Trouble::Config(_) | Trouble::Peer { .. } => Level::Error,
        _ => Level::Warning,
    }
}

fn trouble_line(server: &str, trouble: &Trouble) -> String {
    let server = escape::line(server.as_bytes());
    match trouble {
        Trouble::WrongSecret(_) => format!(
            "shared secret mismatch with {server}: its reply cannot be read with the configured secret"
        ),
        trouble => {
            format!(
                "server {server}: {}",
                escape::line(trouble.to_string().as_bytes())
            )
        }
    }
}

impl Person {
    /// The name and where it comes from, for the log.
    pub(crate) fn name(&self) -> String {
        let user = escape::line(self.user.as_bytes());
        if self.rem_addr.is_empty() {
            format!("'{user}'")
        } else {
            format!("'{user}' from {}", self.rem_addr)
        }
    }
}

/// PAM_TTY as the `port` of a packet. What cannot be sent whole is not sent.
fn port(tty: &str) -> String {
    sendable(tty.strip_prefix("/dev/").unwrap_or(tty))
}

/// PAM_RHOST as a `rem_addr`: an address in its one form (RFC 5952), a name as it
/// is.
fn rem_addr(rhost: &str) -> String {
    let bare = rhost.split('%').next().unwrap_or(rhost);
    match bare.parse::<IpAddr>() {
        Ok(IpAddr::V6(v6)) => v6
            .to_ipv4_mapped()
            .map_or_else(|| zoned(v6, rhost), |v4| v4.to_string()),
        Ok(IpAddr::V4(v4)) => v4.to_string(),
        Err(_) => sendable(rhost),
    }
}

fn zoned(address: Ipv6Addr, rhost: &str) -> String {
    let zone = rhost
        .split_once('%')
        .map_or_else(String::new, |(_, zone)| format!("%{zone}"));
    sendable(&format!("{address}{zone}"))
}

fn sendable(text: &str) -> String {
    let fits = text.len() <= 255 && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { text.to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_sent_without_its_folder() {
        assert_eq!(port("/dev/pts/3"), "pts/3");
        assert_eq!(port("ssh"), "ssh");
        assert_eq!(port(&"x".repeat(256)), "");
        assert_eq!(port("tty\x1b[2J"), "");
    }

    #[test]
    fn an_address_is_sent_in_its_one_form() {
        for (rhost, sent) in [
            ("192.0.2.7", "192.0.2.7"),
            ("2001:0DB8:0:0::7", "2001:db8::7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("FE80::1%eth0", "fe80::1%eth0"),
            ("host.example.net", "host.example.net"),
            ("", ""),
            ("a\nb", ""),
            ("192.0.2.7 passed", ""),
        ] {
            assert_eq!(rem_addr(rhost), sent, "{rhost:?}");
        }
    }
}
