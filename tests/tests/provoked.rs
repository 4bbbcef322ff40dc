//! Who can open sockets, or let them wait, does not decide that servers are unreachable:
//! the local password of a user whom the server denies is not taken for it.

use std::time::Duration;

use e2e::provoke::{INETD, wait_for_refused_dialogues, waiting_at_the_prompt, without_ports};
use e2e::scene::{self, LOCAL_PASSWORD, PASSWORD, STACK};
use e2e::stage::{Builder, Stage};
use e2e::{Output, Result, Script, Step, users};

const SERVER: &str = "127.0.0.1:49";

/// The old policy, under which an outage lets the local password count.
fn host(server: &str, global: &str) -> Builder {
    scene::host(&[server], &format!("unreachable = ignore\n{global}")).pam("su", STACK)
}

fn su(stage: &Stage, user: &str, password: &str) -> Result<Output> {
    let su = stage.dialog(&["su", "-", user, "-c", "whoami"]);
    su.as_user("alice").answer("Password:", password).run()
}

fn ssh(stage: &Stage, user: &str, password: &str) -> Result<Output> {
    let ssh = stage.ssh(user).option(INETD);
    ssh.password(password, "whoami")
}

#[test]
fn who_takes_every_local_port_keeps_root_from_no_server() -> Result {
    for (server, global, from) in [
        (SERVER, "", "127.0.0.1"),
        ("[::1]:49", "", "::1"),
        (SERVER, "source_ip = 127.0.0.9", "127.0.0.9"),
        (SERVER, "vrf = lo", "127.0.0.1"),
    ] {
        let stage = host(server, global).start()?;
        let peer = stage.peer(server, &Script::authen([Step::fail()]))?;
        let _hog = without_ports(&stage, "tcp")?;

        for (way, login) in [
            ("su", su(&stage, "bob", LOCAL_PASSWORD)?),
            ("ssh", ssh(&stage, "bob", LOCAL_PASSWORD)?),
        ] {
            assert_eq!(login.stdout, "", "{way}, {server}: {login}{}", stage.logs());
        }
        let seen = peer.seen("start")?;
        assert_eq!(seen.len(), 2, "{server} {global}: {}", stage.logs());
        assert!(seen.iter().all(|seen| seen.from == from), "{seen:?}");
        stage.wait_for_log("uid 65534 has most sockets, 16")?;
        let waiting =
            stage.sh("grep -E ':0(25[89A-F]|2[6-9A-F].|3..) [0-9A-F:]+ 06' /proc/net/tcp")?;
        assert_eq!(waiting.stdout, "", "a port is kept in TIME_WAIT");
    }
    Ok(())
}

#[test]
fn without_local_ports_whom_the_server_knows_logs_in_and_an_outage_is_one() -> Result {
    let stage = host(SERVER, "").start()?;
    let mut peer = stage.peer(SERVER, &Script::authen([Step::pass()]).single_connect())?;
    let _hog = without_ports(&stage, "tcp")?;

    for login in [
        su(&stage, "alice", PASSWORD)?,
        ssh(&stage, "alice", PASSWORD)?,
    ] {
        assert_eq!(login.stdout, "alice\n", "{login}{}", stage.logs());
    }
    assert_eq!(peer.wait_for("acct", 4)?.len(), 4, "START and STOP of each");
    peer.daemon().kill()?;
    for login in [
        su(&stage, "bob", LOCAL_PASSWORD)?,
        ssh(&stage, "bob", LOCAL_PASSWORD)?,
    ] {
        assert_eq!(login.stdout, "bob\n", "{login}{}", stage.logs());
    }
    Ok(())
}

#[test]
fn a_removed_user_keeps_no_sudo_by_taking_every_port() -> Result {
    for local_ports in ["yes", "no"] {
        let global = format!(
            "unreachable = ignore\noffline_hours = 24\nhold_down = 0\nlocal_ports = {local_ports}"
        );
        let mapping = "mode = unique\ngroups.15 = users sudo";
        let stage = users::host(&[SERVER], &global, mapping)
            .pam("sudo", &format!("auth sufficient pam_permit.so\n{STACK}"))
            .file("/etc/sudoers.d/all", 0o440, "ALL ALL=(ALL) ALL\n")
            .start()?;
        let approving = stage.peer(SERVER, &Script::authen([Step::pass()]))?;
        stage.ssh("alice").password(PASSWORD, "true")?.success()?;
        drop(approving);
        let uid = users::uid("alice").to_string();
        let ids = [format!("--reuid={uid}"), format!("--regid={uid}")];
        let sudo = [&ids[0], &ids[1], "--clear-groups", "sudo", "id", "-un"];
        let sudo = || stage.run("setpriv", &sudo);
        // Without a server the stored approval stands in.
        assert_eq!(sudo()?.stdout, "root\n", "{}", stage.logs());

        let removed = Script::authen([Step::fail()]).author([Step::deny()]);
        let peer = stage.peer(SERVER, &removed)?;
        let _hog = without_ports(&stage, "tcp")?;
        let refused = sudo()?;
        assert_eq!(refused.stdout, "", "{refused}{}", stage.logs());
        let asked = usize::from(local_ports == "yes");
        assert_eq!(peer.seen("author")?.len(), asked, "{}", stage.logs());
    }
    Ok(())
}

