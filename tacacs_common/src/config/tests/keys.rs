//! Every key with values it takes and values it refuses.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::keys::KEYS;
use super::super::*;
use super::{SERVER, good, parse, with_server};

/// Section, key, values it takes, values it refuses.
type Row = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const LONG_SOCKET: &str = "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const SECONDS: &[&str] = &["1", "5", "600"];
const NO_SECONDS: &[&str] = &[
    "0",
    "601",
    "-1",
    "+5",
    "5s",
    "5.0",
    "abc",
    "99999999999999999999",
];
const SWITCH: &[&str] = &["yes", "no", "1", "0"];
const NO_SWITCH: &[&str] = &["maybe", "Yes", "2", "yes no"];
const NAMES: &[&str] = &["one", "one two", "one,two", "one, two", ""];
const NO_NAMES: &[&str] = &["h\u{e9}l\u{e8}ne", "a\u{7}"];
const PATHS: &[&str] = &["/a", "/a b/c"];
const NO_PATHS: &[&str] = &["a", "./a", "/a\u{1b}[2J"];

const ROWS: &[Row] = &[
    ("global", "timeout", SECONDS, NO_SECONDS),
    ("global", "authen_timeout", SECONDS, NO_SECONDS),
    ("global", "deadline", SECONDS, NO_SECONDS),
    ("global", "hold_down", &["0", "600"], &["601", "x"]),
    (
        "global",
        "login",
        &["pap", "chap", "ascii", "login", "mschap", "mschapv2"],
        &["PAP", "md5", "pap chap"],
    ),
    ("global", "prompt", &["PIN:_", ""], &["a b"]),
    ("global", "dialogues", &["2", "1000"], &["1", "1001", "x"]),
    ("global", "local_ports", SWITCH, NO_SWITCH),
    (
        "global",
        "service",
        &["shell", "PaloAlto"],
        &["a b", "sh\u{e9}ll"],
    ),
    ("global", "protocol", &["ssh", ""], &["a b"]),
    (
        "global",
        "source_ip",
        &[
            "192.0.2.1",
            "2001:db8::1",
            "192.0.2.1 2001:db8::1",
            "2001:db8::1,192.0.2.1",
            "",
        ],
        &[
            "192.0.2.1 192.0.2.2",
            "2001:db8::1 2001:db8::2",
            "192.0.2.1:49",
            "host.example.net",
        ],
    ),
    (
        "global",
        "vrf",
        &["mgmt", "eth0.10", ""],
        &["a/b", "sixteen-letters!", "..", "a b"],
    ),
    (
        "global",
        "agent",
        &["/run/tacacs/tacacs-proxy.sock", ""],
        &["tacacs.sock", LONG_SOCKET],
    ),
    ("global", "agent_fallback", &["no", "direct"], &["yes"]),
    ("global", "acct_all", SWITCH, NO_SWITCH),
    ("global", "acct_required", SWITCH, NO_SWITCH),
    ("global", "exclude_users", NAMES, NO_NAMES),
    (
        "global",
        "min_uid",
        &["1", "1000", "4294967294"],
        &["0", "4294967295", "-1"],
    ),
    ("global", "skip_services", NAMES, NO_NAMES),
    (
        "global",
        "unreachable",
        &["users", "deny", "ignore"],
        &["allow", "users deny", "user"],
    ),
    (
        "global",
        "fallback_users",
        &["", "alice", "alice,@ops Bob"],
        &["@", "1000", "alice a:b", "-rf", "*", "@@ops"],
    ),
    ("global", "offline_hours", &["0", "8760"], &["8761", "1h"]),
    ("global", "debug", SWITCH, NO_SWITCH),
    ("global", "allow_mixed", SWITCH, NO_SWITCH),
    (
        "server a",
        "address",
        &[
            "192.0.2.9",
            "192.0.2.9:4949",
            "2001:db8::1",
            "[2001:db8::1]",
            "[2001:db8::1]:4949",
            "aaa",
            "aaa1.example.net",
            "aaa1.example.net.:4949",
            "unix:/run/a.sock",
        ],
        &[
            "192.0.2.300",
            "192.0.2.9:",
            "192.0.2.9:0",
            "192.0.2.9:65536",
            "[2001:db8::1",
            "[2001:db8::1]x",
            "[192.0.2.9]",
            "aaa:+49",
            "a b",
            "-a",
            "a..b",
            "unix:run",
            "unix:",
            "aaa:49:50",
            "192.0.2.9 secret=abc",
        ],
    ),
    ("server a", "secret_file", PATHS, NO_PATHS),
    (
        "server a",
        "secret",
        &["0123456789abcdef", "sixteen ; chars # and more"],
        &["0123456789abcde"],
    ),
    ("server a", "weak_secret", SWITCH, NO_SWITCH),
    (
        "server a",
        "roles",
        &["accounting", "authentication,authorization", ""],
        &["auth", "authentication audit"],
    ),
    ("server a", "single_connect", &["auto", "no"], &["yes"]),
    ("server a", "timeout", SECONDS, NO_SECONDS),
    ("server a", "source_ip", &["192.0.2.1", ""], &["x"]),
    ("server a", "vrf", &["mgmt", ""], &["a/b"]),
    ("server a", "tls", SWITCH, NO_SWITCH),
    ("server a", "tls_ca", PATHS, NO_PATHS),
    ("server a", "tls_cert", PATHS, NO_PATHS),
    ("server a", "tls_key", PATHS, NO_PATHS),
    (
        "server a",
        "tls_name",
        &["aaa1.example.net", "192.0.2.1", "2001:db8::1"],
        &["a b", "-a"],
    ),
    ("server a", "tls_crl", PATHS, NO_PATHS),
    ("mapping", "mode", &["unique", "shared", "local"], &["one"]),
    (
        "mapping",
        "unknown",
        &["authorize", "allocate", "never"],
        &["ask"],
    ),
    ("mapping", "login_programs", NAMES, NO_NAMES),
    ("mapping", "lookup_programs", NAMES, NO_NAMES),
    (
        "mapping",
        "uid_range",
        &["2010000000-2146999999", "60001 - 60100", "60001-60001"],
        &[
            "60001",
            "60100-60001",
            "2010000000-4294967295",
            "-5-10",
            "a-b",
        ],
    ),
    ("mapping", "uid_key_file", PATHS, NO_PATHS),
    (
        "mapping",
        "user_prefix",
        &["tacacs", "_t-1"],
        &["1t", "-t", "Tacacs", "a:b"],
    ),
    (
        "mapping",
        "home",
        &["/home/%u", "/srv/h"],
        &["home", "/home:/x"],
    ),
    ("mapping", "shell", &["/bin/sh"], &["sh", "/bin/sh:x"]),
    ("mapping", "gecos_attribute", &["name", ""], &["a b"]),
    ("mapping", "home_attribute", &["home", ""], &["a b"]),
    ("mapping", "shell_attribute", &["shell", ""], &["a b"]),
    ("mapping", "groups.N", NAMES, NO_NAMES),
    ("mapping", "env_allow", NAMES, NO_NAMES),
    ("mapping", "handled", NAMES, NO_NAMES),
    ("mapping", "case", &["lower", "keep"], &["upper"]),
    ("accounting", "commands", SWITCH, NO_SWITCH),
    ("accounting", "users", &["tacacs", "all"], &["none"]),
    ("accounting", "mask", PATHS, NO_PATHS),
    ("accounting", "local_log", SWITCH, NO_SWITCH),
];

