//! What can go wrong between a client and one server without being a denial.

use std::fmt;
use std::fs::File;
use std::io;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};

use crate::config;
use crate::exchange::NotOurs;
use crate::packet::Error;

/// No server in working order ends a connection on which nothing is said before this.
const IDLE: Duration = Duration::from_secs(2);

/// Descriptors that a resolver may need at once.
const ROOM: usize = 16;

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
    NoReply {
        /// As for `ConnectTimeout`.
        late: bool,
    },
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

    /// Whether the caller of a setuid program can bring this about at a server that is
    /// well: by limits that it inherits, or by stopping it for a part of the time that
    /// the attempt took.
    pub(super) fn may_be_provoked(&self, took: Duration) -> bool {
        use io::ErrorKind as Kind;
        match self {
            Self::NoTime => true,
            // A source address or a device that is away as long as its cable is.
            Self::Local("source_ip", error) => error.kind() != Kind::AddrNotAvailable,
            Self::Local("vrf", error) => error.raw_os_error() != Some(libc::ENODEV),
            Self::Local(..) => true,
            Self::Config(_) | Self::Resolve(_) => is_confined(),
            Self::ConnectTimeout { late }
            | Self::ResolveTimeout { late }
            | Self::NoReply { late } => *late,
            Self::Closed => took >= IDLE,
            Self::Connect(error) | Self::Io(error) => match error.kind() {
                Kind::ConnectionRefused
                | Kind::HostUnreachable
                | Kind::NetworkUnreachable
                | Kind::NetworkDown
                | Kind::TimedOut
                // The socket of an agent that does not run.
                | Kind::NotFound => false,
                Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe => took >= IDLE,
                _ => true,
            },
            _ => false,
        }
    }

    /// Whether the server was asked and gave no answer that counts: what it was asked may
    /// be at fault, and not the server.
    pub const fn is_about_request(&self) -> bool {
        matches!(
            self,
            Self::ServerError(_)
                | Self::HeaderOnly
                | Self::Status
                | Self::Malformed(_)
                | Self::NotOurs(_)
                | Self::Closed
                | Self::Io(_)
                | Self::NoReply { late: false }
        )
    }

    /// Whether a server that is not well may need its `timeout` to come to this: else who
    /// needed that long was stopped.
    pub(super) fn takes_time(&self) -> bool {
        use io::ErrorKind as Kind;
        match self {
            Self::Connect(error) => !matches!(
                error.kind(),
                Kind::ConnectionRefused
                    | Kind::NetworkUnreachable
                    | Kind::NetworkDown
                    | Kind::NotFound
            ),
            Self::Local(..)
            | Self::Peer { .. }
            | Self::Config(_)
            | Self::NoSecret
            | Self::NoTlsHere
            | Self::NoTime
            | Self::HeldDown => false,
            _ => true,
        }
    }
}

/// Whether this process has too little room to open a file or to ask a resolver.
fn is_confined() -> bool {
    let limited = |what| getrlimit(what).current.is_some();
    let files: io::Result<Vec<File>> = (0..ROOM).map(|_| File::open("/")).collect();
    files.is_err() || limited(Resource::As) || limited(Resource::Data)
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
            Self::NoReply { .. } => f.write_str("no reply in time"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_programs_caller_can_bring_about_is_told_from_an_outage() {
        let errno = io::Error::from_raw_os_error;
        let (quick, slow) = (Duration::ZERO, Duration::from_secs(10));
        for (trouble, if_quick, if_slow) in [
            (Trouble::Connect(errno(libc::ECONNREFUSED)), false, false),
            (Trouble::Connect(errno(libc::EHOSTUNREACH)), false, false),
            (Trouble::Connect(errno(libc::ENETUNREACH)), false, false),
            (Trouble::Connect(errno(libc::ENOENT)), false, false),
            (Trouble::ConnectTimeout { late: false }, false, false),
            (Trouble::ConnectTimeout { late: true }, true, true),
            (Trouble::ResolveTimeout { late: true }, true, true),
            (Trouble::NoReply { late: false }, false, false),
            (Trouble::NoReply { late: true }, true, true),
            (Trouble::ServerError(String::new()), false, false),
            (Trouble::Local("socket", errno(libc::EMFILE)), true, true),
            (Trouble::Connect(errno(libc::ENOTCONN)), true, true),
            (Trouble::Io(errno(libc::ENOBUFS)), true, true),
            (
                Trouble::Local("source_ip", errno(libc::EADDRNOTAVAIL)),
                false,
                false,
            ),
            (Trouble::Local("vrf", errno(libc::ENODEV)), false, false),
            (Trouble::Local("vrf", errno(libc::ENOMEM)), true, true),
            // Nobody confines this process.
            (Trouble::Resolve(errno(libc::ENOENT)), false, false),
            (Trouble::NoTime, true, true),
            // As a server ends an idle connection.
            (Trouble::Closed, false, true),
            (Trouble::Io(errno(libc::ECONNRESET)), false, true),
            (Trouble::Io(errno(libc::EPIPE)), false, true),
        ] {
            assert_eq!(trouble.may_be_provoked(quick), if_quick, "{trouble:?}");
            assert_eq!(trouble.may_be_provoked(slow), if_slow, "{trouble:?}");
        }
    }
}
