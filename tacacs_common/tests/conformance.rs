//! Rules of RFC 8907 for the client that no other test shows: what is on the
//! wire, packet by packet. docs/conformance.md says which rule each one is for.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::collections::HashSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use tacacs_common::client::{Client, Trouble, Way};
use tacacs_common::config::{Address, Config, SecretSource, Server, SingleConnect};
use tacacs_common::exchange::Session;
use tacacs_common::exchange::authen::Who;
use tacacs_common::obfuscate::Protection;
use tacacs_common::outcome::{DenyReason, Outcome};
use tacacs_common::packet::{
    AcctRecord, AcctRequest, Action, ArgumentsBuf, AuthenContinue, AuthenMethod, AuthenReply,
    AuthenService, AuthenStart, AuthenStatus, AuthenType, AuthorRequest, Body, Error, HEADER_LEN,
    Header, PacketType, PrivLvl, Version,
};
use tacacs_common::secret::Secret;

const KEY: &[u8] = b"a-shared-secret-of-32-characters";
const PASS: &[u8] = &[1, 0, 0, 0, 0, 0];
const GETPASS: &[u8] = &[5, 1, 0, 0, 0, 0];
const PASS_ADD: &[u8] = &[1, 0, 0, 0, 0, 0];
const STORED: &[u8] = &[0, 0, 0, 0, 1];
/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// One packet or the end of a connection, as a peer saw it.
#[derive(Debug, PartialEq)]
enum Seen {
    Packet {
        connection: usize,
        /// The header's 12 bytes.
        head: [u8; HEADER_LEN],
        body: Vec<u8>,
    },
    End {
        connection: usize,
    },
}

/// A reply: its clear body, and the flags byte of its header.
type Reply = (&'static [u8], u8);

/// A server that gives the replies of one list in their order, over however many
/// connections the client opens one after another.
fn peer(replies: &[Reply]) -> (SocketAddr, Receiver<Seen>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, seen) = channel();
    let replies = replies.to_vec();
    thread::spawn(move || {
        let mut replies = replies.into_iter();
        for (connection, stream) in listener.incoming().map_while(Result::ok).enumerate() {
            serve(connection, stream, &mut replies, &sender);
        }
    });
    (address, seen)
}

fn serve(
    connection: usize,
    mut stream: TcpStream,
    replies: &mut dyn Iterator<Item = Reply>,
    seen: &Sender<Seen>,
) {
    let key = Secret::from_slice(KEY);
    let mut first = true;
    loop {
        let mut head = [0; HEADER_LEN];
        if stream.read_exact(&mut head).is_err() {
            let _ = seen.send(Seen::End { connection });
            return;
        }
        let header = Header::decode(&head).unwrap();
        let mut body = vec![0; header.length as usize];
        stream.read_exact(&mut body).unwrap();
        Protection::Obfuscated(&key).apply(&header, &mut body);
        if std::mem::take(&mut first) {
            assert_nothing_more(&stream);
        }
        let _ = seen.send(Seen::Packet {
            connection,
            head,
            body,
        });
        let Some((reply, flags)) = replies.next() else {
            return;
        };
        let header = Header {
            seq_no: header.seq_no + 1,
            length: reply.len() as u32,
            ..header
        };
        let mut wire = header.encode().to_vec();
        wire[3] = flags;
        let mut reply = reply.to_vec();
        Protection::Obfuscated(&key).apply(&header, &mut reply);
        wire.extend_from_slice(&reply);
        stream.write_all(&wire).unwrap();
    }
}

/// RFC 8907 section 4.3: no second packet before the connection's first reply.
fn assert_nothing_more(stream: &TcpStream) {
    let moment = Some(Duration::from_millis(20));
    stream.set_read_timeout(moment).unwrap();
    let error = stream.peek(&mut [0]).unwrap_err();
    assert!(matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut
    ));
    stream.set_read_timeout(None).unwrap();
}

