//! What must hold between keys, and the `Config` that comes out.
//!
//! Owns every rule that needs more than one value: secrets and TLS, the
//! addresses of servers, uids against those of the host.

use std::path::Path;

use super::draft::{Draft, Here, ServerDraft};
use super::error::{Error, Place};
use super::host::Facts;
use super::types::*;

/// RFC 8907 section 10.5.1: a secret is at least 16 characters long.
pub(super) const MIN_SECRET: usize = 16;

const PORT: u16 = 49;
/// RFC 9887 section 3.1.
const TLS_PORT: u16 = 300;

const NOBODY_ASKED: &str = "nobody can log in here for the first time: lookups of users ask no server that is given by \
     name or speaks TLS, and there is no other for authorization. Write an address, set unknown in [mapping], or add \
     users with 'tacplus identity add NAME'";

/// What is wrong with a secret of `len` bytes.
pub(super) fn short_secret(len: usize) -> String {
    format!(
        "the secret has {len} characters and can be guessed from one packet: use at least {MIN_SECRET} here and on \
         the server, or write weak_secret = yes"
    )
}

/// Checks a draft as a whole. `main` is the file that it came from.
pub(super) fn finish(
    mut draft: Draft,
    main: &Path,
    host: &dyn Fn() -> Facts,
) -> Result<Config, Error> {
    let mut problems = Error::default();
    let whole = Place::whole(&main.file_name().unwrap_or_default().to_string_lossy());
    check_uid_range(&draft, &whole, host, &mut problems);
    if let Some(shared) = &draft.shared
        && !draft.servers.iter().any(|server| server.old)
    {
        problems.add(
            shared.place.clone(),
            "this secret is for no server: move it into its [server NAME]",
        );
    }
    if draft.servers.is_empty() && draft.global.agent.is_none() {
        problems.add(
            whole.clone(),
            "no server: add a [server NAME] section, or set agent in [global]",
        );
    }
    let mut servers: Vec<Server> = Vec::new();
    let mut places: Vec<Place> = Vec::new();
    for (at, server) in std::mem::take(&mut draft.servers).into_iter().enumerate() {
        let place = server.place.clone();
        let Some(server) = resolve(server, at, &draft, &mut problems) else {
            continue;
        };
        let same = servers
            .iter()
            .position(|other| other.address == server.address);
        if let Some(first) = same.and_then(|at| places.get(at)) {
            let text =
                format!("this server has the address of the one at {first}: remove one of them");
            problems.add(place, text);
            continue;
        }
        servers.push(server);
        places.push(place);
    }
    if !draft.global.allow_mixed {
        check_mixed(&servers, &places, &mut problems);
    }
    if is_nobody_asked(&draft, &servers) {
        draft.warnings.push(format!("{whole}: {NOBODY_ASKED}"));
    }
    warn_of_what_counts_for_nothing(&mut draft);
    problems.or(Config {
        global: draft.global,
        servers,
        mapping: draft.mapping,
        accounting: draft.accounting,
        warnings: draft.warnings,
    })
}

/// Keys that the policy of an outage leaves without effect.
fn warn_of_what_counts_for_nothing(draft: &mut Draft) {
    let global = &draft.global;
    let policy = global.unreachable;
    let idle = [
        (
            "fallback_users",
            policy != UnreachablePolicy::Users && !global.fallback_users.is_empty(),
            "users",
        ),
        (
            "offline_hours",
            policy != UnreachablePolicy::Ignore && global.offline_hours > 0,
            "ignore",
        ),
    ];
    for (key, is_idle, counts_with) in idle {
        if let Some(place) = draft.place(Here::Global, key).filter(|_| is_idle) {
            let text = format!(
                "{place}: '{key}' counts with unreachable = {counts_with} alone: remove it, or choose that policy"
            );
            draft.warnings.push(text);
        }
    }
}

/// Whether `unknown = authorize` is in vain, so that nobody's first login can work.
fn is_nobody_asked(draft: &Draft, servers: &[Server]) -> bool {
    // A lookup can neither resolve names nor speak TLS, and leaves both to the agent.
    let can_be_asked = |server: &Server| {
        server.tls.is_none()
            && server.roles.authorization
            && !matches!(server.address, Address::Name { .. })
    };
    let mapping = &draft.mapping;
    mapping.mode != Mode::Local
        && mapping.unknown == Unknown::Authorize
        && draft.global.agent.is_none()
        && !servers.iter().any(can_be_asked)
}

