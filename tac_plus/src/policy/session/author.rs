//! Authorizations: one request, one decision, and a program that may have a say in it.
//!
//! Owns what a program is told about the request, and the log line.

use tacacs_common::packet::{
    Argument, ArgumentsBuf, AuthorRequest, AuthorStatus, Body, Error, Version,
};

use super::{Done, Effect, Policy, Program, Reply, Session, State, Step, Tag};
use crate::escape::{Quoted, Word};
use crate::policy::author::{self, Decision, Errand, Then, Verdict};
use crate::policy::callout::{Callout, Outcome, UNKNOWN, VARIABLES, Variable};
use crate::policy::draft::Lenient;

/// For the client's log.
const TOO_LONG: &str = "the rules of this command take too long";
/// For the server's.
const TOO_LATE: &str = "was not run, or not in time: too many others run";
const SHELL: &[u8] = b"/bin/sh";
/// In front of a line for a shell: what a field holds stays one word, and names no files.
const ONE_WORD: &[u8] = b"IFS=; set -f; ";

impl Session {
    pub(super) fn authorize(
        &mut self,
        policy: &Policy,
        request: &AuthorRequest<'_>,
        version: Version,
    ) -> Step {
        let mut request = *request;
        let kept = self.forgiven(&request);
        if let Ok(Some(kept)) = &kept {
            request.args = kept.as_arguments();
        }
        let version = if self.client.lenient.minor_version {
            Version::DEFAULT
        } else {
            version
        };
        if let Err(error) = kept
            .as_ref()
            .map_err(|error| *error)
            .and_then(|_| request.check(version))
        {
            let line = self.senseless("authorization", &request, &error);
            return Step::Senseless(error, line);
        }
        let verdict = author::decide(policy, self.address, &request);
        self.follow(policy, &request, verdict)
    }

    /// The arguments, without those that nobody understands and this client may send.
    fn forgiven(&self, request: &AuthorRequest<'_>) -> Result<Option<ArgumentsBuf>, Error> {
        let Lenient {
            empty_arg,
            bare_arg,
            ..
        } = self.client.lenient;
        if !(empty_arg || bare_arg) {
            return Ok(None);
        }
        let mut args = ArgumentsBuf::new();
        for argument in request.args.raw() {
            let forgiven = match argument {
                [] => empty_arg,
                argument => bare_arg && is_bare(argument),
            };
            if !forgiven {
                args.push_raw(argument)?;
            }
        }
        Ok(Some(args))
    }

    /// The line about a request that makes no sense, with the word that would forgive it.
    pub(super) fn senseless(
        &self,
        what: &str,
        request: &AuthorRequest<'_>,
        error: &Error,
    ) -> String {
        let word = match error {
            Error::MinorForType { .. } => Some("minor-version"),
            Error::Arg { index } => match request.args.raw().nth(*index) {
                Some([]) => Some("empty-arg"),
                Some(argument) if is_bare(argument) => Some("bare-arg"),
                _ => None,
            },
            _ => None,
        };
        let (user, from) = (Word(request.user), Word(request.rem_addr));
        format!(
            "{what} error: user={user} client={from} device={} reason='{error}{}'",
            self.address,
            forgiving(word)
        )
    }

    fn follow(&mut self, policy: &Policy, request: &AuthorRequest<'_>, verdict: Verdict) -> Step {
        let logged = policy.settings.log_authorization;
        match verdict {
            Verdict::Decided(decision) => decided(decision, logged, || self.asked(request)),
            Verdict::Ask(errand) => self.send(policy, request, errand),
            Verdict::Search(search) => {
                let mut kept = Vec::new();
                if request.encode(&mut kept).is_err() {
                    return decided(Decision::error(TOO_LONG), logged, || self.asked(request));
                }
                self.state = State::Searching {
                    request: kept,
                    length: search.len(),
                };
                Step::Need(Effect::Search(search))
            }
        }
    }

    /// What a command's rules say, of which nobody could tell at once.
    pub(super) fn found(
        &mut self,
        policy: &Policy,
        request: &[u8],
        length: usize,
        done: &Done,
    ) -> Step {
        let Ok(request) = AuthorRequest::decode(request) else {
            return Step::Reply(Reply::Author(Decision::error(TOO_LONG)), None);
        };
        match done {
            Done::Found(ruling) => {
                let verdict = author::reconsider(policy, *ruling, &request);
                self.follow(policy, &request, verdict)
            }
            _ => {
                let decision = Decision {
                    reason: Some(format!(
                        "the expressions of its rules are too much for a command of {length} \
                         bytes, make them simpler or fewer"
                    )),
                    ..Decision::error(TOO_LONG)
                };
                decided(decision, true, || self.asked(&request))
            }
        }
    }