fn next(seen: &Receiver<Seen>) -> Seen {
    seen.recv_timeout(PATIENCE)
        .expect("the peer sees something")
}

/// The next packet: its connection and its header's bytes.
fn packet(seen: &Receiver<Seen>) -> (usize, [u8; HEADER_LEN], Vec<u8>) {
    loop {
        if let Seen::Packet {
            connection,
            head,
            body,
        } = next(seen)
        {
            return (connection, head, body);
        }
    }
}

fn config(addresses: &[SocketAddr]) -> Config {
    let mut config = Config::default();
    for (index, address) in addresses.iter().enumerate() {
        let secret = SecretSource::inline(Secret::from_slice(KEY));
        let name = format!("s{index}");
        let mut server = Server::new(&name, Address::Ip(*address), Some(secret));
        server.timeout = PATIENCE;
        config.servers.push(server);
    }
    config.global.deadline = PATIENCE * 4;
    config.global.hold_down = Duration::ZERO;
    config
}

const ALICE: Who<'_> = Who {
    user: "alice",
    port: "ssh",
    rem_addr: "192.0.2.7",
    priv_lvl: PrivLvl::USER,
    service: AuthenService::Login,
};

fn log_in(client: &mut Client<'_>) -> bool {
    let password = Secret::from_slice(b"pw");
    client
        .authenticate(&ALICE, Way::Pap(&password), &mut |_| None)
        .is_pass()
}

fn about(args: &ArgumentsBuf) -> AuthorRequest<'_> {
    AuthorRequest {
        authen_method: AuthenMethod::TacacsPlus,
        priv_lvl: PrivLvl::USER,
        authen_type: AuthenType::Ascii,
        authen_service: AuthenService::Login,
        user: b"alice",
        port: b"ssh",
        rem_addr: b"192.0.2.7",
        args: args.as_arguments(),
    }
}

fn arguments(list: &[&str]) -> ArgumentsBuf {
    let mut args = ArgumentsBuf::new();
    for argument in list {
        args.push_raw(argument.as_bytes()).unwrap();
    }
    args
}

fn record() -> Vec<u8> {
    let args = arguments(&["task_id=1", "service=shell", "cmd="]);
    let mut body = Vec::new();
    AcctRequest {
        flags: AcctRecord::Start.to_wire(),
        about: about(&args),
    }
    .encode(&mut body)
    .unwrap();
    body
}

#[test]
fn each_packet_of_a_dialogue_has_the_next_odd_number_and_the_sessions_own_id_and_version() {
    let (address, seen) = peer(&[(GETPASS, 0), (GETPASS, 0), (PASS, 0)]);
    let config = config(&[address]);
    let outcome = Client::new(&config).authenticate(&ALICE, Way::Ascii, &mut |_| {
        Some(Secret::from_slice(b"answer"))
    });
    assert!(outcome.is_pass(), "{outcome:?}");
    let heads: Vec<_> = (0..3).map(|_| packet(&seen).1).collect();
    for (head, seq_no) in heads.iter().zip([1, 3, 5]) {
        assert_eq!(head[..3], [0xC0, 1, seq_no]);
        assert_eq!(head[4..8], heads[0][4..8], "session_id");
    }
}

#[test]
fn authorization_and_accounting_are_one_packet_of_version_0_each() {
    let (address, seen) = peer(&[(PASS_ADD, 0), (STORED, 0)]);
    let config = config(&[address]);
    let mut client = Client::new(&config);
    let args = arguments(&["service=shell", "cmd="]);
    assert!(client.authorize(&about(&args)).is_pass());
    assert!(client.account(&record()).is_pass());
    assert_eq!(packet(&seen).1[..3], [0xC0, 2, 1]);
    assert_eq!(packet(&seen).1[..3], [0xC0, 3, 1]);
}

