//! A permitted login with the real `sshd`, in each of its three ways, and what
//! the server saw of it.

use std::time::{SystemTime, UNIX_EPOCH};

use e2e::scene::{self, PASSWORD, records};
use e2e::{Peer, Result, Script, Stage, Step};

const SERVER: &str = "127.0.0.1:49";

#[test]
fn a_password_login_is_authenticated_authorized_and_accounted() -> Result {
    let stage = scene::host(&[SERVER], "").start()?;
    let peer = stage.peer(SERVER, &Script::authen([Step::pass()]))?;

    let login = stage
        .ssh("alice")
        .password(PASSWORD, "whoami; cat /proc/self/loginuid")?;

    assert_eq!(login.stdout, "alice\n2001", "{login}{}", stage.logs());
    let start = &peer.seen("start")?[0];
    assert_eq!(
        (start.user.as_str(), start.text.as_str()),
        ("alice", PASSWORD)
    );
    assert_eq!(
        (start.action.as_str(), start.authen_type.as_str()),
        ("LOGIN", "PAP")
    );
    assert_eq!(
        (start.service.as_str(), start.port.as_str()),
        ("LOGIN", "ssh")
    );
    assert_eq!(
        (start.rem_addr.as_str(), start.unencrypted),
        ("127.0.0.1", false)
    );
    assert_authorized_once(&peer, "TACACSPLUS")?;
    assert_accounted_once(&peer)
}

#[test]
fn a_keyboard_interactive_login_shows_the_servers_own_question() -> Result {
    let stage = scene::host(&[SERVER], "login = ascii").start()?;
    let steps = [Step::get_pass("Tell me all, alice: "), Step::pass()];
    let peer = stage.peer(SERVER, &Script::authen(steps))?;

    let login = stage.ssh("alice").keyboard_interactive("whoami");
    let login = login.answer("Tell me all, alice: ", PASSWORD).run()?;

    assert_eq!(login.stdout, "alice\n", "{login}{}", stage.logs());
    assert!(!login.stderr.contains(PASSWORD), "echoed: {login}");
    assert_eq!(peer.seen("continue")?[0].text, PASSWORD);
    assert_authorized_once(&peer, "TACACSPLUS")?;
    assert_accounted_once(&peer)
}

#[test]
fn a_public_key_login_is_authorized_as_locally_authenticated() -> Result {
    let stage = scene::host(&[SERVER], "").start()?;
    let peer = stage.peer(SERVER, &Script::authen([Step::fail()]))?;

    let login = stage.ssh("alice").public_key("whoami")?;

    assert_eq!(login.stdout, "alice\n", "{login}{}", stage.logs());
    assert_eq!(peer.seen("start")?, [], "a key needs no password");
    assert_authorized_once(&peer, "LOCAL")?;
    assert_accounted_once(&peer)
}

#[test]
fn each_way_works_over_one_kept_connection_of_a_single_connect_server() -> Result {
    let stage = scene::host(&[SERVER], "").start()?;
    let peer = stage.peer(SERVER, &Script::authen([Step::pass()]).single_connect())?;

    let by_password = stage.ssh("alice").password(PASSWORD, "whoami")?;
    assert_eq!(
        by_password.stdout,
        "alice\n",
        "{by_password}{}",
        stage.logs()
    );
    let dialog = stage.ssh("alice").keyboard_interactive("whoami");
    let by_questions = dialog.answer("Password:", PASSWORD).run()?;
    assert_eq!(
        by_questions.stdout,
        "alice\n",
        "{by_questions}{}",
        stage.logs()
    );
    let by_key = stage.ssh("alice").public_key("whoami")?;
    assert_eq!(by_key.stdout, "alice\n", "{by_key}{}", stage.logs());

    let records_seen = peer.wait_for("acct", 6)?;
    assert_eq!(records(&records_seen, "START").len(), 3);
    assert_eq!(records(&records_seen, "STOP").len(), 3);
    let first = peer.seen("start")?[0].connection;
    assert_eq!(
        peer.seen("author")?[0].connection,
        first,
        "one process, one connection"
    );
    Ok(())
}

#[test]
fn two_sessions_at_once_have_task_ids_of_their_own() -> Result {
    let stage = scene::host(&[SERVER], "").start()?;
    let peer = stage.peer(SERVER, &Script::authen([Step::pass()]))?;

    std::thread::scope(|scope| {
        let logins: Vec<_> = ["alice", "bob", "alice"]
            .iter()
            .map(|user| scope.spawn(|| login(&stage, user)))
            .collect();
        logins
            .into_iter()
            .all(|login| login.join().is_ok_and(|done| done))
    })
    .then_some(())
    .ok_or_else(|| stage.logs())?;

    let seen = peer.wait_for("acct", 6)?;
    let mut ids: Vec<_> = records(&seen, "START").iter().map(task_id).collect();
    let mut ended: Vec<_> = records(&seen, "STOP").iter().map(task_id).collect();
    ids.sort();
    ended.sort();
    assert_eq!(ids, ended);
    ids.dedup();
    assert_eq!(ids.len(), 3);
    Ok(())
}

fn login(stage: &Stage, user: &str) -> bool {
    stage
        .ssh(user)
        .password(PASSWORD, "whoami")
        .is_ok_and(|login| login.code == 0)
}

fn task_id(record: &e2e::Seen) -> String {
    record.arg("task_id").unwrap_or_default().to_owned()
}

fn assert_authorized_once(peer: &Peer<'_>, method: &str) -> Result {
    let requests = peer.seen("author")?;
    assert_eq!(requests.len(), 1);
    let request = &requests[0];
    assert_eq!(
        (request.user.as_str(), request.method.as_str()),
        ("alice", method)
    );
    assert_eq!(
        (request.arg("service"), request.arg("cmd")),
        (Some("shell"), Some(""))
    );
    assert_eq!(request.rem_addr, "127.0.0.1");
    Ok(())
}

fn assert_accounted_once(peer: &Peer<'_>) -> Result {
    let seen = peer.wait_for("acct", 2)?;
    let (starts, stops) = (records(&seen, "START"), records(&seen, "STOP"));
    assert_eq!((starts.len(), stops.len()), (1, 1), "{seen:?}");
    let (start, stop) = (&starts[0], &stops[0]);
    assert_eq!(
        (start.user.as_str(), stop.user.as_str()),
        ("alice", "alice")
    );
    assert_eq!(start.arg("task_id"), stop.arg("task_id"));
    assert!(start.arg("task_id").is_some_and(|id| !id.is_empty()));
    assert_eq!(start.arg("service"), Some("shell"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let began: u64 = start.arg("start_time").unwrap_or_default().parse()?;
    assert!(
        began <= now && now - began < 60,
        "start_time {began}, now {now}"
    );
    let elapsed: u64 = stop.arg("elapsed_time").unwrap_or_default().parse()?;
    assert!(elapsed < 60, "elapsed_time {elapsed}");
    assert!(stop.arg("stop_time").unwrap_or_default().parse::<u64>()? >= began);
    Ok(())
}
