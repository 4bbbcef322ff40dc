//! What a front end hands over: declarations by name, as they were written.
//!
//! Owns the shape of a configuration before names are resolved, with the place
//! of everything that can turn out wrong. Must never know a configuration
//! language: tac_plus.conf is one front end of several.

use std::path::PathBuf;
use std::sync::Arc;

use tacacs_common::secret::Secret;

pub use super::settings::{AccountingFormat, Limits, Settings, Tls};
pub use super::values::{Date, Network, TlsName};

/// A range of bytes in the front end's text; only the front end can show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub struct At<T> {
    /// What was written.
    pub value: T,
    /// Where.
    pub place: Place,
}

/// Something wrong with a configuration, or worth a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What; never holds a secret.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem at `place`.
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self {
            place,
            message: message.into(),
            hint: None,
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// `permit` or `deny`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Allow.
    Permit,
    /// Refuse.
    Deny,
}

/// What proves who somebody is.
pub enum Credential {
    /// This very password.
    Clear(Secret),
    /// Nothing is asked.
    NoPassword,
    /// A string of the system's crypt(3).
    Hash(Secret),
    /// A file in the format of passwd(5).
    File(PathBuf),
    /// PAM, under the service name of [`Settings::pam_service`].
    Pam,
}

/// A whole configuration.
#[derive(Default)]
pub struct Draft {
    /// The secret of every client without one of its own.
    pub key: Option<At<Arc<Secret>>>,
    /// What every client may get wrong.
    pub lenient: Lenient,
    /// Known clients.
    pub hosts: Vec<Host>,
    /// The last client that is known by its name only, which is no client.
    pub named_host: Option<Place>,
    /// Named lists of client addresses.
    pub acls: Vec<Acl>,
    /// Groups.
    pub groups: Vec<Profile>,
    /// Users.
    pub users: Vec<Profile>,
    /// Who proves users without a password of their own, and those that are not here.
    pub default_authentication: Option<At<Arc<Credential>>>,
    /// Everything that names nothing.
    pub settings: Settings,
    /// Where the lines of the front end's text begin, so that the log can name one.
    pub line_starts: Vec<usize>,
}

/// A client, or all clients of a network.
pub struct Host {
    /// Its address.
    pub network: At<Network>,
    /// What the operator calls it.
    pub name: Option<String>,
    /// Its shared secrets, all of them good.
    pub keys: Vec<Key>,
    /// What it asks a nameless user.
    pub prompt: Option<At<Vec<u8>>>,
    /// Its enable password.
    pub enable: Option<At<Arc<Credential>>>,
    /// Whether who raises privileges without a name is asked for one.
    pub ask_enable_name: bool,
    /// What it may get wrong.
    pub lenient: Lenient,
    /// What its certificate must say, any one of these, over TLS.
    pub tls_names: Vec<At<TlsName>>,
}

/// A shared secret.
#[derive(Clone)]
pub struct Key {
    /// The secret.
    pub secret: At<Arc<Secret>>,
    /// From this day on its use is worth a line in the log.
    pub warn: Option<Date>,
}

/// Mistakes of old devices that a client may be forgiven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lenient {
    /// A minor version that does not belong to the request.
    pub minor_version: bool,
    /// Arguments of no bytes.
    pub empty_arg: bool,
    /// Arguments without a separator.
    pub bare_arg: bool,
    /// The password of an ASCII login in the data of its START.
    pub ascii_start_password: bool,
}

impl Lenient {
    /// The mistakes by the words that a configuration and the log have for them.
    pub const WORDS: [&str; 4] = [
        "minor-version",
        "empty-arg",
        "bare-arg",
        "ascii-start-password",
    ];

    /// Forgives one of [`Lenient::WORDS`].
    pub fn forgive(&mut self, word: &str) {
        for (known, slot) in Self::WORDS.iter().zip(self.slots()) {
            *slot |= *known == word;
        }
    }

