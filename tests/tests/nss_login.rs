//! What the NSS module has to do with logins: who is found before one, whose a session
//! is, and what packages do about their own accounts.

use std::time::{Duration, Instant};

use e2e::scene::{self, PASSWORD, STACK};
use e2e::users::{self, uid};
use e2e::{Output, Result, Script, Stage, Step};

const SERVER: &str = "127.0.0.1:49";

/// A host with this mapping, where level 15 means the group `sudo`.
fn host(mapping: &str) -> Result<Stage> {
    let mapping = format!("groups.15 = sudo\n{mapping}");
    users::host(&[SERVER], "", &mapping)
        .pam("su", STACK)
        .start()
}

/// A server that knows everybody, at this level.
fn everybody(level: u8) -> Script {
    Script::authen([Step::pass()]).author([Step::permit(&[&format!("priv-lvl={level}")])])
}

/// Who somebody is in a session, by every way to find out.
const WHO: &str = "whoami; id; pwd; stat -c '%U %G %a' ~; cat /proc/self/loginuid; echo; \
                   touch f; ls -l f | cut -d' ' -f3,4";

fn is_alice(login: &Output, stage: &Stage) {
    let alice = uid("alice");
    let expected = format!(
        "alice\n\
         uid={alice}(alice) gid={alice}(alice) groups={alice}(alice),27(sudo)\n\
         /home/alice\n\
         alice alice 700\n\
         {alice}\n\
         alice alice\n"
    );
    assert_eq!(login.stdout, expected, "{login}{}", stage.logs());
}

#[test]
fn a_user_who_never_was_here_logs_in_by_a_key_that_was_put_in_place() -> Result {
    let stage = host("unknown = authorize")?;
    let peer = stage.peer(SERVER, &everybody(15))?;
    // As an administrator prepares it: the uid is the same on every host.
    let alice = uid("alice");
    let prepare = format!(
        "ssh-keygen -q -t ed25519 -N '' -f /root/key && mkdir -p /home/alice/.ssh && \
         cp /root/key.pub /home/alice/.ssh/authorized_keys && \
         chown -R {alice}:{alice} /home/alice && chmod 700 /home/alice /home/alice/.ssh"
    );
    stage.sh(&prepare)?.success()?;
    for _ in 0..2 {
        let ssh = stage.ssh("alice").option("IdentityFile=/root/key");
        is_alice(&ssh.dialog("publickey", WHO).run()?, &stage);
    }
    assert_eq!(peer.seen("start")?, [], "no password was asked for");
    Ok(())
}

#[test]
fn where_servers_want_to_authenticate_first_a_login_allocates_the_user() -> Result {
    let stage = host("unknown = allocate")?;
    let peer = stage.peer(SERVER, &everybody(15))?;
    // Who only looks gets no answer, and nobody is asked.
    assert_eq!(stage.sh("getent passwd alice; id alice")?.stdout, "");
    assert_eq!(peer.all()?, []);

    is_alice(&stage.ssh("alice").password(PASSWORD, WHO)?, &stage);

    let seen = peer.all()?;
    let first = seen.iter().find(|seen| seen.kind != "connect");
    assert_eq!(
        first.map(|seen| seen.kind.as_str()),
        Some("start"),
        "{seen:?}"
    );
    assert!(stage.sh("id alice")?.stdout.contains("27(sudo)"));
    Ok(())
}

#[test]
fn where_nobody_unknown_is_let_in_nobody_is_asked_about_them() -> Result {
    let stage = host("unknown = never")?;
    let peer = stage.peer(SERVER, &everybody(15))?;
    let login = stage.ssh("alice").password(PASSWORD, "whoami")?;
    assert_eq!((login.code, login.stdout.as_str()), (255, ""), "{login}");
    assert_eq!(peer.seen("author")?, []);

    users::store(&stage, &[users::entry("alice", 15, &[27])])?;
    is_alice(&stage.ssh("alice").password(PASSWORD, WHO)?, &stage);
    Ok(())
}

#[test]
fn a_user_whom_the_server_takes_back_has_the_old_rights_at_once() -> Result {
    let stage = host("unknown = authorize")?;
    let removed = Script::authen([Step::pass()]).author([Step::deny()]);
    for (script, is_user) in [
        (everybody(15), true),
        (removed, false),
        (everybody(15), true),
    ] {
        let _peer = stage.peer(SERVER, &script)?;
        let login = stage.ssh("alice").password(PASSWORD, WHO)?;
        if is_user {
            is_alice(&login, &stage);
        } else {
            assert_eq!((login.code, login.stdout.as_str()), (255, ""), "{login}");
            let shell = stage.sh("getent passwd alice")?.stdout;
            assert!(shell.ends_with("nologin\n"), "{shell}");
        }
    }
    Ok(())
}

