//! Shared secrets: several of one client, and those who guess.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod common;

use common::{CONFIGURATION, SECRET, Server, V1, Wire, pap};

#[test]
fn a_client_may_use_any_of_its_secrets_and_the_old_one_is_told_of_once() {
    let old = "old-secret-of-thirty-two-letters";
    let both = format!("key = {SECRET} key = {old} warn = 2020-01-01");
    let text = CONFIGURATION.replacen(&format!("key = \"{SECRET}\""), &both, 1);
    let mut server = Server::start(&text);
    for secret in [SECRET, old, old, SECRET] {
        let mut wire = server.connect().with_secret(secret);
        for id in 1..=2 {
            let reply = wire.ask(id, 1, V1, true, &pap("alice", "alice-pap"));
            assert_eq!(reply.status(), "PASS");
        }
        let other = if secret == old { SECRET } else { old };
        wire = wire.with_secret(other);
        let request = wire.packet(3, 1, V1, true, &pap("alice", "alice-pap"));
        wire.send(&request);
        wire = wire.with_secret(secret);
        assert_eq!(wire.reply().status(), "ERROR", "one secret a connection");
    }
    server.signal("TERM");
    let lines = server.all_lines();
    assert_eq!(lines.matches("uses an old key").count(), 1, "{lines}");
}

#[test]
fn who_guesses_secrets_is_told_a_few_times_and_then_nothing_while_others_are_served() {
    let server = Server::start(CONFIGURATION);
    let from = |address: &str| {
        let socket = socket2::Socket::new(
            socket2::Domain::IPV4,
            socket2::Type::STREAM,
            Some(socket2::Protocol::TCP),
        )
        .unwrap();
        let address: std::net::SocketAddr = format!("{address}:0").parse().unwrap();
        socket.bind(&address.into()).unwrap();
        socket.connect(&server.address.into()).unwrap();
        Wire::new(socket.into())
    };
    let mut errors = 0;
    for _ in 0..300 {
        let mut wire = from("127.0.0.2");
        let request = wire.packet(1, 1, V1, false, &pap("alice", "alice-pap"));
        wire.send(&request);
        wire = wire.with_secret("another-secret-of-32-characters!");
        match wire.receive() {
            Some(reply) => {
                assert_eq!(reply.status(), "ERROR");
                errors += 1;
            }
            None => break,
        }
    }
    assert!((1..100).contains(&errors), "{errors}");
    let mut good = from("127.0.0.1");
    assert_eq!(good.start(&pap("alice", "alice-pap")), "PASS \"\"");
    let mut still = from("127.0.0.2").with_secret("another-secret-of-32-characters!");
    assert_eq!(still.start(&pap("alice", "alice-pap")), "PASS \"\"");
}
