//! Many sessions on one connection, odd pieces on the wire, and hostile clients.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::time::Duration;

use common::{
    CONFIGURATION, SECRET, Server, V0, V1, Wire, acct, arguments, author, packet, pap, say, start,
};
use tac_plus::conf;
use tac_plus::daemon::{Daemon, Listener, Listening, Log, Source};
use tac_plus::policy::settings::Limits;
use tacacs_common::packet::{AuthenContinue, AuthenType};

#[test]
fn sessions_interleave_on_one_connection_if_the_client_asked_for_it() {
    let server = Server::start(CONFIGURATION);
    let mut wire = server.connect();
    let first = wire.ask(1, 1, V0, true, &start(AuthenType::Ascii, "", b""));
    assert!(first.header.flags.single_connect, "the server agrees");
    // In the middle of the dialogue: other sessions, of other users, of other kinds.
    let args = arguments(&["service=shell", "cmd="]);
    assert_eq!(
        wire.ask(2, 1, V0, false, &author("alice", &args)).author(),
        "PASS_ADD [priv-lvl=15]"
    );
    assert_eq!(
        wire.ask(1, 3, V0, true, &say("alice")).authen(),
        "GETPASS NOECHO \"Password: \""
    );
    assert_eq!(
        wire.ask(3, 1, V0, true, &start(AuthenType::Ascii, "bob", b""))
            .status(),
        "GETPASS"
    );
    assert_eq!(
        wire.ask(4, 1, V0, false, &acct(0x02, &arguments(&["task_id=1"])))
            .acct(),
        "SUCCESS"
    );
    assert_eq!(
        wire.ask(1, 5, V0, false, &say("alice-login")).status(),
        "PASS"
    );
    assert_eq!(
        wire.ask(3, 3, V0, false, &say("alice-login")).status(),
        "FAIL"
    );
    assert_eq!(
        wire.ask(1, 1, V1, false, &pap("alice", "alice-pap"))
            .status(),
        "PASS",
        "still open"
    );
}

#[test]
fn without_the_flag_the_connection_is_for_one_session() {
    let server = Server::start(CONFIGURATION);
    let mut wire = server.connect();
    let reply = wire.ask(1, 1, V1, false, &pap("alice", "alice-pap"));
    assert!(!reply.header.flags.single_connect);
    assert!(wire.is_closed());
}

#[test]
fn the_flag_counts_in_the_first_packet_only() {
    let server = Server::start(CONFIGURATION);
    let mut wire = server.connect();
    let reply = wire.ask(1, 1, V0, false, &start(AuthenType::Ascii, "alice", b""));
    assert!(!reply.header.flags.single_connect);
    assert_eq!(
        wire.ask(1, 3, V0, true, &say("alice-login")).status(),
        "PASS"
    );
    assert!(wire.is_closed());
}

#[test]
fn packets_arrive_in_any_pieces() {
    let server = Server::start(CONFIGURATION);
    let mut wire = server.connect();
    let args = arguments(&["service=shell", "cmd="]);
    let together = [
        wire.packet(1, 1, V1, true, &pap("alice", "alice-pap")),
        wire.packet(2, 1, V0, true, &author("alice", &args)),
    ]
    .concat();
    wire.send(&together);
    assert_eq!(wire.reply().status(), "PASS");
    assert_eq!(wire.reply().status(), "PASS_ADD");
    for byte in wire.packet(3, 1, V1, true, &pap("alice", "alice-pap")) {
        wire.send(&[byte]);
    }
    assert_eq!(wire.reply().status(), "PASS");
}

#[test]
fn records_of_one_connection_are_stored_in_their_order() {
    let server = Server::start(CONFIGURATION);
    let mut wire = server.connect();
    let mut bytes = Vec::new();
    for id in 1..=100 {
        let task = format!("task_id={id}");
        bytes.extend(wire.packet(id, 1, V0, true, &acct(0x02, &arguments(&[&task]))));
    }
    wire.send(&bytes);
    for id in 1..=100 {
        let reply = wire.reply();
        assert_eq!(
            (reply.header.session_id, reply.acct().as_str()),
            (id, "SUCCESS")
        );
    }
    let tasks: Vec<String> = server
        .records()
        .iter()
        .map(|line| line.rsplit('\t').next().unwrap().to_owned())
        .collect();
    let expected: Vec<String> = (1..=100).map(|id| format!("task_id={id}")).collect();
    assert_eq!(tasks, expected);
}

