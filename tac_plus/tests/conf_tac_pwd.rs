//! tac_pwd, as an operator runs it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Command, Output, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tac_plus::crypt;

fn tac_pwd(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tac_pwd"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have refused its arguments without reading.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn hash(args: &[&str], input: &str) -> String {
    let output = tac_pwd(args, input);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

#[test]
fn every_format_is_made_and_its_password_verified() {
    for (args, prefix) in [
        (&["-f", "des"][..], ""),
        (&["-f", "md5"], "$1$"),
        (&["-m"], "$1$"),
        (&["-f", "blowfish"], "$2y$"),
        (&["-f", "sha256"], "$5$"),
        (&["-f", "sha512"], "$6$"),
        (&["-f", "yescrypt"], "$y$"),
        (&[], "$"),
        (&["-e"], "$"),
    ] {
        let made = hash(args, "secret-7\n");
        assert!(made.starts_with(prefix), "{args:?}: {made}");
        let again = crypt::crypt(b"secret-7", made.as_bytes()).unwrap();
        assert_eq!(again.expose(), made.as_bytes(), "{args:?}");
        assert_ne!(
            hash(args, "secret-7\n"),
            made,
            "{args:?}: always the same salt"
        );
    }
    assert_eq!(hash(&["-f", "des"], "secret-7\n").len(), 13);
}

#[test]
fn a_salt_that_is_given_is_used() {
    assert_eq!(hash(&["ab"], "a password\n"), "abws3YimNi/io");
    assert_eq!(
        hash(&["$1$saltsalt"], "a password"),
        "$1$saltsalt$stoYjH/9M8w1dr62o05Hz."
    );
}

#[test]
fn the_line_end_is_no_part_of_the_password() {
    let expected = hash(&["ab"], "secret");
    for input in ["secret\n", "secret\r\n", "secret\nmore\n"] {
        assert_eq!(hash(&["ab"], input), expected, "{input:?}");
    }
}

#[test]
fn a_password_as_an_argument_is_refused_and_not_repeated() {
    for args in [
        &["hunter2"][..],
        &["-f", "des", "hunter2"],
        &["-m", "hunter2"],
    ] {
        let output = tac_pwd(args, "secret\n");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && output.stdout.is_empty(),
            "{args:?}"
        );
        assert!(!stderr.contains("hunter2"), "{stderr}");
    }
}

#[test]
fn what_is_no_password_is_refused() {
    for (input, reason) in [
        ("", "it is empty"),
        ("\n", "it is empty"),
        (&*"x".repeat(600), "longer than crypt(3) takes"),
    ] {
        let output = tac_pwd(&[], input);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && stderr.contains(reason),
            "{stderr}"
        );
    }
    let output = tac_pwd(&["$nosuch$"], "secret\n");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && stderr.contains("crypt(3) cannot"),
        "{stderr}"
    );
}

#[test]
fn what_of_a_long_password_does_not_count_is_said() {
    for (args, input, said) in [
        (&["-f", "des"][..], "12345678", false),
        (&["-f", "des"], "123456789", true),
        (&["ab"], "123456789", true),
        (&["-f", "blowfish"], &"x".repeat(73), true),
        (&["-f", "sha512"], &"x".repeat(73), false),
    ] {
        let stderr = tac_pwd(args, input).stderr;
        assert_eq!(!stderr.is_empty(), said, "{args:?} {input}");
    }
}

/// Runs it on a terminal, answers each prompt, and gives back what was on the screen.
fn at_a_terminal(answers: &[(&str, &str)]) -> (String, Output) {
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let name = ptsname(&screen, Vec::new()).unwrap();
    let terminal = File::options()
        .read(true)
        .write(true)
        .open(name.to_str().unwrap())
        .unwrap();
    let child = Command::new("setsid")
        .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_tac_pwd"), "ab"])
        .stdin(terminal)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut screen = File::from(screen);
    let mut seen = String::new();
    for (prompt, answer) in answers {
        while !seen.ends_with(prompt) {
            let mut ready = [PollFd::from_borrowed_fd(screen.as_fd(), PollFlags::IN)];
            let limit = Timespec {
                tv_sec: 20,
                tv_nsec: 0,
            };
            let events = poll(&mut ready, Some(&limit)).unwrap();
            assert_ne!(events, 0, "no {prompt:?} on the screen: {seen:?}");
            let mut bytes = [0; 256];
            let length = screen.read(&mut bytes).unwrap();
            seen.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
        }
        screen.write_all(format!("{answer}\n").as_bytes()).unwrap();
    }
    (seen, child.wait_with_output().unwrap())
}

#[test]
fn at_a_terminal_the_password_is_typed_twice_and_never_shown() {
    let (screen, output) =
        at_a_terminal(&[("Password: ", "a password"), ("Again: ", "a password")]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "abws3YimNi/io\n");
    assert!(!screen.contains("a password"), "{screen:?}");
    let (_, output) = at_a_terminal(&[("Password: ", "a password"), ("Again: ", "another")]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(stderr.contains("they are not the same"), "{stderr}");
}
