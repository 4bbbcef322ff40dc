//! What is refused, and in which words.

use std::path::PathBuf;

use super::super::*;
use super::{SERVER, good, problems};

/// A server's lines but for its secret.
fn server(name: &str, rest: &str) -> String {
    format!("[server {name}]\naddress = 192.0.2.1\n{rest}\n")
}

#[test]
fn a_wrong_line_is_named_with_what_to_write() {
    for (text, said) in [
        (
            "[global]\ntiemout = 5",
            "2: unknown key 'tiemout', did you mean 'timeout'?",
        ),
        (
            "[global]\nTimeout = 5",
            "2: unknown key 'Timeout', did you mean 'timeout'?",
        ),
        (
            "[global]\nretries = 5",
            "2: unknown key: tacplus.conf(5) lists those of [global]",
        ),
        (
            "[global]\nhome = /x",
            "2: 'home' is a key of [mapping] and not of [global]",
        ),
        (
            "[global]\nsecret = x",
            "2: 'secret' is a key of [server NAME] and not of [global]",
        ),
        (
            "[globl]\ntimeout = x",
            "1: unknown section 'globl', did you mean 'global'?",
        ),
        (
            "[servers a]",
            "1: unknown section 'servers', did you mean 'server'?",
        ),
        (
            "[client]",
            "1: unknown section: expected [global], [server NAME], [mapping] or [accounting]",
        ),
        (
            "[server]",
            "1: expected [server NAME], NAME of letters, digits, '.', '_' and '-'",
        ),
        (
            "[server a b]",
            "1: expected [server NAME], NAME of letters, digits, '.', '_' and '-'",
        ),
        ("[global", "1: expected 'key = value' or '[section]'"),
        ("timeout 5", "1: expected 'key = value' or '[section]'"),
        (
            "[global]\n\ntimeout = 1000",
            "3: bad value for 'timeout': expected a number of seconds from 1 to 600",
        ),
        (
            "[global]\nlogin = papp",
            "2: unknown word 'papp' for 'login', did you mean 'pap'?",
        ),
        (
            "[global]\nlogin = kerberos",
            "2: bad value for 'login': expected one of pap, chap, ascii, login, mschap, mschapv2",
        ),
        (
            "[server a]\nroles = acounting",
            "2: unknown word 'acounting' for 'roles', did you mean 'accounting'?",
        ),
        (
            "[global]\nvrf = a\nvrf = b",
            "3: 'vrf' is given already, at tacplus.conf:2: remove one of them",
        ),
        (
            "[global]\nvrf =\n[mapping]\n[global]\nvrf = b",
            "5: 'vrf' is given already, at tacplus.conf:2: remove one of them",
        ),
        (
            "[mapping]\ngroups.16 = a",
            "2: groups.N needs a privilege level from 0 to 15, such as groups.15",
        ),
        (
            "[mapping]\ngroups.01 = a",
            "2: groups.N needs a privilege level from 0 to 15, such as groups.15",
        ),
        (
            "[server a]\n[server a]",
            "2: there is a server 'a' already, at tacplus.conf:1: give this one another name",
        ),
        (
            "include = other.conf",
            "1: the included file cannot be read from here",
        ),
        ("include =", "1: include needs the path of a file"),
        ("[global]\n\n\0", "3: this line holds a zero byte"),
    ] {
        assert_eq!(problems(text), format!("tacplus.conf:{said}\n"), "{text}");
    }
    let error = Config::parse(b"[global]\r\nvrf = \xff\r\n", &HostFacts::default()).unwrap_err();
    assert_eq!(error.to_string(), "tacplus.conf:2: this line is not UTF-8");
}

#[test]
fn every_wrong_line_is_reported_in_order() {
    let said = problems(
        "tiemout = 1\ntimeout = 0\n[mapping]\nmode = x\n[nothing]\nskipped = 1\n[accounting]\nuser = all",
    );
    let lines: Vec<&str> = said
        .lines()
        .filter_map(|line| line.split(':').nth(1))
        .collect();
    assert_eq!(lines, ["1", "2", "4", "5", "8"], "{said}");
}

