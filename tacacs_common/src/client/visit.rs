//! One operation at one server, on a connection that is there: what is sent, and
//! what the answer comes to.
//!
//! Owns the translation of a server's words into the three outcomes. Must never
//! choose a server.

use std::time::Duration;

use super::budget::Budget;
use super::link::{Fault, Link, LinkSession, ReplyLimit};
use super::{Accepted, Authorized, Trouble, Way, random};
use crate::config::Server;
use crate::escape;
use crate::exchange::authen::{Ask, Authentication, End, How, Step, What, Who};
use crate::outcome::DenyReason;
use crate::packet::{
    AcctReply, AcctStatus, AuthenContinue, AuthenReply, AuthorReply, AuthorStatus, Body, Error,
    PacketType, Version,
};
use crate::secret::Secret;

/// Bytes of an ERROR's words that are kept: a server may send 64 KiB of them.
const ERROR_SHOWN: usize = 256;

/// What an attempt at one server came to.
pub(super) enum Visit<T> {
    /// The server decided.
    Settled(Result<T, (DenyReason, Vec<u8>)>),
    /// The next server's turn.
    Next(Trouble),
}

impl<T> Visit<T> {
    pub(super) fn deny(reason: DenyReason, server_msg: &[u8]) -> Self {
        Self::Settled(Err((reason, server_msg.to_vec())))
    }

    pub(super) const fn trouble(&self) -> Option<&Trouble> {
        match self {
            Self::Settled(_) => None,
            Self::Next(trouble) => Some(trouble),
        }
    }

    /// Whether the server decided, and not this host before it asked.
    pub(super) const fn was_answered(&self) -> bool {
        use DenyReason::{NoSlot, Uncounted, Unsendable};
        match self {
            Self::Settled(Err((NoSlot | Uncounted(_) | Unsendable(_), _))) | Self::Next(_) => false,
            Self::Settled(_) => true,
        }
    }

    /// With `asked` the server has put a question, so it was alive a moment ago: the next
    /// try finds out whether it still is. Otherwise whoever can wait, or make servers end
    /// what waits, would go on to what the host does without them.
    pub(super) fn fault(fault: Fault, asked: bool) -> Self {
        match fault {
            Fault::Unsendable(error) => Self::deny(DenyReason::Unsendable(error), b""),
            Fault::Flag(_) => Self::deny(DenyReason::FlagMismatch, b""),
            Fault::Trouble(trouble) if asked => {
                Self::deny(DenyReason::BrokenOff(trouble.to_string()), b"")
            }
            Fault::Trouble(trouble) => Self::Next(trouble),
        }
    }
}

