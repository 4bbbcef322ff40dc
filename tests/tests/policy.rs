//! What an outage means for whom, with real `sshd`, `su` and `sudo`; and what somebody on the
//! way to a plain server can do to an account.

use e2e::scene::{self, LOCAL_PASSWORD, PASSWORD, STACK, records};
use e2e::stage::Builder;
use e2e::users::{self, uid};
use e2e::{Forged, Output, Result, Script, Stage, Step};

const SERVER: &str = "127.0.0.1:49";

/// alice, bob and carol of the host, with `su` and `sudo` for alice and bob.
fn host(global: &str) -> Builder {
    scene::host(&[SERVER], &format!("timeout = 2\n{global}"))
        .pam("su", STACK)
        .pam("sudo", STACK)
        .file(
            "/etc/sudoers.d/all",
            0o440,
            "Defaults passwd_tries=1\nalice,bob,carol ALL=(ALL) ALL\n",
        )
}

fn su(stage: &Stage, user: &str) -> Result<Output> {
    let su = stage.dialog(&["su", "-", user, "-c", "whoami"]);
    su.as_user("carol")
        .answer("Password:", LOCAL_PASSWORD)
        .run()
}

fn sudo(stage: &Stage, user: &str) -> Result<Output> {
    let sudo = stage.dialog(&["sudo", "whoami"]).as_user(user);
    sudo.answer("assword", LOCAL_PASSWORD).run()
}

/// Every way in with what the host knows of a user.
fn each_way(stage: &Stage, user: &str) -> Result<Vec<(&'static str, Output)>> {
    let dialog = stage.ssh(user).keyboard_interactive("whoami");
    Ok(vec![
        (
            "password",
            stage.ssh(user).password(LOCAL_PASSWORD, "whoami")?,
        ),
        (
            "dialogue",
            dialog.answer("Password:", LOCAL_PASSWORD).run()?,
        ),
        ("key", stage.ssh(user).public_key("whoami")?),
        ("su", su(stage, user)?),
        ("sudo", sudo(stage, user)?),
    ])
}

#[test]
fn without_a_word_in_the_configuration_an_outage_lets_nobody_in_but_root() -> Result {
    let stage = host("").start()?;
    stage.set_password("root", LOCAL_PASSWORD)?;
    for (way, output) in each_way(&stage, "alice")? {
        assert_eq!(output.stdout, "", "{way}: {output}{}", stage.logs());
    }
    stage.wait_for_log("fallback_users does not name the user")?;
    let root = stage.ssh("root").password(LOCAL_PASSWORD, "whoami")?;
    assert_eq!(root.stdout, "root\n", "{root}{}", stage.logs());
    Ok(())
}

#[test]
fn in_an_outage_who_is_named_gets_in_in_every_way_and_nobody_else_in_any() -> Result {
    // carol has bob's group for her primary one, and is no member of it.
    let stage = host("fallback_users = @oncall @bob").start()?;
    stage
        .sh("groupadd oncall && gpasswd -a alice oncall && usermod -g bob carol")?
        .success()?;
    for (way, output) in each_way(&stage, "alice")? {
        let expected = if way == "sudo" { "root\n" } else { "alice\n" };
        assert_eq!(output.stdout, expected, "{way}: {output}{}", stage.logs());
    }
    stage.wait_for_log(
        "session of 'alice' opened by fallback_users: no server is known to have approved it (authen_method LOCAL)",
    )?;
    for user in ["bob", "carol"] {
        stage.set_password(user, LOCAL_PASSWORD)?;
        for (way, output) in each_way(&stage, user)? {
            assert_eq!(output.stdout, "", "{user}, {way}: {output}{}", stage.logs());
        }
    }
    // A wrong password is the host's to refuse.
    let wrong = stage.ssh("alice").password(PASSWORD, "whoami")?;
    assert_eq!(wrong.stdout, "", "{wrong}{}", stage.logs());

    let peer = stage.peer(SERVER, &Script::authen([Step::pass()]))?;
    let login = stage.ssh("bob").password(PASSWORD, "whoami")?;
    assert_eq!(login.stdout, "bob\n", "{login}{}", stage.logs());
    let seen = peer.wait_for("acct", 10)?;
    let starts = records(&seen, "START");
    let of_alice: Vec<&str> = starts
        .iter()
        .filter(|start| start.user == "alice")
        .map(|start| start.method.as_str())
        .collect();
    // By ssh and su; in sudo the session is root's.
    assert_eq!(of_alice, ["LOCAL"; 4], "{}", stage.logs());
    Ok(())
}

#[test]
fn a_group_that_a_server_gives_names_nobody() -> Result {
    // The server makes alice a member; /etc/group does not list her.
    let global = "fallback_users = @oncall\nhold_down = 0";
    let stage = users::host(&[SERVER], global, "mode = unique\ngroups.15 = oncall").start()?;
    stage.sh("groupadd oncall")?.success()?;
    let peer = stage.peer(SERVER, &Script::authen([Step::pass()]))?;
    let login = stage.ssh("alice").password(PASSWORD, "id -Gn")?;
    assert_eq!(login.stdout, "alice oncall\n", "{login}{}", stage.logs());
    drop(peer);
    let refused = stage.ssh("alice").public_key("whoami")?;
    assert_eq!(refused.stdout, "", "{refused}{}", stage.logs());

    // Her key is enough once the host itself lists her.
    stage
        .sh("sed -i 's/^oncall:.*/&alice/' /etc/group")?
        .success()?;
    let login = stage.ssh("alice").public_key("whoami")?;
    assert_eq!(login.stdout, "alice\n", "{login}{}", stage.logs());
    // A password would be a server's to judge.
    let refused = stage.ssh("alice").password(PASSWORD, "whoami")?;
    assert_eq!(refused.stdout, "", "{refused}{}", stage.logs());
    Ok(())
}

