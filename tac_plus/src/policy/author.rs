//! The authorization algorithm of the original, argument by argument.
//!
//! Owns the decision about one REQUEST. Must never look at `authen_method`: the
//! client only claims it (RFC 8907 section 6.1).

use std::net::IpAddr;

use tacacs_common::packet::{Argument, ArgumentsBuf, AuthorRequest, AuthorStatus, Error};

use super::draft::{Permission, ServiceName};
use super::{Pair, Policy, Profile, Service};

/// The decision, ready for a REPLY.
#[derive(Debug, PartialEq, Eq)]
pub struct Decision {
    /// PASS_ADD, PASS_REPL, FAIL or ERROR.
    pub status: AuthorStatus,
    /// Added to the request's arguments, or in their place.
    pub args: ArgumentsBuf,
    /// Why not, for the user.
    pub server_msg: &'static str,
}

impl Decision {
    fn pass_add() -> Self {
        Self::of(AuthorStatus::PassAdd)
    }

    fn fail() -> Self {
        Self::of(AuthorStatus::Fail)
    }

    /// ERROR: the request makes no sense, so no decision is made about it.
    pub(super) fn error(server_msg: &'static str) -> Self {
        Self {
            server_msg,
            ..Self::of(AuthorStatus::Error)
        }
    }

    fn of(status: AuthorStatus) -> Self {
        Self {
            status,
            args: ArgumentsBuf::new(),
            server_msg: "",
        }
    }

    fn permitted_if(permitted: bool) -> Self {
        if permitted {
            Self::pass_add()
        } else {
            Self::fail()
        }
    }
}

/// Arguments that mean one thing: given twice, nobody can say which counts.
const SINGLE: [&[u8]; 7] = [
    b"service",
    b"protocol",
    b"cmd",
    b"priv-lvl",
    b"timeout",
    b"idletime",
    b"acl",
];

/// Decides a request from the client at `address`. The request's values have been checked.
pub(super) fn decide(policy: &Policy, address: IpAddr, request: &AuthorRequest<'_>) -> Decision {
    let Some(profile) = policy.profile(request.user) else {
        return Decision::fail();
    };
    if !profile.admits(profile.acl.as_deref(), address) {
        return Decision::fail();
    }
    if profile.before.is_some() || profile.after.is_some() {
        return Decision::error("callouts are not run yet");
    }
    let asked = match Asked::of(request) {
        Ok(asked) => asked,
        Err(decision) => return decision,
    };
    match asked {
        Asked::Exec => match profile.services.get(&ServiceName::Exec) {
            Some(service) => negotiate(service, request),
            None => {
                Decision::permitted_if(!profile.commands.is_empty() || profile.permits_by_default())
            }
        },
        Asked::Command(name) => command(profile, name, request),
        Asked::Service(name) => match profile.services.get(&name) {
            Some(service) => negotiate(service, request),
            None => Decision::permitted_if(
                profile.permits_by_default() || is_lcp_of_a_ppp_user(profile, &name),
            ),
        },
    }
}

impl Profile {
    /// Whether an access list, if there is one, lets this client through.
    pub(super) fn admits(&self, acl: Option<&super::Rules>, address: IpAddr) -> bool {
        acl.is_none_or(|acl| acl.permits(address.to_canonical().to_string().as_bytes()))
    }

    fn permits_by_default(&self) -> bool {
        self.default_service == Some(Permission::Permit)
    }
}

/// Link control comes before a network protocol is chosen, so any PPP service implies it.
fn is_lcp_of_a_ppp_user(profile: &Profile, name: &ServiceName) -> bool {
    matches!(name, ServiceName::Ppp(protocol) if protocol.as_ref() == b"lcp")
        && profile
            .services
            .keys()
            .any(|name| matches!(name, ServiceName::Ppp(_)))
}

/// What a request is about.
enum Asked<'a> {
    Exec,
    Command(&'a [u8]),
    Service(ServiceName),
}

