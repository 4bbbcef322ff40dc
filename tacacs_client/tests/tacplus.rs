//! `tacplus`: checking a configuration, and the spool.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::{Server, acct, program, run};
use tacacs_common::packet::{
    AcctRecord, AcctRequest, AcctStatus, Arguments, AuthenMethod, AuthenService, AuthenType,
    AuthorRequest, Body, PrivLvl,
};
use tacacs_common::spool::{Delivery, Limits, Spool};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_tacplus");

/// A file in `folder` that only its owner can read.
fn private(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    path
}

/// A configuration with one server.
fn configuration(folder: &TempDir, address: impl std::fmt::Display) -> PathBuf {
    let text = format!(
        "[global]\nhold_down = 0\n[server one]\naddress = {address}\nsecret = {}\n",
        support::KEY
    );
    private(folder, "tacplus.conf", &text)
}

#[test]
fn check_prints_the_configuration_with_its_defaults_and_without_its_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = configuration(&folder, "192.0.2.1");
    let ended = run(program(PROGRAM).args(["check", "--config"]).arg(&path));
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    for line in [
        "[server one]",
        "address          = 192.0.2.1:49",
        "timeout          = 5",
    ] {
        assert!(
            ended.stdout.lines().any(|shown| shown == line),
            "{line}: {}",
            ended.stdout
        );
    }
    assert!(!ended.stdout.contains(support::KEY) && !ended.stderr.contains(support::KEY));
}

#[test]
fn check_lists_everything_that_is_wrong_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = private(
        &folder,
        "tacplus.conf",
        "[global]\ntiemout = 5\ndeadline = soon\n",
    );
    let ended = run(program(PROGRAM).args(["check", "--config"]).arg(&path));
    assert_eq!((ended.code, &*ended.stdout), (2, ""));
    assert_eq!(
        ended.stderr,
        "tacplus: tacplus.conf:2: unknown key 'tiemout', did you mean 'timeout'?\n\
         tacplus: tacplus.conf:3: bad value for 'deadline': expected a number of seconds from 1 to 600\n"
    );
}

#[test]
fn check_warns_of_what_loads_and_is_not_there_yet() {
    let folder = tempfile::tempdir().unwrap();
    let check = |text: &str| {
        let path = private(&folder, "tacplus.conf", text);
        run(program(PROGRAM).args(["check", "--config"]).arg(&path))
    };
    let ended = check("[server one]\naddress = 192.0.2.1\ntls = yes\n");
    assert_eq!(ended.code, 0);
    assert!(
        ended.stderr.contains("'one' is not asked: TLS"),
        "{}",
        ended.stderr
    );
    let secret = support::KEY;
    let ended = check(&format!(
        "[server one]\naddress = 127.0.0.1\nsecret = {secret}\n"
    ));
    assert!(!ended.stderr.contains("TLS"), "{}", ended.stderr);
}

#[test]
fn check_warns_of_what_an_outage_and_who_stands_on_the_way_can_do() {
    let folder = tempfile::tempdir().unwrap();
    let secret = support::KEY;
    let text =
        format!("unreachable = ignore\n[server one]\naddress = 192.0.2.1\nsecret = {secret}\n");
    let path = private(&folder, "tacplus.conf", &text);
    let ended = run(program(PROGRAM).args(["check", "--config"]).arg(&path));
    assert_eq!(ended.code, 0);
    for words in [
        "tacplus: warning: unreachable = ignore: whoever can make a server slow, full or silent",
        "tacplus: warning: server 'one' (192.0.2.1:49) is plain TACACS+ across a network",
    ] {
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
}

#[test]
fn check_opens_the_secret_files() {
    if !rustix::process::geteuid().is_root() {
        // Only root may: others are told so instead.
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let secret = private(&folder, "secret", support::KEY);
    let text = format!(
        "[server one]\naddress = 192.0.2.1\nsecret_file = {}\n",
        secret.display()
    );
    let path = private(&folder, "tacplus.conf", &text);
    let check = || run(program(PROGRAM).args(["check", "--config"]).arg(&path));
    assert_eq!(check().code, 0);
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o644)).unwrap();
    let ended = check();
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("chmod 0600"), "{}", ended.stderr);
}

/// A spool of two records under `folder`.
fn spooled(folder: &TempDir) -> PathBuf {
    let root = folder.path().join("spool");
    let spool = Spool::open(&root.join("pam"), Limits::default()).unwrap();
    for user in ["alice", "bob"] {
        spool.append(&record(user), 1_000).unwrap();
    }
    root
}

fn record(user: &str) -> Vec<u8> {
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
            rem_addr: b"192.0.2.7",
            args: Arguments::default(),
        },
    }
    .encode(&mut body)
    .unwrap();
    body
}

fn spool_command(word: &str, root: &Path) -> std::process::Command {
    let mut command = program(PROGRAM);
    command.args(["spool", word, "--spool"]).arg(root);
    command
}

fn pending(root: &Path) -> Value {
    let ended = run(spool_command("status", root).arg("--json"));
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let shown: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(shown["writers"][0]["writer"], "pam");
    shown["writers"][0]["pending"].clone()
}

#[test]
fn status_counts_for_every_writer() {
    let folder = tempfile::tempdir().unwrap();
    let root = spooled(&folder);
    assert_eq!(pending(&root), 2);
    let ended = run(&mut spool_command("status", &root));
    let (first, rest) = ended.stdout.split_once(" s old\n").unwrap();
    let bytes = record("alice").len() + record("bob").len();
    assert!(
        first.starts_with(&format!(
            "pam\n  pending    2 records, {bytes} bytes, the oldest "
        )),
        "{first}"
    );
    assert_eq!(
        rest,
        "  spooled    2\n  delivered  0\n  refused    0\n  dropped    0\n  corrupt    0\n  removed    0\n"
    );
}

