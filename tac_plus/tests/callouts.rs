//! Programs that take part in an authorization, run by the real server.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::{PATIENCE, Packet, SECRET, Server, arguments, author};
use tacacs_common::obfuscate::obfuscate;
use tacacs_common::packet::{AuthorReply, Body, Flags, Header, PacketType, Version};

const HOST: &str = "host = 127.0.0.1 { key = \"Kat-Secret-0123456789-abcdefghij\" }\n";

struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn script(&self, name: &str, body: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

fn asked(server: &Server, user: &str, args: &[&str]) -> String {
    server.connect().author(user, args)
}

const EXEC: [&str; 2] = ["service=shell", "cmd="];

#[test]
fn a_program_before_decides_by_its_exit_code() {
    let scene = Scene::new();
    let script = scene.script(
        "pre",
        r#"case $1 in
three) echo foo=bar; echo "no, sorry" >&2; exit 3;;
two) sed s/^cmd=.*/cmd=/; echo priv-lvl=7; exit 2;;
*) exit $2;;
esac"#,
    );
    let user = |name: &str| {
        format!(
            "user = {name} {{ service = exec {{ priv-lvl = 15 }} before authorization \"{script} $user ${{priv}}\" }}\n"
        )
    };
    let users: String = ["zero", "two", "three"].map(user).concat();
    let fixed = |name: &str, code: u8| {
        format!("user = {name} {{ before authorization \"{script} {name} {code}\" }}\n")
    };
    let users = [users, fixed("ok", 0), fixed("no", 1), fixed("odd", 9)].concat();
    let mut server = Server::start(&format!("{HOST}{users}"));
    for (user, args, expected) in [
        ("ok", &EXEC[..], "PASS_ADD []"),
        ("no", &EXEC, "FAIL []"),
        ("two", &EXEC, "PASS_REPL [service=shell, cmd=, priv-lvl=7]"),
        ("two", &["service=shell", "cmd=show"], "ERROR []"),
        ("three", &EXEC, "FAIL [foo=bar]"),
        ("odd", &EXEC, "ERROR []"),
    ] {
        assert_eq!(asked(&server, user, args), expected, "{user} {args:?}");
    }
    server.wait_for_line("ended with 9");
    let args = arguments(&EXEC);
    let reply = (server.connect()).ask(7, 1, Version::DEFAULT, false, &author("three", &args));
    let reply = AuthorReply::decode(&reply.body).unwrap();
    assert_eq!(reply.server_msg, b"no, sorry");
}

#[test]
fn a_program_after_sees_what_is_proposed_also_for_an_implicit_shell() {
    let scene = Scene::new();
    let script = scene.script("post", "cat > \"$1\"; echo \"$2\" >> \"$1\"; exit 0");
    let seen = scene.path("seen");
    let seen = seen.display();
    let after = format!("after authorization \"{script} {seen} $status\"");
    let server = Server::start(&format!(
        "{HOST}user = explicit {{ {after} service = exec {{ priv-lvl = 15 }} }}\n\
         user = implicit {{ {after} cmd = show {{ permit .* }} }}\n\
         user = default {{ default service = permit {after} }}\n"
    ));
    for (user, reply, stdin) in [
        (
            "explicit",
            "PASS_ADD [priv-lvl=15]",
            "service=shell\ncmd=\npriv-lvl=15\npass\n",
        ),
        ("implicit", "PASS_ADD []", "service=shell\ncmd=\npass\n"),
        ("default", "PASS_ADD []", "service=shell\ncmd=\npass\n"),
    ] {
        assert_eq!(asked(&server, user, &EXEC), reply, "{user}");
        assert_eq!(scene.text("seen"), stdin, "{user}");
    }
}