impl<'a> Asked<'a> {
    fn of(request: &AuthorRequest<'a>) -> Result<Self, Decision> {
        let mut seen = [None; SINGLE.len()];
        for argument in request.args.parsed() {
            let argument = argument
                .map_err(|_: Error| Decision::error("argument without name or separator"))?;
            let single = SINGLE.iter().position(|name| *name == argument.name);
            if let Some(slot) = single.and_then(|at| seen.get_mut(at))
                && slot.replace(argument.value).is_some()
            {
                return Err(Decision {
                    server_msg: "argument given twice",
                    ..Decision::fail()
                });
            }
        }
        let [service, protocol, cmd, ..] = seen;
        match service {
            None => Err(Decision::error(
                "No identifiable service/protocol in authorization request",
            )),
            Some(b"shell") => match cmd {
                None => Err(Decision::error("service=shell without cmd")),
                Some(b"") => Ok(Self::Exec),
                Some(name) => Ok(Self::Command(name)),
            },
            Some(b"ppp") => match protocol {
                None => Err(Decision::error("service=ppp without protocol")),
                Some(protocol) => Ok(Self::Service(ServiceName::Ppp(protocol.into()))),
            },
            Some(b"slip") => Ok(Self::Service(ServiceName::Slip)),
            Some(b"arap") => Ok(Self::Service(ServiceName::Arap)),
            Some(other) => Ok(Self::Service(ServiceName::Named(other.into()))),
        }
    }
}

/// The first rule that matches the command's arguments decides; none denies, whatever the default.
fn command(profile: &Profile, name: &[u8], request: &AuthorRequest<'_>) -> Decision {
    let Some(rules) = profile.commands.get(name) else {
        return Decision::permitted_if(profile.permits_by_default());
    };
    let mut line: Vec<u8> = Vec::new();
    let mut first = true;
    for argument in request
        .args
        .parsed()
        .flatten()
        .filter(|argument| argument.name == b"cmd-arg")
    {
        if !first {
            line.push(b' ');
        }
        first = false;
        line.extend_from_slice(argument.value);
    }
    Decision::permitted_if(rules.permits(&line))
}

/// What becomes of one argument of the request.
enum Fate<'s> {
    Keep,
    Replace(&'s Pair),
    Delete,
    Refuse,
}

/// Compares what is asked for with what is configured.
fn negotiate(service: &Service, request: &AuthorRequest<'_>) -> Decision {
    let mut list: Vec<&[u8]> = Vec::with_capacity(request.args.len() + service.mandatory.len());
    let mut changed = false;
    for (raw, argument) in request.args.raw().zip(request.args.parsed().flatten()) {
        match fate(service, &argument) {
            Fate::Keep => list.push(raw),
            Fate::Replace(pair) => {
                changed = true;
                list.push(&pair.wire);
            }
            Fate::Delete => changed = true,
            Fate::Refuse => return Decision::fail(),
        }
    }
    let asked = list.len();
    for pair in &service.mandatory {
        let name_of = |wire| Argument::parse(wire).map(|argument| argument.name);
        if !list.iter().any(|wire| name_of(wire) == Some(pair.name())) {
            list.push(&pair.wire);
        }
    }
    let (status, sent) = if changed {
        (AuthorStatus::PassRepl, 0)
    } else {
        (AuthorStatus::PassAdd, asked)
    };
    let mut decision = Decision::of(status);
    for wire in list.iter().skip(sent) {
        if decision.args.push_raw(wire).is_err() {
            return Decision::error("the answer does not fit a packet");
        }
    }
    decision
}

fn fate<'s>(service: &'s Service, argument: &Argument<'_>) -> Fate<'s> {
    if matches!(argument.name, b"service" | b"protocol" | b"cmd") {
        return Fate::Keep;
    }
    let same_name = |pair: &&Pair| pair.name() == argument.name;
    let exact = |pair: &&Pair| pair.name() == argument.name && pair.value() == argument.value;
    let by_default = service.default_attribute == Permission::Permit;
    let (mandatory, optional) = (&service.mandatory, &service.optional);
    if argument.mandatory {
        let known = mandatory.iter().any(|pair| exact(&pair))
            || optional.iter().any(|pair| same_name(&pair));
        return if known || by_default {
            Fate::Keep
        } else {
            Fate::Refuse
        };
    }
    let found = (mandatory.iter().find(exact))
        .or_else(|| mandatory.iter().find(same_name))
        .or_else(|| optional.iter().find(exact))
        .or_else(|| optional.iter().find(same_name));
    match found {
        Some(pair) => Fate::Replace(pair),
        None if by_default => Fate::Keep,
        None => Fate::Delete,
    }
}

#[cfg(test)]
#[path = "author_tests.rs"]
mod tests;
