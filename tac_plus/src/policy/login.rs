//! Who somebody is: passwords, challenges and privilege requests.
//!
//! Owns the choice of the credential, its comparison and what a right password is
//! still not enough for. An unknown user and a wrong password take the same way: a
//! comparison always happens, and if passwords here are hashes, a hash is verified
//! before anybody is refused.

use std::collections::HashMap;
use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;

use tacacs_common::chap::{chap_response, mschap_response, mschapv2_response};
use tacacs_common::packet::{AuthenStart, AuthenType, Challenge};
use tacacs_common::secret::Secret;

use super::author::refused_by;
use super::draft::Credential;
use super::session::{Effect, PamRequest, VerifyRequest};
use super::values::Date;
use super::{Client, LevelUser, Policy, Profile};

/// Compared with when there is nothing to compare with.
const NOBODYS: &[u8] = b"\0nobody's password\0";
/// From so many days before the last one on, users are warned.
const WARNING: i64 = 14;

/// Who wants to be let in, and for what.
pub(super) struct Login {
    pub(super) user: Vec<u8>,
    pub(super) port: Vec<u8>,
    pub(super) rem_addr: Vec<u8>,
    pub(super) purpose: Purpose,
    /// So many of a level's passwords it was not.
    pub(super) tried: usize,
}

/// What a user wants to be let in for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A dialogue.
    Login,
    /// A password in the first packet.
    Pap,
    /// A privilege level.
    Enable(u8),
    /// Another password.
    Change,
}

/// Why somebody is not let in: for the server's log, never for the client.
pub(super) type Refusal = &'static str;

const UNKNOWN_USER: Refusal = "unknown user";
const WRONG_PASSWORD: Refusal = "wrong password";
const PAM_NOT_FOR_LEVELS: Refusal = "PAM knows no password of a level";
const NOBODYS_NAME: Refusal = "nobody logs in under this name";
const ACCESS_LIST: Refusal = "access list";
const EXPIRED: Refusal = "password has expired";
const NO_DAY: Refusal = "its day of expiry cannot be read";
const NO_HASH: Refusal = "its hash is none that crypt(3) makes";
const NO_PASSWORD: Refusal = "its password is empty or an asterisk, which lets nobody in";

/// What a right password proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// The user; how long is the configuration's business.
    User,
    /// The user, until the day that a password file names.
    Until(Option<Date>),
}

/// What is known about a password so far.
pub(super) enum Claim {
    /// All of it.
    Settled(Result<Proof, Refusal>),
    /// What this finds out.
    Open(Effect),
}

/// The credential of a dialogue; `None` asks for a password all the same.
pub(super) fn credential(
    policy: &Policy,
    client: &Client,
    login: &Login,
) -> Option<Arc<Credential>> {
    let user = login.user.as_slice();
    let profile = policy.profile(user);
    match login.purpose {
        Purpose::Enable(_) => enable_password(policy, client, user)
            .cloned()
            .or_else(|| Some(level(policy, client, login)?.credential)),
        _ if is_nobody(user) => None,
        Purpose::Pap => own(policy, profile, |profile| &profile.pap),
        Purpose::Login | Purpose::Change => own(policy, profile, |profile| &profile.login),
    }
}

/// Whether this is a name in the configuration of nobody who could log in: many know
/// the password of a level, and there may be none.
fn is_nobody(user: &[u8]) -> bool {
    user == b"DEFAULT" || is_level(user)
}

/// Whether this stands for a level, not for a user.
pub(super) fn is_level(user: &[u8]) -> bool {
    let rest = user.strip_prefix(b"$enab");
    let level = rest.and_then(|rest| rest.strip_suffix(b"$"));
    level.is_some_and(|level| level == b"le" || level.iter().all(u8::is_ascii_digit))
}

/// The password for raising privileges that the user has, else the client.
fn enable_password<'p>(
    policy: &'p Policy,
    client: &'p Client,
    user: &[u8],
) -> Option<&'p Arc<Credential>> {
    let own = policy
        .profile(user)
        .and_then(|profile| profile.enable.as_ref());
    own.or(client.enable.as_ref())
}

