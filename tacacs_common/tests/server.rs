//! The server's side of a connection without a socket: bytes in, events and bytes out.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use proptest::prelude::*;
use serde_json::Value;
use tacacs_common::exchange::server::{Connection, Event, Limits, Refusal, Request};
use tacacs_common::obfuscate::Protection;
use tacacs_common::packet::{
    AuthenContinue, AuthenReply, AuthenStatus, Body, Error, Flags, HEADER_LEN, Header, PacketType,
    Version,
};
use tacacs_common::secret::Secret;

const SECRET: &[u8] = b"Kat-Secret-0123456789-abcdefghij";

fn vectors(list: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("vectors/packets.json")).unwrap();
    file[list].as_array().unwrap().clone()
}

fn vector(list: &str, name: &str) -> Vec<u8> {
    let entry = vectors(list)
        .into_iter()
        .find(|entry| entry["name"] == name)
        .expect(name);
    let text = entry["packet_hex"].as_str().unwrap();
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// What one event is, as a word.
fn word<S>(event: Option<Event<'_, S>>) -> String {
    match event {
        None => "nothing".to_owned(),
        Some(Event::Refused(Refusal::Packet(error))) => error.code().to_owned(),
        Some(Event::Refused(refusal)) => refusal.to_string(),
        Some(Event::Request { request, .. }) => match request {
            Request::Start(_) => "start",
            Request::Continue(_) => "continue",
            Request::Author(_) => "author",
            Request::Acct(_) => "acct",
        }
        .to_owned(),
    }
}

/// The packets in the output: header and clear body.
fn sent(connection: &mut Connection<'_, ()>, protection: Protection<'_>) -> Vec<(Header, Vec<u8>)> {
    let output = std::mem::take(connection.output());
    let mut rest = output.as_slice();
    let mut packets = Vec::new();
    while !rest.is_empty() {
        let header = Header::decode(rest).unwrap();
        let end = HEADER_LEN + usize::try_from(header.length).unwrap();
        let mut body = rest[HEADER_LEN..end].to_vec();
        protection.apply(&header, &mut body);
        packets.push((header, body));
        rest = &rest[end..];
    }
    packets
}

fn ask(status: AuthenStatus) -> AuthenReply<'static> {
    AuthenReply {
        status,
        no_echo: false,
        server_msg: b"",
        data: b"",
    }
}

fn answer(id: u32, seq_no: u8) -> Vec<u8> {
    let mut body = Vec::new();
    AuthenContinue {
        user_msg: b"x",
        data: b"",
        abort: false,
    }
    .encode(&mut body)
    .unwrap();
    let header = Header {
        version: Version::DEFAULT,
        packet_type: PacketType::Authen,
        seq_no,
        flags: Flags::default(),
        session_id: id,
        length: body.len().try_into().unwrap(),
    };
    tacacs_common::obfuscate::obfuscate(SECRET, &header, &mut body);
    [&header.encode()[..], &body].concat()
}

#[test]
fn a_dialogue_keeps_the_callers_state_from_packet_to_packet() {
    let secret = Secret::from_slice(SECRET);
    let mut connection: Connection<'_, u32> =
        Connection::new(Protection::Obfuscated(&secret), Limits::default());
    connection.receive(&vector("vectors", "ascii-1-start-nouser"));
    let Some(Event::Request {
        session_id, state, ..
    }) = connection.poll(|_| true)
    else {
        panic!("a request")
    };
    *state = Some(41);
    connection
        .reply(session_id, &ask(AuthenStatus::GetUser), false)
        .unwrap();
    connection.receive(&vector("vectors", "ascii-3-continue-user"));
    let Some(Event::Request { state, .. }) = connection.poll(|_| true) else {
        panic!("a request")
    };
    assert_eq!(*state, Some(41));
    connection
        .reply(session_id, &ask(AuthenStatus::Pass), true)
        .unwrap();
    assert!(
        connection.is_over(),
        "single connection mode was not asked for"
    );
}

