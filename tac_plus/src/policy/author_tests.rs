//! The authorization table: one request a row, the exact answer beside it.

use std::path::Path;

use tacacs_common::packet::{AuthenMethod, AuthenService, AuthenType, PrivLvl};

use super::*;

const CONFIGURATION: &str = r#"
key = "a secret of more than sixteen"
acl = office { permit = ^192\.0\.2\. }

user = admin { service = exec { priv-lvl = 15 } }
user = idle {
    service = exec {
        priv-lvl = 1
        optional idletime = 10
    }
}
user = fred {
    service = ppp protocol = ip {
        addr=131.108.12.11
        addr=131.108.12.12
        inacl=101
        optional outacl=102
    }
    cmd = telnet {
        permit 131\.108\.13\.[0-9]+
        permit 128\.[0-9]+\.12\.3
    }
    cmd = show { permit ^version  deny .* }
}
user = juniper {
    service = junos-exec {
        default attribute = permit
        allow-commands = ^show
        optional deny-commands = ^request
    }
}
user = generous { default service = permit cmd = reload { deny } cmd = show { permit ^version } }
user = slim { service = slip { inacl = 7 } }
user = away { acl = office default service = permit }
group = base {
    default service = permit
    service = exec { priv-lvl = 3 timeout = 5 }
    cmd = show { deny ^run permit .* }
}
user = heir { member = base }
user = rebel { member = base service = exec { priv-lvl = 4 } cmd = show { permit ^run } }
user = DEFAULT { service = exec { priv-lvl = 1 } }
"#;

fn answer(configuration: &str, user: &str, args: &[&str]) -> String {
    answer_to(configuration, AuthenMethod::TacacsPlus, user, args)
}

fn answer_to(
    configuration: &str,
    authen_method: AuthenMethod,
    user: &str,
    args: &[&str],
) -> String {
    let loaded = crate::conf::compile(Path::new("test.conf"), configuration.into())
        .unwrap_or_else(|error| panic!("{error}"));
    let mut buf = ArgumentsBuf::new();
    for arg in args {
        buf.push_raw(arg.as_bytes()).unwrap();
    }
    let request = AuthorRequest {
        authen_method,
        priv_lvl: PrivLvl::USER,
        authen_type: AuthenType::Ascii,
        authen_service: AuthenService::Login,
        user: user.as_bytes(),
        port: b"tty1",
        rem_addr: b"10.9.8.7",
        args: buf.as_arguments(),
    };
    let address = IpAddr::from([203, 0, 113, 9]);
    let Verdict::Decided(decision) = decide(&loaded.policy, address, &request) else {
        panic!("no program decides here");
    };
    shown(&decision)
}

fn shown(decision: &Decision) -> String {
    let list: Vec<_> = decision
        .args
        .as_arguments()
        .raw()
        .map(String::from_utf8_lossy)
        .collect();
    format!("{} [{}]", decision.status, list.join(", "))
}

