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

/// Looks a name up within a limit. `TimedOut`: the limit was reached. `NotFound`: said with
/// authority. `None`: it cannot be asked here, and this process's own resolver is.
pub type Resolver = fn(name: &str, limit: Duration) -> Option<io::Result<Vec<IpAddr>>>;

/// Whether it is a name server's word when getaddrinfo(3) knows no such name, going by the
/// text of nsswitch.conf(5). It says the same when a name server could not be asked and
/// another service, asked after it, does not know the name.
pub fn names_have_authority(nsswitch: &str) -> bool {
    let line = nsswitch
        .lines()
        .find_map(|line| line.trim_start().strip_prefix("hosts:"));
    let Some(services) = line.and_then(|line| line.split('#').next()) else {
        return false;
    };
    let services: Vec<&str> = services.split_whitespace().collect();
    let (last, before) = match services.split_last() {
        Some((last, before)) => (*last, before),
        None => return false,
    };
    matches!(last, "files" | "dns") && before.iter().all(|service| *service == "files")
}

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
    fn no_such_name_has_authority_where_nothing_is_asked_after_dns() {
        for (nsswitch, authority) in [
            ("passwd: files\nhosts: files dns # as ever\n", true),
            ("hosts:files", true),
            ("hosts: files myhostname dns", false),
            ("hosts: files dns myhostname", false),
            ("hosts: dns files", false),
            ("hosts: files mdns4_minimal [NOTFOUND=return] dns", false),
            ("hosts: files [!UNAVAIL=return] dns", false),
            ("hosts: # none", false),
            ("#hosts: files", false),
            ("", false),
        ] {
            assert_eq!(names_have_authority(nsswitch), authority, "{nsswitch}");
        }
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