#[test]
fn a_server_that_would_be_unsafe_is_refused() {
    let two = |a: &str, b: &str| format!("{}[server b]\naddress = {b}\n", server("a", a));
    for (text, said) in [
        (
            server("a", ""),
            ":1: server 'a' has no secret: write secret_file = /etc/tacplus/NAME.secret, say",
        ),
        (
            "[server a]\nsecret = 0123456789abcdef".into(),
            ":1: server 'a' has no address: write address = 192.0.2.10, say",
        ),
        (
            server("a", "secret = 0123456789abcde"),
            ":3: the secret has 15 characters and can be guessed from one packet: use at least 16 here and on the \
             server, or write weak_secret = yes",
        ),
        (
            server("a", "secret = 0123456789abcdef\nsecret_file = /s"),
            ":4: secret and secret_file in one server: remove one of them",
        ),
        (
            server("a", "secret = 0123456789abcdef\ntls = yes"),
            ":3: 'secret' with tls = yes: TLS replaces the secret, remove it",
        ),
        (
            server("a", "secret_file = /s\ntls = yes"),
            ":3: 'secret_file' with tls = yes: TLS replaces the secret, remove it",
        ),
        (
            server("a", "secret_file = /s\ntls_ca = /ca"),
            ":4: 'tls_ca' without TLS: write tls = yes, or remove it",
        ),
        (
            server("a", "tls = yes\ntls_cert = /c"),
            ":4: tls_cert and tls_key are needed together: add the other one",
        ),
        (
            "[server a]\naddress = unix:/s\ntls = yes".into(),
            ":3: TLS on a Unix socket: remove tls, the kernel names the peer",
        ),
        (
            two("tls = yes", "192.0.2.2\nsecret_file = /s"),
            ":4: plain TCP next to the TLS server at tacplus.conf:1: set tls = yes here too, or write \
             allow_mixed = yes in [global]",
        ),
        (
            two("secret_file = /s", "192.0.2.1:49\nsecret_file = /s"),
            ":4: this server has the address of the one at tacplus.conf:1: remove one of them",
        ),
        (
            String::new(),
            ": no server: add a [server NAME] section, or set agent in [global]",
        ),
        (
            "secret = 0123456789abcdef\nagent = /a".into(),
            ":1: this secret is for no server: move it into its [server NAME]",
        ),
    ] {
        assert_eq!(problems(&text), format!("tacplus.conf{said}\n"), "{text}");
    }
}

#[test]
fn what_is_safe_or_asked_for_is_accepted() {
    let weak = good(&server("a", "secret = short\nweak_secret = yes"));
    assert_eq!(weak.servers[0].secret().unwrap().unwrap().len(), 5);
    let unix =
        good("[server a]\naddress = unix:/run/a.sock\n[server t]\naddress = 192.0.2.1\ntls = yes");
    assert!(unix.servers[0].secret.is_none() && unix.servers[1].tls.is_some());
    let mixed = good(&format!(
        "{SERVER}[server t]\naddress = 192.0.2.1\ntls = yes\n[global]\nallow_mixed = yes"
    ));
    assert_eq!(
        mixed.servers.len(),
        2,
        "one address with two ports is two servers"
    );
    let agent = good("[global]\nagent = /run/tacacs/tacacs-proxy.sock");
    assert_eq!(
        agent.global.agent,
        Some(PathBuf::from("/run/tacacs/tacacs-proxy.sock"))
    );
}