    /// Those that are forgiven.
    pub fn words(mut self) -> impl Iterator<Item = &'static str> {
        let forgiven = self.slots().map(|slot| *slot);
        let known = Self::WORDS.into_iter().zip(forgiven);
        known.filter_map(|(word, forgiven)| forgiven.then_some(word))
    }

    fn slots(&mut self) -> [&mut bool; 4] {
        [
            &mut self.minor_version,
            &mut self.empty_arg,
            &mut self.bare_arg,
            &mut self.ascii_start_password,
        ]
    }

    /// What either forgives.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        other.words().for_each(|word| self.forgive(word));
        self
    }
}

/// A permission and the regular expression it applies to.
pub struct Rule {
    /// What a match means.
    pub permission: Permission,
    /// A POSIX extended regular expression, searched for anywhere.
    pub pattern: At<Vec<u8>>,
}

/// A named list of rules on client addresses: the first match decides, no match denies.
pub struct Acl {
    /// Its name.
    pub name: At<Vec<u8>>,
    /// In order.
    pub rules: Vec<Rule>,
}

/// The body of a user or a group.
#[derive(Default)]
pub struct Profile {
    /// Its name.
    pub name: At<Vec<u8>>,
    /// The one group it inherits from.
    pub member: Option<At<Vec<u8>>>,
    /// What happens to services and commands that are not mentioned.
    pub default_service: Option<At<Permission>>,
    /// Passwords by use.
    pub credentials: Credentials,
    /// The list of clients this user may log in from.
    pub acl: Option<At<Vec<u8>>>,
    /// The list of clients this user may raise privileges on.
    pub enable_acl: Option<At<Vec<u8>>>,
    /// The person's name.
    pub full_name: Option<At<Vec<u8>>>,
    /// A message of the day.
    pub message: Option<At<Vec<u8>>>,
    /// The first day on which nobody gets in.
    pub expires: Option<At<Date>>,
    /// The command line of a program that decides in place of the configuration.
    pub before: Option<At<Vec<u8>>>,
    /// The command line of a program that may change the decision.
    pub after: Option<At<Vec<u8>>>,
    /// Services.
    pub services: Vec<Service>,
    /// Commands.
    pub commands: Vec<Command>,
}

/// Passwords by use.
#[derive(Default)]
pub struct Credentials {
    /// ASCII login.
    pub login: Option<At<Arc<Credential>>>,
    /// PAP.
    pub pap: Option<At<Arc<Credential>>>,
    /// CHAP.
    pub chap: Option<At<Arc<Credential>>>,
    /// MS-CHAP, both versions.
    pub mschap: Option<At<Arc<Credential>>>,
    /// Whatever of the four above is missing.
    pub global: Option<At<Arc<Credential>>>,
    /// Raising privileges.
    pub enable: Option<At<Arc<Credential>>>,
}

impl Credentials {
    /// Those that somebody types a password for.
    pub(crate) fn typed(&self) -> [Option<&At<Arc<Credential>>>; 4] {
        [&self.login, &self.pap, &self.global, &self.enable].map(Option::as_ref)
    }
}

/// Which service a request or a block is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServiceName {
    /// A shell's start: `service=shell` with an empty `cmd`.
    Exec,
    /// SLIP.
    Slip,
    /// AppleTalk remote access.
    Arap,
    /// PPP, with its protocol.
    Ppp(Box<[u8]>),
    /// Any other.
    Named(Box<[u8]>),
}

/// A service block.
pub struct Service {
    /// Which.
    pub name: At<ServiceName>,
    /// What happens to arguments that are not mentioned.
    pub default_attribute: Option<At<Permission>>,
    /// Its arguments, in order.
    pub attributes: Vec<Attribute>,
}

/// An argument of a service block.
pub struct Attribute {
    /// Its name.
    pub name: At<Vec<u8>>,
    /// Its value.
    pub value: Vec<u8>,
    /// Whether it is only sent to those who ask for it.
    pub optional: bool,
}

/// A command block.
pub struct Command {
    /// The command's name.
    pub name: At<Vec<u8>>,
    /// Rules on its arguments, in order.
    pub rules: Vec<Rule>,
}

impl<T: Default> Default for At<T> {
    fn default() -> Self {
        Self {
            value: T::default(),
            place: Place::default(),
        }
    }
}
