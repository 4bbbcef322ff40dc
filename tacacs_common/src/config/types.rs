//! What a configuration says, after every check.
//!
//! Owns the types that programs read. Must never hold a value that
//! `check.rs` has not accepted, nor print a secret.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::error::{Error, Place};
use super::fallback::FallbackUsers;
use super::{files, keys, values};
use crate::secret::Secret;
use zeroize::Zeroizing;

/// A whole configuration: the files, and the PAM line's overrides if any.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// `[global]`.
    pub global: Global,
    /// `[server NAME]`, in order of preference.
    pub servers: Vec<Server>,
    /// `[mapping]`.
    pub mapping: Mapping,
    /// `[accounting]`.
    pub accounting: Accounting,
    /// What is accepted but should be changed, each with its place. Log each
    /// once a login; none holds a secret.
    pub warnings: Vec<String>,
}

/// `[global]`.
#[derive(Clone, Debug)]
pub struct Global {
    /// Limit of one connect or one reply.
    pub timeout: Duration,
    /// Limit of one reply after a password or an answer was sent.
    pub authen_timeout: Duration,
    /// Limit of all waits on servers in one operation.
    pub deadline: Duration,
    /// How long a dead server is passed over; zero: never.
    pub hold_down: Duration,
    /// How a password is sent.
    pub login: LoginKind,
    /// Value of the `service` argument.
    pub service: String,
    /// Value of the `protocol` argument, if one is sent.
    pub protocol: Option<String>,
    /// Local addresses to connect from.
    pub source: Source,
    /// Device to bind sockets to.
    pub vrf: Option<String>,
    /// Socket of the agent; `None`: talk to the servers directly.
    pub agent: Option<PathBuf>,
    /// What a dead agent means.
    pub agent_fallback: AgentFallback,
    /// Accounting goes to every server and not to the first that answers.
    pub acct_all: bool,
    /// A session whose START could be neither sent nor spooled is refused.
    pub acct_required: bool,
    /// Names that are never TACACS+ users.
    pub exclude_users: Vec<String>,
    /// Smallest uid of a local user that may be a TACACS+ user.
    pub min_uid: u32,
    /// PAM services without accounting, authorized from the stored entry.
    pub skip_services: Vec<String>,
    /// What happens when no server answers.
    pub unreachable: UnreachablePolicy,
    /// Whom [`UnreachablePolicy::Users`] does not refuse.
    pub fallback_users: FallbackUsers,
    /// How long a stored authorization may stand in for a server; 0: never.
    pub offline_hours: u32,
    /// Log the steps of an exchange.
    pub debug: bool,
    /// TLS servers may stand next to plain ones.
    pub allow_mixed: bool,
    /// Password prompt.
    pub prompt: Option<String>,
    /// Dialogues with one server that may wait at the same time.
    pub dialogues: u32,
    /// Whether root may connect from a port below 1024 when there is no other.
    pub local_ports: bool,
    /// Use of the password another module asked for (PAM line only).
    pub pass: FirstPass,
}

/// How a password is sent to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum LoginKind {
    Pap,
    Chap,
    Ascii,
    Mschap,
    Mschapv2,
}

/// What a dead agent means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentFallback {
    /// Unreachable.
    No,
    /// Ask the configured servers.
    Direct,
}

/// What happens when no server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnreachablePolicy {
    /// The login is refused, unless `fallback_users` names the user: then the next PAM
    /// module decides.
    Users,
    /// The login is refused.
    Deny,
    /// The next PAM module decides. Whoever can make a server slow, full or silent then
    /// decides that an old local password counts.
    Ignore,
}

/// Use of a password that an earlier PAM module asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstPass {
    /// Always ask.
    None,
    /// Use it if there is one, else ask.
    Try,
    /// Use it, never ask.
    Use,
}

/// Local addresses to connect from, one a family at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Source {
    pub v4: Option<Ipv4Addr>,
    pub v6: Option<Ipv6Addr>,
}

/// One `[server NAME]`, with what it takes over from `[global]`.
#[derive(Clone, Debug)]
pub struct Server {
    /// Name of its section, or its address as an old file wrote it.
    pub name: String,
    /// Where it is.
    pub address: Address,
    /// Its shared secret. Always there unless it is reached by TLS or by a
    /// Unix socket.
    pub secret: Option<SecretSource>,
    /// What it is asked for.
    pub roles: Roles,
    /// Whether to ask for several sessions on one connection.
    pub single_connect: SingleConnect,
    /// Limit of one connect or one reply.
    pub timeout: Duration,
    /// Local addresses to connect from.
    pub source: Source,
    /// Device to bind sockets to.
    pub vrf: Option<String>,
    /// TLS settings; `None`: plain TCP or a Unix socket.
    pub tls: Option<Tls>,
}

