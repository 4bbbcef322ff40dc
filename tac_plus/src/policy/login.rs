//! Who somebody is: passwords, challenges and privilege requests.
//!
//! Owns the choice of the credential and its comparison. An unknown user and a
//! wrong password take the same way: a comparison always happens, in a time that
//! depends on what the client sent only.

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;

use tacacs_common::chap::{chap_response, mschap_response, mschapv2_response};
use tacacs_common::packet::{AuthenStart, AuthenType, Challenge};

use super::draft::Credential;
use super::{Client, Policy, Profile};

/// Compared with when there is nothing to compare with.
const NOBODYS: &[u8] = b"\0nobody's password\0";

/// What a user wants to be let in for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Login,
    /// A privilege level.
    Enable(u8),
}

/// Why somebody is not let in: for the server's log, never for the client.
pub(super) type Refusal = &'static str;

const UNKNOWN_USER: Refusal = "unknown user";
const WRONG_PASSWORD: Refusal = "wrong password";
const NO_PASSWORD_SET: Refusal = "no password configured for this kind of login";
const ACCESS_LIST: Refusal = "access list";

/// The credential of a dialogue; `None` asks for a password all the same.
pub(super) fn credential(
    policy: &Policy,
    client: &Client,
    user: &[u8],
    purpose: Purpose,
) -> Option<Arc<Credential>> {
    let profile = policy.profile(user);
    match purpose {
        Purpose::Login if user == b"DEFAULT" => None,
        Purpose::Login => profile
            .and_then(|profile| own_or_global(profile, &profile.login))
            .or(policy.default_credential.as_ref())
            .cloned(),
        Purpose::Enable(level) => (profile.and_then(|profile| profile.enable.as_ref()))
            .or(client.enable.as_ref())
            .or_else(|| level_password(policy, level))
            .cloned(),
    }
}

/// The login password of the pseudo-user of a level.
fn level_password(policy: &Policy, level: u8) -> Option<&Arc<Credential>> {
    let of = |name: &[u8]| {
        policy
            .exact_profile(name)
            .and_then(|profile| profile.login.as_ref())
    };
    let numbered = format!("$enab{level}$");
    match level {
        15 => of(b"$enable$").or_else(|| of(numbered.as_bytes())),
        _ => of(numbered.as_bytes()),
    }
}

fn own_or_global<'p>(
    profile: &'p Profile,
    own: &'p Option<Arc<Credential>>,
) -> Option<&'p Arc<Credential>> {
    own.as_ref().or(profile.global.as_ref())
}

/// Compares a typed password, then asks the access list.
pub(super) fn check_password(
    policy: &Policy,
    client: &Client,
    address: IpAddr,
    user: &[u8],
    purpose: Purpose,
    password: &[u8],
) -> Result<(), Refusal> {
    let credential = credential(policy, client, user, purpose);
    let correct = match credential.as_deref() {
        Some(Credential::Clear(expected)) => same(password, expected.expose()),
        Some(Credential::NoPassword) => true,
        // Not verified yet.
        Some(Credential::Hash(_) | Credential::File(_) | Credential::Pam) => {
            same(password, NOBODYS) && black_box(false)
        }
        None => same(password, NOBODYS) && black_box(false),
    };
    let explained = explain(policy, user, credential.is_some());
    finish(policy, address, user, purpose, correct, explained)
}

/// PAP, CHAP, MS-CHAP: everything is in the START.
pub(super) fn check_start(
    policy: &Policy,
    address: IpAddr,
    start: &AuthenStart<'_>,
) -> Result<(), Refusal> {
    let own = |profile: &Profile| {
        let own = match start.authen_type {
            AuthenType::Pap => &profile.pap,
            AuthenType::Chap => &profile.chap,
            _ => &profile.mschap,
        };
        own_or_global(profile, own).cloned()
    };
    let profile = policy
        .profile(start.user)
        .filter(|_| start.user != b"DEFAULT");
    let credential = profile.and_then(own);
    let expected = match credential.as_deref() {
        Some(Credential::Clear(expected)) => expected.expose(),
        _ => NOBODYS,
    };
    let proved = match start.challenge() {
        Ok(Some(challenge)) => answers(start, &challenge, expected),
        Ok(None) => same(start.data, expected),
        Err(_) => false,
    };
    let explained = explain(policy, start.user, credential.is_some());
    finish(
        policy,
        address,
        start.user,
        Purpose::Login,
        proved && matches!(credential.as_deref(), Some(Credential::Clear(_))),
        explained,
    )
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

fn explain(policy: &Policy, user: &[u8], has_credential: bool) -> Refusal {
    match (policy.profile(user), has_credential) {
        (_, true) => WRONG_PASSWORD,
        (None, false) => UNKNOWN_USER,
        (Some(_), false) => NO_PASSWORD_SET,
    }
}

/// The access list is asked last, so that it tells nobody that a user exists.
fn finish(
    policy: &Policy,
    address: IpAddr,
    user: &[u8],
    purpose: Purpose,
    correct: bool,
    refusal: Refusal,
) -> Result<(), Refusal> {
    let admitted = policy.profile(user).is_none_or(|profile| {
        let acl = if purpose == Purpose::Login {
            &profile.acl
        } else {
            &profile.enable_acl
        };
        profile.admits(acl.as_deref(), address)
    });
    match (correct, admitted) {
        (false, _) => Err(refusal),
        (true, false) => Err(ACCESS_LIST),
        (true, true)
            if policy
                .profile(user)
                .is_some_and(|profile| profile.expires.is_some()) =>
        {
            Err("days of expiry are not looked at yet")
        }
        (true, true) => Ok(()),
    }
}

/// Equality in a time that depends on the length of `given` only.
fn same(given: &[u8], expected: &[u8]) -> bool {
    let mut difference = u8::from(given.len() != expected.len());
    for (byte, other) in given
        .iter()
        .zip(expected.iter().chain(std::iter::repeat(&0)))
    {
        difference |= byte ^ other;
    }
    black_box(difference) == 0
}
