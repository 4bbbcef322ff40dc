//! One session: from its first request to its last reply.
//!
//! Owns the state machine of every kind of exchange on the server's side. Must
//! never perform an effect: it asks for one and is told the result.
//!
//! | file | owns |
//! |---|---|
//! | `authen` | logins and privilege requests |
//! | `change` | changes of a password |
//! | `author` | authorizations, and the programs asked about them |
//! | `acct` | accounting records |
//! | `effect` | what a session asks the world for, and what it is told |

mod acct;
mod authen;
mod author;
mod change;
mod effect;

use std::net::IpAddr;
use std::sync::Arc;

use tacacs_common::packet::{
    AcctRequest, AcctStatus, AuthenContinue, AuthenStart, AuthenStatus, AuthorRequest, Error,
    Version,
};
use tacacs_common::secret::Secret;

use super::author::{Decision, Then};
use super::login::Login;
use super::values::Date;
use super::{Client, Policy};
use crate::effects::Dialogue;
pub use effect::{
    Attempt, ChangeRequest, Changed, Checked, Done, Effect, PamRequest, PamSays, Program, Record,
    Tag, VerifyRequest,
};

/// Questions in one session where the configuration does not say: a login with a
/// second factor and a change of password takes under ten.
const QUESTIONS: u32 = 20;

/// Why a right password is refused.
const TOO_LATE: &str = "too many guesses at this user, its answer would wait too long";

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