/// A pseudo-user whose password is a level's.
struct Level<'p> {
    name: Vec<u8>,
    credential: Arc<Credential>,
    own: Option<&'p LevelUser>,
}

/// Where there is neither, the pseudo-user of the level whose turn it is. Level 15 has
/// two, and either's password will do.
fn level<'p>(policy: &'p Policy, client: &Client, login: &Login) -> Option<Level<'p>> {
    let Purpose::Enable(level) = login.purpose else {
        return None;
    };
    if enable_password(policy, client, &login.user).is_some() {
        return None;
    }
    let second = format!("$enab{level}$").into_bytes();
    let first = (level == 15).then(|| b"$enable$".to_vec());
    let known = first.into_iter().chain([second]).filter_map(|name| {
        let own = policy.levels.get(name.as_slice());
        let credential = own
            .and_then(|own| own.credential.as_ref())
            .or(policy.default_credential.as_ref())?;
        Some(Level {
            credential: Arc::clone(credential),
            name,
            own,
        })
    });
    known.into_iter().nth(login.tried)
}

/// Goes on to the level's next password, if it has one.
pub(super) fn try_another(policy: &Policy, client: &Client, login: &mut Login) -> bool {
    let before = login.tried;
    if level(policy, client, login).is_some() {
        login.tried += 1;
        if level(policy, client, login).is_some() {
            return true;
        }
    }
    login.tried = before;
    false
}

/// The credential of one kind, else the one for all, else everybody's.
fn own(
    policy: &Policy,
    profile: Option<&Profile>,
    kind: fn(&Profile) -> &Option<Arc<Credential>>,
) -> Option<Arc<Credential>> {
    profile
        .and_then(|profile| own_or_global(profile, kind(profile)))
        .or(policy.default_credential.as_ref())
        .cloned()
}

fn own_or_global<'p>(
    profile: &'p Profile,
    own: &'p Option<Arc<Credential>>,
) -> Option<&'p Arc<Credential>> {
    own.as_ref().or(profile.global.as_ref())
}

/// Looks at a typed password. `may_ask`: the user can be asked more.
pub(super) fn check_password(
    policy: &Policy,
    client: &Client,
    login: &Login,
    password: &[u8],
    may_ask: bool,
) -> Claim {
    let Some(credential) = credential(policy, client, login) else {
        same(password, NOBODYS);
        return refuse(unprovable(policy, &login.user, missing(login)));
    };
    let level = level(policy, client, login);
    match credential.as_ref() {
        Credential::NoPassword if login.purpose == Purpose::Pap => refuse(missing(login)),
        // PAM knows users, and would take this one's own password for the level's.
        Credential::Pam if level.is_some() => refuse(PAM_NOT_FOR_LEVELS),
        Credential::NoPassword => Claim::Settled(Ok(Proof::User)),
        Credential::Clear(expected) if same(password, expected.expose()) => {
            Claim::Settled(Ok(Proof::User))
        }
        Credential::Clear(_) => refuse(WRONG_PASSWORD),
        Credential::Hash(_) | Credential::File(_) => {
            let user = level.map_or_else(|| login.user.clone(), |level| level.name);
            Claim::Open(verify(&credential, user, password))
        }
        Credential::Pam => Claim::Open(Effect::Pam(PamRequest {
            service: policy.settings.pam_service.clone(),
            user: login.user.clone(),
            port: login.port.clone(),
            rem_addr: login.rem_addr.clone(),
            password: Secret::from_slice(password),
            may_ask,
        })),
    }
}

/// Why nothing this user says is proof: there is no such user, or `missing`.
fn unprovable(policy: &Policy, user: &[u8], missing: Refusal) -> Refusal {
    match policy.profile(user) {
        Some(_) => missing,
        None => UNKNOWN_USER,
    }
}

/// What the configuration does not have, by the words it would say it with.
fn missing(login: &Login) -> Refusal {
    match login.purpose {
        Purpose::Enable(_) => "no enable password configured for the user, client or level",
        _ if is_nobody(&login.user) => NOBODYS_NAME,
        Purpose::Login | Purpose::Change => "no login or global password configured",
        Purpose::Pap => "no pap or global password configured",
    }
}

