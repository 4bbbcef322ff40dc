//! What somebody who tries many passwords gets, and what everybody else notices of it.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod common;

use std::time::{Duration, Instant};

use common::{Server, Wire, arguments, author, pap, start};
use tacacs_common::packet::{
    Action, AuthenReply, AuthenStart, AuthenStatus, AuthenType, Body, Version,
};

const HOST: &str = "host = 127.0.0.1 { key = \"Kat-Secret-0123456789-abcdefghij\" }\n";
/// `a password`, in a format that takes a while.
const SLOW: &str = "$6$rounds=20000$saltsalt$K3/k2Ru6hbMKkLYBR4DaZNCqHNGDZ1dJVdCzQJ5NsWB2m7SeS3RPmEUMSrjfQpWnIhIRqEbQFqKvHT8bRS2Ip/";

fn timed(server: &Server, user: &str, password: &str) -> (String, Duration) {
    let mut wire = server.connect();
    let start = Instant::now();
    let answer = wire.start(&pap(user, password));
    (answer, start.elapsed())
}

#[test]
fn who_guesses_waits_longer_each_time_and_nobody_is_ever_locked_out() {
    let server = Server::start(&format!(
        "throttle = 1\n{HOST}user = alice {{ pap = cleartext right }}\nuser = bob {{ pap = cleartext right }}\n"
    ));
    let mut waits = Vec::new();
    for _ in 0..8 {
        let (answer, time) = timed(&server, "alice", "wrong");
        assert_eq!(answer, "FAIL \"\"");
        waits.push(time);
    }
    assert!(
        waits[..3].iter().all(|wait| *wait < Duration::from_secs(1)),
        "{waits:?}"
    );
    assert!(waits[7] >= Duration::from_secs(1), "{waits:?}");
    assert!(waits[7] < Duration::from_secs(5), "{waits:?}");
    let (answer, wait) = timed(&server, "alice", "right");
    assert_eq!(answer, "PASS \"\"", "never locked out");
    assert!(
        wait >= Duration::from_millis(900),
        "the wait tells nothing about the answer"
    );
    let (answer, wait) = timed(&server, "bob", "right");
    assert_eq!(answer, "PASS \"\"");
    assert!(
        wait < Duration::from_secs(1),
        "another user waits less: {wait:?}"
    );
}

#[test]
fn a_right_old_password_is_told_no_sooner_than_a_wrong_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users");
    std::fs::write(&file, "alice:$1$saltsalt$stoYjH/9M8w1dr62o05Hz.:1:1:::\n").unwrap();
    let server = Server::start(&format!(
        "throttle = 1\npassword change = yes\n{HOST}user = alice {{ login = file {0} pap = file {0} }}\n",
        file.display()
    ));
    for _ in 0..8 {
        timed(&server, "alice", "wrong");
    }
    let mut wire = server.connect();
    let change = AuthenStart {
        action: Action::ChangePass,
        ..start(AuthenType::Ascii, "alice", b"")
    };
    assert_eq!(wire.start(&change), "GETDATA NOECHO \"Old password: \"");
    let began = Instant::now();
    assert!(wire.say(3, "a password").starts_with("GETPASS"));
    assert!(began.elapsed() >= Duration::from_millis(900));
}

#[test]
fn who_hangs_up_after_a_guess_hears_no_sooner_whether_it_was_right() {
    let server = Server::start(&format!(
        "throttle = 12\n{HOST}user = alice {{ pap = cleartext right }}\n"
    ));
    // Side by side: each counts when it comes.
    let mut wires: Vec<_> = (0..12).map(|_| server.connect()).collect();
    let guess = pap("alice", "wrong");
    for wire in &mut wires {
        let bytes = wire.packet(7, 1, guess.version(), false, &guess);
        wire.send(&bytes);
        wire.stream.shutdown(std::net::Shutdown::Write).unwrap();
    }
    let mut last = server.connect();
    let guess = pap("alice", "right");
    let bytes = last.packet(7, 1, guess.version(), false, &guess);
    let began = Instant::now();
    last.send(&bytes);
    last.stream.shutdown(std::net::Shutdown::Write).unwrap();
    let answer = last.reply().status();
    let waited = began.elapsed() >= Duration::from_millis(2400);
    assert!(
        (waited && answer == "PASS") || answer == "FAIL",
        "{answer} after {:?}",
        began.elapsed()
    );
}

