//! Where clients connect.
//!
//! Owns the addresses that the command line, the configuration and the service
//! manager ask for, and their sockets. Must never offer plain TCP and TLS on one
//! port (RFC 9887 section 3.1).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::policy::settings::Settings;

/// What the original's `-m` is without it: enough for a network that comes back.
const BACKLOG: i32 = 1024;
/// TCP port of TACACS+ (RFC 8907 section 4.1).
const PORT: u16 = 49;

/// An address, and what is spoken there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where.
    pub address: SocketAddr,
    /// TLS, or plain TCP.
    pub tls: bool,
}

/// What the command line and the service manager say about addresses; the rest says
/// the configuration.
#[derive(Default)]
pub struct Listening {
    /// `-B`.
    pub addresses: Vec<IpAddr>,
    /// `-p`.
    pub port: Option<u16>,
    /// `-m`.
    pub backlog: Option<i32>,
    /// Sockets by their names. If there are any, no others are opened.
    pub inherited: Vec<(TcpListener, String)>,
}

/// A socket that clients connect to.
pub struct Listener {
    pub(super) endpoint: Endpoint,
    pub(super) socket: TcpListener,
}

impl Listening {
    /// All endpoints that are asked for.
    ///
    /// # Errors
    ///
    /// If one port is to speak both, or TLS is to be spoken without certificates.
    pub fn endpoints(&self, settings: &Settings) -> Result<Vec<Endpoint>, String> {
        let endpoints = if self.inherited.is_empty() {
            self.named(settings)
        } else {
            let sockets = self.inherited.iter();
            let found = sockets.map(|(socket, name)| endpoint_of(socket, name, settings));
            found.collect::<io::Result<_>>().map_err(|error| {
                format!("the service manager handed over something else than a listener: {error}")
            })?
        };
        let of = |tls| endpoints.iter().filter(move |endpoint| endpoint.tls == tls);
        for secured in of(true) {
            if settings.tls.listen.is_empty() {
                return Err("a socket is named 'tls', and there is no 'tls listen'".to_owned());
            }
            let port = secured.address.port();
            if port != 0 && of(false).any(|plain| plain.address.port() == port) {
                return Err(format!(
                    "port {port} is to speak TLS and plain TCP: TLS needs a port of its own"
                ));
            }
        }
        Ok(endpoints)
    }

    fn named(&self, settings: &Settings) -> Vec<Endpoint> {
        let endpoint = |tls| {
            move |address: &SocketAddr| Endpoint {
                address: *address,
                tls,
            }
        };
        let mut endpoints: Vec<Endpoint> = settings.listen.iter().map(endpoint(false)).collect();
        let port = self.port.unwrap_or(PORT);
        for address in &self.addresses {
            endpoints.push(endpoint(false)(&SocketAddr::new(*address, port)));
        }
        // Whoever says nothing at all means everywhere; whoever speaks of TLS only, TLS only.
        let silent = endpoints.is_empty() && settings.tls.listen.is_empty();
        if silent || (self.addresses.is_empty() && self.port.is_some()) {
            endpoints.push(endpoint(false)(&SocketAddr::from((
                Ipv6Addr::UNSPECIFIED,
                port,
            ))));
        }
        endpoints.extend(settings.tls.listen.iter().map(endpoint(true)));
        let mut unique = Vec::new();
        for endpoint in endpoints {
            if !unique.contains(&endpoint) {
                unique.push(endpoint);
            }
        }
        unique
    }

    /// Opens what is `wanted` and not `open` yet.
    ///
    /// # Errors
    ///
    /// The first address that cannot be had.
    pub fn bind(&self, wanted: &[Endpoint], open: &[Endpoint]) -> Result<Vec<Listener>, String> {
        let missing = wanted.iter().filter(|endpoint| !open.contains(endpoint));
        if !self.inherited.is_empty() {
            // They come in one order and never change.
            let taken = self
                .inherited
                .iter()
                .zip(missing)
                .map(|((socket, _), endpoint)| {
                    let socket = socket.try_clone()?;
                    let endpoint = *endpoint;
                    Ok(Listener { endpoint, socket })
                });
            return taken
                .collect::<io::Result<_>>()
                .map_err(|error| format!("cannot take over a socket: {error}"));
        }
        let backlog = self.backlog.unwrap_or(BACKLOG);
        missing
            .map(|endpoint| {
                let address = endpoint.address;
                let socket = open_socket(address, wanted, backlog)
                    .map_err(|error| format!("cannot listen on {address}: {error}"))?;
                Ok(Listener {
                    endpoint: *endpoint,
                    socket,
                })
            })
            .collect()
    }
}

