//! The accounting spool under attack: nobody fills it, blocks it or stops it for others, and
//! nobody gets a session without a record by limits of his own. Real `sshd`, `su` and
//! `sudo`; what attacks has no rights.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use e2e::artefacts::workspace;
use e2e::scene::{self, LOCAL_PASSWORD, PASSWORD};
use e2e::{Builder, Output, Result, Script, Stage, Step, wait};
use tacacs_common::packet::{
    AcctRecord, AcctRequest, AcctStatus, Arguments, AuthenMethod, AuthenService, AuthenType,
    AuthorRequest, Body, PrivLvl,
};
use tacacs_common::spool::{Limits, Place, Spool};

const SERVER: &str = "127.0.0.1:49";

const FOLDER: &str = "/var/spool/tacplus/pam";

/// `su` and `sudo` of whoever may: what is shown is what accounting makes of it.
const SESSION_ONLY: &str = "\
auth     required  pam_permit.so
account  required  pam_permit.so
session  required  pam_tacplus.so
session  required  pam_permit.so
";

/// alice and bob may become each other. In an outage their local passwords count.
fn host(global: &str) -> Builder {
    scene::host(&[SERVER], &format!("{}\n{global}", scene::IGNORE))
        .pam("su", SESSION_ONLY)
        .pam("sudo", SESSION_ONLY)
        .file("/etc/sudoers.d/all", 0o440, "ALL ALL=(ALL) ALL\n")
}

/// A line of shell that somebody runs.
fn run_by(stage: &Stage, user: &str, line: &str) -> Result<Output> {
    let ids = [format!("--reuid={user}"), format!("--regid={user}")];
    stage.run(
        "setpriv",
        &[&ids[0], &ids[1], "--init-groups", "bash", "-c", line],
    )
}

/// Fills the spool of a stage up to `count` records of these users, in turns: one file
/// for each of them has as many names as it takes.
fn fill(stage: &Stage, caller: Option<u32>, users: &[String], count: u64) -> Result {
    let path = stage.path(FOLDER);
    let spool = Spool::open(&path, Limits::default())?.called_by(caller);
    for user in users {
        let mut body = Vec::new();
        AcctRequest {
            flags: AcctRecord::Start.to_wire(),
            about: AuthorRequest {
                authen_method: AuthenMethod::TacacsPlus,
                priv_lvl: PrivLvl::USER,
                authen_type: AuthenType::Pap,
                authen_service: AuthenService::Login,
                user: user.as_bytes(),
                port: b"ssh",
                rem_addr: b"",
                args: Arguments::default(),
            },
        }
        .encode(&mut body)?;
        spool.append(&body, 1_700_000_000)?;
    }
    let names: Vec<String> = spool.list()?.into_iter().map(|found| found.name).collect();
    for (number, name) in (1..=count).zip(names.iter().cycle()).skip(names.len()) {
        let more = format!("{number:020}{}", name.get(20..).unwrap_or_default());
        fs::hard_link(path.join(name), path.join(more))?;
    }
    Ok(())
}

fn users(count: u32) -> Vec<String> {
    (0..count).map(|n| format!("user{n}")).collect()
}

fn pending(stage: &Stage) -> Result<u64> {
    let spool = Spool::open_existing(&stage.path(FOLDER), Limits::default())?;
    Ok(spool.map_or(Ok(0), |spool| spool.status().map(|status| status.pending))?)
}

#[test]
fn five_logins_deliver_a_full_spool_in_its_order() -> Result {
    let stage = host("").start()?;
    fill(&stage, None, &users(20), 10_000)?;
    let peer = stage.peer(SERVER, &Script::authen([Step::pass()]).single_connect())?;
    for login in 1..=5 {
        let alice = stage.ssh("alice").password(PASSWORD, "whoami")?;
        assert_eq!(alice.stdout, "alice\n", "{alice}{}", stage.logs());
        // Twenty with the START, twenty with the STOP.
        peer.wait_for("acct", 40 * login)?;
    }
    let seen = peer.wait_for("acct", 200)?;
    let users: Vec<&str> = seen.iter().map(|seen| seen.user.as_str()).collect();
    let in_turns: Vec<String> = (0..200).map(|turn| format!("user{}", turn % 20)).collect();
    assert_eq!(users, in_turns);
    wait::until("the STOP to be in the spool", || {
        (pending(&stage).ok()? == 10_000 - 200 + 10).then_some(())
    })
}