#[test]
fn who_is_new_to_the_host_logs_in_while_every_port_is_taken() -> Result {
    let stage = users::host(&[SERVER], "", "mode = unique").start()?;
    let _peer = stage.peer(SERVER, &Script::authen([Step::pass()]))?;
    let _hog = without_ports(&stage, "tcp")?;
    let login = ssh(&stage, "alice", PASSWORD)?;
    assert_eq!(login.stdout, "alice\n", "{login}{}", stage.logs());
    Ok(())
}

#[test]
fn without_a_port_of_roots_own_the_login_is_refused() -> Result {
    let start = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
    for (global, setting) in [
        ("local_ports = no", "true".to_owned()),
        ("", format!("echo 1023 >{start}")),
    ] {
        let stage = host(SERVER, global).start()?;
        stage.sh(&setting)?.success()?;
        let peer = stage.peer(SERVER, &Script::authen([Step::fail()]))?;
        let _hog = without_ports(&stage, "tcp")?;

        for login in [
            su(&stage, "bob", LOCAL_PASSWORD)?,
            ssh(&stage, "bob", LOCAL_PASSWORD)?,
        ] {
            assert_eq!(login.stdout, "", "{login}{}", stage.logs());
        }
        stage.wait_for_log("no local port is left to connect from")?;
        assert_eq!(peer.seen("connect")?, []);
        let held = stage.read("/run/tacplus/servers");
        assert_eq!(held, "", "a living server is held down");
    }
    Ok(())
}

/// A host without IPv6 knows the server by addresses of both families.
#[test]
fn an_address_that_cannot_be_reached_hides_no_want_of_ports() -> Result {
    let stage = host("aaa1.example.net:49", "local_ports = no")
        .file("/etc/nsswitch.conf", 0o644, "hosts: files\n")
        .file(
            "/etc/hosts",
            0o644,
            "127.0.0.1 aaa1.example.net\n2001:db8::1 aaa1.example.net\n",
        )
        .start()?;
    let peer = stage.peer(SERVER, &Script::authen([Step::fail()]))?;
    let _hog = without_ports(&stage, "tcp")?;

    for (way, login) in [
        ("su", su(&stage, "bob", LOCAL_PASSWORD)?),
        ("ssh", ssh(&stage, "bob", LOCAL_PASSWORD)?),
    ] {
        assert_eq!(login.stdout, "", "{way}: {login}{}", stage.logs());
    }
    assert_eq!(peer.seen("connect")?, []);
    Ok(())
}

#[test]
fn who_takes_every_port_of_a_resolver_makes_no_denied_user_local() -> Result {
    let stage = host("aaa1.example.net:49", "")
        .file("/etc/nsswitch.conf", 0o644, "hosts: files dns\n")
        .file(
            "/etc/resolv.conf",
            0o644,
            "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
        )
        .start()?;
    let peer = stage.peer(SERVER, &Script::authen([Step::fail()]))?;
    let _hog = without_ports(&stage, "udp")?;

    for (way, login) in [
        ("su", su(&stage, "bob", LOCAL_PASSWORD)?),
        ("ssh", ssh(&stage, "bob", LOCAL_PASSWORD)?),
    ] {
        assert_eq!(login.stdout, "", "{way}: {login}{}", stage.logs());
    }
    assert_eq!(peer.seen("connect")?, []);
    Ok(())
}

#[test]
fn su_takes_a_failed_lookup_for_an_outage_only_on_the_word_of_a_name_server() -> Result {
    const NOBODY: &str = "nameserver 127.0.0.1\n";
    for (hosts, resolv_conf, nscd, gets_in) in [
        ("files", "", false, true),
        ("files dns", NOBODY, false, false),
        // The library says "no such name" here.
        ("dns files", NOBODY, false, false),
        ("files", "", true, false),
    ] {
        let mut host = host("aaa1.example.net:49", "")
            .file("/etc/nsswitch.conf", 0o644, &format!("hosts: {hosts}\n"))
            .file("/etc/resolv.conf", 0o644, resolv_conf);
        if nscd {
            host = host.file("/run/nscd/socket", 0o666, "");
        }
        let stage = host.start()?;
        let login = su(&stage, "bob", LOCAL_PASSWORD)?;
        let expected = if gets_in { "bob\n" } else { "" };
        assert_eq!(login.stdout, expected, "{hosts}: {login}{}", stage.logs());
    }
    Ok(())
}

