//! Whoever can connect and has neither a secret nor a certificate: what that may cost
//! everybody else.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use common::certificates::Secured;
use common::site::Site;
use common::watch::Watch;
use common::{CONFIGURATION, Server, V0, V1, arguments, author, connect_from, pap};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

/// The first message of a client that begins a handshake.
fn client_hello(config: &Arc<ClientConfig>) -> (ClientConnection, Vec<u8>) {
    let name = ServerName::try_from("aaa.example.net").unwrap();
    let mut client = ClientConnection::new(Arc::clone(config), name).unwrap();
    let mut hello = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut hello).unwrap();
    }
    (client, hello)
}

/// A site that knows 127.9/16 as a router, too.
fn site(extra: &str) -> Site {
    Site::with(&format!(
        "host = 127.9.0.0/16 {{ tls name = r1.example.net }}\n{extra}"
    ))
}

#[test]
fn a_thousand_handshakes_of_one_address_are_done_in_turns_with_everybody_elses() {
    let site = site("");
    let config = site.router().config(&site.authority);
    let (_, hello) = client_hello(&config);
    let begin = |_| {
        let mut stream = connect_from([127, 9, 0, 1], site.address);
        stream.write_all(&hello).unwrap();
        stream
    };
    let strangers: Vec<TcpStream> = (0..1500).map(begin).collect();
    let mut slowest = Duration::ZERO;
    for _ in 0..5 {
        let watch = Watch::start(site.server.process());
        let mut wire = Secured::connect(site.address, &config);
        let reply = wire.ask(1, V1, false, &pap("alice", "alice-pap")).unwrap();
        assert_eq!(reply.status(), "PASS");
        slowest = slowest.max(watch.elapsed());
    }
    // All of the others take seconds here.
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    drop(strangers);
}

#[test]
fn a_handshake_that_goes_on_outlives_a_flood_from_its_own_address() {
    let site = site("limit connections-per-client = 8\n");
    let config = site.router().config(&site.authority);
    let (mut client, hello) = client_hello(&config);
    let mut stream = TcpStream::connect(site.address).unwrap();
    stream.set_read_timeout(Some(common::PATIENCE)).unwrap();
    stream.write_all(&hello).unwrap();
    let mut buffer = [0; 16 * 1024];
    let count = stream.read(&mut buffer).unwrap();
    assert!(count > 0, "the server's turn is over");
    // Its round trip is long, and others are faster.
    let flood: Vec<_> = (0..100)
        .map(|_| TcpStream::connect(site.address).unwrap())
        .collect();
    let mut input = &buffer[..count];
    client.read_tls(&mut input).unwrap();
    client.process_new_packets().unwrap();
    while client.is_handshaking() || client.wants_write() {
        while client.wants_write() {
            client.write_tls(&mut stream).unwrap();
        }
        if client.is_handshaking() {
            assert!(client.read_tls(&mut stream).unwrap() > 0, "closed");
            client.process_new_packets().unwrap();
        }
    }
    // What comes next is read by whoever is still there.
    let got = client.read_tls(&mut stream).unwrap();
    assert!(got > 0, "the server's ticket");
    drop(flood);
}

#[test]
fn hellos_that_never_end_share_one_total_of_memory() {
    let site = site("");
    let before = site.server.resident_kb();
    // A first message that says it is 64 KB long, of which nearly 16 come.
    let record = [
        &[22, 3, 1, 0x3f, 0xf0][..],
        &[1, 0, 0xff, 0xff],
        &[3; 0x3fe0],
    ]
    .concat();
    let begin = |number: u16| {
        let [high, low] = number.to_be_bytes();
        let mut stream = connect_from([127, 9, high, low], site.address);
        // It may be closed by now.
        let _ = stream.write_all(&record[..record.len() - 1]);
        stream
    };
    let strangers: Vec<TcpStream> = (1..2500).map(begin).collect();
    let own = site.admits(&site.router());
    assert!(own, "a client is served meanwhile");
    let grown = site.server.resident_kb().saturating_sub(before);
    assert!(grown < 56 * 1024, "{grown} KB");
    drop(strangers);
}

#[test]
fn long_bodies_under_a_wrong_secret_are_kept_nowhere_and_a_right_one_is_answered() {
    let keys = "host = 127.9.0.0/16 { key = aaaaabbbbbcccccddddd key = fffffggggghhhhhiiiii }";
    let server = Server::start(&format!("{CONFIGURATION}\n{keys}"));
    let before = server.resident_kb();
    let mut words = vec!["service=shell".to_owned(), "cmd=show".to_owned()];
    words.resize(252, format!("cmd-arg={}", "x".repeat(240)));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let args = arguments(&words);
    let request = author("alice", &args);
    let wrong = common::packet(b"nobody has this", 1, 1, V0, true, &request);
    let mut strangers = Vec::new();
    for number in 1..1000u16 {
        let [high, low] = number.to_be_bytes();
        let mut stream = connect_from([127, 9, high, low], server.address);
        let mut packet = wrong.clone();
        packet[4..8].copy_from_slice(&common::fresh_id().to_be_bytes());
        stream.write_all(&packet[..packet.len() - 1]).unwrap();
        strangers.push(stream);
    }
    let mut wire = server.connect();
    let reply = wire.ask(1, 1, V0, false, &request);
    assert_ne!(reply.status(), "ERROR", "as long as it is");
    let grown = server.resident_kb().saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KB");
    drop(strangers);
}

#[test]
fn a_thousand_silent_strangers_cost_little() {
    let server = Server::start(CONFIGURATION);
    let before = server.resident_kb();
    let strangers: Vec<TcpStream> = (0..1000)
        .map(|_| TcpStream::connect(server.address).unwrap())
        .collect();
    let mut own = server.connect();
    assert_eq!(own.start(&pap("alice", "alice-pap")), "PASS \"\"");
    let grown = server.resident_kb().saturating_sub(before);
    println!("{grown} KB");
    assert!(grown < 6 * 1024, "{grown} KB");
    drop(strangers);
}

#[test]
fn silent_connections_of_many_addresses_leave_room_for_a_client_without_one() {
    let known = "host = 127.9.0.0/16 { key = aaaaabbbbbcccccddddd }";
    let server = Server::start(&format!(
        "limit connections = 100\n{CONFIGURATION}\n{known}"
    ));
    let address: SocketAddr = server.address;
    let silent = |number: u8| connect_from([127, 9, 0, number % 20 + 1], address);
    let strangers: Vec<TcpStream> = (0..200).map(silent).collect();
    for _ in 0..10 {
        let mut own = server.connect();
        assert_eq!(own.start(&pap("alice", "alice-pap")), "PASS \"\"");
    }
    drop(strangers);
}

#[test]
fn a_flood_of_refusals_is_a_few_lines_and_no_line_about_a_login_is_lost() {
    let mut server = Server::start(CONFIGURATION);
    for number in 0..3000u16 {
        let [high, low] = number.to_be_bytes();
        drop(connect_from(
            [127, 10, high % 2, low % 10 + 1],
            server.address,
        ));
    }
    let mut own = server.connect();
    assert_eq!(own.start(&pap("alice", "alice-pap")), "PASS \"\"");
    server.signal("TERM");
    server.wait();
    let lines = server.all_lines();
    assert!(lines.contains("login success: user=alice"), "{lines}");
    let refused = lines.matches("not a known client").count();
    assert!((20..=60).contains(&refused), "{refused} of 3000: {lines}");
    assert!(lines.contains("more from 127.10.1.1 since"), "{lines}");
}
