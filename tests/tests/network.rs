//! Where the host's packets come from and go to.

use e2e::scene::{self, LOCAL_PASSWORD, PASSWORD};
use e2e::{Result, Script, Step};

#[test]
fn a_server_is_reached_over_ipv6_from_a_given_source_address() -> Result {
    let stage = scene::host(&["[2001:db8::49]:49"], "source_ip = 2001:db8::7")
        .address("2001:db8::49".parse()?)
        .address("2001:db8::7".parse()?)
        .start()?;
    let peer = stage.peer("[2001:db8::49]:49", &Script::authen([Step::pass()]))?;

    let login = stage
        .ssh("alice")
        .host("::1")
        .password(PASSWORD, "whoami")?;

    assert_eq!(login.stdout, "alice\n", "{login}{}", stage.logs());
    peer.wait_for("acct", 2)?;
    assert!(
        peer.all()?.iter().all(|seen| seen.from == "2001:db8::7"),
        "{:?}",
        peer.all()?
    );
    assert_eq!(peer.seen("start")?[0].rem_addr, "::1");
    Ok(())
}

#[test]
fn every_exchange_comes_from_the_ipv4_source_address() -> Result {
    let stage = scene::host(&["127.0.0.1:49"], "source_ip = 192.0.2.7")
        .address("192.0.2.7".parse()?)
        .start()?;
    let peer = stage.peer("127.0.0.1:49", &Script::authen([Step::pass()]))?;

    let login = stage.ssh("alice").password(PASSWORD, "whoami")?;

    assert_eq!(login.stdout, "alice\n", "{login}{}", stage.logs());
    peer.wait_for("acct", 2)?;
    assert!(
        peer.all()?.iter().all(|seen| seen.from == "192.0.2.7"),
        "{:?}",
        peer.all()?
    );
    Ok(())
}

#[test]
fn an_unbindable_source_address_is_an_error_and_not_another_address() -> Result {
    let stage = scene::host(&["127.0.0.1:49"], "source_ip = 192.0.2.8").start()?;
    let peer = stage.peer("127.0.0.1:49", &Script::authen([Step::pass()]))?;

    let login = stage.ssh("alice").password(PASSWORD, "whoami")?;

    assert_eq!(login.stdout, "", "{login}");
    assert_eq!(peer.all()?, []);
    Ok(())
}

#[test]
fn a_unix_socket_of_root_is_a_server() -> Result {
    let stage = scene::host(&["unix:/run/tacacs.sock"], "").start()?;
    let peer = stage.peer("unix:/run/tacacs.sock", &Script::authen([Step::pass()]))?;

    let login = stage.ssh("alice").password(PASSWORD, "whoami")?;

    assert_eq!(login.stdout, "alice\n", "{login}{}", stage.logs());
    peer.wait_for("acct", 2)?;
    Ok(())
}

#[test]
fn a_unix_socket_of_somebody_else_is_told_nothing() -> Result {
    let stage = scene::host(&["unix:/home/bob/tacacs.sock"], scene::IGNORE).start()?;
    let path = "unix:/home/bob/tacacs.sock";
    let peer = stage.peer_owned_by("bob", path, &Script::authen([Step::pass()]))?;

    let login = stage.ssh("alice").password(PASSWORD, "whoami")?;
    assert_eq!(login.stdout, "", "{login}{}", stage.logs());
    let login = stage.ssh("alice").password(LOCAL_PASSWORD, "whoami")?;
    assert_eq!(
        login.stdout,
        "alice\n",
        "as if no server answered: {login}{}",
        stage.logs()
    );

    for kind in ["start", "continue", "author", "acct", "malformed"] {
        assert_eq!(peer.seen(kind)?, []);
    }
    Ok(())
}

#[test]
fn packets_leave_by_the_vrf_device_or_not_at_all() -> Result {
    for (device, said) in [
        ("lo", ""),
        ("mgmt", "server s1"),
        ("no-such-vrf", "server s1: vrf: No such device"),
    ] {
        let conf = format!("vrf = {device}\ntimeout = 1");
        let stage = scene::host(&["127.0.0.1:49"], &conf).start()?;
        stage
            .sh("ip link add mgmt type veth peer name far && ip link set mgmt up")?
            .success()?;
        let peer = stage.peer("127.0.0.1:49", &Script::authen([Step::pass()]))?;

        let login = stage.ssh("alice").password(PASSWORD, "whoami")?;

        let gets_in = said.is_empty();
        let logs = stage.logs().to_string();
        assert_eq!(login.stdout == "alice\n", gets_in, "{login}{logs}");
        assert_eq!(peer.all()?.is_empty(), !gets_in, "{device}");
        assert!(logs.contains(said), "{logs}");
    }
    Ok(())
}
