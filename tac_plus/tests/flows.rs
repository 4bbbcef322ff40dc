//! What clients ask a running server, and what they get.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::{CONFIGURATION, Server, pap, start};
use tacacs_common::chap::{chap_response, mschap_response, mschapv2_response};
use tacacs_common::packet::{AuthenService, AuthenStart, AuthenType, PrivLvl};

#[test]
fn a_pap_login_passes_or_fails_by_its_own_password() {
    let mut server = Server::start(CONFIGURATION);
    assert_eq!(
        server.connect().start(&pap("alice", "alice-pap")),
        "PASS \"\""
    );
    let line = server.wait_for_line("login success");
    assert_eq!(
        line,
        "tac_plus: login success: user=alice device=127.0.0.1 ip=127.0.0.1 port=tty1 client=10.9.8.7"
    );
    assert_eq!(
        server.connect().start(&pap("alice", "alice-login")),
        "FAIL \"\""
    );
    assert!(
        server
            .wait_for_line("login failure")
            .contains("user=alice device=127.0.0.1")
    );
    assert_eq!(
        server.connect().start(&pap("nobody", "alice-pap")),
        "FAIL \"\""
    );
}

#[test]
fn the_log_says_which_kind_of_password_a_user_does_not_have() {
    let host = CONFIGURATION.split_once("user = alice").expect("users").0;
    let mut server = Server::start(&format!(
        "{host}user = hashed {{ global = des $1$saltsalt$stoYjH/9M8w1dr62o05Hz. }}\n\
         user = chris {{ chap = cleartext only-chap }}\n\
         user = $enab7$ {{ login = PAM }}\n"
    ));
    let chap = [&b"\x07challenge"[..], &[0; 16]].concat();
    let mschap = [&b"\x07"[..], &[3; 8], &[0; 49]].concat();
    let mschapv2 = [&b"\x07"[..], &[3; 16], &[0; 49]].concat();
    let enable = |user, level| AuthenStart {
        priv_lvl: PrivLvl::new(level).expect("a level"),
        authen_service: AuthenService::Enable,
        ..pap(user, "any")
    };
    let challenged = "no cleartext ms-chap or global password configured";
    for (request, reason) in [
        (
            pap("chris", "only-chap"),
            "no pap or global password configured",
        ),
        (
            start(AuthenType::Ascii, "chris", b""),
            "no login or global password configured",
        ),
        (
            enable("chris", 15),
            "no enable password configured for the user, client or level",
        ),
        (
            start(AuthenType::Chap, "hashed", &chap),
            "no cleartext chap or global password configured",
        ),
        (start(AuthenType::MsChap, "hashed", &mschap), challenged),
        (start(AuthenType::MsChapV2, "hashed", &mschapv2), challenged),
        (enable("chris", 7), "PAM knows no password of a level"),
        (pap("$enab7$", "any"), "nobody logs in under this name"),
        (pap("nobody", "any"), "unknown user"),
    ] {
        let mut wire = server.connect();
        let mut answer = wire.start(&request);
        if answer.starts_with("GETPASS") {
            answer = wire.say(3, "any");
        }
        assert_eq!(answer, "FAIL \"\"", "{reason}");
        let line = server.wait_for_line("failure: user=");
        assert!(line.ends_with(&format!("reason='{reason}'")), "{line}");
    }
}

#[test]
fn a_user_name_is_the_same_byte_for_byte_or_another_one() {
    let name = "Zo\u{eb}";
    let server = Server::start(&format!(
        "{CONFIGURATION}user = {name} {{ pap = cleartext right }}\n"
    ));
    for (user, answer) in [
        (name, "PASS \"\""),
        ("zo\u{eb}", "FAIL \"\""),
        ("Zoe\u{308}", "FAIL \"\""),
        ("Zo\u{eb} ", "FAIL \"\""),
    ] {
        let login = server.connect().start(&pap(user, "right"));
        assert_eq!(login, answer, "{user:?}");
    }
}

#[test]
fn an_ascii_login_is_a_dialogue_and_the_connection_ends_with_it() {
    let server = Server::start(CONFIGURATION);
    let mut wire = server.connect();
    assert_eq!(
        wire.start(&start(AuthenType::Ascii, "", b"")),
        "GETUSER \"Who? \""
    );
    assert_eq!(wire.say(3, "alice"), "GETPASS NOECHO \"Password: \"");
    assert_eq!(wire.say(5, "alice-login"), "PASS \"\"");
    assert!(wire.is_closed(), "single connection mode was not asked for");
}

