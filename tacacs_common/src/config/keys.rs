//! The one description of every key.
//!
//! Owns names, kinds, defaults and help. The parser, the example file, the
//! manual page and the reference are all made from this table; nothing else
//! may know a default. Help is a table of its own, of the same rows, so that
//! modules that never print it do not carry it.

use super::draft::ServerDraft;
use super::error::nearest;
use super::fallback::FallbackUsers;
use super::types::*;
use super::values::*;
use crate::secret::Secret;

/// What a value must look like.
pub(super) enum Kind {
    Seconds(u32, u32),
    Number(u32, u32),
    Switch,
    Word(&'static [&'static str]),
    Roles,
    Names,
    Fallback,
    Token,
    Path,
    PasswdPath,
    Socket,
    Prefix,
    Device,
    Address,
    Host,
    Source,
    UidRange,
    Secret,
}

/// Puts a value into its field; `None` if the value is not of its kind.
type Setter<T> = fn(&mut T, &str) -> Option<()>;

/// Whose field a key is.
pub(super) enum Set {
    Global(Setter<Global>),
    Server(Setter<ServerDraft>),
    Mapping(Setter<Mapping>),
    Accounting(Setter<Accounting>),
    /// `groups.N`, of `[mapping]`.
    Groups,
}

/// A section, as a heading names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Global,
    Server,
    Mapping,
    Accounting,
}

/// A row of the table.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) default: &'static str,
    pub(super) set: Set,
}

/// The same row, for people.
pub(super) struct Help {
    /// A value to show where there is no default.
    pub(super) example: &'static str,
    pub(super) brief: &'static str,
    pub(super) more: &'static str,
}

macro_rules! keys {
    ($($section:ident($field:ident, $value:ident) {
        $($name:literal $(($example:literal))?, $kind:expr, $default:literal, $assign:expr, $brief:literal, $more:literal;)*
    })*) => {
        /// Every key, section by section.
        pub(super) static KEYS: &[Key] = &[$($(Key {
            name: $name,
            kind: $kind,
            default: $default,
            set: Set::$section(|$field, $value| { $assign; Some(()) }),
        },)*)* Key { name: "groups.N", kind: Kind::Names, default: "", set: Set::Groups }];

        /// Help for each of `KEYS`, in the same order.
        pub(super) static HELP: &[Help] = &[$($(Help {
            example: concat!($($example)?),
            brief: $brief,
            more: $more,
        },)*)* Help {
            example: "sudo",
            brief: "supplementary groups by privilege level, such as groups.15",
            more: "N is 0 to 15. A user gets the groups of the nearest level at or below the own one, \
                and no others.",
        }];
    };
}

use Kind::{
    Address as Addr, Device, Fallback, Names, Number, PasswdPath, Path, Prefix, Seconds, Socket,
    Switch, Token, UidRange, Word,
};