#[test]
fn over_tls_a_packet_without_the_flag_is_answered_with_a_flagged_error_and_the_end() {
    for name in [
        "tls-flag-clear-authen_start",
        "tls-flag-clear-author_request",
        "tls-flag-clear-acct_request",
    ] {
        let mut connection: Connection<'_, ()> =
            Connection::new(Protection::Clear, Limits::default());
        connection.receive(&vector("invalid", name));
        assert_eq!(
            word(connection.poll(|_| true)),
            Error::FlagTlsClear.code(),
            "{name}"
        );
        let packets = sent(&mut connection, Protection::Clear);
        let [(header, body)] = packets.as_slice() else {
            panic!("{name}: one reply")
        };
        assert!(header.flags.unencrypted, "{name}");
        let status = match header.packet_type {
            PacketType::Authen => body[0] == 0x07,
            PacketType::Author => body[0] == 0x11,
            _ => body[4] == 0x02,
        };
        assert!(status, "{name}: status ERROR in {body:?}");
        assert!(connection.is_over(), "{name}");
    }
}

#[test]
fn over_tls_a_flagged_request_is_read_as_it_is() {
    let mut connection: Connection<'_, ()> = Connection::new(Protection::Clear, Limits::default());
    connection.receive(&vector("vectors", "tls-pap-start"));
    assert_eq!(word(connection.poll(|_| true)), "start");
}

#[test]
fn a_length_over_the_limit_is_refused_from_the_header_alone() {
    let secret = Secret::from_slice(SECRET);
    let limits = Limits {
        max_body: 100,
        ..Limits::default()
    };
    let mut connection: Connection<'_, ()> =
        Connection::new(Protection::Obfuscated(&secret), limits);
    connection.receive(&[0xc0, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 101]);
    assert_eq!(word(connection.poll(|_| true)), "length-limit");
    assert!(connection.is_over() && connection.output().is_empty());
}

#[test]
fn a_session_never_gets_a_number_that_wraps() {
    let secret = Secret::from_slice(SECRET);
    let mut connection: Connection<'_, ()> =
        Connection::new(Protection::Obfuscated(&secret), Limits::default());
    let start = vector("vectors", "ascii-1-start-nouser");
    let id = u32::from_be_bytes(start[4..8].try_into().unwrap());
    connection.receive(&start);
    assert_eq!(word(connection.poll(|_| true)), "start");
    for seq_no in (3..=253).step_by(2) {
        connection
            .reply(id, &ask(AuthenStatus::GetData), false)
            .unwrap();
        connection.receive(&answer(id, seq_no));
        assert_eq!(word(connection.poll(|_| true)), "continue", "{seq_no}");
    }
    connection
        .reply(id, &ask(AuthenStatus::GetData), false)
        .unwrap();
    let last = sent(&mut connection, Protection::Obfuscated(&secret))
        .pop()
        .unwrap();
    assert_eq!(last.0.seq_no, 254);
    assert!(
        connection.is_over(),
        "what 255 would ask could not be answered"
    );
}

#[test]
fn a_reply_that_cannot_be_encoded_becomes_an_error_of_the_same_session() {
    let secret = Secret::from_slice(SECRET);
    let mut connection: Connection<'_, ()> =
        Connection::new(Protection::Obfuscated(&secret), Limits::default());
    connection.receive(&vector("vectors", "ascii-1-start-nouser"));
    let Some(Event::Request { session_id, .. }) = connection.poll(|_| true) else {
        panic!("a request")
    };
    let bad = AuthenReply {
        server_msg: b"\x1b[2J",
        ..ask(AuthenStatus::Pass)
    };
    assert_eq!(
        connection.reply(session_id, &bad, true),
        Err(Error::Text {
            field: "server_msg"
        })
    );
    let packets = sent(&mut connection, Protection::Obfuscated(&secret));
    let [(_, body)] = packets.as_slice() else {
        panic!("one reply")
    };
    assert_eq!(
        AuthenReply::decode(body).unwrap().status,
        AuthenStatus::Error
    );
    assert!(connection.is_over());
}

