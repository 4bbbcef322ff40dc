//! The three outcomes of asking a server. Never two: a denial ends everything, a
//! server that cannot be reached lets the next one speak (RFC 8907 section 4.4).

use core::fmt;

use crate::client::Trouble;
use crate::exchange::author::Refusal;
use crate::packet::Error;

/// How an operation ended.
#[must_use]
#[derive(Debug)]
pub enum Outcome<T> {
    /// A server approved.
    Pass(T),
    /// A server refused, or what it said has to be taken as a refusal. No other
    /// server is asked and nothing may fall back.
    Deny(Denial),
    /// No server gave an answer that counts.
    Unreachable(Unreachable),
}

impl<T> Outcome<T> {
    /// Whether this is [`Outcome::Pass`].
    pub const fn is_pass(&self) -> bool {
        matches!(self, Self::Pass(_))
    }
}

/// A refusal.
#[derive(Debug)]
pub struct Denial {
    /// The server's name in the configuration; empty if none was asked.
    pub server: String,
    /// Why.
    pub reason: DenyReason,
    /// The server's words for the user, as they came: escape them.
    pub server_msg: Vec<u8>,
}

/// Why something is denied.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DenyReason {
    /// The server said FAIL.
    Fail,
    /// The server said FOLLOW, which is deprecated.
    Follow,
    /// The server wants another way of authenticating.
    Restart,
    /// The reply's UNENCRYPTED flag does not fit the connection: somebody else
    /// may be answering (RFC 8907 section 10.5.2).
    FlagMismatch,
    /// The server asked more often than a login takes.
    TooManyRounds,
    /// The person gave up.
    Aborted,
    /// The dialogue ended, after a question of the server, without a result: why, for
    /// the log.
    BrokenOff(String),
    /// As many dialogues wait at the server as may: nothing was sent.
    NoSlot,
    /// It cannot be known how many dialogues wait at the server: nothing was sent.
    Uncounted(String),
    /// The request cannot be put in a packet without cutting it.
    Unsendable(Error),
    /// An approval that cannot be acted on.
    Refusal(Refusal),
}

impl fmt::Display for DenyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fail => f.write_str("the server refused"),
            Self::Follow => f.write_str("the server answered FOLLOW, which counts as a refusal"),
            Self::Restart => f.write_str(
                "the server wants another authentication type, see 'login' in tacplus.conf",
            ),
            Self::FlagMismatch => f.write_str(
                "the reply's UNENCRYPTED flag does not fit the connection: possible forgery",
            ),
            Self::TooManyRounds => f.write_str("the server asked too many questions"),
            Self::Aborted => f.write_str("the dialogue was given up"),
            Self::BrokenOff(why) => write!(f, "the dialogue broke off: {why}; try again"),
            Self::NoSlot => f.write_str(
                "not asked, since as many dialogues wait there as 'dialogues' in tacplus.conf allows",
            ),
            Self::Uncounted(why) => {
                write!(f, "not asked, since waiting dialogues cannot be counted: {why}")
            }
            Self::Unsendable(error) => write!(f, "the request cannot be sent: {error}"),
            Self::Refusal(refusal) => refusal.fmt(f),
        }
    }
}

/// No answer that counts, and what happened at each server that was tried.
#[derive(Debug, Default)]
pub struct Unreachable {
    /// Server name and trouble, in the order they were tried. Empty if no server
    /// is configured for this.
    pub tried: Vec<(String, Trouble)>,
    /// Somebody on this host may have brought it about, while the servers are well: by
    /// using up what all share, or as the caller of this setuid program
    /// ([`Client::distrusting_its_caller`](crate::client::Client::distrusting_its_caller)).
    pub provoked: bool,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.tried.is_empty() {
            return f.write_str("no server is configured for this");
        }
        for (index, (server, trouble)) in self.tried.iter().enumerate() {
            let comma = if index == 0 { "" } else { "; " };
            write!(f, "{comma}{server}: {trouble}")?;
        }
        Ok(())
    }
}
