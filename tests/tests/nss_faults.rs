//! The NSS module in programs and on hosts that are not as one would wish: no room in
//! the buffer, no descriptors, confined, forking, with a store that is damaged and
//! servers that misbehave. The program is `tests/src/nss_host.c`.

use std::time::Duration;

use e2e::users::{self, NSS_HOST as HOST, entry, uid};
use e2e::{Forged, Output, Result, Script, Stage, Step};
use tacacs_common::identity;

const SERVER: &str = "127.0.0.1:49";
const MAPPING: &str = "mode = unique\nunknown = authorize\nlookup_programs = getent id nss_host\n";

/// A stage with the program and a stored user, whose servers are never held down.
fn stage() -> Result<Stage> {
    let stage = users::host(&[SERVER], "hold_down = 0", MAPPING).start()?;
    users::put_nss_host(&stage)?;
    users::store(&stage, &[entry("alice", 15, &[27, 100])])?;
    Ok(stage)
}

/// What it is run by, where root may say how many descriptors others may have.
const RAISED: &str = "ulimit -Hn 110000 2>/dev/null; exec setpriv \"$@\"";

/// The host may keep even root below what a check wants.
#[allow(clippy::print_stdout, reason = "the log of a test run shows it")]
fn say_how_many(output: &Output) {
    let opened = output.stderr.strip_suffix(" descriptors\n");
    if let Some(opened) =
        opened.filter(|opened| opened.parse().is_ok_and(|opened: u32| opened < 100_000))
    {
        println!(
            "only {opened} descriptors: the hard limit of RLIMIT_NOFILE cannot be raised here"
        );
    }
}

/// Runs one of its checks on the stored user, as root and as somebody else.
fn check(name: &str) -> Result {
    let stage = stage()?;
    let peer = stage.peer(
        SERVER,
        &Script::authen([Step::pass()]).author([Step::deny()]),
    )?;
    let alice = uid("alice").to_string();
    for user in ["root", "bob"] {
        let become_user = [format!("--reuid={user}"), format!("--regid={user}")];
        let words = [
            "-c",
            RAISED,
            "sh",
            &become_user[0],
            &become_user[1],
            "--clear-groups",
            HOST,
            name,
            "alice",
            &alice,
        ];
        let output = stage.run("sh", &words)?;
        assert_eq!(
            (output.code, output.stdout.as_str()),
            (0, "ok\n"),
            "as {user}: {output}"
        );
        say_how_many(&output);
    }
    let asked = peer.seen("author")?;
    assert!(
        asked.iter().all(|question| question.user == "nosuchuser"),
        "{asked:?}"
    );
    Ok(())
}

#[test]
fn every_function_fills_a_buffer_of_any_size_or_asks_for_a_larger_one() -> Result {
    check("sizes")
}

#[test]
fn names_and_ids_that_are_nobodys_are_not_found() -> Result {
    check("names")
}

#[test]
fn groups_are_added_once_within_the_limit_and_to_this_modules_users_only() -> Result {
    check("groups")
}

#[test]
fn no_descriptor_stays_open_also_in_the_middle_of_a_walk() -> Result {
    check("kept")
}

#[test]
fn with_no_descriptor_left_a_lookup_may_be_tried_again() -> Result {
    check("few")
}

#[test]
fn a_hundred_thousand_open_descriptors_are_no_trouble() -> Result {
    check("many")
}

#[test]
fn a_host_that_closed_its_first_three_descriptors_keeps_them_closed() -> Result {
    check("closed")
}

#[test]
fn eight_threads_get_ten_thousand_right_answers_each() -> Result {
    check("threads")
}

#[test]
fn a_thread_that_is_cancelled_in_a_lookup_ends_behind_it_and_the_process_lives() -> Result {
    check("cancelled")
}

#[test]
fn children_forked_in_the_middle_of_lookups_get_right_answers() -> Result {
    check("forks")
}

#[test]
fn a_program_that_may_not_open_sockets_is_not_killed() -> Result {
    let (stage, alice) = (stage()?, uid("alice").to_string());
    let program = unasked(&stage)?;
    let output = stage.run(program, &["confined", "alice", &alice])?;
    assert_eq!(
        (output.code, output.stdout.as_str()),
        (0, "ok\n"),
        "{output}"
    );
    Ok(())
}

#[test]
fn a_lookup_while_the_process_exits_is_answered() -> Result {
    let (stage, alice) = (stage()?, uid("alice").to_string());
    let program = unasked(&stage)?;
    let output = stage.run(program, &["atexit", "alice", &alice])?;
    assert_eq!(
        (output.code, output.stdout.as_str()),
        (0, "ok at the end\n"),
        "{output}"
    );
    Ok(())
}

