//! The authorization algorithm of the original, argument by argument.
//!
//! Owns the decision about one REQUEST. Must never look at `authen_method`: the
//! client only claims it (RFC 8907 section 6.1).

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use tacacs_common::packet::{Argument, Arguments, ArgumentsBuf, AuthorRequest, AuthorStatus};

use super::callout::{Callout, Outcome};
use super::draft::{Permission, ServiceName};
use super::rules::{Rules, Ruling, Search};
use super::{Pair, Policy, Profile, Service};
use crate::escape::{Quoted, Word};

const NO_SHELL: &str = "nothing permits a shell";
/// As many characters of a program's standard error are shown to the user.
const MESSAGE: usize = 1024;

/// The decision, ready for a REPLY.
#[derive(Debug, PartialEq, Eq)]
pub struct Decision {
    /// PASS_ADD, PASS_REPL, FAIL or ERROR.
    pub status: AuthorStatus,
    /// Added to the request's arguments, or in their place.
    pub args: ArgumentsBuf,
    /// Why not, for the user.
    pub server_msg: Cow<'static, str>,
    /// Why not, for the client's log.
    pub data: &'static str,
    /// Why not, or who overruled the configuration, for the server's.
    pub reason: Option<String>,
}

impl Decision {
    fn pass_add() -> Self {
        Self::of(AuthorStatus::PassAdd)
    }

    fn fail(reason: impl Into<String>) -> Self {
        Self {
            reason: Some(reason.into()),
            ..Self::of(AuthorStatus::Fail)
        }
    }

    /// ERROR: the request makes no sense, so no decision is made about it.
    pub(super) fn error(data: &'static str) -> Self {
        Self {
            data,
            ..Self::of(AuthorStatus::Error)
        }
    }

    fn of(status: AuthorStatus) -> Self {
        Self {
            status,
            args: ArgumentsBuf::new(),
            server_msg: Cow::Borrowed(""),
            data: "",
            reason: None,
        }
    }

    fn permitted_if(permitted: bool, or: impl FnOnce() -> String) -> Self {
        if permitted {
            Self::pass_add()
        } else {
            Self::fail(or())
        }
    }

    /// What the rules of a command say.
    fn ruled(command: &[u8], ruling: Ruling) -> Self {
        Self::permitted_if(ruling.permitted, || match ruling.line {
            Some(line) => format!("cmd {}, rule of line {line}", Word(command)),
            None => format!("cmd {}, no rule matches", Word(command)),
        })
    }

    fn saying(mut self, outcome: &Outcome) -> Self {
        self.server_msg = Cow::Owned(message(&outcome.stderr));
        self
    }

    /// With what a program wrote as its arguments, one a line.
    fn with_lines(mut self, outcome: &Outcome) -> Self {
        for line in outcome.stdout.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.is_empty() && self.args.push_raw(line).is_err() {
                return Self::error("a program's answer is no list of arguments");
            }
        }
        self
    }
}

/// What a request comes to.
pub(super) enum Verdict {
    /// This.
    Decided(Decision),
    /// What this program says.
    Ask(Errand),
    /// What [`reconsider`] makes of what this comes to.
    Search(Search),
}

/// A program that has a say in a decision.
pub struct Errand {
    /// Its command line.
    pub callout: Arc<Callout>,
    /// Its standard input: arguments, one a line.
    pub stdin: Vec<u8>,
    /// What `$status` stands for.
    pub status: &'static str,
    /// What its end means.
    pub(super) then: Then,
}

/// What the end of a program means.
pub(super) struct Then {
    /// Whether a command is asked about: nothing can be put in its place.
    is_command: bool,
    /// The configuration's decision; none was made if the program comes before it.
    proposed: Option<Decision>,
}

impl Then {
    /// The decision, and for the log why an exit code led to none. Of an end without one
    /// whoever ran the program has told.
    pub(super) fn judge(self, outcome: &Outcome) -> (Decision, Option<String>) {
        let (is_command, is_after) = (self.is_command, self.proposed.is_some());
        let decision = self.conclude(outcome);
        let why = match outcome.code {
            Some(code) if decision.status == AuthorStatus::Error => Some(match code {
                2 if is_command => {
                    "ended with 2, which is no answer about a command (0 permits, 1 denies)"
                        .to_owned()
                }
                2 if is_complaint(outcome) => {
                    "ended with 2, but wrote no arguments, only to standard error".to_owned()
                }
                3 if is_after => "ended with 3, which is no answer of 'after authorization' (0 \
                                  leaves the decision, 1 denies)"
                    .to_owned(),
                2 | 3 => format!("ended with {code}, but what it wrote is no list of arguments"),
                _ => format!("ended with {code}, which is no answer"),
            }),
            _ => None,
        };
        (decision, why)
    }

