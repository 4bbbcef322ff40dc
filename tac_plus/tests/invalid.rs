//! Every packet that is listed as invalid, sent to a running server.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::io::Write;

use common::site::Site;
use common::{CONFIGURATION, Server, V1, Wire, pap, renumbered};
use serde_json::Value;
use tacacs_common::packet::PacketType;

/// What the server does with each, then it closes. `silence` is closing without a reply.
const REACTIONS: &[(&str, &str)] = &[
    ("short-header", "silence"),
    ("major-version-b", "silence"),
    ("minor-version-2", "ERROR"),
    ("type-0", "header only"),
    ("type-4", "header only"),
    ("length-65537", "silence"),
    ("length-ffffffff", "silence"),
    ("truncated-body", "silence"),
    ("start-7-bytes", "ERROR"),
    ("start-sum-too-big", "ERROR"),
    ("start-trailing-byte", "ERROR"),
    ("continue-4-bytes", "ERROR"),
    ("author-argcnt-200", "ERROR"),
    ("author-arglen-overflow", "ERROR"),
    ("author-arg-noseparator", "ERROR"),
    ("author-arg-emptyname", "ERROR"),
    ("author-arg-control", "ERROR"),
    ("author-minor-1", "ERROR"),
    ("acct-flags-0", "ERROR"),
    ("acct-flags-6", "ERROR"),
    ("acct-flags-c", "ERROR"),
    ("acct-flags-e", "ERROR"),
    ("acct-flag-more", "ERROR"),
    ("acct-minor-1", "ERROR"),
    ("unencrypted-over-tcp", "silence"),
    ("wrong-secret-start", "ERROR"),
    ("seq-0", "silence"),
    ("action-sendpass", "FAIL"),
    ("action-sendauth", "FAIL"),
    ("type-arap", "FAIL"),
    ("type-notset-in-start", "ERROR"),
    ("ascii-minor-1", "ERROR"),
    ("pap-minor-0", "ERROR"),
    ("chpass-pap", "FAIL"),
    ("pap-nouser", "FAIL"),
    ("chap-data-16", "FAIL"),
    ("chap-challenge-4", "FAIL"),
    ("mschapv1-challenge-7", "FAIL"),
    ("mschapv2-challenge-8", "FAIL"),
    ("priv-lvl-16", "ERROR"),
];

/// Those that a server can get over this transport.
fn invalid(transport: &str) -> Vec<Value> {
    let file = include_str!("../../tacacs_common/tests/vectors/packets.json");
    let file: Value = serde_json::from_str(file).expect("JSON");
    let all = file["invalid"].as_array().expect("a list").clone();
    all.into_iter()
        .filter(|entry| entry["receiver"] != "client" && entry["transport"] == transport)
        .collect()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex"))
        .collect()
}

#[test]
fn every_invalid_packet_gets_its_reaction_and_the_server_goes_on() {
    // Each comes from an address of its own: one is told a few times only.
    let hosts = CONFIGURATION.replace("host = 127.0.0.2", "host = 127.7.0.0/16");
    let hosts = hosts.replace("another-secret-of-32-characters!", common::SECRET);
    let right = Server::start(&hosts);
    let other_secret = "another-secret-of-32-characters!";
    let wrong = Server::start(&format!(
        "host = 127.7.0.0/16 {{ key = \"{other_secret}\" }}"
    ));
    // Who is connected all the while, and is answered before the reply is read.
    let mut good = right.connect();
    for (number, entry) in (1..).zip(invalid("tcp")) {
        let name = entry["name"].as_str().expect("a name");
        let expected = REACTIONS
            .iter()
            .find(|(known, _)| *known == name)
            .expect(name)
            .1;
        let secret = entry["secret"].as_str().expect("a secret");
        let server = if secret == other_secret {
            &wrong
        } else {
            &right
        };
        let bytes = hex(entry["packet_hex"].as_str().expect("a packet"));
        let sender = entry["encrypted_with"].as_str().unwrap_or(secret);
        let bytes = renumbered(&bytes, sender);
        let stream = server.connect_from([127, 7, 0, number]);
        let mut wire = Wire::new(stream).with_secret(secret);
        wire.send(&bytes);
        let login = good.ask(1, 1, V1, true, &pap("alice", "alice-pap"));
        assert_eq!(login.status(), "PASS", "{name}");
        if matches!(name, "short-header" | "truncated-body") {
            // The time limit for silence has a test of its own.
            wire.stream
                .shutdown(std::net::Shutdown::Write)
                .expect("shutdown");
        }
        let Some(reply) = wire.receive() else {
            assert_eq!("silence", expected, "{name}");
            continue;
        };
        assert_eq!(reply.status(), expected, "{name}");
        assert_eq!(reply.header.seq_no, bytes[2] + 1, "{name}");
        assert_eq!(reply.header.session_id.to_be_bytes(), bytes[4..8], "{name}");
        if let PacketType::Unknown(_) = reply.header.packet_type {
            let echo = [&bytes[..2], &[bytes[2] + 1], &bytes[3..8], &[0; 4]].concat();
            assert_eq!(
                reply.header.encode().as_slice(),
                echo,
                "{name}: the same header, RFC 8907 section 3.6"
            );
        } else {
            let words = reply
                .body
                .iter()
                .filter(|byte| byte.is_ascii_alphabetic())
                .count();
            assert_eq!(
                words, 0,
                "{name}: no text that would help to guess the secret"
            );
        }
        assert!(wire.is_closed(), "{name}");
    }
    assert_eq!(
        right.records(),
        Vec::<String>::new(),
        "nothing invalid was recorded"
    );
    assert_eq!(
        right.connect().start(&pap("alice", "alice-pap")),
        "PASS \"\""
    );
}

#[test]
fn the_table_names_every_packet_and_no_other() {
    let mut listed: Vec<String> = invalid("tcp")
        .iter()
        .map(|entry| entry["name"].as_str().expect("a name").to_owned())
        .collect();
    let mut known: Vec<&str> = REACTIONS.iter().map(|(name, _)| *name).collect();
    listed.sort();
    known.sort_unstable();
    assert_eq!(listed, known);
}

#[test]
fn every_invalid_packet_over_tls_gets_a_flagged_error_and_the_end() {
    let site = Site::start();
    let mut good = site.connect(&site.router());
    let all = invalid("tls");
    assert_eq!(all.len(), 3, "one of each kind of session");
    for entry in all {
        let name = entry["name"].as_str().expect("a name");
        let bytes = hex(entry["packet_hex"].as_str().expect("a packet"));
        let mut wire = site.connect(&site.router());
        wire.stream.write_all(&bytes).expect("sent");
        let login = good.ask(1, V1, true, &pap("alice", "alice-pap"));
        assert_eq!(login.expect(name).status(), "PASS", "{name}");
        let reply = wire.receive().expect(name);
        assert_eq!(reply.status(), "ERROR", "{name}");
        assert!(reply.header.flags.unencrypted, "{name}");
        assert_eq!(reply.header.seq_no, bytes[2] + 1, "{name}");
        assert_eq!(reply.header.session_id.to_be_bytes(), bytes[4..8], "{name}");
        assert!(wire.is_closed(), "{name}");
    }
    assert_eq!(site.server.records(), Vec::<String>::new());
}