#[test]
fn every_row_of_the_table_is_answered_exactly() {
    let lines = [
        // A shell's start.
        ("admin", "service=shell cmd=", "PASS_ADD [priv-lvl=15]"),
        ("admin", "service=shell cmd*", "PASS_ADD [priv-lvl=15]"),
        ("admin", "service=shell cmd= priv-lvl=15", "PASS_ADD []"),
        ("admin", "service=shell cmd= priv-lvl=7", "FAIL []"),
        (
            "admin",
            "service=shell cmd= priv-lvl*7",
            "PASS_REPL [service=shell, cmd=, priv-lvl=15]",
        ),
        (
            "admin",
            "service=shell cmd= priv-lvl*15",
            "PASS_REPL [service=shell, cmd=, priv-lvl=15]",
        ),
        (
            "idle",
            "service=shell cmd= idletime*",
            "PASS_REPL [service=shell, cmd=, idletime*10, priv-lvl=1]",
        ),
        (
            "idle",
            "service=shell cmd= idletime*10",
            "PASS_REPL [service=shell, cmd=, idletime*10, priv-lvl=1]",
        ),
        (
            "idle",
            "service=shell cmd= idletime=99",
            "PASS_ADD [priv-lvl=1]",
        ),
        (
            "idle",
            "service=shell cmd= shell:roles*",
            "PASS_REPL [service=shell, cmd=, priv-lvl=1]",
        ),
        ("idle", "service=shell cmd= shell:roles=x", "FAIL []"),
        ("fred", "service=shell cmd=", "PASS_ADD []"),
        ("generous", "service=shell cmd=", "PASS_ADD []"),
        ("slim", "service=shell cmd=", "FAIL []"),
        (
            "nobody-knows",
            "service=shell cmd=",
            "PASS_ADD [priv-lvl=1]",
        ),
        ("", "service=shell cmd=", "PASS_ADD [priv-lvl=1]"),
        // Network services.
        (
            "fred",
            "service=ppp protocol=ip",
            "PASS_ADD [addr=131.108.12.11, inacl=101]",
        ),
        (
            "fred",
            "service=ppp protocol=ip addr=131.108.12.12",
            "PASS_ADD [inacl=101]",
        ),
        ("fred", "service=ppp protocol=ip addr=1.1.1.1", "FAIL []"),
        (
            "fred",
            "service=ppp protocol=ip addr*1.1.1.1",
            "PASS_REPL [service=ppp, protocol=ip, addr=131.108.12.11, inacl=101]",
        ),
        (
            "fred",
            "service=ppp protocol=ip addr*131.108.12.12",
            "PASS_REPL [service=ppp, protocol=ip, addr=131.108.12.12, inacl=101]",
        ),
        (
            "fred",
            "service=ppp protocol=ip outacl*",
            "PASS_REPL [service=ppp, protocol=ip, outacl*102, addr=131.108.12.11, inacl=101]",
        ),
        (
            "fred",
            "service=ppp protocol=ip outacl=7",
            "PASS_ADD [addr=131.108.12.11, inacl=101]",
        ),
        ("fred", "service=ppp protocol=lcp", "PASS_ADD []"),
        ("fred", "service=ppp protocol=ipx", "FAIL []"),
        ("slim", "service=ppp protocol=lcp", "FAIL []"),
        ("slim", "service=slip", "PASS_ADD [inacl=7]"),
        ("slim", "service=arap", "FAIL []"),
        ("generous", "service=ppp protocol=ip", "PASS_ADD []"),
        ("generous", "service=anything x=y", "PASS_ADD []"),
        (
            "juniper",
            "service=junos-exec foo=bar deny-commands*",
            "PASS_REPL [service=junos-exec, foo=bar, deny-commands*^request, allow-commands=^show]",
        ),
        (
            "juniper",
            "service=junos-exec foo*bar",
            "PASS_ADD [allow-commands=^show]",
        ),
        ("juniper", "service=exec", "FAIL []"),
        // Commands.
        (
            "fred",
            "service=shell cmd=show cmd-arg=version cmd-arg=<cr>",
            "PASS_ADD []",
        ),
        ("fred", "service=shell cmd=show cmd-arg=system", "FAIL []"),
        (
            "fred",
            "service=shell cmd=telnet cmd-arg=131.108.13.7",
            "PASS_ADD []",
        ),
        (
            "fred",
            "service=shell cmd=telnet cmd-arg=131.108.14.7",
            "FAIL []",
        ),
        ("fred", "service=shell cmd=telnet", "FAIL []"),
        ("fred", "service=shell cmd=reload", "FAIL []"),
        ("generous", "service=shell cmd=write", "PASS_ADD []"),
        ("generous", "service=shell cmd=reload", "FAIL []"),
        ("generous", "service=shell cmd=show cmd-arg=run", "FAIL []"),
        ("nobody-knows", "service=shell cmd=show", "FAIL []"),
        // Inheritance: the nearest block wins, whole.
        (
            "heir",
            "service=shell cmd=",
            "PASS_ADD [priv-lvl=3, timeout=5]",
        ),
        ("rebel", "service=shell cmd=", "PASS_ADD [priv-lvl=4]"),
        ("heir", "service=shell cmd=show cmd-arg=run", "FAIL []"),
        ("rebel", "service=shell cmd=show cmd-arg=run", "PASS_ADD []"),
        ("rebel", "service=shell cmd=show cmd-arg=version", "FAIL []"),
        ("rebel", "service=shell cmd=other", "PASS_ADD []"),
        // Who may not ask from here.
        ("away", "service=shell cmd=", "FAIL []"),
        // What makes no sense.
        ("admin", "cmd=", "ERROR []"),
        ("admin", "service=shell", "ERROR []"),
        ("admin", "service=ppp", "ERROR []"),
        ("admin", "service=shell service=ppp cmd=", "FAIL []"),
        (
            "admin",
            "service=shell cmd= priv-lvl*1 priv-lvl*15",
            "FAIL []",
        ),
    ];
    for (user, request, expected) in lines {
        let args: Vec<&str> = request.split(' ').collect();
        assert_eq!(
            answer(CONFIGURATION, user, &args),
            expected,
            "{user}: {request}"
        );
    }
}