keys! {
    Global(g, v) {
        "timeout", Seconds(1, 600), "5", g.timeout = seconds(v)?,
            "seconds to wait for one connect or one reply",
            "All addresses of one server share it.";
        "authen_timeout", Seconds(1, 600), "60", g.authen_timeout = seconds(v)?,
            "seconds to wait for a reply after a password or an answer was sent",
            "Servers that ask a telephone for consent, or a slow token service, need more than timeout.";
        "deadline", Seconds(1, 600), "12", g.deadline = seconds(v)?,
            "seconds that all waits on servers in one operation may take together",
            "It does not run while a person is typing, nor inside authen_timeout.";
        "hold_down", Seconds(0, 600), "30", g.hold_down = seconds(v)?,
            "seconds a dead server is passed over by every process of the host",
            "When all servers are held down all are still tried, quickly. 0 switches it off.";
        "login", Word(&["pap", "chap", "ascii", "login", "mschap", "mschapv2"]), "pap", g.login = login(v)?,
            "how a password is sent: pap, chap, ascii, mschap or mschapv2",
            "Challenges and one-time codes need ascii, which old files call login.";
        "prompt"("Password:_"), Token, "", g.prompt = Some(token(v)?.replace('_', " ")),
            "what to ask for a password with",
            "_ stands for a blank. With login = ascii the password is then asked for before a server is, so \
                that no connection waits for it: a server closes those that wait, and takes only so many.";
        "dialogues", Number(2, 1000), "10", g.dialogues = number(v)?,
            "dialogues with one server that may wait at the same time, with login = ascii",
            "All processes of the host count. A login beyond it is refused, and no case for unreachable: else who \
                lets connections wait, which needs no account, would make the server seem full. Programs like su \
                and sudo have half of them, for who starts them can let them wait for ever.";
        "local_ports", Switch, "yes", g.local_ports = switch(v)?,
            "connect from a port of 600 to 1023 when every other one is taken",
            "Any user can take all the others. Ports that /etc/services or /etc/bindresvport.blacklist names are \
                left alone. no: the login is refused.";
        "service", Token, "shell", g.service = token(v)?,
            "value of the service argument in authorization and accounting",
            "Servers choose their rules by it.";
        "protocol"("ssh"), Token, "", g.protocol = Some(token(v)?),
            "value of the protocol argument",
            "When it is empty no such argument is sent.";
        "source_ip"("192.0.2.80"), Kind::Source, "", g.source = source(v)?,
            "local addresses to connect from",
            "One IPv4 and one IPv6 address at most, apart by a blank or a comma.";
        "vrf"("mgmt"), Device, "", g.vrf = Some(device(v)?),
            "device to bind every connection to",
            "A connection that cannot be bound to it is not made.";
        "agent"("/run/tacacs/tacacs-proxy.sock"), Socket, "", g.agent = Some(socket(v)?),
            "socket of the agent",
            "Not there yet: leave it empty. Then every program talks to the servers itself. The agent ignores it.";
        "agent_fallback", Word(&["no", "direct"]), "no", g.agent_fallback = agent_fallback(v)?,
            "what a dead agent means: no or direct",
            "no: as if no server answered. direct: the servers of this file are asked, but never over plain TCP \
                when TLS servers are configured.";
        "acct_all", Switch, "no", g.acct_all = switch(v)?,
            "accounting goes to every server",
            "no: to the first that answers.";
        "acct_required", Switch, "no", g.acct_required = switch(v)?,
            "refuse a session whose START record could be neither sent nor stored",
            "no: such a session begins, and the log says so. In a program that somebody other than root has started, such as su or sudo, it is refused all the same if that person may be the cause, by a limit or by very many records.";
        "exclude_users", Names, "daemon,nobody", g.exclude_users = names(v)?,
            "names that are never TACACS+ users",
            "root is never one, whatever stands here.";
        "min_uid", Number(1, 4_294_967_294), "1000", g.min_uid = number(v)?,
            "smallest uid of a local user that may be a TACACS+ user",
            "It counts with mode = local.";
        "skip_services", Names, "systemd-user cron atd", g.skip_services = names(v)?,
            "PAM services that are not accounted",
            "Their authorization comes from the stored entry.";
        "unreachable", Word(&["users", "deny", "ignore"]), "users", g.unreachable = unreachable(v)?,
            "when no server answers: users, deny or ignore",
            "users: the login is refused, but for those whom fallback_users names. deny: the login is refused. \
                ignore: the next PAM module decides for everybody. Whoever can make a server slow, full or silent \
                (any local user, anybody who can reach sshd) then decides that an old local password counts: \
                docs/outages.md has a table.";
        "fallback_users"("breakglass @netops"), Fallback, "", g.fallback_users = FallbackUsers::parse(v)?,
            "for whom the host decides when no server answers, with unreachable = users",
            "Names, and @GROUP for the members that the line of the group in /etc/group lists: neither a primary \
                group nor any other source of groups counts. A local password or key is enough for them then, \
                whatever keeps the servers from answering: name few, and take off who leaves. Who has no line in \
                /etc/passwd needs an entry of the identity store that a server approved last. root never needs to \
                be named.";
        "offline_hours", Number(0, 8760), "0", g.offline_hours = number(v)?,
            "hours a stored authorization may stand in for an unreachable server",
            "It counts for logins that were authenticated another way, by a key say, with unreachable = ignore, and \
                with no other policy. It never stands in for a refusal, nor for what a user can cause. 0: never.";
        "debug", Switch, "no", g.debug = switch(v)?,
            "log the steps of each exchange",
            "Secrets, passwords and codes are not logged at any level.";
        "allow_mixed", Switch, "no", g.allow_mixed = switch(v)?,
            "allow TLS servers next to plain ones",
            "Whoever can block the TLS servers then brings every login back to plain TCP (RFC 9887 section 5.1.1).";
    }
    Server(s, v) {
        "address"("192.0.2.10:49"), Addr, "", s.address = Some(address(v)?),
            "IPv4 address, IPv6 address, name, or unix:/path",
            "A port follows after a colon, and an IPv6 address then stands in brackets: [2001:db8::1]:49. Without it \
                the port is 49, or 300 with tls. A name is looked up anew for each connection, and lookups of users \
                ask no server that is given by one. While DNS is dead so is this server: a login waits for timeout \
                and deadline and no longer, but su, sudo and passwd for as long as resolv.conf(5) lets them (options \
                timeout:1 attempts:1 there, or a line in /etc/hosts). So write addresses if you can.";
        "secret_file"("/etc/tacplus/primary.secret"), Path, "", s.secret_file = Some(path(v)?),
            "file that holds the shared secret",
            "One line, of 16 characters or more. The file belongs to root and has mode 0600, or 0640 for the group \
                of the programs that read it. It is opened only when it is used.";
        "secret"("PUT-A-LONG-RANDOM-SECRET-HERE"), Kind::Secret, "",
            s.secret = Some(std::sync::Arc::new(Secret::from_slice(v.as_bytes()))),
            "the shared secret itself, instead of secret_file",
            "It is the rest of the line as it stands, without the blanks at both ends: quotes, ; and # belong to it. \
                The file that it stands in must have mode 0600.";
        "weak_secret", Switch, "no", s.weak = switch(v)?,
            "accept a secret shorter than 16 characters",
            "Such a secret can be guessed from one captured packet (RFC 8907 section 10.5.1).";
        "roles", Kind::Roles, "authentication authorization accounting", s.roles = roles(v)?,
            "what the server is asked for",
            "Any of authentication, authorization and accounting.";
        "single_connect", Word(&["auto", "no"]), "auto", s.single_connect = single_connect(v)?,
            "several sessions on one connection: auto or no",
            "auto: ask for it and follow the answer. no: never ask.";
        "timeout"("3"), Seconds(1, 600), "", s.timeout = Some(seconds(v)?),
            "as in [global], for this server",
            "When it is empty that of [global] counts.";
        "source_ip"("192.0.2.80"), Kind::Source, "", s.source = source(v)?,
            "as in [global], for this server",
            "Where it has no address of a family, that of [global] counts.";
        "vrf"("mgmt"), Device, "", s.vrf = Some(device(v)?),
            "as in [global], for this server",
            "When it is empty that of [global] counts.";
        "tls", Switch, "no", s.tls = switch(v)?,
            "speak TLS 1.3 (RFC 9887)",
            "Not there yet: such a server is not asked. TLS servers are for the agent and the command-line clients; modules reach them through the agent. \
                A TLS server has no secret.";
        "tls_ca"("/etc/tacplus/ca.pem"), Path, "", s.tls_keys.ca = Some(path(v)?),
            "certificates to trust",
            "When it is empty those of the system count.";
        "tls_cert"("/etc/tacplus/host.pem"), Path, "", s.tls_keys.cert = Some(path(v)?),
            "certificate of this host",
            "With the certificates between it and its authority, if any.";
        "tls_key"("/etc/tacplus/host.key"), Path, "", s.tls_keys.key = Some(path(v)?),
            "private key of tls_cert",
            "Either both are given or none.";
        "tls_name"("aaa1.example.net"), Kind::Host, "", s.tls_keys.name = Some(host(v)?),
            "name that the server's certificate must carry",
            "It is sent as SNI too. When it is empty the address is the name.";
        "tls_crl"("/etc/tacplus/crl.pem"), Path, "", s.tls_keys.crl = Some(path(v)?),
            "list of revoked certificates",
            "When it is empty revocation is not checked.";
    }
    Mapping(m, v) {
        "mode", Word(&["unique", "shared", "local"]), "unique", m.mode = mode(v)?,
            "how names get uids: unique, shared or local",
            "unique: every user has an own uid, the same on every host. shared: users of one privilege level share an \
                account and can trace each other's processes. local: users are those of /etc/passwd.";
        "unknown", Word(&["authorize", "allocate", "never"]), "authorize", m.unknown = unknown(v)?,
            "how lookups answer for a name not seen before: authorize, allocate or never",
            "authorize: a server is asked. allocate: an entry is handed out without asking. never: not found.";
        "login_programs", Names, "sshd sshd-session login su sudo", m.login_programs = names(v)?,
            "programs, run by root, whose lookups may ask or allocate",
            "All others see stored entries only.";
        "lookup_programs", Names, "getent id", m.lookup_programs = names(v)?,
            "programs, run by root, whose lookups may ask",
            "They never allocate.";
        "uid_range", UidRange, "2010000000-2146999999", m.uid_range = uid_range(v)?,
            "uids of TACACS+ users",
            "It must touch neither the uids of local users nor those of containers (/etc/subuid, 524288-1879048191) \
                nor those that systemd hands out (61184-65519).";
        "uid_key_file"("/etc/tacplus/uid.key"), Path, "", m.uid_key_file = Some(path(v)?),
            "file with the key by which names give uids, the same on every host",
            "Without it whoever may choose names can choose two that give one uid. The file is root's with mode 0600 and \
                holds 32 hexadecimal digits: openssl rand -hex 16. Users that are stored keep their uid, and tacplus \
                check lists those whom the key would give another.";
        "user_prefix", Prefix, "tacacs", m.user_prefix = user_prefix(v)?,
            "start of the account names of mode shared",
            "The privilege level follows it.";
        "home", PasswdPath, "/home/%u", m.home = home(v)?,
            "home folder",
            "%u is the user's name.";
        "shell", PasswdPath, "/bin/bash", m.shell = passwd_path(v)?,
            "login shell",
            "Give a program that /etc/shells lists.";
        "gecos_attribute"("name"), Token, "", m.gecos_attribute = Some(token(v)?),
            "authorization attribute that sets the gecos field",
            "When it is empty none does.";
        "home_attribute"("home"), Token, "", m.home_attribute = Some(token(v)?),
            "authorization attribute that sets the home folder",
            "A value that is not a plain absolute path is passed over. When it is empty none does.";
        "shell_attribute"("shell"), Token, "", m.shell_attribute = Some(token(v)?),
            "authorization attribute that sets the login shell",
            "A shell that /etc/shells does not list is passed over. When it is empty none does.";
        "env_allow"("ROLE"), Names, "", m.env_allow = names(v)?,
            "authorization attributes that may become PAM environment variables",
            "Nothing else that a server sends reaches the environment.";
        "handled"("shell:roles"), Names, "", m.handled = names(v)?,
            "mandatory attributes accepted besides priv-lvl and timeout",
            "Any other mandatory attribute denies the login, and the denial names it. idletime is one: nothing ends an \
                idle session. timeout is kept by systemd where pam_systemd stands behind pam_tacplus in the session \
                lines, and denies where it does not, and in su and sudo: listed here, neither is an obstacle.";
        "case", Word(&["lower", "keep"]), "lower", m.case = case(v)?,
            "upper case in user names: lower or keep",
            "lower: such names are refused. keep: they are names of their own.";
    }
    Accounting(a, v) {
        "commands", Switch, "yes", a.commands = switch(v)?,
            "record commands",
            "Not there yet: the audit helper will do it, and no command is recorded before.";
        "users", Word(&["tacacs", "all"]), "tacacs", a.users = users(v)?,
            "whose commands: tacacs or all",
            "tacacs: those of sessions that TACACS+ opened.";
        "mask", Path, "/etc/tacplus/mask.conf", a.mask = path(v)?,
            "rules that hide arguments of commands",
            "Passwords on command lines never leave the host then.";
        "local_log", Switch, "no", a.local_log = switch(v)?,
            "write each record to syslog too",
            "It does not replace the record that a server gets.";
    }
}

