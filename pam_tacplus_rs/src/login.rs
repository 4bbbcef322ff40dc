//! authenticate: is this who it claims to be?

use tacacs_common::client::{Accepted, Client, Way};
use tacacs_common::config::{Config, LoginKind};
use tacacs_common::escape;
use tacacs_common::exchange::authen::{Ask, What, Who};
use tacacs_common::outcome::{Denial, DenyReason, Outcome};
use tacacs_common::packet::{AuthenService, AuthenType, PrivLvl};
use tacacs_common::secret::Secret;

use crate::call::{Call, Person};
use crate::handle::{Level, Login, Note};
use crate::outcome::End;
use crate::{outage, talk};

/// `pam_sm_authenticate`.
pub(crate) fn authenticate(call: &mut Call<'_>) -> End {
    call.memory.login = None;
    call.memory.denied = None;
    call.memory.granted = None;
    // Before anything is known: the wait must not tell who is asked about, nor what of
    // a password and a second factor was wrong.
    call.delay_refusals();
    run(call).unwrap_or_else(|end| end)
}

fn run(call: &mut Call<'_>) -> Result<End, End> {
    let (config, person) = call.begin()?;
    let kind = config.global.login;
    call.debug(|| format!("authentication of {} ({})", person.name(), way_name(kind)));
    let (outcome, mut client, given_up) = if kind == LoginKind::Ascii {
        dialogue(call, &config, &person)?
    } else {
        at_once(call, &config, &person)?
    };
    call.log_passed_over(&mut client);
    match outcome {
        Outcome::Pass(accepted) => {
            call.keep(client);
            Ok(passed(call, &person, kind, &accepted))
        }
        Outcome::Deny(denial) => Ok(given_up.unwrap_or_else(|| denied(call, &person, &denial))),
        Outcome::Unreachable(why) => {
            call.keep(client);
            Ok(outage::end(call, &config, &person, "authentication", &why))
        }
    }
}

type Asked<'c> = (Outcome<Accepted>, Client<'c>, Option<End>);

/// The password first, then one packet with it.
fn at_once<'c>(call: &mut Call<'_>, config: &'c Config, person: &Person) -> Result<Asked<'c>, End> {
    let password =
        talk::password(call, &config.global).inspect_err(|end| nothing(call, person, *end))?;
    let way = match config.global.login {
        LoginKind::Chap => Way::Chap(&password),
        LoginKind::Mschap => Way::MsChap(&password),
        LoginKind::Mschapv2 => Way::MsChapV2(&password),
        LoginKind::Pap | LoginKind::Ascii => Way::Pap(&password),
    };
    let mut client = call.client(config);
    let outcome = client.authenticate(&who(person), way, &mut |_| None);
    Ok((outcome, client, None))
}

/// The server leads. What it asks is put to the person, except for what the stack
/// knows already, or what the person was asked with a prompt of the configuration: then
/// no connection waits while the person types.
fn dialogue<'c>(
    call: &mut Call<'_>,
    config: &'c Config,
    person: &Person,
) -> Result<Asked<'c>, End> {
    let first = match config.global.prompt {
        Some(_) => talk::password(call, &config.global).map(Some),
        None => talk::first_pass(call, &config.global)
            .and_then(|first| first.map(|token| talk::checked(call, token)).transpose()),
    };
    let first = first.inspect_err(|end| nothing(call, person, *end))?;
    let mut client = call.client(config);
    let mut answers = Answers {
        call,
        person,
        first,
        passwords: 0,
        given_up: None,
    };
    let outcome = client.authenticate(&who(person), Way::Ascii, &mut |question| {
        answers.to(question)
    });
    let given_up = answers.given_up;
    if let Some(end) = given_up {
        nothing(call, person, end);
    }
    Ok((outcome, client, given_up))
}

/// Finds the answers to a server's questions.
struct Answers<'a, 'b> {
    call: &'a mut Call<'b>,
    person: &'a Person,
    /// The password that the stack has, until it is used: a second question is
    /// about something else.
    first: Option<Secret>,
    passwords: u32,
    given_up: Option<End>,
}

