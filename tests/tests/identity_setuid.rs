//! `su` and `sudo`, whose users may stop them and set their limits: nobody else's login
//! waits for them, and what they were made to believe gives nobody any rights.

use std::time::Duration;

use e2e::scene::{PASSWORD, STACK};
use e2e::users::{self, uid};
use e2e::{Output, Peer, Result, Script, Stage, Step};
use tacacs_common::identity::{self, Store};

const SERVER: &str = "127.0.0.1:49";

const LOCK: &str = "/var/lib/tacplus/identity.lock";

/// Alice has logged in at level 15. bob, a local user, may become anybody by `su` and
/// `sudo` whom the account phase lets through.
fn host(global: &str, mapping: &str) -> Result<Stage> {
    let mapping = format!("{mapping}\ngroups.1 = users\ngroups.15 = users sudo\n");
    let stack = format!("auth sufficient pam_permit.so\n{STACK}");
    let stage = users::host(&[SERVER], global, &mapping)
        .pam("su", &stack)
        .pam("sudo", &stack)
        .file("/etc/sudoers.d/all", 0o440, "ALL ALL=(ALL) ALL\n")
        .start()?;
    let _peer = server(&stage, Step::permit(&["priv-lvl=15"]))?;
    stage.ssh("alice").password(PASSWORD, "true")?.success()?;
    stage.sh(&format!("rm {LOCK}"))?.success()?;
    Ok(stage)
}

fn server(stage: &Stage, answer: Step) -> Result<Peer<'_>> {
    stage.peer(SERVER, &Script::authen([Step::pass()]).author([answer]))
}

/// A line of shell that somebody runs.
fn run_by(stage: &Stage, user: &str, line: &str) -> Result<Output> {
    let user = uid_of(stage, user)?;
    let ids = [format!("--reuid={user}"), format!("--regid={user}")];
    let words = [&ids[0], &ids[1], "--clear-groups", "sh", "-c", line];
    stage.run("setpriv", &words)
}

fn uid_of(stage: &Stage, user: &str) -> Result<String> {
    Ok(stage.sh(&format!("id -u {user}"))?.stdout.trim().to_owned())
}

const SU: &str = "su alice -s /bin/sh -c 'echo let in'";

#[test]
fn who_has_unchanged_rights_is_let_through_without_the_stores_lock() -> Result {
    for mapping in ["mode = unique", "mode = shared"] {
        let stage = host("", mapping)?;
        // Long enough ago for a login to write it again.
        let store = Store::open(&stage.path(identity::PATH))?;
        let mut alice = store.by_name(b"alice")?.ok_or("alice is not stored")?;
        alice.learned -= 3600;
        users::store(&stage, &[alice])?;
        stage.sh(&format!("rm {LOCK}"))?.success()?;
        let _peer = server(&stage, Step::permit(&["priv-lvl=15"]))?;
        let entries = stage.read(identity::PATH);
        let su = run_by(&stage, "bob", SU)?;
        assert_eq!(su.stdout, "let in\n", "{su}{}", stage.logs());
        assert_eq!(stage.read(identity::PATH), entries);
        assert!(!stage.path(LOCK).exists());
    }
    Ok(())
}

#[test]
fn changed_rights_are_a_logins_to_store_and_until_then_refused() -> Result {
    let stage = host("", "mode = unique")?;
    let _peer = server(&stage, Step::permit(&["priv-lvl=1"]))?;
    let entries = stage.read(identity::PATH);
    for (user, target, line) in [
        ("bob", "alice", SU),
        ("bob", "carol", "su carol -s /bin/sh -c 'echo let in'"),
        // sudo gives itself root's real uid before it asks.
        ("alice", "alice", "sudo id -un"),
    ] {
        let refused = run_by(&stage, user, line)?;
        assert_eq!(refused.stdout, "", "{refused}{}", stage.logs());
        let is_told = refused.stderr.contains("Log in to this host once");
        // Without a terminal sudo keeps what a module says to itself.
        assert!(is_told || user == "alice", "{refused}{}", stage.logs());
        let program = line.split(' ').next().unwrap_or_default();
        stage.wait_for_log(&format!("({program}:account): the rights of '{target}'"))?;
    }
    assert_eq!(stage.read(identity::PATH), entries);
    assert!(!stage.path(LOCK).exists());

    stage.ssh("alice").password(PASSWORD, "true")?.success()?;
    let su = run_by(&stage, "bob", SU)?;
    assert_eq!(su.stdout, "let in\n", "{su}{}", stage.logs());
    let sudo = run_by(&stage, "alice", "sudo id -un")?;
    assert_eq!(sudo.stdout, "root\n", "{sudo}{}", stage.logs());
    Ok(())
}

