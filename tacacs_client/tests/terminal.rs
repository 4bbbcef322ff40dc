//! The dialogue with a person at a terminal.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use support::{Ended, Server, authen, program};
use tacacs_common::packet::{AuthenContinue, AuthenStart, AuthenStatus, Body};

/// A program on a terminal of its own, and the person in front of it.
struct Person {
    screen: File,
    seen: String,
    child: Child,
}

impl Person {
    fn starts(server: &Server, arguments: &[&str]) -> Self {
        let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&screen).unwrap();
        unlockpt(&screen).unwrap();
        let name = ptsname(&screen, Vec::new()).unwrap();
        let terminal = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        let child = program("setsid")
            .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_tacacs_client")])
            .args(["-u", "alice", "-H", "127.0.0.1", "-v", "-p"])
            .arg(server.address.port().to_string())
            .args(arguments)
            .stdin(terminal)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            screen: screen.into(),
            seen: String::new(),
            child,
        }
    }

    /// Waits until the screen ends with `prompt`, then types.
    fn answers(&mut self, prompt: &str, text: &str) {
        while !self.seen.ends_with(prompt) {
            let mut ready = [PollFd::from_borrowed_fd(self.screen.as_fd(), PollFlags::IN)];
            let limit = Timespec {
                tv_sec: 20,
                tv_nsec: 0,
            };
            let events = poll(&mut ready, Some(&limit)).unwrap();
            assert_ne!(events, 0, "no {prompt:?} on the screen: {:?}", self.seen);
            let mut bytes = [0; 256];
            let len = self.screen.read(&mut bytes).expect("the terminal is gone");
            self.seen
                .push_str(std::str::from_utf8(&bytes[..len]).unwrap());
        }
        self.screen
            .write_all(format!("{text}\n").as_bytes())
            .unwrap();
    }

    /// What was on the screen, and how the program ended.
    fn leaves(self) -> (String, Ended) {
        (self.seen, self.child.wait_with_output().unwrap().into())
    }
}

#[test]
fn key_and_password_are_asked_for_without_echo_and_a_challenge_with_it() {
    let mut challenge = authen(AuthenStatus::GetData, "Code [7m: ");
    challenge[1] = 0; // may be shown
    let escape = challenge.iter().position(|b| *b == b'[').unwrap();
    challenge[escape - 1] = 0x1B;
    let server = Server::replying(vec![
        authen(AuthenStatus::GetPass, "Password: "),
        challenge,
        authen(AuthenStatus::Pass, ""),
    ]);
    let mut person = Person::starts(&server, &["authenticate"]);
    person.answers("tacacs+ shared key: ", support::KEY);
    person.answers("Password: ", "marked-password");
    person.answers("Code\\x1b[7m: ", "123456");
    let (screen, ended) = person.leaves();
    assert_eq!(
        (ended.code, &*ended.stdout, &*ended.stderr),
        (0, "status: PASS\n", "")
    );
    assert!(
        !screen.contains("marked") && !screen.contains(support::KEY),
        "{screen:?}"
    );
    let answers: Vec<Vec<u8>> = server.seen()[1..]
        .iter()
        .map(|seen| {
            AuthenContinue::decode(&seen.body)
                .unwrap()
                .user_msg
                .to_vec()
        })
        .collect();
    assert_eq!(answers, [&b"marked-password"[..], b"123456"]);
}

#[test]
fn a_password_that_goes_out_with_the_start_is_asked_for_first() {
    let server = Server::replying(vec![authen(AuthenStatus::Pass, "")]);
    let mut person = Person::starts(&server, &["authenticate", "-t", "pap"]);
    person.answers("tacacs+ shared key: ", support::KEY);
    person.answers("password for alice: ", "marked-password");
    let (_, ended) = person.leaves();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let seen = server.only();
    assert_eq!(
        AuthenStart::decode(&seen.body).unwrap().data,
        b"marked-password"
    );
}

#[test]
fn a_new_password_is_typed_twice_however_often_the_server_asks_for_it() {
    let server = Server::replying(vec![
        authen(AuthenStatus::GetData, "Old: "),
        authen(AuthenStatus::GetPass, "New: "),
        authen(AuthenStatus::GetPass, "New password again: "),
        authen(AuthenStatus::Pass, ""),
    ]);
    let mut person = Person::starts(&server, &["authenticate", "--change-password"]);
    person.answers("tacacs+ shared key: ", support::KEY);
    person.answers("Old: ", "old");
    person.answers("New: ", "mistyped");
    person.answers("the same again: ", "new");
    person.answers("New: ", "new");
    person.answers("the same again: ", "new");
    let (_, ended) = person.leaves();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("the two were not the same"),
        "{}",
        ended.stderr
    );
    let answers: Vec<Vec<u8>> = server.seen()[1..]
        .iter()
        .map(|seen| {
            AuthenContinue::decode(&seen.body)
                .unwrap()
                .user_msg
                .to_vec()
        })
        .collect();
    assert_eq!(answers, [&b"old"[..], b"new", b"new"]);
}