fn login(word: &str) -> Option<LoginKind> {
    Some(match word {
        "pap" => LoginKind::Pap,
        "chap" => LoginKind::Chap,
        "ascii" | "login" => LoginKind::Ascii,
        "mschap" => LoginKind::Mschap,
        "mschapv2" => LoginKind::Mschapv2,
        _ => return None,
    })
}

fn agent_fallback(word: &str) -> Option<AgentFallback> {
    Some(match word {
        "no" => AgentFallback::No,
        "direct" => AgentFallback::Direct,
        _ => return None,
    })
}

fn unreachable(word: &str) -> Option<UnreachablePolicy> {
    Some(match word {
        "users" => UnreachablePolicy::Users,
        "deny" => UnreachablePolicy::Deny,
        "ignore" => UnreachablePolicy::Ignore,
        _ => return None,
    })
}

/// The text is kept, since the default port depends on `tls`.
fn address(text: &str) -> Option<String> {
    Address::parse(text, 49).map(|_| text.to_owned())
}

fn single_connect(word: &str) -> Option<SingleConnect> {
    Some(match word {
        "auto" => SingleConnect::Auto,
        "no" => SingleConnect::No,
        _ => return None,
    })
}

fn mode(word: &str) -> Option<Mode> {
    Some(match word {
        "unique" => Mode::Unique,
        "shared" => Mode::Shared,
        "local" => Mode::Local,
        _ => return None,
    })
}

