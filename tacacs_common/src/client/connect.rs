//! From an address to a connected socket, within a time limit.
//!
//! Owns the descriptors. Every one is CLOEXEC and, once connected, non-blocking; no
//! write raises SIGPIPE; a descriptor that somebody else closed and reused is left alone.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::fstat;
use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::budget::Wait;
use super::resolve;
use super::{Means, Trouble, ports};
use crate::config::{Address, Server, Source};

/// The account that the agent runs as.
const AGENT_USER: &str = "tacplus";

/// A further address of a name is tried when the one before has not answered for
/// this long (RFC 8305 section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// A connected byte stream that never blocks: the seam where TLS fits in.
pub trait Transport: Read + Write + AsFd + Send {
    /// Whether the descriptor is still the one that was connected: sshd closes
    /// descriptors it does not know, and their numbers are used again.
    fn is_intact(&self) -> bool;

    /// Forgets the descriptor without closing it: it is somebody else's now.
    fn abandon(self: Box<Self>);
}

/// Connects to a server. The port is one that is this host's last resort, if it had no
/// other.
pub(super) fn connect(
    server: &Server,
    wait: &Wait,
    means: Means,
) -> Result<(Box<dyn Transport>, Option<u16>), Trouble> {
    if server.tls.is_some() {
        return Err(Trouble::NoTlsHere);
    }
    let socket = match &server.address {
        Address::Unix(path) => connect_unix(path, server, wait)?,
        Address::Ip(address) => connect_tcp(&[*address], server, wait, means)?,
        Address::Name { host, port } => {
            let addresses = resolve::addresses(host, *port, server, wait, means.resolver)?;
            connect_tcp(&addresses, server, wait, means)?
        }
    };
    let local = socket.local_addr().ok().and_then(|own| own.as_socket());
    let last = local.map(|own| own.port()).filter(|port| *port < 1024);
    Plain::new(socket).map(|plain| (Box::new(plain) as Box<dyn Transport>, last))
}

fn connect_unix(path: &Path, server: &Server, wait: &Wait) -> Result<Socket, Trouble> {
    let local = |error| Trouble::Local("socket", error);
    let address = SockAddr::unix(path).map_err(local)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(local)?;
    let begun = Instant::now();
    // Blocking, within the kernel's own limit: no other call waits for room in a
    // listener's queue. A limit of zero would be none.
    loop {
        let limit = wait.remaining().unwrap_or_default();
        let limit = limit.max(Duration::from_millis(1));
        socket.set_write_timeout(Some(limit)).map_err(local)?;
        let Err(error) = socket.connect(&address) else {
            break;
        };
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
            _ => return Err(refused(error)),
        }
        if wait.remaining().is_none() {
            return Err(timed_out(begun, server, wait));
        }
    }
    socket.set_nonblocking(true).map_err(local)?;
    let peer = socket_peercred(&socket).map_err(|error| Trouble::Connect(error.into()))?;
    let uid = peer.uid.as_raw();
    if is_trusted(uid, geteuid().as_raw(), agent_uid()) {
        Ok(socket)
    } else {
        Err(Trouble::Peer { uid })
    }
}

/// The end of a wait for a connection that began at `begun`.
fn timed_out(begun: Instant, server: &Server, wait: &Wait) -> Trouble {
    Trouble::ConnectTimeout {
        late: wait.is_late(begun, server.timeout),
    }
}

/// Whom passwords may be handed to: root and the agent; an ordinary user's
/// program also trusts that user.
fn is_trusted(peer: u32, own: u32, agent: Option<u32>) -> bool {
    peer == 0 || Some(peer) == agent || (own != 0 && peer == own)
}

/// Read from the file and not through NSS, which may be what is asking.
fn agent_uid() -> Option<u32> {
    uid_of(&std::fs::read("/etc/passwd").ok()?, AGENT_USER)
}

/// Of bytes: somebody's comment field may be in an old encoding.
fn uid_of(passwd: &[u8], name: &str) -> Option<u32> {
    passwd.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let uid = (fields.next() == Some(name.as_bytes())).then(|| fields.nth(1))??;
        std::str::from_utf8(uid).ok()?.parse().ok()
    })
}

