//! Who is none of the servers' business: root, excluded and system users. They
//! get in by the host's own rules, whatever the servers or their configuration.

use e2e::scene::{self, LOCAL_PASSWORD, PASSWORD};
use e2e::stage::SSHD_STACK;
use e2e::{Result, Script, Step};

const SERVER: &str = "127.0.0.1:49";

#[test]
fn no_server_is_asked_about_root_or_an_excluded_or_a_system_user() -> Result {
    let stage = scene::host(&[SERVER], "exclude_users = bob")
        .user_with_password("backup-agent", 300, LOCAL_PASSWORD)
        .start()?;
    stage.set_password("root", LOCAL_PASSWORD)?;
    let peer = stage.peer(SERVER, &Script::authen([Step::pass()]))?;

    for user in ["root", "bob", "backup-agent"] {
        let login = stage.ssh(user).password(LOCAL_PASSWORD, "whoami")?;
        assert_eq!(login.stdout, format!("{user}\n"), "{login}{}", stage.logs());
        let login = stage.ssh(user).password(PASSWORD, "whoami")?;
        assert_eq!((login.code, login.stdout.as_str()), (255, ""), "{login}");
    }

    assert_eq!(peer.all()?, []);
    Ok(())
}

#[test]
fn a_broken_configuration_never_locks_root_out_and_names_the_line() -> Result {
    let stage = scene::host(&[SERVER], "tiemout = 5").start()?;
    stage.set_password("root", LOCAL_PASSWORD)?;
    let peer = stage.peer(SERVER, &Script::authen([Step::pass()]))?;

    let root = stage.ssh("root").password(LOCAL_PASSWORD, "whoami")?;
    assert_eq!(root.stdout, "root\n", "{root}{}", stage.logs());
    // Nobody else: who may log in can only be said by the configuration.
    for password in [PASSWORD, LOCAL_PASSWORD] {
        let denied = stage.ssh("alice").password(password, "whoami")?;
        assert_eq!((denied.code, denied.stdout.as_str()), (255, ""), "{denied}");
    }

    stage.wait_for_log("tacplus.conf:2: unknown key 'tiemout', did you mean 'timeout'?")?;
    assert_eq!(peer.all()?, []);
    Ok(())
}

#[test]
fn a_broken_configuration_lets_local_users_in_where_every_line_ignores_it() -> Result {
    let patient = SSHD_STACK
        .replace(
            "account  [success=ok",
            "account  [service_err=ignore success=ok",
        )
        .replace(
            "session  required  pam_tacplus.so",
            "session  [success=ok ignore=ignore service_err=ignore default=bad] pam_tacplus.so",
        );
    assert_eq!(patient.matches("service_err=ignore").count(), 3);
    let stage = scene::host(&[SERVER], "tiemout = 5")
        .pam("sshd", &patient)
        .start()?;

    let local = stage.ssh("alice").password(LOCAL_PASSWORD, "whoami")?;
    assert_eq!(local.stdout, "alice\n", "{local}{}", stage.logs());
    let other = stage.ssh("alice").password(PASSWORD, "whoami")?;
    assert_eq!((other.code, other.stdout.as_str()), (255, ""), "{other}");
    Ok(())
}