/// Many guesses at once through one device, on connections of their own.
fn guess(server: &Server, user: &str, count: u32) -> Vec<Wire> {
    let guess = pap(user, "wrong");
    let begin = |_| {
        let mut wire = server.connect();
        let bytes = wire.packet(7, 1, guess.version(), false, &guess);
        wire.send(&bytes);
        wire
    };
    (0..count).map(begin).collect()
}

#[test]
fn a_flood_of_guesses_is_refused_and_the_user_gets_in_through_another_device() {
    let mut server = Server::start(&format!(
        "throttle = 2\n{HOST}host = 127.0.0.2 {{ key = another-secret-of-32-characters! }}\n\
         user = alice {{ pap = cleartext right }}\nuser = bob {{ pap = cleartext right }}\n"
    ));
    let began = Instant::now();
    let mut guesses = guess(&server, "alice", 300);
    let device = server.connect_from([127, 0, 0, 2]);
    let mut other = Wire::new(device).with_secret("another-secret-of-32-characters!");
    let right = pap("alice", "right");
    let bytes = other.packet(7, 1, right.version(), false, &right);
    let asked = Instant::now();
    other.send(&bytes);
    // Nobody guesses at bob.
    let (answer, wait) = timed(&server, "bob", "right");
    assert_eq!(answer, "PASS \"\"");
    assert!(wait < Duration::from_secs(1), "{wait:?}");
    assert_eq!(other.reply().status(), "PASS");
    assert!(asked.elapsed() < Duration::from_millis(3500));
    for wire in &mut guesses {
        assert_eq!(wire.reply().status(), "FAIL", "never ERROR, never silence");
    }
    assert!(began.elapsed() < Duration::from_secs(10));
    server.wait_for_line("answers about user=alice are delayed");
}

#[test]
fn sessions_that_wait_do_not_fill_their_connection() {
    let users: Vec<String> = (0..32).map(|number| format!("user{number}")).collect();
    let known = users.iter().map(String::as_str).chain(["bob"]);
    let known: String = known
        .map(|user| format!("user = {user} {{ pap = cleartext right }}\n"))
        .collect();
    let server = Server::start(&format!("throttle = 2\n{HOST}{known}"));
    for user in &users {
        let mut guesses = guess(&server, user, 9);
        assert_eq!(guesses[0].reply().status(), "FAIL");
    }
    let mut wire = server.connect();
    let guesses: Vec<_> = users.iter().map(|user| pap(user, "wrong")).collect();
    let many = (1..=128u32).zip(guesses.iter().cycle());
    let many: Vec<u8> = many
        .flat_map(|(id, guess)| wire.packet(id, 1, guess.version(), true, guess))
        .collect();
    wire.send(&many);
    let right = pap("bob", "right");
    let asked = Instant::now();
    let bytes = wire.packet(999, 1, right.version(), true, &right);
    wire.send(&bytes);
    let mut answers = 0;
    loop {
        let reply = wire.reply();
        answers += 1;
        if reply.header.session_id == 999 {
            assert_eq!(reply.status(), "PASS");
            break;
        }
        assert_eq!(reply.status(), "FAIL");
    }
    assert!(asked.elapsed() < Duration::from_millis(1500), "{answers}");
}

