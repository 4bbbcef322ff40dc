//! Rules of RFC 8907 for the server that no other test shows.
//! docs/conformance.md says which rule each one is for.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod common;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use common::{CONFIGURATION, SECRET, Server, acct, arguments, author, pap, renumbered, say, start};
use serde_json::Value;
use tacacs_common::chap::chap_response;
use tacacs_common::client::{Client, Way};
use tacacs_common::config::{Address, Config, SecretSource, Server as Target};
use tacacs_common::exchange::authen::Who;
use tacacs_common::obfuscate::obfuscate;
use tacacs_common::outcome::Outcome;
use tacacs_common::packet::{
    AuthenService, AuthenStart, AuthenStatus, AuthenType, HEADER_LEN, Header, PrivLvl, Version,
};
use tacacs_common::secret::Secret;

/// Logs in to a server as the client library does, from an address of loopback.
fn log_in(server: SocketAddr, from: Ipv4Addr, secret: &str) -> Outcome<()> {
    let source = SecretSource::inline(Secret::from_slice(secret.as_bytes()));
    let mut target = Target::new("server", Address::Ip(server), Some(source));
    target.timeout = common::PATIENCE;
    target.source.v4 = Some(from);
    let mut config = Config::default();
    config.servers.push(target);
    config.global.deadline = common::PATIENCE;
    config.global.hold_down = Duration::ZERO;
    let who = Who {
        user: "alice",
        port: "ssh",
        rem_addr: "192.0.2.7",
        priv_lvl: PrivLvl::USER,
        service: AuthenService::Login,
    };
    let password = Secret::from_slice(b"alice-pap");
    match Client::new(&config).authenticate(&who, Way::Pap(&password), &mut |_| None) {
        Outcome::Pass(_) => Outcome::Pass(()),
        Outcome::Deny(denial) => Outcome::Deny(denial),
        Outcome::Unreachable(why) => Outcome::Unreachable(why),
    }
}

#[test]
fn secrets_of_every_length_work_between_client_and_server() {
    // Around the edges of MD5's blocks of 64 bytes, and beyond them.
    for length in [16, 31, 32, 33, 55, 56, 57, 58, 59, 63, 64, 65, 128, 255] {
        let secret: String = ('!'..='z')
            .filter(|c| !matches!(c, '"' | '\\'))
            .cycle()
            .take(length)
            .collect();
        let configuration = format!(
            "host = 127.0.0.1 {{ key = \"{secret}\" }}\nuser = alice {{ pap = cleartext alice-pap }}"
        );
        let server = Server::start(&configuration);
        let outcome = log_in(server.address, Ipv4Addr::LOCALHOST, &secret);
        assert!(outcome.is_pass(), "{length}: {outcome:?}");
    }
}

#[test]
fn every_client_has_a_secret_of_its_own_and_no_other_clients_works_for_it() {
    let server = Server::start(CONFIGURATION);
    let (first, second) = (Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2));
    let other = "another-secret-of-32-characters!";
    for (from, secret, passes) in [
        (first, SECRET, true),
        (second, other, true),
        (first, other, false),
        (second, SECRET, false),
    ] {
        let outcome = log_in(server.address, from, secret);
        assert_eq!(outcome.is_pass(), passes, "{from}: {outcome:?}");
        assert_eq!(
            matches!(outcome, Outcome::Unreachable(_)),
            !passes,
            "a wrong secret is no decision: {outcome:?}"
        );
    }
}

#[test]
fn threads_with_different_secrets_do_not_get_in_each_others_way() {
    let server = Server::start(CONFIGURATION);
    let second = Ipv4Addr::new(127, 0, 0, 2);
    std::thread::scope(|scope| {
        for (from, secret) in [
            (Ipv4Addr::LOCALHOST, SECRET),
            (second, "another-secret-of-32-characters!"),
        ] {
            for _ in 0..4 {
                let address = server.address;
                scope.spawn(move || {
                    for _ in 0..25 {
                        assert!(log_in(address, from, secret).is_pass());
                    }
                });
            }
        }
    });
}

#[test]
fn a_reload_takes_a_clients_new_secret_and_forgets_the_old_one() {
    let mut server = Server::start(CONFIGURATION);
    let new = "the-next-secret-of-32-characters";
    let changed = CONFIGURATION.replace(SECRET, new);
    std::fs::write(server.configuration_path(), changed).unwrap();
    server.signal("HUP");
    server.wait_for_line("configuration reloaded");
    assert!(log_in(server.address, Ipv4Addr::LOCALHOST, new).is_pass());
    assert!(!log_in(server.address, Ipv4Addr::LOCALHOST, SECRET).is_pass());
}

#[test]
fn a_user_with_a_password_for_challenges_only_cannot_log_in_without_one() {
    let configuration = CONFIGURATION.to_owned() + "\nuser = carol { chap = cleartext carols }";
    let server = Server::start(&configuration);
    let proof = [
        &b"\x07challenge"[..],
        &chap_response(7, b"carols", b"challenge"),
    ]
    .concat();
    assert_eq!(
        server
            .connect()
            .start(&start(AuthenType::Chap, "carol", &proof)),
        "PASS \"\""
    );
    assert_eq!(server.connect().start(&pap("carol", "carols")), "FAIL \"\"");
    let mut wire = server.connect();
    wire.start(&start(AuthenType::Ascii, "carol", b""));
    assert_eq!(wire.say(3, "carols"), "FAIL \"\"");
}