/// Why a password was not the one of a hash or a file.
pub(super) fn wrong(policy: &Policy, client: &Client, login: &Login) -> Refusal {
    match credential(policy, client, login).as_deref() {
        Some(Credential::Hash(hash)) if hash.expose() == b"*" => NO_PASSWORD,
        Some(Credential::Hash(hash)) if !(is_des(hash) || hash.expose().starts_with(b"$")) => {
            NO_HASH
        }
        _ => WRONG_PASSWORD,
    }
}

/// Whether this is a hash of the oldest kind.
pub(crate) fn is_des(hash: &Secret) -> bool {
    let is_of_it = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/');
    hash.len() == 13 && hash.expose().iter().all(is_of_it)
}

/// What a file that has no such line means.
pub(super) fn not_in_file(login: &Login) -> Refusal {
    match login.purpose {
        Purpose::Enable(_) => missing(login),
        _ => UNKNOWN_USER,
    }
}

/// As [`missing`]: a challenge cannot be checked with a hash.
fn missing_for_challenge(start: &AuthenStart<'_>) -> Refusal {
    match start.authen_type {
        _ if is_nobody(start.user) => NOBODYS_NAME,
        AuthenType::Chap => "no cleartext chap or global password configured",
        _ => "no cleartext ms-chap or global password configured",
    }
}

fn refuse(why: Refusal) -> Claim {
    Claim::Settled(Err(why))
}

/// What takes as long as looking at the usual kind of password, for who is refused
/// without that. What it finds out means nothing.
pub(super) fn imitation(policy: &Policy, login: &Login, password: &Secret) -> Option<Effect> {
    let decoy = policy.decoy.as_ref()?;
    Some(verify(decoy, login.user.clone(), password.expose()))
}

fn verify(credential: &Arc<Credential>, user: Vec<u8>, password: &[u8]) -> Effect {
    Effect::Verify(VerifyRequest {
        credential: Arc::clone(credential),
        user,
        password: Secret::from_slice(password),
    })
}

/// The credential that most users have, of those that take time: what is verified
/// for users without one.
pub(super) fn decoy<'p>(
    profiles: impl Iterator<Item = &'p Profile>,
    default: Option<&Arc<Credential>>,
) -> Option<Arc<Credential>> {
    let mut kinds: HashMap<&[u8], (usize, &Arc<Credential>)> = HashMap::new();
    let of_profiles = profiles
        .flat_map(|profile| {
            [
                &profile.login,
                &profile.pap,
                &profile.global,
                &profile.enable,
            ]
        })
        .flatten();
    for credential in of_profiles.chain(default) {
        let kind = match credential.as_ref() {
            Credential::Hash(hash) => method(hash.expose()),
            Credential::File(_) => b"file",
            _ => continue,
        };
        kinds.entry(kind).or_insert((0, credential)).0 += 1;
    }
    let most = kinds
        .into_iter()
        .max_by_key(|(kind, (count, _))| (*count, *kind));
    most.map(|(_, (_, credential))| Arc::clone(credential))
}

/// `$6$` of `$6$salt$hash`; nothing of one that has no such beginning.
fn method(hash: &[u8]) -> &[u8] {
    let end = hash.iter().skip(1).position(|byte| *byte == b'$');
    match (hash.first(), end) {
        (Some(b'$'), Some(end)) => hash.get(..end + 2).unwrap_or_default(),
        _ => b"",
    }
}