#[test]
fn more_records_at_once_than_sessions_are_all_stored() {
    let server = Server::start(CONFIGURATION);
    let mut wire = server.connect();
    let args = arguments(&["task_id=1"]);
    let request = acct(2, &args);
    let all: Vec<u8> = (1..=300)
        .flat_map(|id| wire.packet(id, 1, V0, true, &request))
        .collect();
    wire.send(&all);
    for id in 1..=300 {
        let reply = wire.reply();
        assert_eq!(
            (reply.header.session_id, reply.acct().as_str()),
            (id, "SUCCESS")
        );
    }
    assert_eq!(server.records().len(), 300);
}

#[test]
fn a_record_that_cannot_be_written_yet_delays_no_login_on_its_connection() {
    let server = Server::start(CONFIGURATION);
    let mut wire = server.connect();
    let args = arguments(&["task_id=1"]);
    assert_eq!(wire.ask(1, 1, V0, true, &acct(2, &args)).acct(), "SUCCESS");
    let file = std::fs::File::options()
        .append(true)
        .open(server.accounting_path());
    let file = file.unwrap();
    let lock = rustix::fs::FlockOperation::LockExclusive;
    rustix::fs::fcntl_lock(&file, lock).unwrap();
    let bytes = wire.packet(2, 1, V0, true, &acct(4, &args));
    wire.send(&bytes);
    let reply = wire.ask(3, 1, V1, true, &pap("alice", "alice-pap"));
    assert_eq!(reply.status(), "PASS");
    drop(file);
    let reply = wire.reply();
    assert_eq!(
        (reply.header.session_id, reply.acct().as_str()),
        (2, "SUCCESS")
    );
}

#[test]
fn a_client_that_only_listens_any_more_still_gets_its_answer() {
    let server = Server::start(CONFIGURATION);
    let mut wire = server.connect();
    let args = arguments(&["task_id=1"]);
    let bytes = wire.packet(1, 1, V0, true, &acct(2, &args));
    wire.send(&bytes);
    wire.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(wire.reply().acct(), "SUCCESS");
}

#[test]
fn after_a_wrong_secret_running_sessions_end_and_no_new_one_begins() {
    let mut server = Server::start(CONFIGURATION);
    let mut wire = server.connect();
    assert_eq!(
        wire.ask(1, 1, V0, true, &start(AuthenType::Ascii, "alice", b""))
            .status(),
        "GETPASS"
    );
    let wrong = packet(
        b"some other secret of a stranger",
        2,
        1,
        V1,
        true,
        &pap("alice", "alice-pap"),
    );
    wire.send(&wrong);
    let reply = wire.reply();
    assert_eq!(
        (reply.header.session_id, reply.status().as_str()),
        (2, "ERROR")
    );
    let line = server.wait_for_line("wrong shared secret");
    assert!(line.contains("packet from 127.0.0.1 refused"), "{line}");
    // A new session is not even answered; the old one still is, and then it is over.
    let bytes = wire.packet(3, 1, V1, true, &pap("alice", "alice-pap"));
    wire.send(&bytes);
    let reply = wire.ask(1, 3, V0, true, &say("alice-login"));
    assert_eq!(reply.status(), "PASS");
    assert!(wire.is_closed());
}

#[test]
fn a_packet_out_of_turn_ends_the_connection() {
    let server = Server::start(CONFIGURATION);
    for (seq_no, version) in [(1, V0), (2, V0), (5, V0), (3, V1)] {
        let mut wire = server.connect();
        wire.ask(1, 1, V0, true, &start(AuthenType::Ascii, "alice", b""));
        let id = wire.wire_id(1);
        let answer = say("alice-login");
        let bytes = packet(SECRET.as_bytes(), id, seq_no, version, true, &answer);
        wire.send(&bytes);
        if seq_no % 2 == 1 {
            assert_eq!(wire.reply().status(), "ERROR", "{seq_no}");
        }
        assert!(wire.is_closed(), "{seq_no}");
    }
    let mut wire = server.connect();
    let bytes = wire.packet(1, 255, V0, true, &say("alice-login"));
    wire.send(&bytes);
    assert!(wire.is_closed(), "no reply could have a number");
}

