//! What an operator does with the server: check, start, reload, stop.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::process::{Command, Output};

use common::{CONFIGURATION, SECRET, Server, Wire, acct, arguments, author, pap, say, start};
use tacacs_common::packet::{AuthenType, Version};

fn run(arguments: &[&str], configuration: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tac_plus.conf");
    std::fs::write(&path, configuration).unwrap();
    Command::new(env!("CARGO_BIN_EXE_tac_plus"))
        .args(arguments)
        .arg("-C")
        .arg(&path)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn checking_prints_the_configuration_without_a_secret() {
    let output = run(&["-P"], CONFIGURATION);
    assert!(output.status.success());
    let printed = text(&output.stdout);
    assert!(
        printed.contains("host = 127.0.0.1 {\n    key = ***\n"),
        "{printed}"
    );
    assert!(printed.contains("    pap = cleartext ***\n"), "{printed}");
    let everything = printed + &text(&output.stderr);
    for secret in [
        SECRET,
        "another-secret",
        "alice-login",
        "alice-pap",
        "alice-chap",
        "alice-enable",
    ] {
        assert!(!everything.contains(secret), "{secret} in {everything}");
    }
}

#[test]
fn checking_tells_what_would_be_missed_and_fails_at_what_could_not_be_served() {
    let hosts = "host = 192.0.2.1 { key = \"a secret of more than sixteen\" }\n";
    let text_of = |more: &str| format!("{hosts}{more}\n");
    for (more, told) in [
        (
            "user = alice { login = file /no/such/users }",
            "tac_plus.conf:2: user 'alice': password file /no/such/users cannot be read",
        ),
        (
            "accounting file = /no/such/folder/acct",
            "accounting file /no/such/folder/acct cannot be written",
        ),
        ("", "the log /no/such/folder/log cannot be opened"),
    ] {
        let output = run(&["-P", "-l", "/no/such/folder/log"], &text_of(more));
        let said = text(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(said.contains(told), "{told}: {said}");
    }
    let tls = "tls listen = 127.0.0.1:300 tls ca = /no/ca tls certificate = /no/c tls key = /no/k";
    let output = run(&["-P"], &text_of(tls));
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("TLS: /no/"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn checking_a_broken_file_fails_and_names_the_place() {
    let output = run(&["-P"], "key = x\nuser = a { cmd = show { pemit x } }\n");
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains("tac_plus.conf:2:25: unknown word in a command 'pemit'"),
        "{said}"
    );
    assert!(said.contains("did you mean 'permit'?"), "{said}");
}

#[test]
fn a_configuration_that_everybody_can_read_is_warned_about() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tac_plus.conf");
    std::fs::write(&path, CONFIGURATION).unwrap();
    for (mode, warned) in [(0o644, true), (0o640, false)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_tac_plus"))
            .args(["-P", "-C"])
            .arg(&path)
            .output()
            .unwrap();
        let said = text(&output.stderr);
        assert_eq!(
            said.contains("everybody on this host"),
            warned,
            "{mode:o}: {said}"
        );
    }
}

#[test]
fn flags_that_cannot_be_honoured_are_refused_and_harmless_ones_accepted() {
    let output = run(&["-P", "-i"], CONFIGURATION);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("-i is not supported"));
    let output = run(
        &["-P", "-u", "/wtmp", "-w", "/who", "-L", "-d", "16"],
        CONFIGURATION,
    );
    assert!(output.status.success());
    for flag in ["-u", "-w", "-L", "-d"] {
        let expected = format!("{flag} has no effect");
        assert!(text(&output.stderr).contains(&expected), "{flag}");
    }
    let output = run(
        &[
            "-P", "-G", "-g", "-t", "-L", "-S", "-s", "-d", "16", "-m", "5",
        ],
        CONFIGURATION,
    );
    assert!(output.status.success());
}

#[test]
fn a_broken_reload_changes_nothing_and_a_good_one_does() {
    let mut server = Server::start(CONFIGURATION);
    std::fs::write(server.configuration_path(), "user = {").unwrap();
    server.signal("HUP");
    server.wait_for_line("configuration not reloaded, the one before stays in force");
    assert_eq!(
        server.connect().start(&pap("alice", "alice-pap")),
        "PASS \"\""
    );
    let changed = CONFIGURATION.replace("\"alice-pap\"", "\"new-pap\"");
    std::fs::write(server.configuration_path(), changed).unwrap();
    server.signal("HUP");
    server.wait_for_line("configuration reloaded");
    assert_eq!(
        server.connect().start(&pap("alice", "alice-pap")),
        "FAIL \"\""
    );
    assert_eq!(
        server.connect().start(&pap("alice", "new-pap")),
        "PASS \"\""
    );
}

#[test]
fn a_running_session_ends_under_the_configuration_it_began_with() {
    let mut server = Server::start(CONFIGURATION);
    let mut wire = server.connect();
    assert_eq!(
        wire.ask(
            1,
            1,
            Version::DEFAULT,
            true,
            &start(AuthenType::Ascii, "alice", b"")
        )
        .status(),
        "GETPASS"
    );
    let changed = CONFIGURATION.replace("\"alice-login\"", "\"new-login\"");
    std::fs::write(server.configuration_path(), changed).unwrap();
    server.signal("HUP");
    server.wait_for_line("configuration reloaded");
    assert_eq!(
        wire.ask(1, 3, Version::DEFAULT, true, &say("alice-login"))
            .status(),
        "PASS"
    );
    assert_eq!(
        wire.ask(
            2,
            1,
            Version::DEFAULT,
            true,
            &start(AuthenType::Ascii, "alice", b"")
        )
        .status(),
        "GETPASS"
    );
    assert_eq!(
        wire.ask(2, 3, Version::DEFAULT, true, &say("new-login"))
            .status(),
        "PASS"
    );
}

#[test]
fn a_client_that_is_no_longer_one_begins_no_session() {
    let mut server = Server::start(CONFIGURATION);
    let mut wire = server.connect();
    assert_eq!(
        wire.ask(1, 1, Version::ONE, true, &pap("alice", "alice-pap"))
            .status(),
        "PASS"
    );
    std::fs::write(
        server.configuration_path(),
        "host = 192.0.2.1 { key = \"a secret of more than sixteen\" }",
    )
    .unwrap();
    server.signal("HUP");
    server.wait_for_line("configuration reloaded");
    let bytes = wire.packet(2, 1, Version::ONE, true, &pap("alice", "alice-pap"));
    wire.send(&bytes);
    assert!(wire.is_closed());
}

#[test]
fn the_server_stops_when_told_and_lets_a_dialogue_end() {
    let mut server = Server::start(CONFIGURATION);
    let mut idle = server.connect();
    assert_eq!(
        idle.ask(1, 1, Version::ONE, true, &pap("alice", "alice-pap"))
            .status(),
        "PASS"
    );
    let mut busy = server.connect();
    assert_eq!(
        busy.ask(
            1,
            1,
            Version::DEFAULT,
            true,
            &start(AuthenType::Ascii, "alice", b"")
        )
        .status(),
        "GETPASS"
    );
    server.signal("TERM");
    server.wait_for_line("stopping");
    assert!(idle.is_closed());
    assert_eq!(
        busy.ask(1, 3, Version::DEFAULT, true, &say("alice-login"))
            .status(),
        "PASS"
    );
    assert!(busy.is_closed());
    assert!(server.wait().success());
}

fn make_pipe(path: &std::path::Path) {
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

#[test]
fn a_pipe_in_place_of_a_configuration_or_a_log_holds_nothing_up() {
    let mut server = Server::start(CONFIGURATION);
    let path = server.configuration_path();
    std::fs::remove_file(&path).unwrap();
    make_pipe(&path);
    server.signal("HUP");
    server.wait_for_line("configuration not reloaded");
    // One that somebody keeps open and never ends.
    let writer = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path);
    server.signal("HUP");
    server.signal("TERM");
    assert!(server.wait().success());
    drop(writer);
    let folder = tempfile::tempdir().unwrap();
    let (log, configuration) = (
        folder.path().join("log"),
        folder.path().join("tac_plus.conf"),
    );
    make_pipe(&log);
    std::fs::write(&configuration, CONFIGURATION).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_tac_plus"))
        .args(["-B", "127.0.0.1", "-p", "0", "-l"])
        .arg(&log)
        .arg("-C")
        .arg(&configuration)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut lines = std::io::BufRead::lines(stderr).map_while(Result::ok);
    let mut said = |part: &str| lines.any(|line| line.contains(part));
    assert!(said("log cannot be opened") && said("listening on"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn lines_for_the_journal_begin_with_their_severity_and_no_others_do() {
    let journal = "-c 0; export JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2)";
    for (limit, prefixes) in [
        (journal, ["<6>", "<5>", "<3>"]),
        ("-c 0; export JOURNAL_STREAM=1:1", ["", "", ""]),
    ] {
        let mut server = Server::start_under(limit, CONFIGURATION);
        let login = |password: &str| server.connect().start(&pap("alice", password));
        assert_eq!(
            [login("alice-pap"), login("wrong")],
            ["PASS \"\"", "FAIL \"\""]
        );
        std::fs::write(server.configuration_path(), "bogus\n").unwrap();
        server.signal("HUP");
        let said = [
            "login success",
            "login failure",
            "configuration not reloaded",
        ];
        for (part, prefix) in said.into_iter().zip(prefixes) {
            let line = server.wait_for_line(part);
            assert!(line.starts_with(&format!("{prefix}tac_plus: ")), "{line}");
        }
    }
}

#[test]
fn signals_of_timers_end_nothing_and_sigusr2_tells_who_was_answered_what() {
    let mut server = Server::start(CONFIGURATION);
    for name in ["ALRM", "VTALRM", "PROF"] {
        server.signal(name);
    }
    let mut kept = server.connect();
    let reply = kept.ask(1, 1, Version::ONE, true, &pap("alice", "alice-pap"));
    assert_eq!(reply.status(), "PASS");
    assert_eq!(server.connect().start(&pap("alice", "wrong")), "FAIL \"\"");
    server
        .connect()
        .author("alice", &["service=shell", "cmd=show", "cmd-arg=run"]);
    assert_eq!(server.connect().acct(2, &["task_id=1"]), "SUCCESS");
    server.signal("USR2");
    let counts = "passed=1 failed=1 permitted=0 denied=1 recorded=1 errors=0";
    let total = server.wait_for_line("answers: connections=");
    assert!(total.ends_with(counts), "{total}");
    let client = server.wait_for_line("answers: device=127.0.0.1 connections=");
    assert!(client.ends_with(counts), "{client}");
}

#[test]
fn a_configuration_that_others_may_write_is_not_served_by_root() {
    use std::os::unix::fs::{PermissionsExt, chown};
    if !rustix::process::getuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tac_plus.conf");
    std::fs::write(&path, CONFIGURATION).unwrap();
    let check = |mode: u32, owner: u32| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        chown(&path, Some(owner), None).unwrap();
        let mut check = Command::new(env!("CARGO_BIN_EXE_tac_plus"));
        let output = check.args(["-P", "-C"]).arg(&path).output().unwrap();
        (output.status.success(), text(&output.stderr))
    };
    let (good, said) = check(0o666, 0);
    assert!(
        !good && said.contains("everybody on this host may write it"),
        "{said}"
    );
    let (good, said) = check(0o600, 65534);
    assert!(
        !good && said.contains("it belongs to user 65534, who may write it"),
        "{said}"
    );
    assert!(check(0o640, 0).0);
}

#[test]
fn a_log_that_nobody_reads_holds_neither_a_request_nor_the_end() {
    let mut server = Server::start(&format!("{CONFIGURATION}logauthor\n"));
    server.stop_reading_lines();
    let mut wire = server.connect();
    let long = format!("cmd={}", "x".repeat(200));
    let args = arguments(&["service=shell", &long]);
    // Far more than a pipe holds.
    for id in 1..=1000 {
        let request = author("alice", &args);
        let reply = wire.ask(id, 1, Version::DEFAULT, true, &request);
        assert_eq!(reply.status(), "FAIL");
    }
    server.signal("TERM");
    assert!(server.wait().success());
}

#[test]
fn a_file_at_its_size_limit_is_an_error_and_not_the_end() {
    // One block, of 512 bytes in one shell and 1024 in another.
    let server = Server::start_under("-f 1", CONFIGURATION);
    let answers: Vec<String> = (0..40)
        .map(|_| server.connect().acct(2, &["task_id=1", "service=shell"]))
        .collect();
    assert_eq!(answers.first().map(String::as_str), Some("SUCCESS"));
    assert_eq!(answers.last().map(String::as_str), Some("ERROR"));
    let stored = answers.iter().filter(|answer| *answer == "SUCCESS").count();
    assert_eq!(server.records().len(), stored, "no half record");
}

#[test]
fn connections_cannot_use_up_the_descriptors_that_a_rotation_and_a_reload_need() {
    let mut server = Server::start_under("-n 20", CONFIGURATION);
    let mut first = server.connect();
    let args = arguments(&["task_id=1", "service=shell"]);
    let record = acct(2, &args);
    let stored = |wire: &mut Wire, id| wire.ask(id, 1, Version::DEFAULT, true, &record).acct();
    assert_eq!(stored(&mut first, 1), "SUCCESS");
    // At work: what nothing happens on would give way.
    let login = start(AuthenType::Ascii, "alice", b"");
    let asked = first.ask(3, 1, Version::DEFAULT, true, &login);
    assert_eq!(asked.status(), "GETPASS");
    let _idle: Vec<Wire> = (0..30).map(|_| server.connect()).collect();
    server.wait_for_line("refused: too many connections");
    std::fs::rename(
        server.accounting_path(),
        server.folder.path().join("rotated"),
    )
    .unwrap();
    assert_eq!(stored(&mut first, 2), "SUCCESS");
    assert_eq!(server.records().len(), 1);
    server.signal("HUP");
    server.wait_for_line("configuration reloaded");
}

#[test]
fn the_servers_memory_goes_into_no_core() {
    let server = Server::start_under("-S -c $(ulimit -H -c)", CONFIGURATION);
    let limits = server.process_file("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core"));
    let values: Vec<&str> = core.unwrap().split_whitespace().collect();
    assert_eq!(values.get(4..6), Some(&["0", "0"][..]));
}

#[test]
fn no_log_line_holds_a_secret_or_a_password() {
    let mut server = Server::start(CONFIGURATION);
    server.connect().start(&pap("alice", "alice-pap"));
    server.connect().start(&pap("alice", "typed-by-mistake"));
    let mut wire = server.connect();
    wire.start(&start(AuthenType::Ascii, "alice", b""));
    wire.say(3, "typed-by-mistake");
    let mut wire = server
        .connect()
        .with_secret("the-secret-of-somebody-else-here");
    let bytes = wire.packet(1, 1, Version::ONE, false, &pap("alice", "alice-pap"));
    wire.send(&bytes);
    wire.receive();
    std::fs::write(
        server.configuration_path(),
        format!("{CONFIGURATION}\nuser = b {{ login = hunter2 }}"),
    )
    .unwrap();
    server.signal("HUP");
    server.wait_for_line("configuration not reloaded");
    server.signal("TERM");
    server.wait();
    let lines = server.all_lines();
    assert!(lines.contains("wrong shared secret"), "{lines}");
    for secret in [
        SECRET,
        "somebody-else",
        "alice-pap",
        "alice-login",
        "typed-by-mistake",
        "hunter2",
    ] {
        assert!(!lines.contains(secret), "{secret} in {lines}");
    }
}