/// CHAP, MS-CHAP: everything is in the START.
pub(super) fn check_challenge(policy: &Policy, start: &AuthenStart<'_>) -> Result<Proof, Refusal> {
    let profile = policy
        .profile(start.user)
        .filter(|_| !is_nobody(start.user));
    let credential = profile.and_then(|profile| {
        let own = match start.authen_type {
            AuthenType::Chap => &profile.chap,
            _ => &profile.mschap,
        };
        own_or_global(profile, own)
    });
    let expected = match credential.map(Arc::as_ref) {
        Some(Credential::Clear(expected)) => Some(expected.expose()),
        _ => None,
    };
    let proved = match start.challenge() {
        Ok(Some(challenge)) => answers(start, &challenge, expected.unwrap_or(NOBODYS)),
        _ => false,
    };
    match (proved, expected) {
        (true, Some(_)) => Ok(Proof::User),
        (false, Some(_)) => Err(WRONG_PASSWORD),
        (_, None) => {
            let missing = missing_for_challenge(start);
            Err(unprovable(policy, start.user, missing))
        }
    }
}

/// Whether a challenge was answered by somebody who knows `expected`.
fn answers(start: &AuthenStart<'_>, challenge: &Challenge<'_>, expected: &[u8]) -> bool {
    let response = challenge.response;
    match start.authen_type {
        AuthenType::Chap => same(
            response,
            &chap_response(challenge.id, expected, challenge.challenge),
        ),
        // Only the NT part counts (bytes 24 to 47): the LAN Manager one is broken.
        AuthenType::MsChap => challenge
            .challenge
            .first_chunk::<8>()
            .and_then(|challenge| mschap_response(expected, challenge))
            .is_some_and(|right| same_nt_part(response, &right)),
        AuthenType::MsChapV2 => challenge
            .challenge
            .first_chunk::<16>()
            .zip(response.first_chunk::<16>())
            .and_then(|(challenge, peer)| mschapv2_response(start.user, expected, challenge, peer))
            .is_some_and(|right| same_nt_part(response, &right)),
        _ => false,
    }
}

fn same_nt_part(given: &[u8], right: &[u8]) -> bool {
    match (given.get(24..48), right.get(24..48)) {
        (Some(given), Some(right)) => same(given, right),
        _ => false,
    }
}

/// What a user who proved to be one is told, or why it is not enough. Asked last, so
/// that it tells nobody that a user exists.
pub(super) fn admit(
    policy: &Policy,
    client: &Client,
    address: IpAddr,
    today: Date,
    login: &Login,
    proof: Proof,
) -> Result<Vec<u8>, (Refusal, &'static [u8])> {
    let profile = policy.profile(&login.user);
    // A level's password may be good for some devices, and for some time, only.
    let level = level(policy, client, login).and_then(|level| level.own);
    let acls = match login.purpose {
        Purpose::Enable(_) => [
            profile.and_then(|profile| profile.enable_acl.as_deref()),
            level.and_then(|level| level.enable_acl.as_deref()),
        ],
        _ => [profile.and_then(|profile| profile.acl.as_deref()), None],
    };
    if !acls
        .into_iter()
        .all(|acl| refused_by(acl, address).is_none())
    {
        return Err((ACCESS_LIST, b""));
    }
    let expires = match proof {
        Proof::User => {
            let own = profile.and_then(|profile| profile.expires);
            let levels = level.and_then(|level| level.expires);
            own.into_iter().chain(levels).min()
        }
        Proof::Until(day) => day,
    };
    let left = expires.map(|day| day.days().saturating_sub(today.days()));
    if left.is_some_and(|left| left <= 0) {
        let why = match expires {
            Some(Date::NEVER) => NO_DAY,
            _ => EXPIRED,
        };
        return Err((why, b"Password has expired"));
    }
    let message = profile
        .and_then(|profile| profile.message.as_deref())
        .filter(|_| matches!(login.purpose, Purpose::Login | Purpose::Pap))
        .unwrap_or_default();
    let mut told = message.to_vec();
    if left.is_some_and(|left| left <= WARNING) {
        if !told.is_empty() {
            told.push(b'\n');
        }
        told.extend_from_slice(b"Password will expire soon");
    }
    Ok(told)
}

/// Equality in a time that depends on the length of `given` only.
pub(super) fn same(given: &[u8], expected: &[u8]) -> bool {
    let mut difference = u8::from(given.len() != expected.len());
    for (byte, other) in given
        .iter()
        .zip(expected.iter().chain(std::iter::repeat(&0)))
    {
        difference |= byte ^ other;
    }
    black_box(difference) == 0
}