#[test]
fn what_the_configuration_denies_is_not_permitted_by_a_program_that_repeats_what_it_reads() {
    let scene = Scene::new();
    // As the script that many old files have: it permits what it reads, and fails on nothing.
    let script = scene.script(
        "do_auth",
        "pairs=$(cat); [ \"$pairs\" ] || exit 1; echo \"$pairs\"; exit 2",
    );
    let server = Server::start(&format!(
        "{HOST}user = low {{ service = exec {{ priv-lvl = 1 }} after authorization {script} }}\n\
         user = none {{ service = slip {{ }} after authorization {script} }}\n"
    ));
    let raised = ["service=shell", "cmd=", "priv-lvl=15"];
    assert_eq!(asked(&server, "low", &raised), "FAIL []");
    assert_eq!(asked(&server, "none", &EXEC), "FAIL []");
    let granted = "PASS_REPL [service=shell, cmd=, priv-lvl=1]";
    assert_eq!(asked(&server, "low", &EXEC), granted);
}

#[test]
fn an_interpreter_without_its_script_permits_nothing_and_the_log_has_its_words() {
    let scene = Scene::new();
    let script = scene.script("python", "echo \"can't open file '$1'\" >&2; exit 2");
    let mut server = Server::start(&format!(
        "{HOST}user = before {{ before authorization \"{script} /no/such/before.py\" }}\n\
         user = after {{ default service = permit after authorization \"{script} /no/such/after.py\" }}\n"
    ));
    for user in ["before", "after"] {
        assert_eq!(asked(&server, user, &EXEC), "ERROR []", "{user}");
        server.wait_for_line(&format!(
            "wrote no arguments, only to standard error: user={user} client=10.9.8.7 \
             device=127.0.0.1 stderr='can\\047t open file \\047/no/such/{user}.py"
        ));
    }
    server.signal("TERM");
    let lines = server.all_lines();
    let told = "'/no/such/after.py', which a program is started with, cannot be read: No such file";
    assert!(lines.contains(told), "{lines}");
}

/// The answer to a request that no honest client would send.
fn raw(server: &Server, field: &str, args: &[&str]) -> Packet {
    let len = |text: &str| u8::try_from(text.len()).unwrap();
    let mut body = vec![6, 1, 1, 1, 5, len(field), len(field)];
    body.push(u8::try_from(args.len()).unwrap());
    body.extend(args.iter().map(|arg| len(arg)));
    body.extend_from_slice(["alice", field, field, &args.concat()].concat().as_bytes());
    let header = Header {
        version: Version::DEFAULT,
        packet_type: PacketType::Author,
        seq_no: 1,
        flags: Flags::default(),
        session_id: common::fresh_id(),
        length: body.len().try_into().unwrap(),
    };
    obfuscate(SECRET.as_bytes(), &header, &mut body);
    let mut wire = server.connect();
    wire.send(&[&header.encode()[..], &body].concat());
    wire.reply()
}

#[test]
fn no_field_of_a_request_runs_a_command_or_becomes_two_words() {
    let scene = Scene::new();
    let show = scene.script(
        "words",
        &format!(
            "out={}; for word; do echo \"[$word]\"; done > $out",
            scene.path("out").display()
        ),
    );
    let marker = scene.path("owned");
    let owned = marker.display();
    for shell in ["no", "yes"] {
        let server = Server::start(&format!(
            "callout shell = {shell}\n{HOST}user = alice {{ before authorization \"{show} $port $address end\" }}\n"
        ));
        for field in [
            format!("x; touch {owned} #"),
            format!("$(touch {owned})"),
            format!("`touch {owned}`"),
            format!("' ; touch {owned} ; '"),
            format!("\" ; touch {owned} ; \""),
            format!("x\ntouch {owned}"),
            format!("| touch {owned}"),
            "* ? ~ $HOME ${PATH}".to_owned(),
        ] {
            assert_eq!(raw(&server, &field, &EXEC).status(), "PASS_ADD", "{field}");
            assert_eq!(
                scene.text("out"),
                format!("[{field}]\n[{field}]\n[end]\n"),
                "shell = {shell}"
            );
            assert!(!marker.exists(), "{field}");
        }
    }
}