#[test]
fn a_user_who_waits_holds_up_no_other_session_of_the_connection() {
    let server = Server::start(&format!(
        "throttle = 2\n{HOST}user = alice {{ pap = cleartext right default service = permit }}\n"
    ));
    for _ in 0..5 {
        timed(&server, "alice", "wrong");
    }
    let mut wire = server.connect();
    let guess = pap("alice", "wrong");
    let first = wire.packet(1, 1, guess.version(), true, &guess);
    let args = arguments(&["service=shell", "cmd="]);
    let second = wire.packet(2, 1, Version::DEFAULT, true, &author("alice", &args));
    wire.send(&[first, second].concat());
    let (one, other) = (wire.reply(), wire.reply());
    assert_eq!((one.header.session_id, other.header.session_id), (2, 1));
    assert_eq!(
        (one.status(), other.status()),
        ("PASS_ADD".into(), "FAIL".into())
    );
}

#[test]
fn hashes_hold_up_no_other_request_and_too_many_of_them_are_an_error() {
    let server = Server::start(&format!(
        "throttle = 0\n{HOST}user = alice {{ pap = des \"{SLOW}\" }}\nuser = bob {{ default service = permit }}\n"
    ));
    // More than half of what may wait, on connections of their own.
    let mut wires: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for wire in &mut wires {
        let start = pap("alice", "wrong");
        let many = (1..=100).flat_map(|id| wire.packet(id, 1, start.version(), true, &start));
        let many: Vec<u8> = many.collect();
        wire.send(&many);
    }
    let began = Instant::now();
    let mut calm = server.connect();
    let args = arguments(&["service=shell", "cmd="]);
    let mut slowest = Duration::ZERO;
    for id in 1..=20 {
        let start = Instant::now();
        let reply = calm.ask(id, 1, Version::DEFAULT, true, &author("bob", &args));
        slowest = slowest.max(start.elapsed());
        assert_eq!(reply.author(), "PASS_ADD []");
    }
    let mut errors = 0;
    for wire in &mut wires {
        for _ in 0..100 {
            let reply = wire.reply();
            match AuthenReply::decode(&reply.body).unwrap().status {
                AuthenStatus::Error => errors += 1,
                status => assert_eq!(status, AuthenStatus::Fail),
            }
        }
    }
    let hashing = began.elapsed();
    assert!(slowest * 2 < hashing, "{slowest:?} of {hashing:?}");
    assert!(
        errors > 100,
        "a client takes half of the room at most: {errors}"
    );
    // Those that took too long were answered before their hash was out of the way.
    let end = Instant::now() + 3 * common::PATIENCE;
    while timed(&server, "alice", "wrong").0 != "FAIL \"\"" {
        assert!(Instant::now() < end, "the room is never there again");
    }
}

#[test]
fn an_unknown_user_takes_as_long_as_a_wrong_password() {
    let server = Server::start(&format!(
        "throttle = 0\n{HOST}user = alice {{ pap = des \"{SLOW}\" }}\nuser = clear {{ pap = cleartext right }}\n\
         user = other {{ pap = des \"{SLOW}\" }}\n"
    ));
    let mut fastest = [Duration::MAX; 3];
    // What else runs here makes one slower or the other: the fastest of many count,
    // never of a few, and of as many as it takes to find three quiet moments.
    let begin = Instant::now();
    for round in 1.. {
        for (user, fastest) in ["alice", "nobody-knows", "clear"].iter().zip(&mut fastest) {
            let (answer, time) = timed(&server, user, "wrong");
            assert_eq!(answer, "FAIL \"\"", "{user}");
            *fastest = time.min(*fastest);
        }
        let [known, others @ ..] = fastest;
        let alike = |other: &Duration| *other < known * 2 && known < *other * 2;
        if round >= 10 && others.iter().all(alike) {
            return;
        }
        if round >= 100 && begin.elapsed() > 3 * common::PATIENCE {
            break;
        }
    }
    panic!("a known user, an unknown one, one in clear: {fastest:?}");
}