#[test]
fn only_the_single_connect_flag_is_ever_sent_and_unknown_ones_are_ignored() {
    for (offer, expected) in [(SingleConnect::Auto, 0x04), (SingleConnect::No, 0)] {
        let (address, seen) = peer(&[(PASS, 0xF2), (PASS, 0xFA)]);
        let mut config = config(&[address]);
        config.servers[0].single_connect = offer;
        let mut client = Client::new(&config);
        assert!(log_in(&mut client) && log_in(&mut client));
        for _ in 0..2 {
            assert_eq!(packet(&seen).1[3], expected);
        }
    }
}

#[test]
fn a_connection_is_kept_only_if_both_sides_said_so_in_their_first_packets() {
    use SingleConnect::{Auto, No};
    for (offer, first, second, kept) in [
        (Auto, 0x04, 0x04, true),
        (Auto, 0x00, 0x00, false),
        (No, 0x04, 0x04, false),
        (No, 0x00, 0x00, false),
        // What later packets say changes nothing.
        (Auto, 0x04, 0x00, true),
        (Auto, 0x00, 0x04, false),
    ] {
        let (address, seen) = peer(&[(GETPASS, first), (PASS, second), (PASS, second)]);
        let mut config = config(&[address]);
        config.servers[0].single_connect = offer;
        let mut client = Client::new(&config);
        let outcome = client.authenticate(&ALICE, Way::Ascii, &mut |_| {
            Some(Secret::from_slice(b"answer"))
        });
        assert!(outcome.is_pass() && log_in(&mut client));
        let connections: Vec<_> = (0..3).map(|_| packet(&seen).0).collect();
        let expected = if kept { [0, 0, 0] } else { [0, 0, 1] };
        assert_eq!(connections, expected, "{offer:?} {first} {second}");
    }
}

#[test]
fn a_connection_that_is_not_kept_is_closed_when_its_session_ends() {
    let (address, seen) = peer(&[(PASS, 0)]);
    let config = config(&[address]);
    let mut client = Client::new(&config);
    assert!(log_in(&mut client));
    packet(&seen);
    // While the client still lives.
    assert_eq!(next(&seen), Seen::End { connection: 0 });
    drop(client);
}

#[test]
fn a_connection_with_an_unreadable_reply_is_not_used_again() {
    let (address, seen) = peer(&[(PASS, 0x04), (&[1, 0, 0, 1, 0, 0], 0x04), (PASS, 0x04)]);
    let config = config(&[address]);
    let mut client = Client::new(&config);
    let passes = [(); 3].map(|()| log_in(&mut client));
    assert_eq!(passes, [true, false, true]);
    let connections = [(); 3].map(|()| packet(&seen).0);
    assert_eq!(connections, [0, 0, 1]);
}

#[test]
fn a_reply_with_the_wrong_flag_ends_the_connection_too() {
    let (address, seen) = peer(&[(PASS, 0x05)]);
    let config = config(&[address]);
    let mut client = Client::new(&config);
    assert!(!log_in(&mut client));
    packet(&seen);
    // While the client still lives.
    assert_eq!(next(&seen), Seen::End { connection: 0 });
    assert!(client.into_connection().is_none());
}

#[test]
fn session_ids_do_not_repeat_and_every_bit_of_them_varies() {
    const SESSIONS: usize = 200;
    let (address, seen) = peer(&[(STORED, 0x04); SESSIONS]);
    let config = config(&[address]);
    let mut client = Client::new(&config);
    let body = record();
    let mut ids = HashSet::new();
    for _ in 0..SESSIONS {
        assert!(client.account(&body).is_pass());
        let [.., a, b, c, d, _, _, _, _] = packet(&seen).1;
        ids.insert(u32::from_be_bytes([a, b, c, d]));
    }
    // Two alike by chance: once in 200,000 runs.
    assert_eq!(ids.len(), SESSIONS);
    for bit in 0..32 {
        let set = ids.iter().filter(|id| *id >> bit & 1 == 1).count();
        assert!((40..=160).contains(&set), "bit {bit} is set {set} times");
    }
}

