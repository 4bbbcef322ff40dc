//! Users that only servers know, through the whole house: what a login stores, what
//! later logins make of it, and who gets in with what.

use std::time::Duration;

use e2e::scene::PASSWORD;
use e2e::users::{self, uid};
use e2e::{Output, Peer, Result, Script, Stage, Step};

const SERVER: &str = "127.0.0.1:49";

const LEVELS: &str = "groups.1 = users\ngroups.15 = users sudo\n";

/// What a session knows about itself.
const WHO: &str = "whoami; id -u; id -Gn; cat /proc/self/loginuid";

const CHANGED: &str = "Your rights on this host have changed, log in again";

/// A host in this mode, with the groups of [`LEVELS`].
fn host(global: &str, mapping: &str) -> Result<Stage> {
    users::host(&[SERVER], global, &format!("{mapping}\n{LEVELS}")).start()
}

/// A server that lets everybody in with these rights.
fn server<'s>(stage: &'s Stage, rights: &[&str]) -> Result<Peer<'s>> {
    let script = Script::authen([Step::pass()]).author([Step::permit(rights)]);
    stage.peer(SERVER, &script)
}

/// A server that lets nobody do anything, with the right password neither.
fn refusing(stage: &Stage) -> Result<Peer<'_>> {
    let script = Script::authen([Step::pass()]).author([Step::deny()]);
    stage.peer(SERVER, &script)
}

fn tacplus(stage: &Stage, words: &[&str]) -> Result<Output> {
    stage.run("tacplus", &[&["identity"], words].concat())
}

/// A field of `tacplus identity show`.
fn shown(stage: &Stage, name: &str, field: &str) -> Result<String> {
    let output = tacplus(stage, &["show", name])?;
    let line = |line: &str| Some(line.strip_prefix(field)?.trim().to_owned());
    let found = output.stdout.lines().find_map(line);
    found.ok_or_else(|| stage.failure(output))
}

fn assert_login(stage: &Stage, login: &Output, expected: &str) {
    assert_eq!(login.stdout.trim_end(), expected, "{login}{}", stage.logs());
}

fn assert_refused(stage: &Stage, login: &Output) {
    assert_eq!(login.stdout, "", "{login}{}", stage.logs());
    assert_ne!(login.code, 0, "{login}{}", stage.logs());
}

#[test]
fn a_first_login_makes_a_user_with_uid_groups_and_home_in_each_of_three_ways() -> Result {
    let stage = host("", "mode = unique")?;
    let peer = server(&stage, &["priv-lvl=15"])?;
    let expected = |name: &str| {
        let uid = uid(name);
        format!("{name}\n{uid}\n{name} sudo users\n{uid}")
    };
    let command = "whoami; id -u; id -Gn | tr ' ' '\\n' | sort | xargs; cat /proc/self/loginuid";

    let alice = stage.ssh("alice").password(PASSWORD, command)?;
    assert_login(&stage, &alice, &expected("alice"));
    let carol = stage.ssh("carol").keyboard_interactive(command);
    let carol = carol.answer("Password:", PASSWORD).run()?;
    assert_login(&stage, &carol, &expected("carol"));
    // A key is in the home folder, so its user has logged in before, or was added.
    assert_eq!(
        tacplus(&stage, &["add", "dave"])?.code,
        0,
        "{}",
        stage.logs()
    );
    stage
        .sh("install -d -o dave -g dave -m 700 ~dave")?
        .success()?;
    let dave = stage.ssh("dave").public_key(command)?;
    assert_login(&stage, &dave, &expected("dave"));

    for name in ["alice", "carol", "dave"] {
        assert_eq!(shown(&stage, name, "uid")?, uid(name).to_string());
        assert_eq!(shown(&stage, name, "state")?, "active");
    }
    let mode = stage.sh("stat -c '%a %U' /home/alice /var/lib/tacplus/identity")?;
    assert_eq!(mode.stdout, "700 alice\n644 root\n");
    let records = peer.wait_for("acct", 6)?;
    for name in ["alice", "carol", "dave"] {
        let own = records.iter().filter(|record| record.user == name);
        assert_eq!(own.count(), 2, "{records:?}");
    }
    Ok(())
}

