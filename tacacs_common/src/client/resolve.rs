//! From a server's name to its addresses.
//!
//! Owns the choice between this process's own resolver, which nothing can interrupt,
//! and one that keeps a limit. Must never be needed for a literal address.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::Trouble;
use super::budget::Wait;
use crate::config::Server;

/// Looks a name up within a limit. `TimedOut`: the limit was reached. `None`: it
/// cannot be asked here, and this process's own resolver is.
pub type Resolver = fn(name: &str, limit: Duration) -> Option<io::Result<Vec<IpAddr>>>;

/// The addresses of the server `name`, out of one wait with the connecting to them.
pub(super) fn addresses(
    name: &str,
    port: u16,
    server: &Server,
    wait: &Wait,
    resolver: Option<Resolver>,
) -> Result<Vec<SocketAddr>, Trouble> {
    let begun = Instant::now();
    let limit = wait.remaining().unwrap_or_default();
    match resolver.and_then(|resolver| resolver(name, limit)) {
        Some(Ok(addresses)) => {
            let addresses = addresses.into_iter();
            Ok(addresses.map(|ip| SocketAddr::new(ip, port)).collect())
        }
        Some(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
            Err(Trouble::ResolveTimeout {
                late: wait.is_late(begun, server.timeout),
            })
        }
        Some(Err(error)) => Err(Trouble::Resolve(error)),
        None => uninterrupted(name, port, wait),
    }
}

/// Takes as long as it takes, which says nothing about the server.
fn uninterrupted(name: &str, port: u16, wait: &Wait) -> Result<Vec<SocketAddr>, Trouble> {
    let addresses = (name, port).to_socket_addrs().map_err(Trouble::Resolve)?;
    match wait.remaining() {
        Some(_) => Ok(addresses.collect()),
        None => Err(Trouble::ResolveTimeout { late: true }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Address;

    fn asked(wait: Duration, resolver: Resolver) -> Result<Vec<SocketAddr>, Trouble> {
        let address = Address::Name {
            host: "localhost".to_owned(),
            port: 49,
        };
        let server = Server::new("s", address, None);
        addresses("localhost", 49, &server, &Wait::new(wait), Some(resolver))
    }

    #[test]
    fn a_resolver_has_what_is_left_of_the_wait_and_its_addresses_get_the_port() {
        let found = asked(Duration::from_secs(5), |name, limit| {
            assert_eq!(name, "localhost");
            assert!(limit > Duration::ZERO && limit <= Duration::from_secs(5));
            Some(Ok(vec![IpAddr::from([192, 0, 2, 1])]))
        });
        assert_eq!(found.unwrap(), [SocketAddr::from(([192, 0, 2, 1], 49))]);
    }

    #[test]
    fn a_resolver_that_cannot_be_asked_leaves_it_to_the_process() {
        let found = asked(Duration::from_secs(60), |_, _| None).unwrap();
        assert!(found.iter().all(|found| found.ip().is_loopback()));
        assert!(!found.is_empty());
    }

    #[test]
    fn a_name_server_that_had_hardly_any_time_holds_no_server_down() {
        let late = asked(Duration::from_millis(500), |_, _| {
            Some(Err(io::ErrorKind::TimedOut.into()))
        });
        let late = late.unwrap_err();
        assert!(!late.holds_down(), "{late}");
        assert_eq!(
            late.to_string(),
            "its name cannot be resolved: no answer in time"
        );
        assert!(Trouble::ResolveTimeout { late: false }.holds_down());
    }
}