impl Answers<'_, '_> {
    fn to(&mut self, question: &Ask<'_>) -> Option<Secret> {
        self.call.debug(|| {
            let shown = if question.echo { "shown" } else { "hidden" };
            format!("the server asks for {} ({shown})", asked_for(question.what))
        });
        let answer = match question.what {
            What::User => Ok(Secret::from_slice(self.person.user.as_bytes())),
            What::Pass => self.password(question),
            What::Data => talk::ask(self.call, question, "Answer: "),
        };
        answer.map_err(|end| self.given_up = Some(end)).ok()
    }

    fn password(&mut self, question: &Ask<'_>) -> Result<Secret, End> {
        if let Some(first) = self.first.take() {
            self.passwords = self.passwords.saturating_add(1);
            return Ok(first);
        }
        self.passwords = self.passwords.saturating_add(1);
        if self.passwords > 1 {
            // A code, or a retry: nothing that other modules should take for the
            // password.
            let answer = talk::ask(self.call, question, talk::PROMPT)?;
            return talk::checked(self.call, answer);
        }
        talk::ask_password(self.call, &talk::prompt(question, talk::PROMPT))
    }
}

const fn asked_for(what: What) -> &'static str {
    match what {
        What::User => "the user name",
        What::Pass => "a password",
        What::Data => "more data",
    }
}

/// A login is for an ordinary session: authen_service LOGIN, whatever the program.
/// ENABLE would have the server check a level's password and not the person's.
fn who(person: &Person) -> Who<'_> {
    Who {
        user: &person.user,
        port: &person.port,
        rem_addr: &person.rem_addr,
        priv_lvl: PrivLvl::USER,
        service: AuthenService::Login,
    }
}

fn passed(call: &mut Call<'_>, person: &Person, kind: LoginKind, accepted: &Accepted) -> End {
    let server = escape::line(accepted.server.as_bytes());
    call.log(
        Level::Info,
        &format!(
            "authentication of {} passed at server {server}",
            person.name()
        ),
    );
    call.memory.login = Some(Login {
        user: person.user.clone(),
        authen_type: authen_type(kind),
    });
    talk::tell(call, Note::Info, &accepted.server_msg);
    End::Pass
}

fn denied(call: &mut Call<'_>, person: &Person, denial: &Denial) -> End {
    call.memory.denied = Some(person.user.clone());
    log_denial(call, person, "authentication", denial);
    talk::tell(call, Note::Error, &denial.server_msg);
    match denial.reason {
        DenyReason::TooManyRounds => End::TooManyRounds,
        _ => End::Refused,
    }
}

/// A refusal, in one line.
pub(crate) fn log_denial(call: &Call<'_>, person: &Person, what: &str, denial: &Denial) {
    let reason = escape::line(denial.reason.to_string().as_bytes());
    let at = if denial.server.is_empty() {
        String::new()
    } else {
        format!(" at server {}", escape::line(denial.server.as_bytes()))
    };
    call.log(
        Level::Notice,
        &format!("{what} of {} denied{at}: {reason}", person.name()),
    );
}

/// The end of a login in which no password was sent.
fn nothing(call: &Call<'_>, person: &Person, end: End) {
    let why = match end {
        End::NoAnswer => "no answer from the person",
        _ => "no password that could be sent",
    };
    call.log(
        Level::Notice,
        &format!("authentication of {} given up: {why}", person.name()),
    );
}

const fn authen_type(kind: LoginKind) -> AuthenType {
    match kind {
        LoginKind::Pap => AuthenType::Pap,
        LoginKind::Chap => AuthenType::Chap,
        LoginKind::Ascii => AuthenType::Ascii,
        LoginKind::Mschap => AuthenType::MsChap,
        LoginKind::Mschapv2 => AuthenType::MsChapV2,
    }
}

fn way_name(kind: LoginKind) -> &'static str {
    authen_type(kind).name().unwrap_or("?")
}

#[cfg(test)]
mod tests;