#[test]
fn a_reply_nobody_waits_for_is_not_sent() {
    let secret = Secret::from_slice(SECRET);
    let mut connection: Connection<'_, ()> =
        Connection::new(Protection::Obfuscated(&secret), Limits::default());
    assert!(connection.reply(7, &ask(AuthenStatus::Pass), true).is_err());
    assert!(connection.output().is_empty());
}

proptest! {
    /// Any bytes in any pieces: no panic, and what is sent is whole packets.
    #[test]
    fn any_bytes_are_survived(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..16), valid in any::<bool>()) {
        let secret = Secret::from_slice(SECRET);
        let mut connection: Connection<'_, ()> = Connection::new(Protection::Obfuscated(&secret), Limits::default());
        if valid {
            connection.receive(&vector("vectors", "ascii-1-start-nouser"));
        }
        for piece in &pieces {
            connection.receive(piece);
            let mut asked = Vec::new();
            while let Some(event) = connection.poll(|_| true) {
                if let Event::Request { session_id, .. } = event {
                    asked.push(session_id);
                }
            }
            for id in asked {
                let _ = connection.reply(id, &ask(AuthenStatus::GetUser), false);
            }
        }
        sent(&mut connection, Protection::Obfuscated(&secret));
    }

    /// However a request is cut into pieces, it is one request.
    #[test]
    fn a_request_arrives_in_any_pieces(cuts in prop::collection::vec(1usize..40, 0..8)) {
        let secret = Secret::from_slice(SECRET);
        let mut connection: Connection<'_, ()> = Connection::new(Protection::Obfuscated(&secret), Limits::default());
        let packet = vector("vectors", "ascii-1-start-nouser");
        let mut rest = packet.as_slice();
        for cut in cuts {
            let (piece, tail) = rest.split_at(cut.min(rest.len().saturating_sub(1)));
            connection.receive(piece);
            prop_assert_eq!(word(connection.poll(|_| true)), "nothing");
            rest = tail;
        }
        connection.receive(rest);
        prop_assert_eq!(word(connection.poll(|_| true)), "start");
    }
}

/// An authorization of this many bytes, obfuscated with this secret.
fn long_request(secret: &[u8], arguments: usize) -> Vec<u8> {
    let mut args = tacacs_common::packet::ArgumentsBuf::new();
    let argument = [b"cmd-arg=".as_slice(), &[b'x'; 240]].concat();
    for _ in 0..arguments {
        args.push_raw(&argument).unwrap();
    }
    let mut body = Vec::new();
    tacacs_common::packet::AuthorRequest {
        authen_method: tacacs_common::packet::AuthenMethod::TacacsPlus,
        priv_lvl: tacacs_common::packet::PrivLvl::USER,
        authen_type: tacacs_common::packet::AuthenType::Ascii,
        authen_service: tacacs_common::packet::AuthenService::Login,
        user: b"alice",
        port: b"tty1",
        rem_addr: b"10.9.8.7",
        args: args.as_arguments(),
    }
    .encode(&mut body)
    .unwrap();
    let header = Header {
        version: Version::DEFAULT,
        packet_type: PacketType::Author,
        seq_no: 1,
        flags: Flags::default(),
        session_id: 77,
        length: body.len().try_into().unwrap(),
    };
    tacacs_common::obfuscate::obfuscate(secret, &header, &mut body);
    [&header.encode()[..], &body].concat()
}

