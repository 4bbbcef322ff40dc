//! Which servers are asked, and with what patience.

use std::net::ToSocketAddrs;
use std::path::Path;
use std::time::Duration;

use tacacs_common::config::{self, Address, Config, LoginKind, SecretSource, Server};

use crate::args::{Cli, Common, Type};
use crate::exit::Failure;
use crate::{key, warn};

const PORT: u16 = 49;
const TIMEOUT: Duration = Duration::from_secs(10);

/// A configuration that holds what the command line says: the server of `-H`, or
/// those of a file.
pub(crate) fn configuration(cli: &Cli) -> Result<Config, Failure> {
    let common = &cli.common;
    let mut config = match &common.host {
        Some(host) => of_host(host, cli)?,
        None => of_file(cli)?,
    };
    if let Some(seconds) = common.timeout {
        let timeout = Duration::from_secs(seconds);
        for server in &mut config.servers {
            server.timeout = timeout;
        }
        config.global.authen_timeout = timeout;
    }
    // Connecting, a request and its reply may each take their whole limit.
    let slowest = config.servers.iter().map(|server| server.timeout).max();
    let enough = slowest.unwrap_or_default().saturating_mul(3);
    config.global.deadline = config.global.deadline.max(enough);
    if common.v6 {
        config.servers = over_ipv6(config.servers)?;
    }
    Ok(config)
}

/// The authentication type when none is given: the one of the file that the
/// servers come from.
pub(crate) fn authen_type(common: &Common, config: &Config) -> Type {
    let configured = match common.host {
        Some(_) => Type::Ascii,
        None => match config.global.login {
            LoginKind::Pap => Type::Pap,
            LoginKind::Chap => Type::Chap,
            LoginKind::Ascii => Type::Ascii,
            LoginKind::Mschap => Type::Mschap,
            LoginKind::Mschapv2 => Type::Mschapv2,
        },
    };
    common.authen_type.unwrap_or(configured)
}

fn of_host(host: &str, cli: &Cli) -> Result<Config, Failure> {
    let address = Address::parse(host, cli.port.unwrap_or(PORT))
        .ok_or_else(|| Failure::usage("-H is neither a host name nor an address nor unix:/path"))?;
    let secret = match address {
        // The kernel says who listens there.
        Address::Unix(_) => None,
        _ => Some(SecretSource::inline(key::for_host(&cli.common)?)),
    };
    let mut server = Server::new(host, address, secret);
    server.timeout = TIMEOUT;
    let mut config = Config {
        servers: vec![server],
        ..Config::default()
    };
    // Who names a server wants it asked, dead a moment ago or not.
    config.global.hold_down = Duration::ZERO;
    Ok(config)
}

fn of_file(cli: &Cli) -> Result<Config, Failure> {
    let common = &cli.common;
    if cli.port.is_some() {
        return Err(Failure::usage(
            "-p is the port of the server that -H names; behind 'authenticate' it is the password",
        ));
    }
    let path = common.config.as_deref();
    let mut config =
        Config::load(path.unwrap_or(Path::new(config::PATH))).map_err(|error| match path {
            Some(_) => Failure::usage(error),
            None => Failure::usage(format!("{error}; or name a server with -H")),
        })?;
    for warning in &config.warnings {
        warn(warning);
    }
    let file = common.key_file.as_deref().map(|path| ("--key-file", path));
    if let Some(secret) = key::of_command_line(common.key.as_ref(), file)? {
        let source = SecretSource::inline(secret);
        for server in &mut config.servers {
            if server.secret.is_some() {
                server.secret = Some(source.clone());
            }
        }
    }
    Ok(config)
}

/// The servers by their IPv6 addresses alone.
fn over_ipv6(servers: Vec<Server>) -> Result<Vec<Server>, Failure> {
    let mut left = Vec::new();
    for server in servers {
        match &server.address {
            Address::Ip(address) if address.is_ipv4() => {}
            Address::Ip(_) | Address::Unix(_) => left.push(server),
            Address::Name { host, port } => {
                let addresses = (host.as_str(), *port).to_socket_addrs().map_err(|error| {
                    Failure::unreachable(format!("{host}: its name cannot be resolved: {error}"))
                })?;
                for address in addresses.filter(std::net::SocketAddr::is_ipv6) {
                    let mut server = server.clone();
                    server.address = Address::Ip(address);
                    left.push(server);
                }
            }
        }
    }
    if left.is_empty() {
        Err(Failure::usage(
            "no server has an IPv6 address, which -6 asks for",
        ))
    } else {
        Ok(left)
    }
}