fn unknown(word: &str) -> Option<Unknown> {
    Some(match word {
        "authorize" => Unknown::Authorize,
        "allocate" => Unknown::Allocate,
        "never" => Unknown::Never,
        _ => return None,
    })
}

fn home(text: &str) -> Option<String> {
    passwd_path(text).map(|_| text.to_owned())
}

fn case(word: &str) -> Option<Case> {
    Some(match word {
        "lower" => Case::Lower,
        "keep" => Case::Keep,
        _ => return None,
    })
}

fn users(word: &str) -> Option<AccountedUsers> {
    Some(match word {
        "tacacs" => AccountedUsers::Tacacs,
        "all" => AccountedUsers::All,
        _ => return None,
    })
}

const ROLES: &[&str] = &["authentication", "authorization", "accounting"];

impl Kind {
    /// What stands behind "expected" in an error.
    pub(super) fn expected(&self) -> String {
        match self {
            Self::Seconds(from, to) => return format!("a number of seconds from {from} to {to}"),
            Self::Number(from, to) => return format!("a number from {from} to {to}"),
            Self::Word(words) => return format!("one of {}", words.join(", ")),
            Self::Switch => "yes or no",
            Self::Roles => "some of authentication, authorization, accounting",
            Self::Names => "words apart by blanks or commas",
            Self::Fallback => "names of users, and @GROUP, apart by blanks or commas",
            Self::Token => "one word of at most 64 printable ASCII characters",
            Self::Path => "a path that starts with /",
            Self::PasswdPath => "a path that starts with /, without a colon",
            Self::Socket => "a path that starts with /, of at most 107 bytes",
            Self::Prefix => {
                "a lower-case letter or _, then lower-case letters, digits, _ or -, 30 in all"
            }
            Self::Device => "the name of a network device",
            Self::Address => {
                "192.0.2.10:49, [2001:db8::10]:49, a name with or without :port, or unix:/path"
            }
            Self::Host => "a host name or an IP address",
            Self::Source => "one IPv4 and one IPv6 address at most",
            Self::UidRange => "FIRST-LAST",
            Self::Secret => "a secret",
        }
        .to_owned()
    }