#[test]
fn a_record_that_the_server_answers_with_error_holds_up_nobody_else() -> Result {
    let stage = host("").start()?;
    let script = Script::authen([Step::pass()]);
    let script = script.acct_of("bob", Step::acct(AcctStatus::Error));
    let peer = stage.peer(SERVER, &script)?;
    let bob = stage.ssh("bob").password(PASSWORD, "whoami")?;
    assert_eq!(bob.stdout, "bob\n", "{bob}{}", stage.logs());
    stage.wait_for_log("STOP of 'bob'")?;
    assert_eq!(pending(&stage)?, 2);

    for login in 1..=4 {
        let alice = stage.ssh("alice").password(PASSWORD, "whoami")?;
        assert_eq!(alice.stdout, "alice\n", "{alice}{}", stage.logs());
        let hers = || {
            let seen = peer.seen("acct").ok()?;
            let seen = seen.into_iter().filter(|seen| seen.user == "alice");
            let actions: Vec<String> = seen.map(|seen| seen.action).collect();
            (actions == ["START", "STOP"].repeat(login)).then_some(())
        };
        wait::until("alice's records in order", hers).map_err(|error| stage.failure(error))?;
    }
    // START and STOP of bob: three errors each.
    stage.wait_for_log("set aside, which no server takes")?;
    wait::until("both to be set aside", || {
        (pending(&stage).ok()? == 0).then_some(())
    })?;
    let list = stage.run("tacplus", &["spool", "list"])?;
    assert_eq!(list.code, 0, "{list}");
    assert_eq!(list.stdout.matches("refused").count(), 2, "{list}");
    assert_eq!(list.stdout.matches("bob").count(), 2, "{list}");
    Ok(())
}

#[test]
fn a_server_that_answers_error_to_everything_loses_nothing() -> Result {
    let stage = host("").start()?;
    let script = Script::authen([Step::pass()]).acct([Step::acct(AcctStatus::Error)]);
    let mut peer = stage.peer(SERVER, &script)?;
    for user in ["bob", "alice", "bob", "alice"] {
        let login = stage.ssh(user).password(PASSWORD, "whoami")?;
        assert_eq!(login.stdout, format!("{user}\n"), "{login}");
    }
    wait::until("eight records", || {
        (pending(&stage).ok()? == 8).then_some(())
    })?;
    let spool = Spool::open(&stage.path(FOLDER), Limits::default())?;
    let listed = spool.list()?;
    let waiting = listed.iter().filter(|found| found.place == Place::Waiting);
    assert_eq!(waiting.count(), 8, "nothing is set aside: {listed:?}");
    peer.daemon().kill()?;

    let peer = stage.peer(SERVER, &Script::authen([Step::pass()]))?;
    let login = stage.ssh("alice").password(PASSWORD, "whoami")?;
    assert_eq!(login.stdout, "alice\n", "{login}{}", stage.logs());
    let seen = peer.wait_for("acct", 10)?;
    for user in ["alice", "bob"] {
        let actions = seen.iter().filter(|seen| seen.user == user);
        let in_turns = ["START", "STOP"].into_iter().cycle();
        assert!(
            actions
                .zip(in_turns)
                .all(|(seen, action)| seen.action == action)
        );
    }
    Ok(())
}

#[test]
fn a_su_that_its_user_stops_keeps_no_login_waiting() -> Result {
    let stage = host("").start()?;
    // So many that looking at them takes a moment, in which a lock would be seen.
    fill(&stage, None, &users(20), 9_000)?;
    let path = stage.path(FOLDER);
    for name in ["counters", "deliver"] {
        fs::write(path.join(name), "")?;
        stage.sh(&format!("chmod 600 {FOLDER}/{name}"))?.success()?;
    }
    let inodes = [path.join("counters"), path.join("deliver")];
    let inodes: Vec<String> = inodes
        .iter()
        .map(|path| Ok(format!(":{} ", fs::metadata(path)?.ino())))
        .collect::<Result<_>>()?;
    let mut stopped = Vec::new();
    for round in 0..8 {
        let words = ["--reuid=bob", "--regid=bob", "--init-groups"];
        let su = ["su", "alice", "-c", "true"];
        let name = format!("su{round}");
        let mut su = stage.spawn(&name, "setpriv", &[&words[..], &su].concat())?;
        let its = format!(" {} ", su.pid());
        while su.is_running() {
            let locks = fs::read_to_string("/proc/locks")?;
            let mut locks = locks.lines().filter(|lock| lock.contains(&its));
            if locks.any(|lock| inodes.iter().any(|inode| lock.contains(inode))) {
                su.freeze()?;
                stopped.push(su);
                break;
            }
        }
    }
    let begun = Instant::now();
    let login = stage.ssh("alice").password(LOCAL_PASSWORD, "whoami")?;
    assert_eq!(login.stdout, "alice\n", "{login}{}", stage.logs());
    stage.wait_for_log("STOP of 'alice'")?;
    let took = begun.elapsed();
    for su in &stopped {
        su.thaw()?;
    }
    assert_eq!(stopped.len(), 0, "su held a lock that logins want");
    assert!(took < Duration::from_secs(8), "{took:?}");
    Ok(())
}