impl Server {
    /// A server with the defaults of every key, for programs that take one
    /// from their command line.
    pub fn new(name: &str, address: Address, secret: Option<SecretSource>) -> Self {
        Self {
            name: name.to_owned(),
            address,
            secret,
            roles: Roles::ALL,
            single_connect: SingleConnect::Auto,
            timeout: Global::default().timeout,
            source: Source::default(),
            vrf: None,
            tls: None,
        }
    }

    /// The shared secret, read from its file now if it has one.
    ///
    /// # Errors
    /// The file cannot be read, has the wrong owner or mode, or does not hold
    /// one line of enough characters.
    pub fn secret(&self) -> Result<Option<Secret>, Error> {
        match &self.secret {
            None => Ok(None),
            Some(SecretSource::Inline(secret)) => Ok(Some(Secret::from_slice(secret.expose()))),
            Some(SecretSource::File(file)) => files::read_secret(file).map(Some),
        }
    }
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An address and a port.
    Ip(SocketAddr),
    /// A name to be resolved.
    #[allow(missing_docs)]
    Name { host: String, port: u16 },
    /// A Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// Reads `192.0.2.1`, `192.0.2.1:49`, `2001:db8::1`, `[2001:db8::1]:49`,
    /// `aaa.example.net:49` or `unix:/path`.
    pub fn parse(text: &str, default_port: u16) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            return values::socket(path).map(Self::Unix);
        }
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Some(Self::Ip(SocketAddr::new(ip, default_port)));
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return (address.port() != 0).then_some(Self::Ip(address));
        }
        if let Some(inner) = text.strip_prefix('[') {
            let ip = inner.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?;
            return Some(Self::Ip(SocketAddr::new(ip.into(), default_port)));
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, values::number(port).filter(|port| *port != 0)?),
            None => (text, default_port),
        };
        let host = values::host_name(host)?;
        Some(Self::Name { host, port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => write!(f, "{address}"),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Where a shared secret comes from. Its `Debug` shows the kind only.
#[derive(Clone)]
pub enum SecretSource {
    /// Given in the configuration.
    Inline(Arc<Secret>),
    /// In a file of its own, opened only when used.
    File(SecretFile),
}

impl SecretSource {
    /// A secret that is already in memory.
    pub fn inline(secret: Secret) -> Self {
        Self::Inline(Arc::new(secret))
    }

    /// A secret in a file that `configured` (`--key-file`, say) named.
    pub fn file(path: PathBuf, configured: &str) -> Self {
        let place = Place::whole(configured);
        Self::File(SecretFile {
            path,
            weak: false,
            place,
        })
    }
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inline(_) => "Inline(..)",
            Self::File(_) => "File(..)",
        })
    }
}

/// What names are hashed with, wiped on drop.
pub struct UidKey(pub(crate) Zeroizing<[u8; 16]>);

/// A `secret_file` that was not opened yet.
#[derive(Clone)]
pub struct SecretFile {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it may hold fewer than 16 characters (`weak_secret = yes`).
    pub weak: bool,
    /// Where the configuration names it. Errors name this place, since a
    /// secret that was written in place of a path must not reach a log.
    pub(super) place: Place,
}

/// What a server is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Roles {
    pub authentication: bool,
    pub authorization: bool,
    pub accounting: bool,
}

impl Roles {
    pub(super) const ALL: Self = Self {
        authentication: true,
        authorization: true,
        accounting: true,
    };
    pub(super) const NONE: Self = Self {
        authentication: false,
        authorization: false,
        accounting: false,
    };
}

/// Whether to ask for several sessions on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SingleConnect {
    /// Ask, and follow the answer.
    Auto,
    /// Never ask.
    No,
}

/// TLS settings of one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificates to trust; `None`: those of the system.
    pub ca: Option<PathBuf>,
    /// This host's certificate.
    pub cert: Option<PathBuf>,
    /// Its private key; there if and only if `cert` is.
    pub key: Option<PathBuf>,
    /// Reference identity and SNI; `None`: the address.
    pub name: Option<String>,
    /// Revocation list.
    pub crl: Option<PathBuf>,
}

/// `[mapping]`: which account of the host a login gets.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// How names get uids.
    pub mode: Mode,
    /// How NSS answers for a name it has not seen.
    pub unknown: Unknown,
    /// Root's processes for which NSS may ask or allocate.
    pub login_programs: Vec<String>,
    /// Root's processes for which NSS may ask.
    pub lookup_programs: Vec<String>,
    /// Uids of TACACS+ users, unless `mode` is `local`.
    pub uid_range: RangeInclusive<u32>,
    /// The file with the key by which names give uids; `None`: they do without one.
    pub uid_key_file: Option<PathBuf>,
    /// Start of the account names of mode `shared`.
    pub user_prefix: String,
    /// Home folder; `%u` is the name.
    pub home: String,
    /// Login shell.
    pub shell: PathBuf,
    /// Authorization attribute that sets the gecos field; `None`: none does.
    pub gecos_attribute: Option<String>,
    /// Authorization attribute that sets the home folder; `None`: none does.
    pub home_attribute: Option<String>,
    /// Authorization attribute that sets the login shell; `None`: none does.
    pub shell_attribute: Option<String>,
    /// Supplementary groups by privilege level; the nearest level at or below
    /// a user's own counts.
    pub groups: BTreeMap<u8, Vec<String>>,
    /// Authorization attributes that may become PAM environment variables.
    pub env_allow: Vec<String>,
    /// Mandatory attributes accepted besides the known ones.
    pub handled: Vec<String>,
    /// What happens to upper case in names.
    pub case: Case,
}

