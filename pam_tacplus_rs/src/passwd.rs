//! chauthtok: one CHPASS dialogue at a server. The server asks for the old password
//! with GETDATA and for the new one with GETPASS (RFC 8907 section 5.4.2).

use tacacs_common::client::Way;
use tacacs_common::config::{Config, FirstPass};
use tacacs_common::escape;
use tacacs_common::exchange::authen::{Ask, What, Who};
use tacacs_common::outcome::{Denial, DenyReason, Outcome, Unreachable};
use tacacs_common::packet::{AuthenService, PrivLvl};
use tacacs_common::secret::Secret;

use crate::call::{Call, Person};
use crate::handle::{Level, Note, Token};
use crate::login::log_denial;
use crate::outcome::End;
use crate::{outage, talk};

/// How often the two entries of a new password may differ.
const TRIES: u32 = 3;

/// The first round: all modules say whether they could. Asks nobody and sends
/// nothing.
pub(crate) fn prelim(call: &mut Call<'_>) -> End {
    let (config, person) = match call.begin() {
        Ok(begun) => begun,
        Err(end) => return end,
    };
    let askable = config.global.agent.is_some()
        || config
            .servers
            .iter()
            .any(|server| server.roles.authentication);
    if askable {
        End::Pass
    } else {
        outage::end(
            call,
            &config,
            &person,
            "password change",
            &Unreachable::default(),
        )
    }
}

/// The second round: the change.
pub(crate) fn update(call: &mut Call<'_>) -> End {
    run(call).unwrap_or_else(|end| end)
}

fn run(call: &mut Call<'_>) -> Result<End, End> {
    let (config, person) = call.begin()?;
    let who = Who {
        user: &person.user,
        port: &person.port,
        rem_addr: &person.rem_addr,
        priv_lvl: PrivLvl::USER,
        service: AuthenService::Login,
    };
    let mut client = call.client(&config);
    let mut answers = Answers {
        call,
        person: &person,
        config: &config,
        old: None,
        new: None,
        certain: false,
        given_up: None,
    };
    let outcome = client.authenticate(&who, Way::ChangePassword, &mut |question| {
        answers.to(question)
    });
    let Answers {
        call,
        old,
        new,
        given_up,
        ..
    } = answers;
    call.log_passed_over(&mut client);
    Ok(match outcome {
        Outcome::Pass(accepted) => {
            let server = escape::line(accepted.server.as_bytes());
            let name = person.name();
            call.log(
                Level::Info,
                &format!("password of {name} changed at server {server}"),
            );
            for (token, password) in [(Token::OldPassword, old), (Token::Password, new)] {
                if let Some(password) = password {
                    call.handle.set_token(token, &password);
                }
            }
            talk::tell(call, Note::Info, &accepted.server_msg);
            End::Pass
        }
        Outcome::Deny(denial) => match given_up {
            Some(end) => {
                let name = person.name();
                call.log(
                    Level::Notice,
                    &format!("password change of {name} given up"),
                );
                end
            }
            None => denied(call, &person, &denial),
        },
        Outcome::Unreachable(why) => outage::end(call, &config, &person, "password change", &why),
    })
}

fn denied(call: &mut Call<'_>, person: &Person, denial: &Denial) -> End {
    log_denial(call, person, "password change", denial);
    talk::tell(call, Note::Error, &denial.server_msg);
    match denial.reason {
        DenyReason::TooManyRounds => End::TooManyRounds,
        _ => End::Refused,
    }
}

/// Finds the answers to a server's questions, and keeps both passwords for the
/// modules that follow.
struct Answers<'a, 'b> {
    call: &'a mut Call<'b>,
    person: &'a Person,
    config: &'a Config,
    old: Option<Secret>,
    new: Option<Secret>,
    /// The new one is certain, and the server has not asked for it again yet.
    certain: bool,
    given_up: Option<End>,
}

impl Answers<'_, '_> {
    fn to(&mut self, question: &Ask<'_>) -> Option<Secret> {
        let answer = match question.what {
            What::User => Ok(Secret::from_slice(self.person.user.as_bytes())),
            What::Data if self.old.is_none() => self.old_password(question),
            What::Pass if self.new.is_none() => self.new_password(question),
            // A policy's complaint, or one more question: its words are the server's.
            What::Data => talk::ask(self.call, question, "Answer: "),
            What::Pass => self.again(question),
        };
        answer.map_err(|end| self.given_up = Some(end)).ok()
    }

    fn old_password(&mut self, question: &Ask<'_>) -> Result<Secret, End> {
        let known = self
            .call
            .handle
            .token(Token::OldPassword)
            .filter(|token| !token.is_empty());
        let old = match known {
            Some(old) => old,
            // An old password is hidden, whatever the server's flag says.
            None => talk::ask(self.call, &hidden(question), "Current password: ")?,
        };
        let old = talk::checked(self.call, old)?;
        self.old = Some(Secret::from_slice(old.expose()));
        Ok(old)
    }

    fn new_password(&mut self, question: &Ask<'_>) -> Result<Secret, End> {
        let new = match self.config.global.pass {
            FirstPass::None => None,
            FirstPass::Try | FirstPass::Use => self
                .call
                .handle
                .token(Token::Password)
                .filter(|token| !token.is_empty()),
        };
        let new = match new {
            Some(new) => new,
            None if self.config.global.pass == FirstPass::Use => return Err(End::Refused),
            None => self.twice(question)?,
        };
        self.certain = true;
        self.remember(new)
    }

    /// The server refused it, or wants to be certain itself. The person has typed it
    /// twice by now, here or in another module.
    fn again(&mut self, question: &Ask<'_>) -> Result<Secret, End> {
        if std::mem::take(&mut self.certain)
            && question.wants_it_again()
            && let Some(new) = &self.new
        {
            return Ok(Secret::from_slice(new.expose()));
        }
        let new = talk::ask(self.call, question, "New password: ")?;
        self.remember(new)
    }

    fn remember(&mut self, new: Secret) -> Result<Secret, End> {
        let new = talk::checked(self.call, new)?;
        self.new = Some(Secret::from_slice(new.expose()));
        Ok(new)
    }

    /// Nobody sees what is typed, so it is typed twice.
    fn twice(&mut self, question: &Ask<'_>) -> Result<Secret, End> {
        let repeat = Ask {
            prompt: b"Retype new password: ",
            ..*question
        };
        for _ in 0..TRIES {
            let new = talk::ask(self.call, question, "New password: ")?;
            let retyped = talk::ask(self.call, &repeat, "")?;
            if new.expose() == retyped.expose() {
                return Ok(new);
            }
            talk::tell(self.call, Note::Error, b"Sorry, passwords do not match.");
        }
        Err(End::TooManyRounds)
    }
}

fn hidden<'q>(question: &Ask<'q>) -> Ask<'q> {
    Ask {
        echo: false,
        ..*question
    }
}

#[cfg(test)]
mod tests;