/// Tries all addresses within one limit, starting a further one while those
/// before are still silent; the first that answers wins.
fn connect_tcp(
    addresses: &[SocketAddr],
    server: &Server,
    wait: &Wait,
    means: Means,
) -> Result<Socket, Trouble> {
    let mut rest = addresses.iter();
    let mut pending: Vec<Socket> = Vec::new();
    let mut begun = None;
    let mut trouble = None;
    loop {
        let more = match rest.next() {
            None => false,
            Some(address) => {
                match begin(*address, server, means) {
                    Ok((socket, true)) => return Ok(socket),
                    Ok((socket, false)) => {
                        begun.get_or_insert_with(Instant::now);
                        pending.push(socket);
                    }
                    Err(next) => trouble = Some(graver(trouble, next)),
                }
                rest.len() > 0
            }
        };
        if pending.is_empty() {
            if more {
                continue;
            }
            let none = || Trouble::Resolve(io::Error::other("it has no address now"));
            return Err(trouble.unwrap_or_else(none));
        }
        // At the end one more look: while this process was stopped the kernel went on.
        let remaining = wait.remaining().unwrap_or_default();
        let limit = if more {
            remaining.min(STAGGER)
        } else {
            remaining
        };
        match first_ready(&mut pending, limit) {
            Ok(Some(socket)) => return Ok(socket),
            Ok(None) if remaining.is_zero() => {
                let late = timed_out(begun.unwrap_or_else(Instant::now), server, wait);
                return Err(graver(trouble, late));
            }
            Ok(None) => {}
            Err(next) => trouble = Some(graver(trouble, next)),
        }
    }
}

/// What the troubles with two addresses of a server come to: a shortage of this host stays
/// one, for the server may be alive at the address that it kept from being tried.
fn graver(before: Option<Trouble>, next: Trouble) -> Trouble {
    before.filter(Trouble::is_shortage).unwrap_or(next)
}

/// Starts connecting, from one of the last ports if users have taken all others. The flag
/// says whether it has happened already.
fn begin(address: SocketAddr, server: &Server, means: Means) -> Result<(Socket, bool), Trouble> {
    let error = match begin_from(None, address, server) {
        Err(Trouble::NoPort(error)) => error,
        begun => return begun,
    };
    if !means.local_ports {
        return Err(Trouble::NoPort(error));
    }
    for port in ports::last().map_err(Trouble::NoPort)? {
        match begin_from(Some(port), address, server) {
            Err(Trouble::NoPort(error)) if error.kind() != io::ErrorKind::PermissionDenied => {}
            begun => return begun,
        }
    }
    Err(Trouble::NoPort(error))
}

fn begin_from(
    port: Option<u16>,
    address: SocketAddr,
    server: &Server,
) -> Result<(Socket, bool), Trouble> {
    let local = |what| move |error| Trouble::Local(what, error);
    let kind = Type::STREAM.nonblocking();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))
        .map_err(local("socket"))?;
    socket.set_tcp_nodelay(true).map_err(local("TCP_NODELAY"))?;
    if let Some(device) = &server.vrf {
        socket
            .bind_device(Some(device.as_bytes()))
            .map_err(local("vrf"))?;
    }
    if port.is_some() {
        // These are few: closing resets the connection, so that none is kept for minutes.
        socket
            .set_linger(Some(Duration::ZERO))
            .map_err(local("SO_LINGER"))?;
    }
    if let Some(own) = own_address(address, server.source, port) {
        socket.bind(&own.into()).map_err(|error| {
            let kind = error.kind();
            let forbidden = port.is_some() && kind == io::ErrorKind::PermissionDenied;
            if forbidden || kind == io::ErrorKind::AddrInUse {
                Trouble::NoPort(error)
            } else {
                Trouble::Local("source_ip", error)
            }
        })?;
    }
    match socket.connect(&address.into()) {
        Ok(()) => Ok((socket, true)),
        Err(error) if is_in_progress(&error) => Ok((socket, false)),
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
            Err(Trouble::NoPort(error))
        }
        Err(error) => Err(refused(error)),
    }
}

/// What to bind to before connecting, if the kernel is not to choose it all.
fn own_address(to: SocketAddr, source: Source, port: Option<u16>) -> Option<SocketAddr> {
    let any = match to {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let source = source_for(to, source);
    match (source, port) {
        (None, None) => None,
        _ => Some(SocketAddr::new(source.unwrap_or(any), port.unwrap_or(0))),
    }
}

fn source_for(address: SocketAddr, source: Source) -> Option<IpAddr> {
    match address {
        SocketAddr::V4(_) => source.v4.map(IpAddr::V4),
        SocketAddr::V6(_) => source.v6.map(IpAddr::V6),
    }
}

fn is_in_progress(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINPROGRESS)
}

/// Tells this host's own shortages from a server that cannot be reached.
fn refused(error: io::Error) -> Trouble {
    match error.raw_os_error() {
        Some(
            libc::EAGAIN
            | libc::EMFILE
            | libc::ENFILE
            | libc::ENOMEM
            | libc::ENOBUFS
            | libc::EACCES
            | libc::EPERM
            | libc::EADDRNOTAVAIL
            | libc::EADDRINUSE
            | libc::EAFNOSUPPORT
            | libc::EINVAL,
        ) => Trouble::Local("connect", error),
        _ => Trouble::Connect(error),
    }
}

