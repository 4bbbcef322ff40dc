//! `tacplus identity`: the users of the host, and what an administrator may do to them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::Value;
use support::{Ended, KEY, Server, author, program, run};
use tacacs_common::identity::{Entry, State, Store, StoreError, Writer};
use tacacs_common::packet::{AuthenMethod, AuthorRequest, AuthorStatus, Body};
use tempfile::TempDir;

const ALICE: u32 = 2_060_266_183;

struct Host(TempDir);

impl Host {
    fn new() -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(host.0.path().join("lib")).unwrap();
        host
    }

    fn store(&self) -> PathBuf {
        self.0.path().join("lib/identity")
    }

    /// Users with these names, uids and dates of their last approval.
    fn knowing(users: &[(&str, u32, u64)]) -> Self {
        let host = Self::new();
        let writer = Writer::open(&host.store()).unwrap();
        let done: Result<(), StoreError> = writer.change(|book| {
            for (name, uid, learned) in users {
                book.put(entry(name, *uid, *learned)).unwrap();
            }
            Ok(())
        });
        done.unwrap();
        host
    }

    fn find(&self, name: &str) -> Option<Entry> {
        let store = Store::open(&self.store()).unwrap();
        store.by_name(name.as_bytes()).unwrap()
    }

    fn run(&self, words: &[&str]) -> Ended {
        let mut command = program(env!("CARGO_BIN_EXE_tacplus"));
        command.arg("identity").args(words);
        run(command.arg("--store").arg(self.store()))
    }

    fn json(&self, words: &[&str]) -> Value {
        let ended = self.run(&[words, &["--json"]].concat());
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        serde_json::from_str(&ended.stdout).unwrap()
    }

    /// `identity add`, at a server with this address.
    fn add(&self, address: impl std::fmt::Display, mapping: &str, words: &[&str]) -> Ended {
        let path = self.0.path().join("tacplus.conf");
        let text = format!(
            "[global]\nhold_down = 0\n[mapping]\n{mapping}\n[server one]\naddress = {address}\nsecret = {KEY}\n"
        );
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        let path = path.to_str().unwrap();
        self.run(&[&["add", "--config", path], words].concat())
    }
}

fn entry(name: &str, uid: u32, learned: u64) -> Entry {
    Entry {
        name: name.to_owned(),
        uid,
        gid: uid,
        gecos: String::new(),
        home: format!("/home/{name}"),
        shell: "/bin/bash".to_owned(),
        groups: vec![27, 100],
        level: 15,
        learned,
        changed: learned * 1000,
        state: State::Active,
    }
}

fn approving(level: &str) -> Server {
    Server::replying(vec![author(AuthorStatus::PassAdd, &[level])])
}

#[test]
fn add_asks_a_server_for_a_shell_and_stores_its_answer() {
    let host = Host::new();
    let server = approving("priv-lvl=7");
    let ended = host.add(server.address, "", &["alice"]);
    assert_eq!(
        (ended.code, &*ended.stdout, &*ended.stderr),
        (0, "alice: uid 2060266183, level 7\n", "")
    );
    let seen = server.only();
    let request = AuthorRequest::decode(&seen.body).unwrap();
    assert_eq!(request.user, b"alice");
    assert_eq!(request.authen_method, AuthenMethod::None);
    let args: Vec<&[u8]> = request.args.raw().collect();
    assert_eq!(args, [&b"service=shell"[..], b"cmd="]);
    let alice = host.find("alice").unwrap();
    assert_eq!(
        (alice.uid, alice.level, alice.home.as_str()),
        (ALICE, 7, "/home/alice")
    );
}

#[test]
fn add_stores_nothing_unless_a_server_approves() {
    let host = Host::new();
    let server = Server::replying(vec![author(AuthorStatus::Fail, &[])]);
    let ended = host.add(server.address, "", &["alice"]);
    assert_eq!(ended.code, 1);
    assert_eq!(ended.stderr, "tacplus: one: the server refused\n");

    let server = Server::replying(vec![author(AuthorStatus::PassAdd, &[])]);
    let ended = host.add(server.address, "", &["alice"]);
    assert_eq!(ended.code, 1);
    assert!(
        ended.stderr.contains("the server gave no priv-lvl"),
        "{}",
        ended.stderr
    );

    let server = Server::replying(vec![author(
        AuthorStatus::PassAdd,
        &["priv-lvl=1", "shiny=yes"],
    )]);
    assert_eq!(host.add(server.address, "", &["alice"]).code, 1);

    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let ended = host.add(nobody, "", &["alice"]);
    assert_eq!(ended.code, 3, "{}", ended.stderr);
    assert!(!host.store().exists());
}

