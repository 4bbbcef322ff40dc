//! The command line of the actions, against a server that follows a script: exact
//! output, exit codes, and what went over the wire.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use support::{Server, acct, authen, author, client, program, run, run_with_stdin};
use tacacs_common::packet::{
    AcctRequest, AcctStatus, Action, AuthenContinue, AuthenMethod, AuthenService, AuthenStart,
    AuthenStatus, AuthenType, AuthorRequest, AuthorStatus, Body,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tacacs_client");

#[test]
fn authenticate_is_silent_and_its_exit_code_tells() {
    for (status, code) in [(AuthenStatus::Pass, 0), (AuthenStatus::Fail, 1)] {
        let server = Server::replying(vec![authen(status, "hello")]);
        let ended = run(client(server.address).env("TACACS_PLUS_PWD", "pw").args([
            "authenticate",
            "-t",
            "pap",
        ]));
        assert_eq!((ended.code, &*ended.stdout, &*ended.stderr), (code, "", ""));
        let seen = server.only();
        let start = AuthenStart::decode(&seen.body).unwrap();
        assert_eq!(start.action, Action::Login);
        assert_eq!(start.authen_type, AuthenType::Pap);
        assert_eq!(start.authen_service, AuthenService::Login);
        assert_eq!(start.priv_lvl.level(), 0);
        assert_eq!(
            (start.user, start.port, start.rem_addr, start.data),
            (&b"alice"[..], &b"tty0"[..], &b"127.0.0.1"[..], &b"pw"[..])
        );
    }
}

#[test]
fn verbose_prints_the_status_and_the_message_with_its_control_characters_escaped() {
    for (status, words, code) in [
        (AuthenStatus::Pass, "PASS", 0),
        (AuthenStatus::Fail, "FAIL", 1),
        (AuthenStatus::Follow, "FOLLOW", 1),
        (AuthenStatus::Restart, "RESTART", 1),
    ] {
        // The encoder refuses an escape sequence: put it in by hand.
        let mut body = authen(status, "hi [2J");
        let at = body.iter().position(|b| *b == b' ').unwrap();
        body[at] = 0x1B;
        let server = Server::replying(vec![body]);
        let ended = run(client(server.address).env("TACACS_PLUS_PWD", "pw").args([
            "-v",
            "authenticate",
            "-t",
            "chap",
        ]));
        assert_eq!(
            ended.stdout,
            format!("status: {words}\nserver_msg: hi\\x1b[2J\n")
        );
        assert_eq!((ended.code, &*ended.stderr), (code, ""));
    }
}

#[test]
fn every_type_sends_its_own_data_and_version() {
    for (word, kind, minor, len) in [
        ("pap", AuthenType::Pap, 1, 2),
        ("chap", AuthenType::Chap, 1, 33),
        ("mschap", AuthenType::MsChap, 1, 58),
        ("mschapv2", AuthenType::MsChapV2, 1, 66),
        ("ascii", AuthenType::Ascii, 0, 0),
    ] {
        let server = Server::replying(vec![authen(AuthenStatus::Pass, "")]);
        let ended = run(client(server.address).env("TACACS_PLUS_PWD", "pw").args([
            "-t",
            word,
            "authenticate",
        ]));
        assert_eq!(ended.code, 0, "{word}: {}", ended.stderr);
        let seen = server.only();
        let start = AuthenStart::decode(&seen.body).unwrap();
        assert_eq!(
            (
                start.authen_type,
                seen.header.version.minor(),
                start.data.len()
            ),
            (kind, minor, len)
        );
        start.check(seen.header.version).unwrap();
    }
}

#[test]
fn an_ascii_dialogue_answers_the_user_name_itself_and_further_questions_from_standard_input() {
    let server = Server::replying(vec![
        authen(AuthenStatus::GetUser, "Username: "),
        authen(AuthenStatus::GetPass, "Password: "),
        authen(AuthenStatus::GetData, "Code: "),
        authen(AuthenStatus::Pass, ""),
    ]);
    let ended = run_with_stdin(
        client(server.address).args(["-v", "authenticate", "--password-stdin"]),
        "pw\r\n123456\nnot for the server",
    );
    assert_eq!(
        (ended.code, &*ended.stdout),
        (0, "status: PASS\n"),
        "{}",
        ended.stderr
    );
    let seen = server.seen();
    let answers: Vec<&[u8]> = seen[1..]
        .iter()
        .map(|seen| AuthenContinue::decode(&seen.body).unwrap().user_msg)
        .collect();
    assert_eq!(answers, [&b"alice"[..], b"pw", b"123456"]);
}

#[test]
fn a_question_that_nobody_can_answer_gives_up_and_says_what_to_do() {
    let server = Server::replying(vec![
        authen(AuthenStatus::GetPass, "Password: "),
        authen(AuthenStatus::GetData, "Code:\n"),
    ]);
    // setsid: without a controlling terminal, wherever the tests run.
    let mut command = program("setsid");
    command
        .env("TACACS_PLUS_KEY", support::KEY)
        .env("TACACS_PLUS_PWD", "pw")
        .args([
            "--wait",
            PROGRAM,
            "-u",
            "alice",
            "-H",
            "127.0.0.1",
            "-v",
            "-p",
        ])
        .arg(server.address.port().to_string())
        .arg("authenticate");
    let ended = run(&mut command);
    assert_eq!((ended.code, &*ended.stdout), (2, ""));
    assert!(
        ended.stderr.contains("no terminal to answer 'Code:' on")
            && ended.stderr.contains("--password-stdin"),
        "{}",
        ended.stderr
    );
}

#[test]
fn enable_asks_for_level_15_or_the_one_that_is_named() {
    for (level, expected) in [(None, 15), (Some("7"), 7)] {
        let server = Server::replying(vec![authen(AuthenStatus::Pass, "")]);
        let mut command = client(server.address);
        command.args(["authenticate", "--enable"]);
        command.args(level.map(|level| ["-l", level]).into_iter().flatten());
        assert_eq!(run(&mut command).code, 0);
        let seen = server.only();
        let start = AuthenStart::decode(&seen.body).unwrap();
        assert_eq!(start.authen_service, AuthenService::Enable);
        assert_eq!(start.priv_lvl.level(), expected);
    }
}

#[test]
fn a_password_is_changed_in_a_dialogue() {
    let server = Server::replying(vec![
        authen(AuthenStatus::GetData, "Old password: "),
        authen(AuthenStatus::GetPass, "New password: "),
        authen(AuthenStatus::GetPass, "New password again: "),
        authen(AuthenStatus::Pass, "changed"),
    ]);
    let ended = run_with_stdin(
        client(server.address).args(["authenticate", "--change-password", "--password-stdin"]),
        "old\nnew\nnew\n",
    );
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let seen = server.seen();
    let start = AuthenStart::decode(&seen[0].body).unwrap();
    assert_eq!(start.action, Action::ChangePass);
    let answers: Vec<&[u8]> = seen[1..]
        .iter()
        .map(|seen| AuthenContinue::decode(&seen.body).unwrap().user_msg)
        .collect();
    assert_eq!(answers, [&b"old"[..], b"new", b"new"]);
}

#[test]
fn authorize_prints_what_the_server_granted() {
    for (status, pairs, stdout, code) in [
        (AuthorStatus::PassAdd, &[][..], "status: PASS\n", 0),
        (
            AuthorStatus::PassRepl,
            &[
                "allow-commands=^acommandregex$",
                "deny-commands=^anothercommandregex$",
            ],
            "status: REPL\nav-pairs:\n    allow-commands=^acommandregex$\n    deny-commands=^anothercommandregex$\n",
            0,
        ),
        (AuthorStatus::Fail, &[], "status: FAIL\n", 1),
        (AuthorStatus::Follow, &[], "status: FOLLOW\n", 1),
    ] {
        let server = Server::replying(vec![author(status, pairs)]);
        let ended = run(client(server.address).args([
            "-v",
            "authorize",
            "-t",
            "pap",
            "-c",
            "service=junos-exec",
            "cmd*",
        ]));
        assert_eq!(
            (ended.code, &*ended.stdout, &*ended.stderr),
            (code, stdout, "")
        );
        let seen = server.only();
        let request = AuthorRequest::decode(&seen.body).unwrap();
        assert_eq!(request.authen_method, AuthenMethod::TacacsPlus);
        assert_eq!(request.authen_type, AuthenType::Pap);
        assert_eq!(request.authen_service, AuthenService::Login);
        let args: Vec<&[u8]> = request.args.raw().collect();
        assert_eq!(args, [&b"service=junos-exec"[..], b"cmd*"]);
    }
}

#[test]
fn a_level_below_the_one_asked_for_and_a_level_that_does_not_exist_are_refusals() {
    for (granted, code) in [("priv-lvl=15", 0), ("priv-lvl=1", 1), ("priv-lvl=16", 1)] {
        let server = Server::replying(vec![author(AuthorStatus::PassAdd, &[granted])]);
        let ended = run(client(server.address).args([
            "-v",
            "-l",
            "7",
            "authorize",
            "-c",
            "service=shell",
            "cmd=",
        ]));
        let status = if code == 0 { "PASS" } else { "FAIL" };
        assert_eq!(ended.code, code);
        assert_eq!(
            ended.stdout,
            format!("status: {status}\nav-pairs:\n    {granted}\n")
        );
        assert_eq!(
            ended.stderr.contains("priv-lvl"),
            code == 1,
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn account_sends_the_flag_and_prints_success() {
    for (word, flags) in [("start", 2), ("stop", 4), ("update", 10)] {
        let server = Server::replying(vec![acct(AcctStatus::Success, "")]);
        let ended = run(client(server.address).args([
            "-v",
            "account",
            "-f",
            word,
            "-c",
            "service=shell",
            "cmd=show",
            "cmdarg=version",
        ]));
        assert_eq!(
            (ended.code, &*ended.stdout, &*ended.stderr),
            (0, "status: SUCCESS\n", "")
        );
        let seen = server.only();
        let request = AcctRequest::decode(&seen.body).unwrap();
        assert_eq!(request.flags, flags);
        assert_eq!(request.about.args.len(), 3);
    }
}

#[test]
fn an_error_of_the_server_and_a_server_that_is_not_there_are_unreachable() {
    let server = Server::replying(vec![acct(AcctStatus::Error, "disk full")]);
    let account = ["-v", "account", "-f", "stop", "-c", "service=shell"];
    let ended = run(client(server.address).args(account));
    assert_eq!((ended.code, &*ended.stdout), (3, "status: ERROR\n"));
    assert_eq!(
        ended.stderr,
        "tacacs_client: 127.0.0.1: it answered ERROR: disk full\n"
    );

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let ended = run(client(nobody).args(account));
    assert_eq!((ended.code, &*ended.stdout), (3, "status: UNREACHABLE\n"));
    assert!(
        ended.stderr.contains("127.0.0.1: cannot connect"),
        "{}",
        ended.stderr
    );
}

#[test]
fn another_secret_is_named_as_the_cause() {
    let server = Server::replying(vec![authen(AuthenStatus::Pass, "")]);
    let ended = run(client(server.address)
        .env("TACACS_PLUS_KEY", "not-the-secret-of-the-server")
        .env("TACACS_PLUS_PWD", "pw")
        .args(["authenticate", "-t", "pap"]));
    assert_eq!(ended.code, 3);
    assert!(
        ended.stderr.contains("shared secret mismatch"),
        "{}",
        ended.stderr
    );
    server.only();
}

#[test]
fn json_is_one_object() {
    let server = Server::replying(vec![author(AuthorStatus::PassAdd, &["priv-lvl=15"])]);
    let ended = run(client(server.address).args(["--json", "authorize", "-c", "service=shell"]));
    assert_eq!(
        ended.stdout,
        "{\"server\":\"127.0.0.1\",\"status\":\"PASS\",\"outcome\":\"pass\",\"message\":\"\",\"av-pairs\":[\"priv-lvl=15\"]}\n"
    );
    let server = Server::replying(vec![authen(AuthenStatus::Fail, "no \"entry\"")]);
    let ended = run(client(server.address).env("TACACS_PLUS_PWD", "pw").args([
        "--json",
        "authenticate",
        "-t",
        "pap",
    ]));
    assert_eq!(ended.code, 1);
    assert_eq!(
        ended.stdout,
        "{\"server\":\"127.0.0.1\",\"status\":\"FAIL\",\"outcome\":\"deny\",\"message\":\"no \\\"entry\\\"\",\"av-pairs\":[]}\n"
    );
}

#[test]
fn servers_come_from_a_file_and_the_next_one_is_asked_when_one_is_dead() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = listener.local_addr().unwrap();
    drop(listener);
    let server = Server::replying(vec![authen(AuthenStatus::Pass, "")]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tacplus.conf");
    let text = format!(
        "[global]\nlogin = chap\nhold_down = 0\n[server one]\naddress = {dead}\nsecret = {key}\n[server two]\naddress = {}\nsecret = {key}\n",
        server.address,
        key = support::KEY,
    );
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    let ended = run(program(PROGRAM)
        .env("TACACS_PLUS_PWD", "pw")
        .args(["-u", "alice", "-v", "--config"])
        .arg(&path)
        .arg("authenticate"));
    assert_eq!(
        (ended.code, &*ended.stdout),
        (0, "status: PASS\n"),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("one: cannot connect"),
        "{}",
        ended.stderr
    );
    let seen = server.only();
    let start = AuthenStart::decode(&seen.body).unwrap();
    assert_eq!(start.authen_type, AuthenType::Chap, "the file's login");
}

#[test]
fn a_key_file_is_used_when_nobody_else_can_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, format!("{}\n", support::KEY)).unwrap();
    for (mode, code) in [(0o600, 0), (0o644, 2)] {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        let server = Server::replying(vec![authen(AuthenStatus::Pass, "")]);
        let ended = run(client(server.address)
            .env_remove("TACACS_PLUS_KEY")
            .env("TACACS_PLUS_PWD", "pw")
            .args(["authenticate", "-t", "pap", "--key-file"])
            .arg(&path));
        assert_eq!(ended.code, code, "{}", ended.stderr);
        assert_eq!(
            ended.stderr.contains("chmod 0600"),
            code == 2,
            "{}",
            ended.stderr
        );
        if code == 0 {
            server.only();
        }
    }
}

#[test]
fn a_wrong_command_line_is_exit_code_2_and_says_what_to_do() {
    for (line, words) in [
        (&["-H", "127.0.0.1", "authenticate"][..], "-u is missing"),
        (&["-u", "alice", "-H", "127.0.0.1"], "subcommand"),
        (&["-u", "a", "-H", "::1", "-l", "16", "authenticate"], "16"),
        (
            &["-u", "a", "-H", "no host", "authenticate"],
            "-H is neither",
        ),
        (
            &["-u", "a", "-H", "127.0.0.1", "-6", "authenticate"],
            "IPv6",
        ),
        (
            &[
                "-u",
                "a",
                "--config",
                "/dev/null",
                "authenticate",
                "-H",
                "::1",
            ],
            "give -H or --config, not both",
        ),
        (
            &[
                "-u",
                "a",
                "--key-file",
                "/dev/null",
                "authenticate",
                "-H",
                "::1",
                "-k",
                "k",
            ],
            "the shared secret is given more than once",
        ),
        (
            &["-u", "a", "-H", "127.0.0.1", "authorize", "-c", "show"],
            "-c show: argument 1 is not name=value",
        ),
        (
            &[
                "-u",
                "a",
                "--config",
                "/nonexistent/tacplus.conf",
                "authenticate",
            ],
            "/nonexistent/tacplus.conf",
        ),
        (
            &[
                "-u",
                "a",
                "-H",
                "::1",
                "authenticate",
                "--change-password",
                "-t",
                "pap",
            ],
            "--change-password is a dialogue",
        ),
    ] {
        let ended = run(program(PROGRAM)
            .env("TACACS_PLUS_KEY", support::KEY)
            .args(line));
        assert_eq!((ended.code, &*ended.stdout), (2, ""), "{line:?}");
        assert!(ended.stderr.contains(words), "{line:?}: {}", ended.stderr);
    }
}
