//! Third-party clients against `tac_plus`.

use e2e::scene::{PASSWORD, server_conf};
use e2e::{Result, Stage, interop};

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
        // arguments a server ignores (RFC 8907 section 7.2).
        assert_eq!(words.contains(&"task_id=e2e"), flag != "update", "{file}");
    }
    Ok(())
}

#[test]
fn the_client_of_perl_authenticates_with_each_type_it_knows() -> Result {
    let stage = Stage::builder().server_conf(&server_conf()).start()?;
    for authen_type in ["ASCII", "PAP", "CHAP"] {
        let login = interop::perl(&stage, authen_type, PASSWORD)?;
        assert_eq!(
            login.stdout,
            "pass\n",
            "{authen_type}: {login}{}",
            stage.logs()
        );
        let login = interop::perl(&stage, authen_type, "wrong")?;
        assert_eq!(
            login.stdout,
            "fail\n",
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
