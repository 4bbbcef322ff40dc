//! What can go wrong between a client and one server without being a denial.

use std::fmt;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use rustix::process::{Resource, getrlimit};

use crate::config;
use crate::exchange::NotOurs;
use crate::packet::Error;

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
    /// Users of this host have taken every local port.
    NoPort(io::Error),
    /// The same, but the server was reached from this one, which only root may have.
    LastPort(u16),
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
    /// or the way to it is at fault for: never this host's own shortages, never a wait
    /// that this process overslept, and no connection that was taken and then closed,
    /// for who has too many of them may be somebody else of this host.
    pub(super) fn holds_down(&self) -> bool {
        match self {
            Self::Connect(_) | Self::WrongSecret(_) => true,
            Self::ConnectTimeout { late } | Self::ResolveTimeout { late } => !late,
            _ => false,
        }
    }

    /// Whether this host is short of what any of its users can use up: ports, descriptors,
    /// memory. That says nothing about the server, in whatever process.
    pub(super) fn is_shortage(&self) -> bool {
        match self {
            // An address that is away as long as its cable is. Without a port it is "in use".
            Self::Local("source_ip", error) if is_away(error) => false,
            Self::Local(_, error) | Self::Connect(error) | Self::Io(error) => is_used_up(error),
            // What a resolver was short of it does not say.
            Self::Resolve(error) => is_used_up(error) || has_no_room() || has_no_udp_port(),
            Self::Config(_) => has_no_room(),
            Self::NoPort(_) => true,
            _ => false,
        }
    }

    /// Whether the caller of a setuid program can bring this about at a server that is
    /// well: by limits that it inherits, by stopping it, or by connections of its own.
    pub(super) fn may_be_provoked(&self) -> bool {
        use io::ErrorKind as Kind;
        match self {
            Self::Local("source_ip", error) => !is_away(error),
            Self::Local("vrf", error) => error.raw_os_error() != Some(libc::ENODEV),
            Self::NoTime
            | Self::NoPort(_)
            | Self::Local(..)
            | Self::ResolveTimeout { .. }
            | Self::Closed => true,
            Self::Config(_) => is_confined(),
            // Not found is what the resolver says with authority.
            Self::Resolve(error) => error.kind() != Kind::NotFound || is_confined(),
            Self::ConnectTimeout { late } | Self::NoReply { late } => *late,
            Self::Connect(error) | Self::Io(error) => !matches!(
                error.kind(),
                Kind::ConnectionRefused
                    | Kind::HostUnreachable
                    | Kind::NetworkUnreachable
                    | Kind::NetworkDown
                    | Kind::TimedOut
                    // The socket of an agent that does not run.
                    | Kind::NotFound
            ),
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
            | Self::NoPort(_)
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

/// Whether an address is none of this host's now.
fn is_away(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
}

fn is_used_up(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EADDRNOTAVAIL
                | libc::EADDRINUSE
                | libc::EAGAIN
                | libc::ENOBUFS
                | libc::ENFILE
                | libc::EMFILE
                | libc::ENOMEM
        )
    )
}

/// Whether this process has too little room to open a file or to ask a resolver.
fn is_confined() -> bool {
    let limited = |what| getrlimit(what).current.is_some();
    has_no_room() || limited(Resource::As) || limited(Resource::Data)
}

/// Whether descriptors are running out.
fn has_no_room() -> bool {
    let files: io::Result<Vec<File>> = (0..ROOM).map(|_| File::open("/")).collect();
    files.is_err()
}

/// Whether a resolver that asks by UDP finds no port: one that is free for both families
/// is free for either.
fn has_no_udp_port() -> bool {
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let both = UdpSocket::bind(any).or_else(|error| match error.raw_os_error() {
        Some(libc::EADDRINUSE) => Err(error),
        _ => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)),
    });
    both.is_err_and(|error| is_used_up(&error))
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
            Self::NoPort(error) => write!(f, "no local port is left to connect from: {error}"),
            Self::LastPort(port) => {
                write!(f, "connected from port {port}, for no ordinary local port is left")
            }
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

    fn errno(number: i32) -> io::Error {
        io::Error::from_raw_os_error(number)
    }

    #[test]
    fn what_a_programs_caller_can_bring_about_is_told_from_an_outage() {
        for (trouble, provoked) in [
            (Trouble::Connect(errno(libc::ECONNREFUSED)), false),
            (Trouble::Connect(errno(libc::EHOSTUNREACH)), false),
            (Trouble::Connect(errno(libc::ENETUNREACH)), false),
            (Trouble::Connect(errno(libc::ENOENT)), false),
            (Trouble::ConnectTimeout { late: false }, false),
            (Trouble::ConnectTimeout { late: true }, true),
            (Trouble::NoReply { late: false }, false),
            (Trouble::NoReply { late: true }, true),
            (Trouble::ServerError(String::new()), false),
            (Trouble::Local("socket", errno(libc::EMFILE)), true),
            (Trouble::Connect(errno(libc::ENOTCONN)), true),
            (Trouble::Io(errno(libc::ENOBUFS)), true),
            (
                Trouble::Local("source_ip", errno(libc::EADDRNOTAVAIL)),
                false,
            ),
            (Trouble::Local("vrf", errno(libc::ENODEV)), false),
            (Trouble::Local("vrf", errno(libc::ENOMEM)), true),
            (Trouble::NoTime, true),
            // As a server ends a connection too many, or one that was idle.
            (Trouble::Closed, true),
            (Trouble::Io(errno(libc::ECONNRESET)), true),
            (Trouble::Io(errno(libc::EPIPE)), true),
            // A resolver may have been without a port or a descriptor.
            (Trouble::Resolve(io::Error::other("try again")), true),
            (Trouble::ResolveTimeout { late: false }, true),
            // Nobody confines this process.
            (Trouble::Resolve(io::ErrorKind::NotFound.into()), false),
        ] {
            assert_eq!(trouble.may_be_provoked(), provoked, "{trouble:?}");
        }
    }

    #[test]
    fn what_users_of_the_host_can_use_up_is_told_from_an_outage_in_any_process() {
        for number in [
            libc::EADDRNOTAVAIL,
            libc::EADDRINUSE,
            libc::EAGAIN,
            libc::ENOBUFS,
            libc::ENFILE,
            libc::EMFILE,
            libc::ENOMEM,
        ] {
            for trouble in [
                Trouble::Local("socket", errno(number)),
                Trouble::Local("connect", errno(number)),
                Trouble::Connect(errno(number)),
                Trouble::Io(errno(number)),
                Trouble::Resolve(errno(number)),
            ] {
                assert!(trouble.is_shortage(), "{trouble:?}");
            }
        }
        for trouble in [
            Trouble::Local("source_ip", errno(libc::EADDRNOTAVAIL)),
            Trouble::Local("connect", errno(libc::EACCES)),
            Trouble::Connect(errno(libc::ECONNREFUSED)),
            Trouble::Io(errno(libc::ECONNRESET)),
            Trouble::Closed,
            Trouble::ConnectTimeout { late: true },
            // This host has ports and descriptors.
            Trouble::Resolve(io::Error::other("try again")),
        ] {
            assert!(!trouble.is_shortage(), "{trouble:?}");
        }
        let no_port = Trouble::Local("source_ip", errno(libc::EADDRINUSE));
        assert!(no_port.is_shortage());
    }
}
