//! Clients that mean harm: the server stays up, its memory bounded, and good clients
//! are answered meanwhile. Packets that make no sense are in `invalid`.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use common::certificates::{Authority, Secured};
use common::watch::Watch;
use common::{CONFIGURATION, Over, Server, V0, V1, Wire, arguments, author, pap, start};
use tacacs_common::packet::AuthenType;

/// A server that knows every address, for a test with many.
fn everybody() -> Server {
    let configuration = format!("key = \"{}\"\n{CONFIGURATION}", common::SECRET);
    Server::start(&configuration)
}

/// The most that may be resident at any moment, in KB.
const MEMORY: u64 = 60_000;

/// Runs something bad while a good client logs in over and over, each time within a
/// time that no person would notice.
fn beside_a_good_client(server: &Server, harm: impl FnOnce()) {
    let (over, logins) = (AtomicBool::new(false), AtomicU32::new(0));
    let (address, process) = (server.address, server.process());
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) || logins.load(Ordering::Relaxed) == 0 {
                let watch = Watch::start(process);
                let mut wire = Wire::new(TcpStream::connect(address).unwrap());
                assert_eq!(wire.start(&pap("alice", "alice-pap")), "PASS \"\"");
                let waited = watch.elapsed();
                assert!(waited < Duration::from_secs(5), "{waited:?}");
                logins.fetch_add(1, Ordering::Relaxed);
            }
        });
        let _over = Over(&over);
        harm();
    });
    let peak = server.peak_resident_kb();
    assert!(peak < MEMORY, "{peak} KB");
}

#[test]
fn thousands_of_half_open_packets_and_dialogues_leave_room_for_a_good_client() {
    let server = everybody();
    beside_a_good_client(&server, || {
        let mut kept = Vec::new();
        let secret = common::SECRET.as_bytes();
        let ask = start(AuthenType::Ascii, "alice", b"");
        let dialogue = || common::packet(secret, common::fresh_id(), 1, V0, true, &ask);
        // A header that announces all that may be, half a header, and a question that
        // nobody answers.
        let mut header = dialogue();
        header.truncate(12);
        header.splice(8..12, 65_536u32.to_be_bytes());
        for number in 0..900u32 {
            let [_, _, high, low] = (number / 100 + 1).to_be_bytes();
            let mut stream = server.connect_from([127, 1, high, low]);
            let bytes = match number % 3 {
                0 => header.clone(),
                1 => header[..7].to_vec(),
                _ => dialogue(),
            };
            stream.write_all(&bytes).unwrap();
            kept.push(stream);
        }
    });
}

#[test]
fn hundreds_of_wrong_secrets_closed_without_reading_hold_nobody_up() {
    let mut server = everybody();
    beside_a_good_client(&server, || {
        for number in 0..300u32 {
            let [_, _, high, low] = (number % 50 + 1).to_be_bytes();
            let mut stream = server.connect_from([127, 2, high, low]);
            for _ in 0..20 {
                let request =
                    common::packet(b"wrong", number, 1, V1, true, &pap("alice", "alice-pap"));
                // The server may have hung up already.
                if stream.write_all(&request).is_err() {
                    break;
                }
            }
        }
    });
    server.wait_for_line("wrong shared secret");
    let mut wire = server.connect();
    assert_eq!(wire.start(&pap("alice", "alice-pap")), "PASS \"\"");
}

#[test]
fn a_user_of_a_client_s_machine_cannot_use_up_the_connections_of_the_client() {
    let limited = format!("limit connections-per-client = 4\n{CONFIGURATION}");
    let mut server = Server::start(&limited);
    let login = pap("alice", "alice-pap");
    let mut known = server.connect();
    assert_eq!(known.ask(1, 1, V1, true, &login).status(), "PASS");
    let mut strangers: Vec<Wire> = (0..20).map(|_| server.connect()).collect();
    // To the machine's own logins the server seems well.
    let mut own = server.connect();
    assert_eq!(own.ask(1, 1, V1, false, &login).status(), "PASS");
    assert!(own.is_closed());
    server.wait_for_line("this one has shown no secret or certificate");
    assert!(strangers[0].is_closed(), "the oldest gave way");
    assert_eq!(known.ask(2, 1, V1, true, &login).status(), "PASS");
    drop(strangers);
    // Nobody gives way whose secret was right and who is at work.
    let question = start(AuthenType::Ascii, "alice", b"");
    let mut all: Vec<Wire> = (0..3).map(|_| server.connect()).collect();
    for wire in all.iter_mut().chain([&mut known]) {
        assert_eq!(wire.ask(9, 1, V0, true, &question).status(), "GETPASS");
    }
    assert!(server.connect().is_closed());
    assert_eq!(known.ask(3, 1, V1, true, &login).status(), "PASS");
}

#[test]
fn replies_that_nobody_reads_stop_their_own_connection_only() {
    let server = everybody();
    beside_a_good_client(&server, || {
        let secret = common::SECRET.as_bytes();
        let many = || -> Vec<u8> {
            let login = pap("alice", "alice-pap");
            let ids = (0..2000).map(|_| common::fresh_id());
            ids.flat_map(|id| common::packet(secret, id, 1, V1, true, &login))
                .collect()
        };
        let mut streams = Vec::new();
        for _ in 0..20 {
            let mut stream = TcpStream::connect(server.address).unwrap();
            stream
                .set_write_timeout(Some(Duration::from_millis(200)))
                .unwrap();
            // Until the server has stopped to read, or the end.
            for _ in 0..20 {
                if stream.write_all(&many()).is_err() {
                    break;
                }
            }
            streams.push(stream);
        }
    });
}