#[test]
fn a_session_record_names_the_login_also_where_the_account_is_shared() -> Result {
    for (mapping, uid) in [
        ("mode = unique", uid("alice")),
        ("mode = shared", uid("tacacs15")),
    ] {
        let stage = host("", mapping)?;
        let _peer = server(&stage, &["priv-lvl=15"])?;
        let command = "id -u; cat /run/tacplus/sessions/$(cat /proc/self/sessionid)";
        let dialog = stage.ssh("alice").keyboard_interactive(command);
        let login = dialog.answer("Password:", PASSWORD).run()?;
        let expected = format!("{uid}\nuser=alice\npriv_lvl=15\n");
        assert!(
            login.stdout.starts_with(&expected),
            "{login}{}",
            stage.logs()
        );
    }
    Ok(())
}

#[test]
fn a_demotion_takes_a_users_groups_away_at_the_next_login() -> Result {
    let stage = host("", "mode = unique")?;
    let peer = server(&stage, &["priv-lvl=15"])?;
    let login = stage.ssh("alice").password(PASSWORD, WHO)?;
    assert!(login.stdout.contains("sudo"), "{login}{}", stage.logs());
    drop(peer);

    let _peer = server(&stage, &["priv-lvl=1"])?;
    let uid = uid("alice");
    let login = stage.ssh("alice").password(PASSWORD, WHO)?;
    assert_login(&stage, &login, &format!("alice\n{uid}\nalice users\n{uid}"));
    assert_eq!(shown(&stage, "alice", "level")?, "1");
    Ok(())
}

#[test]
fn where_accounts_are_shared_a_demotion_is_refused_once_and_then_holds() -> Result {
    let stage = host("", "mode = shared")?;
    let peer = server(&stage, &["priv-lvl=15"])?;
    let before = uid("tacacs15");
    let login = stage.ssh("alice").password(PASSWORD, "id -u")?;
    assert_login(&stage, &login, &before.to_string());
    drop(peer);

    let _peer = server(&stage, &["priv-lvl=1"])?;
    let refused = stage.ssh("alice").password(PASSWORD, "id -u")?;
    assert_refused(&stage, &refused);
    let dialog = stage.ssh("alice").keyboard_interactive("id -u");
    let after = uid("tacacs1");
    let login = dialog.answer("Password:", PASSWORD).run()?;
    assert_login(&stage, &login, &after.to_string());
    stage.wait_for_log("the rights of 'alice'")?;
    Ok(())
}

#[test]
fn a_login_kept_waiting_at_its_prompt_does_not_outlive_a_demotion() -> Result {
    let stage = host("", "mode = shared")?;
    let peer = server(&stage, &["priv-lvl=15"])?;
    let login = stage.ssh("alice").password(PASSWORD, "id -u")?;
    assert_login(&stage, &login, &uid("tacacs15").to_string());
    drop(peer);

    let _peer = server(&stage, &["priv-lvl=1"])?;
    // sshd has copied the entry of tacacs15 when it asks for the password.
    let slow = |method: &'static str, question: &'static str| {
        let stage = &stage;
        move || {
            let dialog = stage.ssh("alice").dialog(method, "id -u");
            let dialog = dialog.answer_after(question, Duration::from_secs(4), PASSWORD);
            dialog.run()
        }
    };
    let (waited, other) = std::thread::scope(|scope| {
        let waiting = [
            scope.spawn(slow("password", "password:")),
            scope.spawn(slow("keyboard-interactive", "Password:")),
        ];
        let connections = |log: &str| log.matches("Connection from").count();
        let other = e2e::wait::until("the slow logins", || {
            (connections(&stage.syslog()) >= 3).then_some(())
        })
        .and_then(|()| stage.ssh("alice").password(PASSWORD, "id -u"));
        let waited = waiting.map(|login| login.join().unwrap_or_else(|_| Err("panicked".into())));
        (waited, other)
    });
    assert_refused(&stage, &other?);
    assert_eq!(shown(&stage, "alice", "uid")?, uid("tacacs1").to_string());
    for login in waited {
        assert_refused(&stage, &login?);
    }
    let login = stage.ssh("alice").password(PASSWORD, "id -u")?;
    assert_login(&stage, &login, &uid("tacacs1").to_string());
    Ok(())
}