#[test]
fn every_valid_request_is_answered_in_its_own_version_obfuscated_and_never_with_follow() {
    let file = include_str!("../../tacacs_common/tests/vectors/packets.json");
    let file: Value = serde_json::from_str(file).unwrap();
    let server = Server::start(CONFIGURATION);
    let mut answered = 0;
    for vector in file["vectors"].as_array().unwrap() {
        let name = vector["name"].as_str().unwrap();
        let header = &vector["header"];
        if vector["transport"] != "tcp" || header["seq_no"] != 1 {
            continue;
        }
        let text = vector["packet_hex"].as_str().unwrap();
        let bytes: Vec<u8> = (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
            .collect();
        let secret = vector["secret"].as_str().unwrap();
        let bytes = renumbered(&bytes, secret);
        let mut wire = server.connect().with_secret(secret);
        wire.send(&bytes);
        let reply = wire.reply();
        let head = reply.header.encode();
        assert_eq!(head[..2], bytes[..2], "{name}: version and type");
        assert_eq!(head[2], 2, "{name}: seq_no");
        assert_eq!(head[4..8], bytes[4..8], "{name}: session_id");
        assert!(!reply.header.flags.unencrypted, "{name}");
        assert_eq!(
            reply.header.flags.single_connect,
            bytes[3] & 0x04 != 0,
            "{name}"
        );
        assert_ne!(reply.status(), "FOLLOW", "{name}");
        assert_eq!(reply.header.length as usize, reply.body.len());
        assert!(bytes.len() > HEADER_LEN);
        answered += 1;
    }
    assert!(answered >= 15, "{answered} requests");
}

#[test]
fn a_request_marked_as_clear_is_dropped_whatever_it_asks() {
    let mut server = Server::start(CONFIGURATION);
    let args = arguments(&["task_id=1", "service=shell", "cmd="]);
    let wire = server.connect();
    for packet in [
        wire.packet(7, 1, Version::ONE, true, &pap("alice", "alice-pap")),
        wire.packet(7, 1, Version::DEFAULT, true, &author("alice", &args)),
        wire.packet(7, 1, Version::DEFAULT, true, &acct(0x02, &args)),
    ] {
        let header = Header::decode(&packet).unwrap();
        let mut clear = packet;
        clear[3] |= 0x01;
        let marked = clear.clone();
        obfuscate(SECRET.as_bytes(), &header, &mut clear[HEADER_LEN..]);
        for bytes in [clear, marked] {
            let mut wire = server.connect();
            wire.send(&bytes);
            assert!(wire.is_closed(), "{:?}", header.packet_type);
        }
    }
    server.wait_for_line("connection from 127.0.0.1 closed");
    assert_eq!(server.records(), Vec::<String>::new());
    server.signal("TERM");
    server.wait();
    let log = server.all_lines();
    assert!(!log.contains("login"), "no attempt was counted: {log}");
}

#[test]
fn enable_is_answered_whichever_minor_version_the_client_took_for_it() {
    let server = Server::start(CONFIGURATION);
    let enable = AuthenStart {
        priv_lvl: PrivLvl::ROOT,
        authen_service: AuthenService::Enable,
        ..start(AuthenType::Ascii, "alice", b"")
    };
    for version in [Version::DEFAULT, Version::ONE] {
        let mut wire = server.connect();
        let asked = wire.ask(7, 1, version, false, &enable);
        assert_eq!(asked.authen(), "GETPASS NOECHO \"Password: \"");
        let passed = wire.ask(7, 3, version, false, &say("alice-enable"));
        assert_eq!(passed.status(), AuthenStatus::Pass.to_string());
    }
}

#[test]
fn any_task_id_in_any_place_is_recorded_as_it_came() {
    let server = Server::start(CONFIGURATION);
    let args = [
        "service=shell",
        "cmd=",
        "start_time=1",
        "task_id=a=b*c %s %n",
    ];
    assert_eq!(server.connect().acct(0x02, &args), "SUCCESS");
    let records = server.records();
    assert_eq!(records.len(), 1);
    assert!(
        records[0].ends_with("\tstart\tservice=shell\tcmd=\tstart_time=1\ttask_id=a=b*c %s %n"),
        "{records:?}"
    );
}

#[test]
fn the_accounting_file_is_not_for_everybody() {
    let server = Server::start(CONFIGURATION);
    assert_eq!(server.connect().acct(0x02, &["task_id=1"]), "SUCCESS");
    let file = std::fs::metadata(server.accounting_path()).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&file.permissions());
    assert_eq!(mode & 0o007, 0, "{mode:o}");
    assert_eq!(mode & 0o022, 0, "{mode:o}");
}

#[test]
fn passwords_cannot_be_changed_here_and_the_user_is_told() {
    // RFC 8907 section 5.4.2: a flow that is known and not offered is a FAIL.
    let server = Server::start(CONFIGURATION);
    let change = AuthenStart {
        action: tacacs_common::packet::Action::ChangePass,
        ..start(AuthenType::Ascii, "alice", b"")
    };
    assert_eq!(
        server.connect().start(&change),
        "FAIL \"Passwords cannot be changed here\""
    );
}
