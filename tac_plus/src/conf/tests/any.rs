//! Whatever directives a file is made of, its normalised form means the same and
//! neither that nor a message holds a secret.

use proptest::prelude::*;

use super::*;

/// No directive and no other word here has any part of it.
const MARK: &str = "Zq7WxJvK";

/// A name or value, odd ones too.
fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "a",
        "b",
        "DEFAULT",
        "15",
        "{",
        "\"\"",
        "\"x y\"",
        "\"\\\\ \\\" {\"",
        "limit",
        "tls",
        "x{y}",
        "permit",
        "cmd",
        "\"=\"",
        "192.0.2.0/24",
        "::1",
        "2026-12-31",
        "\"May 1 2026\"",
        "^a.*b$",
        "\"#\"",
        "caf\u{e9}",
        "yes",
        "no",
        "json",
        "/bin/x",
        "\"/bin/x $user\"",
    ])
    .prop_map(str::to_owned)
}

fn password() -> impl Strategy<Value = String> {
    (
        prop::sample::select(vec!["cleartext", "des", "file", "PAM", "nopassword", ""]),
        word(),
    )
        .prop_map(|(kind, path)| match kind {
            "cleartext" | "des" => format!("{kind} \"{MARK}\""),
            "file" => format!("{kind} {path}"),
            other => other.to_owned(),
        })
}

fn in_a_profile() -> impl Strategy<Value = String> {
    let names = vec![
        "member",
        "acl",
        "enableacl",
        "name",
        "message",
        "msg",
        "expires",
        "maxsess",
        "before authorization",
        "after authorization",
        "default service",
    ];
    let kinds = vec![
        "login", "pap", "chap", "ms-chap", "global", "enable", "arap", "opap",
    ];
    prop_oneof![
        (prop::sample::select(names), word()).prop_map(|(name, value)| format!("{name} = {value}")),
        (prop::sample::select(kinds), password())
            .prop_map(|(name, value)| format!("{name} = {value}")),
        (word(), word(), word()).prop_map(|(name, a, b)| format!(
            "service = {name} {{ {a} = {b} optional {b} = {a} default attribute = permit }}"
        )),
        (word(), word()).prop_map(|(a, b)| format!("service = ppp protocol = {a} {{ {a} = {b} }}")),
        (word(), word()).prop_map(|(a, b)| format!("cmd = {a} {{ permit {b} deny }}")),
    ]
}

fn directive() -> impl Strategy<Value = String> {
    let settings = vec![
        "accounting file",
        "accounting sync",
        "accounting format",
        "logging",
        "callout shell",
        "callout timeout",
        "listen",
        "limit idle",
        "limit body",
        "log format",
        "pam service",
        "password change",
        "throttle",
        "tls listen",
        "tls crl",
        "tls key",
        "weak keys",
        "maxprocs",
    ];
    let lines = prop::collection::vec(in_a_profile(), 0..4);
    let profile = (prop::sample::select(vec!["user", "group"]), word(), lines);
    prop_oneof![
        profile.prop_map(|(kind, name, lines)| format!("{kind} = {name} {{\n{}\n}}", lines.join("\n"))),
        (word(), word(), password()).prop_map(|(address, name, enable)| format!(
            "host = {address} {{ key = \"{MARK}\" warn = {name} prompt = {name} enable = {enable} lenient = empty-arg tls name = {name} }}"
        )),
        (word(), word()).prop_map(|(name, value)| format!("acl = {name} {{ permit = {value} }}")),
        (prop::sample::select(settings), word()).prop_map(|(name, value)| format!("{name} = {value}")),
        password().prop_map(|password| format!("default authentication = {password}")),
        Just("accounting syslog;".to_owned()),
        Just("logauthor".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn whatever_loads_normalises_to_what_means_the_same(
        directives in prop::collection::vec(directive(), 0..5),
    ) {
        let text = format!("key = \"{MARK}\"\n{}\n", directives.join("\n"));
        match translate(Path::new("t.conf"), text.clone().into()) {
            Ok((loaded, draft)) => {
                let once = print::normalised(&draft);
                prop_assert!(!once.contains(MARK), "{once}");
                prop_assert!(!loaded.warnings.join("\n").contains(MARK), "{:?}", loaded.warnings);
                let again = translate(Path::new("t.conf"), once.clone().into());
                let (_, draft) = again.map_err(|error| TestCaseError::fail(format!("{text}\n{once}\n{error}")))?;
                prop_assert_eq!(print::normalised(&draft), once);
            }
            Err(error) => prop_assert!(!error.to_string().contains(MARK), "{error}"),
        }
    }
}