    /// The decision. Exit codes are those of the manual page.
    fn conclude(self, outcome: &Outcome) -> Decision {
        match (outcome.code, self.proposed) {
            (Some(0), Some(proposed)) => proposed,
            (Some(0), None) => Decision::pass_add(),
            (Some(1), _) => Decision::fail(said("denies", outcome)).saying(outcome),
            (Some(2), proposed) if !self.is_command && !is_complaint(outcome) => {
                let reason = match proposed.map(|proposed| proposed.status) {
                    None => None,
                    Some(AuthorStatus::Fail) => Some("the program after it permits".to_owned()),
                    Some(_) => Some("the program after it has other arguments".to_owned()),
                };
                Decision {
                    reason,
                    ..Decision::of(AuthorStatus::PassRepl).with_lines(outcome)
                }
            }
            (Some(3), None) => Decision::fail(said("denies", outcome))
                .saying(outcome)
                .with_lines(outcome),
            (_, None) => Decision::error("Illegal return status from pre-authorization command")
                .saying(outcome),
            (_, Some(_)) => {
                Decision::error("Illegal return status from post-authorization command")
                    .saying(outcome)
            }
        }
    }
}

/// Whether a program has nothing to say but to standard error. An interpreter that does
/// not find its script ends with 2, which permits.
fn is_complaint(outcome: &Outcome) -> bool {
    outcome.stdout.trim_ascii().is_empty() && !outcome.stderr.trim_ascii().is_empty()
}

/// What a program did, and its first word about it, for the log.
fn said(what: &str, outcome: &Outcome) -> String {
    let words = outcome.stderr.trim_ascii();
    let words = words.get(..MESSAGE).unwrap_or(words);
    match words {
        [] => format!("the program {what}"),
        words => format!("the program {what}: {}", Quoted(words)),
    }
}

/// What a program wrote for the user, fit for a REPLY (RFC 8907 section 3.7).
fn message(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let harmless = |c: char| if c.is_control() && c != '\n' { ' ' } else { c };
    text.trim().chars().take(MESSAGE).map(harmless).collect()
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

/// Decides a request from the client at `address`, or says which program does. The
/// request's values have been checked.
pub(super) fn decide(policy: &Policy, address: IpAddr, request: &AuthorRequest<'_>) -> Verdict {
    // What makes no sense is answered alike whoever asks: it must not tell who is known.
    let asked = match once(request.args) {
        Ok(seen) => Asked::of(seen),
        Err(decision) => return Verdict::Decided(decision),
    };
    let Some(profile) = policy.profile(request.user) else {
        let unknown = || Decision::fail("unknown user");
        return Verdict::Decided(asked.err().unwrap_or_else(unknown));
    };
    if let Some(why) = refused_by(profile.acl.as_deref(), address) {
        return Verdict::Decided(Decision::fail(why));
    }
    let is_command = matches!(asked, Ok(Asked::Command(_)));
    if let Some(callout) = &profile.before {
        return Verdict::Ask(Errand {
            callout: Arc::clone(callout),
            stdin: lines(request.args.raw()),
            // What it is as long as nobody permits.
            status: "fail",
            then: Then {
                is_command,
                proposed: None,
            },
        });
    }
    let asked = match asked {
        Ok(asked) => asked,
        Err(decision) => return Verdict::Decided(decision),
    };
    if matches!(asked, Asked::Exec) && !profile.has_shell() {
        return Verdict::Decided(Decision::fail(NO_SHELL));
    }
    match propose(profile, asked, request) {
        Ok(proposed) => review(profile, proposed, is_command, request),
        Err(search) => Verdict::Search(search),
    }
}

/// The verdict about a command once it is known what its rules say.
pub(super) fn reconsider(policy: &Policy, ruling: Ruling, request: &AuthorRequest<'_>) -> Verdict {
    let named = |argument: &Argument<'_>| argument.name == b"cmd";
    let command = request.args.parsed().flatten().find(named);
    let command = command.map_or(&b""[..], |command| command.value);
    let proposed = Decision::ruled(command, ruling);
    match policy.profile(request.user) {
        Some(profile) => review(profile, proposed, true, request),
        None => Verdict::Decided(Decision::fail("unknown user")),
    }
}

/// The program that comes after the configuration, if there is one. Of a request that is
/// denied it hears nothing, as in the original: programs that say "permitted" to what they
/// read cannot permit it by that.
fn review(
    profile: &Profile,
    proposed: Decision,
    is_command: bool,
    request: &AuthorRequest<'_>,
) -> Verdict {
    match &profile.after {
        Some(callout) if proposed.status != AuthorStatus::Error => Verdict::Ask(Errand {
            callout: Arc::clone(callout),
            stdin: match proposed.status {
                AuthorStatus::Fail => Vec::new(),
                _ => proposal(request.args, &proposed),
            },
            status: match proposed.status {
                AuthorStatus::Fail => "fail",
                _ => "pass",
            },
            then: Then {
                is_command,
                proposed: Some(proposed),
            },
        }),
        _ => Verdict::Decided(proposed),
    }
}

/// What the configuration alone says.
fn propose(
    profile: &Profile,
    asked: Asked<'_>,
    request: &AuthorRequest<'_>,
) -> Result<Decision, Search> {
    Ok(match asked {
        Asked::Exec => match profile.services.get(&ServiceName::Exec) {
            Some(service) => negotiate(service, request),
            None => Decision::permitted_if(profile.has_shell(), || NO_SHELL.to_owned()),
        },
        Asked::Command(name) => command(profile, name, request)?,
        Asked::Service(name) => match profile.services.get(&name) {
            Some(service) => negotiate(service, request),
            None => Decision::permitted_if(
                profile.permits_by_default() || is_lcp_of_a_ppp_user(profile, &name),
                || format!("no service {}", shown(&name)),
            ),
        },
    })
}

/// What the client would act on: what it asked with, and what is added or put in its place.
fn proposal(asked: Arguments<'_>, proposed: &Decision) -> Vec<u8> {
    let asked = asked
        .raw()
        .filter(|_| proposed.status != AuthorStatus::PassRepl);
    lines(asked.chain(proposed.args.as_arguments().raw()))
}

/// One a line. A checked argument holds no line break.
fn lines<'a>(arguments: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut lines = Vec::new();
    for argument in arguments.filter(|argument| !argument.is_empty()) {
        lines.extend_from_slice(argument);
        lines.push(b'\n');
    }
    lines
}

