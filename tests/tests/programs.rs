//! `su`, `sudo` and `passwd`: the other programs that load the module.

use e2e::scene::{self, LOCAL_PASSWORD, PASSWORD, STACK, records};
use e2e::{Result, Script, Step};

const SERVER: &str = "127.0.0.1:49";

#[test]
fn su_asks_for_the_target_users_password_and_accounts_the_session() -> Result {
    let stage = scene::host(&[SERVER], "").pam("su", STACK).start()?;
    let peer = stage.peer(SERVER, &Script::authen([Step::pass()]))?;

    let su = stage
        .dialog(&["su", "-", "bob", "-c", "whoami"])
        .as_user("alice");
    let su = su.answer("Password:", PASSWORD).run()?;

    assert_eq!(su.stdout, "bob\n", "{su}{}", stage.logs());
    assert_eq!(peer.seen("start")?[0].user, "bob");
    assert_eq!(peer.seen("start")?[0].text, PASSWORD);
    let seen = peer.wait_for("acct", 2)?;
    let (starts, stops) = (records(&seen, "START"), records(&seen, "STOP"));
    assert_eq!((starts.len(), stops.len()), (1, 1), "{seen:?}");
    assert_eq!(starts[0].arg("task_id"), stops[0].arg("task_id"));
    Ok(())
}

#[test]
fn su_with_a_wrong_password_stays_who_it_was() -> Result {
    let stage = scene::host(&[SERVER], "").pam("su", STACK).start()?;
    let peer = stage.peer(SERVER, &Script::authen([Step::fail()]))?;

    let su = stage
        .dialog(&["su", "-", "bob", "-c", "whoami"])
        .as_user("alice");
    let su = su.answer("Password:", "wrong").run()?;

    assert_eq!((su.code, su.stdout.as_str()), (1, ""), "{su}");
    assert_eq!(peer.seen("start")?.len(), 1);
    assert_eq!(peer.seen("acct")?, []);
    Ok(())
}

#[test]
fn sudo_asks_the_server_about_the_person_who_calls_it() -> Result {
    let stage = scene::host(&[SERVER], "")
        .pam("sudo", STACK)
        .file("/etc/sudoers.d/alice", 0o440, "alice ALL=(ALL) ALL\n")
        .start()?;
    let peer = stage.peer(SERVER, &Script::authen([Step::pass()]))?;

    let sudo = stage.dialog(&["sudo", "whoami"]).as_user("alice");
    let sudo = sudo.answer("assword", PASSWORD).run()?;

    assert_eq!(sudo.stdout, "root\n", "{sudo}{}", stage.logs());
    let start = &peer.seen("start")?[0];
    assert_eq!(
        (start.user.as_str(), start.text.as_str()),
        ("alice", PASSWORD)
    );
    Ok(())
}

#[test]
fn sudo_refuses_a_person_the_server_denies() -> Result {
    let stage = scene::host(&[SERVER], "")
        .pam("sudo", STACK)
        .file("/etc/sudoers.d/alice", 0o440, "alice ALL=(ALL) ALL\n")
        .start()?;
    let script = Script::authen([Step::pass()]).author([Step::deny()]);
    let peer = stage.peer(SERVER, &script)?;

    let sudo = stage.dialog(&["sudo", "whoami"]).as_user("alice");
    let sudo = sudo.answer("assword", PASSWORD).run()?;

    assert_eq!(
        (sudo.code, sudo.stdout.as_str()),
        (1, ""),
        "{sudo}{}",
        stage.logs()
    );
    assert_eq!(peer.seen("author")?.len(), 1);
    Ok(())
}

