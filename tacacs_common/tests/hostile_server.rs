//! The blocking client and servers that lie, stall or ask for ever: never a pass,
//! never a wait without an end.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::{Duration, Instant};

use tacacs_common::client::{Trouble, Way};
use tacacs_common::config::{Address, SecretSource};
use tacacs_common::hold_down::{self, HoldDown};
use tacacs_common::outcome::{DenyReason, Outcome};
use tacacs_common::packet::{Flags, Header};
use tacacs_common::secret::Secret;

use support::*;

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
            matches!(unreachable.tried[0].1, Trouble::NoReply { .. }),
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

/// Ends a connection as servers and firewalls do with one that was idle.
fn reset(conn: &mut Conn) {
    let own = conn.stream.local_addr().unwrap();
    let elsewhere = TcpStream::connect(own).unwrap();
    let stream = std::mem::replace(&mut conn.stream, elsewhere);
    socket2::SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
}

#[test]
fn after_a_question_there_is_a_pass_or_a_denial_whatever_ends_the_dialogue_and_whenever() {
    type End = fn(&mut Conn);
    let ends: [(&str, End); 9] = [
        ("closed", |_| {}),
        ("reset", reset),
        ("silent", Conn::drain),
        ("ERROR", |conn| conn.reply(ERROR)),
        ("unknown status", |conn| conn.reply(&[9, 0, 0, 0, 0, 0])),
        ("malformed, or another secret", |conn| conn.reply(&[1])),
        ("bare header", |conn| conn.reply(&[])),
        ("not ours", |conn| {
            conn.reply_bent(PASS, |h| h.session_id ^= 1)
        }),
        ("cut off", |conn| {
            let head = conn.reply_header(PASS).encode();
            conn.stream.write_all(&head[..5]).unwrap();
        }),
    ];
    for (what, end) in ends {
        for answered in [false, true] {
            let (ended, wait) = std::sync::mpsc::channel();
            let peer = Peer::new(move |conn| {
                conn.receive();
                conn.reply(GETPASS);
                if answered {
                    conn.receive();
                }
                // Nothing can be said out of turn that would be taken for a reply.
                end(conn);
                let _ = ended.send(());
            });
            let other = answering(PASS);
            let setup = Setup::new(&[&peer, &other]);
            let mut client = setup.client().distrusting_its_caller(answered);
            let outcome = client.authenticate(&ALICE, Way::Ascii, &mut |_| {
                if !answered && what != "silent" {
                    wait.recv().unwrap();
                }
                Some(Secret::from_slice(b"answer"))
            });
            let row = format!("{what}, answered: {answered}");
            let Outcome::Deny(denial) = outcome else {
                panic!("{row}: {outcome:?}")
            };
            assert!(
                matches!(denial.reason, DenyReason::BrokenOff(_)),
                "{row}: {:?}",
                denial.reason
            );
            assert!(!setup.is_held(peer.address), "{row}");
            assert_eq!(other.connections(), 0, "{row}");
        }
    }
}

#[test]
fn a_connection_that_ends_before_any_byte_of_a_reply_holds_no_server_down() {
    type End = fn(&mut Conn);
    let ends: [End; 2] = [|_| {}, reset];
    for end in ends {
        for setuid in [false, true] {
            let peer = Peer::new(move |conn| {
                conn.receive();
                end(conn);
            });
            let setup = Setup::new(&[&peer]);
            let mut client = setup.client().distrusting_its_caller(setuid);
            let Outcome::Unreachable(why) = pap(&mut client) else {
                panic!("decided")
            };
            assert_eq!(why.provoked, setuid, "{why}");
            assert!(!setup.is_held(peer.address), "{why}");
        }
    }
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
        matches!(unreachable.tried[0].1, Trouble::NoReply { .. }),
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
fn a_setuid_program_believes_no_outage_that_who_started_it_may_have_made() {
    let ms = Duration::from_millis;
    // Who asks; `timeout`, `deadline` and the number of servers that keep silent; and
    // whether they may be well, and the program was stopped.
    for (setuid, [timeout, deadline], servers, provoked) in [
        (true, [ms(1000), ms(2000)], 1, false),
        (true, [ms(1000), ms(50)], 1, true),
        (false, [ms(1000), ms(50)], 1, false),
        // The first has used all the time up, as it may, or all but next to nothing.
        (true, [ms(1000), ms(1000)], 2, false),
        (true, [ms(800), ms(1000)], 2, true),
    ] {
        let peer = || Peer::new(|conn| conn.drain());
        let peers: Vec<Peer> = (0..servers).map(|_| peer()).collect();
        let mut setup = Setup::new(&peers.iter().collect::<Vec<_>>());
        setup.config.global.deadline = deadline;
        for server in &mut setup.config.servers {
            server.timeout = timeout;
        }
        let mut client = setup.client().distrusting_its_caller(setuid);
        let Outcome::Unreachable(why) = authorize(&mut client) else {
            panic!("decided")
        };
        let row = format!("{setuid} {timeout:?} {deadline:?}: {why}");
        assert_eq!(why.provoked, provoked, "{row}");
    }
}

/// A server that is given by name; who asks for it may be stopped meanwhile.
fn named(setup: &mut Setup, server: usize, port: u16) {
    let host = "localhost".to_owned();
    setup.config.servers[server].address = Address::Name { host, port };
}

#[test]
fn a_server_that_refuses_has_not_used_up_the_time_of_those_behind_it() {
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let well = Peer::new(|conn| conn.drain());
    let mut setup = Setup::new(&[&well, &well, &well]);
    setup.config.global.deadline = Duration::from_millis(500);
    for server in [0, 1] {
        named(&mut setup, server, port);
    }
    // Nothing but a stop takes a refusal this long.
    let mut client = setup.client().distrusting_its_caller(true);
    client = client.resolving_by(|_, limit| {
        thread::sleep(limit);
        Some(Ok(vec![Ipv4Addr::LOCALHOST.into()]))
    });
    let Outcome::Unreachable(why) = authorize(&mut client) else {
        panic!("decided")
    };
    assert!(matches!(why.tried[2].1, Trouble::NoTime), "{why}");
    assert_eq!(well.connections(), 0);
    assert!(why.provoked, "{why}");
}

#[test]
fn what_was_in_vain_by_somebodys_doing_is_asked_again_in_the_same_login() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root writes the hold-down");
        return;
    }
    let well = Peer::new(|conn| conn.drain());
    let mut setup = Setup::new(&[&well]);
    named(&mut setup, 0, well.address.port());
    let held = HoldDown::new(setup.hold_file(), Duration::from_secs(30));
    let key = setup.config.servers[0].address.to_string();
    held.mark(&key, hold_down::boottime()).unwrap();
    for (setuid, in_vain) in [(true, false), (false, true)] {
        let client = setup.client().distrusting_its_caller(setuid);
        let mut client = client.resolving_by(|_, _| Some(Err(ErrorKind::TimedOut.into())));
        let Outcome::Unreachable(why) = authorize(&mut client) else {
            panic!("decided")
        };
        assert_eq!(
            (why.provoked, client.in_vain().is_some()),
            (setuid, in_vain)
        );
    }
}
