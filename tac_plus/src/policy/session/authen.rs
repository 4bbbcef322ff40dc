//! Logins and privilege requests.
//!
//! Owns their dialogue: which question comes when, and what is logged at the end.

use std::fmt;
use std::hash::{DefaultHasher, Hasher};
use std::net::IpAddr;

use tacacs_common::packet::{
    Action, AuthenService, AuthenStart, AuthenStatus, AuthenType, Error, Version,
};
use tacacs_common::secret::Secret;

use super::author::forgiving;
use super::{
    Answer, Attempt, Checked, Done, Effect, PamSays, Policy, Session, State, Step, authen,
};
use crate::effects::Dialogue;
use crate::escape::{self, Quoted, Word};
use crate::policy::draft::Credential;
use crate::policy::login::{self, Claim, Login, Proof, Purpose, Refusal};
use crate::policy::values::Date;

/// GETUSER is asked this often (RFC 8907 section 5.4.2.1 recommends it).
const USER_ROUNDS: u8 = 3;
const USER_PROMPT: &[u8] = b"\nUser Access Verification\n\nUsername: ";
const PASSWORD_PROMPT: &[u8] = b"Password: ";
const OLD_PASSWORD_PROMPT: &[u8] = b"Old password: ";
/// As much of a client's reason is worth a place in the log.
const REASON: usize = 255;

impl Session {
    pub(super) fn start(
        &mut self,
        policy: &Policy,
        today: Date,
        start: &AuthenStart<'_>,
        version: Version,
    ) -> Step {
        let enable = start.authen_service == AuthenService::Enable;
        let purpose = match (start.action, start.authen_type) {
            (Action::ChangePass, _) => Purpose::Change,
            _ if enable => Purpose::Enable(start.priv_lvl.level()),
            (_, AuthenType::Pap) => Purpose::Pap,
            _ => Purpose::Login,
        };
        let login = Login {
            user: start.user.to_vec(),
            port: start.port.to_vec(),
            rem_addr: start.rem_addr.to_vec(),
            purpose,
            tried: 0,
        };
        let version = if self.client.lenient.minor_version {
            start.version()
        } else {
            version
        };
        if let Err(error) = start.check(version) {
            let word = matches!(error, Error::MinorForType { .. }).then_some("minor-version");
            let why = format!("{error}{}", forgiving(word));
            let line = self.line(&login, "failure", Some(&why));
            return match is_known(&error) {
                true => {
                    let answer = Answer::of(AuthenStatus::Fail);
                    Step::Unsupported(super::Reply::Authen(answer), Some(line))
                }
                false => Step::Senseless(error, line),
            };
        }
        match (start.authen_type, enable) {
            _ if purpose == Purpose::Change && !policy.settings.password_change => {
                self.cannot_change(&login)
            }
            (AuthenType::Ascii, false) if login.user.is_empty() => self.ask_user(policy, login, 1),
            (AuthenType::Ascii | AuthenType::NotSet, true)
                if login.user.is_empty() && self.client.ask_enable_name =>
            {
                self.ask_user(policy, login, 1)
            }
            (AuthenType::Ascii, false)
                if self.client.lenient.ascii_start_password
                    && purpose == Purpose::Login
                    && !start.data.is_empty() =>
            {
                self.check(policy, today, login, start.data, true)
            }
            (AuthenType::Ascii | AuthenType::NotSet, _) => self.ask_password(policy, today, login),
            (AuthenType::Pap, _) => self.check(policy, today, login, start.data, false),
            (_, true) => self.refuse(
                &login,
                AuthenStatus::Fail,
                "enable by challenge not supported",
            ),
            (_, false) => {
                let result = login::check_challenge(policy, start);
                let data = Secret::from_slice(start.data);
                self.settle(policy, today, login, result, data)
            }
        }
    }

