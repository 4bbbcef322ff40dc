//! One session: from its first request to its last reply.
//!
//! Owns the state machine of every kind of exchange on the server's side. Must
//! never perform an effect: it asks for one and is told the result.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use tacacs_common::packet::{
    AcctRecord, AcctRequest, AcctStatus, Action, AuthenContinue, AuthenService, AuthenStart,
    AuthenStatus, AuthenType, AuthorRequest, AuthorStatus, Error, Version,
};

use super::author::{self, Decision};
use super::callout::Outcome;
use super::draft::Credential;
use super::login::{self, Purpose};
use super::{Client, Policy};
use crate::escape::{Field, Quoted, Word};

/// GETUSER is asked this often (RFC 8907 section 5.4.2.1 recommends it).
const USER_ROUNDS: u8 = 3;
const USER_PROMPT: &[u8] = b"\nUser Access Verification\n\nUsername: ";
/// As much of a client's reason is worth a place in the log.
const REASON: usize = 255;
const PASSWORD_PROMPT: &[u8] = b"Password: ";

/// What reaches a session.
pub enum Input<'a> {
    /// The first packet of an authentication.
    Start(AuthenStart<'a>, Version),
    /// A further one.
    Continue(AuthenContinue<'a>),
    /// An authorization.
    Author(AuthorRequest<'a>, Version),
    /// A record.
    Acct(AcctRequest<'a>, Version),
    /// The result of the effect that the session asked for last.
    Done(Done),
}

/// What became of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// The record is stored.
    Stored,
    /// It could not be performed, or not in time: nothing is known.
    Failed,
}

/// What a session wants next.
pub enum Step {
    /// Send this, and log this.
    Reply(Reply, Option<String>),
    /// Do this and tell the result.
    Need(Effect),
    /// The session ended without a reply; log this.
    Silence(Option<String>),
}

/// Something that only the daemon can do.
pub enum Effect {
    /// Store an accounting record; its result is [`Done::Stored`].
    Record(Record),
}

/// An accounting record as the original writes it, without the time in front.
pub struct Record {
    /// Fields separated by tabs, ended by a newline, escaped.
    pub line: Vec<u8>,
}

/// A reply's contents.
pub enum Reply {
    /// Authentication.
    Authen(Answer),
    /// Authorization.
    Author(Decision),
    /// Accounting.
    Acct(AcctStatus),
}

/// An authentication's reply.
pub struct Answer {
    /// The result, or the question.
    pub status: AuthenStatus,
    /// Whether what is typed must not be shown.
    pub no_echo: bool,
    /// For the user.
    pub server_msg: Vec<u8>,
}

impl Answer {
    fn of(status: AuthenStatus) -> Self {
        Self {
            status,
            no_echo: false,
            server_msg: Vec::new(),
        }
    }

    fn ask(status: AuthenStatus, prompt: &[u8]) -> Self {
        Self {
            status,
            no_echo: status == AuthenStatus::GetPass,
            server_msg: prompt.to_vec(),
        }
    }
}

impl Reply {
    /// Whether the client has nothing more to say in this session.
    pub fn is_last(&self) -> bool {
        match self {
            Self::Authen(answer) => !matches!(
                answer.status,
                AuthenStatus::GetUser | AuthenStatus::GetPass | AuthenStatus::GetData
            ),
            Self::Author(_) | Self::Acct(_) => true,
        }
    }
}

/// One session of a client.
pub struct Session {
    address: IpAddr,
    client: Arc<Client>,
    state: State,
}

enum State {
    Fresh,
    User { login: Login, asked: u8 },
    Password { login: Login },
    Storing,
    Over,
}

/// Who is logging in, from where.
struct Login {
    user: Vec<u8>,
    port: Vec<u8>,
    rem_addr: Vec<u8>,
    purpose: Purpose,
}

impl Session {
    /// A session of the client at `address`, before its first packet.
    pub fn new(address: IpAddr, client: Arc<Client>) -> Self {
        Self {
            address,
            client,
            state: State::Fresh,
        }
    }

    /// Takes one input. Inputs that do not fit the state end the session with ERROR.
    pub fn step(&mut self, policy: &Policy, input: Input<'_>) -> Step {
        match (std::mem::replace(&mut self.state, State::Over), input) {
            (State::Fresh, Input::Start(start, version)) => self.start(policy, &start, version),
            (State::Fresh, Input::Author(request, version)) => {
                self.authorize(policy, &request, version)
            }
            (State::Fresh, Input::Acct(request, version)) => self.account(&request, version),
            (State::User { login, asked }, Input::Continue(answer)) => {
                self.user(policy, login, asked, &answer)
            }
            (State::Password { login }, Input::Continue(answer)) => {
                self.password(policy, &login, &answer)
            }
            (State::Storing, Input::Done(done)) => {
                let status = match done {
                    Done::Stored => AcctStatus::Success,
                    Done::Failed => AcctStatus::Error,
                };
                Step::Reply(Reply::Acct(status), None)
            }
            (_, Input::Acct(..)) => Step::Reply(Reply::Acct(AcctStatus::Error), None),
            // Nobody asked for it.
            (_, Input::Done(_)) => Step::Silence(None),
            (_, Input::Author(..)) => Step::Reply(Reply::Author(Decision::error("")), None),
            (_, Input::Start(..) | Input::Continue(_)) => authen(AuthenStatus::Error, None),
        }
    }

    fn start(&mut self, policy: &Policy, start: &AuthenStart<'_>, version: Version) -> Step {
        let enable = start.authen_service == AuthenService::Enable;
        let purpose = if enable {
            Purpose::Enable(start.priv_lvl.level())
        } else {
            Purpose::Login
        };
        let login = Login {
            user: start.user.to_vec(),
            port: start.port.to_vec(),
            rem_addr: start.rem_addr.to_vec(),
            purpose,
        };
        if let Err(error) = start.check(version) {
            return self.refuse(&login, status_of(&error), &error);
        }
        if start.action == Action::ChangePass {
            let message = b"Passwords cannot be changed here".to_vec();
            let answer = Answer {
                server_msg: message,
                ..Answer::of(AuthenStatus::Fail)
            };
            return Step::Reply(
                Reply::Authen(answer),
                Some(self.log(&login, Err("change of password not supported"))),
            );
        }
        match (start.authen_type, enable) {
            (AuthenType::Ascii, false) if login.user.is_empty() => self.ask_user(login, 1),
            (AuthenType::Ascii | AuthenType::NotSet, _) => self.ask_password(policy, login),
            (AuthenType::Pap, true) => self.finish_password(policy, &login, start.data),
            (_, true) => self.refuse(
                &login,
                AuthenStatus::Fail,
                &"enable by challenge not supported",
            ),
            (_, false) => {
                let result = login::check_start(policy, self.address, start);
                self.finish(&login, result)
            }
        }
    }

    fn ask_user(&mut self, login: Login, asked: u8) -> Step {
        let prompt = self.client.prompt.as_deref().unwrap_or(USER_PROMPT);
        let answer = Answer::ask(AuthenStatus::GetUser, prompt);
        self.state = State::User { login, asked };
        Step::Reply(Reply::Authen(answer), None)
    }

    fn user(
        &mut self,
        policy: &Policy,
        mut login: Login,
        asked: u8,
        answer: &AuthenContinue<'_>,
    ) -> Step {
        if answer.abort {
            return self.aborted(&login, answer);
        }
        login.user = answer.user_msg.to_vec();
        match login.user.len() {
            0 if asked < USER_ROUNDS => self.ask_user(login, asked + 1),
            0 => self.finish(&login, Err("no user name")),
            // RFC 8907 section 5.1: a name is at most 255 bytes, however it arrives.
            256.. => {
                login.user.clear();
                self.finish(&login, Err("user name too long"))
            }
            _ => self.ask_password(policy, login),
        }
    }

    /// Asks for the password of everybody but those who need none: an unknown user
    /// must not learn here that it is unknown.
    fn ask_password(&mut self, policy: &Policy, login: Login) -> Step {
        let credential = login::credential(policy, &self.client, &login.user, login.purpose);
        if matches!(credential.as_deref(), Some(Credential::NoPassword)) {
            return self.finish_password(policy, &login, b"");
        }
        self.state = State::Password { login };
        Step::Reply(
            Reply::Authen(Answer::ask(AuthenStatus::GetPass, PASSWORD_PROMPT)),
            None,
        )
    }

    fn password(&mut self, policy: &Policy, login: &Login, answer: &AuthenContinue<'_>) -> Step {
        if answer.abort {
            return self.aborted(login, answer);
        }
        self.finish_password(policy, login, answer.user_msg)
    }

    fn finish_password(&self, policy: &Policy, login: &Login, password: &[u8]) -> Step {
        let result = login::check_password(
            policy,
            &self.client,
            self.address,
            &login.user,
            login.purpose,
            password,
        );
        self.finish(login, result)
    }

    fn finish(&self, login: &Login, result: Result<(), login::Refusal>) -> Step {
        let status = if result.is_ok() {
            AuthenStatus::Pass
        } else {
            AuthenStatus::Fail
        };
        authen(status, Some(self.log(login, result)))
    }

    fn refuse(&self, login: &Login, status: AuthenStatus, why: &dyn fmt::Display) -> Step {
        authen(status, Some(self.log(login, Err(&why.to_string()))))
    }

    /// RFC 8907 section 5.3: an aborted session gets no reply.
    fn aborted(&self, login: &Login, answer: &AuthenContinue<'_>) -> Step {
        let why = match answer.data {
            [] => "aborted by the client".to_owned(),
            reason => {
                let reason = reason.get(..REASON).unwrap_or(reason);
                format!("aborted by the client: {}", Quoted(reason))
            }
        };
        Step::Silence(Some(self.log(login, Err(&why))))
    }

    /// The original's line, which log watchers know, and why at its end.
    fn log(&self, login: &Login, result: Result<(), &str>) -> String {
        let what = match login.purpose {
            Purpose::Login => "login".to_owned(),
            Purpose::Enable(level) => format!("enable {level}"),
        };
        let address = self.address;
        let (outcome, reason) = match result {
            Ok(()) => ("success", String::new()),
            Err(reason) => ("failure", format!(" reason='{reason}'")),
        };
        let (user, port, from) = (Word(&login.user), Word(&login.port), Word(&login.rem_addr));
        format!(
            "{what} {outcome}: user={user} device={address} ip={address} port={port} client={from}{reason}"
        )
    }

    fn authorize(&self, policy: &Policy, request: &AuthorRequest<'_>, version: Version) -> Step {
        if let Err(error) = request.check(version) {
            let line = format!(
                "authorization request refused: device={}: {error}",
                self.address
            );
            return Step::Reply(Reply::Author(Decision::error("")), Some(line));
        }
        let decision = match author::decide(policy, self.address, request) {
            author::Verdict::Decided(decision) => decision,
            // Not run yet: as a program that cannot be started.
            author::Verdict::Ask(errand) => errand.then.conclude(&Outcome::default()),
        };
        let line = policy
            .settings
            .log_authorization
            .then(|| self.log_decision(request, &decision));
        Step::Reply(Reply::Author(decision), line)
    }

    fn log_decision(&self, request: &AuthorRequest<'_>, decision: &Decision) -> String {
        let asked: Vec<String> = request
            .args
            .raw()
            .map(|argument| Quoted(argument).to_string())
            .collect();
        let result = match decision.status {
            AuthorStatus::PassAdd | AuthorStatus::PassRepl => "accepted",
            AuthorStatus::Error => "error",
            _ => "rejected",
        };
        let (user, from) = (Word(request.user), Word(request.rem_addr));
        let asked = asked.join(" ");
        format!(
            "authorization user={user} args='{asked}' client={from} device={} result={result}",
            self.address
        )
    }

    fn account(&mut self, request: &AcctRequest<'_>, version: Version) -> Step {
        let record = match request.check(version).and_then(|()| request.record()) {
            Ok(record) => record,
            Err(error) => {
                let line = format!(
                    "accounting record refused: device={}: {error}",
                    self.address
                );
                return Step::Reply(Reply::Acct(AcctStatus::Error), Some(line));
            }
        };
        self.state = State::Storing;
        Step::Need(Effect::Record(Record {
            line: self.line(record, request),
        }))
    }

    /// `device TAB user TAB port TAB rem_addr TAB kind TAB arguments`, as the original.
    fn line(&self, record: AcctRecord, request: &AcctRequest<'_>) -> Vec<u8> {
        use std::io::Write;
        let kind = match record {
            AcctRecord::Start => "start",
            AcctRecord::Stop => "stop",
            AcctRecord::Watchdog | AcctRecord::Update => "update",
        };
        let about = &request.about;
        let mut line = Vec::with_capacity(256);
        // Writing to a Vec cannot fail.
        let (user, port, from) = (Field(about.user), Field(about.port), Field(about.rem_addr));
        let _ = write!(line, "{}\t{user}\t{port}\t{from}\t{kind}", self.address);
        // RFC 8907 section 7.2: the arguments of a watchdog without update are ignored.
        if record != AcctRecord::Watchdog {
            for argument in about.args.raw().filter(|argument| !argument.is_empty()) {
                let _ = write!(line, "\t{}", Field(argument));
            }
        }
        line.push(b'\n');
        line
    }
}

fn authen(status: AuthenStatus, line: Option<String>) -> Step {
    Step::Reply(Reply::Authen(Answer::of(status)), line)
}

/// RFC 8907 section 5.4.2 wants FAIL for what is known and not supported; section
/// 3.6 ERROR for what makes no sense.
fn status_of(error: &Error) -> AuthenStatus {
    const ARAP: u8 = 4;
    match error {
        Error::DeprecatedAction(_)
        | Error::Combination
        | Error::UserRequired
        | Error::ChapData { .. }
        | Error::ChapChallengeShort { .. }
        | Error::MschapChallenge { .. }
        | Error::Enum {
            field: "authen_type" | "authen_service",
            value: ARAP,
        } => AuthenStatus::Fail,
        _ => AuthenStatus::Error,
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