/// A server with what it takes over from `[global]`, if all is well.
fn resolve(server: ServerDraft, at: usize, draft: &Draft, problems: &mut Error) -> Option<Server> {
    let place_of = |key: &str| {
        draft
            .place(Here::Server(at), key)
            .unwrap_or(&server.place)
            .clone()
    };
    let Some(text) = &server.address else {
        let text = format!(
            "server '{}' has no address: write address = 192.0.2.10, say",
            server.name
        );
        problems.add(server.place, text);
        return None;
    };
    let address = Address::parse(text, if server.tls { TLS_PORT } else { PORT })?;
    check_tls(&server, &address, &place_of, problems);
    let weak = server.weak || (server.old && draft.shared_weak);
    let secret_place = server
        .secret_place
        .clone()
        .unwrap_or_else(|| server.place.clone());
    let secret = match (server.secret, server.secret_file) {
        (Some(_), Some(_)) => {
            problems.add(
                place_of("secret_file"),
                "secret and secret_file in one server: remove one of them",
            );
            return None;
        }
        (Some(secret), None) => {
            if secret.len() < MIN_SECRET && !weak {
                problems.add(secret_place, short_secret(secret.len()));
            }
            Some(SecretSource::Inline(secret))
        }
        (None, Some(path)) => Some(SecretSource::File(SecretFile {
            path,
            weak,
            place: place_of("secret_file"),
        })),
        (None, None) => None,
    };
    if secret.is_none() && !server.tls && !matches!(address, Address::Unix(_)) {
        let text = format!(
            "server '{}' has no secret: write secret_file = /etc/tacplus/NAME.secret, say",
            server.name
        );
        problems.add(server.place, text);
        return None;
    }
    let global = &draft.global;
    Some(Server {
        name: server.name,
        address,
        secret,
        roles: server.roles,
        single_connect: server.single_connect,
        timeout: server.timeout.unwrap_or(global.timeout),
        source: Source {
            v4: server.source.v4.or(global.source.v4),
            v6: server.source.v6.or(global.source.v6),
        },
        vrf: server.vrf.or_else(|| global.vrf.clone()),
        tls: server.tls.then_some(server.tls_keys),
    })
}

fn check_tls(
    server: &ServerDraft,
    address: &Address,
    place_of: &dyn Fn(&str) -> Place,
    problems: &mut Error,
) {
    let keys = &server.tls_keys;
    let given = [
        ("tls_ca", keys.ca.is_some()),
        ("tls_cert", keys.cert.is_some()),
        ("tls_key", keys.key.is_some()),
        ("tls_name", keys.name.is_some()),
        ("tls_crl", keys.crl.is_some()),
    ];
    if !server.tls {
        if let Some((key, _)) = given.iter().find(|(_, given)| *given) {
            problems.add(
                place_of(key),
                format!("'{key}' without TLS: write tls = yes, or remove it"),
            );
        }
        return;
    }
    // RFC 9887 section 4: obfuscation is not used with TLS.
    for (key, given) in [
        ("secret", server.secret.is_some()),
        ("secret_file", server.secret_file.is_some()),
    ] {
        if given {
            problems.add(
                place_of(key),
                format!("'{key}' with tls = yes: TLS replaces the secret, remove it"),
            );
        }
    }
    if matches!(address, Address::Unix(_)) {
        problems.add(
            place_of("tls"),
            "TLS on a Unix socket: remove tls, the kernel names the peer",
        );
    }
    if keys.cert.is_some() != keys.key.is_some() {
        let key = if keys.cert.is_some() {
            "tls_cert"
        } else {
            "tls_key"
        };
        problems.add(
            place_of(key),
            "tls_cert and tls_key are needed together: add the other one",
        );
    }
}

/// RFC 9887 section 5.1.1: whoever blocks the TLS servers must not bring logins
/// back to plain TCP.
fn check_mixed(servers: &[Server], places: &[Place], problems: &mut Error) {
    let tls = servers.iter().position(|server| server.tls.is_some());
    let plain = servers
        .iter()
        .position(|server| server.tls.is_none() && !matches!(server.address, Address::Unix(_)));
    let place = |at: Option<usize>| at.and_then(|at| places.get(at));
    if let (Some(tls), Some(plain)) = (place(tls), place(plain)) {
        let text = format!(
            "plain TCP next to the TLS server at {tls}: set tls = yes here too, or write allow_mixed = yes in [global]"
        );
        problems.add(plain.clone(), text);
    }
}

fn check_uid_range(draft: &Draft, whole: &Place, host: &dyn Fn() -> Facts, problems: &mut Error) {
    let given = draft.place(Here::Mapping, "uid_range");
    if draft.mapping.mode == Mode::Local && given.is_none() {
        return;
    }
    let place = given.unwrap_or(whole).clone();
    let (first, last) = (
        *draft.mapping.uid_range.start(),
        *draft.mapping.uid_range.end(),
    );
    let host = match host() {
        Ok(host) => host,
        Err(why) => {
            let text =
                format!("which uids are free cannot be told, {why}: make that file readable");
            return problems.add(place, text);
        }
    };
    for (from, to, whose) in host.taken() {
        if first <= to && from <= last {
            let text = format!(
                "uid_range {first}-{last} overlaps {from}-{to}, {whose}: write uid_range = FIRST-LAST of uids that \
                 nothing uses"
            );
            return problems.add(place, text);
        }
    }
}