#[test]
fn an_aborted_session_gets_no_reply() {
    let mut server = Server::start(CONFIGURATION);
    let mut wire = server.connect();
    wire.ask(1, 1, V0, true, &start(AuthenType::Ascii, "alice", b""));
    let abort = AuthenContinue {
        user_msg: b"",
        data: b"changed\nmy mind",
        abort: true,
    };
    let bytes = wire.packet(1, 3, V0, true, &abort);
    wire.send(&bytes);
    assert!(
        server
            .wait_for_line("aborted by the client")
            .contains("changed\\012my mind")
    );
    assert_eq!(
        wire.ask(2, 1, V1, true, &pap("alice", "alice-pap"))
            .header
            .session_id,
        2,
        "the next reply"
    );
}

#[test]
fn an_unknown_client_is_not_answered() {
    let mut server = Server::start("host = 192.0.2.1 { key = \"a secret of more than sixteen\" }");
    let mut wire = server.connect();
    assert!(wire.is_closed());
    server.wait_for_line("connection from 127.0.0.1 refused: not a known client");
}

#[test]
fn names_from_the_network_cannot_forge_a_log_line() {
    let mut server = Server::start(CONFIGURATION);
    let mut forged = pap("alice", "wrong");
    forged.user = b"x\ntac_plus: login success: user=root";
    // The encoder refuses such a name, so the length of a harmless one is kept.
    let harmless = "x".repeat(forged.user.len());
    let mut wire = server.connect();
    let mut clear = Vec::new();
    tacacs_common::packet::Body::encode(&pap(&harmless, "wrong"), &mut clear).unwrap();
    clear[8..8 + forged.user.len()].copy_from_slice(forged.user);
    let mut bytes = wire.packet(1, 1, V1, false, &pap(&harmless, "wrong"));
    let header = tacacs_common::packet::Header::decode(&bytes).unwrap();
    tacacs_common::obfuscate::obfuscate(SECRET.as_bytes(), &header, &mut clear);
    bytes[12..].copy_from_slice(&clear);
    wire.send(&bytes);
    assert_eq!(wire.reply().status(), "FAIL");
    let line = server.wait_for_line("login");
    assert!(
        line.contains("user=x\\012tac_plus:\\040login\\040success:\\040user=root device="),
        "{line}"
    );
}

#[test]
fn a_thousand_announced_bodies_cost_no_memory() {
    let server = Server::start(CONFIGURATION);
    let before = server.resident_kb();
    let header = [0xc0, 1, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0];
    let mut wires: Vec<Wire> = (0..1000).map(|_| server.connect()).collect();
    for wire in &mut wires {
        wire.send(&header);
    }
    // Its answer comes after the server has seen all of the others' bytes.
    assert_eq!(
        server.connect().start(&pap("alice", "alice-pap")),
        "PASS \"\""
    );
    let grown = server.resident_kb().saturating_sub(before);
    assert!(
        grown < 16 * 1024,
        "{grown} KB for 1000 connections that announced 64 MB"
    );
}

/// A daemon inside this process, with limits a test can wait for.
fn daemon(limits: Limits) -> Wire {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "accounting file = {}\n{CONFIGURATION}",
            folder.path().join("acct").display()
        );
        let mut loaded =
            conf::compile(folder.path(), text.into()).unwrap_or_else(|error| panic!("{error}"));
        loaded.policy.settings.limits = limits;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
            listener.set_nonblocking(true).unwrap();
            let address = listener.local_addr().unwrap();
            sender.send(address).unwrap();
            let (log, _writer) = Log::start(None).unwrap();
            let source = Source {
                path: folder.path().join("unused"),
                descriptors: 1024,
                listening: Listening::default(),
            };
            let setup = source.try_out(loaded).unwrap();
            let daemon = Daemon { source, setup, log };
            let listener = Listener::plain(listener, address);
            daemon.run(vec![listener]).await.unwrap();
        });
    });
    Wire::new(std::net::TcpStream::connect(receiver.recv().unwrap()).unwrap())
}

const SHORT: Duration = Duration::from_millis(100);

#[test]
fn a_client_that_says_nothing_is_closed() {
    assert!(
        daemon(Limits {
            first_packet: Some(SHORT),
            ..Limits::default()
        })
        .is_closed()
    );
}