#[test]
fn add_asks_no_server_about_what_could_never_be_stored() {
    let host = Host::new();
    let nobody = "192.0.2.1";
    for (mapping, words, code, text) in [
        ("", &["Alice"][..], 1, "not a name that this host gives"),
        ("", &["12345"], 1, "not a name that this host gives"),
        ("mode = local", &["alice"], 2, "those of /etc/passwd"),
        ("", &["root"], 1, "'root' is a local user"),
        (
            "[global]\nexclude_users = alice",
            &["alice"],
            1,
            "listed in exclude_users",
        ),
        (
            "",
            &["alice", "--uid", "1000"],
            2,
            "is not in uid_range 2010000000-2146999999",
        ),
        (
            "mode = shared",
            &["alice", "--uid", "2010000000"],
            2,
            "users have the uid of their account",
        ),
    ] {
        let ended = host.add(nobody, mapping, words);
        assert_eq!(ended.code, code, "{}", ended.stderr);
        assert!(ended.stderr.contains(text), "{}", ended.stderr);
    }
}

#[test]
fn a_collision_is_refused_with_the_way_out_and_the_way_out_works() {
    let host = Host::knowing(&[("carol", ALICE, 1)]);
    let server = approving("priv-lvl=1");
    let ended = host.add(server.address, "", &["alice"]);
    assert_eq!(ended.code, 1);
    assert_eq!(
        ended.stderr,
        "tacplus: uid 2060266183, which goes with the name, is that of 'carol'; choose another with \
         'tacplus identity add alice --uid N', the same on every host\n"
    );
    let server = approving("priv-lvl=1");
    let ended = host.add(server.address, "", &["alice", "--uid", "2060266183"]);
    assert_eq!(
        (ended.code, &*ended.stderr),
        (
            1,
            "tacplus: uid 2060266183 is that of 'carol'; choose another\n"
        )
    );
    let server = approving("priv-lvl=1");
    let ended = host.add(server.address, "", &["alice", "--uid", "2010000001"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    // It stays hers from now on.
    let server = approving("priv-lvl=15");
    assert_eq!(host.add(server.address, "", &["alice"]).code, 0);
    let alice = host.find("alice").unwrap();
    assert_eq!(
        (alice.uid, alice.gid, alice.level),
        (2_010_000_001, 2_010_000_001, 15)
    );
}

#[test]
fn a_shared_account_gets_its_uid_before_it_has_users() {
    let host = Host::new();
    let shared = "mode = shared";
    let ended = host.add("192.0.2.1", shared, &["tacacs15", "--uid", "2010000015"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let server = approving("priv-lvl=15");
    assert_eq!(host.add(server.address, shared, &["alice"]).code, 0);
    assert_eq!(host.find("alice").unwrap().uid, 2_010_000_015);
    let ended = host.add("192.0.2.1", shared, &["tacacs15", "--uid", "2010000016"]);
    assert_eq!(ended.code, 1);
    assert!(
        ended.stderr.contains("has uid 2010000015 already"),
        "{}",
        ended.stderr
    );
    let ended = host.run(&["forget", "tacacs15"]);
    assert_eq!(ended.code, 1);
    assert!(
        ended.stderr.contains("the account of 'alice'"),
        "{}",
        ended.stderr
    );
}

#[test]
fn list_and_show_say_what_is_stored() {
    let host = Host::knowing(&[("bob", 2_010_000_002, 5), ("alice", ALICE, 5)]);
    let ended = host.run(&["list"]);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert!(lines[0].starts_with("NAME "), "{}", ended.stdout);
    assert!(
        lines[1].starts_with("alice ") && lines[2].starts_with("bob "),
        "{}",
        ended.stdout
    );
    assert_eq!(host.json(&["list"])["entries"][1]["uid"], 2_010_000_002);
    let ended = host.run(&["show", "alice"]);
    for line in [
        "uid      2060266183",
        "shell    /bin/bash",
        "groups   27,100",
        "state    active",
    ] {
        assert!(
            ended.stdout.lines().any(|shown| shown == line),
            "{}",
            ended.stdout
        );
    }
    let shown = host.json(&["show", "alice"]);
    assert_eq!(
        (&shown["level"], &shown["learned"]),
        (&Value::from(15), &Value::from(5))
    );
    let ended = host.run(&["show", "mallory\u{1b}[2J"]);
    assert_eq!(
        (ended.code, &*ended.stderr),
        (1, "tacplus: 'mallory\\x1b[2J' is not known\n")
    );
}

#[test]
fn a_host_without_a_store_knows_nobody() {
    let host = Host::new();
    assert_eq!(host.run(&["list"]).code, 0);
    assert_eq!(host.json(&["list"])["entries"], Value::Array(Vec::new()));
    assert_eq!(host.run(&["forget", "alice"]).code, 1);
    assert_eq!(host.run(&["prune"]).code, 0);
    assert_eq!(host.run(&["repair"]).code, 0);
    assert!(!host.store().exists());
}

#[test]
fn what_is_forgotten_is_not_found_and_its_uid_stays_taken() {
    let host = Host::knowing(&[("alice", ALICE, 5)]);
    let ended = host.run(&["forget", "alice"]);
    assert_eq!((ended.code, &*ended.stdout), (0, "alice: forgotten\n"));
    assert!(host.find("alice").is_none());
    let ended = host.run(&["show", "alice"]);
    assert!(
        ended.code == 0
            && ended.stdout.contains("\nuid      2060266183\n")
            && ended.stdout.ends_with("\nstate    forgotten\n"),
        "{}{}",
        ended.stdout,
        ended.stderr
    );
    assert_eq!(host.json(&["show", "alice"])["state"], "forgotten");
    assert_eq!(host.run(&["forget", "alice"]).code, 1);
    assert_eq!(host.json(&["list"])["entries"], Value::Array(Vec::new()));
    assert_eq!(
        host.json(&["list", "--all"])["entries"][0]["state"],
        "forgotten"
    );
    let server = approving("priv-lvl=1");
    let ended = host.add(server.address, "", &["bob", "--uid", "2060266183"]);
    assert!(
        ended.code == 1 && ended.stderr.contains("is that of 'alice'"),
        "{}",
        ended.stderr
    );
    let server = approving("priv-lvl=1");
    assert_eq!(host.add(server.address, "", &["alice"]).code, 0);
    assert_eq!(host.find("alice").unwrap().uid, ALICE);
}

#[test]
fn prune_forgets_those_whom_no_server_approved_for_long() {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let day = 24 * 60 * 60;
    let host = Host::knowing(&[
        ("alice", 2_010_000_001, now - 400 * day),
        ("bob", 2_010_000_002, now - 300 * day),
        ("carol", 2_010_000_003, now),
    ]);
    assert_eq!(host.run(&["prune"]).stdout, "alice: forgotten\n");
    assert_eq!(
        host.json(&["prune", "--older-than", "30"])["forgotten"],
        serde_json::json!(["bob"])
    );
    assert!(host.find("carol").is_some());
    assert_eq!(host.run(&["prune", "--older-than", "0"]).code, 2);
}

#[test]
fn a_damaged_store_is_said_to_be_one_and_repaired_on_demand() {
    let host = Host::knowing(&[("alice", ALICE, 5), ("bob", 2_010_000_002, 5)]);
    let text = std::fs::read_to_string(host.store()).unwrap();
    std::fs::write(host.store(), text.replace("bob:", "b\to:b")).unwrap();
    let ended = host.run(&["list"]);
    assert_eq!(ended.code, 2);
    assert!(
        ended.stderr.contains("tacplus identity repair"),
        "{}",
        ended.stderr
    );
    let ended = host.run(&["repair"]);
    assert_eq!((ended.code, &*ended.stdout), (0, "1 entry kept\n"));
    assert!(
        ended
            .stderr
            .contains("identity.damaged:3: not a well-formed entry"),
        "{}",
        ended.stderr
    );
    assert!(host.find("alice").is_some());
}
