//! What can go wrong between a client and one server without being a denial.

use std::fmt;
use std::io;

use crate::config;
use crate::exchange::NotOurs;
use crate::packet::Error;

/// Why a server gave no answer that counts.
#[derive(Debug)]
#[non_exhaustive]
pub enum Trouble {
    /// Its name has no address now.
    Resolve(io::Error),
    /// No answer within the limit to what addresses its name has.
    ResolveTimeout {
        /// As for [`ConnectTimeout`](Self::ConnectTimeout), or it is not known.
        late: bool,
    },
    /// It could not be connected to.
    Connect(io::Error),
    /// No connection within the limit.
    ConnectTimeout {
        /// This process is at fault: it left the server hardly any time, or woke
        /// up long after the limit.
        late: bool,
    },
    /// Something on this host, not the server: no descriptor, no such device or
    /// source address.
    Local(&'static str, io::Error),
    /// A Unix socket that belongs to neither root nor the agent's user.
    Peer {
        /// Whose process listens.
        uid: u32,
    },
    /// The server's secret cannot be read.
    Config(config::Error),
    /// A server on plain TCP without a secret: a password would cross the network
    /// in clear (RFC 8907 section 10.5.2).
    NoSecret,
    /// A TLS server, in a program that leaves TLS to the agent.
    NoTlsHere,
    /// The connection broke.
    Io(io::Error),
    /// The server closed the connection before it had answered.
    Closed,
    /// No complete reply in time.
    NoReply,
    /// The reply cannot be read with this secret.
    WrongSecret(Error),
    /// The reply is malformed.
    Malformed(Error),
    /// The reply is not the answer to what was sent.
    NotOurs(NotOurs),
    /// The server answered ERROR; its `data` for the log, escaped.
    ServerError(String),
    /// The server answered with a bare header: it did not understand the packet
    /// (RFC 8907 section 3.6).
    HeaderOnly,
    /// A question or a status that this way of logging in does not have.
    Protocol,
    /// An authorization or a record was answered with a status that is no answer:
    /// an unknown one, or FOLLOW, which is deprecated.
    Status,
    /// The operation's deadline was used up before this server's turn.
    NoTime,
    /// It is held down, and this login has tried it in vain already.
    HeldDown,
}

impl Trouble {
    /// Whether the server is to be passed over for a while. Only what the server
    /// or the way to it is at fault for: never this host's own shortages, and
    /// never a wait that this process overslept.
    pub(super) fn holds_down(&self) -> bool {
        match self {
            Self::Connect(_) | Self::WrongSecret(_) => true,
            Self::ConnectTimeout { late } | Self::ResolveTimeout { late } => !late,
            Self::Io(error) => error.kind() == io::ErrorKind::ConnectionReset,
            _ => false,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(error) => write!(f, "its name cannot be resolved: {error}"),
            Self::ResolveTimeout { .. } => {
                f.write_str("its name cannot be resolved: no answer in time")
            }
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::ConnectTimeout { .. } => f.write_str("cannot connect: no answer in time"),
            Self::Local(what, error) => write!(f, "{what}: {error}"),
            Self::Peer { uid } => write!(
                f,
                "the socket belongs to uid {uid}, neither root nor the agent's user; nothing was sent"
            ),
            Self::Config(error) => error.fmt(f),
            Self::NoSecret => f.write_str("it has no shared secret; nothing was sent"),
            Self::NoTlsHere => f.write_str(
                "it speaks TLS, which needs the agent, and that is not there yet; only plain TCP can be asked for now",
            ),
            Self::Io(error) => write!(f, "the connection broke: {error}"),
            Self::Closed => f.write_str(
                "it closed the connection without an answer; is this host one of its clients, with the same secret?",
            ),
            Self::NoReply => f.write_str("no reply in time"),
            Self::WrongSecret(_) => f.write_str(
                "shared secret mismatch: its reply cannot be read with the configured secret",
            ),
            Self::Malformed(error) => write!(f, "malformed reply: {error}"),
            Self::NotOurs(why) => why.fmt(f),
            Self::ServerError(message) if message.is_empty() => f.write_str("it answered ERROR"),
            Self::ServerError(message) => write!(f, "it answered ERROR: {message}"),
            Self::HeaderOnly => f.write_str("it did not understand the request"),
            Self::Status => f.write_str("it answered with a status that is no answer"),
            Self::Protocol => f.write_str(
                "it asked a question that this way of logging in does not have; try 'login = ascii'",
            ),
            Self::HeldDown => f.write_str("not tried again, it did not answer a moment ago"),
            Self::NoTime => f.write_str("not tried, the deadline had passed"),
        }
    }
}
