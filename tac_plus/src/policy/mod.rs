//! Who may do what.
//!
//! Owns every decision of the server, as pure functions over a compiled
//! configuration. Must never do I/O, read a clock or know a configuration
//! language: what it needs from the world it asks for as an effect.
//!
//! | file | owns |
//! |---|---|
//! | [`draft`] | what a front end hands over |
//! | [`settings`] | limits, files, listeners |
//! | [`values`] | dates, networks, names in certificates |
//! | `clients` | who may ask, the quality of secrets |
//! | `compile` | names resolved, inheritance flattened |
//! | [`callout`] | command lines of programs that take part |
//! | `pattern` | regular expressions |
//! | `posix` | their dialect |
//! | `rules` | lists of them, and how much of one is gone through at once |
//! | `author` | the authorization algorithm |
//! | `login` | credentials and their comparison |
//! | `session` | the state machine of a session |
//! | `counters` | counts that fade |
//! | [`throttle`] | how long who failed often has to wait |

mod author;
pub mod callout;
mod clients;
mod compile;
pub(crate) mod counters;
pub mod draft;
mod login;
mod pattern;
mod posix;
#[cfg(test)]
mod regcomp_sys;
mod rules;
mod session;
pub mod settings;
pub mod throttle;
pub mod values;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tacacs_common::secret::Secret;

pub use author::{Decision, Errand};
pub(crate) use login::is_des;
pub use rules::{Ruling, Search};
pub use session::{
    Answer, Attempt, ChangeRequest, Changed, Checked, Done, Effect, Input, PamRequest, PamSays,
    Program, Record, Reply, Session, Step, Tag, VerifyRequest,
};

use callout::Callout;
use draft::{Credential, Date, Lenient, Network, Permission, ServiceName, Settings, TlsName};
use rules::Rules;

/// A compiled configuration. One look-up is one hash look-up.
pub struct Policy {
    clients: HashMap<Network, Arc<Client>>,
    /// The lengths of their prefixes, longest first.
    prefixes: Vec<u8>,
    /// What the global key admits: every address.
    anybody: Option<Arc<Client>>,
    users: HashMap<Box<[u8]>, Arc<Profile>>,
    /// The users `$enable$` and `$enab<N>$`.
    levels: HashMap<Box<[u8]>, LevelUser>,
    fallback: Option<Arc<Profile>>,
    /// Where accounting records go.
    pub accounting: PathBuf,
    /// Who proves users without a credential of their own.
    default_credential: Option<Arc<Credential>>,
    /// Verified for users without one, so that they take as long as the others.
    decoy: Option<Arc<Credential>>,
    /// Everything that names nothing.
    pub settings: Settings,
}

/// A device that may ask.
pub struct Client {
    /// What the operator calls it.
    pub name: Option<String>,
    /// Its shared secrets, all of them good; none for a client of TLS only.
    pub keys: Vec<Key>,
    /// What it asks a nameless user.
    pub prompt: Option<Vec<u8>>,
    /// Its enable password.
    pub enable: Option<Arc<Credential>>,
    /// Whether who raises privileges without a name is asked for one.
    pub ask_enable_name: bool,
    /// What it may get wrong.
    pub lenient: Lenient,
    /// What its certificate must say, any one of these; none for a client without TLS.
    pub tls_names: Vec<TlsName>,
}

/// A shared secret of a client.
pub struct Key {
    /// The secret.
    pub secret: Arc<Secret>,
    /// From this day on its use is worth a line in the log.
    pub warn: Option<Date>,
}

/// A user with everything it inherits.
#[derive(Clone, Default)]
pub struct Profile {
    default_service: Option<Permission>,
    login: Option<Arc<Credential>>,
    pap: Option<Arc<Credential>>,
    chap: Option<Arc<Credential>>,
    mschap: Option<Arc<Credential>>,
    global: Option<Arc<Credential>>,
    enable: Option<Arc<Credential>>,
    acl: Option<Arc<Rules>>,
    enable_acl: Option<Arc<Rules>>,
    /// The first day on which nobody gets in.
    expires: Option<Date>,
    /// For the user at login; never read by the original.
    message: Option<Arc<[u8]>>,
    before: Option<Arc<Callout>>,
    after: Option<Arc<Callout>>,
    services: Arc<HashMap<ServiceName, Arc<Service>>>,
    commands: Arc<HashMap<Box<[u8]>, Arc<Rules>>>,
}

/// What a pseudo-user says about its privilege level: its own words, and nothing that it
/// inherits.
struct LevelUser {
    credential: Option<Arc<Credential>>,
    enable_acl: Option<Arc<Rules>>,
    expires: Option<Date>,
}

/// A service's arguments.
struct Service {
    default_attribute: Permission,
    /// In the order of the configuration.
    mandatory: Vec<Pair>,
    optional: Vec<Pair>,
}

/// An argument as it goes on the wire, separator included.
struct Pair {
    wire: Box<[u8]>,
    name_len: usize,
}

impl Pair {
    fn new(name: &[u8], separator: u8, value: &[u8]) -> Self {
        Self {
            wire: [name, &[separator], value].concat().into(),
            name_len: name.len(),
        }
    }

    fn name(&self) -> &[u8] {
        self.wire.get(..self.name_len).unwrap_or_default()
    }

    fn value(&self) -> &[u8] {
        self.wire.get(self.name_len + 1..).unwrap_or_default()
    }
}

impl Policy {
    /// The client at an address, if it may ask at all.
    pub fn client(&self, address: IpAddr) -> Option<&Arc<Client>> {
        let address = address.to_canonical();
        let nearest = self.prefixes.iter().find_map(|prefix| {
            let network = Network::of(address, *prefix)?;
            self.clients.get(&network)
        });
        nearest.or(self.anybody.as_ref())
    }

    /// The configured user, or `DEFAULT`.
    fn profile(&self, user: &[u8]) -> Option<&Profile> {
        self.users
            .get(user)
            .or(self.fallback.as_ref())
            .map(AsRef::as_ref)
    }

    /// Every credential that a password is typed for, as often as it is used.
    pub(crate) fn credentials(&self) -> impl Iterator<Item = &Credential> {
        let of_users = self.users.values().flat_map(|profile| {
            [
                &profile.login,
                &profile.pap,
                &profile.global,
                &profile.enable,
            ]
        });
        let of_clients = self.clients.values().map(|client| &client.enable);
        let all = of_users.chain(of_clients).chain([&self.default_credential]);
        all.filter_map(Option::as_deref)
    }

    /// Every program that takes part in authorizations, as often as it does.
    pub(crate) fn callouts(&self) -> impl Iterator<Item = &Callout> {
        let of_users = self.users.values();
        let all = of_users.flat_map(|profile| [&profile.before, &profile.after]);
        all.filter_map(Option::as_deref)
    }
}
