//! A process without a descriptor to be had. In a file of its own: a test beside it would
//! be without one as well.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use tacacs_common::client::getent;
use tacacs_common::config::{Address, SecretSource};
use tacacs_common::outcome::Outcome;

use rustix::process::{Resource, getrlimit, setrlimit};

use support::*;

#[test]
fn without_a_descriptor_no_server_is_called_unreachable_in_any_program() {
    let peer = answering(PASS);
    let mut by_file = Setup::new(&[&peer]);
    let secret = by_file.folder.path().join("secret");
    std::fs::write(&secret, KEY).unwrap();
    std::fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    by_file.config.servers[0].secret = Some(SecretSource::file(secret, "tacplus.conf"));
    let mut by_name = Setup::new(&[&peer]);
    by_name.config.servers[0].address = Address::Name {
        host: "localhost".to_owned(),
        port: peer.address.port(),
    };
    let whole = getrlimit(Resource::Nofile);
    for (what, setup) in [
        ("socket", Setup::new(&[&peer])),
        ("secret_file", by_file),
        ("pipe, and what the resolver opens", by_name),
    ] {
        let mut client = setup.client().resolving_by(getent::within);
        let mut none = getrlimit(Resource::Nofile);
        none.current = Some(3);
        setrlimit(Resource::Nofile, none).unwrap();
        let outcome = pap(&mut client);
        setrlimit(Resource::Nofile, whole).unwrap();
        let Outcome::Unreachable(why) = outcome else {
            panic!("{what}: {outcome:?}")
        };
        assert!(why.provoked, "{what}: {why}");
        assert!(!setup.is_held(peer.address), "{what}: {why}");
    }
    assert_eq!(peer.connections(), 0);
}
