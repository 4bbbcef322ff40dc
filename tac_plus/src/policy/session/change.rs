//! Changes of a password (RFC 8907 section 5.4.3).
//!
//! Owns the dialogue after the old password: the new one, twice. Whether and where
//! it can be changed is told only to who knew the old one.

use tacacs_common::packet::AuthenStatus;
use tacacs_common::secret::Secret;

use super::{Answer, ChangeRequest, Changed, Done, Effect, Policy, Reply, Session, State, Step};
use crate::policy::draft::Credential;
use crate::policy::login::{self, Login, Refusal, same};

const NEW_PROMPT: &str = "New password: ";
const AGAIN_PROMPT: &[u8] = b"New password again: ";
const NOT_SUPPORTED: Refusal = "change of password not supported";
const NOT_HERE: &[u8] = b"Passwords cannot be changed here";
/// libcrypt takes no longer ones, and a zero byte would cut one.
const LONGEST: usize = 511;

/// A user who proved to know the old password.
pub(super) struct Change {
    login: Login,
    old: Secret,
    /// Once it was typed for the first time.
    new: Option<Secret>,
}

impl Change {
    pub(super) fn login(&self) -> &Login {
        &self.login
    }
}

impl Session {
    pub(super) fn ask_new_password(&mut self, policy: &Policy, login: Login, old: Secret) -> Step {
        match login::credential(policy, &self.client, &login).as_deref() {
            Some(Credential::File(_)) => {
                let answer = Answer::secret(AuthenStatus::GetPass, NEW_PROMPT.as_bytes());
                let new = None;
                let next = State::NewPassword(Change { login, old, new });
                self.ask_in_time(policy, answer, next)
            }
            _ => self.no_change(policy, &login),
        }
    }

    /// As [`Session::cannot_change`], once it may be told that the old one was right.
    pub(super) fn no_change(&mut self, policy: &Policy, login: &Login) -> Step {
        self.end(
            policy,
            login,
            Err((NOT_SUPPORTED.to_owned(), NOT_HERE.to_vec())),
        )
    }

    pub(super) fn cannot_change(&self, login: &Login) -> Step {
        let line = self.line(login, "failure", Some(NOT_SUPPORTED));
        let answer = Answer::saying(AuthenStatus::Fail, NOT_HERE);
        Step::Reply(Reply::Authen(answer), Some(line))
    }

    fn ask_new(&mut self, policy: &Policy, change: Change, before: &str) -> Step {
        let prompt = format!("{before}{NEW_PROMPT}");
        let answer = Answer::secret(AuthenStatus::GetPass, prompt.as_bytes());
        self.ask(policy, answer, State::NewPassword(change))
    }

    pub(super) fn new_password(&mut self, policy: &Policy, change: Change, typed: &[u8]) -> Step {
        let Change { login, old, new } = change;
        let Some(new) = new else {
            let wrong = match typed {
                [] => Some("The password is empty.\n"),
                typed if typed.len() > LONGEST => Some("The password is too long.\n"),
                typed if typed.contains(&0) => Some("The password has a zero byte.\n"),
                typed if same(typed, old.expose()) => Some("The password is the old one.\n"),
                _ => None,
            };
            let new = wrong.is_none().then(|| Secret::from_slice(typed));
            let change = Change { login, old, new };
            return match wrong {
                Some(wrong) => self.ask_new(policy, change, wrong),
                None => {
                    let answer = Answer::secret(AuthenStatus::GetPass, AGAIN_PROMPT);
                    self.ask(policy, answer, State::NewPassword(change))
                }
            };
        };
        if !same(typed, new.expose()) {
            let new = None;
            let change = Change { login, old, new };
            return self.ask_new(policy, change, "The passwords are not the same.\n");
        }
        let credential = login::credential(policy, &self.client, &login);
        let Some(Credential::File(path)) = credential.as_deref() else {
            return self.cannot_change(&login);
        };
        let (path, user) = (path.clone(), login.user.clone());
        self.state = State::Changing { login };
        Step::Need(Effect::Change(ChangeRequest {
            path,
            user,
            old,
            new,
        }))
    }

    pub(super) fn changed(&self, login: &Login, done: &Done) -> Step {
        let (status, told, outcome, why): (_, &[u8], _, _) = match done {
            Done::Changed(Changed::Done) => {
                (AuthenStatus::Pass, b"Password changed", "success", None)
            }
            Done::Changed(Changed::Wrong) => {
                let why = Some("another change came between");
                (AuthenStatus::Fail, b"", "failure", why)
            }
            Done::Changed(Changed::NotHere) => {
                let why = Some("the host's own password files are not changed");
                (AuthenStatus::Fail, NOT_HERE, "failure", why)
            }
            _ => {
                let why = Some("the password could not be stored");
                (AuthenStatus::Error, b"", "error", why)
            }
        };
        let answer = Answer::saying(status, told);
        Step::Reply(Reply::Authen(answer), Some(self.line(login, outcome, why)))
    }
}
