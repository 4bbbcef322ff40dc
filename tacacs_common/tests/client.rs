//! The blocking client against servers that behave, and servers that do not.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tacacs_common::client::{Accepted, Client, Trouble, Way};
use tacacs_common::config::{Address, Config, SecretSource, Server};
use tacacs_common::exchange::authen::{Ask, What, Who};
use tacacs_common::hold_down::{self, HoldDown};
use tacacs_common::obfuscate::Protection;
use tacacs_common::outcome::{DenyReason, Outcome};
use tacacs_common::packet::{
    AcctRecord, AcctRequest, Arguments, ArgumentsBuf, AuthenMethod, AuthenService, AuthenType,
    AuthorRequest, Body, Flags, HEADER_LEN, Header, PrivLvl,
};
use tacacs_common::secret::Secret;

const KEY: &[u8] = b"a-shared-secret-of-32-characters";
const PASS: &[u8] = &[1, 0, 0, 0, 0, 0];
const FAIL: &[u8] = &[2, 0, 0, 0, 0, 0];
const ERROR: &[u8] = &[7, 0, 0, 0, 0, 0];
const GETPASS: &[u8] = &[5, 1, 0, 0, 0, 0];
const ACCT_SUCCESS: &[u8] = &[0, 0, 0, 0, 1];

/// A server made for one test: what it received, and where it listens.
struct Peer {
    address: std::net::SocketAddr,
    /// One entry a connection: the clear bodies received on it.
    seen: Arc<Mutex<Vec<Vec<Vec<u8>>>>>,
}

/// One connection of a [`Peer`].
struct Conn {
    stream: TcpStream,
    last: Option<Header>,
    seen: Arc<Mutex<Vec<Vec<Vec<u8>>>>>,
    index: usize,
}

impl Peer {
    fn new(script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&seen);
        let script = Arc::new(script);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let seen = Arc::clone(&shared);
                let index = seen.lock().unwrap().len();
                seen.lock().unwrap().push(Vec::new());
                let script = Arc::clone(&script);
                thread::spawn(move || {
                    script(&mut Conn {
                        stream,
                        last: None,
                        seen,
                        index,
                    })
                });
            }
        });
        Self { address, seen }
    }

    fn connections(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    fn packets(&self) -> Vec<Vec<u8>> {
        self.seen.lock().unwrap().concat()
    }
}

impl Conn {
    /// The next packet's clear body; `None` at the end of the connection.
    fn receive(&mut self) -> Option<Vec<u8>> {
        let mut head = [0; HEADER_LEN];
        self.stream.read_exact(&mut head).ok()?;
        let header = Header::decode(&head).unwrap();
        let mut body = vec![0; header.length as usize];
        self.stream.read_exact(&mut body).ok()?;
        let key = Secret::from_slice(KEY);
        Protection::Obfuscated(&key).apply(&header, &mut body);
        self.last = Some(header);
        self.seen.lock().unwrap()[self.index].push(body.clone());
        Some(body)
    }

    fn reply_header(&self, body: &[u8]) -> Header {
        let last = self.last.unwrap();
        Header {
            seq_no: last.seq_no + 1,
            length: body.len() as u32,
            ..last
        }
    }

    /// Sends a reply, with the header bent by `bend`.
    fn reply_bent(&mut self, body: &[u8], bend: impl Fn(&mut Header)) {
        let mut header = self.reply_header(body);
        bend(&mut header);
        let key = Secret::from_slice(KEY);
        let mut wire = header.encode().to_vec();
        let mut body = body.to_vec();
        if !header.flags.unencrypted {
            Protection::Obfuscated(&key).apply(&header, &mut body);
        }
        wire.extend_from_slice(&body);
        let _ = self.stream.write_all(&wire);
    }

    /// Sends a reply that accepts single connection mode when it was offered.
    fn reply(&mut self, body: &[u8]) {
        self.reply_bent(body, |_| {});
    }