#[test]
fn uids_of_others_are_refused_as_a_range() {
    let host = HostFacts {
        uid_min: 1000,
        uid_max: 60_000,
        subuid: vec![(2_020_000_000, 65_536)],
    };
    let parse = |text: &str| Config::parse(text.as_bytes(), &host);
    for (range, taken) in [
        ("500-999", "0-999, the uids of the system"),
        (
            "60000-60000",
            "1000-60000, UID_MIN to UID_MAX of /etc/login.defs",
        ),
        ("65519-65520", "61184-65519, which systemd hands out"),
        ("65534-65600", "65534-65535, nobody"),
        ("400000-524288", "524288-1879048191, which containers use"),
        (
            "2010000000-2146999999",
            "2020000000-2020065535, a line of /etc/subuid",
        ),
    ] {
        let error = parse(&format!("{SERVER}[mapping]\nuid_range = {range}\n"))
            .unwrap_err()
            .to_string();
        let said = format!(
            "tacplus.conf:5: uid_range {range} overlaps {taken}: write uid_range = FIRST-LAST of uids that nothing uses"
        );
        assert_eq!(error, said);
    }
    // The default range is checked as well, where it is used.
    let error = parse(SERVER).unwrap_err().to_string();
    assert!(
        error.starts_with("tacplus.conf: uid_range 2010000000-2146999999 overlaps"),
        "{error}"
    );
    parse(&format!("{SERVER}[mapping]\nmode = local\n")).unwrap();
    parse(&format!("{SERVER}[mapping]\nuid_range = 60001-61183\n")).unwrap();
}

#[test]
fn a_flood_of_servers_is_refused() {
    let flood: String = (0..10_000)
        .map(|n| format!("[server s{n}]\naddress = unix:/{n}\n"))
        .collect();
    assert!(problems(&flood).starts_with("tacplus.conf:129: more than 64 servers\n"));
}

#[test]
fn servers_that_no_lookup_can_ask_are_a_warning_where_new_users_need_one() {
    let named = "[server a]\naddress = tacacs.example.net\nsecret = a-secret-of-enough-length\n";
    let given = |mapping: &str, more: &str| {
        let text =
            format!("{named}{more}[mapping]\nuid_range = 2000000000-2099999999\n{mapping}\n");
        good(&text).warnings
    };
    let warnings = given("mode = unique", "");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("nobody can log in here for the first time"));

    let address = format!("{}secret = a-secret-of-enough-length\n", server("b", ""));
    for (mapping, more) in [
        ("mode = unique", address.as_str()),
        ("mode = local", ""),
        ("mode = unique\nunknown = allocate", ""),
        ("mode = unique\nunknown = never", ""),
        (
            "mode = unique",
            "[global]\nagent = /run/tacplus/agent.sock\n",
        ),
    ] {
        assert!(given(mapping, more).is_empty(), "{mapping}\n{more}");
    }
}

#[test]
fn keys_that_the_policy_of_an_outage_leaves_without_effect_are_a_warning() {
    for (global, warned) in [
        ("fallback_users = alice", &[][..]),
        ("fallback_users = alice\nunreachable = users", &[]),
        ("fallback_users =\nunreachable = deny", &[]),
        ("offline_hours = 24\nunreachable = ignore", &[]),
        ("offline_hours = 0\nunreachable = deny", &[]),
        (
            "offline_hours = 24",
            &["2: 'offline_hours' counts with unreachable = ignore alone"],
        ),
        (
            "fallback_users = alice\noffline_hours = 24\nunreachable = deny",
            &[
                "2: 'fallback_users' counts with unreachable = users alone",
                "3: 'offline_hours' counts with unreachable = ignore alone",
            ],
        ),
        (
            "unreachable = ignore\nfallback_users = @ops",
            &["3: 'fallback_users' counts with unreachable = users alone"],
        ),
    ] {
        let warnings = good(&format!("[global]\n{global}\n{SERVER}")).warnings;
        assert_eq!(warnings.len(), warned.len(), "{global}: {warnings:?}");
        for (warning, words) in warnings.iter().zip(warned) {
            assert!(
                warning.starts_with(&format!("tacplus.conf:{words}")),
                "{warning}"
            );
        }
    }
}