/// What a session wants next.
pub enum Step {
    /// Send this, and log this.
    Reply(Reply, Option<String>),
    /// Do this and tell the result.
    Need(Effect),
    /// The session ended without a reply; log this.
    Silence(Option<String>),
    /// The request breaks this rule, and nothing it says is believed: it may come from
    /// somebody without the secret. Log this.
    Senseless(Error, String),
    /// The request asks for what there is not. Send this, and log this; it shows as little
    /// of the secret as one that makes no sense.
    Unsupported(Reply, Option<String>),
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
        Self::saying(status, b"")
    }

    fn saying(status: AuthenStatus, server_msg: &[u8]) -> Self {
        Self {
            status,
            no_echo: false,
            server_msg: server_msg.to_vec(),
        }
    }

    /// A question whose answer is shown to nobody.
    fn secret(status: AuthenStatus, prompt: &[u8]) -> Self {
        Self {
            no_echo: true,
            ..Self::saying(status, prompt)
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
    questions: u32,
}

enum State {
    Fresh,
    /// The name was asked for so many times.
    User {
        login: Login,
        asked: u8,
    },
    /// The password was asked for.
    Password {
        login: Login,
    },
    /// An effect finds out whether it is right.
    Checking {
        login: Login,
        /// What a change of password needs again.
        password: Secret,
    },
    /// It is known that this is the answer, and an effect takes the time that others take.
    Imitating {
        login: Login,
        /// For the log, and for the user.
        refusal: (String, Vec<u8>),
    },
    /// PAM asked something more.
    Asked {
        login: Login,
        dialogue: Dialogue,
    },
    /// The answer is there and waits until it may be given; of a question, this comes
    /// then, and else this line is logged.
    Due(Answer, Result<Box<State>, String>),
    /// The new password was asked for, or again.
    NewPassword(change::Change),
    /// It is being stored.
    Changing {
        login: Login,
    },
    /// A command's rules are being gone through; the request is encoded.
    Searching {
        request: Vec<u8>,
        length: usize,
    },
    /// A program has its say.
    Program {
        then: Then,
        tag: Tag,
        /// The beginning of its line, and whether it has one whatever comes of it.
        asked: String,
        logged: bool,
    },
    Storing,
    Over,
}

impl Session {
    /// A session of the client at `address`, before its first packet.
    pub fn new(address: IpAddr, client: Arc<Client>) -> Self {
        Self {
            address,
            client,
            state: State::Fresh,
            questions: 0,
        }
    }

    /// Takes one input. Inputs that do not fit the state end the session with ERROR.
    pub fn step(&mut self, policy: &Policy, today: Date, input: Input<'_>) -> Step {
        match (std::mem::replace(&mut self.state, State::Over), input) {
            (State::Fresh, Input::Start(start, version)) => {
                self.start(policy, today, &start, version)
            }
            (State::Fresh, Input::Author(request, version)) => {
                self.authorize(policy, &request, version)
            }
            (State::Fresh, Input::Acct(request, version)) => self.account(&request, version),
            (state, Input::Continue(answer)) => self.answered(policy, today, state, &answer),
            (state, Input::Done(done)) => self.told(policy, today, state, done),
            (_, Input::Acct(..)) => Step::Reply(Reply::Acct(AcctStatus::Error), None),
            (_, Input::Author(..)) => Step::Reply(Reply::Author(Decision::error("")), None),
            (_, Input::Start(..)) => authen(AuthenStatus::Error, None),
        }
    }

    /// The user's answer to the last question.
    fn answered(
        &mut self,
        policy: &Policy,
        today: Date,
        state: State,
        answer: &AuthenContinue<'_>,
    ) -> Step {
        if answer.abort {
            return self.aborted(&state, answer.data);
        }
        match state {
            State::User { login, asked } => self.user(policy, today, login, asked, answer.user_msg),
            State::Password { login } => self.check(policy, today, login, answer.user_msg, true),
            State::Asked { login, dialogue } => self.tell_pam(login, dialogue, answer.user_msg),
            State::NewPassword(change) => self.new_password(policy, change, answer.user_msg),
            _ => authen(AuthenStatus::Error, None),
        }
    }

    /// The result of the last effect.
    fn told(&mut self, policy: &Policy, today: Date, state: State, done: Done) -> Step {
        match state {
            State::Checking { login, password } => {
                self.checked(policy, today, login, password, done)
            }
            // Whatever became of it: nobody's password says nothing about this user.
            State::Imitating { login, refusal } => self.end(policy, &login, Err(refusal)),
            State::Due(answer, then) => match (done, then) {
                (Done::Due, Ok(next)) => self.ask(policy, answer, *next),
                (Done::Due, Err(line)) => Step::Reply(Reply::Authen(answer), Some(line)),
                // Right or wrong, nobody hears what it was. Never ERROR, which would have
                // the client do without this server.
                (_, Err(line)) => {
                    // The outcome stands before anything from outside.
                    let line = line.replacen("success", "failure", 1);
                    let line = match answer.status {
                        AuthenStatus::Pass => format!("{line} reason='{TOO_LATE}'"),
                        _ => line,
                    };
                    authen(AuthenStatus::Fail, Some(line))
                }
                (_, Ok(next)) => match next.login() {
                    Some(login) => self.refuse(login, AuthenStatus::Fail, TOO_LATE),
                    None => authen(AuthenStatus::Fail, None),
                },
            },
            State::Changing { login } => self.changed(&login, &done),
            State::Searching { request, length } => self.found(policy, &request, length, &done),
            State::Program {
                then,
                tag,
                asked,
                logged,
            } => Self::concluded(then, &tag, asked, logged, done),
            State::Storing => {
                let status = match done {
                    Done::Stored => AcctStatus::Success,
                    _ => AcctStatus::Error,
                };
                Step::Reply(Reply::Acct(status), None)
            }
            // Nobody asked for it.
            _ => Step::Silence(None),
        }
    }

    /// A question, unless there were too many in this session.
    fn ask(&mut self, policy: &Policy, answer: Answer, next: State) -> Step {
        let most = policy.settings.limits.rounds.unwrap_or(QUESTIONS);
        if self.questions >= most {
            return match next.login() {
                Some(login) => self.refuse(login, AuthenStatus::Error, "too many questions"),
                None => authen(AuthenStatus::Error, None),
            };
        }
        self.questions += 1;
        self.state = next;
        Step::Reply(Reply::Authen(answer), None)
    }
}

impl State {
    fn login(&self) -> Option<&Login> {
        match self {
            Self::User { login, .. }
            | Self::Password { login }
            | Self::Checking { login, .. }
            | Self::Imitating { login, .. }
            | Self::Asked { login, .. }
            | Self::Changing { login } => Some(login),
            Self::NewPassword(change) => Some(change.login()),
            _ => None,
        }
    }
}

fn authen(status: AuthenStatus, line: Option<String>) -> Step {
    Step::Reply(Reply::Authen(Answer::of(status)), line)
}

#[cfg(test)]
mod tests;