#[test]
fn a_stopped_su_keeps_nobodys_first_login_waiting() -> Result {
    let stage = host("", "mode = unique")?;
    let slow = Step::permit(&["priv-lvl=15"]).after(Duration::from_millis(300));
    let peer = server(&stage, slow)?;
    let bob = uid_of(&stage, "bob")?;
    let ids = format!("--reuid={bob} --regid={bob} --clear-groups");
    let words: Vec<&str> = ids.split(' ').collect();
    let su = ["su", "erin", "-s", "/bin/sh", "-c", "echo let in"];
    let mut su = stage.spawn("su", "setpriv", &[words, su.to_vec()].concat())?;
    // Once for the lookup, and once for the account phase.
    peer.wait_for("author", 2)?;
    su.freeze()?;
    for name in ["carol", "dave"] {
        let login = stage.ssh(name).password(PASSWORD, "id -un")?;
        let expected = format!("{name}\n");
        assert_eq!(login.stdout, expected, "{login}{}", stage.logs());
    }
    // What was approved then is nothing to store now.
    su.thaw()?;
    e2e::wait::until("su to end", || (!su.is_running()).then_some(()))?;
    let said = stage.read("/var/log/su.out");
    assert!(said.starts_with("Log in to this host once"), "{said}");
    assert_eq!(stage.sh("tacplus identity show erin")?.code, 1);
    Ok(())
}

/// `sudo su` in a session of bob's login: root starts `su` there, and bob's keys stop it.
#[test]
fn what_sudo_runs_at_a_users_terminal_is_the_users_program_as_well() -> Result {
    let stage = host("", "mode = unique")?;
    let sudoers = "Defaults !authenticate\nALL ALL=(ALL) ALL\n";
    stage.write("/etc/sudoers.d/all", 0o440, sudoers)?;
    let _peer = server(&stage, Step::permit(&["priv-lvl=15"]))?;
    let entries = stage.read(identity::PATH);
    let bob = uid_of(&stage, "bob")?;
    let su = "su carol -s /bin/sh -c 'echo let in'";
    let in_session = format!(
        "echo {bob} >/proc/self/loginuid; \
         exec setpriv --reuid={bob} --regid={bob} --clear-groups sudo {su}"
    );
    let refused = stage.dialog(&["sh", "-c", &in_session]).run()?;
    assert_eq!(refused.stdout, "", "{refused}{}", stage.logs());
    assert!(
        refused.stderr.contains("Log in to this host once"),
        "{refused}{}",
        stage.logs()
    );
    assert_eq!(stage.read(identity::PATH), entries);
    assert!(!stage.path(LOCK).exists());
    // Who is no user's, or has no terminal there, stores what is new.
    let roots = stage.dialog(&["sh", "-c", &format!("exec {su}")]).run()?;
    assert_eq!(roots.stdout, "let in\n", "{roots}{}", stage.logs());
    assert_ne!(stage.read(identity::PATH), entries);
    Ok(())
}

#[test]
fn a_login_that_waits_for_the_lock_in_vain_says_whose_it_is() -> Result {
    let stage = host("", "mode = unique")?;
    let _peer = server(&stage, Step::permit(&["priv-lvl=15"]))?;
    stage.sh(&format!("touch {LOCK} && chmod 600 {LOCK}"))?;
    let mut holder = stage.spawn("flock", "flock", &[LOCK, "sleep", "60"])?;
    e2e::wait::until("the lock to be taken", || {
        let taken = stage.sh(&format!("flock -n {LOCK} true")).ok()?;
        (taken.code != 0).then_some(())
    })?;
    let refused = stage.ssh("carol").password(PASSWORD, "id -un")?;
    assert_eq!(refused.stdout, "", "{refused}{}", stage.logs());
    let line = stage.wait_for_log("is locked by process")?;
    let pid = line
        .split("kill -CONT ")
        .nth(1)
        .and_then(|rest| rest.split('\'').next());
    let name = stage.sh(&format!("cat /proc/{}/comm", pid.unwrap_or_default()))?;
    assert_eq!(name.stdout, "flock\n", "{line}");
    // Who is here already does not need it.
    let login = stage.ssh("alice").password(PASSWORD, "id -un")?;
    assert_eq!(login.stdout, "alice\n", "{login}{}", stage.logs());
    holder.kill()
}

#[test]
fn no_limit_of_its_user_makes_an_outage_of_a_denial() -> Result {
    let stage = host(
        "offline_hours = 24\nhold_down = 0\nunreachable = ignore",
        "mode = unique",
    )?;
    let peer = server(&stage, Step::deny())?;
    for limit in 3..10 {
        let su = run_by(&stage, "bob", &format!("ulimit -n {limit}; exec {SU}"))?;
        assert_eq!(su.stdout, "", "{limit} descriptors: {su}{}", stage.logs());
    }
    assert_ne!(peer.seen("author")?, [], "some of them were enough");
    drop(peer);
    // A real one is.
    let su = run_by(&stage, "bob", SU)?;
    assert_eq!(su.stdout, "let in\n", "{su}{}", stage.logs());
    Ok(())
}

#[test]
fn a_shortage_of_the_host_is_an_outage_for_logins_and_not_for_su() -> Result {
    let stage = host(
        "offline_hours = 24\nhold_down = 0\nunreachable = ignore",
        "mode = unique",
    )?;
    // Without an interface nobody connects to it.
    let broken = stage.read("/etc/tacplus.conf");
    let broken = broken.replace(SERVER, "[fe80::1]:49");
    stage.write("/etc/tacplus.conf", 0o600, &broken)?;
    let su = run_by(&stage, "bob", SU)?;
    assert_eq!(su.stdout, "", "{su}{}", stage.logs());
    stage.wait_for_log("the doing of a user of this host")?;
    let login = stage.ssh("alice").public_key("id -u")?;
    assert_eq!(login.stdout, format!("{}\n", uid("alice")), "{login}");
    Ok(())
}