#[test]
fn challenges_are_never_sent_twice() {
    let (address, seen) = peer(&[(PASS, 0x04); 40]);
    let config = config(&[address]);
    let mut client = Client::new(&config);
    let password = Secret::from_slice(b"pw");
    let mut challenges = HashSet::new();
    for _ in 0..20 {
        for way in [Way::Chap(&password), Way::MsChapV2(&password)] {
            let outcome = client.authenticate(&ALICE, way, &mut |_| None);
            assert!(outcome.is_pass());
            let body = packet(&seen).2;
            let start = AuthenStart::decode(&body).unwrap();
            let challenge = start.challenge().unwrap().unwrap().challenge.to_vec();
            assert_eq!(challenge.len(), 16);
            assert!(challenges.insert(challenge), "repeated");
        }
    }
}

#[test]
fn an_error_or_a_follow_in_accounting_is_no_record_and_the_next_server_is_asked() {
    for reply in [&[0, 0, 0, 0, 2][..], &[0, 0, 0, 0, 0x21], &[0, 0, 0, 0, 9]] {
        let (bad, _) = peer(&[(reply, 0)]);
        let alone = config(&[bad]);
        let Outcome::Unreachable(why) = Client::new(&alone).account(&record()) else {
            panic!("{reply:?} decided")
        };
        assert!(
            matches!(why.tried[0].1, Trouble::ServerError(_) | Trouble::Status),
            "{why}"
        );

        let (bad, seen) = peer(&[(reply, 0)]);
        let (good, stored) = peer(&[(STORED, 0)]);
        let both = config(&[bad, good]);
        let Outcome::Pass(accepted) = Client::new(&both).account(&record()) else {
            panic!("{reply:?}: no server has the record")
        };
        assert_eq!(accepted.server, "s1");
        assert_eq!(packet(&seen).2, packet(&stored).2, "the same bytes again");
    }
}

#[test]
fn an_error_in_authorization_asks_the_next_server_and_a_fail_does_not() {
    let args = arguments(&["service=shell", "cmd="]);
    // An ERROR's arguments count for nothing; its data is for the log.
    let error = b"\x11\x01\0\0\0\x08\x0bdb\x1bdown\npriv-lvl=15";
    let (bad, _) = peer(&[(error, 0)]);
    let (good, _) = peer(&[(PASS_ADD, 0)]);
    let config_ = config(&[bad, good]);
    let mut client = Client::new(&config_);
    let Outcome::Pass(authorized) = client.authorize(&about(&args)) else {
        panic!("the second server approves")
    };
    assert_eq!(
        (
            authorized.server.as_str(),
            authorized.args.as_arguments().len()
        ),
        ("s1", 0)
    );
    let troubles = client.take_troubles();
    assert!(
        matches!(troubles.as_slice(), [(_, Trouble::ServerError(words))] if words == "db\\x1bdown\\x0a"),
        "{troubles:?}"
    );

    let (refusing, _) = peer(&[(&[0x10, 0, 0, 0, 0, 0], 0)]);
    let (other, asked) = peer(&[(PASS_ADD, 0)]);
    let config_ = config(&[refusing, other]);
    let outcome = Client::new(&config_).authorize(&about(&args));
    assert!(matches!(outcome, Outcome::Deny(_)), "{outcome:?}");
    assert!(asked.try_recv().is_err());
}

#[test]
fn an_authorization_reply_that_is_cut_anywhere_is_never_a_pass() {
    let whole = b"\x01\x01\0\x02\0\x01\x0bhixpriv-lvl=15";
    let args = arguments(&["service=shell", "cmd="]);
    for len in 0..=whole.len() {
        let (address, _seen) = peer(&[(&whole[..len], 0)]);
        let config = config(&[address]);
        let outcome = Client::new(&config).authorize(&about(&args));
        assert_eq!(
            outcome.is_pass(),
            len == whole.len(),
            "{len} bytes: {outcome:?}"
        );
    }
}