#[test]
fn who_has_to_log_in_again_is_told_so() -> Result {
    let stage = host("", "mode = shared")?;
    let peer = server(&stage, &["priv-lvl=15"])?;
    assert_eq!(stage.ssh("alice").password(PASSWORD, "id -u")?.code, 0);
    drop(peer);
    let _peer = server(&stage, &["priv-lvl=1"])?;
    // As a banner, which ssh shows unless it is told to be quiet.
    let ssh = "ssh -F none -o StrictHostKeyChecking=no -o PreferredAuthentications=password \
               -o NumberOfPasswordPrompts=1 alice@127.0.0.1 id -u";
    let words: Vec<&str> = ssh.split_whitespace().collect();
    let refused = stage.dialog(&words).answer("password:", PASSWORD).run()?;
    assert_refused(&stage, &refused);
    assert!(
        refused.stderr.contains(CHANGED),
        "{refused}{}",
        stage.logs()
    );
    Ok(())
}

#[test]
fn a_user_removed_on_the_server_cannot_log_in_and_files_keep_the_owner() -> Result {
    let stage = host("offline_hours = 24\nunreachable = ignore", "mode = unique")?;
    let peer = server(&stage, &["priv-lvl=15"])?;
    let login = stage.ssh("alice").password(PASSWORD, "touch kept; id -u")?;
    assert_login(&stage, &login, &uid("alice").to_string());
    drop(peer);

    let peer = refusing(&stage)?;
    assert_refused(&stage, &stage.ssh("alice").public_key("id -u")?);
    assert_eq!(shown(&stage, "alice", "state")?, "disabled");
    let known = stage
        .sh("stat -c '%U %G' /home/alice/kept; getent passwd alice | cut -d: -f7; id -Gn alice")?;
    assert_eq!(known.stdout, "alice alice\n/usr/sbin/nologin\nalice\n");
    drop(peer);

    // Nothing stands in for a server once one has refused.
    assert_refused(&stage, &stage.ssh("alice").public_key("id -u")?);
    // The uid is nobody else's, now and when she is forgotten.
    let _peer = server(&stage, &["priv-lvl=15"])?;
    let uid = uid("alice").to_string();
    for _ in 0..2 {
        let taken = tacplus(&stage, &["add", "mallory", "--uid", &uid])?;
        assert!(
            taken.code == 1 && taken.stderr.contains("that of 'alice'"),
            "{taken}"
        );
        let _ = tacplus(&stage, &["forget", "alice"])?;
    }
    let login = stage.ssh("alice").password(PASSWORD, "stat -c %U kept")?;
    assert_login(&stage, &login, "alice");
    Ok(())
}

#[test]
fn a_stored_approval_lets_a_key_in_while_no_server_answers() -> Result {
    let stage = host(
        "offline_hours = 1\nhold_down = 0\nunreachable = ignore",
        "mode = unique",
    )?;
    let peer = server(&stage, &["priv-lvl=15"])?;
    assert_eq!(
        stage.ssh("alice").password(PASSWORD, "true")?.code,
        0,
        "{}",
        stage.logs()
    );
    drop(peer);
    let login = stage.ssh("alice").public_key("whoami")?;
    assert_login(&stage, &login, "alice");
    // A password is a server's to judge.
    assert_refused(&stage, &stage.ssh("alice").password(PASSWORD, "whoami")?);
    // So is a user whom nobody knows.
    assert_refused(&stage, &stage.ssh("erin").password(PASSWORD, "whoami")?);
    Ok(())
}

