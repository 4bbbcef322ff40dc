//! `decode` on every packet of the known-answer file: what is in it, and the named
//! error of each that is wrong.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use serde_json::Value;
use support::{Ended, program, run, run_with_stdin};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tacacs_client");

fn vectors() -> Value {
    serde_json::from_str(include_str!(
        "../../tacacs_common/tests/vectors/packets.json"
    ))
    .unwrap()
}

/// Decodes a vector with its own secret and transport.
fn decode(vector: &Value, options: &[&str]) -> Ended {
    let mut command = program(PROGRAM);
    command.arg("decode").args(options);
    if vector["transport"] == "tls" {
        command.arg("--tls");
    } else if let Some(secret) = vector["secret"].as_str() {
        command.env("TACACS_PLUS_KEY", secret);
    }
    run_with_stdin(&mut command, vector["packet_hex"].as_str().unwrap())
}

fn vector(name: &str) -> Value {
    let all = vectors();
    let found = all["vectors"]
        .as_array()
        .unwrap()
        .iter()
        .find(|v| v["name"] == name);
    found.unwrap_or_else(|| panic!("{name}")).clone()
}

#[test]
fn every_known_packet_is_shown_with_its_values() {
    for vector in vectors()["vectors"].as_array().unwrap() {
        let ended = decode(vector, &["--json", "--show-secrets"]);
        let name = &vector["name"];
        assert_eq!((ended.code, &*ended.stderr), (0, ""), "{name}");
        let shown: Value = serde_json::from_str(&ended.stdout).unwrap();
        let kind = vector["kind"].as_str().unwrap().replace('_', "");
        let kind = kind.replace("response", "reply");
        assert_eq!(
            shown["kind"].as_str().unwrap().to_lowercase(),
            kind,
            "{name}"
        );
        assert_eq!(
            shown["header"]["seq_no"], vector["header"]["seq_no"],
            "{name}"
        );
        assert_eq!(
            shown["header"]["length"], vector["header"]["length"],
            "{name}"
        );
        for field in ["user", "port", "rem_addr", "args", "priv_lvl"] {
            let listed = &vector["decoded"][field];
            if !listed.is_null() {
                assert_eq!(&shown["body"][field], listed, "{name}: {field}");
            }
        }
        for field in ["server_msg", "user_msg"] {
            if let Some(listed) = vector["decoded"][field].as_str() {
                let escaped = listed.replace('\n', "\\x0a");
                assert_eq!(shown["body"][field], escaped, "{name}: {field}");
            }
        }
    }
}

#[test]
fn every_invalid_packet_is_shown_with_its_error_by_name() {
    for vector in vectors()["invalid"].as_array().unwrap() {
        let ended = decode(vector, &["--json"]);
        let name = &vector["name"];
        assert_eq!((ended.code, &*ended.stderr), (1, ""), "{name}");
        let shown: Value = serde_json::from_str(ended.stdout.lines().next().unwrap()).unwrap();
        let listed = vector["error"].as_str().unwrap();
        let code = listed
            .trim_start_matches("E_")
            .to_lowercase()
            .replace('_', "-");
        assert_eq!(shown["errors"][0]["code"], code, "{name}: {}", ended.stdout);
    }
}

#[test]
fn a_packet_reads_well() {
    let ended = decode(&vector("author-pass-add-args"), &[]);
    assert_eq!(ended.stdout, AUTHOR_REPLY);
}

const AUTHOR_REPLY: &str = "\
packet at byte 0
  version         0xc0
  type            AUTHOR
  seq_no          2
  flags           0x00
  unencrypted     no
  single_connect  no
  session_id      0x4a2b3c02
  length          41
  AuthorReply
    status      PASS_ADD
    server_msg  \"\"
    data        \"\"
    args        3
        priv-lvl=15
        timeout=60
        idletime*10
";