#[test]
fn a_forged_fail_costs_one_login_and_no_file_uid_or_home() -> Result {
    const FAIL: u8 = 0x10;
    let mapping = "mode = unique\ngroups.15 = sudo";
    for by_key in [true, false] {
        let stage = users::host(&[SERVER], "hold_down = 0", mapping).start()?;
        let log_in = |line: &str| {
            let ssh = stage.ssh("alice");
            let output = if by_key {
                ssh.public_key(line)
            } else {
                ssh.password(PASSWORD, line)
            };
            output.map(|output| output.stdout)
        };
        let honest = Script::authen([Step::pass()]);
        let peer = stage.peer(SERVER, &honest)?;
        let first = stage.ssh("alice").password(PASSWORD, "touch kept; id -u")?;
        assert_eq!(
            first.stdout,
            format!("{}\n", uid("alice")),
            "{}",
            stage.logs()
        );
        drop(peer);

        // Somebody on the way, who has no secret, turns the approval into a refusal.
        let forged = Step::permit(&["priv-lvl=15"]).forged(Forged::Status(FAIL));
        let peer = stage.peer(SERVER, &honest.clone().author([forged]))?;
        assert_eq!(log_in("id -u")?, "", "{}", stage.logs());
        stage.wait_for_log("authorization of 'alice' from 127.0.0.1 denied")?;
        drop(peer);
        let state = "tacplus identity show alice | grep '^state'; \
                     stat -c '%U %u' /home/alice /home/alice/kept";
        let alice = uid("alice");
        let kept = stage.sh(state)?.stdout;
        assert!(kept.contains("disabled"), "{kept}");
        assert!(
            kept.ends_with(&format!("alice {alice}\nalice {alice}\n")),
            "{kept}"
        );

        // The next approval brings all of it back, in this very login.
        let _peer = stage.peer(SERVER, &honest)?;
        let again = log_in("id -u; id -Gn; stat -c %U kept; getent passwd alice | cut -d: -f6,7")?;
        let expected = format!("{alice}\nalice sudo\nalice\n/home/alice:/bin/bash\n");
        assert_eq!(again, expected, "{}", stage.logs());
    }
    Ok(())
}

#[test]
fn an_outage_between_password_and_authorization_is_one_too() -> Result {
    let limits = "deadline = 4";
    for (global, expected) in [("", ""), ("fallback_users = alice", "alice\n")] {
        let stage = host(&format!("{limits}\n{global}")).start()?;
        let script = Script::authen([Step::pass()]).author([Step::Silence]);
        let peer = stage.peer(SERVER, &script)?;
        let login = stage.ssh("alice").password(PASSWORD, "whoami")?;
        assert_eq!(login.stdout, expected, "{login}{}", stage.logs());
        if !expected.is_empty() {
            // Her password was a server's to judge, and it did.
            let seen = peer.wait_for("acct", 1)?;
            assert_eq!(seen[0].method, "TACACSPLUS", "{seen:?}");
        }
    }
    Ok(())
}

#[test]
fn check_warns_of_a_host_that_an_outage_would_close_to_everybody() -> Result {
    const LOCKED: &str = "nobody can log in but at the console";
    let stage = host("").start()?;
    // alice has a local password, which counts only if she is named.
    for (change, is_warned) in [
        ("usermod -p '*' root && rm -rf /root/.ssh", true),
        (
            "sed -i 's/^timeout/fallback_users = alice\\n&/' /etc/tacplus.conf",
            false,
        ),
        ("passwd -l alice", true),
        (
            "gpasswd -a bob users && sed -i 's/= alice/= @users/' /etc/tacplus.conf",
            false,
        ),
        ("gpasswd -d bob users", true),
        (
            "mkdir -p /root/.ssh && echo ssh-ed25519 AAAA >/root/.ssh/authorized_keys",
            false,
        ),
    ] {
        stage.sh(change)?.success()?;
        let check = stage.run("tacplus", &["check"])?;
        assert_eq!(check.code, 0, "{check}");
        assert_eq!(
            check.stderr.contains(LOCKED),
            is_warned,
            "{change}: {check}"
        );
    }
    Ok(())
}

#[test]
fn no_password_is_changed_anywhere_in_an_outage() -> Result {
    let stage = host("fallback_users = alice")
        .pam("passwd", STACK)
        .start()?;
    let before = stage.read("/etc/shadow");
    let passwd = stage.dialog(&["passwd"]).as_user("alice").run()?;
    assert_ne!(passwd.code, 0, "{passwd}");
    assert_eq!(stage.read("/etc/shadow"), before);
    stage.wait_for_log("the password is as it was")?;
    Ok(())
}
