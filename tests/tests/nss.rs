//! Users that are in no file of the host: what `getent`, `id`, `ls` and the login
//! programs make of them, and what a server hears of it.

use e2e::scene::{LOCAL_PASSWORD, STACK};
use e2e::users::{self, entry, uid};
use e2e::{Result, Script, Stage, Step};

const SERVER: &str = "127.0.0.1:49";

/// A stored user at level 15, who has the group `sudo`.
fn stored(stage: &Stage) -> Result {
    users::store(stage, &[entry("alice", 15, &[27])])
}

fn said(stage: &Stage, line: &str) -> Result<String> {
    let output = stage.sh(line)?;
    Ok(format!(
        "{}{}{}",
        output.stdout,
        output.stderr,
        match output.code {
            0 => String::new(),
            code => format!("exit code {code}\n"),
        }
    ))
}

#[test]
fn a_stored_user_is_known_to_every_program_and_no_server_hears_of_it() -> Result {
    let stage = users::host(&[SERVER], "", "mode = unique").start()?;
    let peer = stage.peer(SERVER, &Script::authen([Step::pass()]))?;
    stored(&stage)?;
    let alice = uid("alice");

    for as_bob in ["", "setpriv --reuid=bob --regid=bob --clear-groups "] {
        assert_eq!(
            said(&stage, &format!("{as_bob}getent passwd alice"))?,
            format!("alice:*:{alice}:{alice}::/home/alice:/bin/bash\n")
        );
        assert_eq!(
            said(&stage, &format!("{as_bob}getent passwd {alice}"))?,
            format!("alice:*:{alice}:{alice}::/home/alice:/bin/bash\n")
        );
        assert_eq!(
            said(&stage, &format!("{as_bob}getent group alice {alice}"))?,
            format!("alice:*:{alice}:\n").repeat(2)
        );
        assert_eq!(
            said(&stage, &format!("{as_bob}id alice"))?,
            format!("uid={alice}(alice) gid={alice}(alice) groups={alice}(alice),27(sudo)\n")
        );
        assert_eq!(
            said(&stage, &format!("{as_bob}getent initgroups alice"))?,
            "alice                 27\n"
        );
    }
    assert_eq!(
        said(
            &stage,
            "touch /home/file && chown alice:alice /home/file && stat -c '%U %G %u' /home/file && ls -l /home/file | cut -d' ' -f3,4"
        )?,
        format!("alice alice {alice}\nalice alice\n")
    );
    assert_eq!(
        said(
            &stage,
            "getent passwd | tail -n 1; getent group | tail -n 1"
        )?,
        format!("alice:*:{alice}:{alice}::/home/alice:/bin/bash\nalice:*:{alice}:\n")
    );
    assert_eq!(peer.all()?, []);
    Ok(())
}

#[test]
fn a_user_of_the_server_who_is_not_stored_is_known_to_roots_programs_alone() -> Result {
    let mapping = "mode = unique\nunknown = authorize\ngroups.15 = sudo\n";
    let stage = users::host(&[SERVER], "", mapping).start()?;
    let script = Script::authen([Step::pass()]).author([Step::permit(&["priv-lvl=15"])]);
    let peer = stage.peer(SERVER, &script)?;
    let carol = uid("carol");

    assert_eq!(
        said(&stage, "getent passwd carol")?,
        format!("carol:*:{carol}:{carol}::/home/carol:/bin/bash\n")
    );
    assert_eq!(
        said(&stage, "id carol")?,
        format!("uid={carol}(carol) gid={carol}(carol) groups={carol}(carol),27(sudo)\n")
    );
    let asked = peer.seen("author")?;
    assert_eq!(asked.len(), 2, "one question of each program: {asked:?}");
    for question in asked {
        assert_eq!(question.user, "carol");
        assert_eq!(question.args, ["service=shell", "cmd="]);
        assert_eq!(question.priv_lvl, 1);
        assert_eq!(
            (question.method.as_str(), question.rem_addr.as_str()),
            ("NONE", "")
        );
    }

    let before = peer.seen("connect")?;
    for line in [
        "setpriv --reuid=bob --regid=bob --clear-groups getent passwd carol",
        "setpriv --reuid=bob --regid=bob --clear-groups id carol",
        "perl -e 'print getpwnam(\"carol\")'",
        "ls -l ~carol",
        "chown carol /home",
    ] {
        let output = stage.sh(line)?;
        assert_eq!(output.stdout, "", "{line}: {output}");
    }
    for local in ["root", "bob", "daemon", "nobody"] {
        assert_eq!(
            said(
                &stage,
                &format!("id {local} >/dev/null; getent passwd {local} >/dev/null")
            )?,
            ""
        );
    }
    for nobody in [
        "'*'",
        "-- -rf",
        "a:b",
        "12345",
        "Carol",
        "pam_unix_non_existent:",
        "c/d",
        "''",
    ] {
        assert_eq!(
            said(&stage, &format!("getent passwd {nobody}"))?,
            "exit code 2\n",
            "{nobody}"
        );
    }
    assert_eq!(peer.seen("connect")?, before);
    Ok(())
}

#[test]
fn no_server_hears_of_local_users_whatever_they_do() -> Result {
    let stage = users::host(&[SERVER], "", "mode = unique\nunknown = authorize")
        .pam("su", &format!("auth sufficient pam_rootok.so\n{STACK}"))
        .pam("sudo", STACK)
        .pam("cron", STACK)
        .file("/etc/sudoers", 0o440, "bob ALL=(ALL) NOPASSWD: ALL\n")
        .start()?;
    stage.set_password("root", LOCAL_PASSWORD)?;
    let script = Script::authen([Step::pass()]).author([Step::permit(&["priv-lvl=15"])]);
    let peer = stage.peer(SERVER, &script)?;

    let line = "id; sudo -n id; sudo -n su - bob -c id; sudo -n getent initgroups bob";
    for user in ["bob", "root"] {
        let login = stage.ssh(user).password(LOCAL_PASSWORD, line)?;
        assert!(login.stdout.contains(&format!("({user})")), "{login}");
    }
    stage.sh("id bob; id daemon; su bob -c id; getent passwd; getent group; getent shadow bob")?;
    stage.sh("rm -f /run/crond.reboot; echo '@reboot id >/tmp/job' | crontab -u bob -")?;
    let _cron = stage.spawn("cron", "cron", &["-f"])?;
    stage.wait_for_line("/tmp/job", "uid=2002(bob)")?;
    assert_eq!(peer.all()?, []);
    Ok(())
}
