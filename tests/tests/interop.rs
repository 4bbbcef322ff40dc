//! Third-party clients against `tac_plus`.
//!
//! | | login | enable | authorization | accounting |
//! |---|---|---|---|---|
//! | PyPI `tacacs_plus` | ASCII, PAP, CHAP | ASCII, PAP | yes | yes |
//! | Perl Authen::TacacsPlus | ASCII, PAP, CHAP, MS-CHAP v1 and v2 | no | no | no |
//!
//! Authen::TacacsPlus has one function that asks a server, `authen`. It writes
//! the action LOGIN, the service LOGIN and the level 0 itself and lets its caller
//! choose the type and the data alone; it has no other packet than START and
//! CONTINUE. So it can neither ask for a level nor authorize nor account, which its
//! manual page says too ("only authentication is supported").
//!
//! `openssl s_client` is in the tests of `tac_plus`, beside its other tests of TLS.

use e2e::scene::{PASSWORD, server_conf};
use e2e::{Result, Stage, interop};
use tacacs_common::chap::{chap_response, mschap_response, mschapv2_response};

#[test]
fn the_client_of_pypi_authenticates_with_each_type_it_knows() -> Result {
    let stage = Stage::builder().server_conf(&server_conf()).start()?;
    for authen_type in ["ascii", "pap", "chap"] {
        let right = ["authenticate", "-p", PASSWORD];
        let login = interop::pypi(&stage, "127.0.0.1", authen_type, &right)?;
        assert!(
            login.stdout.contains("status: PASS"),
            "{authen_type}: {login}{}",
            stage.logs()
        );
        let wrong = ["authenticate", "-p", "wrong"];
        let login = interop::pypi(&stage, "127.0.0.1", authen_type, &wrong)?;
        assert!(
            login.stdout.contains("status: FAIL"),
            "{authen_type}: {login}{}",
            stage.logs()
        );
    }
    Ok(())
}

#[test]
fn the_client_of_pypi_gets_the_rights_of_its_user() -> Result {
    let stage = Stage::builder().server_conf(&server_conf()).start()?;
    let ask = |args: &[&str]| {
        let all: Vec<&str> = ["authorize", "-c"].iter().chain(args).copied().collect();
        interop::pypi(&stage, "127.0.0.1", "pap", &all)
    };

    let shell = ask(&["service=shell", "cmd="])?;
    assert!(
        shell.stdout.contains("priv-lvl=15"),
        "{shell}{}",
        stage.logs()
    );
    let permitted = ask(&["service=shell", "cmd=show", "cmd-arg=version"])?;
    assert!(
        permitted.stdout.contains("status: PASS"),
        "{permitted}{}",
        stage.logs()
    );
    let denied = ask(&["service=shell", "cmd=show", "cmd-arg=secrets"])?;
    assert!(
        denied.stdout.contains("status: FAIL"),
        "{denied}{}",
        stage.logs()
    );
    let unknown = ask(&["service=shell", "cmd=reload"])?;
    assert!(
        unknown.stdout.contains("status: FAIL"),
        "{unknown}{}",
        stage.logs()
    );
    Ok(())
}

#[test]
fn the_client_of_pypi_has_its_records_written_before_success() -> Result {
    let stage = Stage::builder().server_conf(&server_conf()).start()?;
    for flag in ["start", "update", "stop"] {
        let args = ["account", "-f", flag, "-c", "service=shell", "task_id=e2e"];
        let answer = interop::pypi(&stage, "127.0.0.1", "pap", &args)?;
        assert!(
            answer.stdout.contains("status: SUCCESS"),
            "{answer}{}",
            stage.logs()
        );
        let file = stage.read("/var/log/tac_plus.acct");
        let words: Vec<&str> = file
            .lines()
            .last()
            .unwrap_or_default()
            .split('\t')
            .collect();
        assert!(words.contains(&"alice") && words.contains(&flag), "{file}");
        // What this client calls an update is a watchdog without START, whose
        // arguments a server ignores (RFC 8907 section 7.2) but for the task's name.
        assert!(words.contains(&"task_id=e2e"), "{file}");
    }
    Ok(())
}