/// Makes up what a challenge needs, anew for each server.
pub(super) fn challenge(way: Way<'_>) -> std::io::Result<How<'_>> {
    Ok(match way {
        Way::Ascii => How::Ascii,
        Way::ChangePassword => How::ChangePassword,
        Way::Pap(password) => How::Pap(password),
        Way::Chap(password) => {
            let [id] = random::fill()?;
            How::Chap {
                password,
                id,
                challenge: random::fill()?,
            }
        }
        Way::MsChap(password) => {
            let [id] = random::fill()?;
            How::MsChap {
                password,
                id,
                challenge: random::fill()?,
            }
        }
        Way::MsChapV2(password) => {
            let [id] = random::fill()?;
            let challenge = random::fill()?;
            How::MsChapV2 {
                password,
                id,
                challenge,
                peer_challenge: random::fill()?,
            }
        }
    })
}

/// One authentication at one server.
pub(super) fn authenticate_at(
    link: &mut Link,
    server: &Server,
    budget: &mut Budget,
    slow: Duration,
    who: &Who<'_>,
    how: &How<'_>,
    ask: &mut dyn FnMut(&Ask<'_>) -> Option<Secret>,
) -> Visit<Accepted> {
    let limit = if Authentication::sent_password(how) {
        ReplyLimit::Slow(slow)
    } else {
        ReplyLimit::Quick
    };
    let started = Authentication::start(who, how, |start, version| {
        let mut session = link.session(PacketType::Authen, version)?;
        let body = session.ask(start, limit, server.timeout, budget)?;
        Ok((session, body))
    });
    let (mut dialogue, (mut session, mut body)) = match started {
        Ok(started) => started,
        Err(fault) => return Visit::fault(fault, false),
    };
    let mut asked = false;
    loop {
        let reply = match AuthenReply::decode(&body) {
            Ok(reply) => reply,
            Err(error) => {
                return Visit::fault(Fault::Trouble(unreadable(server, error)), asked);
            }
        };
        let question = match dialogue.on_reply(&reply) {
            Step::Done(end) => return ended(end, server, &reply, asked),
            Step::Ask(question) => question,
        };
        asked = true;
        let Some(answer) = ask(&question) else {
            abort(&mut session, server, budget);
            return Visit::deny(DenyReason::Aborted, b"");
        };
        let next = AuthenContinue {
            user_msg: answer.expose(),
            data: b"",
            abort: false,
        };
        // Behind a name, which nobody typed, no telephone has to be waited for.
        let limit = match question.what {
            What::User => ReplyLimit::Quick,
            What::Pass | What::Data => ReplyLimit::Slow(slow),
        };
        body = match session.ask(&next, limit, server.timeout, budget) {
            Ok(body) => body,
            Err(fault) => return Visit::fault(fault, asked),
        };
    }
}

fn abort(session: &mut LinkSession<'_>, server: &Server, budget: &mut Budget) {
    let abort = AuthenContinue {
        user_msg: b"",
        data: b"",
        abort: true,
    };
    // Nothing depends on it: the server would find out by itself.
    let _ = session.tell(&abort, server.timeout, budget);
}

fn ended(end: End, server: &Server, reply: &AuthenReply<'_>, asked: bool) -> Visit<Accepted> {
    let reason = match end {
        End::Pass => {
            let server_msg = reply.server_msg.to_vec();
            return Visit::Settled(Ok(Accepted {
                server: server.name.clone(),
                server_msg,
            }));
        }
        End::Fail => DenyReason::Fail,
        End::Follow => DenyReason::Follow,
        End::Restart => DenyReason::Restart,
        End::TooManyRounds => DenyReason::TooManyRounds,
        End::Error => {
            let error = server_error(reply.data, reply.server_msg);
            return Visit::fault(error.into(), asked);
        }
        End::Protocol => return Visit::fault(Trouble::Protocol.into(), asked),
    };
    Visit::deny(reason, reply.server_msg)
}

/// An exchange of one request and one reply.
pub(super) fn once<'b, B: Body<'b>>(
    link: &mut Link,
    request: &B,
    server: &Server,
    budget: &mut Budget,
) -> Result<Vec<u8>, Fault> {
    let mut session = link.session(B::TYPE, Version::DEFAULT)?;
    session.ask(request, ReplyLimit::Quick, server.timeout, budget)
}

pub(super) fn authorized(server: &Server, reply: &AuthorReply<'_>) -> Visit<Authorized> {
    match (reply.status, reply.check()) {
        (AuthorStatus::PassAdd | AuthorStatus::PassRepl, Ok(())) => {
            Visit::Settled(Ok(Authorized {
                server: server.name.clone(),
                status: reply.status,
                args: reply.args.into(),
                server_msg: reply.server_msg.to_vec(),
                data: reply.data.to_vec(),
            }))
        }
        (AuthorStatus::PassAdd | AuthorStatus::PassRepl, Err(error)) => {
            use crate::exchange::author::Refusal;
            Visit::deny(
                DenyReason::Refusal(Refusal::Malformed(error)),
                reply.server_msg,
            )
        }
        (AuthorStatus::Fail, _) => Visit::deny(DenyReason::Fail, reply.server_msg),
        (AuthorStatus::Follow, _) => Visit::deny(DenyReason::Follow, reply.server_msg),
        (AuthorStatus::Error, _) => Visit::Next(server_error(reply.data, reply.server_msg)),
        (AuthorStatus::Unknown(_), _) => Visit::Next(Trouble::Status),
    }
}

pub(super) fn accounted(server: &Server, reply: &AcctReply<'_>) -> Visit<Accepted> {
    match reply.status {
        AcctStatus::Success => Visit::Settled(Ok(Accepted {
            server: server.name.clone(),
            server_msg: reply.server_msg.to_vec(),
        })),
        AcctStatus::Error => Visit::Next(server_error(reply.data, reply.server_msg)),
        AcctStatus::Follow | AcctStatus::Unknown(_) => Visit::Next(Trouble::Status),
    }
}

fn server_error(data: &[u8], server_msg: &[u8]) -> Trouble {
    let words = if data.is_empty() { server_msg } else { data };
    let shown = words.get(..ERROR_SHOWN).unwrap_or(words);
    Trouble::ServerError(escape::line(shown))
}

pub(super) fn unreadable(server: &Server, error: Error) -> Trouble {
    if server.secret.is_some() && error.suggests_wrong_secret() {
        Trouble::WrongSecret(error)
    } else {
        Trouble::Malformed(error)
    }
}

/// The body of an accounting REQUEST that was encoded before.
pub(super) struct Record<'r>(pub(super) &'r [u8]);

impl<'a> Body<'a> for Record<'a> {
    const TYPE: PacketType = PacketType::Acct;

    fn decode(body: &'a [u8]) -> Result<Self, Error> {
        Ok(Self(body))
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        out.extend_from_slice(self.0);
        Ok(())
    }
}