    /// Waits for the client to close.
    fn drain(&mut self) {
        let _ = self.stream.read_to_end(&mut Vec::new());
    }
}

struct Setup {
    config: Config,
    folder: tempfile::TempDir,
}

impl Setup {
    fn new(peers: &[&Peer]) -> Self {
        let mut config = Config::default();
        for (index, peer) in peers.iter().enumerate() {
            let secret = SecretSource::inline(Secret::from_slice(KEY));
            let name = format!("s{}", index + 1);
            let mut server = Server::new(&name, Address::Ip(peer.address), Some(secret));
            server.timeout = Duration::from_millis(300);
            config.servers.push(server);
        }
        config.global.deadline = Duration::from_secs(2);
        config.global.authen_timeout = Duration::from_millis(300);
        Self {
            config,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn hold_file(&self) -> PathBuf {
        self.folder.path().join("servers")
    }

    fn is_held(&self, peer: std::net::SocketAddr) -> bool {
        HoldDown::new(self.hold_file(), Duration::from_secs(30))
            .held(hold_down::boottime())
            .is_held(&peer.to_string())
    }

    fn client(&self) -> Client<'_> {
        Client::new(&self.config).with_hold_down(&self.hold_file(), Duration::from_secs(30))
    }

    fn pap(&self) -> Outcome<Accepted> {
        pap(&mut self.client())
    }
}

const ALICE: Who<'_> = Who {
    user: "alice",
    port: "ssh",
    rem_addr: "192.0.2.7",
    priv_lvl: PrivLvl::USER,
    service: AuthenService::Login,
};

fn pap(client: &mut Client<'_>) -> Outcome<Accepted> {
    let password = Secret::from_slice(b"pw");
    client.authenticate(&ALICE, Way::Pap(&password), &mut |_| {
        panic!("PAP asks nothing")
    })
}

fn authorize(client: &mut Client<'_>) -> Outcome<tacacs_common::client::Authorized> {
    let mut args = ArgumentsBuf::new();
    args.mandatory("service", b"shell").unwrap();
    args.mandatory("cmd", b"").unwrap();
    client.authorize(&about(args.as_arguments()))
}

