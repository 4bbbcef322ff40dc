//! Second factors: questions of the server in any number, slow people, slow
//! back ends, and a server that never stops asking.

use std::time::{Duration, Instant};

use e2e::scene::{self, CODE, PASSWORD};
use e2e::{Result, Script, Step};

const SERVER: &str = "127.0.0.1:49";
const SLOW: Duration = Duration::from_secs(20);

#[test]
fn a_code_that_takes_the_person_twenty_seconds_still_logs_in() -> Result {
    let stage = scene::host(&[SERVER], "login = ascii").start()?;
    let steps = [
        Step::get_pass("Password: "),
        Step::get_data("Code: "),
        Step::pass(),
    ];
    let peer = stage.peer(SERVER, &Script::authen(steps))?;

    let dialog = stage.ssh("alice").keyboard_interactive("whoami");
    let login = dialog
        .answer("Password: ", PASSWORD)
        .answer_after("Code: ", SLOW, CODE)
        .run()?;

    assert_eq!(login.stdout, "alice\n", "{login}{}", stage.logs());
    assert!(!login.stderr.contains(CODE), "echoed: {login}");
    let sent: Vec<String> = peer
        .seen("continue")?
        .into_iter()
        .map(|seen| seen.text)
        .collect();
    assert_eq!(sent, [PASSWORD, CODE], "each answer once");
    assert_eq!(peer.seen("start")?.len(), 1, "one dialogue");
    Ok(())
}

#[test]
fn a_push_that_takes_the_server_twenty_seconds_still_logs_in() -> Result {
    let stage = scene::host(&[SERVER], "").start()?;
    let peer = stage.peer(SERVER, &Script::authen([Step::pass().after(SLOW)]))?;

    let login = stage.ssh("alice").password(PASSWORD, "whoami")?;

    assert_eq!(login.stdout, "alice\n", "{login}{}", stage.logs());
    assert_eq!(peer.seen("start")?.len(), 1, "one push");
    Ok(())
}

#[test]
fn a_server_that_asks_for_ever_is_cut_off() -> Result {
    let stage = scene::host(&[SERVER], "login = ascii").start()?;
    let peer = stage.peer(SERVER, &Script::authen([Step::get_pass("Password: ")]))?;

    let begin = Instant::now();
    let login = stage.ssh("alice").password(PASSWORD, "whoami")?;

    assert_eq!(
        (login.code, login.stdout.as_str()),
        (255, ""),
        "{login}{}",
        stage.logs()
    );
    assert!(begin.elapsed() < Duration::from_secs(30));
    let rounds = peer.seen("continue")?.len();
    assert!((1..=255).contains(&rounds), "{rounds} rounds");
    peer.wait_for("close", 1)?;
    Ok(())
}

#[test]
fn escape_sequences_of_a_server_reach_neither_terminal_nor_log() -> Result {
    let stage = scene::host(&[SERVER], "login = ascii").start()?;
    let hostile = b"\x1b]0;owned\x07\x9b31mPassword: ";
    let steps = [
        Step::get_pass("").message(hostile),
        Step::fail().message(hostile),
    ];
    let peer = stage.peer(SERVER, &Script::authen(steps))?;

    let dialog = stage.ssh("alice").keyboard_interactive("whoami");
    let login = dialog.answer("Password: ", PASSWORD).run()?;

    assert_eq!((login.code, login.stdout.as_str()), (255, ""), "{login}");
    assert_eq!(peer.seen("continue")?.len(), 1);
    assert!(
        !login.stderr.contains(['\x1b', '\x07', '\u{9b}']),
        "{:?}",
        login.stderr
    );
    let log = stage.syslog();
    assert!(!log.contains("<raw "), "{log}");
    Ok(())
}
