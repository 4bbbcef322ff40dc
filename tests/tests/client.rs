//! Our command-line programs on a host: `tacacs_client` and `tacplus`, with the
//! servers of `/etc/tacplus.conf`.

use e2e::scene::{self, PASSWORD, server_conf};
use e2e::{Capture, Output, Result, Script, Stage, Step, peer::SECRET};

const SERVER: &str = "127.0.0.1:49";
const TYPES: [&str; 5] = ["ascii", "pap", "chap", "mschap", "mschapv2"];

/// `tacacs_client` as alice, the password in its environment.
fn client(stage: &Stage, password: &str, args: &[&str]) -> Result<Output> {
    let password = format!("TACACS_PLUS_PWD={password}");
    let head = [&password, "tacacs_client", "-v", "-u", "alice"];
    stage.run("env", &[&head[..], args].concat())
}

#[test]
fn tacacs_client_authenticates_with_every_type_and_wireshark_can_read_it() -> Result {
    let stage = scene::host(&[SERVER], "")
        .server_conf(&server_conf())
        .start()?;
    let capture = Capture::start(&stage)?;

    for authen_type in TYPES {
        let args = ["-t", authen_type, "authenticate"];
        let right = client(&stage, PASSWORD, &args)?;
        assert_eq!(
            (right.code, right.stdout.as_str()),
            (0, "status: PASS\n"),
            "{authen_type}: {right}{}",
            stage.logs()
        );
        let wrong = client(&stage, "wrong", &args)?;
        assert_eq!(wrong.code, 1, "{authen_type}: {wrong}{}", stage.logs());
    }
    let shell = client(
        &stage,
        PASSWORD,
        &["authorize", "-c", "service=shell", "cmd="],
    )?;
    assert!(shell.stdout.contains("priv-lvl=15"), "{shell}");
    let record = client(
        &stage,
        PASSWORD,
        &["account", "-f", "start", "-c", "service=shell"],
    )?;
    assert_eq!(record.code, 0, "{record}");
    assert!(stage.read("/var/log/tac_plus.acct").contains("\tstart\t"));

    capture.wait_for(1, 1, 10)?;
    capture.wait_for(1, 2, 10)?;
    capture.wait_for(3, 2, 1)?;
    capture.assert_clean(SECRET)
}

#[test]
fn tacplus_shows_and_delivers_what_an_outage_left() -> Result {
    let stage = scene::host(&[SERVER], "").start()?;
    let script = Script::authen([Step::pass()]);
    let mut peer = stage.peer(SERVER, &script.clone().acct([Step::Close]))?;
    let login = stage.ssh("alice").password(PASSWORD, "whoami")?;
    assert_eq!(login.stdout, "alice\n", "{login}");
    stage.wait_for_log("STOP of 'alice'")?;
    peer.daemon().kill()?;

    let status = stage.run("tacplus", &["spool", "status", "--json"])?;
    assert!(status.stdout.contains("\"pending\":2"), "{status}");
    let in_vain = stage.run("tacplus", &["spool", "flush"])?;
    assert_eq!(in_vain.code, 3, "no server answers: {in_vain}");

    let peer = stage.peer(SERVER, &script)?;
    let flush = stage.run("tacplus", &["spool", "flush"])?;
    assert_eq!(flush.code, 0, "{flush}");
    let seen = peer.seen("acct")?;
    let actions: Vec<&str> = seen.iter().map(|seen| seen.action.as_str()).collect();
    assert_eq!(actions, ["START", "STOP"]);
    let again = stage.run("tacplus", &["spool", "flush"])?;
    assert_eq!((again.code, peer.seen("acct")?.len()), (0, 2), "{again}");
    Ok(())
}