#[test]
fn a_full_disk_keeps_out_nobody_whose_rights_are_as_they_were() -> Result {
    let stage = host("", "mode = unique")?;
    let peer = server(&stage, &["priv-lvl=15"])?;
    let small = "mount -t tmpfs -o size=16k,mode=0755 small /var/lib/tacplus";
    stage.sh(small)?.success()?;
    assert_eq!(
        stage.ssh("alice").password(PASSWORD, "true")?.code,
        0,
        "{}",
        stage.logs()
    );
    let before = stage.read("/var/lib/tacplus/identity");
    // Whatever is left of the file system.
    let fill = stage.sh("cat /dev/zero >/var/lib/tacplus/filler 2>/dev/null")?;
    assert_ne!(fill.code, 0);

    let login = stage.ssh("alice").password(PASSWORD, "whoami")?;
    assert_login(&stage, &login, "alice");
    // Who cannot be stored does not get in, and is not known afterwards.
    assert_refused(&stage, &stage.ssh("carol").password(PASSWORD, "whoami")?);
    stage.wait_for_log("account of 'carol'")?;
    drop(peer);
    // Nor does a demoted user, who would keep the old groups.
    let _peer = server(&stage, &["priv-lvl=1"])?;
    assert_refused(&stage, &stage.ssh("alice").password(PASSWORD, "whoami")?);
    assert_eq!(stage.read("/var/lib/tacplus/identity"), before);
    let left = stage.sh("ls -A /var/lib/tacplus")?;
    assert_eq!(left.stdout, "filler\nidentity\nidentity.lock\n");

    stage.sh("rm /var/lib/tacplus/filler")?.success()?;
    let login = stage.ssh("alice").password(PASSWORD, "id -Gn")?;
    assert_login(&stage, &login, "alice users");
    Ok(())
}

#[test]
fn a_store_that_is_not_to_be_trusted_lets_nobody_in_and_is_left_alone() -> Result {
    let stage = host("", "mode = unique")?;
    let _peer = server(&stage, &["priv-lvl=15"])?;
    assert_eq!(
        stage.ssh("alice").password(PASSWORD, "true")?.code,
        0,
        "{}",
        stage.logs()
    );
    let store = "/var/lib/tacplus/identity";
    for (spoil, mend) in [
        (format!("chown bob {store}"), format!("chown root {store}")),
        (format!("chmod o+w {store}"), format!("chmod o-w {store}")),
        (
            format!("mv {store} {store}.real && ln -s {store}.real {store}"),
            format!("mv {store}.real {store}"),
        ),
        (
            format!("cp {store} {store}.real && truncate -s -1 {store}"),
            format!("mv {store}.real {store}"),
        ),
        (
            format!("mv {store} {store}.real && truncate -s 1T {store}"),
            format!("mv {store}.real {store}"),
        ),
        (
            format!("mv {store} {store}.real && mkfifo {store}"),
            format!("mv {store}.real {store}"),
        ),
    ] {
        stage.sh(&spoil)?.success()?;
        let state = format!("stat -c '%F %a %U %s' {store}");
        let before = stage.sh(&state)?.stdout;
        assert_refused(&stage, &stage.ssh("alice").password(PASSWORD, "whoami")?);
        assert_eq!(stage.sh(&state)?.stdout, before, "{spoil}");
        stage.sh(&mend)?.success()?;
    }
    let login = stage.ssh("alice").password(PASSWORD, "whoami")?;
    assert_login(&stage, &login, "alice");
    Ok(())
}
