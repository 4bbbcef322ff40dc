//! Which client an address is, and what is said of secrets.

use std::net::IpAddr;

use super::*;
use crate::policy::draft::TlsName;

const HOSTS: &str = r#"
host = 0.0.0.0/0 { key = "everybody in version four" prompt = "0" }
host = 192.0.2.0/24 { key = "the whole of a small network" prompt = "24" }
host = 192.0.2.128/25 { key = "one half of a small network" prompt = "25" }
host = 192.0.2.200 { key = "one client of its network" prompt = "32" }
host = 2001:db8::/32 { key = "documentation in version six" prompt = "v6" }
host = ::ffff:198.51.100.7 { key = "written in version six" prompt = "mapped" }
"#;

fn prompt(policy: &Policy, address: &str) -> Option<String> {
    let address: IpAddr = address.parse().unwrap();
    let client = policy.client(address)?;
    let prompt = client.prompt.clone().unwrap_or_default();
    Some(String::from_utf8(prompt).unwrap())
}

#[test]
fn a_client_is_the_host_with_the_longest_prefix() {
    let policy = loaded(HOSTS).policy;
    for (address, expected) in [
        ("192.0.2.200", Some("32")),
        ("::ffff:192.0.2.200", Some("32")),
        ("192.0.2.201", Some("25")),
        ("192.0.2.1", Some("24")),
        ("203.0.113.1", Some("0")),
        ("2001:db8:1::1", Some("v6")),
        ("2001:db9::1", None),
        ("198.51.100.7", Some("mapped")),
    ] {
        assert_eq!(prompt(&policy, address).as_deref(), expected, "{address}");
    }
}

#[test]
fn without_a_global_key_only_known_clients_may_ask() {
    let text = "host = 192.0.2.1 { key = \"a secret of more than sixteen\" }";
    let policy = loaded(text).policy;
    assert!(prompt(&policy, "192.0.2.1").is_some());
    assert!(prompt(&policy, "192.0.2.2").is_none());
    let policy = loaded(&format!("{KEY}{text}")).policy;
    assert!(prompt(&policy, "192.0.2.2").is_some());
}

#[test]
fn a_client_may_have_several_keys_of_which_one_is_to_go() {
    let policy = loaded(
        "host = 192.0.2.1 {\n\
         key = \"the new secret of this client\"\n\
         key = \"the old secret of this client\" warn = 2026-12-31\n}",
    )
    .policy;
    let client = policy.client([192, 0, 2, 1].into()).unwrap();
    let keys: Vec<_> = client
        .keys
        .iter()
        .map(|key| {
            let secret = String::from_utf8_lossy(key.secret.expose()).into_owned();
            (secret, key.warn.map(|day| day.to_string()))
        })
        .collect();
    assert_eq!(
        keys,
        [
            ("the new secret of this client".to_owned(), None),
            (
                "the old secret of this client".to_owned(),
                Some("2026-12-31".to_owned())
            ),
        ]
    );
}

#[test]
fn a_client_of_tls_needs_no_key_and_gets_none() {
    let text =
        format!("{KEY}host = 192.0.2.1 {{ tls name = R1.Example.net tls name = 192.0.2.1 }}");
    let policy = loaded(&text).policy;
    let client = policy.client([192, 0, 2, 1].into()).unwrap();
    assert!(client.keys.is_empty());
    assert_eq!(
        client.tls_names,
        [
            TlsName::Dns("r1.example.net".to_owned()),
            TlsName::Address([192, 0, 2, 1].into())
        ]
    );
}

#[test]
fn a_client_may_have_a_name() {
    let policy = loaded(&format!(
        "{KEY}host = 192.0.2.1 {{ name = Core-1.example }} host = 192.0.2.2 {{ }}"
    ))
    .policy;
    let name = |last| {
        policy
            .client([192, 0, 2, last].into())
            .unwrap()
            .name
            .clone()
    };
    assert_eq!(name(1).as_deref(), Some("Core-1.example"));
    assert_eq!(name(2), None);
    assert!(error("host = 192.0.2.1 { name = \"a b\" }").contains("a client's name is made of"));
}

#[test]
fn a_client_is_lenient_only_where_it_says_so() {
    let policy = loaded(&format!(
        "{KEY}host = 192.0.2.1 {{ lenient = empty-arg lenient = minor-version }} host = 192.0.2.2 {{ }}"
    ))
    .policy;
    let lenient = |last| policy.client([192, 0, 2, last].into()).unwrap().lenient;
    assert!(lenient(1).empty_arg && lenient(1).minor_version && !lenient(1).ascii_start_password);
    assert_eq!(lenient(2), crate::policy::draft::Lenient::default());
}

#[test]
fn secrets_that_are_weak_or_shared_are_warnings_and_errors_on_demand() {
    for (text, expected) in [
        (
            "host = 192.0.2.1 { key = \"fifteen letters\" }",
            "shorter than 16",
        ),
        (
            "host = 192.0.2.1 { key = aaaaaaaabbbbbbbb }",
            "fewer than 6 different",
        ),
        (
            "host = 192.0.2.1 { key = \"a shared secret of two\" }\n\
             host = 192.0.2.2 { key = \"a shared secret of two\" }",
            "host 192.0.2.2 has the same key as host 192.0.2.1",
        ),
        (
            "key = \"a shared secret of two\" host = 192.0.2.2 { key = \"a shared secret of two\" }",
            "host 192.0.2.2 has the same key as the global key",
        ),
    ] {
        let warnings = loaded(text).warnings.join("\n");
        assert!(warnings.contains(expected), "{text}: {warnings}");
        let error = error(&format!("weak keys = refuse {text}"));
        assert!(error.contains(expected), "{text}: {error}");
    }
    let good = "weak keys = refuse host = 192.0.2.1 { key = \"sixteen letters.\" }";
    assert_eq!(loaded(good).warnings, [""; 0]);
    let one_twice =
        "host = 192.0.2.1 { key = \"a secret written twice\" key = \"a secret written twice\" }";
    assert_eq!(loaded(one_twice).warnings, [""; 0]);
}
