//! The authorization table: one request a row, the exact answer beside it.

use std::path::Path;

use tacacs_common::packet::{AuthenMethod, AuthenService, AuthenType, PrivLvl};

use super::super::callout::Variable;
use super::*;

/// Its first lines say how it is to be read.
const TABLE: &str = include_str!("../../tests/golden/authorization.txt");

const USUAL_CLIENT: &str = "203.0.113.9";

fn policy(configuration: &str) -> Policy {
    let loaded = crate::conf::compile(Path::new("test.conf"), configuration.into());
    loaded.unwrap_or_else(|error| panic!("{error}")).policy
}

/// The answer to `USER: ARGUMENTS`, of a program too if there is one.
fn answer(policy: &Policy, method: AuthenMethod, question: &str, program: Option<&str>) -> String {
    let (who, args) = question.split_once(": ").unwrap();
    let (user, address) = who.split_once('@').unwrap_or((who, USUAL_CLIENT));
    let address = address.parse().unwrap();
    let mut buf = ArgumentsBuf::new();
    for arg in args.split(", ") {
        buf.push_raw(arg.as_bytes()).unwrap();
    }
    let request = AuthorRequest {
        authen_method: method,
        priv_lvl: PrivLvl::USER,
        authen_type: AuthenType::Ascii,
        authen_service: AuthenService::Login,
        user: user.as_bytes(),
        port: b"tty1",
        rem_addr: b"10.9.8.7",
        args: buf.as_arguments(),
    };
    match (decide(policy, address, &request), program) {
        (Verdict::Decided(decision), None) => shown(&decision),
        (Verdict::Decided(_), Some(_)) => "no program was asked".to_owned(),
        (Verdict::Ask(errand), None) => format!("a program was asked: {:?}", errand.callout),
        (Verdict::Ask(errand), Some(program)) => ask(errand, user, program),
        (Verdict::Search(_), _) => "a command of a line takes too long".to_owned(),
    }
}

/// `PROGRAM AND ITS WORDS <STANDARD INPUT> CODE [STANDARD OUTPUT] STANDARD ERROR`.
fn ask(errand: Errand, user: &str, program: &str) -> String {
    let (expected, end) = program.split_once("> ").unwrap();
    let called = called(&errand, user);
    if called != expected {
        return format!("the program was called as {called}>");
    }
    let (code, rest) = end.split_once(" [").unwrap();
    let (stdout, stderr) = rest.split_once(']').unwrap();
    let outcome = Outcome {
        code: code.parse().ok(),
        stdout: stdout.replace(", ", "\n").into_bytes(),
        stderr: stderr.as_bytes().to_vec(),
    };
    shown(&errand.then.conclude(&outcome))
}

fn called(errand: &Errand, user: &str) -> String {
    let Callout::Words(words) = errand.callout.as_ref() else {
        return "a shell".to_owned();
    };
    let words = Callout::fill(words, |variable| match variable {
        Variable::User => user.as_bytes(),
        Variable::Name | Variable::Ip => USUAL_CLIENT.as_bytes(),
        Variable::Port => b"tty1",
        Variable::Address => b"10.9.8.7",
        Variable::Priv | Variable::Type | Variable::Service => b"1",
        Variable::Method => b"6",
        Variable::Status => errand.status.as_bytes(),
    });
    let words = String::from_utf8(words.join(&b' ')).unwrap();
    let stdin = String::from_utf8(errand.stdin.clone()).unwrap();
    format!("{words} <{}", stdin.trim_end().replace('\n', ", "))
}

fn shown(decision: &Decision) -> String {
    let list: Vec<_> = decision
        .args
        .as_arguments()
        .raw()
        .map(String::from_utf8_lossy)
        .collect();
    let mut shown = format!("{} [{}]", decision.status, list.join(", "));
    if !decision.server_msg.is_empty() {
        shown.push_str(&format!(" \"{}\"", decision.server_msg));
    }
    if !decision.data.is_empty() {
        shown.push_str(&format!(" ({})", decision.data));
    }
    shown
}

/// Configurations and their rows, each row with the number of its line.
fn table() -> Vec<(String, Vec<(usize, &'static str)>)> {
    let mut table: Vec<(String, Vec<_>)> = Vec::new();
    let mut in_rows = true;
    for (number, line) in (1..).zip(TABLE.lines()) {
        match (table.last_mut(), line) {
            (_, line) if line.starts_with("== ") => {
                table.push((String::new(), Vec::new()));
                in_rows = false;
            }
            (Some(_), "--") => in_rows = true,
            (Some((text, _)), line) if !in_rows => {
                text.push_str(line);
                text.push('\n');
            }
            (Some((_, rows)), line) if !line.is_empty() => rows.push((number, line)),
            _ => {}
        }
    }
    table
}

#[test]
fn every_row_of_the_table_is_answered_exactly() {
    let mut rows_read = 0;
    let mut wrong = Vec::new();
    for (configuration, rows) in table() {
        let policy = policy(&configuration);
        for (number, row) in rows {
            let parts: Vec<&str> = row.split(" => ").collect();
            let (question, program, expected) = match parts.as_slice() {
                [question, expected] => (question, None, expected),
                [question, program, expected] => (question, Some(*program), expected),
                _ => panic!("line {number} is no row: {row}"),
            };
            let answer = answer(&policy, AuthenMethod::TacacsPlus, question, program);
            if answer != **expected {
                wrong.push(format!("line {number}: {row}\n    gives {answer}"));
            }
            rows_read += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows_read >= 150, "only {rows_read} rows were read");
}

#[test]
fn fifty_usual_rules_and_a_command_of_255_bytes_are_decided_at_once() {
    let rules = [
        "deny \"^(reload|write erase)( .*)?$\"",
        "deny \"^interface (Gi|Te|Fa)[0-9/]+ .*shutdown\"",
        "deny \"[0-9]+\\.[0-9]+\\.[0-9]+\\.[0-9]+ [a-z]{1,20}$\"",
        "deny \"^.*[Pp]assword.*$\"",
        "deny \"(ip|ipv6) (route|prefix-list)$\"",
    ];
    let numbered = (0..10).flat_map(|number| {
        rules.map(|rule| {
            rule.replacen('(', &format!("(x{number}|"), 1)
                .replacen('[', &format!("[x{number}"), 1)
        })
    });
    let rules: String = numbered.map(|rule| format!("{rule}\n")).collect();
    let policy = policy(&format!(
        "key = \"a secret of more than sixteen\"\nuser = fred {{ cmd = configuration {{ {rules} permit .* }} }}\n"
    ));
    let long = "cmd-arg=of interface GigabitEthernet0/0/0 description ".to_owned();
    let long = format!("{long:y<255}");
    for command in [
        "cmd-arg=of interface GigabitEthernet0/0/0 description the uplink of the second floor",
        &long,
    ] {
        let question = format!("fred: service=shell, cmd=configuration, {command}");
        let said = answer(&policy, AuthenMethod::TacacsPlus, &question, None);
        assert_eq!(said, "PASS_ADD []", "{command}");
    }
}

#[test]
fn how_the_client_says_the_user_was_authenticated_changes_nothing() {
    // RFC 8907 section 6.1: the field is the client's claim.
    let (configuration, rows) = table().swap_remove(0);
    let policy = policy(&configuration);
    for (_, row) in rows {
        let (question, expected) = row.split_once(" => ").unwrap();
        for method in [
            AuthenMethod::None,
            AuthenMethod::Line,
            AuthenMethod::Guest,
            AuthenMethod::Local,
        ] {
            assert_eq!(answer(&policy, method, question, None), expected, "{row}");
        }
    }
}