impl Mapping {
    /// Every mandatory attribute that is accepted besides the known ones: `handled`, and
    /// those that set fields of an entry.
    pub fn all_handled(&self) -> Vec<String> {
        let fields = [
            &self.gecos_attribute,
            &self.home_attribute,
            &self.shell_attribute,
        ];
        let fields = fields.into_iter().flatten();
        self.handled.iter().chain(fields).cloned().collect()
    }

    /// The key by which names give uids, if there is to be one.
    ///
    /// # Errors
    /// The file cannot be used: see [`Server::secret`].
    pub fn uid_key(&self) -> Result<Option<UidKey>, Error> {
        self.uid_key_file
            .as_deref()
            .map(files::read_uid_key)
            .transpose()
    }

    /// Whether servers may set what login programs copy before they ask for a password.
    pub const fn lets_servers_choose(&self) -> bool {
        self.home_attribute.is_some() || self.shell_attribute.is_some()
    }
}

/// How names get uids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// An own uid per user.
    Unique,
    /// One account per privilege level.
    Shared,
    /// The user exists in /etc/passwd.
    Local,
}

/// How NSS answers for a name it has not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Ask a server.
    Authorize,
    /// Hand out an entry without asking.
    Allocate,
    /// As not found.
    Never,
}

/// What happens to upper case in names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// Names with upper case are refused.
    Lower,
    /// Names are kept as they are.
    Keep,
}

/// `[accounting]`: records of commands.
#[derive(Clone, Debug)]
pub struct Accounting {
    /// Whether commands are recorded.
    pub commands: bool,
    /// Whose.
    pub users: AccountedUsers,
    /// Rules that hide arguments.
    pub mask: PathBuf,
    /// Records go to syslog too.
    pub local_log: bool,
}

/// Whose commands are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountedUsers {
    /// Those of sessions that TACACS+ opened.
    Tacacs,
    /// Everybody's.
    All,
}

impl Default for Global {
    /// The defaults that the key table states.
    fn default() -> Self {
        let mut global = Self {
            timeout: Duration::ZERO,
            authen_timeout: Duration::ZERO,
            deadline: Duration::ZERO,
            hold_down: Duration::ZERO,
            login: LoginKind::Pap,
            service: String::new(),
            protocol: None,
            source: Source::default(),
            vrf: None,
            agent: None,
            agent_fallback: AgentFallback::No,
            acct_all: false,
            acct_required: false,
            exclude_users: Vec::new(),
            min_uid: 0,
            skip_services: Vec::new(),
            unreachable: UnreachablePolicy::Deny,
            fallback_users: FallbackUsers::default(),
            offline_hours: 0,
            debug: false,
            allow_mixed: false,
            prompt: None,
            dialogues: 0,
            local_ports: false,
            pass: FirstPass::None,
        };
        keys::each_default(|set, value| {
            if let keys::Set::Global(set) = set {
                set(&mut global, value);
            }
        });
        global
    }
}

impl Default for Mapping {
    /// The defaults that the key table states.
    fn default() -> Self {
        let mut mapping = Self {
            mode: Mode::Unique,
            unknown: Unknown::Authorize,
            login_programs: Vec::new(),
            lookup_programs: Vec::new(),
            uid_range: 0..=0,
            uid_key_file: None,
            user_prefix: String::new(),
            home: String::new(),
            shell: PathBuf::new(),
            gecos_attribute: None,
            home_attribute: None,
            shell_attribute: None,
            groups: BTreeMap::new(),
            env_allow: Vec::new(),
            handled: Vec::new(),
            case: Case::Lower,
        };
        keys::each_default(|set, value| {
            if let keys::Set::Mapping(set) = set {
                set(&mut mapping, value);
            }
        });
        mapping
    }
}

impl Default for Accounting {
    /// The defaults that the key table states.
    fn default() -> Self {
        let mut accounting = Self {
            commands: false,
            users: AccountedUsers::Tacacs,
            mask: PathBuf::new(),
            local_log: false,
        };
        keys::each_default(|set, value| {
            if let keys::Set::Accounting(set) = set {
                set(&mut accounting, value);
            }
        });
        accounting
    }
}
