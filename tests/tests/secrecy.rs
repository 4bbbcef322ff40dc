//! A marked secret, password and code, at the highest debug level: none is left
//! in a log, an output, an argument list or the memory a core would hold.

use std::thread;
use std::time::Duration;

use e2e::scene::{self, conf};
use e2e::stage::WRITTEN;
use e2e::{Output, Result, Script, Stage, Step, memory, wait};

const MARK: &str = "7d1fmark";
const SECRET: &str = "7d1fmark-secret-of-32-characters";
const PASSWORD: &str = "7d1fmark-password";
const CODE: &str = "7d1fmark-code";
const SERVER: &str = "127.0.0.1:49";

/// A host at debug level whose secret is in a file of its own.
fn host(login: &str) -> Result<Stage> {
    let conf = conf(&[SERVER], &format!("login = {login}"));
    let inline = format!("secret = {}", e2e::peer::SECRET);
    let conf = conf.replace(&inline, "secret_file = /etc/tacplus/s1.secret");
    scene::host(&[], "")
        .tacplus_conf(&conf)
        .file("/etc/tacplus/s1.secret", 0o600, &format!("{SECRET}\n"))
        .start()
}

#[test]
fn a_login_leaves_no_secret_password_or_code_behind() -> Result {
    let stage = host("ascii")?;
    let slow = Step::pass().after(Duration::from_secs(2));
    let steps = [Step::get_pass("Password: "), Step::get_data("Code: "), slow];
    let peer = stage.peer(SERVER, &Script::authen(steps).secret(SECRET))?;

    let (login, arguments) = thread::scope(|scope| {
        let login = scope.spawn(|| {
            let dialog = stage.ssh("alice").keyboard_interactive("env");
            dialog
                .answer("Password: ", PASSWORD)
                .answer("Code: ", CODE)
                .run()
        });
        // The answers are on their way, the server still thinks.
        let waited = peer.wait_for("continue", 2);
        let arguments = stage.sh("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ");
        waited.and(Ok((
            login.join().map_err(|_| "the login panicked")??,
            arguments?,
        )))
    })?;

    assert_eq!(login.code, 0, "{login}{}", stage.logs());
    assert!(
        !login.to_string().contains(MARK),
        "in the login's output: {login}"
    );
    assert!(
        !arguments.stdout.contains(MARK),
        "in an argument list: {}",
        arguments.stdout
    );
    assert_eq!(
        peer.seen("continue")?[1].text,
        CODE,
        "the marked ones were really used"
    );
    assert_nothing_on_disk(&stage)
}

#[test]
fn a_refused_login_leaves_no_password_behind() -> Result {
    let stage = host("pap")?;
    let peer = stage.peer(SERVER, &Script::authen([Step::fail()]).secret(SECRET))?;
    let login = stage.ssh("alice").password(PASSWORD, "env")?;
    assert_eq!(login.code, 255, "{login}");
    assert!(!login.to_string().contains(MARK), "{login}");
    assert_eq!(peer.seen("start")?[0].text, PASSWORD);
    assert_nothing_on_disk(&stage)
}

#[test]
fn an_open_session_holds_no_secret_in_memory() -> Result {
    for login in ["pap", "chap", "mschap", "mschapv2"] {
        assert_nothing_in_memory(login, vec![Step::pass()], |stage, session| {
            stage.ssh("alice").password(PASSWORD, session)
        })?;
    }
    Ok(())
}

#[test]
fn a_session_opened_with_a_code_holds_no_secret_in_memory() -> Result {
    let steps = [Step::get_pass("Password: "), Step::get_data("Code: ")];
    let steps = steps.into_iter().chain([Step::pass()]).collect();
    assert_nothing_in_memory("ascii", steps, |stage, session| {
        let dialog = stage.ssh("alice").keyboard_interactive(session);
        let dialog = dialog.answer("Password: ", PASSWORD);
        dialog.answer("Code: ", CODE).run()
    })
}

/// While a session is open, no process of sshd holds the secret, the password or the
/// code, which share the mark.
fn assert_nothing_in_memory(
    login: &str,
    steps: Vec<Step>,
    log_in: impl FnOnce(&Stage, &str) -> Result<Output> + Send,
) -> Result {
    let stage = host(login)?;
    let peer = stage.peer(SERVER, &Script::authen(steps).secret(SECRET))?;
    thread::scope(|scope| {
        let session = "touch in; until [ -e out ]; do sleep 0.05; done";
        let login = scope.spawn(|| log_in(&stage, session));
        let inside = wait::until("the session", || {
            stage.path("/home/alice/in").exists().then_some(())
        });
        let found = sshds_holding(&stage, MARK.as_bytes());
        let known = sshds_holding(&stage, b"alice");
        stage.write("/home/alice/out", 0o644, "")?;
        let login = login.join().map_err(|_| "the login panicked")??;
        inside?;
        assert_eq!(login.code, 0, "{login}{}", stage.logs());
        assert_eq!(found?, 0, "processes of sshd keep what is marked");
        assert!(known? > 0, "the search itself finds nothing");
        Result::Ok(())
    })?;
    assert_eq!(peer.seen("start")?.len(), 1);
    Ok(())
}

#[test]
fn the_client_wipes_secret_and_password_from_its_arguments() -> Result {
    let stage = Stage::builder().start()?;
    let peer = stage.peer(SERVER, &Script::authen([Step::Silence]).secret(SECRET))?;
    let args = [
        "-u",
        "alice",
        "-H",
        "127.0.0.1",
        "-k",
        SECRET,
        "-t",
        "pap",
        "authenticate",
    ];
    let args = [&args[..], &["-p", PASSWORD]].concat();
    let client = stage.spawn("client", "tacacs_client", &args)?;
    peer.wait_for("start", 1)?;

    let arguments = stage.sh("cat /proc/[0-9]*/cmdline")?;

    assert!(arguments.stdout.contains("tacacs_client"), "{arguments}");
    assert!(!arguments.stdout.contains(MARK), "{arguments}");
    drop(client);
    assert!(!stage.read("/var/log/client.out").contains(MARK));
    Ok(())
}

/// How many processes of sshd have these bytes in memory.
fn sshds_holding(stage: &Stage, needle: &[u8]) -> Result<usize> {
    let mut found = 0;
    let mut seen = 0;
    for (pid, name) in stage.processes() {
        if name == "sshd" {
            seen += 1;
            found += usize::from(memory::contains(pid, needle)?);
        }
    }
    if seen < 3 {
        return Err(format!("only {seen} processes of sshd: no session is open").into());
    }
    Ok(found)
}

/// The configured secret and the test's own tools are the only places.
fn assert_nothing_on_disk(stage: &Stage) -> Result {
    let found = stage.sh(&format!(
        "grep -rlaF {MARK} /home /var/log /dev/shm --exclude='*.seen'; \
         grep -rlaF {MARK} /run --exclude-dir=e2e; \
         grep -rlaF {MARK} {WRITTEN} --exclude=s1.secret"
    ))?;
    assert_eq!(found.stdout, "", "{}", stage.logs());
    assert!(
        stage.syslog().contains("pam_tacplus"),
        "something was logged at all"
    );
    let control = stage.sh(&format!("grep -rlaF {MARK} {WRITTEN}"))?;
    assert!(
        control.stdout.contains("s1.secret"),
        "the search finds nothing: {control}"
    );
    Ok(())
}