#[test]
fn the_client_of_pypi_is_given_the_levels_it_has_the_password_for() -> Result {
    let users = "    enable = cleartext alice-enable\n    service = exec";
    let levels = "user = $enab7$ { login = cleartext seven }\n\
                  user = $enable$ { login = cleartext fifteen }\n";
    let conf = server_conf().replace("    service = exec", users) + levels;
    let stage = Stage::builder().server_conf(&conf).start()?;
    for (user, level, password, expected) in [
        ("alice", 15, "alice-enable", "PASS\n"),
        ("alice", 7, "alice-enable", "PASS\n"),
        ("alice", 15, PASSWORD, "FAIL\n"),
        ("alice", 15, "fifteen", "FAIL\n"),
        ("carol", 15, "fifteen", "PASS\n"),
        ("carol", 7, "seven", "PASS\n"),
        ("carol", 15, "seven", "FAIL\n"),
        ("carol", 3, "fifteen", "FAIL\n"),
    ] {
        // A dialogue as the RFC has it, and all in the first packet.
        for authen_type in ["ascii", "pap"] {
            let enable = interop::pypi_enable(&stage, user, authen_type, level, password)?;
            assert_eq!(
                enable.stdout,
                expected,
                "{user} {level} {authen_type}: {enable}{}",
                stage.logs()
            );
        }
    }
    // The RFC has a dialogue for it (RFC 8907 section 5.4.2.6), and no challenge.
    let enable = interop::pypi_enable(&stage, "alice", "chap", 15, "alice-enable")?;
    assert_eq!(enable.stdout, "FAIL\n", "{enable}{}", stage.logs());
    Ok(())
}

/// Identifier, challenge and response, as the data of a START.
fn challenged(challenge: &[u8], response: &[u8]) -> Vec<u8> {
    [b"7", challenge, response].concat()
}

#[test]
fn the_client_of_perl_authenticates_with_every_type_there_is() -> Result {
    let chap = |password: &str| {
        let challenge = b"sixteen bytes...";
        challenged(
            challenge,
            &chap_response(b'7', password.as_bytes(), challenge),
        )
    };
    let mschap = |password: &str| {
        let response = mschap_response(password.as_bytes(), &[3; 8]);
        challenged(&[3; 8], &response.unwrap_or([0; 49]))
    };
    let mschapv2 = |password: &str| {
        let response = mschapv2_response(b"alice", password.as_bytes(), &[3; 16], &[4; 16]);
        challenged(&[3; 16], &response.unwrap_or([0; 49]))
    };
    let types = |password: &str| {
        let plain = password.as_bytes().to_vec();
        [
            ("ASCII", plain.clone()),
            ("PAP", plain),
            ("CHAP", chap(password)),
            // It has no names for these.
            ("5", mschap(password)),
            ("6", mschapv2(password)),
        ]
    };
    for (password, expected) in [(PASSWORD, "pass\n"), ("wrong", "Authentication failed\n")] {
        // Its session_id is a function of the second in which it starts, and a server takes
        // one three times.
        for types in types(password).chunks(3) {
            let stage = Stage::builder().server_conf(&server_conf()).start()?;
            for (authen_type, data) in types {
                let login = interop::perl(&stage, authen_type, data)?;
                assert_eq!(
                    login.stdout,
                    expected,
                    "{authen_type}: {login}{}",
                    stage.logs()
                );
            }
        }
    }
    Ok(())
}

#[test]
fn the_client_of_perl_is_refused_what_the_protocol_no_longer_has() -> Result {
    let stage = Stage::builder().server_conf(&server_conf()).start()?;
    for (authen_type, expected) in [
        ("ARAP", "Authentication failed\n"),
        // What it calls an ERROR.
        ("9", "Protocol error\n"),
    ] {
        let login = interop::perl(&stage, authen_type, PASSWORD.as_bytes())?;
        assert_eq!(
            login.stdout,
            expected,
            "{authen_type}: {login}{}",
            stage.logs()
        );
    }
    Ok(())
}

#[test]
fn a_client_with_another_secret_logs_nobody_in() -> Result {
    let conf = server_conf().replace(e2e::peer::SECRET, "another");
    let stage = Stage::builder().server_conf(&conf).start()?;
    let login = interop::pypi(
        &stage,
        "127.0.0.1",
        "pap",
        &["authenticate", "-p", PASSWORD],
    )?;
    // What this client makes of the answer is its own matter: it takes any first
    // byte that happens to be 1 for a PASS.
    let log = stage.logs();
    assert!(
        log.contains("tac_plus: ") && !log.contains("login success"),
        "{login}{log}"
    );
    Ok(())
}