#[test]
fn a_long_packet_that_makes_no_sense_is_kept_nowhere_and_refused_at_its_end() {
    let secret = Secret::from_slice(SECRET);
    let packet = long_request(b"another secret, which nobody here has", 250);
    let (last, most) = packet.split_last().unwrap();
    let mut connection: Connection<'_, ()> =
        Connection::new(Protection::Obfuscated(&secret), Limits::default());
    for piece in most.chunks(1000) {
        connection.receive(piece);
        assert_eq!(word(connection.poll(|_| true)), "nothing");
        assert_eq!(connection.is_waiting_for(), 0, "it is not waited for");
        assert!(connection.is_mid_packet() && connection.output().is_empty());
    }
    connection.receive(&[*last]);
    let event = connection.poll(|_| true);
    assert!(matches!(event, Some(Event::Refused(Refusal::Secret(_)))));
    assert_eq!(
        sent(&mut connection, Protection::Obfuscated(&secret)).len(),
        1
    );
    assert!(connection.is_over());
}

#[test]
fn a_long_packet_is_read_with_whichever_secret_it_has() {
    let [first, second] = [b"first secret, of enough letters", SECRET].map(Secret::from_slice);
    let others = [std::sync::Arc::new(second)];
    let packet = long_request(SECRET, 250);
    let mut connection: Connection<'_, ()> =
        Connection::with_secrets(&first, &others, Limits::default());
    for piece in packet.chunks(4000) {
        assert!(!connection.knows_its_secret());
        connection.receive(piece);
        if let Some(event) = connection.poll(|_| true) {
            assert_eq!(word(Some(event)), "author");
            assert!(connection.uses(&others[0]) && connection.knows_its_secret());
            return;
        }
        assert_eq!(connection.is_waiting_for(), packet.len() - HEADER_LEN);
    }
    panic!("never answered");
}

#[test]
fn a_first_packet_that_is_not_admitted_is_dropped_unread() {
    let secret = Secret::from_slice(SECRET);
    let start = vector("vectors", "ascii-1-start-nouser");
    let id = u32::from_be_bytes(start[4..8].try_into().unwrap());
    let mut connection: Connection<'_, ()> =
        Connection::new(Protection::Obfuscated(&secret), Limits::default());
    let mut asked = Vec::new();
    for byte in &start {
        connection.receive(&[*byte]);
        let event = connection.poll(|id| {
            asked.push(id);
            false
        });
        assert!(matches!(
            event,
            None | Some(Event::Refused(Refusal::Replayed))
        ));
    }
    assert_eq!(asked, [id], "asked once");
    assert!(connection.is_over() && connection.output().is_empty());
}

#[test]
fn no_reply_ever_has_the_number_of_a_clients_packet() {
    let secret = Secret::from_slice(SECRET);
    for seq_no in [0, 2, 4, 254] {
        let mut connection: Connection<'_, ()> =
            Connection::new(Protection::Obfuscated(&secret), Limits::default());
        connection.receive(&answer(7, seq_no));
        assert_eq!(word(connection.poll(|_| true)), "seq", "{seq_no}");
        // Its pad would be that of a recorded packet: here of a CONTINUE with a password.
        assert!(connection.output().is_empty(), "{seq_no}");
        assert!(connection.is_over(), "{seq_no}");
    }
}

#[test]
fn whatever_makes_no_sense_in_a_first_packet_is_told_in_the_same_words() {
    let secret = Secret::from_slice(SECRET);
    let mut seen = Vec::new();
    for name in ["start-7-bytes", "start-sum-too-big", "priv-lvl-16"] {
        let mut bytes = vector("invalid", name);
        // Single connection mode is asked for and never agreed to.
        bytes[3] |= 4;
        let mut connection: Connection<'_, ()> =
            Connection::new(Protection::Obfuscated(&secret), Limits::default());
        connection.receive(&bytes);
        let event = connection.poll(|_| true);
        assert!(
            matches!(event, Some(Event::Refused(Refusal::Secret(_)))),
            "{name}"
        );
        assert!(connection.is_over(), "{name}");
        let (header, body) = sent(&mut connection, Protection::Obfuscated(&secret))
            .pop()
            .unwrap();
        seen.push((header.flags.to_wire(), header.seq_no, body));
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "{seen:?}");
}
