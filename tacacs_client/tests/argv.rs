//! Secrets on the command line: taken, overwritten, and warned about.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::net::TcpListener;
use std::process::Stdio;

use support::{authen, program, receive, send};
use tacacs_common::packet::{AuthenContinue, AuthenStatus, Body};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tacacs_client");

#[test]
fn the_argument_list_of_a_running_client_holds_no_secret() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    for key in [
        vec!["-k".to_owned(), support::KEY.to_owned()],
        vec![format!("-k{}", support::KEY)],
        vec![format!("--key={}", support::KEY)],
    ] {
        let child = program(PROGRAM)
            .args(["-u", "alice", "-H", "127.0.0.1", "-p", &port])
            .args(&key)
            .args(["-v", "authenticate", "-p", "marked-password"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        let start = receive(&mut stream);
        // It waits for a reply now, so what it does with its arguments is done.
        let process = format!("/proc/{}", child.id());
        let line = std::fs::read_to_string(format!("{process}/cmdline")).unwrap();
        assert!(!line.contains(support::KEY), "{line:?}");
        assert!(!line.contains("marked-password"), "{line:?}");
        assert!(line.contains("alice\0") && line.ends_with("authenticate\0-p\0xxxxxxxxxxxxxxx\0"));
        let limits = std::fs::read_to_string(format!("{process}/limits")).unwrap();
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"))
            .unwrap();
        assert_eq!(
            core.split_whitespace().filter(|word| *word == "0").count(),
            2,
            "{core}"
        );

        send(
            &mut stream,
            &start.header,
            &authen(AuthenStatus::GetPass, "Password: "),
        );
        let next = receive(&mut stream);
        let answer = AuthenContinue::decode(&next.body).unwrap().user_msg;
        assert_eq!(answer, b"marked-password");
        send(&mut stream, &next.header, &authen(AuthenStatus::Pass, ""));
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.stdout, b"status: PASS\n");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            stderr,
            "tacacs_client: warning: the value of -k was visible to other users in ps; use --key-file or TACACS_PLUS_KEY\n\
             tacacs_client: warning: the value of -p was visible to other users in ps; use TACACS_PLUS_PWD or --password-stdin\n"
        );
    }
}

#[test]
fn debugging_output_holds_no_secret() {
    let server = support::Server::replying(vec![
        authen(AuthenStatus::GetPass, "Password: "),
        authen(AuthenStatus::GetData, "Code: "),
        authen(AuthenStatus::Fail, ""),
    ]);
    let ended = support::run_with_stdin(
        support::client(server.address).args(["-d", "-v", "authenticate", "--password-stdin"]),
        "marked-password\nmarked-code\n",
    );
    assert_eq!(ended.code, 1);
    assert!(
        ended.stderr.contains("the server asks for Data: Code:"),
        "{}",
        ended.stderr
    );
    for secret in ["marked", support::KEY] {
        assert!(!ended.stderr.contains(secret) && !ended.stdout.contains(secret));
    }
}
