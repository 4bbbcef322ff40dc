//! Servers that are down, come back, or go away at the worst moment.

use std::time::{Duration, Instant};

use e2e::scene::{self, CODE, LOCAL_PASSWORD, PASSWORD};
use e2e::{Result, Script, Step};

const FIRST: &str = "192.0.2.1:49";
const SECOND: &str = "127.0.0.1:49";

#[test]
fn a_refused_first_server_is_passed_over() -> Result {
    let stage = scene::host(&[FIRST, SECOND], "")
        .address("192.0.2.1".parse()?)
        .start()?;
    let second = stage.peer(SECOND, &Script::authen([Step::pass()]))?;

    let login = stage.ssh("alice").password(PASSWORD, "whoami")?;

    assert_eq!(login.stdout, "alice\n", "{login}{}", stage.logs());
    assert_eq!(second.seen("start")?[0].text, PASSWORD);
    Ok(())
}

#[test]
fn a_silent_first_server_delays_the_first_login_and_not_the_second() -> Result {
    let first = "192.0.2.1".parse()?;
    let stage = scene::host(&[FIRST, SECOND], "timeout = 8")
        .address(first)
        .start()?;
    stage.blackhole(first)?;
    let second = stage.peer(SECOND, &Script::authen([Step::pass()]))?;

    let login = stage.ssh("alice").password(PASSWORD, "whoami")?;
    assert_eq!(login.stdout, "alice\n", "{login}{}", stage.logs());

    // Held down now, for every process: what is left is the login itself.
    let begin = Instant::now();
    let login = stage.ssh("bob").password(PASSWORD, "whoami")?;
    assert_eq!(login.stdout, "bob\n", "{login}{}", stage.logs());
    assert!(
        begin.elapsed() < Duration::from_secs(6),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(second.seen("start")?.len(), 2);
    Ok(())
}

#[test]
fn with_every_server_down_and_unreachable_ignore_a_local_password_counts() -> Result {
    let stage = scene::host(&[FIRST, SECOND], scene::IGNORE)
        .address("192.0.2.1".parse()?)
        .start()?;

    let begin = Instant::now();
    let login = stage.ssh("alice").password(LOCAL_PASSWORD, "whoami")?;
    assert_eq!(login.stdout, "alice\n", "{login}{}", stage.logs());
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );

    let login = stage.ssh("alice").password(PASSWORD, "whoami")?;
    assert_eq!((login.code, login.stdout.as_str()), (255, ""), "{login}");
    Ok(())
}

#[test]
fn a_user_without_a_local_password_does_not_get_in_by_a_blocked_port() -> Result {
    let ignore = format!("timeout = 2\n{}", scene::IGNORE);
    let stage = scene::host(&[SECOND], &ignore).start()?;
    let script = Script::authen([Step::pass()]).author([Step::deny()]);
    let peer = stage.peer(SECOND, &script)?;
    let login = stage.ssh("carol").password(PASSWORD, "whoami")?;
    assert_eq!(login.stdout, "", "denied while the server answers: {login}");
    assert_eq!(peer.seen("author")?.len(), 1);

    let block = "iptables -I INPUT -p tcp --dport 49 -j DROP";
    stage.sh(block)?.success()?;

    for password in [PASSWORD, "", LOCAL_PASSWORD] {
        let login = stage.ssh("carol").password(password, "whoami")?;
        assert_eq!(
            (login.code, login.stdout.as_str()),
            (255, ""),
            "{login}{}",
            stage.logs()
        );
    }
    Ok(())
}

#[test]
fn with_unreachable_deny_not_even_a_key_gets_in_by_a_blocked_port() -> Result {
    let stage = scene::host(&[SECOND], "timeout = 2\nunreachable = deny").start()?;

    let by_key = stage.ssh("alice").public_key("whoami")?;
    assert_eq!(by_key.stdout, "", "{by_key}{}", stage.logs());
    let by_password = stage.ssh("alice").password(LOCAL_PASSWORD, "whoami")?;
    assert_eq!(by_password.stdout, "", "{by_password}{}", stage.logs());
    Ok(())
}

#[test]
fn a_server_that_dies_mid_dialogue_ends_it_and_no_answer_is_sent_twice() -> Result {
    let stage = scene::host(&[FIRST, SECOND], "login = ascii")
        .address("192.0.2.1".parse()?)
        .start()?;
    let steps = [
        Step::get_pass("Password: "),
        Step::get_data("Code: "),
        Step::Close,
    ];
    let first = stage.peer(FIRST, &Script::authen(steps))?;
    let second = stage.peer(SECOND, &Script::authen([Step::pass()]))?;

    let dialog = stage.ssh("carol").keyboard_interactive("whoami");
    let login = dialog
        .answer("Password: ", PASSWORD)
        .answer("Code: ", CODE)
        .run()?;

    assert_eq!(login.stdout, "", "{login}{}", stage.logs());
    assert_eq!(first.seen("continue")?.len(), 2);
    assert_eq!(first.seen("start")?.len(), 1, "not begun again");
    assert_eq!(
        second.seen("start")?,
        [],
        "an answered dialogue stays where it is"
    );
    Ok(())
}

#[test]
fn a_wrong_secret_is_named_in_the_log_and_the_next_server_asked() -> Result {
    let stage = scene::host(&[FIRST, SECOND], "")
        .address("192.0.2.1".parse()?)
        .start()?;
    let first = stage.peer(FIRST, &Script::authen([Step::pass()]).secret("another"))?;
    let second = stage.peer(SECOND, &Script::authen([Step::pass()]))?;

    let login = stage.ssh("alice").password(PASSWORD, "whoami")?;

    assert_eq!(login.stdout, "alice\n", "{login}{}", stage.logs());
    stage.wait_for_log("shared secret mismatch with s1")?;
    assert_eq!(first.seen("malformed")?.len(), 1, "{:?}", first.all()?);
    assert_eq!(second.seen("start")?.len(), 1);
    Ok(())
}

#[test]
fn no_start_and_no_stop_is_lost_in_an_outage() -> Result {
    let stage = scene::host(&[SECOND], "").start()?;
    let script = Script::authen([Step::pass()]);
    let mut peer = stage.peer(SECOND, &script.clone().acct([Step::Close]))?;

    let login = stage.ssh("alice").password(PASSWORD, "whoami")?;
    assert_eq!(
        login.stdout, "alice\n",
        "an outage of accounting is no denial: {login}"
    );
    let lost = peer.wait_for("acct", 1)?[0].clone();
    // sshd closes the session after the client has gone.
    stage.wait_for_log("STOP of 'alice'")?;
    peer.daemon().kill()?;

    // What waits goes first, in the order in which it happened.
    let peer = stage.peer(SECOND, &script)?;
    let login = stage.ssh("bob").password(PASSWORD, "whoami")?;
    assert_eq!(login.stdout, "bob\n", "{login}{}", stage.logs());

    let seen = peer.wait_for("acct", 4)?;
    let happened: Vec<_> = seen
        .iter()
        .map(|seen| (&*seen.user, &*seen.action))
        .collect();
    let expected = [
        ("alice", "START"),
        ("alice", "STOP"),
        ("bob", "START"),
        ("bob", "STOP"),
    ];
    assert_eq!(happened, expected, "{}", stage.logs());
    assert_eq!(seen[0].args, lost.args, "sent again as it was");
    assert_eq!(seen[0].arg("task_id"), seen[1].arg("task_id"));
    Ok(())
}
