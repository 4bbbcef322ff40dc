//! What a server's connection is given and what it tells.

use core::fmt;

use crate::packet::{
    AcctRequest, AuthenContinue, AuthenStart, AuthorRequest, DEFAULT_MAX_BODY, Error, Version,
};

/// What a connection may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest body in bytes; a larger one is refused before it is read.
    pub max_body: u32,
    /// Sessions that run at the same time.
    pub sessions: usize,
    /// Whether single connection mode is agreed to.
    pub single_connect: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body: DEFAULT_MAX_BODY,
            sessions: 128,
            single_connect: true,
        }
    }
}

/// A decoded request.
pub enum Request<'a> {
    /// An authentication begins.
    Start(AuthenStart<'a>),
    /// An authentication goes on.
    Continue(AuthenContinue<'a>),
    /// May this be done?
    Author(AuthorRequest<'a>),
    /// A record to store.
    Acct(AcctRequest<'a>),
}

/// What came in.
pub enum Event<'a, S> {
    /// A request of a session. To be answered with [`reply`](super::Connection::reply) or
    /// ended with [`end`](super::Connection::end).
    Request {
        /// Which session.
        session_id: u32,
        /// The packet's version byte.
        version: Version,
        /// The caller's state of the session; empty at its first packet.
        state: &'a mut Option<S>,
        /// Decoded; its values are still to be checked.
        request: Request<'a>,
    },
    /// Something that is no request. It has been answered if it gets an answer;
    /// this is for the log.
    Refused(Refusal),
}

/// Why a packet is not handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Something is wrong with its header, or on a connection that needs no secret with
    /// its body.
    Packet(Error),
    /// Under none of the client's secrets it makes sense: most often there is another one
    /// at the other end, or none.
    Secret(Error),
    /// Its session_id has been used too often. The body was not looked at.
    Replayed,
    /// The connection takes no new sessions: single connection mode was not
    /// agreed, or the secret was wrong before. The packet was not looked at.
    NoNewSession,
    /// As many sessions run as may.
    TooManySessions,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packet(error) | Self::Secret(error) => error.fmt(f),
            Self::Replayed => f.write_str("its session_id has been used too often"),
            Self::NoNewSession => f.write_str("the connection takes no new sessions"),
            Self::TooManySessions => f.write_str("too many sessions on one connection"),
        }
    }
}
