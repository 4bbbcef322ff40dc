//! How long a session may last, and be idle, where a server says so: pam_systemd is told, or
//! the login is denied. A program of the tests' own stands in for pam_systemd, which takes
//! a whole systemd; it reads what that one reads.

use e2e::scene::{PASSWORD, STACK};
use e2e::{Peer, Result, Script, Stage, Step, artefacts, scene, stage};

const SERVER: &str = "127.0.0.1:49";

const SYSTEMD: &str = "session  required  pam_systemd.so\n";

/// A host that systemd runs on, if it has to be believed.
fn host(sshd: &str, mapping: &str) -> Result<Stage> {
    let conf = scene::conf(&[SERVER], "unreachable = deny");
    let conf = conf.replace("mode = local\n", &format!("mode = local\n{mapping}\n"));
    let stage = scene::host(&[SERVER], "")
        .tacplus_conf(&conf)
        .pam("sshd", sshd)
        .pam("su", &format!("auth sufficient pam_permit.so\n{STACK}"))
        .start()?;
    let source = artefacts::workspace().join("tests/src/pam_systemd.c");
    let line = format!(
        "mkdir -p /run/systemd/system /run/systemd/seats && gcc -Wall -Wextra -Werror -shared -fPIC \
         -o /lib/x86_64-linux-gnu/security/pam_systemd.so {} -lpam",
        source.display()
    );
    stage.sh(&line)?.success()?;
    Ok(stage)
}

fn server<'s>(stage: &'s Stage, answer: &[&str]) -> Result<Peer<'s>> {
    let script = Script::authen([Step::pass()]).author([Step::permit(answer)]);
    stage.peer(SERVER, &script)
}

#[test]
fn a_session_lasts_as_long_as_the_server_says_whichever_way_the_login_goes() -> Result {
    let stage = host(&format!("{}{SYSTEMD}", stage::SSHD_STACK), "")?;
    let _peer = server(&stage, &["priv-lvl=1", "timeout=30"])?;
    let env = "env; echo in";
    let logins = [
        stage.ssh("alice").password(PASSWORD, env)?,
        // Whose account phase sshd answers in a process of its own.
        stage
            .ssh("alice")
            .keyboard_interactive(env)
            .answer("assword:", PASSWORD)
            .run()?,
        stage.ssh("alice").public_key(env)?,
    ];
    for login in &logins {
        let said = &login.stdout;
        assert!(said.ends_with("in\n"), "{login}{}", stage.logs());
        assert!(!said.contains("TACPLUS"), "{login}");
    }
    let log = stage.syslog();
    let told = log.matches("the session may last 1800").count();
    assert_eq!(told, logins.len(), "{log}");
    Ok(())
}

#[test]
fn a_limit_that_nobody_would_see_to_denies_and_the_denial_names_the_key() -> Result {
    let behind = format!("{}{SYSTEMD}", stage::SSHD_STACK);
    let before = stage::SSHD_STACK.replace(
        "session  required  pam_tacplus.so\n",
        &format!("{SYSTEMD}session  required  pam_tacplus.so\n"),
    );
    for (stack, spoil, limit, why) in [
        (
            behind.as_str(),
            "rm -r /run/systemd",
            "timeout=30",
            "does not run here",
        ),
        (stage::SSHD_STACK, "true", "timeout=30", "asks pam_systemd"),
        (before.as_str(), "true", "timeout=30", "asks pam_systemd"),
        (
            behind.as_str(),
            "true",
            "idletime=10",
            "nothing on this host ends an idle session",
        ),
    ] {
        let stage = host(stack, "")?;
        let _peer = server(&stage, &["priv-lvl=1", limit])?;
        stage.sh(spoil)?.success()?;
        let login = stage.ssh("alice").password(PASSWORD, "echo in")?;
        assert_eq!(login.stdout, "", "{why}: {login}{}", stage.logs());
        let line = stage.wait_for_log(why)?;
        assert!(line.ends_with("list it in [mapping] handled"), "{line}");

        let conf = stage.read("/etc/tacplus.conf");
        let handled = "mode = local\nhandled = timeout idletime\n";
        let conf = conf.replace("mode = local\n", handled);
        stage.write("/etc/tacplus.conf", 0o600, &conf)?;
        let login = stage.ssh("alice").password(PASSWORD, "echo in")?;
        assert_eq!(login.stdout, "in\n", "{why}: {login}{}", stage.logs());
    }
    Ok(())
}

#[test]
fn su_is_refused_where_a_limit_of_its_session_is_mandatory() -> Result {
    let stage = host(stage::SSHD_STACK, "")?;
    let su = "su alice -c 'echo in'";
    for (limit, said) in [("timeout=30", ""), ("timeout*30", "in\n")] {
        let _peer = server(&stage, &["priv-lvl=1", limit])?;
        let ended = stage.dialog(&["sh", "-c", su]).run()?;
        assert_eq!(ended.stdout, said, "{limit}: {ended}{}", stage.logs());
    }
    Ok(())
}