#[test]
fn a_user_called_like_a_group_of_the_host_has_none_of_its_rights() -> Result {
    let rule = "%adm ALL=(ALL) NOPASSWD: ALL\n";
    let stage = users::host(&[SERVER], "", "unknown = authorize")
        .pam("sudo", STACK)
        .file("/etc/sudoers.d/adm", 0o440, rule)
        .start()?;
    let _peer = stage.peer(SERVER, &everybody(1))?;
    let login = stage
        .ssh("adm")
        .password(PASSWORD, "id -un; id -gn; sudo -n id -un")?;
    let group = uid("adm");
    assert_eq!(login.stdout, format!("adm\n{group}\n"), "{login}");
    Ok(())
}

#[test]
fn nobody_logs_in_as_another_modules_user() -> Result {
    let stage = host("unknown = authorize")?;
    let _peer = stage.peer(SERVER, &everybody(15))?;
    // As the user of a service with DynamicUser= is one.
    let record = r#"{"userName":"svc","uid":61999,"gid":61999,"disposition":"dynamic"}"#;
    let lines = format!(
        "mkdir -p /etc/userdb && printf '%s' '{record}' >/etc/userdb/svc.user && \
         ln -s svc.user /etc/userdb/61999.user && \
         sed -i 's/^passwd:.*/passwd: files systemd tacplus/' /etc/nsswitch.conf && \
         sed -i '/^account.*pam_unix/d' /etc/pam.d/sshd && \
         getent passwd svc | cut -d: -f1-3"
    );
    let known = stage.sh(&lines)?;
    if !known.stdout.contains(":61999") {
        println!("skipped: no libnss_systemd here that reads /etc/userdb: {known}");
        return Ok(());
    }
    let login = stage.ssh("svc").password(PASSWORD, "id -u")?;
    assert_eq!(
        (login.code, login.stdout.as_str()),
        (255, ""),
        "{login}{}",
        stage.logs()
    );
    Ok(())
}

/// What a package does about its own account, and what comes of it.
const MAINTAINER: &str = "getent passwd NAME >/dev/null || \
     adduser --system --group --no-create-home --home /nonexistent NAME; \
     getent passwd NAME | cut -d: -f1,6; id -Gn NAME; sed -n 's/^NAME:.*/listed/p' /etc/passwd";

#[test]
fn packages_make_their_own_accounts_beside_a_server_that_approves_others() -> Result {
    let stage = host("unknown = authorize")?;
    let _server = stage.tac_plus(&scene::server_conf(), &[])?;
    let alice = stage.sh("getent passwd alice | cut -d: -f1,3,6")?;
    let expected = format!("alice:{}:/home/alice\n", uid("alice"));
    assert_eq!(alice.stdout, expected, "the server is up: {}", stage.logs());
    for name in ["mysql", "_chrony"] {
        let output = stage.sh(&MAINTAINER.replace("NAME", name))?;
        let expected = format!("{name}:/nonexistent\n{name}\nlisted\n");
        assert!(output.stdout.ends_with(&expected), "{output}");
    }
    // And the server's own are still there, with the package's in their way or not.
    assert_eq!(
        stage.sh("getent passwd alice | cut -d: -f1")?.stdout,
        "alice\n"
    );
    let login = stage.ssh("alice").password(PASSWORD, "whoami")?;
    assert_eq!(login.stdout, "alice\n", "{login}{}", stage.logs());
    Ok(())
}

#[test]
fn packages_make_their_own_accounts_whether_servers_are_up_or_down() -> Result {
    let stage = host("unknown = authorize")?;
    for (name, server) in [
        ("refused", Some(Script::authen([]).author([Step::deny()]))),
        ("silent", Some(Script::authen([]).author([Step::Silence]))),
        ("gone", None),
    ] {
        let peer = server
            .map(|script| stage.peer(SERVER, &script))
            .transpose()?;
        let begun = Instant::now();
        let output = stage.sh(&MAINTAINER.replace("NAME", name))?;
        assert!(
            output
                .stdout
                .ends_with(&format!("{name}:/nonexistent\n{name}\nlisted\n")),
            "{output}"
        );
        assert!(
            begun.elapsed() < Duration::from_secs(4),
            "{:?}",
            begun.elapsed()
        );
        // Once it is local, nobody hears of it.
        if let Some(peer) = &peer {
            let before = peer.seen("connect")?;
            stage
                .sh(&format!("getent passwd {name} && id {name}"))?
                .success()?;
            assert_eq!(peer.seen("connect")?, before);
        }
    }
    Ok(())
}