fn about(args: Arguments<'_>) -> AuthorRequest<'_> {
    AuthorRequest {
        authen_method: AuthenMethod::TacacsPlus,
        priv_lvl: PrivLvl::USER,
        authen_type: AuthenType::Ascii,
        authen_service: AuthenService::Login,
        user: b"alice",
        port: b"ssh",
        rem_addr: b"192.0.2.7",
        args,
    }
}

fn answering(reply: &'static [u8]) -> Peer {
    Peer::new(move |conn| {
        while conn.receive().is_some() {
            conn.reply(reply);
        }
    })
}

#[test]
fn a_pass_is_a_pass_and_a_fail_asks_no_other_server() {
    let good = answering(PASS);
    let Outcome::Pass(accepted) = Setup::new(&[&good]).pap() else {
        panic!("no pass")
    };
    assert_eq!(accepted.server, "s1");

    let (refusing, other) = (answering(FAIL), answering(PASS));
    let Outcome::Deny(denial) = Setup::new(&[&refusing, &other]).pap() else {
        panic!("no denial")
    };
    assert_eq!(
        (denial.server.as_str(), denial.reason),
        ("s1", DenyReason::Fail)
    );
    assert_eq!((refusing.packets().len(), other.connections()), (1, 0));
}

#[test]
fn an_error_asks_the_next_server_and_a_dead_one_is_passed_over_afterwards() {
    let (erring, good) = (answering(ERROR), answering(PASS));
    assert!(Setup::new(&[&erring, &good]).pap().is_pass());

    let mut setup = Setup::new(&[&good, &good]);
    let dead = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap();
    setup.config.servers[0].address = Address::Ip(dead);
    let mut client = setup.client();
    assert!(pap(&mut client).is_pass());
    assert!(
        matches!(client.take_troubles().as_slice(), [(name, Trouble::Connect(_))] if name == "s1")
    );
    if rustix::process::geteuid().is_root() {
        let mut second = setup.client();
        assert!(pap(&mut second).is_pass());
        assert!(
            second.take_troubles().is_empty(),
            "a held-down server was tried again"
        );
    } else {
        eprintln!("not root: the shared hold-down is not written, its part is skipped");
    }
}

#[test]
fn a_server_cannot_fill_the_log_with_its_error() {
    let talkative: &'static [u8] = [&[7, 0, 0x40, 0, 0, 0][..], &[b'\x1b'; 0x4000]]
        .concat()
        .leak();
    let Outcome::Unreachable(unreachable) = Setup::new(&[&answering(talkative)]).pap() else {
        panic!("decided")
    };
    let text = unreachable.to_string();
    assert!(
        text.starts_with("s1: it answered ERROR: \\x1b\\x1b"),
        "{text}"
    );
    assert!(text.len() < 1100, "{} bytes", text.len());
}

#[test]
fn a_reply_that_is_not_ours_is_never_a_pass() {
    type Bend = fn(&mut Header);
    let bends: [(&str, Bend); 8] = [
        ("session_id", |h| h.session_id ^= 1),
        ("seq_no 1", |h| h.seq_no = 1),
        ("seq_no 4", |h| h.seq_no = 4),
        ("seq_no 0", |h| h.seq_no = 0),
        ("type", |h| {
            h.packet_type = tacacs_common::packet::PacketType::Author
        }),
        ("type 9", |h| {
            h.packet_type = tacacs_common::packet::PacketType::Unknown(9)
        }),
        ("version", |h| {
            h.version = tacacs_common::packet::Version::DEFAULT
        }),
        ("length", |h| h.length = 70_000),
    ];
    for (what, bend) in bends {
        let peer = Peer::new(move |conn| {
            conn.receive();
            conn.reply_bent(PASS, bend);
            conn.drain();
        });
        let outcome = Setup::new(&[&peer]).pap();
        let Outcome::Unreachable(unreachable) = outcome else {
            panic!("{what}: {outcome:?}")
        };
        assert!(
            matches!(unreachable.tried[0].1, Trouble::NotOurs(_)),
            "{what}: {unreachable}"
        );
    }
}

#[test]
fn an_unencrypted_reply_is_a_denial_and_no_other_server_is_asked() {
    let forger = Peer::new(|conn| {
        conn.receive();
        conn.reply_bent(PASS, |h| {
            h.flags = Flags {
                unencrypted: true,
                ..h.flags
            }
        });
        conn.drain();
    });
    let other = answering(PASS);
    let Outcome::Deny(denial) = Setup::new(&[&forger, &other]).pap() else {
        panic!("no denial")
    };
    assert_eq!(denial.reason, DenyReason::FlagMismatch);
    assert_eq!(other.connections(), 0);
}

#[test]
fn a_malformed_reply_is_never_a_pass() {
    let bodies: [&[u8]; 8] = [
        &[],
        &[1],
        &[1, 0, 0, 0, 0],
        &[1, 0, 0, 1, 0, 0],
        &[1, 0, 0, 0, 0, 0, 0],
        &[1, 0, 0xFF, 0xFF, 0xFF, 0xFF],
        &[0, 0, 0, 0, 0, 0],
        &[0x40, 0, 0, 0, 0, 0],
    ];
    for body in bodies {
        let peer = Peer::new(move |conn| {
            conn.receive();
            conn.reply(body);
            conn.drain();
        });
        let outcome = Setup::new(&[&peer]).pap();
        assert!(
            matches!(outcome, Outcome::Unreachable(_)),
            "{body:?}: {outcome:?}"
        );
    }
}

#[test]
fn a_wrong_secret_is_named_and_holds_the_server_down() {
    let peer = answering(FAIL);
    let mut setup = Setup::new(&[&peer]);
    setup.config.servers[0].secret = Some(SecretSource::inline(Secret::from_slice(
        b"another-secret-of-32-characters!",
    )));
    let Outcome::Unreachable(unreachable) = setup.pap() else {
        panic!("a decision")
    };
    assert!(
        matches!(unreachable.tried[0].1, Trouble::WrongSecret(_)),
        "{unreachable}"
    );
    assert!(
        unreachable
            .to_string()
            .contains("s1: shared secret mismatch")
    );
    assert!(!unreachable.to_string().contains("another-secret"));
}

#[test]
fn silence_and_dripping_bytes_end_at_the_limit() {
    let silent = Peer::new(|conn| {
        conn.receive();
        conn.drain();
    });
    let dripping = Peer::new(|conn| {
        conn.receive();
        let mut wire = conn.reply_header(PASS).encode().to_vec();
        wire.extend_from_slice(PASS);
        for byte in wire {
            if conn.stream.write_all(&[byte]).is_err() {
                return;
            }
            // The point of this peer is to be slow.
            thread::sleep(Duration::from_millis(60));
        }
        conn.drain();
    });
    for peer in [silent, dripping] {
        let begin = Instant::now();
        let Outcome::Unreachable(unreachable) = Setup::new(&[&peer]).pap() else {
            panic!("decided")
        };
        assert!(
            matches!(unreachable.tried[0].1, Trouble::NoReply),
            "{unreachable}"
        );
        assert!(
            begin.elapsed() < Duration::from_secs(2),
            "took {:?}",
            begin.elapsed()
        );
    }
}

#[test]
fn a_server_that_closes_early_ends_the_wait_at_once() {
    let closing = Peer::new(|conn| {
        conn.receive();
        let header = conn.reply_header(PASS).encode();
        let _ = conn.stream.write_all(&header[..5]);
    });
    let mut setup = Setup::new(&[&closing]);
    setup.config.global.authen_timeout = Duration::from_secs(30);
    let begin = Instant::now();
    let Outcome::Unreachable(unreachable) = setup.pap() else {
        panic!("decided")
    };
    assert!(
        matches!(unreachable.tried[0].1, Trouble::Closed),
        "{unreachable}"
    );
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[test]
fn questions_are_answered_in_any_order_up_to_a_limit() {
    let asking = Peer::new(|conn| {
        conn.receive();
        conn.reply(&[4, 0, 0, 5, 0, 0, b'u', b's', b'e', b'r', b'?']);
        conn.receive();
        conn.reply(&[3, 0, 0, 0, 0, 0]);
        conn.receive();
        conn.reply(GETPASS);
        conn.receive();
        conn.reply(PASS);
        conn.drain();
    });
    let mut asked = Vec::new();
    let setup = Setup::new(&[&asking]);
    let outcome = setup
        .client()
        .authenticate(&ALICE, Way::Ascii, &mut |ask: &Ask<'_>| {
            asked.push((ask.what, ask.echo, ask.prompt.to_vec()));
            Some(Secret::from_slice(b"answer"))
        });
    assert!(outcome.is_pass());
    assert_eq!(
        asked,
        [
            (What::User, true, b"user?".to_vec()),
            (What::Data, true, Vec::new()),
            (What::Pass, false, Vec::new()),
        ]
    );
    assert_eq!(
        asking.packets()[1..],
        [&b"\0\x06\0\0\0answer"[..]; 3].map(<[u8]>::to_vec)
    );

    let endless = answering(GETPASS);
    let outcome = Setup::new(&[&endless])
        .client()
        .authenticate(&ALICE, Way::Ascii, &mut |_| Some(Secret::from_slice(b"x")));
    let Outcome::Deny(denial) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(denial.reason, DenyReason::TooManyRounds);
    assert_eq!(endless.packets().len(), 21);
}

#[test]
fn a_code_is_never_sent_to_a_second_server() {
    let dying = Peer::new(|conn| {
        conn.receive();
        conn.reply(GETPASS);
        conn.receive();
    });
    let other = answering(PASS);
    let outcome =
        Setup::new(&[&dying, &other])
            .client()
            .authenticate(&ALICE, Way::Ascii, &mut |_| {
                Some(Secret::from_slice(b"123456"))
            });
    assert!(matches!(outcome, Outcome::Unreachable(_)), "{outcome:?}");
    assert_eq!(other.connections(), 0);
}

#[test]
fn giving_up_sends_an_abort_and_is_a_denial() {
    let asking = Peer::new(|conn| {
        conn.receive();
        conn.reply(GETPASS);
        conn.receive();
        conn.drain();
    });
    let outcome = Setup::new(&[&asking])
        .client()
        .authenticate(&ALICE, Way::Ascii, &mut |_| None);
    let Outcome::Deny(denial) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(denial.reason, DenyReason::Aborted);
    while asking.packets().len() < 2 {
        thread::yield_now();
    }
    assert_eq!(asking.packets()[1], [0, 0, 0, 0, 1]);
}

#[test]
fn follow_and_restart_are_denials() {
    for (status, reason) in [(0x21, DenyReason::Follow), (6, DenyReason::Restart)] {
        let peer = Peer::new(move |conn| {
            conn.receive();
            conn.reply(&[status, 0, 0, 0, 0, 3, b'@', b'1', b'0']);
            conn.drain();
        });
        let Outcome::Deny(denial) = Setup::new(&[&peer]).pap() else {
            panic!("no denial")
        };
        assert_eq!(denial.reason, reason);
        assert_eq!(peer.connections(), 1);
    }
}

#[test]
fn one_connection_serves_a_whole_login_when_the_server_agrees() {
    let peer = Peer::new(|conn| {
        while let Some(body) = conn.receive() {
            match conn.last.unwrap().packet_type.to_wire() {
                1 => conn.reply(PASS),
                2 => conn.reply(&[
                    1, 1, 0, 0, 0, 0, 11, b'p', b'r', b'i', b'v', b'-', b'l', b'v', b'l', b'=',
                    b'1', b'5',
                ]),
                _ => {
                    assert_eq!(body[0], 2);
                    conn.reply(ACCT_SUCCESS);
                }
            }
        }
    });
    let setup = Setup::new(&[&peer]);
    let mut client = setup.client();
    assert!(pap(&mut client).is_pass());
    let kept = client
        .into_connection()
        .expect("the server agreed to single connection mode");

    let mut client = setup.client();
    client.resume(kept);
    let Outcome::Pass(authorized) = authorize(&mut client) else {
        panic!("no pass")
    };
    assert_eq!(
        authorized.args.as_arguments().raw().next(),
        Some(&b"priv-lvl=15"[..])
    );
    let record = record();
    assert!(client.account(&record).is_pass());
    assert_eq!((peer.connections(), peer.packets().len()), (1, 3));
    assert_eq!(peer.packets()[2], record);
}

#[test]
fn a_server_that_does_not_agree_gets_a_connection_a_session() {
    let peer = Peer::new(|conn| {
        conn.receive();
        conn.reply_bent(PASS, |h| h.flags = Flags::default());
        // A client that sent a second session here would be seen to.
        conn.receive();
    });
    let setup = Setup::new(&[&peer]);
    let mut client = setup.client();
    assert!(pap(&mut client).is_pass());
    assert!(pap(&mut client).is_pass());
    assert_eq!((peer.connections(), peer.packets().len()), (2, 2));
    assert!(client.into_connection().is_none());
}

#[test]
fn a_kept_connection_that_was_closed_is_opened_again() {
    let peer = Peer::new(|conn| {
        conn.receive();
        conn.reply(PASS);
    });
    let setup = Setup::new(&[&peer]);
    let mut client = setup.client();
    for connections in 1..=3 {
        assert!(pap(&mut client).is_pass());
        assert_eq!(peer.connections(), connections);
    }
}

#[test]
fn what_does_not_fit_a_packet_is_denied_and_nothing_is_sent() {
    let peer = answering(PASS);
    let setup = Setup::new(&[&peer]);
    let long = "a".repeat(256);
    let password = Secret::from_slice(b"pw");
    let who = Who {
        user: &long,
        ..ALICE
    };
    let outcome = setup
        .client()
        .authenticate(&who, Way::Pap(&password), &mut |_| None);
    let Outcome::Deny(denial) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(matches!(denial.reason, DenyReason::Unsendable(_)));
    assert!(peer.packets().is_empty());
}

#[test]
fn an_authorization_s_unknown_status_and_error_are_no_decision_and_follow_is_a_denial() {
    for body in [
        &[3, 0, 0, 0, 0, 0][..],
        &[0x11, 1, 0, 0, 0, 0, 3, b'a', b'=', b'b'],
    ] {
        let body: &'static [u8] = body.to_vec().leak();
        let outcome = authorize(&mut Setup::new(&[&answering(body)]).client());
        assert!(matches!(outcome, Outcome::Unreachable(_)), "{outcome:?}");
    }
    for body in [
        &[0x21, 1, 0, 0, 0, 0, 3, b'a', b'=', b'b'][..],
        &[1, 1, 0, 0, 0, 0, 1, b'a'],
    ] {
        let body: &'static [u8] = body.to_vec().leak();
        let outcome = authorize(&mut Setup::new(&[&answering(body)]).client());
        assert!(matches!(outcome, Outcome::Deny(_)), "{outcome:?}");
    }
}

#[test]
fn without_a_server_nothing_passes() {
    let setup = Setup::new(&[]);
    let Outcome::Unreachable(unreachable) = setup.pap() else {
        panic!("decided")
    };
    assert_eq!(unreachable.to_string(), "no server is configured for this");
}

/// A START record of accounting.
fn record() -> Vec<u8> {
    let mut args = ArgumentsBuf::new();
    args.mandatory("task_id", b"1").unwrap();
    let mut record = Vec::new();
    AcctRequest {
        flags: AcctRecord::Start.to_wire(),
        about: about(args.as_arguments()),
    }
    .encode(&mut record)
    .unwrap();
    record
}

#[test]
fn a_person_who_types_slowly_cannot_get_a_server_held_down() {
    let (hung_up, wait) = std::sync::mpsc::channel();
    let peer = Peer::new(move |conn| {
        conn.receive();
        conn.reply(GETPASS);
        // Zero: closing resets the connection, as servers and firewalls do.
        let stream = conn.stream.try_clone().unwrap();
        socket2::SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        conn.stream.shutdown(std::net::Shutdown::Read).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        conn.stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        drop(stream);
        hung_up.send(()).unwrap();
    });
    let setup = Setup::new(&[&peer]);
    let outcome = setup.client().authenticate(&ALICE, Way::Ascii, &mut |_| {
        wait.recv().unwrap();
        Some(Secret::from_slice(b"late"))
    });
    let Outcome::Unreachable(unreachable) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(
        matches!(&unreachable.tried[0].1, Trouble::Io(error)
            if error.kind() == std::io::ErrorKind::ConnectionReset),
        "{unreachable}"
    );
    assert!(!setup.is_held(peer.address));
}

#[test]
fn nobody_makes_a_living_server_unreachable_by_waiting_until_it_hangs_up() {
    let (hung_up, wait) = std::sync::mpsc::channel();
    let peer = Peer::new(move |conn| {
        if conn.receive().is_some() {
            conn.reply(GETPASS);
            conn.stream.shutdown(std::net::Shutdown::Both).unwrap();
            hung_up.send(()).unwrap();
        }
    });
    let mut setup = Setup::new(&[&peer]);
    let patience = Duration::from_millis(50);
    setup.config.servers[0].timeout = patience;
    let outcome = setup.client().authenticate(&ALICE, Way::Ascii, &mut |_| {
        wait.recv().unwrap();
        thread::sleep(patience);
        Some(Secret::from_slice(b"late"))
    });
    let Outcome::Deny(denial) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(denial.reason, DenyReason::TooSlow);
}

#[test]
fn a_server_that_was_left_no_time_to_answer_is_not_held_down() {
    // The queue of this listener is full, so the kernel answers no SYN.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any = std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let _in_the_queue = TcpStream::connect(address).unwrap();
    let peer = answering(PASS);
    for (deadline, counts) in [(20, false), (2000, true)] {
        let mut setup = Setup::new(&[&peer]);
        setup.config.servers[0].address = Address::Ip(address);
        setup.config.global.deadline = Duration::from_millis(deadline);
        let Outcome::Unreachable(unreachable) = setup.pap() else {
            panic!("decided")
        };
        assert!(
            matches!(unreachable.tried[0].1, Trouble::ConnectTimeout { late } if late != counts),
            "{deadline} ms: {:?}",
            unreachable.tried
        );
        assert_eq!(setup.is_held(address), counts, "{deadline} ms");
    }
}

#[test]
fn a_busy_agent_is_waited_for_as_long_as_the_configuration_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.sock");
    let listener = UnixListener::bind(&path).unwrap();
    socket2::SockRef::from(&listener).listen(0).unwrap();
    let mut setup = Setup::new(&[]);
    setup.config.global.agent = Some(path);
    setup.config.global.timeout = Duration::from_millis(200);
    setup.config.global.deadline = Duration::from_secs(20);

    let begin = Instant::now();
    let Outcome::Unreachable(unreachable) = authorize(&mut setup.client()) else {
        panic!("decided")
    };
    assert!(
        matches!(unreachable.tried[0].1, Trouble::NoReply),
        "{unreachable}"
    );
    // The first connection is in the queue still: there is no room for another.
    let Outcome::Unreachable(unreachable) = authorize(&mut setup.client()) else {
        panic!("decided")
    };
    assert!(
        matches!(
            unreachable.tried[0].1,
            Trouble::ConnectTimeout { late: false }
        ),
        "{unreachable}"
    );
    assert!(begin.elapsed() < Duration::from_secs(4));
}