#[test]
fn challenges_are_answered_with_the_password_for_them() {
    let server = Server::start(CONFIGURATION);
    let chap = [
        &b"\x07challenge"[..],
        &chap_response(7, b"alice-chap", b"challenge"),
    ]
    .concat();
    let v1 = [
        &b"\x07"[..],
        &[3; 8],
        &mschap_response(b"alice-mschap", &[3; 8]).unwrap(),
    ]
    .concat();
    let response = mschapv2_response(b"alice", b"alice-mschap", &[3; 16], &[4; 16]).unwrap();
    let v2 = [&b"\x07"[..], &[3; 16], &response].concat();
    for (authen_type, data) in [
        (AuthenType::Chap, chap),
        (AuthenType::MsChap, v1),
        (AuthenType::MsChapV2, v2),
    ] {
        assert_eq!(
            server.connect().start(&start(authen_type, "alice", &data)),
            "PASS \"\"",
            "{authen_type}"
        );
        let mut wrong = data.clone();
        *wrong.iter_mut().rev().nth(1).unwrap() ^= 1;
        assert_eq!(
            server.connect().start(&start(authen_type, "alice", &wrong)),
            "FAIL \"\"",
            "{authen_type}"
        );
    }
}

#[test]
fn enable_asks_for_the_enable_password() {
    let server = Server::start(CONFIGURATION);
    let enable = AuthenStart {
        priv_lvl: PrivLvl::ROOT,
        authen_service: AuthenService::Enable,
        ..start(AuthenType::Ascii, "alice", b"")
    };
    let mut wire = server.connect();
    assert_eq!(wire.start(&enable), "GETPASS NOECHO \"Password: \"");
    assert_eq!(wire.say(3, "alice-enable"), "PASS \"\"");
}

#[test]
fn authorizations_are_decided_by_the_configuration() {
    let server = Server::start(CONFIGURATION);
    for (user, args, expected) in [
        (
            "alice",
            &["service=shell", "cmd="][..],
            "PASS_ADD [priv-lvl=15]",
        ),
        (
            "alice",
            &["service=shell", "cmd=", "idletime*"],
            "PASS_REPL [service=shell, cmd=, idletime*10, priv-lvl=15]",
        ),
        ("alice", &["service=shell", "cmd=", "priv-lvl=7"], "FAIL []"),
        (
            "alice",
            &[
                "service=shell",
                "cmd=show",
                "cmd-arg=version",
                "cmd-arg=<cr>",
            ],
            "PASS_ADD []",
        ),
        (
            "alice",
            &["service=shell", "cmd=show", "cmd-arg=run"],
            "FAIL []",
        ),
        ("bob", &["service=shell", "cmd="], "FAIL []"),
        ("alice", &["cmd="], "ERROR []"),
    ] {
        assert_eq!(
            server.connect().author(user, args),
            expected,
            "{user} {args:?}"
        );
    }
}

#[test]
fn a_record_is_in_the_file_before_success_and_survives_a_kill() {
    let mut server = Server::start(CONFIGURATION);
    let args = ["task_id=1", "service=shell", "cmd=show version <cr>"];
    assert_eq!(server.connect().acct(0x04, &args), "SUCCESS");
    server.signal("KILL");
    server.wait();
    assert_eq!(
        server.records(),
        ["127.0.0.1\talice\ttty1\t10.9.8.7\tstop\ttask_id=1\tservice=shell\tcmd=show version <cr>"]
    );
}

#[test]
fn a_record_that_cannot_be_stored_is_an_error_until_it_can() {
    let mut server = Server::start(CONFIGURATION);
    std::fs::remove_file(server.accounting_path()).unwrap();
    std::fs::create_dir(server.accounting_path()).unwrap();
    assert_eq!(server.connect().acct(0x02, &["task_id=1"]), "ERROR");
    assert!(
        server
            .wait_for_line("cannot be written")
            .contains("answered with ERROR")
    );
    std::fs::remove_dir(server.accounting_path()).unwrap();
    assert_eq!(server.connect().acct(0x02, &["task_id=2"]), "SUCCESS");
    server.wait_for_line("is written again");
    assert_eq!(
        server.records(),
        ["127.0.0.1\talice\ttty1\t10.9.8.7\tstart\ttask_id=2"]
    );
}

#[test]
fn two_servers_share_one_accounting_file_without_a_broken_line() {
    let shared = tempfile::tempdir().expect("a folder");
    let path = shared.path().join("acct");
    let mut servers = [Server::start(CONFIGURATION), Server::start(CONFIGURATION)];
    // The link makes both write the same file through their own name for it.
    for server in &servers {
        std::fs::remove_file(server.accounting_path()).expect("the file of its own");
        std::os::unix::fs::symlink(&path, server.accounting_path()).expect("a link");
    }
    std::thread::scope(|scope| {
        for (number, server) in servers.iter_mut().enumerate() {
            scope.spawn(move || {
                for task in 0..100 {
                    let id = format!("task_id={number}.{task}");
                    assert_eq!(server.connect().acct(0x02, &[&id]), "SUCCESS");
                }
            });
        }
    });
    let mut lines = servers[0].records();
    lines.sort();
    let fields = "127.0.0.1\talice\ttty1\t10.9.8.7\tstart\ttask_id";
    let mut expected: Vec<String> = (0..2)
        .flat_map(|server| (0..100).map(move |task| format!("{fields}={server}.{task}")))
        .collect();
    expected.sort();
    assert_eq!(lines, expected);
}