#[test]
fn passwd_changes_the_password_on_the_server_in_one_dialogue() -> Result {
    let stage = scene::host(&[SERVER], "").pam("passwd", STACK).start()?;
    // The old password is data, the new one a password (RFC 8907 section 5.4.2).
    let steps = [
        Step::get_data("Old password: "),
        Step::get_pass("New password: "),
        Step::pass(),
    ];
    let peer = stage.peer(SERVER, &Script::authen(steps))?;
    let before = stage.read("/etc/shadow");

    let passwd = stage.dialog(&["passwd"]).as_user("alice");
    let passwd = passwd
        .answer("Old password: ", PASSWORD)
        .answer("New password: ", "a-new-one")
        .answer("Retype new password: ", "a-new-one")
        .run()?;

    assert_eq!(passwd.code, 0, "{passwd}{}", stage.logs());
    let starts = peer.seen("start")?;
    assert_eq!(starts.len(), 1, "one dialogue: {starts:?}");
    assert_eq!(
        (starts[0].action.as_str(), starts[0].user.as_str()),
        ("CHPASS", "alice")
    );
    assert_eq!(starts[0].text, "", "no password in the first packet");
    let sent: Vec<String> = peer
        .seen("continue")?
        .into_iter()
        .map(|seen| seen.text)
        .collect();
    assert_eq!(sent, [PASSWORD, "a-new-one"]);
    assert_eq!(
        stage.read("/etc/shadow"),
        before,
        "the local password is another matter"
    );
    Ok(())
}

#[test]
fn passwd_and_the_projects_own_server_ask_for_each_password_as_often_as_people_expect() -> Result {
    let users = "/etc/tac_plus.users";
    let server = format!(
        "key = {}\npassword change = yes\nuser = alice {{ login = file {users} pap = file {users} \
         service = exec {{ }} }}\n",
        e2e::peer::SECRET
    );
    let stage = scene::host(&[SERVER], "")
        .pam("passwd", STACK)
        .pam("su", STACK)
        .file(users, 0o600, &format!("alice:{}:1:1:::\n", hash(PASSWORD)?))
        .server_conf(&server)
        .start()?;

    let passwd = stage.dialog(&["passwd"]).as_user("alice");
    let passwd = passwd
        .answer("Old password: ", PASSWORD)
        .answer("New password: ", "a-new-one")
        .answer("Retype new password: ", "a-new-one")
        .run()?;
    assert_eq!(passwd.code, 0, "{passwd}{}", stage.logs());
    assert!(!passwd.stdout.contains("again"), "{passwd}");

    for (password, gets_in) in [(PASSWORD, false), ("a-new-one", true)] {
        let su = stage
            .dialog(&["su", "-", "alice", "-c", "whoami"])
            .as_user("bob");
        let su = su.answer("Password:", password).run()?;
        assert_eq!(su.stdout == "alice\n", gets_in, "{su}{}", stage.logs());
    }
    Ok(())
}

/// A password as a server's file has it.
fn hash(password: &str) -> Result<String> {
    let output = std::process::Command::new("openssl")
        .args(["passwd", "-6", password])
        .output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

#[test]
fn an_expired_local_password_is_changed_here_and_not_on_the_server() -> Result {
    let password = "password required  pam_tacplus.so";
    let stack = STACK.replace(
        password,
        "password [success=done ignore=ignore default=die] pam_tacplus.so\n\
         password required pam_unix.so",
    );
    let stage = scene::host(&[SERVER], "").pam("su", &stack).start()?;
    let peer = stage.peer(SERVER, &Script::authen([Step::pass()]))?;
    stage.sh("chage -d 0 bob")?.success()?;

    let su = stage
        .dialog(&["su", "-", "bob", "-c", "whoami"])
        .as_user("alice");
    let su = su
        .answer("Password:", PASSWORD)
        .answer("Current password:", LOCAL_PASSWORD)
        .answer("New password:", "correct-horse-7-battery")
        .answer("Retype new password:", "correct-horse-7-battery")
        .run()?;

    assert!(su.stdout.ends_with("bob\n"), "{su}{}", stage.logs());
    let asked: Vec<String> = peer.seen("start")?.into_iter().map(|s| s.action).collect();
    assert_eq!(asked, ["LOGIN"], "the server's password has not expired");
    Ok(())
}

#[test]
fn passwd_says_so_when_the_server_refuses_or_is_away() -> Result {
    let stage = scene::host(&[SERVER], "").pam("passwd", STACK).start()?;
    let away = stage.dialog(&["passwd"]).as_user("alice").run()?;
    assert_ne!(away.code, 0, "{away}");

    let peer = stage.peer(
        SERVER,
        &Script::authen([Step::get_data("Old: "), Step::fail()]),
    )?;
    let refused = stage
        .dialog(&["passwd"])
        .as_user("alice")
        .answer("Old: ", "wrong")
        .run()?;
    assert_ne!(refused.code, 0, "{refused}");
    assert_eq!(peer.seen("continue")?.len(), 1);
    Ok(())
}