#[test]
fn an_argument_with_a_line_break_cannot_become_two() {
    let scene = Scene::new();
    let script = scene.script("pre", &format!("cat > {}", scene.path("seen").display()));
    let server = Server::start(&format!(
        "{HOST}user = alice {{ before authorization \"{script}\" }}\n"
    ));
    let reply = raw(&server, "tty1", &["service=shell", "cmd=show\npriv-lvl=15"]);
    assert_eq!(reply.status(), "ERROR");
    assert_eq!(scene.text("seen"), "", "it is not even run");
}

#[test]
fn a_program_that_cannot_be_started_is_an_error_and_so_is_one_that_kills_itself() {
    let scene = Scene::new();
    let script = scene.script("dies", "kill -9 $$");
    let mut server = Server::start(&format!(
        "{HOST}user = none {{ before authorization /no/such/program }}\n\
         user = dies {{ default service = permit after authorization {script} }}\n"
    ));
    assert_eq!(asked(&server, "none", &EXEC), "ERROR []");
    let line = server.wait_for_line("program '/no/such/program' cannot be started: No such file");
    assert!(line.contains(": user=none client=10.9.8.7 device=127.0.0.1"));
    assert_eq!(asked(&server, "dies", &EXEC), "ERROR []");
    server.wait_for_line("dies' was killed: user=dies client=10.9.8.7 device=127.0.0.1");
}

#[test]
fn an_exit_code_that_is_no_answer_is_in_the_log_with_the_program_and_whom_it_was_about() {
    let scene = Scene::new();
    let script = scene.script("ask", "echo \"no idea\" >&2; echo \"$3\"; exit $1");
    let user = |name: &str, when: &str, code: u8, word: &str| {
        format!(
            "user = {name} {{ default service = permit {when} authorization \"{script} {code} sesame {word}\" }}\n"
        )
    };
    let mut server = Server::start(
        &[
            HOST.to_owned(),
            user("replaced", "before", 2, "a=b"),
            user("listed", "after", 3, "a=b"),
            user("worded", "before", 2, "word"),
            user("odd", "before", 9, "a=b"),
            user("denied", "before", 1, "a=b"),
        ]
        .concat(),
    );
    assert_eq!(asked(&server, "denied", &EXEC), "FAIL []");
    for (user, args, why) in [
        (
            "replaced",
            ["service=shell", "cmd=show"],
            "ended with 2, which is no answer about a command (0 permits, 1 denies)",
        ),
        (
            "listed",
            EXEC,
            "ended with 3, which is no answer of 'after authorization' (0 leaves the decision, 1 denies)",
        ),
        (
            "worded",
            EXEC,
            "ended with 2, but what it wrote is no list of arguments",
        ),
        ("odd", EXEC, "ended with 9, which is no answer"),
    ] {
        assert_eq!(asked(&server, user, &args), "ERROR []", "{user}");
        let expected = format!(
            "program '{script}' {why}: user={user} client=10.9.8.7 device=127.0.0.1 stderr='no idea"
        );
        server.wait_for_line(&expected);
    }
    server.signal("TERM");
    let lines = server.all_lines();
    assert!(
        !lines.contains("sesame") && !lines.contains(": user=denied"),
        "{lines}"
    );
}