    fn ask_user(&mut self, policy: &Policy, login: Login, asked: u8) -> Step {
        let prompt = self.client.prompt.as_deref().unwrap_or(USER_PROMPT);
        let answer = Answer::saying(AuthenStatus::GetUser, prompt);
        self.ask(policy, answer, State::User { login, asked })
    }

    pub(super) fn user(
        &mut self,
        policy: &Policy,
        today: Date,
        mut login: Login,
        asked: u8,
        name: &[u8],
    ) -> Step {
        login.user = name.to_vec();
        match login.user.len() {
            0 if asked < USER_ROUNDS => self.ask_user(policy, login, asked + 1),
            0 => self.refuse(&login, AuthenStatus::Fail, "no user name"),
            // RFC 8907 section 5.1: a name is at most 255 bytes, however it arrives.
            256.. => {
                login.user.clear();
                self.refuse(&login, AuthenStatus::Fail, "user name too long")
            }
            _ => self.ask_password(policy, today, login),
        }
    }

    /// Asks for the password of everybody but those who need none: an unknown user
    /// must not learn here that it is unknown.
    fn ask_password(&mut self, policy: &Policy, today: Date, login: Login) -> Step {
        let credential = login::credential(policy, &self.client, &login);
        if matches!(credential.as_deref(), Some(Credential::NoPassword)) {
            return self.check(policy, today, login, b"", false);
        }
        let answer = match login.purpose {
            // Section 5.4.3: GETPASS is for the new password, so the old one is data.
            Purpose::Change => Answer::secret(AuthenStatus::GetData, OLD_PASSWORD_PROMPT),
            _ => Answer::secret(AuthenStatus::GetPass, PASSWORD_PROMPT),
        };
        self.ask(policy, answer, State::Password { login })
    }

    /// Looks at a password.
    pub(super) fn check(
        &mut self,
        policy: &Policy,
        today: Date,
        login: Login,
        password: &[u8],
        may_ask: bool,
    ) -> Step {
        match login::check_password(policy, &self.client, &login, password, may_ask) {
            Claim::Settled(result) => {
                let password = Secret::from_slice(password);
                self.settle(policy, today, login, result, password)
            }
            Claim::Open(effect) => {
                // Only these need it again.
                let password = match login.purpose {
                    Purpose::Change | Purpose::Enable(_) => Secret::from_slice(password),
                    _ => Secret::new(Vec::new()),
                };
                self.state = State::Checking { login, password };
                Step::Need(effect)
            }
        }
    }

    /// What the effect found.
    pub(super) fn checked(
        &mut self,
        policy: &Policy,
        today: Date,
        mut login: Login,
        password: Secret,
        done: Done,
    ) -> Step {
        let result = match done {
            Done::Pam(says) => return self.pam(policy, today, login, says),
            Done::Checked(Checked::Right) => Ok(Proof::User),
            Done::Checked(Checked::RightUntil(day)) => Ok(Proof::Until(day)),
            Done::Checked(Checked::Wrong) => Err(login::wrong(policy, &self.client, &login)),
            Done::Checked(Checked::Unknown) => Err(login::not_in_file(&login)),
            _ => return self.undecided(&login, "the password could not be checked"),
        };
        match self.judge(policy, today, &login, result) {
            Ok(told) => self.admitted(policy, login, told, password),
            Err(_) if login::try_another(policy, &self.client, &mut login) => {
                self.check(policy, today, login, password.expose(), false)
            }
            Err(refusal) => self.end(policy, &login, Err(refusal)),
        }
    }

    /// Nobody could say whether it is right, which is no attempt that failed.
    fn undecided(&self, login: &Login, why: &str) -> Step {
        let line = self.line(login, "error", Some(why));
        authen(AuthenStatus::Error, Some(line))
    }

