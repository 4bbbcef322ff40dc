//! Clients: who may ask, and whether their secrets are any good.
//!
//! Owns the resolution of `host` and `key`, and the policy for secrets that RFC 8907
//! section 10.5.1 asks for. Must never put a secret into a message.

use std::collections::HashMap;
use std::sync::Arc;

use tacacs_common::secret::Secret;

use super::draft::{At, Draft, Host, Network, Place, Problem};
use super::{Client, Key};

/// RFC 8907 section 10.5.1: shorter secrets should not be used.
const SHORT: usize = 16;
/// Sixteen characters of fewer kinds are soon guessed.
const KINDS: usize = 6;

/// All clients of a draft.
pub(super) struct Clients {
    pub(super) known: HashMap<Network, Arc<Client>>,
    /// What the global key admits.
    pub(super) anybody: Option<Arc<Client>>,
}

impl Clients {
    pub(super) fn compile(draft: &Draft, warnings: &mut Vec<Problem>) -> Result<Self, Problem> {
        check_secrets(draft, warnings)?;
        let mut known = HashMap::with_capacity(draft.hosts.len());
        for host in &draft.hosts {
            let client = client(host, draft)?;
            let network = host.network.value;
            if known.insert(network, Arc::new(client)).is_some() {
                let message = format!("host {network} is defined twice");
                return Err(Problem::new(host.network.place, message));
            }
        }
        let anybody = draft.key.as_ref().map(|key| {
            warnings.push(
                Problem::new(
                    key.place,
                    "the global key admits clients from every address",
                )
                .hint("give each client a 'host' with its own key instead"),
            );
            Arc::new(Client {
                name: None,
                keys: vec![Key {
                    secret: Arc::clone(&key.value),
                    warn: None,
                }],
                prompt: None,
                enable: None,
                ask_enable_name: false,
                lenient: draft.lenient,
                tls_names: Vec::new(),
            })
        });
        if known.is_empty() && anybody.is_none() {
            let nobody = |place, why| {
                Problem::new(place, format!("no client may ask: {why}"))
                    .hint("host = 192.0.2.1 { key = \"...\" }")
            };
            let Some(place) = draft.named_host else {
                let why = "there is neither a 'host' nor a 'key'";
                return Err(nobody(Place::default(), why));
            };
            warnings.push(nobody(place, "no 'host' is an address"));
        }
        Ok(Self { known, anybody })
    }
}

/// RFC 8907 section 10.5.2: no key is an error, except where TLS stands in for it.
fn client(host: &Host, draft: &Draft) -> Result<Client, Problem> {
    let key = |secret: &At<Arc<Secret>>, warn| Key {
        secret: Arc::clone(&secret.value),
        warn,
    };
    let own = host.keys.iter().map(|own| key(&own.secret, own.warn));
    let mut keys: Vec<Key> = own.collect();
    if keys.is_empty() && host.tls_names.is_empty() {
        let common = draft.key.as_ref().ok_or_else(|| {
            let network = host.network.value;
            Problem::new(host.network.place, format!("host {network} has no key"))
                .hint("add 'key = \"...\"' to it: without one anybody could answer in its name")
        })?;
        keys.push(key(common, None));
    }
    let names = host.tls_names.iter().map(|name| name.value.clone());
    Ok(Client {
        name: host.name.clone(),
        keys,
        prompt: host.prompt.as_ref().map(|prompt| prompt.value.clone()),
        enable: host.enable.as_ref().map(|enable| Arc::clone(&enable.value)),
        ask_enable_name: host.ask_enable_name,
        lenient: host.lenient.or(draft.lenient),
        tls_names: names.collect(),
    })
}

/// What can be guessed, and what several clients have in common: warnings, or errors
/// where `weak keys = refuse`.
fn check_secrets(draft: &Draft, warnings: &mut Vec<Problem>) -> Result<(), Problem> {
    let mut owners: HashMap<&[u8], String> = HashMap::new();
    let global = draft.key.iter().map(|key| (key, None));
    let own = draft.hosts.iter().flat_map(|host| {
        let network = host.network.value;
        host.keys
            .iter()
            .map(move |key| (&key.secret, Some(network)))
    });
    for (secret, network) in global.chain(own) {
        let owner = network.map_or("the global key".to_owned(), |network| {
            format!("host {network}")
        });
        let mut found = Vec::new();
        found.extend(weakness(&secret.value));
        let bytes = secret.value.expose();
        match owners.get(bytes) {
            Some(other) if *other != owner => {
                found.push(
                    Problem::new(secret.place, format!("{owner} has the same key as {other}"))
                        .hint("give every client a secret of its own"),
                );
            }
            _ => {}
        }
        owners.entry(bytes).or_insert(owner);
        for mut problem in found {
            problem.place = secret.place;
            if draft.settings.refuse_weak_keys {
                return Err(problem);
            }
            warnings.push(problem);
        }
    }
    Ok(())
}

/// Why a secret can be found out from one captured packet.
fn weakness(secret: &Secret) -> Option<Problem> {
    let weak =
        |message: String| Problem::new(Place::default(), message).hint("use 32 random characters");
    if secret.len() < SHORT {
        return Some(weak(format!(
            "a key shorter than {SHORT} characters can be guessed from one captured packet"
        )));
    }
    let mut kinds = secret.expose().to_vec();
    kinds.sort_unstable();
    kinds.dedup();
    let few = kinds.len() < KINDS;
    zeroize::Zeroize::zeroize(&mut kinds);
    few.then(|| {
        weak(format!(
            "a key of fewer than {KINDS} different characters is soon guessed"
        ))
    })
}