/// A configuration in which `key = value` is good if the value is.
fn around(section: &str, key: &str, value: &str) -> String {
    let line = format!("{} = {value}\n", key.replace('N', "15"));
    if section != "server a" {
        return format!("{SERVER}[{section}]\n{line}");
    }
    let rest = match key {
        "address" => "secret = 0123456789abcdef\n",
        "secret" | "secret_file" => "address = 192.0.2.1\n",
        "tls" if matches!(value, "yes" | "1") => "address = 192.0.2.1\n",
        "tls_cert" => "address = 192.0.2.1\ntls = yes\ntls_key = /key\n",
        "tls_key" => "address = 192.0.2.1\ntls = yes\ntls_cert = /cert\n",
        _ if key.starts_with("tls_") => "address = 192.0.2.1\ntls = yes\n",
        _ => "address = 192.0.2.1\nsecret = 0123456789abcdef\n",
    };
    format!("[{section}]\n{line}{rest}")
}

#[test]
fn every_key_takes_its_values_and_refuses_others() {
    for &(section, key, takes, refuses) in ROWS {
        for value in takes {
            let text = around(section, key, value);
            parse(&text).unwrap_or_else(|error| panic!("{key} = {value}: {error}"));
        }
        for value in refuses {
            let text = around(section, key, value);
            let error = parse(&text)
                .err()
                .unwrap_or_else(|| panic!("{key} = {value:?} was accepted"));
            assert_eq!(error.problems().len(), 1, "{key} = {value}: {error}");
        }
    }
}

#[test]
fn every_key_of_the_table_has_a_row_here() {
    let here: BTreeSet<_> = ROWS
        .iter()
        .map(|(section, key, ..)| (section.split(' ').next().unwrap(), *key))
        .collect();
    let title = |key: &keys::Key| {
        key.section()
            .title()
            .trim_matches(['[', ']'])
            .split(' ')
            .next()
            .unwrap()
    };
    let table: BTreeSet<_> = KEYS.iter().map(|key| (title(key), key.name)).collect();
    assert_eq!(here, table);
}