#[test]
fn flush_sends_every_record_in_order_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = spooled(&folder);
    let stored = acct(AcctStatus::Success, "");
    let server = Server::replying_each(vec![stored.clone(), stored]);
    let config = configuration(&folder, server.address);
    let ended = run(spool_command("flush", &root).arg("--config").arg(&config));
    assert_eq!(
        (ended.code, &*ended.stdout, &*ended.stderr),
        (0, "pam: 2 delivered, 0 refused, 0 corrupt: done\n", "")
    );
    let bodies: Vec<Vec<u8>> = server.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies, [record("alice"), record("bob")]);
    assert_eq!(pending(&root), 0);
}

#[test]
fn flush_keeps_the_records_when_no_server_answers() {
    let folder = tempfile::tempdir().unwrap();
    let root = spooled(&folder);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let config = configuration(&folder, nobody);
    let ended = run(spool_command("flush", &root).arg("--config").arg(&config));
    assert_eq!(ended.code, 3);
    assert_eq!(
        ended.stdout,
        "pam: 0 delivered, 0 refused, 0 corrupt: waiting for a server\n"
    );
    assert!(
        ended.stderr.contains("one: cannot connect"),
        "{}",
        ended.stderr
    );
    assert_eq!(pending(&root), 2);
}

/// Sets alice's record aside, as a server would that does not take it.
fn set_aside(root: &Path) {
    let spool = Spool::open(&root.join("pam"), Limits::default()).unwrap();
    spool.deliver(1, &mut |_| Delivery::Refused);
}

#[test]
fn list_names_each_record_and_says_whose_it_is_and_where() {
    let folder = tempfile::tempdir().unwrap();
    let root = spooled(&folder);
    set_aside(&root);
    let ended = run(&mut spool_command("list", &root));
    assert_eq!((ended.code, &*ended.stderr), (0, ""));
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert!(
        lines[0].starts_with("pam/2  waiting  START of \"bob\", ")
            && lines[1].starts_with("pam/1  refused  START of \"alice\", "),
        "{lines:?}"
    );
    let ended = run(spool_command("list", &root).arg("--json"));
    let shown: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(shown["records"][1]["id"], "pam/1");
    assert_eq!(shown["records"][1]["record"]["user"], "alice");
}

#[test]
fn what_a_record_holds_is_shown_escaped() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("spool");
    let spool = Spool::open(&root.join("pam"), Limits::default()).unwrap();
    // As a writer of another day may have made it: ours refuses such names.
    let mut body = record("al~[2Jice");
    body.iter_mut()
        .filter(|byte| **byte == b'~')
        .for_each(|byte| *byte = 0x1b);
    spool.append(&body, 1_000).unwrap();
    for word in ["list", "show"] {
        let mut command = spool_command(word, &root);
        if word == "show" {
            command.arg("pam/1");
        }
        let ended = run(&mut command);
        assert_eq!((ended.code, &*ended.stderr), (0, ""));
        assert!(ended.stdout.contains("al\\x1b[2Jice"), "{}", ended.stdout);
    }
    let ended = run(spool_command("show", &root).arg("pam/1"));
    assert!(
        ended.stdout.contains("  rem_addr        \"192.0.2.7\"\n"),
        "{}",
        ended.stdout
    );
}

#[test]
fn drop_removes_one_record_and_retry_lets_one_wait_again() {
    let folder = tempfile::tempdir().unwrap();
    let root = spooled(&folder);
    set_aside(&root);
    let ended = run(spool_command("drop", &root).arg("pam/2"));
    assert_eq!((ended.code, &*ended.stdout), (0, "pam/2: dropped\n"));
    assert_eq!(pending(&root), 0);
    let ended = run(&mut spool_command("retry", &root));
    assert_eq!((ended.code, &*ended.stdout), (0, "pam/1: waiting\n"));
    assert_eq!(pending(&root), 1);
}

#[test]
fn a_record_that_is_not_there_is_told_by_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let root = spooled(&folder);
    for word in ["show", "drop", "retry"] {
        for id in ["pam/3", "audit/1", "pam/x"] {
            let ended = run(spool_command(word, &root).arg(id));
            assert_eq!((ended.code, &*ended.stdout), (1, ""), "{word} {id}");
            let told = format!("tacplus: {id}: there is no such record\n");
            assert_eq!(ended.stderr, told);
        }
        let ended = run(spool_command(word, &root).arg("3"));
        assert_eq!(ended.code, 2, "{}", ended.stderr);
    }
    assert_eq!(pending(&root), 2);
}

#[test]
fn nobody_drops_a_record_that_is_being_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let root = spooled(&folder);
    let spool = Spool::open(&root.join("pam"), Limits::default()).unwrap();
    spool.deliver(1, &mut |_| {
        for word in ["drop", "retry"] {
            let ended = run(spool_command(word, &root).arg("pam/1"));
            assert_eq!(ended.code, 1);
            assert!(ended.stderr.contains("another process is delivering"));
        }
        Delivery::Retry
    });
    assert_eq!(pending(&root), 2);
}

#[test]
fn a_host_that_never_spooled_has_nothing_to_flush() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("none");
    let config = configuration(&folder, "192.0.2.1");
    let ended = run(spool_command("flush", &root).arg("--config").arg(&config));
    assert_eq!((ended.code, &*ended.stderr), (0, ""));
    assert_eq!(
        ended.stdout,
        format!("{}: nothing was ever spooled\n", root.display())
    );
    let ended = run(spool_command("status", &root).arg("--json"));
    assert_eq!((ended.code, &*ended.stdout), (0, "{\"writers\":[]}\n"));
}