#[test]
fn a_server_that_closes_what_it_took_is_no_outage_in_su_and_is_not_held_down() -> Result {
    let stage = host(SERVER, "").start()?;
    let peer = stage.peer(SERVER, &Script::authen([Step::Close]))?;

    let login = su(&stage, "bob", LOCAL_PASSWORD)?;

    assert_eq!(login.stdout, "", "{login}{}", stage.logs());
    assert_eq!(peer.seen("start")?.len(), 1);
    assert_eq!(stage.read("/run/tacplus/servers"), "");
    // In sshd it is one still, under this policy.
    let login = ssh(&stage, "bob", LOCAL_PASSWORD)?;
    assert_eq!(login.stdout, "bob\n", "{login}{}", stage.logs());
    assert_eq!(stage.read("/run/tacplus/servers"), "");
    Ok(())
}

#[test]
fn prompts_that_wait_make_no_server_full_and_no_denied_user_local() -> Result {
    let stage = host(SERVER, "login = ascii").start()?;
    let limited = format!(
        "{}limit connections-per-client = 20\n",
        scene::server_conf()
    );
    let _server = stage.tac_plus(&limited, &[])?;

    let _waiting = waiting_at_the_prompt(&stage, 20)?;
    wait_for_refused_dialogues(&stage, 10)?;

    let dialog = stage.ssh("alice").keyboard_interactive("whoami");
    let login = dialog.answer("assword:", LOCAL_PASSWORD).run()?;
    assert_eq!(login.stdout, "", "{login}{}", stage.logs());
    let opened = stage.sh("grep -c ' 0100007F:0031 01 ' /proc/net/tcp")?;
    assert_eq!(opened.stdout.trim(), "10", "{}", stage.logs());
    Ok(())
}

#[test]
fn su_that_waits_for_ever_holds_up_no_login() -> Result {
    let stage = host(SERVER, "login = ascii\ndialogues = 4").start()?;
    let _server = stage.tac_plus(&scene::server_conf(), &[])?;

    let line = "sleep 300 | su - bob -c true";
    let words = [
        "--reuid=alice",
        "--regid=alice",
        "--init-groups",
        "sh",
        "-c",
        line,
    ];
    let start = |number| stage.spawn(&format!("su-{number}"), "setpriv", &words);
    let _waiting = (0..6).map(start).collect::<Result<Vec<_>>>()?;
    e2e::wait::until("four su without a slot", || {
        let log = stage.syslog();
        (log.matches("as many dialogues wait there").count() == 4).then_some(())
    })
    .map_err(|error| stage.failure(error))?;

    let login = stage.ssh("alice").password(PASSWORD, "whoami")?;
    assert_eq!(login.stdout, "alice\n", "{login}{}", stage.logs());
    Ok(())
}

#[test]
fn with_a_prompt_of_the_host_nothing_waits_at_the_server() -> Result {
    let stage = host(SERVER, "login = ascii\nprompt = Password:_\ndialogues = 2").start()?;
    let _server = stage.tac_plus(&scene::server_conf(), &[])?;

    let _waiting = waiting_at_the_prompt(&stage, 4)?;
    e2e::wait::until("four prompts", || {
        let asking = stage.processes();
        let asking = asking.iter().filter(|(_, name)| name == "sleep");
        (asking.count() == 4).then_some(())
    })
    .map_err(|error| stage.failure(error))?;

    let opened = stage.sh("grep -c ' 0100007F:0031 01 ' /proc/net/tcp")?;
    assert_eq!(opened.stdout.trim(), "0", "{}", stage.logs());
    let login = stage.ssh("alice").password(PASSWORD, "whoami")?;
    assert_eq!(login.stdout, "alice\n", "{login}{}", stage.logs());
    Ok(())
}

#[test]
fn who_waits_until_the_server_hangs_up_is_denied() -> Result {
    let stage = host(SERVER, "login = ascii\ntimeout = 20\ndeadline = 30").start()?;
    let impatient = format!("{}limit answer = 1\n", scene::server_conf());
    let _server = stage.tac_plus(&impatient, &[])?;
    let patience = Duration::from_secs(3);

    // She may log in, with the server's password.
    let su = stage.dialog(&["su", "-", "alice", "-c", "whoami"]);
    let ssh = stage.ssh("alice").keyboard_interactive("whoami");
    for dialog in [su.as_user("bob"), ssh] {
        let login = dialog.answer_after("assword:", patience, LOCAL_PASSWORD);
        let login = login.run()?;
        assert_eq!(login.stdout, "", "{login}{}", stage.logs());
    }
    stage.wait_for_log("the dialogue broke off")?;
    assert_eq!(stage.read("/run/tacplus/servers"), "");
    Ok(())
}