#[test]
fn an_empty_file_with_a_server_has_the_documented_defaults() {
    let config = good(SERVER);
    let global = &config.global;
    let seconds = [
        global.timeout,
        global.authen_timeout,
        global.deadline,
        global.hold_down,
    ]
    .map(|limit| limit.as_secs());
    assert_eq!(seconds, [5, 60, 12, 30]);
    assert_eq!(
        (global.login, global.service.as_str(), &global.protocol),
        (LoginKind::Pap, "shell", &None)
    );
    assert_eq!((global.min_uid, global.offline_hours), (1000, 0));
    assert_eq!(global.exclude_users, ["daemon", "nobody"]);
    assert_eq!(global.skip_services, ["systemd-user", "cron", "atd"]);
    assert!(global.fallback_users.is_empty());
    assert_eq!(
        (global.unreachable, global.agent_fallback),
        (UnreachablePolicy::Users, AgentFallback::No)
    );
    assert_eq!(config.mapping.uid_range, 2_010_000_000..=2_146_999_999);
    assert_eq!(
        (config.mapping.mode, config.mapping.unknown),
        (Mode::Unique, Unknown::Authorize)
    );
    assert_eq!(
        config.mapping.login_programs,
        ["sshd", "sshd-session", "login", "su", "sudo"]
    );
    assert!(config.accounting.commands && !config.accounting.local_log);
    let server = &config.servers[0];
    assert_eq!(
        (server.roles, server.single_connect),
        (Roles::ALL, SingleConnect::Auto)
    );
    assert_eq!(server.timeout, Duration::from_secs(5));
}

#[test]
fn a_server_takes_over_what_it_does_not_say_itself() {
    let config = with_server(
        "[global]\ntimeout = 7\nsource_ip = 192.0.2.80 2001:db8::80\nvrf = mgmt\n\
         [server b]\naddress = 192.0.2.2\nsecret = 0123456789abcdef\ntimeout = 3\nsource_ip = 192.0.2.81\nvrf = blue",
    )
    .unwrap();
    let [own, taken] = &config.servers[..] else {
        panic!("{config:?}")
    };
    assert_eq!(
        (own.timeout.as_secs(), own.vrf.as_deref()),
        (3, Some("blue"))
    );
    assert_eq!(own.source.v4, "192.0.2.81".parse().ok());
    assert_eq!(own.source.v6, "2001:db8::80".parse().ok());
    assert_eq!(
        (taken.timeout.as_secs(), taken.vrf.as_deref()),
        (7, Some("mgmt"))
    );
    assert_eq!(taken.source.v4, "192.0.2.80".parse().ok());
}

#[test]
fn addresses_get_the_port_of_their_transport() {
    for (address, tls, whole) in [
        ("192.0.2.1", false, "192.0.2.1:49"),
        ("192.0.2.1", true, "192.0.2.1:300"),
        ("2001:db8::1", false, "[2001:db8::1]:49"),
        ("[2001:db8::1]", true, "[2001:db8::1]:300"),
        ("[2001:db8::1]:4949", true, "[2001:db8::1]:4949"),
        ("aaa.example.net", false, "aaa.example.net:49"),
        ("aaa.example.net:4949", false, "aaa.example.net:4949"),
        ("unix:/run/a.sock", false, "unix:/run/a.sock"),
    ] {
        let rest = if tls {
            "tls = yes"
        } else {
            "secret = 0123456789abcdef"
        };
        let config = good(&format!("[server a]\naddress = {address}\n{rest}\n"));
        assert_eq!(config.servers[0].address.to_string(), whole);
    }
}

#[test]
fn a_secret_is_the_rest_of_its_line() {
    let config = good(
        "[server a]\r\naddress = 192.0.2.1 ; first\r\nsecret = \t\"a;b\" # = [not] a comment \t\r\n",
    );
    let secret = config.servers[0].secret().unwrap().unwrap();
    assert_eq!(secret.expose(), b"\"a;b\" # = [not] a comment");
}

#[test]
fn lists_can_be_emptied_and_other_keys_fall_back() {
    let config =
        with_server("[global]\nskip_services =\nexclude_users = ; none\ntimeout =\n").unwrap();
    assert!(config.global.skip_services.is_empty() && config.global.exclude_users.is_empty());
    assert_eq!(config.global.timeout.as_secs(), 5);
}

#[test]
fn what_is_shown_names_every_key_and_reads_as_the_same_configuration() {
    let text = "[server a]\naddress = 192.0.2.1\nsecret_file = /s\n\
                [server b]\naddress = b.example.net\ntls = yes\ntls_name = b\ntls_ca = /ca\n\
                [global]\nallow_mixed = yes\nlogin = mschapv2\nagent_fallback = direct\nsource_ip = ::1 192.0.2.7\n\
                [mapping]\nmode = shared\nunknown = never\ncase = keep\ngroups.1 = a b\n[accounting]\nusers = all\n";
    let shown = good(text).show();
    for key in KEYS
        .iter()
        .filter(|key| !matches!(key.name, "groups.N" | "secret"))
    {
        assert!(
            shown
                .lines()
                .any(|line| line.split(' ').next() == Some(key.name)),
            "{} is missing:\n{shown}",
            key.name
        );
    }
    assert!(shown.contains("\ngroups.1         = a b\n"), "{shown}");
    assert_eq!(good(&shown).show(), shown);
}