#[test]
fn passwords_and_responses_are_hidden_unless_asked_for() {
    for (name, field, len, clear) in [
        ("pap-1-start", "data", None, None),
        ("ascii-5-continue-pass", "user_msg", None, None),
        ("chap-1-start", "response", Some(16), None),
        ("mschapv2-1-start", "response", Some(49), Some(98)),
    ] {
        let vector = vector(name);
        let shown = decode(&vector, &["--json"]);
        let hidden: Value = serde_json::from_str(&shown.stdout).unwrap();
        let words = hidden["body"][field].as_str().unwrap();
        assert!(words.starts_with("<hidden, "), "{name}: {words}");
        if let Some(len) = len {
            assert_eq!(words, format!("<hidden, {len} bytes>"));
        }
        let secret = vector["password"].as_str().unwrap_or("password");
        assert!(!shown.stdout.contains(secret), "{name}");
        assert!(!decode(&vector, &[]).stdout.contains(secret), "{name}");
        let shown = decode(&vector, &["--json", "--show-secrets"]);
        let open: Value = serde_json::from_str(&shown.stdout).unwrap();
        let words = open["body"][field].as_str().unwrap();
        assert!(
            !words.is_empty() && !words.starts_with('<'),
            "{name}: {words}"
        );
        if let Some(len) = clear {
            assert_eq!(words.len(), len);
        }
    }
}

#[test]
fn without_a_secret_the_header_is_shown_and_the_body_called_obfuscated() {
    let vector = vector("ascii-2-getuser");
    let ended = run(program(PROGRAM)
        .arg("decode")
        .arg(vector["packet_hex"].as_str().unwrap()));
    assert_eq!(ended.code, 0);
    assert!(ended.stdout.contains("AuthenReply"), "{}", ended.stdout);
    assert!(
        ended.stdout.contains("note: the body is obfuscated"),
        "{}",
        ended.stdout
    );
    assert!(!ended.stdout.contains("server_msg"), "{}", ended.stdout);
}

#[test]
fn a_wrong_secret_is_called_one() {
    let vector = vector("ascii-2-getuser");
    let ended = run(program(PROGRAM)
        .env("TACACS_PLUS_KEY", "not-the-secret-of-this-packet")
        .arg("decode")
        .arg(vector["packet_hex"].as_str().unwrap()));
    assert_eq!(ended.code, 1);
    assert!(ended.stdout.contains("error len-sum: "), "{}", ended.stdout);
    assert!(
        ended
            .stdout
            .contains("note: this secret does not make the body readable"),
        "{}",
        ended.stdout
    );
}

#[test]
fn several_packets_one_after_another_are_several_answers() {
    let (first, second) = (vector("ascii-1-start-nouser"), vector("ascii-2-getuser"));
    let both = format!(
        "{}\n{}",
        first["packet_hex"].as_str().unwrap(),
        second["packet_hex"].as_str().unwrap()
    );
    let ended = run_with_stdin(
        program(PROGRAM)
            .env("TACACS_PLUS_KEY", first["secret"].as_str().unwrap())
            .args(["decode", "--json"]),
        &both,
    );
    let kinds: Vec<Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["kind"].clone())
        .collect();
    assert_eq!(kinds, ["AuthenStart", "AuthenReply"]);
}

#[test]
fn what_is_not_a_packet_is_said_in_words() {
    for (input, code, words) in [
        ("", 2, "no hex digits"),
        ("zz", 2, "line 1: 'z' is not a hex digit"),
        ("c0010", 2, "odd number of hex digits"),
        (
            "4500003c1c4640004006b1e6c0a80001",
            1,
            "this looks like a whole IP packet",
        ),
        (
            "c001",
            1,
            "error short-header: a header has 12 bytes, there are 2",
        ),
    ] {
        let ended = run_with_stdin(program(PROGRAM).arg("decode"), input);
        assert_eq!(ended.code, code, "{input}");
        let said = ended.stdout + &ended.stderr;
        assert!(said.contains(words), "{input}: {said}");
    }
}