#[test]
fn a_forged_accounting_reply_does_not_keep_the_record_from_other_servers() {
    let forger = Peer::new(|conn| {
        conn.receive();
        conn.reply_bent(ACCT_SUCCESS, |h| h.flags.unencrypted = true);
        conn.drain();
    });
    let good = answering(ACCT_SUCCESS);
    for all in [false, true] {
        let mut setup = Setup::new(&[&forger, &good]);
        setup.config.global.acct_all = all;
        assert!(setup.client().account(&record()).is_pass(), "all: {all}");
    }
    let alone = Setup::new(&[&forger]).client().account(&record());
    assert!(matches!(alone, Outcome::Unreachable(_)), "{alone:?}");
}

#[test]
fn a_connection_is_not_kept_when_its_session_was_left_in_the_middle() {
    let asking = answering(GETPASS);
    let setup = Setup::new(&[&asking]);
    for answers in [0, usize::MAX] {
        let mut client = setup.client();
        let mut left = answers;
        let outcome = client.authenticate(&ALICE, Way::Ascii, &mut |_| {
            left = left.checked_sub(1)?;
            Some(Secret::from_slice(b"x"))
        });
        assert!(matches!(outcome, Outcome::Deny(_)), "{outcome:?}");
        assert!(client.into_connection().is_none());
    }
}

#[test]
fn a_kept_connection_serves_no_other_server_of_the_same_name() {
    let (first, second) = (answering(PASS), answering(PASS));
    let (one, other) = (Setup::new(&[&first]), Setup::new(&[&second]));
    let mut client = one.client();
    assert!(pap(&mut client).is_pass());
    let kept = client.into_connection().unwrap();
    let mut client = other.client();
    client.resume(kept);
    assert!(pap(&mut client).is_pass());
    assert_eq!((first.packets().len(), second.packets().len()), (1, 1));
}