    fn pam(&mut self, policy: &Policy, today: Date, login: Login, says: PamSays) -> Step {
        match says {
            PamSays::Yes(told) => match self.admit(policy, today, &login, Proof::User) {
                Ok(_) if login.purpose == Purpose::Change => self.no_change(policy, &login),
                Ok(more) => {
                    let lines = [told, more];
                    let lines: Vec<_> = lines.into_iter().filter(|line| !line.is_empty()).collect();
                    self.end(policy, &login, Ok(lines.join(&b'\n')))
                }
                Err(refusal) => self.end(policy, &login, Err(refusal)),
            },
            PamSays::No(why, told) => {
                let why = format!("PAM: {}", Quoted(why.as_bytes()));
                self.end(policy, &login, Err((why, told)))
            }
            PamSays::Nothing(why) => {
                self.undecided(&login, &format!("PAM: {}", Quoted(why.as_bytes())))
            }
            PamSays::Ask {
                prompt,
                echo,
                dialogue,
            } => {
                let answer = Answer {
                    no_echo: !echo,
                    ..Answer::saying(AuthenStatus::GetData, &prompt)
                };
                self.ask_in_time(policy, answer, State::Asked { login, dialogue })
            }
        }
    }

    pub(super) fn tell_pam(&mut self, login: Login, dialogue: Dialogue, answer: &[u8]) -> Step {
        self.state = State::Checking {
            login,
            password: Secret::new(Vec::new()),
        };
        Step::Need(Effect::Answer(dialogue, Secret::from_slice(answer)))
    }

    /// The password is right or wrong, and nothing that takes time was needed to know. Who
    /// is refused, for whatever reason, hears it no sooner than others.
    fn settle(
        &mut self,
        policy: &Policy,
        today: Date,
        mut login: Login,
        result: Result<Proof, Refusal>,
        password: Secret,
    ) -> Step {
        match self.judge(policy, today, &login, result) {
            Ok(told) => self.admitted(policy, login, told, password),
            Err(_) if login::try_another(policy, &self.client, &mut login) => {
                self.check(policy, today, login, password.expose(), false)
            }
            Err(refusal) => match login::imitation(policy, &login, &password) {
                Some(effect) => {
                    self.state = State::Imitating { login, refusal };
                    Step::Need(effect)
                }
                None => self.end(policy, &login, Err(refusal)),
            },
        }
    }

    /// What a right or wrong password means.
    fn judge(
        &self,
        policy: &Policy,
        today: Date,
        login: &Login,
        result: Result<Proof, Refusal>,
    ) -> Result<Vec<u8>, (String, Vec<u8>)> {
        match result {
            Ok(proof) => self.admit(policy, today, login, proof),
            Err(refusal) => Err((refusal.to_owned(), Vec::new())),
        }
    }

    fn admitted(&mut self, policy: &Policy, login: Login, told: Vec<u8>, password: Secret) -> Step {
        match login.purpose {
            Purpose::Change => self.ask_new_password(policy, login, password),
            _ => self.end(policy, &login, Ok(told)),
        }
    }

    fn admit(
        &self,
        policy: &Policy,
        today: Date,
        login: &Login,
        proof: Proof,
    ) -> Result<Vec<u8>, (String, Vec<u8>)> {
        login::admit(policy, &self.client, self.address, today, login, proof)
            .map_err(|(refusal, told)| (refusal.to_owned(), told.to_vec()))
    }

    /// The answer, once it may be given: who tries many passwords waits.
    pub(super) fn end(
        &mut self,
        policy: &Policy,
        login: &Login,
        result: Result<Vec<u8>, (String, Vec<u8>)>,
    ) -> Step {
        let passed = result.is_ok();
        let (answer, line) = match result {
            Ok(told) => (
                Answer::saying(AuthenStatus::Pass, &told),
                self.line(login, "success", None),
            ),
            Err((why, told)) => (
                Answer::saying(AuthenStatus::Fail, &told),
                self.line(login, "failure", Some(&why)),
            ),
        };
        if policy.settings.throttle.is_zero() {
            return Step::Reply(super::Reply::Authen(answer), Some(line));
        }
        self.state = State::Due(answer, Err(line));
        self.count(policy, login, passed)
    }

