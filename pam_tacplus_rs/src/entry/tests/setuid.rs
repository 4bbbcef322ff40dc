//! A program that its user may stop, and whose limits that user has set.

use super::*;
use crate::handle::Memory;
use crate::login::authenticate;

/// Bob's login at level 15 is stored; then he runs `su`.
fn su(servers: &[SocketAddr], global: &str, mapping: &str) -> Host {
    let server = Server::start(&[LEVEL_15]);
    let mut host = bob(&[server.address], "", mapping);
    host.handle.account = Some((uid("tacacs15"), uid("tacacs15")));
    assert_eq!(account(&mut host), End::Pass, "{}", host.log());
    fs::remove_file(lock(&host)).unwrap();
    configure(&host, servers, global, mapping);
    host.memory = Memory::default();
    host.site.setuid = true;
    later(&mut host);
    host
}

/// Whoever takes the lock makes its file.
fn lock(host: &Host) -> std::path::PathBuf {
    host.site.identity.with_extension("lock")
}

#[test]
fn it_goes_on_with_unchanged_rights_and_never_takes_the_lock() {
    let server = Server::start(&[LEVEL_15, LEVEL_15]);
    let mut host = su(&[server.address], "", "");
    assert_eq!(account(&mut host), End::Pass, "{}", host.log());
    host.site.now.unix += 3600;
    assert_eq!(account(&mut host), End::Pass, "{}", host.log());
    assert_eq!(stored(&host, "bob").unwrap().learned, 1_700_000_000);
    assert!(!lock(&host).exists());
}

#[test]
fn it_goes_on_with_the_rights_that_are_stored_where_a_server_grants_more() {
    let server = Server::start(&[LEVEL_1, LEVEL_15]);
    let mut host = su(&[server.address], "", "");
    host.site.setuid = false;
    assert_eq!(account(&mut host), End::Pass, "{}", host.log());
    host.site.setuid = true;
    assert_eq!(account(&mut host), End::Pass, "{}", host.log());
    let bob = stored(&host, "bob").unwrap();
    assert_eq!((bob.level, bob.groups), (1, vec![100]));
}

#[test]
fn it_is_refused_where_a_server_grants_less_or_another_account() {
    for (mapping, user) in [
        ("mode = unique", "bob"),
        ("mode = shared", "bob"),
        ("mode = unique", "carol"),
    ] {
        let answer = if user == "bob" { LEVEL_1 } else { LEVEL_15 };
        let server = Server::start(&[answer.clone(), answer.clone(), answer]);
        let mut host = su(&[server.address], "", mapping);
        host.handle.user = user.to_owned();
        let before = stored(&host, user);
        assert_eq!(account(&mut host), End::Refused);
        assert!(told(&host)[0].starts_with("Log in to this host once"));
        assert_eq!(stored(&host, user), before);
        assert!(!lock(&host).exists());
        // A login stores it.
        host.site.setuid = false;
        account(&mut host);
        host.site.setuid = true;
        later(&mut host);
        assert_eq!(account(&mut host), End::Pass, "{}", host.log());
    }
}

#[test]
fn a_denial_is_one_and_leaves_the_entry_to_a_login() {
    let server = Server::start(&[DENIED, DENIED]);
    let mut host = su(&[server.address], "", "");
    assert_eq!(account(&mut host), End::Refused);
    assert_eq!(stored(&host, "bob").unwrap().state, State::Active);
    assert!(!lock(&host).exists());
    host.site.setuid = false;
    assert_eq!(account(&mut host), End::Refused);
    assert_eq!(stored(&host, "bob").unwrap().state, State::Disabled);
}

#[test]
fn a_shortage_that_its_user_can_cause_is_no_outage() {
    let dead = Server::nowhere();
    // Without an interface there is no connecting to it (EINVAL).
    let unusable = "[fe80::1]:49".parse().unwrap();
    for (address, setuid, stands_in) in [
        (dead, true, true),
        (unusable, true, false),
        (unusable, false, true),
    ] {
        let mut host = su(&[address], "offline_hours = 2\nunreachable = ignore", "");
        host.site.setuid = setuid;
        let end = account(&mut host);
        assert_eq!(end == End::Pass, stands_in, "{}", host.log());
        assert!(stands_in || end == End::Refused, "{end:?}");
        // Nor does it lead to a local password.
        host.handle.answers = ["pw"].into();
        let end = host.run(Phase::Authenticate, authenticate);
        assert_eq!(end == End::Refused, !stands_in, "{}", host.log());
    }
}
