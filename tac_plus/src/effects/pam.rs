//! Dialogues with PAM: each has a thread, because its modules block.
//!
//! Owns the way of a question to the user and of the answer back. The first question
//! that is not shown gets the password that was asked for already.

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use tacacs_common::secret::Secret;

use super::inbox::Ticket;
use crate::policy::{Done, PamRequest, PamSays};
use crate::sys::pam::{self, Conversation, Refused, Subject};

/// How long a user may take; sessions end before this where less is configured.
const PATIENCE: Duration = Duration::from_secs(600);
/// As much of what modules say is shown.
const TOLD: usize = 4096;

/// Whoever waits for the answer to a question. Dropped, the dialogue ends.
pub struct Dialogue(Sender<(Secret, Ticket)>);

impl Dialogue {
    /// Gives the answer; the ticket tells what PAM says to it.
    pub(super) fn answer(self, answer: Secret, ticket: Ticket) {
        // A dialogue that is over drops the ticket, which says "failed".
        let _ = self.0.send((answer, ticket));
    }

    /// One that nobody waits in.
    #[cfg(test)]
    pub(crate) fn with_nobody() -> Self {
        Self(channel().0)
    }

    /// One whose answers go here.
    #[cfg(test)]
    pub(crate) fn waiting(answers: Sender<(Secret, Ticket)>) -> Self {
        Self(answers)
    }
}

struct Talk {
    password: Option<Secret>,
    may_ask: bool,
    /// Where the next result goes; none while the user is asked.
    ticket: Option<Ticket>,
    told: Vec<u8>,
    /// Why the dialogue cannot go on.
    trouble: Option<&'static str>,
}

/// Has a whole dialogue.
pub(super) fn converse(request: PamRequest, ticket: Ticket) {
    let PamRequest {
        service,
        user,
        port,
        rem_addr,
        password,
        may_ask,
    } = request;
    let subject = Subject {
        service: &service,
        user: &user,
        tty: &port,
        rhost: &rem_addr,
    };
    let mut talk = Talk {
        password: Some(password),
        may_ask,
        ticket: Some(ticket),
        told: Vec::new(),
        trouble: None,
    };
    let result = pam::authenticate(&subject, &mut talk);
    let Some(ticket) = talk.ticket else {
        return;
    };
    let says = match (result, talk.trouble) {
        (Ok(()), _) => PamSays::Yes(talk.told),
        (Err(_), Some(trouble)) => PamSays::No(trouble.to_owned(), talk.told),
        (Err(Refused::No(why)), None) => PamSays::No(why, talk.told),
        (Err(Refused::Undecided(why)), None) => PamSays::Nothing(why),
    };
    ticket.done(Done::Pam(says));
}

impl Conversation for Talk {
    fn answer(&mut self, prompt: &[u8], echo: bool) -> Option<Secret> {
        if !echo && let Some(password) = self.password.take() {
            return Some(password);
        }
        if !self.may_ask {
            self.trouble = Some("a question that this kind of login cannot ask");
            return None;
        }
        let (sender, answers) = channel();
        let mut words = std::mem::take(&mut self.told);
        if !words.is_empty() {
            words.push(b'\n');
        }
        words.extend_from_slice(&text(prompt));
        self.ticket.take()?.done(Done::Pam(PamSays::Ask {
            prompt: words,
            echo,
            dialogue: Dialogue(sender),
        }));
        let (answer, ticket) = answers.recv_timeout(PATIENCE).ok()?;
        self.ticket = Some(ticket);
        Some(answer)
    }

    fn tell(&mut self, message: &[u8]) {
        if self.told.len() > TOLD {
            return;
        }
        if !self.told.is_empty() {
            self.told.push(b'\n');
        }
        self.told.extend_from_slice(&text(message));
    }
}

/// A module's words, fit for a REPLY (RFC 8907 section 3.7).
fn text(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let harmless = |c: char| match c {
        '\n' | '\t' => c,
        c if c.is_control() => ' ',
        c => c,
    };
    let harmless: String = text.chars().take(TOLD).map(harmless).collect();
    harmless.into_bytes()
}
