//! What the person answers to a server's questions.
//!
//! Owns the order of the sources: what was given beforehand, then standard input if
//! told so, then the terminal. Must never show a prompt with its control characters.

use std::io;
use std::os::unix::ffi::OsStringExt;

use tacacs_common::escape;
use tacacs_common::exchange::authen::{Ask, What};
use tacacs_common::secret::Secret;
use tacacs_common::terminal;

use crate::args::Authenticate;
use crate::exit::Failure;

/// The environment variable with the password.
pub(crate) const VARIABLE: &str = "TACACS_PLUS_PWD";

/// How often a new password may be mistyped.
const ATTEMPTS: u32 = 3;

/// The answers of one authentication.
pub(crate) struct Answers<'a> {
    user: &'a str,
    /// The password, or the old one of a change, until it is used.
    given: Option<Secret>,
    from_stdin: bool,
    change: bool,
    new_asked: bool,
    /// A new password that was typed twice here, until the server wants it again.
    certain: Option<Secret>,
    user_sent: bool,
    /// Why the dialogue was given up.
    failure: Option<Failure>,
}

impl<'a> Answers<'a> {
    pub(crate) fn new(user: &'a str, with: &Authenticate) -> Self {
        let given = match &with.password {
            Some(password) => Some(Secret::from_slice(password.expose())),
            None if with.password_stdin => None,
            None => std::env::var_os(VARIABLE).map(|value| Secret::new(value.into_vec())),
        };
        Self {
            user,
            given,
            from_stdin: with.password_stdin,
            change: with.change_password,
            new_asked: false,
            certain: None,
            user_sent: false,
            failure: None,
        }
    }

    /// The password, for the types that send it at once.
    pub(crate) fn password(&mut self) -> Result<Secret, Failure> {
        if let Some(given) = self.given.take() {
            return Ok(given);
        }
        let prompt = format!("password for {}: ", escape::line(self.user.as_bytes()));
        self.next(&prompt, false)
    }

    /// Why there was no answer, if there was none.
    pub(crate) fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    /// The answer to one question; `None` gives up.
    pub(crate) fn answer(&mut self, ask: &Ask<'_>) -> Option<Secret> {
        // The user's name went out with the START: to type it again is nobody's wish.
        if ask.what == What::User && !self.user_sent {
            self.user_sent = true;
            return Some(Secret::from_slice(self.user.as_bytes()));
        }
        // In a change the old password is asked for with GETDATA, the new one with
        // GETPASS (RFC 8907 section 5.4.2.7).
        let is_for_given = if self.change {
            ask.what == What::Data && !ask.echo
        } else {
            ask.what == What::Pass
        };
        if is_for_given && let Some(given) = self.given.take() {
            return Some(given);
        }
        if let Some(certain) = self.certain.take_if(|_| ask.what == What::Pass)
            && ask.wants_it_again()
        {
            return Some(certain);
        }
        let prompt = self.prompt(ask);
        let answer = if self.change && ask.what == What::Pass {
            self.new_password(&prompt)
        } else {
            self.next(&prompt, ask.echo)
        };
        answer.map_err(|failure| self.failure = Some(failure)).ok()
    }

    fn prompt(&self, ask: &Ask<'_>) -> String {
        if !ask.prompt.is_empty() {
            return escape::text(ask.prompt);
        }
        match ask.what {
            What::User => "user name: ".to_owned(),
            What::Pass if self.change => "new password: ".to_owned(),
            _ => format!("password for {}: ", escape::line(self.user.as_bytes())),
        }
    }

    /// The first time, it is typed twice. A server that asks once more either wants it
    /// confirmed itself, and gets it without another question, or refused it.
    fn new_password(&mut self, prompt: &str) -> Result<Secret, Failure> {
        let confirm = !std::mem::replace(&mut self.new_asked, true) && !self.from_stdin;
        for _ in 0..ATTEMPTS {
            let new = self.next(prompt, false)?;
            if !confirm {
                return Ok(new);
            }
            let again = self.next("the same again: ", false)?;
            if again.expose() == new.expose() {
                self.certain = Some(again);
                return Ok(new);
            }
            crate::warn("the two were not the same");
        }
        Err(Failure::usage(
            "the new password was not typed twice the same",
        ))
    }

    fn next(&mut self, prompt: &str, echo: bool) -> Result<Secret, Failure> {
        if self.from_stdin {
            return terminal::read_line(io::stdin()).map_err(|error| {
                let asked = escape::line(prompt.as_bytes());
                Failure::usage(format!(
                    "no line on standard input answers '{asked}': {error}"
                ))
            });
        }
        let answer = if echo {
            terminal::ask_shown(prompt)
        } else {
            terminal::ask_hidden(prompt)
        };
        answer.map_err(|error| {
            let asked = escape::line(prompt.trim_end().as_bytes());
            Failure::usage(format!(
                "no terminal to answer '{asked}' on ({error}): set {VARIABLE}, or give the answers with --password-stdin, one a line"
            ))
        })
    }
}