#[test]
fn commands_that_take_their_expressions_long_hold_nobody_up() {
    const REQUESTS: u32 = 50;
    // Too many states for an automaton.
    let rules =
        "permit \"a(a|b){15}(end|stop)$\" deny \"(a|b|c)+a(a|b){15}d$\" permit \"(b|c|d)+a$\" ";
    let mut server = Server::start(&format!(
        "{CONFIGURATION}user = carol {{ cmd = show {{ {rules} }} }}"
    ));
    // As long a command as fits a packet, which only the last rule permits.
    let words = format!("cmd-arg={}", "ba".repeat(120));
    let mut args = vec!["service=shell", "cmd=show"];
    args.resize(250, &words);
    let args = arguments(&args);
    let mut answers = Vec::new();
    let mut wire = server.connect();
    beside_a_good_client(&server, || {
        // The first agrees to as many in one connection.
        for id in 1..=REQUESTS {
            let request = wire.packet(id, 1, V0, true, &author("carol", &args));
            wire.send(&request);
            if id == 1 {
                answers.push(wire.reply().author());
            }
        }
        answers.extend((1..REQUESTS).map(|_| wire.reply().author()));
    });
    // A client may have half of the queue, and the rest is told so at once.
    let count = |answer: &str| answers.iter().filter(|found| *found == answer).count();
    let (permitted, errors) = (count("PASS_ADD []"), count("ERROR []"));
    assert!(permitted >= 1 && errors >= 1, "{answers:?}");
    assert_eq!(permitted + errors, answers.len(), "{answers:?}");
    server.wait_for_line("too many others wait for rules that take long");
    let line = server.wait_for_line("result=error");
    assert!(
        line.contains("user=carol ") && line.contains("make them simpler"),
        "{line}"
    );
}

#[test]
fn hundreds_of_packets_that_come_a_byte_at_a_time_are_answered() {
    let server = everybody();
    let secret = common::SECRET.as_bytes();
    let login = pap("alice", "alice-pap");
    let login = || common::packet(secret, common::fresh_id(), 1, V1, false, &login);
    beside_a_good_client(&server, || {
        let connect = |number: u32| {
            let [_, _, high, low] = (number + 1).to_be_bytes();
            Wire::new(server.connect_from([127, 3, high, low]))
        };
        let mut wires: Vec<_> = (0..300).map(connect).collect();
        let logins: Vec<Vec<u8>> = wires.iter().map(|_| login()).collect();
        for at in 0..logins[0].len() {
            for (wire, login) in wires.iter_mut().zip(&logins) {
                wire.send(&[login[at]]);
            }
        }
        for wire in &mut wires {
            assert_eq!(wire.reply().status(), "PASS");
        }
    });
}

#[test]
fn bodies_over_the_limit_are_refused_at_their_header_however_much_of_them_comes() {
    let mut server = everybody();
    beside_a_good_client(&server, || {
        let body = vec![7; 256 * 1024];
        for number in 0..300u32 {
            let [_, _, high, low] = (number + 1).to_be_bytes();
            let mut stream = server.connect_from([127, 4, high, low]);
            stream.set_read_timeout(Some(common::PATIENCE)).unwrap();
            let length = [65_537, 1 << 20, u32::MAX][number as usize % 3].to_be_bytes();
            let header = [&[0xc1, 1, 1, 0, 0, 0, 0, 1][..], &length].concat();
            // The server hangs up in the middle of it.
            let _ = stream
                .write_all(&header)
                .and_then(|()| stream.write_all(&body));
            let mut answer = Vec::new();
            match stream.read_to_end(&mut answer) {
                Ok(_) => {}
                Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
            }
            assert_eq!(answer, [], "closed without a reply");
        }
    });
    server.wait_for_line("is over the limit of 65536");
}

#[test]
fn bytes_that_are_no_packets_at_all_are_closed() {
    let server = everybody();
    beside_a_good_client(&server, || {
        for first in [0u8, 0x16, 0xc2, 0xff, b'G'] {
            for length in [1, 12, 13, 100, 5000] {
                let mut stream = TcpStream::connect(server.address).unwrap();
                let _ = stream.write_all(&vec![first; length]);
            }
        }
    });
}

#[test]
fn hundreds_of_tls_handshakes_that_never_end_hold_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("test authority");
    authority.server().write(folder.path(), "server");
    let at = folder.path().display();
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    let text = format!(
        "tls listen = 127.0.0.1:0\ntls certificate = {at}/server.pem\ntls key = {at}/server.key\n\
         tls ca = {at}/ca.pem\n{}",
        CONFIGURATION.replace("prompt =", "tls name = r1.example.net prompt =")
    );
    let mut server = Server::start(&text);
    let line = server.wait_for_line("listening for TLS on");
    let address: SocketAddr = line.rsplit(' ').next().unwrap().parse().unwrap();
    beside_a_good_client(&server, || {
        let mut kept = Vec::new();
        for number in 0..400 {
            let mut stream = TcpStream::connect(address).unwrap();
            let hello = [&[22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 300]].concat();
            stream.write_all(&hello[..number % hello.len()]).unwrap();
            kept.push(stream);
        }
        let config = authority.client(&["r1.example.net"]).config(&authority);
        let mut wire = Secured::connect(address, &config);
        let reply = wire.ask(1, V1, false, &pap("alice", "alice-pap")).unwrap();
        assert_eq!(reply.status(), "PASS");
    });
}