#[test]
fn an_empty_answer_is_an_answer() {
    let (address, seen) = peer(&[(GETPASS, 0), (PASS, 0)]);
    let config = config(&[address]);
    let outcome = Client::new(&config)
        .authenticate(&ALICE, Way::Ascii, &mut |_| Some(Secret::from_slice(b"")));
    assert!(outcome.is_pass());
    packet(&seen);
    assert_eq!(packet(&seen).2, [0; 5]);
}

#[test]
fn a_tcp_server_without_a_secret_is_sent_nothing() {
    let (address, seen) = peer(&[(PASS, 0x01)]);
    let mut config = config(&[address]);
    config.servers[0].secret = None;
    let password = Secret::from_slice(b"pw");
    let outcome = Client::new(&config).authenticate(&ALICE, Way::Pap(&password), &mut |_| None);
    assert!(matches!(outcome, Outcome::Unreachable(_)), "{outcome:?}");
    assert!(
        !seen
            .try_iter()
            .any(|seen| matches!(seen, Seen::Packet { .. })),
        "the password went over the wire in clear"
    );
}

#[test]
fn a_field_that_is_too_long_is_refused_in_every_packet_and_never_cut() {
    let long = "x".repeat(256);
    let too_long = |field| {
        Err(Error::FieldTooLong {
            field,
            len: 256,
            max: 255,
        })
    };
    let start = AuthenStart {
        action: Action::Login,
        priv_lvl: PrivLvl::USER,
        authen_type: AuthenType::Pap,
        authen_service: AuthenService::Login,
        user: b"alice",
        port: b"ssh",
        rem_addr: b"192.0.2.7",
        data: b"pw",
    };
    let bytes = long.as_bytes();
    for (field, start) in [
        (
            "user",
            AuthenStart {
                user: bytes,
                ..start
            },
        ),
        (
            "port",
            AuthenStart {
                port: bytes,
                ..start
            },
        ),
        (
            "rem_addr",
            AuthenStart {
                rem_addr: bytes,
                ..start
            },
        ),
        (
            "data",
            AuthenStart {
                data: bytes,
                ..start
            },
        ),
    ] {
        assert_eq!(start.encode(&mut Vec::new()), too_long(field));
    }
    let args = arguments(&["service=shell"]);
    for (field, request) in [
        (
            "user",
            AuthorRequest {
                user: bytes,
                ..about(&args)
            },
        ),
        (
            "port",
            AuthorRequest {
                port: bytes,
                ..about(&args)
            },
        ),
        (
            "rem_addr",
            AuthorRequest {
                rem_addr: bytes,
                ..about(&args)
            },
        ),
    ] {
        assert_eq!(request.encode(&mut Vec::new()), too_long(field));
        let record = AcctRequest {
            flags: 2,
            about: request,
        };
        assert_eq!(record.encode(&mut Vec::new()), too_long(field));
    }
    let answer = vec![b'x'; 65_536];
    let answer = AuthenContinue {
        user_msg: &answer,
        data: b"",
        abort: false,
    };
    assert!(matches!(
        answer.encode(&mut Vec::new()),
        Err(Error::FieldTooLong {
            field: "user_msg",
            ..
        })
    ));
}

#[test]
fn a_body_over_the_limit_is_not_sent_though_each_of_its_fields_fits() {
    let mut args = ArgumentsBuf::new();
    for _ in 0..255 {
        args.mandatory("cmd-arg", &[b'x'; 247]).unwrap();
    }
    let user = "x".repeat(255);
    let request = AuthorRequest {
        user: user.as_bytes(),
        port: user.as_bytes(),
        rem_addr: user.as_bytes(),
        ..about(&args)
    };
    let key = Secret::from_slice(KEY);
    let protection = Protection::Obfuscated(&key);
    let mut session = Session::new(protection, PacketType::Author, Version::DEFAULT, 7, false);
    let mut out = b"before".to_vec();
    assert_eq!(
        session.seal(&request, &mut out),
        Err(Error::LengthLimit {
            length: 66_053,
            limit: 65_536
        })
    );
    assert_eq!(out, b"before");
}