    /// A question that only a right password leads to, once that may be told.
    pub(super) fn ask_in_time(&mut self, policy: &Policy, answer: Answer, next: State) -> Step {
        let throttled = !policy.settings.throttle.is_zero();
        let Some(login) = next.login().filter(|_| throttled) else {
            return self.ask(policy, answer, next);
        };
        let counted = self.count(policy, login, true);
        self.state = State::Due(answer, Ok(Box::new(next)));
        counted
    }

    fn count(&self, policy: &Policy, login: &Login, passed: bool) -> Step {
        let client = match self.address.to_canonical() {
            IpAddr::V4(address) => key(&address.octets()),
            IpAddr::V6(address) => key(&address.octets()),
        };
        Step::Need(Effect::Count(Attempt {
            passed,
            user: (!login.user.is_empty()).then(|| key(&login.user)),
            name: login.user.as_slice().into(),
            client,
            place: key(&login.rem_addr),
            longest: policy.settings.throttle,
        }))
    }

    pub(super) fn refuse<W: fmt::Display + ?Sized>(
        &self,
        login: &Login,
        status: AuthenStatus,
        why: &W,
    ) -> Step {
        authen(
            status,
            Some(self.line(login, "failure", Some(&why.to_string()))),
        )
    }

    /// RFC 8907 section 5.3: an aborted session gets no reply.
    pub(super) fn aborted(&self, state: &State, reason: &[u8]) -> Step {
        let why = match reason {
            [] => "aborted by the client".to_owned(),
            reason => {
                let reason = reason.get(..REASON).unwrap_or(reason);
                format!("aborted by the client: {}", Quoted(reason))
            }
        };
        let line = |login| self.line(login, "failure", Some(&why));
        Step::Silence(state.login().map(line))
    }

    /// The original's line, which log watchers know, and why at its end.
    pub(super) fn line(&self, login: &Login, outcome: &str, why: Option<&str>) -> String {
        // Put together by hand: every login has one, and formatting costs as much as
        // all the rest of a login.
        let mut line = Vec::with_capacity(160);
        match login.purpose {
            Purpose::Login | Purpose::Pap => line.extend_from_slice(b"login "),
            Purpose::Enable(level) => line.extend_from_slice(format!("enable {level} ").as_bytes()),
            Purpose::Change => line.extend_from_slice(b"password change "),
        }
        line.extend_from_slice(outcome.as_bytes());
        line.extend_from_slice(b": user=");
        Word(&login.user).append_to(&mut line);
        for name in [b" device=".as_slice(), b" ip="] {
            line.extend_from_slice(name);
            escape::append_address(self.address, &mut line);
        }
        for (name, value) in [
            (b" port=".as_slice(), &login.port),
            (b" client=", &login.rem_addr),
        ] {
            line.extend_from_slice(name);
            Word(value).append_to(&mut line);
        }
        if let Some(why) = why {
            line.extend_from_slice(b" reason='");
            line.extend_from_slice(why.as_bytes());
            line.push(b'\'');
        }
        // What is escaped is text.
        String::from_utf8(line).unwrap_or_default()
    }
}

/// A number for somebody who is counted. One that two share costs them a moment's
/// patience; nobody can look for one that a certain other has.
fn key(who: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(who);
    hasher.finish()
}

/// RFC 8907 section 5.4.2 wants FAIL for what is known and not supported; section
/// 3.6 ERROR for what makes no sense.
fn is_known(error: &Error) -> bool {
    const ARAP: u8 = 4;
    matches!(
        error,
        Error::DeprecatedAction(_)
            | Error::Combination
            | Error::UserRequired
            | Error::ChapData { .. }
            | Error::ChapChallengeShort { .. }
            | Error::MschapChallenge { .. }
            | Error::Enum {
                field: "authen_type" | "authen_service",
                value: ARAP,
            }
    )
}