#[test]
fn a_packet_that_does_not_end_is_closed_without_a_reply_however_slowly_it_comes() {
    let mut wire = daemon(Limits {
        first_packet: Some(SHORT * 3),
        ..Limits::default()
    });
    let bytes = wire.packet(1, 1, V1, true, &pap("alice", "alice-pap"));
    let start = std::time::Instant::now();
    // A byte at a time, far slower than the limit: the server must not wait for the last.
    for byte in &bytes {
        if std::io::Write::write_all(&mut wire.stream, &[*byte]).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(
        matches!(wire.stream.peek(&mut [0]), Ok(0) | Err(_)),
        "closed without a reply"
    );
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_dialogue_nobody_answers_and_an_idle_connection_are_closed() {
    let mut wire = daemon(Limits {
        answer: Some(SHORT),
        ..Limits::default()
    });
    assert_eq!(
        wire.ask(1, 1, V0, true, &start(AuthenType::Ascii, "alice", b""))
            .status(),
        "GETPASS"
    );
    assert!(wire.is_closed());
    let mut wire = daemon(Limits {
        idle: Some(SHORT),
        ..Limits::default()
    });
    assert_eq!(
        wire.ask(1, 1, V1, true, &pap("alice", "alice-pap"))
            .status(),
        "PASS"
    );
    assert!(wire.is_closed());
}

#[test]
fn dialogues_that_are_given_up_without_a_word_take_no_place_for_long() {
    let mut wire = daemon(Limits {
        answer: Some(SHORT),
        sessions: Some(1),
        ..Limits::default()
    });
    let ask = |wire: &mut Wire, id| {
        let start = start(AuthenType::Ascii, "alice", b"");
        wire.ask(id, 1, V0, true, &start).status()
    };
    assert_eq!(ask(&mut wire, 1), "GETPASS");
    // Other traffic keeps the connection itself alive meanwhile.
    let end = std::time::Instant::now() + common::PATIENCE;
    let mut id = 1;
    while {
        id += 1;
        ask(&mut wire, id) == "ERROR"
    } {
        assert!(std::time::Instant::now() < end, "the place is never free");
    }
}

#[test]
fn an_answer_that_comes_too_late_harms_no_other_session() {
    let server = Server::start(CONFIGURATION);
    let mut wire = server.connect();
    wire.ask(1, 1, V0, true, &start(AuthenType::Ascii, "alice", b""));
    let reply = wire.ask(77, 3, V0, true, &say("alice-login"));
    assert_eq!(reply.status(), "ERROR");
    let reply = wire.ask(1, 3, V0, true, &say("alice-login"));
    assert_eq!(reply.status(), "PASS");
    assert!(wire.is_closed(), "no new session begins");
}

#[test]
fn a_client_with_too_many_connections_is_refused_the_next() {
    let mut first = daemon(Limits {
        connections_per_client: Some(1),
        ..Limits::default()
    });
    let question = start(AuthenType::Ascii, "alice", b"");
    let asked = first.ask(1, 1, V0, true, &question);
    assert_eq!(asked.status(), "GETPASS");
    let address = first.stream.peer_addr().unwrap();
    let connect = || Wire::new(std::net::TcpStream::connect(address).unwrap());
    assert!(connect().is_closed());
    let answer = first.ask(1, 3, V0, true, &say("alice-login"));
    assert_eq!(answer.status(), "PASS");
    // Now nothing happens on it, and the client has a use for its place.
    let mut third = connect();
    let reply = third.ask(1, 1, V1, true, &pap("alice", "alice-pap"));
    assert_eq!(reply.status(), "PASS");
    assert!(first.is_closed());
}

#[test]
fn sessions_over_the_limit_are_errors_and_the_others_go_on() {
    let mut wire = daemon(Limits {
        sessions: Some(2),
        ..Limits::default()
    });
    for id in 1..=2 {
        assert_eq!(
            wire.ask(id, 1, V0, true, &start(AuthenType::Ascii, "alice", b""))
                .status(),
            "GETPASS"
        );
    }
    assert_eq!(
        wire.ask(3, 1, V0, true, &start(AuthenType::Ascii, "alice", b""))
            .status(),
        "ERROR"
    );
    assert_eq!(
        wire.ask(1, 3, V0, true, &say("alice-login")).status(),
        "PASS"
    );
    assert_eq!(
        wire.ask(3, 1, V0, true, &start(AuthenType::Ascii, "alice", b""))
            .status(),
        "GETPASS"
    );
}
