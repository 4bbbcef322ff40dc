//! The blocking client and servers that do as they should: failover, dialogues,
//! kept connections.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use std::time::{Duration, Instant};

use tacacs_common::client::{Trouble, Way};
use tacacs_common::config::Address;
use tacacs_common::dialogues::Dialogues;
use tacacs_common::exchange::authen::{Ask, What, Who};
use tacacs_common::hold_down::{self, HoldDown};
use tacacs_common::outcome::{DenyReason, Outcome};
use tacacs_common::packet::Flags;
use tacacs_common::secret::Secret;

use support::*;

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
    assert!(matches!(outcome, Outcome::Deny(_)), "{outcome:?}");
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
fn without_a_server_nothing_passes() {
    let setup = Setup::new(&[]);
    let Outcome::Unreachable(unreachable) = setup.pap() else {
        panic!("decided")
    };
    assert_eq!(unreachable.to_string(), "no server is configured for this");
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

#[test]
fn a_client_in_a_setuid_program_notes_a_dead_server_without_the_lock_that_logins_take() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root writes the hold-down");
        return;
    }
    // Port 1, where nobody listens.
    let address = std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let dead = Peer {
        address,
        ..answering(PASS)
    };
    for setuid in [true, false] {
        let setup = Setup::new(&[&dead]);
        let mut client = setup.client().distrusting_its_caller(setuid);
        assert!(matches!(pap(&mut client), Outcome::Unreachable(_)));
        assert!(setup.is_held(address));
        let mut lock = setup.hold_file().into_os_string();
        lock.push(".lock");
        assert_eq!(std::path::Path::new(&lock).exists(), !setuid);
    }
}

#[test]
fn dead_servers_are_asked_once_a_login_and_not_in_every_phase() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root writes the hold-down");
        return;
    }
    let silent = Peer::new(|conn| conn.drain());
    let setup = Setup::new(&[&silent]);
    let held = HoldDown::new(setup.hold_file(), Duration::from_secs(30));
    let key = setup.config.servers[0].address.to_string();
    held.mark(&key, hold_down::boottime()).unwrap();

    let mut first = setup.client();
    assert!(matches!(pap(&mut first), Outcome::Unreachable(_)));
    assert_eq!(silent.connections(), 1);
    let in_vain = first.in_vain();
    assert!(in_vain.is_some());

    let mut second = setup.client();
    second.after(in_vain);
    let Outcome::Unreachable(unreachable) = authorize(&mut second) else {
        panic!("decided");
    };
    assert!(matches!(unreachable.tried[0].1, Trouble::HeldDown));
    assert_eq!(silent.connections(), 1);

    // A server that nobody holds down is asked, whatever was in vain before.
    held.clear(&key).unwrap();
    assert!(matches!(authorize(&mut second), Outcome::Unreachable(_)));
    assert_eq!(silent.connections(), 2);
}

#[test]
fn a_dialogue_that_finds_no_slot_is_a_denial_and_says_nothing_of_the_server() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root's dialogues are counted");
        return;
    }
    let (asking, other) = (answering(GETPASS), answering(PASS));
    let setup = Setup::new(&[&asking, &other]);
    let held = HoldDown::new(setup.hold_file(), Duration::from_secs(30));
    let ends: Vec<String> = [&asking, &other]
        .map(|peer| peer.address.to_string())
        .into();
    for key in &ends {
        held.mark(key, hold_down::boottime()).unwrap();
    }
    let dialogues = || Dialogues::new(&setup.folder.path().join("dialogues"), 2);
    let waiting = || dialogues().enter(&ends[0], false).unwrap().unwrap();
    let _waiting = [waiting(), waiting()];
    let mut client = setup.client().counting(dialogues());
    let outcome = client.authenticate(&ALICE, Way::Ascii, &mut |_| None);
    let Outcome::Deny(denial) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(denial.reason, DenyReason::NoSlot);
    assert_eq!((asking.connections(), other.connections()), (0, 0));
    assert!(setup.is_held(asking.address));
    // Whatever does not wait for a person needs none.
    assert!(matches!(
        pap(&mut client),
        Outcome::Unreachable(_) | Outcome::Pass(_)
    ));
    assert_ne!(asking.connections(), 0);
}

#[test]
fn in_a_hurry_a_silent_server_leaves_the_next_one_its_share_and_is_not_held_down() {
    let silent = Peer::new(|conn| conn.drain());
    let good = answering(PASS);
    let mut setup = Setup::new(&[&silent, &good]);
    setup.config.servers[0].timeout = Duration::from_secs(5);
    for _ in 0..2 {
        let begun = Instant::now();
        let mut client = setup.client().within(Duration::from_millis(400));
        assert!(authorize(&mut client).is_pass());
        let took = begun.elapsed();
        let share = Duration::from_millis(190)..Duration::from_secs(4);
        assert!(share.contains(&took), "{took:?}");
    }
    assert_eq!((silent.connections(), good.connections()), (2, 2));
}
