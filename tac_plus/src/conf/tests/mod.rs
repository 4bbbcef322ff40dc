//! What loads, what does not, and what the operator is told.

use std::path::Path;

use super::*;

mod any;
mod errors;
mod examples;
mod hosts;
mod old;
mod pages;
mod settings;
mod size;

const KEY: &str = "key = \"a secret of more than sixteen\"\n";

fn error(text: &str) -> String {
    match compile(Path::new("t.conf"), text.into()) {
        Ok(_) => panic!("this loaded: {text}"),
        Err(error) => error.to_string(),
    }
}

fn loaded(text: &str) -> Loaded {
    compile(Path::new("t.conf"), text.into()).unwrap_or_else(|error| panic!("{error}"))
}

fn normalised(text: &str) -> String {
    let (_, draft) =
        translate(Path::new("t.conf"), text.into()).unwrap_or_else(|error| panic!("{error}"));
    print::normalised(&draft)
}

#[test]
fn an_error_shows_file_line_column_a_caret_and_a_hint() {
    assert_eq!(
        error("# comment\nuser = fred {\n\tlogn = cleartext hunter2\n}\n"),
        "t.conf:3:2: unknown directive 'logn'\n3 |  logn\n  |  ^\n  = did you mean 'login'?"
    );
}

#[test]
fn a_file_of_the_original_loads_with_its_odd_spacing_and_crlf() {
    let text = "key=\"a secret of more than sixteen\"\r\nuser=fred{\r\nlogin=cleartext \"x y\"\r\nservice=exec{priv-lvl=15}\r\n}\r\n";
    let normalised = normalised(text);
    assert!(
        normalised.contains("\"priv-lvl\" = \"15\"\n"),
        "{normalised}"
    );
}

#[test]
fn the_normalised_form_shows_everything_but_secrets() {
    let text = r#"
key = TopSecret-1
host = 192.0.2.1 { key = "Top Secret-2" prompt = "Name: " enable = cleartext TopSecret-3 }
accounting file = /var/log/x
logauthor
acl = a { permit = ^192\.0\.2\. }
group = g { chap = cleartext TopSecret-4 }
user = u {
    default service = permit
    member = g
    login = nopassword
    acl = a
    service = ppp protocol = ip { default attribute = permit addr = 1 optional "acl" = 5 }
    cmd = show { permit "a\\b" deny }
}
"#;
    assert_eq!(
        normalised(text),
        r#"key = ***
accounting file = "/var/log/x"
logauthor
acl = "a" {
    permit = "^192\\.0\\.2\\."
}
host = 192.0.2.1 {
    key = ***
    prompt = "Name: "
    enable = cleartext ***
}
group = "g" {
    chap = cleartext ***
}
user = "u" {
    default service = permit
    member = "g"
    login = nopassword
    acl = "a"
    service = ppp protocol = "ip" {
        default attribute = permit
        "addr" = "1"
        optional "acl" = "5"
    }
    cmd = "show" {
        permit "a\\b"
        deny ""
    }
}
"#
    );
}

#[test]
fn groups_and_acls_may_be_used_before_they_are_defined() {
    loaded(&format!(
        "{KEY}user = a {{ member = g acl = x }} group = g {{ }} acl = x {{ permit = . }}"
    ));
}

#[test]
fn a_broken_group_that_nobody_uses_is_a_warning() {
    let warnings = loaded(&format!("{KEY}group = g {{ member = nowhere }}")).warnings;
    assert!(
        warnings
            .iter()
            .any(|warning| warning.contains("there is no group 'nowhere'")),
        "{warnings:?}"
    );
}

#[test]
fn a_throttle_that_is_longer_than_any_wait_is_a_warning() {
    for (seconds, expected) in [(3, 0), (30, 1)] {
        let text =
            format!("throttle = {seconds}\nhost = 192.0.2.1 {{ key = Kat-Secret-0123456789 }}");
        let loaded = loaded(&text);
        let found = loaded.warnings.iter();
        let found = found.filter(|warning| warning.contains("delayed by more than 3 seconds"));
        assert_eq!(found.count(), expected, "{:?}", loaded.warnings);
    }
}

#[test]
fn weak_spots_are_warnings() {
    let text = "key = short\nhost = 192.0.2.1 { key = tiny }\nhost = 192.0.2.2 { key = tiny }\n\
                user = a { opap = cleartext x }\ngroup = g { message = hello }\nmaxprocs = 5\nlogging = local6";
    let warnings = loaded(text).warnings.join("\n");
    for expected in [
        "t.conf:1:7: warning: a key shorter than 16",
        "t.conf:1:7: warning: the global key admits clients from every address",
        "t.conf:3:26: warning: host 192.0.2.2 has the same key as host 192.0.2.1",
        "'opap' is read and never used",
        "'maxprocs' has no effect",
    ] {
        assert!(
            warnings.contains(expected),
            "{expected} is missing in:\n{warnings}"
        );
    }
    assert!(
        !warnings.contains("short\n") && !warnings.contains("tiny"),
        "{warnings}"
    );
}