/// Why an access list, if there is one, does not let this client through.
pub(super) fn refused_by(acl: Option<&Rules>, address: IpAddr) -> Option<String> {
    let acl = acl?;
    let ruling = acl.judge(address.to_canonical().to_string().as_bytes());
    let name = Word(acl.name());
    match ruling {
        Ruling {
            permitted: true, ..
        } => None,
        Ruling {
            line: Some(line), ..
        } => Some(format!("acl {name}, rule of line {line}")),
        Ruling { line: None, .. } => Some(format!("acl {name}, no rule matches")),
    }
}

fn shown(name: &ServiceName) -> String {
    match name {
        ServiceName::Exec => "exec".to_owned(),
        ServiceName::Slip => "slip".to_owned(),
        ServiceName::Arap => "arap".to_owned(),
        ServiceName::Ppp(protocol) => format!("ppp, protocol {}", Word(protocol)),
        ServiceName::Named(name) => Word(name).to_string(),
    }
}

impl Profile {
    fn permits_by_default(&self) -> bool {
        self.default_service == Some(Permission::Permit)
    }

    /// Whether there is anything by which a shell could start.
    fn has_shell(&self) -> bool {
        self.services.contains_key(&ServiceName::Exec)
            || !self.commands.is_empty()
            || self.permits_by_default()
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

/// The values of [`SINGLE`], none of which may be given twice. Arguments of no bytes
/// are passed over: whoever must not send them was refused before.
fn once(args: Arguments<'_>) -> Result<[Option<Argument<'_>>; SINGLE.len()], Decision> {
    let mut seen = [None; SINGLE.len()];
    for raw in args.raw().filter(|raw| !raw.is_empty()) {
        let Some(argument) = Argument::parse(raw) else {
            return Err(Decision::error("argument without name or separator"));
        };
        let single = SINGLE.iter().position(|name| *name == argument.name);
        if let Some(slot) = single.and_then(|at| seen.get_mut(at))
            && slot.replace(argument).is_some()
        {
            return Err(Decision {
                server_msg: Cow::Borrowed("argument given twice"),
                ..Decision::fail(format!("argument {} is given twice", Word(argument.name)))
            });
        }
    }
    Ok(seen)
}

impl<'a> Asked<'a> {
    fn of(seen: [Option<Argument<'a>>; SINGLE.len()]) -> Result<Self, Decision> {
        let [service, protocol, cmd, ..] = seen;
        // A service that the client could do without is none, as in the original.
        let service = service.filter(|service| service.mandatory);
        let [service, protocol, cmd] =
            [service, protocol, cmd].map(|argument| argument.map(|argument| argument.value));
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
fn command(
    profile: &Profile,
    name: &[u8],
    request: &AuthorRequest<'_>,
) -> Result<Decision, Search> {
    let Some(rules) = profile.commands.get(name) else {
        return Ok(Decision::permitted_if(profile.permits_by_default(), || {
            format!("no cmd {}", Word(name))
        }));
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
    Search::begin(rules, line).map(|ruling| Decision::ruled(name, ruling))
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
    for raw in request.args.raw() {
        let Some(argument) = Argument::parse(raw) else {
            continue;
        };
        match fate(service, &argument) {
            Fate::Keep => list.push(raw),
            Fate::Replace(pair) => {
                changed = true;
                list.push(&pair.wire);
            }
            Fate::Delete => changed = true,
            Fate::Refuse => return Decision::fail(format!("argument {}", Word(raw))),
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