impl Listener {
    /// A listener for plain TCP, already bound.
    #[must_use]
    pub fn plain(socket: TcpListener, address: SocketAddr) -> Self {
        let endpoint = Endpoint {
            address,
            tls: false,
        };
        Self { endpoint, socket }
    }
}

fn endpoint_of(socket: &TcpListener, name: &str, settings: &Settings) -> io::Result<Endpoint> {
    let address = socket.local_addr()?;
    let ports = &mut settings.tls.listen.iter().map(SocketAddr::port);
    let tls = name == "tls" || ports.any(|port| port == address.port());
    Ok(Endpoint { address, tls })
}

fn open_socket(address: SocketAddr, wanted: &[Endpoint], backlog: i32) -> io::Result<TcpListener> {
    let everywhere = address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let has_ipv4 = |other: &Endpoint| {
        other.address.is_ipv4() && other.address.port() == address.port() && address.port() != 0
    };
    // A socket on :: takes IPv4 too, unless that has sockets of its own.
    let ipv6_only = !everywhere || wanted.iter().any(has_ipv4);
    let open = |address: SocketAddr| {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM.nonblocking().cloexec(),
            Some(Protocol::TCP),
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(ipv6_only)?;
        }
        socket.set_reuse_address(true)?;
        // Replies are small and somebody waits for them. Connections inherit it.
        socket.set_tcp_nodelay(true)?;
        socket.bind(&address.into())?;
        socket.listen(backlog)?;
        Ok(socket.into())
    };
    match open(address) {
        // A host without IPv6.
        Err(_) if everywhere && !ipv6_only => {
            open(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())))
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(plain: &[&str], tls: &[&str]) -> Settings {
        let parse = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
        let mut settings = Settings {
            listen: parse(plain),
            ..Settings::default()
        };
        settings.tls.listen = parse(tls);
        settings
    }

    fn shown(listening: &Listening, settings: &Settings) -> String {
        match listening.endpoints(settings) {
            Ok(endpoints) => endpoints
                .iter()
                .map(|Endpoint { address, tls }| {
                    format!("{}{address}", if *tls { "tls " } else { "" })
                })
                .collect::<Vec<_>>()
                .join(", "),
            Err(error) => error,
        }
    }

    #[test]
    fn clients_connect_where_the_command_line_and_the_configuration_say() {
        let nothing = Listening::default();
        let both = Listening {
            addresses: vec!["192.0.2.1".parse().unwrap(), "::1".parse().unwrap()],
            port: Some(4949),
            ..Listening::default()
        };
        let port = Listening {
            port: Some(4949),
            ..Listening::default()
        };
        let plain = settings(&["192.0.2.9:49"], &[]);
        let tls = settings(&[], &["[::]:300"]);
        let wrong = settings(&["[::]:300"], &["192.0.2.9:300"]);
        for (listening, settings, expected) in [
            (&nothing, &settings(&[], &[]), "[::]:49"),
            (&nothing, &plain, "192.0.2.9:49"),
            (&nothing, &tls, "tls [::]:300"),
            (&port, &tls, "[::]:4949, tls [::]:300"),
            (&both, &plain, "192.0.2.9:49, 192.0.2.1:4949, [::1]:4949"),
            (
                &nothing,
                &wrong,
                "port 300 is to speak TLS and plain TCP: TLS needs a port of its own",
            ),
        ] {
            assert_eq!(shown(listening, settings), expected);
        }
    }

    #[test]
    fn both_families_share_a_port_whether_one_socket_or_two_are_asked_for() {
        let listening = Listening::default();
        // Below those that the system gives to others meanwhile.
        let port = 10_000 + (std::process::id() % 20_000) as u16;
        let at = |address: &str| Endpoint {
            address: SocketAddr::new(address.parse().unwrap(), port),
            tls: false,
        };
        for wanted in [vec![at("::")], vec![at("::"), at("0.0.0.0")]] {
            let listeners = listening.bind(&wanted, &[]).unwrap();
            assert_eq!(listeners.len(), wanted.len());
            for address in ["127.0.0.1", "::1"] {
                let address: IpAddr = address.parse().unwrap();
                std::net::TcpStream::connect((address, port)).unwrap();
            }
        }
    }
}