/// The same program under a name from which no server is asked.
fn unasked(stage: &Stage) -> Result<&'static str> {
    stage
        .sh(&format!("cp {HOST} /usr/bin/unasked"))?
        .success()?;
    Ok("unasked")
}

#[test]
fn an_environment_in_no_encoding_is_no_trouble() -> Result {
    let stage = stage()?;
    let line = "env \"$(printf 'BAD\\377=\\376')\" RUST_BACKTRACE=1 getent passwd alice";
    let output = stage.sh(line)?;
    assert!(output.stdout.starts_with("alice:*:"), "{output}");
    assert_eq!(output.stderr, "");
    Ok(())
}

/// What the module's own function says of a name, within a second.
fn find(stage: &Stage, name: &str) -> Result<Output> {
    stage.run(HOST, &["find", name])
}

const FOUND: &str = "status 1 errno 0 carol in time\n";
const NOT_FOUND: &str = "status 0 errno 2 - in time\n";
const UNAVAILABLE: &str = "status -1 errno 2 - in time\n";

#[test]
fn whatever_a_server_does_the_answer_is_right_and_in_time() -> Result {
    let stage = stage()?;
    let permit = || Step::permit(&["priv-lvl=15"]);
    for (answer, expected) in [
        (permit(), FOUND),
        (permit().after(Duration::from_millis(300)), FOUND),
        (Step::deny(), NOT_FOUND),
        (Step::permit(&[]), NOT_FOUND),
        (Step::permit(&["priv-lvl=16"]), NOT_FOUND),
        (Step::permit(&["priv-lvl=15", "unheard-of=1"]), NOT_FOUND),
        (permit().forged(Forged::Unencrypted), NOT_FOUND),
        (Step::Silence, UNAVAILABLE),
        (Step::Close, UNAVAILABLE),
        (permit().after(Duration::from_secs(3)), UNAVAILABLE),
        (permit().forged(Forged::Trickle), UNAVAILABLE),
        (permit().forged(Forged::SessionId), UNAVAILABLE),
        (permit().forged(Forged::SeqNo), UNAVAILABLE),
        (permit().forged(Forged::PacketType), UNAVAILABLE),
        (permit().forged(Forged::Secret), UNAVAILABLE),
        (permit().forged(Forged::ShortBody), UNAVAILABLE),
        (permit().forged(Forged::LongFields), UNAVAILABLE),
        (permit().forged(Forged::LongLength), UNAVAILABLE),
        (permit().forged(Forged::HeaderOnly), UNAVAILABLE),
        (permit().forged(Forged::CutOff), UNAVAILABLE),
    ] {
        let shown = format!("{answer:?}");
        let peer = stage.peer(SERVER, &Script::authen([]).author([answer]))?;
        let output = find(&stage, "carol")?;
        assert_eq!(output.stdout, expected, "{shown}\n{output}");
        assert_eq!(peer.seen("author")?.len(), 1, "{shown}");
        // What is stored does not wait for a server.
        assert!(
            find(&stage, "alice")?
                .stdout
                .starts_with("status 1 errno 0 alice"),
            "{shown}"
        );
    }
    Ok(())
}

#[test]
fn dead_servers_are_asked_no_longer_than_a_second_however_many_there_are() -> Result {
    let dead: Vec<String> = (1..=4).map(|number| format!("192.0.2.{number}")).collect();
    let addresses: Vec<&str> = dead.iter().map(String::as_str).collect();
    let mut builder = users::host(&addresses, "", MAPPING);
    for address in &dead {
        builder = builder.address(address.parse()?);
    }
    let stage = builder.start()?;
    users::put_nss_host(&stage)?;
    for address in &dead {
        stage.blackhole(address.parse()?)?;
    }
    for _ in 0..2 {
        assert_eq!(find(&stage, "nosuchuser")?.stdout, UNAVAILABLE);
        let output = stage.sh("getent passwd nosuchuser")?;
        assert_eq!((output.code, output.stdout.as_str()), (2, ""));
    }
    // Too short a wait to call a server dead for every login of the host.
    assert_eq!(stage.read("/run/tacplus/servers"), "");
    Ok(())
}

#[test]
fn a_hundred_thousand_open_descriptors_do_not_keep_the_server_from_being_asked() -> Result {
    let stage = stage()?;
    let script = Script::authen([]).author([Step::permit(&["priv-lvl=1"])]);
    let peer = stage.peer(SERVER, &script)?;
    let output = stage.run(HOST, &["find-many", "carol"])?;
    assert_eq!(output.stdout, FOUND, "{output}");
    say_how_many(&output);
    assert_eq!(peer.seen("author")?.len(), 1);
    Ok(())
}