#[test]
fn without_a_default_entry_an_unknown_user_gets_nothing() {
    let configuration =
        "key = \"a secret of more than sixteen\" user = a { default service = permit }";
    assert_eq!(
        answer(configuration, "b", &["service=shell", "cmd="]),
        "FAIL []"
    );
}

#[test]
fn how_the_client_says_the_user_was_authenticated_changes_nothing() {
    // RFC 8907 section 6.1: the field is the client's claim.
    let args = ["service=shell", "cmd=", "priv-lvl*7"];
    let expected = answer(CONFIGURATION, "admin", &args);
    for method in [
        AuthenMethod::None,
        AuthenMethod::Line,
        AuthenMethod::Guest,
        AuthenMethod::Local,
    ] {
        assert_eq!(answer_to(CONFIGURATION, method, "admin", &args), expected);
    }
}

#[test]
fn a_programs_end_means_what_the_manual_page_says() {
    let outcome = |code| Outcome {
        code,
        stdout: b"a=1\r\nb*2\n".to_vec(),
        stderr: b"no\x1b[2J way\n".to_vec(),
    };
    let conclude = |before: bool, is_command: bool, code| {
        let proposed = (!before).then(Decision::pass_add);
        let then = Then {
            is_command,
            proposed,
        };
        let decision = then.conclude(&outcome(code));
        format!("{} {}", shown(&decision), decision.server_msg)
    };
    let repl = "PASS_REPL [a=1, b*2] ";
    for (before, is_command, code, expected) in [
        (true, false, Some(0), "PASS_ADD [] "),
        (true, false, Some(1), "FAIL [] no [2J way"),
        (true, false, Some(2), repl),
        (true, true, Some(2), "ERROR [] no [2J way"),
        (true, false, Some(3), "FAIL [a=1, b*2] no [2J way"),
        (true, false, Some(4), "ERROR [] no [2J way"),
        (true, false, None, "ERROR [] no [2J way"),
        (false, false, Some(0), "PASS_ADD [] "),
        (false, false, Some(1), "FAIL [] no [2J way"),
        (false, false, Some(2), repl),
        (false, true, Some(2), "ERROR [] no [2J way"),
        (false, false, Some(3), "ERROR [] no [2J way"),
        (false, false, Some(127), "ERROR [] no [2J way"),
        (false, false, None, "ERROR [] no [2J way"),
    ] {
        let answer = conclude(before, is_command, code);
        assert_eq!(answer, expected, "before: {before}, code {code:?}");
    }
}
