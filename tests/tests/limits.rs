//! A setuid program inherits its caller's limits: they end no session half begun,
//! and turn no denial into "no server answers".

use e2e::scene::{self, LOCAL_PASSWORD, PASSWORD, STACK, records};
use e2e::{Result, Script, Step};

const SERVER: &str = "127.0.0.1:49";

#[test]
fn a_caller_who_may_write_no_files_gets_a_session_without_a_record() -> Result {
    let stage = scene::host(&[SERVER], "").pam("su", STACK).start()?;
    let peer = stage.peer(SERVER, &Script::authen([Step::pass()]))?;

    // An audit session of her own in which no login left a record.
    let line = "echo 2001 >/proc/self/loginuid; ulimit -f 0; exec su - alice -c whoami";
    let su = stage.dialog(&["sh", "-c", line]).as_user("alice");
    let su = su.answer("Password:", PASSWORD).run()?;

    assert_eq!(su.stdout, "alice\n", "{su}{}", stage.logs());
    let seen = peer.wait_for("acct", 2)?;
    assert_eq!(records(&seen, "STOP").len(), 1, "{seen:?}");
    stage.wait_for_log("no session record for 'alice'")?;
    let left = stage.sh("ls /run/tacplus/sessions")?;
    assert_eq!(left.stdout, "", "half a record is worse than none");
    Ok(())
}

#[test]
fn no_number_of_descriptors_makes_a_denied_user_local() -> Result {
    // To resolve a name takes more of them than the modules behind ours need.
    let stage = scene::host(&["localhost:49"], scene::IGNORE)
        .pam("su", STACK)
        .start()?;
    let peer = stage.peer(SERVER, &Script::authen([Step::fail()]))?;

    for limit in 5..10 {
        let line = format!("ulimit -n {limit}; exec su - bob -c whoami");
        let su = stage.dialog(&["sh", "-c", &line]).as_user("alice");
        let su = su.answer("Password:", LOCAL_PASSWORD).run()?;
        assert_eq!(su.stdout, "", "{limit} descriptors: {su}{}", stage.logs());
    }
    assert_ne!(peer.seen("start")?, [], "some of them were enough");
    Ok(())
}

#[test]
fn who_uses_up_the_connections_of_the_host_makes_no_denied_user_local() -> Result {
    let stage = scene::host(&[SERVER], scene::IGNORE)
        .pam("su", STACK)
        .start()?;
    let limited = format!("{}limit connections-per-client = 4\n", scene::server_conf());
    let _server = stage.tac_plus(&limited, &[])?;

    let line = "for fd in 5 6 7 8; do eval \"exec $fd<>/dev/tcp/127.0.0.1/49\"; done; \
                exec su - bob -c whoami";
    let su = stage.dialog(&["bash", "-c", line]).as_user("alice");
    let su = su.answer("Password:", LOCAL_PASSWORD).run()?;

    assert_eq!(su.stdout, "", "{su}{}", stage.logs());
    stage.wait_for_log("authentication of 'bob' denied at server")?;
    assert!(stage.logs().contains("has shown no secret or certificate"));
    Ok(())
}