#[test]
fn a_program_that_only_calls_itself_getent_asks_no_server() -> Result {
    let stage = stage()?;
    let program = unasked(&stage)?;
    let script = Script::authen([]).author([Step::permit(&["priv-lvl=1"])]);
    let peer = stage.peer(SERVER, &script)?;
    let line = format!(
        "ln -s $(command -v {program}) /tmp/getent; /tmp/getent find carol; \
         bash -c 'exec -a getent {program} find carol'"
    );
    assert_eq!(stage.sh(&line)?.stdout, NOT_FOUND.repeat(2));
    assert_eq!(peer.all()?, []);
    Ok(())
}

#[test]
fn a_server_with_a_name_is_the_agents_matter_and_nobody_is_asked() -> Result {
    let stage = users::host(&["localhost:49"], "", MAPPING).start()?;
    let peer = stage.peer(
        SERVER,
        &Script::authen([]).author([Step::permit(&["priv-lvl=1"])]),
    )?;
    assert_eq!(stage.sh("getent passwd carol")?.code, 2);
    assert_eq!(peer.all()?, []);
    Ok(())
}

#[test]
fn an_agent_is_asked_on_its_socket() -> Result {
    let stage = users::host(&[SERVER], "agent = /run/tacacs/proxy.sock", MAPPING).start()?;
    stage.sh("mkdir /run/tacacs")?.success()?;
    let script = Script::authen([]).author([Step::permit(&["priv-lvl=1"])]);
    let direct = stage.peer(SERVER, &script)?;
    assert_eq!(stage.sh("getent passwd carol")?.code, 2, "no agent");
    let agent = stage.peer("unix:/run/tacacs/proxy.sock", &script)?;
    assert_eq!(stage.sh("getent passwd carol")?.code, 0, "{}", stage.logs());
    assert_eq!((agent.seen("author")?.len(), direct.all()?.len()), (1, 0));
    Ok(())
}

#[test]
fn a_store_that_is_not_to_be_trusted_knows_nobody_and_lets_nobody_be_made_up() -> Result {
    let stage = stage()?;
    let peer = stage.peer(
        SERVER,
        &Script::authen([]).author([Step::permit(&["priv-lvl=1"])]),
    )?;
    let store = identity::PATH;
    stage.sh(&format!("cp {store} /root/good"))?.success()?;
    for spoil in [
        ":> STORE",
        "truncate -s -1 STORE",
        "truncate -s 10 STORE",
        "truncate -s 100G STORE",
        "head -c 4096 /dev/urandom >STORE",
        "chown bob STORE",
        "chmod 666 STORE",
        "mv STORE /root/moved; ln -s /root/moved STORE",
        "rm STORE; mkdir STORE",
        "rm STORE; mkfifo STORE",
    ] {
        stage
            .sh(&format!("rm -rf {store}; cp -p /root/good {store}"))?
            .success()?;
        stage.sh(&spoil.replace("STORE", store))?.success()?;
        for name in ["alice", "carol"] {
            assert_eq!(find(&stage, name)?.stdout, NOT_FOUND, "{spoil}: {name}");
        }
    }
    // One line of it that is none: the others still stand.
    stage
        .sh(&format!(
            "rm -rf {store}; cp -p /root/good {store}; sed -i 's/^alice:/alice;/' {store}"
        ))?
        .success()?;
    assert_eq!(find(&stage, "alice")?.stdout, NOT_FOUND);
    assert_eq!(peer.all()?, []);
    Ok(())
}

#[test]
fn a_store_that_only_root_can_read_is_nobodys_error() -> Result {
    let stage = stage()?;
    stage
        .sh(&format!("chmod 600 {}", identity::PATH))?
        .success()?;
    let line = format!("setpriv --reuid=bob --regid=bob --clear-groups {HOST} find alice");
    assert_eq!(stage.sh(&line)?.stdout, NOT_FOUND);
    Ok(())
}

#[test]
fn a_broken_configuration_hides_no_stored_user_and_asks_no_server() -> Result {
    let stage = stage()?;
    let peer = stage.peer(
        SERVER,
        &Script::authen([]).author([Step::permit(&["priv-lvl=1"])]),
    )?;
    for text in ["tiemout = 5\n", "\u{0}\u{1}", "[server x]\n", ""] {
        stage.write("/etc/tacplus.conf", 0o600, text)?;
        assert_eq!(
            find(&stage, "alice")?.stdout,
            "status 1 errno 0 alice in time\n",
            "{text:?}"
        );
        assert_eq!(find(&stage, "carol")?.stdout, NOT_FOUND, "{text:?}");
    }
    stage.sh("rm /etc/tacplus.conf")?.success()?;
    assert_eq!(
        find(&stage, "alice")?.stdout,
        "status 1 errno 0 alice in time\n"
    );
    assert_eq!(peer.all()?, []);
    Ok(())
}