#[test]
fn a_stopped_process_of_roots_keeps_a_login_waiting_for_a_moment_once() -> Result {
    let stage = host("").start()?;
    fill(&stage, None, &users(1), 1)?;
    let mut holders = Vec::new();
    for name in ["counters", "counters.setuid", "deliver"] {
        let file = format!("{FOLDER}/{name}");
        stage
            .sh(&format!("touch {file} && chmod 600 {file}"))?
            .success()?;
        holders.push(stage.spawn(name, "flock", &[&file, "sleep", "60"])?);
        wait::until("the lock to be taken", || {
            let taken = stage.sh(&format!("flock -n {file} true")).ok()?;
            (taken.code != 0).then_some(())
        })?;
    }
    let begun = Instant::now();
    let login = stage.ssh("alice").password(LOCAL_PASSWORD, "whoami")?;
    assert_eq!(login.stdout, "alice\n", "{login}{}", stage.logs());
    stage.wait_for_log("STOP of 'alice'")?;
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert_eq!(pending(&stage)?, 3);
    Ok(())
}

#[test]
fn who_uses_up_a_share_of_the_spool_runs_no_command_and_harms_nobody() -> Result {
    let stage = host("").start()?;
    fill(&stage, Some(2002), &users(10), 499)?;
    // One more finds room: the START of this su, and not its STOP.
    let su = run_by(&stage, "bob", "su alice -c whoami")?;
    assert_eq!(su.stdout, "alice\n", "{su}{}", stage.logs());
    stage.wait_for_log("STOP of 'alice' is lost")?;
    for line in ["su alice -c 'echo ran'", "sudo -u alice sh -c 'echo ran'"] {
        let refused = run_by(&stage, "bob", line)?;
        assert_ne!(refused.code, 0, "{refused}");
        assert_eq!(refused.stdout, "", "{refused}{}", stage.logs());
    }
    stage.wait_for_log("no more may; refused, for this may be the doing")?;
    // alice has room, in her logins and in her own su.
    let login = stage.ssh("alice").password(LOCAL_PASSWORD, "whoami")?;
    assert_eq!(login.stdout, "alice\n", "{login}{}", stage.logs());
    let su = run_by(&stage, "alice", "su bob -c whoami")?;
    assert_eq!(su.stdout, "bob\n", "{su}{}", stage.logs());
    Ok(())
}

#[test]
fn no_limit_of_a_caller_runs_a_command_without_a_record() -> Result {
    let stage = host("").start()?;
    let mut ran = 0;
    let limits = ["ulimit -f 0".to_owned()].into_iter();
    let limits = limits.chain((3..16).map(|n| format!("ulimit -n {n}")));
    let limits = limits.chain((4..16).map(|n| format!("ulimit -v {}", n * 2000)));
    for limit in limits {
        let before = pending(&stage)?;
        let su = run_by(
            &stage,
            "bob",
            &format!("{limit}; exec su alice -c 'echo ran'"),
        )?;
        let recorded = pending(&stage)? > before;
        let has_run = su.stdout.contains("ran");
        assert!(recorded || !has_run, "{limit}: {su}{}", stage.logs());
        assert!(!has_run || limit != "ulimit -f 0", "{su}");
        ran += usize::from(has_run);
    }
    assert_ne!(ran, 0, "some limit was wide enough");
    stage.wait_for_log("is lost: no server gave an answer; accounting spool:")?;
    Ok(())
}

#[test]
fn with_acct_required_no_command_of_sudo_runs_without_a_record() -> Result {
    for (required, runs) in [("yes", false), ("no", true)] {
        let stage = host(&format!("acct_required = {required}")).start()?;
        // No folder can be made where there is a file.
        stage.sh("rm -rf /var/spool/tacplus && touch /var/spool/tacplus")?;
        for line in ["sudo -u alice sh -c 'echo ran'", "su alice -c 'echo ran'"] {
            let ended = run_by(&stage, "bob", line)?;
            assert_eq!(
                ended.stdout.contains("ran"),
                runs,
                "{ended}{}",
                stage.logs()
            );
        }
        let login = stage.ssh("alice").password(LOCAL_PASSWORD, "echo ran")?;
        assert_eq!(
            login.stdout.contains("ran"),
            runs,
            "{login}{}",
            stage.logs()
        );
    }
    Ok(())
}

#[test]
fn a_session_that_a_copy_of_the_process_closes_has_one_stop() -> Result {
    let stage = host("").pam("session_host", SESSION_ONLY).start()?;
    let peer = stage.peer(SERVER, &Script::authen([Step::pass()]))?;
    let source = workspace().join("tests/src/session_host.c");
    let compile = format!(
        "gcc -Wall -Wextra -Werror -o /usr/bin/session_host {} -lpam",
        source.display()
    );
    stage.sh(&compile)?.success()?;
    let ways = [
        "child closes",
        "child closes, parent is silent",
        "child ends",
    ];
    for (count, way) in (1..).zip(ways) {
        stage
            .run("session_host", &["session_host", "alice", way])?
            .success()?;
        let seen = peer.seen("acct")?;
        let actions: Vec<&str> = seen.iter().map(|seen| seen.action.as_str()).collect();
        assert_eq!(actions, ["START", "STOP"].repeat(count), "{way}");
        assert_eq!(pending(&stage)?, 0, "{way}: {}", stage.logs());
    }
    Ok(())
}
