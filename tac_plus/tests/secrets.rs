//! Shared secrets: several of one client, and those who guess.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod common;

use std::time::Instant;

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
    let mut server = Server::start(CONFIGURATION);
    let own_secret = "another-secret-of-32-characters!";
    let begin = Instant::now();
    let mut told = Vec::new();
    for number in 0..300 {
        let mut wire = Wire::new(server.connect_from([127, 0, 0, 2]));
        let request = wire.packet(1, 1, V1, true, &pap("alice", "alice-pap"));
        wire.send(&request);
        wire = wire.with_secret(own_secret);
        let reply = wire.receive();
        if let Some(reply) = &reply {
            assert_eq!(reply.status(), "ERROR");
            assert!(wire.is_closed());
        }
        told.push(reply.is_some());
        if number % 10 == 0 {
            let mut good = server.connect();
            assert_eq!(good.start(&pap("alice", "alice-pap")), "PASS \"\"");
        }
    }
    let mut still = Wire::new(server.connect_from([127, 0, 0, 2])).with_secret(own_secret);
    assert_eq!(still.start(&pap("alice", "alice-pap")), "PASS \"\"");
    // Ten at once, and one more in ten seconds.
    let more = begin.elapsed().as_secs() / 10 + 1;
    let errors = told.iter().filter(|told| **told).count();
    assert!(told[..10].iter().all(|told| *told), "{told:?}");
    assert!(errors as u64 <= 10 + more, "{errors}");
    server.signal("TERM");
    let lines = server.all_lines();
    let logged = lines.matches("packet from 127.0.0.2 refused: wrong shared secret");
    assert!(logged.count() <= 3, "one, and a count each minute: {lines}");
    assert!(lines.contains("more from 127.0.0.2 since"), "{lines}");
}