#[test]
fn a_zero_byte_ends_no_field() {
    let body = b"\x01\x01\x01\x01\x03\x00\x00\x00a\0b";
    let start = AuthenStart::decode(body).unwrap();
    assert_eq!(start.user, b"a\0b");
    let body = b"\x01\0\0\x03\0\x03x\0y\0\0\0";
    let reply = AuthenReply::decode(body).unwrap();
    assert_eq!(
        (reply.server_msg, reply.data),
        (&b"x\0y"[..], &b"\0\0\0"[..])
    );
}

#[test]
fn a_user_name_is_counted_in_bytes_and_its_case_and_letters_are_kept() {
    for name in ["J\u{fc}rgen", "JU\u{308}RGEN", "alice", "Alice"] {
        let start = AuthenStart {
            action: Action::Login,
            priv_lvl: PrivLvl::USER,
            authen_type: AuthenType::Ascii,
            authen_service: AuthenService::Login,
            user: name.as_bytes(),
            port: b"",
            rem_addr: b"",
            data: b"",
        };
        let mut body = Vec::new();
        start.encode(&mut body).unwrap();
        assert_eq!(usize::from(body[4]), name.len());
        assert_eq!(&body[8..], name.as_bytes());
    }
    for (field, bad) in [
        ("user", &b"a\x1b[2J"[..]),
        ("user", b"a\nb"),
        ("user", b"\xff\xfe"),
        ("port", b"t\xc3\xbc"),
        ("rem_addr", b"a\nb"),
    ] {
        let mut start = AuthenStart::decode(&[1, 1, 1, 1, 0, 0, 0, 0]).unwrap();
        match field {
            "user" => start.user = bad,
            "port" => start.port = bad,
            _ => start.rem_addr = bad,
        }
        assert_eq!(start.encode(&mut Vec::new()), Err(Error::Text { field }));
    }
}

#[test]
fn a_flipped_bit_makes_a_fail_a_pass_which_only_tls_can_keep_out() {
    // RFC 8907 section 10.5: obfuscation is no integrity. This is what it does not do.
    let key = Secret::from_slice(KEY);
    let header = Header::decode(&[0xC0, 1, 2, 0, 0, 0, 0, 7, 0, 0, 0, 6]).unwrap();
    let mut body = vec![AuthenStatus::Fail.to_wire(), 0, 0, 0, 0, 0];
    Protection::Obfuscated(&key).apply(&header, &mut body);
    body[0] ^= 0x03;
    Protection::Obfuscated(&key).apply(&header, &mut body);
    assert_eq!(
        AuthenReply::decode(&body).unwrap().status,
        AuthenStatus::Pass
    );
    // Arguments cannot be added to it: their lengths would have to fit the header's.
    body.extend_from_slice(b"priv-lvl=15");
    assert!(AuthenReply::decode(&body).is_err());
}

#[test]
fn a_password_that_does_not_fit_is_a_denial_and_is_not_cut() {
    let (address, seen) = peer(&[(PASS, 0)]);
    let config = config(&[address]);
    let long = Secret::from_slice(&[b'x'; 256]);
    let outcome = Client::new(&config).authenticate(&ALICE, Way::Pap(&long), &mut |_| None);
    let Outcome::Deny(denial) = outcome else {
        panic!("a cut password was sent: {outcome:?}")
    };
    assert!(matches!(denial.reason, DenyReason::Unsendable(_)));
    assert_eq!(
        next(&seen),
        Seen::End { connection: 0 },
        "and nothing was sent"
    );
}