fn lives(pid_file: &Path) -> bool {
    let pid = std::fs::read_to_string(pid_file).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    // A zombie waits for whoever adopted it and does nothing.
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_program_that_hangs_is_killed_with_its_children_and_others_are_answered_meanwhile() {
    let scene = Scene::new();
    let child = scene.path("child");
    let script = scene.script(
        "hang",
        &format!("sleep 1000 & echo $! > {}; wait", child.display()),
    );
    let mut server = Server::start(&format!(
        "callout timeout = 2\n{HOST}user = hang {{ before authorization {script} }}\n\
         user = alice {{ default service = permit }}\n"
    ));
    let start = Instant::now();
    let mut hanging = server.connect();
    let args = arguments(&EXEC);
    let request = hanging.packet(7, 1, Version::DEFAULT, false, &author("hang", &args));
    hanging.send(&request);
    assert_eq!(asked(&server, "alice", &EXEC), "PASS_ADD []");
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(hanging.reply().author(), "ERROR []");
    server.wait_for_line("did not end within 2s and was killed: user=hang client=10.9.8.7");
    wait_until("its child is gone", || !lives(&child));
}

#[test]
fn what_a_program_leaves_in_the_background_is_neither_waited_for_nor_killed() {
    let scene = Scene::new();
    let (child, go) = (scene.path("child"), scene.path("go"));
    let script = scene.script(
        "leaves",
        &format!(
            "while ! [ -e {} ]; do sleep 0.01; done & echo $! > {}; exit 1",
            go.display(),
            child.display()
        ),
    );
    let server = Server::start(&format!(
        "{HOST}user = alice {{ before authorization {script} }}\n"
    ));
    assert_eq!(asked(&server, "alice", &EXEC), "FAIL []");
    assert!(lives(&child));
    std::fs::write(&go, "").unwrap();
    wait_until("it ends by itself", || !lives(&child));
}

#[test]
fn a_program_that_nobody_waits_for_any_more_is_killed() {
    let scene = Scene::new();
    let pid = scene.path("pid");
    let script = scene.script(
        "hang",
        &format!("echo $$ > {}; exec sleep 1000", pid.display()),
    );
    let mut server = Server::start(&format!(
        "callout timeout = 600\nlimit answer = 600\n{HOST}user = alice {{ before authorization {script} }}\n"
    ));
    let mut wire = server.connect();
    let args = arguments(&EXEC);
    let request = wire.packet(7, 1, Version::DEFAULT, true, &author("alice", &args));
    wire.send(&request);
    wait_until("it runs", || !scene.text("pid").is_empty());
    // A reset, and not a half-closed connection that still listens.
    rustix::net::sockopt::set_socket_linger(&wire.stream, Some(Duration::ZERO)).unwrap();
    drop(wire);
    server.wait_for_line("nobody waits for it any more");
    wait_until("it is gone", || !lives(&pid));
}

#[test]
fn a_program_may_ignore_its_input_and_write_too_much() {
    let scene = Scene::new();
    let deaf = scene.script("deaf", "exec 0<&-; exit 0");
    let loud = scene.script("loud", "yes a=b; exit 2");
    let server = Server::start(&format!(
        "{HOST}user = deaf {{ before authorization {deaf} }}\nuser = loud {{ before authorization {loud} }}\n"
    ));
    let long: Vec<String> = (0..200)
        .map(|n| format!("a{n}={}", "x".repeat(200)))
        .collect();
    let mut args = EXEC.to_vec();
    args.extend(long.iter().map(String::as_str));
    assert_eq!(asked(&server, "deaf", &args), "PASS_ADD []");
    assert_eq!(asked(&server, "loud", &EXEC), "ERROR []");
}

#[test]
fn a_program_does_not_outlive_the_server() {
    let scene = Scene::new();
    let pid = scene.path("pid");
    let script = scene.script(
        "hang",
        &format!("echo $$ > {}; exec sleep 1000", pid.display()),
    );
    let mut server = Server::start(&format!(
        "callout timeout = 600\n{HOST}user = alice {{ before authorization {script} }}\n"
    ));
    let mut wire = server.connect();
    let args = arguments(&EXEC);
    let request = wire.packet(7, 1, Version::DEFAULT, true, &author("alice", &args));
    wire.send(&request);
    wait_until("it runs", || !scene.text("pid").is_empty());
    server.signal("TERM");
    assert!(server.wait().success());
    assert!(!lives(&pid));
}

#[test]
fn a_program_that_is_not_there_is_told_at_the_start() {
    let mut server = Server::start(&format!(
        "{HOST}user = alice {{ before authorization \"/no/such/program $user\" }}\n"
    ));
    server.signal("TERM");
    let lines = server.all_lines();
    assert!(
        lines.contains("program '/no/such/program' cannot be started"),
        "{lines}"
    );
}
