//! What an open session finds on its host: its record and its environment.

use e2e::scene::{self, PASSWORD, STACK, conf};
use e2e::{Result, Script, Step};

const SERVER: &str = "127.0.0.1:49";

#[test]
fn a_login_has_a_session_record_that_is_closed_when_it_ends() -> Result {
    let stage = scene::host(&[SERVER], "").start()?;
    let peer = stage.peer(SERVER, &Script::authen([Step::pass()]))?;
    let command = "echo $(cat /proc/self/sessionid); \
                   cat /run/tacplus/sessions/$(cat /proc/self/sessionid)";

    let mut sessions = Vec::new();
    for user in ["alice", "bob"] {
        let login = stage.ssh(user).password(PASSWORD, command)?;
        let (id, record) = login.stdout.split_once('\n').ok_or("no session id")?;
        let start = peer.wait_for("acct", sessions.len() * 2 + 2)?;
        let task = start
            .iter()
            .rfind(|seen| seen.user == user)
            .ok_or("no record")?;
        let task_id = format!("task_id={}\n", task.arg("task_id").unwrap_or_default());
        assert!(
            record.contains(&format!("user={user}\n")),
            "{login}{}",
            stage.logs()
        );
        assert!(record.contains("priv_lvl=15\n"), "{record}");
        assert!(record.contains(&task_id), "{record}");
        assert!(!record.contains("closed="), "{record}");
        let file = format!("/run/tacplus/sessions/{id}");
        stage.wait_for_line(&file, "closed=")?;
        sessions.push(id.to_owned());
    }
    assert_ne!(sessions[0], sessions[1]);
    Ok(())
}

#[test]
fn su_within_a_session_leaves_the_sessions_record_alone() -> Result {
    let stage = scene::host(&[SERVER], "").pam("su", STACK).start()?;
    let peer = stage.peer(SERVER, &Script::authen([Step::pass()]))?;
    let record = "cat /run/tacplus/sessions/*";
    let command = format!("{record}; echo BEFORE; su - bob -c whoami; echo AFTER; {record}");

    let dialog = stage.ssh("alice").option("RequestTTY=force");
    let login = dialog
        .dialog("password", &command)
        .all_on_terminal()
        .answer("password:", PASSWORD)
        .answer("Password:", PASSWORD)
        .run()?;

    let (before, rest) = login.stderr.split_once("BEFORE").ok_or("no record")?;
    let (su, after) = rest.split_once("AFTER").ok_or("no record")?;
    assert!(su.contains("bob"), "{login}{}", stage.logs());
    assert!(before.contains("user=alice"), "{login}");
    assert!(
        before.trim().ends_with(after.trim()),
        "the record changed: {login}"
    );
    // Its own START and STOP, with a task of its own.
    let seen = peer.wait_for("acct", 4)?;
    let users: Vec<&str> = seen.iter().map(|seen| seen.user.as_str()).collect();
    assert_eq!(users, ["alice", "bob", "bob", "alice"]);
    assert_eq!(seen[1].arg("task_id"), seen[2].arg("task_id"));
    assert_ne!(seen[0].arg("task_id"), seen[1].arg("task_id"));
    Ok(())
}

#[test]
fn only_listed_attributes_of_the_server_reach_the_environment() -> Result {
    let conf = conf(&[SERVER], "").replace("mode = local", "mode = local\nenv_allow = role");
    let stage = scene::host(&[], "").tacplus_conf(&conf).start()?;
    let rights = [
        "priv-lvl=15",
        "role*operator",
        "LD_PRELOAD*/tmp/evil.so",
        "PATH*/tmp",
    ];
    let script = Script::authen([Step::pass()]).author([Step::permit(&rights)]);
    let peer = stage.peer(SERVER, &script)?;

    let login = stage.ssh("alice").password(PASSWORD, "env")?;

    assert!(
        login.stdout.contains("ROLE=operator\n"),
        "{login}{}",
        stage.logs()
    );
    assert!(!login.stdout.contains("evil"), "{login}");
    assert!(!login.stdout.contains("PATH=/tmp\n"), "{login}");
    assert_eq!(peer.seen("author")?.len(), 1);
    Ok(())
}