    /// Has a program run.
    fn send(&mut self, policy: &Policy, request: &AuthorRequest<'_>, errand: Errand) -> Step {
        let fields = self.fields(request, errand.status);
        let value = |variable| {
            let known = |(_, (_, other)): &(_, &(_, Variable))| *other == variable;
            let found = fields.iter().zip(&VARIABLES).find(known);
            found.map_or(UNKNOWN, |(value, _)| value.as_slice())
        };
        let (words, variables) = match errand.callout.as_ref() {
            Callout::Words(words) => (Callout::fill(words, value), Vec::new()),
            Callout::Shell(line) => {
                let line = [ONE_WORD, line.as_slice()].concat();
                let variables = VARIABLES
                    .iter()
                    .map(|(name, variable)| (*name, value(*variable).to_vec()));
                (
                    vec![SHELL.to_vec(), b"-c".to_vec(), line],
                    variables.collect(),
                )
            }
        };
        let program = words.first().map_or(&[][..], Vec::as_slice);
        let (user, from) = (Word(request.user), Word(request.rem_addr));
        let tag = Tag {
            program: Quoted(program).to_string(),
            about: format!("user={user} client={from} device={}", self.address),
        };
        self.state = State::Program {
            then: errand.then,
            tag: tag.clone(),
            asked: self.asked(request),
            logged: policy.settings.log_authorization,
        };
        Step::Need(Effect::Run(Program {
            words,
            variables,
            stdin: errand.stdin,
            limit: policy.settings.callout_timeout,
            tag,
        }))
    }

    /// What each variable stands for, in the order of [`VARIABLES`].
    fn fields(&self, request: &AuthorRequest<'_>, status: &str) -> [Vec<u8>; VARIABLES.len()] {
        let number = |number: u8| number.to_string().into_bytes();
        let address = self.address.to_string().into_bytes();
        VARIABLES.map(|(_, variable)| match variable {
            Variable::User => request.user.to_vec(),
            Variable::Ip => address.clone(),
            Variable::Name => match &self.client.name {
                Some(name) => name.clone().into_bytes(),
                None => address.clone(),
            },
            Variable::Port => request.port.to_vec(),
            Variable::Address => request.rem_addr.to_vec(),
            Variable::Priv => number(request.priv_lvl.level()),
            Variable::Method => number(request.authen_method.to_wire()),
            Variable::Type => number(request.authen_type.to_wire()),
            Variable::Service => number(request.authen_service.to_wire()),
            Variable::Status => status.as_bytes().to_vec(),
        })
    }

    /// A program that cannot be run is one that ended as none may.
    pub(super) fn concluded(
        then: Then,
        tag: &Tag,
        asked: String,
        logged: bool,
        done: Done,
    ) -> Step {
        let (outcome, why) = match done {
            Done::Ended(outcome) => (outcome, None),
            _ => (Outcome::default(), Some(TOO_LATE.to_owned())),
        };
        let (decision, complaint) = then.judge(&outcome);
        let failure = why
            .or(complaint)
            .map(|why| tag.failure(&why, &outcome.stderr));
        match (decided(decision, logged, || asked), failure) {
            (Step::Reply(reply, line), Some(failure)) => {
                let line = line.map_or(failure.clone(), |line| format!("{failure}\n{line}"));
                Step::Reply(reply, Some(line))
            }
            (step, _) => step,
        }
    }

    /// The original's line about a decision, but for the decision: a command as it was
    /// typed, or the service, and what else was asked for.
    fn asked(&self, request: &AuthorRequest<'_>) -> String {
        let (mut service, mut command) = (None, None);
        let (mut words, mut rest) = (Vec::new(), Vec::new());
        for raw in request.args.raw() {
            match Argument::parse(raw).map(|argument| (argument.name, argument.value)) {
                Some((b"service", value)) => service = Some(value),
                Some((b"cmd", value)) => command = Some(value),
                Some((b"cmd-arg", value)) => words.push(value),
                _ => rest.push(Quoted(raw).to_string()),
            }
        }
        let what = match (service, command) {
            (Some(b"shell"), Some([])) => "cmd=exec".to_owned(),
            (Some(b"shell"), Some(command)) => {
                words.insert(0, command);
                format!("cmd='{}'", Quoted(&words.join(&b' ')))
            }
            (service, _) => format!("svc={}", Word(service.unwrap_or(b"null"))),
        };
        let rest = match rest.as_slice() {
            [] => String::new(),
            rest => format!(" args='{}'", rest.join(" ")),
        };
        let (user, from) = (Word(request.user), Word(request.rem_addr));
        let device = self.address;
        format!("authorization user={user} {what}{rest} client={from} device={device}")
    }
}

/// What a line says about the word of a client's block that would forgive a mistake.
pub(super) fn forgiving(word: Option<&str>) -> String {
    word.map_or_else(String::new, |word| {
        format!(" (lenient = {word} would forgive it)")
    })
}

fn is_bare(argument: &[u8]) -> bool {
    !argument.iter().any(|byte| matches!(byte, b'=' | b'*'))
}

/// The decision, and its line: of each where that is wanted, else of what is refused and
/// of what a program overruled.
fn decided(decision: Decision, logged: bool, asked: impl FnOnce() -> String) -> Step {
    let (result, refused) = match decision.status {
        AuthorStatus::PassAdd | AuthorStatus::PassRepl => ("accepted", false),
        AuthorStatus::Error => ("error", true),
        _ => ("rejected", true),
    };
    let reason = match (&decision.reason, decision.data) {
        (Some(reason), _) => format!(" reason='{reason}'"),
        (None, "") => String::new(),
        (None, data) => format!(" reason='{data}'"),
    };
    let line = logged || refused || decision.reason.is_some();
    let line = line.then(|| format!("{} result={result}{reason}", asked()));
    Step::Reply(Reply::Author(decision), line)
}