    /// Whether a number is in range; other kinds are left to their setter.
    pub(super) fn allows(&self, value: &str) -> bool {
        match self {
            Self::Seconds(from, to) | Self::Number(from, to) => {
                number::<u32>(value).is_some_and(|number| (*from..=*to).contains(&number))
            }
            _ => true,
        }
    }

    /// The word that a misspelled one was meant to be.
    pub(super) fn meant(&self, value: &str) -> Option<(String, &'static str)> {
        let known = match self {
            Self::Word(words) => *words,
            Self::Roles => ROLES,
            _ => return None,
        };
        words(value)
            .filter(|word| !known.contains(word))
            .find_map(|word| {
                nearest(word, &mut known.iter().copied()).map(|meant| (word.to_owned(), meant))
            })
    }
}

impl Section {
    /// As a heading names it.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Global => "[global]",
            Self::Server => "[server NAME]",
            Self::Mapping => "[mapping]",
            Self::Accounting => "[accounting]",
        }
    }

    /// Its keys.
    pub(super) fn keys(self) -> impl Iterator<Item = &'static Key> {
        KEYS.iter().filter(move |key| key.section() == self)
    }

    /// The key called `name`.
    pub(super) fn find(self, name: &str) -> Option<&'static Key> {
        let group = name.strip_prefix("groups.").and_then(level).is_some();
        self.keys()
            .find(|key| key.name == name || (group && matches!(key.set, Set::Groups)))
    }
}

impl Key {
    /// The section it belongs to.
    pub(super) fn section(&self) -> Section {
        match self.set {
            Set::Global(_) => Section::Global,
            Set::Server(_) => Section::Server,
            Set::Mapping(_) | Set::Groups => Section::Mapping,
            Set::Accounting(_) => Section::Accounting,
        }
    }
}

/// Calls `apply` with the setter and the default of each key that has one.
pub(super) fn each_default(mut apply: impl FnMut(&Set, &str)) {
    for key in KEYS.iter().filter(|key| !key.default.is_empty()) {
        apply(&key.set, key.default);
    }
}