/// Waits until one of the sockets is connected or has failed. Failed ones are
/// taken out; `Ok(None)`: nothing happened.
fn first_ready(pending: &mut Vec<Socket>, limit: Duration) -> Result<Option<Socket>, Trouble> {
    let mut fds: Vec<PollFd<'_>> = pending
        .iter()
        .map(|socket| PollFd::new(socket, PollFlags::OUT))
        .collect();
    match poll(&mut fds, Some(&timespec(limit))) {
        Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(None),
        Ok(_) => {}
        Err(error) => return Err(Trouble::Local("poll", error.into())),
    }
    let ready = fds.iter().position(|fd| !fd.revents().is_empty());
    drop(fds);
    let Some(index) = ready else { return Ok(None) };
    let socket = pending.swap_remove(index);
    match socket.take_error() {
        Ok(None) => Ok(Some(socket)),
        Ok(Some(error)) | Err(error) => Err(refused(error)),
    }
}

fn timespec(limit: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    }
}

/// Waits until a descriptor can be read or written.
///
/// # Errors
/// `TimedOut` at the end of the wait.
pub(super) fn wait_for(fd: BorrowedFd<'_>, flags: PollFlags, wait: &Wait) -> io::Result<()> {
    loop {
        // At the end one more look: while this process was stopped the server went on.
        let remaining = wait.remaining();
        let limit = timespec(remaining.unwrap_or_default());
        match poll(&mut [PollFd::new(&fd, flags)], Some(&limit)) {
            Ok(0) | Err(rustix::io::Errno::INTR) if remaining.is_none() => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether something can be read now. On a connection between two sessions that
/// means it was closed.
pub(super) fn is_readable(fd: BorrowedFd<'_>) -> bool {
    poll(
        &mut [PollFd::new(&fd, PollFlags::IN)],
        Some(&timespec(Duration::ZERO)),
    ) != Ok(0)
}

/// A TCP or Unix socket.
struct Plain {
    socket: Socket,
    identity: (u64, u64),
}

impl Plain {
    fn new(socket: Socket) -> Result<Self, Trouble> {
        let identity =
            identity(socket.as_fd()).map_err(|errno| Trouble::Local("fstat", errno.into()))?;
        Ok(Self { socket, identity })
    }
}

fn identity(fd: BorrowedFd<'_>) -> rustix::io::Result<(u64, u64)> {
    fstat(fd).map(|stat| (stat.st_dev, stat.st_ino))
}

impl Transport for Plain {
    fn is_intact(&self) -> bool {
        identity(self.socket.as_fd()) == Ok(self.identity)
    }

    fn abandon(self: Box<Self>) {
        let _ = self.socket.into_raw_fd();
    }
}

impl AsFd for Plain {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Read for Plain {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buf)
    }
}

impl Write for Plain {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.socket.send_with_flags(buf, libc::MSG_NOSIGNAL)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_trusted_by_whose_process_listens() {
        for (peer, own, agent, trusted) in [
            (0, 0, None, true),
            (991, 0, Some(991), true),
            (1000, 0, Some(991), false),
            (1000, 0, None, false),
            (1000, 1000, None, true),
            (1001, 1000, Some(991), false),
        ] {
            assert_eq!(
                is_trusted(peer, own, agent),
                trusted,
                "peer {peer} own {own}"
            );
        }
    }

    #[test]
    fn the_agent_is_found_whatever_comments_others_have() {
        let passwd = b"root:x:0:0:root:/root:/bin/sh\nuwe:x:1000:1000:M\xFCller:/:/bin/sh\n\
            tacplus2:x:7:7::/:\ntacplus:x:991:991::/:/usr/sbin/nologin\n";
        assert_eq!(uid_of(passwd, "tacplus"), Some(991));
        assert_eq!(uid_of(passwd, "tacplu"), None);
        assert_eq!(uid_of(b"tacplus:x", "tacplus"), None);
    }

    #[test]
    fn only_the_way_to_the_server_counts_against_it() {
        for (errno, counts) in [
            (libc::ECONNREFUSED, true),
            (libc::EHOSTUNREACH, true),
            (libc::ENETUNREACH, true),
            (libc::ECONNRESET, true),
            (libc::ETIMEDOUT, true),
            (libc::EMFILE, false),
            (libc::ENOMEM, false),
            (libc::EACCES, false),
            (libc::EADDRNOTAVAIL, false),
        ] {
            let trouble = refused(io::Error::from_raw_os_error(errno));
            assert_eq!(trouble.holds_down(), counts, "{trouble}");
        }
    }
}
