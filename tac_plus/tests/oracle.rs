//! An attacker on a client's address who has recorded a session and not the secret. The
//! pad of a body depends on a session_id that the attacker chooses: every answer that
//! tells sense from nonsense would tell a byte of the recorded password in the end.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{
    CONFIGURATION, Over, SECRET, Server, V0, V1, Wire, acct, arguments, author, connect_from,
    fresh_id, packet, pap, start,
};
use tacacs_common::packet::{Action, AuthenMethod, AuthenStart, AuthenType, HEADER_LEN};

const OTHER: &str = "another-secret-of-32-characters!";

/// Whole 127.8/16 has the secret of 127.0.0.1, and its own entries.
fn server() -> Server {
    let neighbours = format!("host = 127.8.0.0/16 {{ key = \"{OTHER}\" key = \"{SECRET}\" }}");
    Server::start(&format!("{CONFIGURATION}\n{neighbours}"))
}

/// Everything that can be seen of what became of a connection, but for when.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    /// Bytes that came back; of an answer, whose body differs as its pad does, the header
    /// without the session_id.
    header: Vec<u8>,
    length: usize,
    reset: bool,
}

fn watch(mut stream: TcpStream, request: &[u8]) -> (Seen, Duration) {
    stream.set_read_timeout(Some(common::PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(request).unwrap();
    let sent = Instant::now();
    let mut bytes = Vec::new();
    let reset = match stream.read_to_end(&mut bytes) {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            true
        }
    };
    let time = sent.elapsed();
    let mut header = bytes.get(..HEADER_LEN).unwrap_or_default().to_vec();
    if let Some(id) = header.get_mut(4..8) {
        id.fill(0);
    }
    let length = bytes.len();
    let seen = Seen {
        header,
        length,
        reset,
    };
    (seen, time)
}

fn is_answered(server: &Server, from: [u8; 4], request: &[u8]) -> bool {
    watch(server.connect_from(from), request).0.length > 0
}

#[test]
fn a_recorded_request_is_answered_three_times_in_all_whichever_address_it_comes_from() {
    let mut server = server();
    let args = arguments(&["task_id=1"]);
    let (login, record) = (pap("alice", "alice-pap"), acct(2, &args));
    for request in [
        packet(SECRET.as_bytes(), fresh_id(), 1, V1, false, &login),
        packet(SECRET.as_bytes(), fresh_id(), 1, V0, true, &record),
    ] {
        let mut answers = 0;
        for from in [[127, 0, 0, 1], [127, 8, 0, 1], [127, 8, 0, 2]] {
            for _ in 0..10 {
                // Whoever agreed to more than one session would not hang up.
                let mut single = request.clone();
                single[3] &= !4;
                answers += u32::from(is_answered(&server, from, &single));
            }
        }
        assert_eq!(answers, 3);
    }
    server.wait_for_line("recorded requests are being replayed");
    assert_eq!(server.records().len(), 3);
    let mut own = server.connect();
    assert_eq!(own.start(&login), "PASS \"\"");
}

#[test]
fn a_proven_connection_remembers_too_and_its_first_packets_count() {
    let server = server();
    let login = pap("alice", "alice-pap");
    let recorded = packet(SECRET.as_bytes(), fresh_id(), 1, V1, true, &login);
    let mut wire = server.connect();
    for number in 0..3 {
        wire.send(&recorded);
        assert_eq!(wire.reply().status(), "PASS", "{number}");
    }
    wire.send(&recorded);
    assert!(wire.is_closed());
    assert!(!is_answered(&server, [127, 8, 0, 9], &recorded));
}

#[test]
fn flipping_the_lengths_of_a_recorded_start_reads_no_byte_of_its_pad() {
    let server = server();
    let login = packet(
        SECRET.as_bytes(),
        fresh_id(),
        1,
        V1,
        false,
        &pap("alice", "alice-pap"),
    );
    // The attack: of 256 values of one length, that which fits is answered in another way.
    for flip in 0..=255u8 {
        let mut forged = login.clone();
        forged.truncate(login.len() - 1);
        forged[8..12].copy_from_slice(&u32::to_be_bytes(login.len() as u32 - 13));
        forged[HEADER_LEN + 7] ^= flip;
        let from = [127, 8, 1, flip];
        let seen = watch(server.connect_from(from), &forged).0;
        assert!(flip < 3 || seen.length == 0, "answered at {flip}");
    }
}

#[test]
fn nobody_without_the_secret_keeps_a_place_that_the_client_needs() {
    let limited = format!("limit connections-per-client = 4\n{CONFIGURATION}");
    let server = Server::start(&limited);
    // Decodable, and senseless: a service that there is not.
    let senseless = AuthenStart {
        action: Action::Unknown(9),
        ..pap("alice", "alice-pap")
    };
    let mut pinned: Vec<Wire> = Vec::new();
    for _ in 0..8 {
        let mut wire = server.connect();
        let bytes = wire.packet(1, 1, V1, true, &senseless);
        wire.send(&bytes);
        pinned.push(wire);
    }
    let mut own = server.connect();
    let reply = own.ask(1, 1, V1, true, &pap("alice", "alice-pap"));
    assert_eq!(reply.status(), "PASS");
    for wire in &mut pinned {
        let mut answer = Vec::new();
        // Those that gave way are reset perhaps.
        let _ = wire.stream.read_to_end(&mut answer);
        let flags = answer.get(3).copied().unwrap_or_default();
        assert_eq!(flags & 4, 0, "single connection mode is not agreed to");
    }
}

#[test]
fn who_has_shown_no_secret_goes_before_who_has_and_is_idle() {
    let limited = format!("limit connections-per-client = 4\n{CONFIGURATION}");
    let server = Server::start(&limited);
    let login = pap("alice", "alice-pap");
    let mut known = server.connect();
    assert_eq!(known.ask(1, 1, V1, true, &login).status(), "PASS");
    // Answered, since it is known and not supported; that shows nothing.
    let arap = start(AuthenType::Arap, "alice", b"");
    let mut others: Vec<Wire> = (0..3).map(|_| server.connect()).collect();
    for wire in &mut others {
        assert_eq!(wire.ask(1, 1, V0, true, &arap).status(), "FAIL");
    }
    let mut own = server.connect();
    assert_eq!(own.ask(1, 1, V1, true, &login).status(), "PASS");
    assert_eq!(
        known.ask(2, 1, V1, true, &login).status(),
        "PASS",
        "still there"
    );
}

/// First packets in pairs that nobody may tell apart from outside.
fn pairs() -> Vec<(&'static str, [Vec<u8>; 2])> {
    let args = arguments(&["service=shell", "cmd="]);
    let senseless = AuthenStart {
        action: Action::Unknown(9),
        ..pap("alice", "alice-pap")
    };
    let mut request = author("alice", &args);
    let right = |body: &AuthenStart<'_>| packet(SECRET.as_bytes(), fresh_id(), 1, V1, true, body);
    let wrong = |body: &AuthenStart<'_>| packet(b"nobody has this", fresh_id(), 1, V1, true, body);
    request.authen_method = AuthenMethod::Unknown(0x77);
    let odd = packet(SECRET.as_bytes(), fresh_id(), 1, V0, true, &request);
    let foreign = packet(b"nobody has this", fresh_id(), 1, V0, true, &request);
    let words = vec![format!("cmd-arg={}", "x".repeat(240)); 250];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let many = arguments(&words);
    let mut long = author("alice", &many);
    long.authen_method = AuthenMethod::Unknown(0x77);
    let of = |secret: &[u8]| packet(secret, fresh_id(), 1, V0, true, &long);
    vec![
        (
            "the sum right and senseless, the sum wrong",
            [right(&senseless), wrong(&senseless)],
        ),
        ("a request of this kind and of none", [odd, foreign]),
        (
            "64 KB: the first block right, wrong",
            [of(SECRET.as_bytes()), of(b"nobody")],
        ),
    ]
}

/// The largest distance between two distributions (Kolmogorov and Smirnov), in units in
/// which two of the same have less than 2.5 but for one time in 100,000.
fn distance(one: &[Duration], other: &[Duration]) -> f64 {
    let all = one.iter().map(|time| (time, true));
    let mut all: Vec<_> = all.chain(other.iter().map(|time| (time, false))).collect();
    all.sort_unstable();
    let (mut of_one, mut of_other, mut largest) = (0.0, 0.0, 0.0_f64);
    for equal in all.chunk_by(|(time, _), (next, _)| time == next) {
        let ones = equal.iter().filter(|(_, is_one)| *is_one).count();
        of_one += ones as f64 / one.len() as f64;
        of_other += (equal.len() - ones) as f64 / other.len() as f64;
        largest = largest.max((of_one - of_other).abs());
    }
    let (n, m) = (one.len() as f64, other.len() as f64);
    largest * (n * m / (n + m)).sqrt()
}

/// How often each is sent: a hundred thousand times with `TAC_PLUS_PAIRS=100000`.
fn rounds() -> u32 {
    let asked = std::env::var("TAC_PLUS_PAIRS").ok();
    asked.map_or(60, |rounds| rounds.parse().expect("a number"))
}

#[test]
fn what_makes_no_sense_looks_the_same_whatever_is_wrong_with_it() {
    // A hundred thousand take a while all the same.
    let threads = (rounds() / 1000).clamp(4, 100);
    let server = server();
    let address = server.address;
    for told in [true, false] {
        // Of each kind, by what is seen of it and its times.
        let mut kinds: Vec<(BTreeMap<Seen, u32>, Vec<Duration>)> = Vec::new();
        let results: Vec<_> = thread::scope(|scope| {
            let ask = |thread: u32| {
                let mut seen = Vec::new();
                for round in 0..rounds().div_ceil(threads) {
                    let number = thread << 16 | (round & 0xffff);
                    let [_, a, b, c] = number.to_be_bytes();
                    // One that is told has an address of its own, whoever is not shares one.
                    let from = if told {
                        [127, 8, b ^ a, c]
                    } else {
                        [127, 8, 255, 255]
                    };
                    for (at, (_, [one, other])) in pairs().iter().enumerate() {
                        // Whatever comes first is slower perhaps, on either side.
                        let order = [(2 * at, one), (2 * at + 1, other)];
                        for turn in 0..2 {
                            let (kind, bytes) = order[(turn + round as usize) % 2];
                            let found = watch(connect_from(from, address), bytes);
                            seen.push((kind, found));
                        }
                    }
                }
                seen
            };
            let threads: Vec<_> = (0..threads)
                .map(|thread| scope.spawn(move || ask(thread)))
                .collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap())
                .collect()
        });
        kinds.resize_with(2 * pairs().len(), Default::default);
        for (kind, (seen, time)) in results {
            // Ten are told at first, and one in ten seconds.
            if told != (seen.length > 0) {
                continue;
            }
            *kinds[kind].0.entry(seen).or_default() += 1;
            kinds[kind].1.push(time);
        }
        for ((name, _), found) in pairs().iter().zip(kinds.chunks(2)) {
            let [(one, times), (other, others)] = found else {
                panic!("two of each")
            };
            let ways = |seen: &BTreeMap<Seen, u32>| seen.keys().cloned().collect::<Vec<_>>();
            assert_eq!(ways(one), ways(other), "{name}");
            let distance = distance(times, others);
            // Few rounds on a busy machine tell no more than times that are apart.
            let most = if rounds() < 1000 { 4.5 } else { 2.5 };
            assert!(distance < most, "{name}: times differ by {distance}");
        }
    }
}

#[test]
fn all_of_a_client_s_logins_are_answered_while_somebody_attacks_from_its_address() {
    let server = server();
    let address = server.address;
    let (over, sent) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let attack = start(AuthenType::Ascii, "alice", b"");
                while !over.load(Ordering::Relaxed) {
                    let mut stream = connect_from([127, 0, 0, 1], address);
                    let forged = packet(b"a guess", fresh_id(), 1, V0, true, &attack);
                    let _ = stream.write_all(&forged);
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let _over = Over(&over);
        for login in 0..300 {
            let mut wire = server.connect();
            assert_eq!(
                wire.start(&pap("alice", "alice-pap")),
                "PASS \"\"",
                "{login}"
            );
        }
    });
    assert!(sent.load(Ordering::Relaxed) > 0);
}
