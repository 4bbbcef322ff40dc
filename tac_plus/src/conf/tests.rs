//! What loads, what does not, and what the operator is told.

use std::path::Path;

use super::*;

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
fn no_error_ever_shows_a_secret() {
    for text in [
        "key hunter2",
        "key = hunter2 bogus",
        "key = hunt er2-rest",
        "key = \"hunter2",
        "user = a { login = hunter2 }",
        "user = a { login hunter2 }",
        "user = a { login = cleartext hunter2 bogus }",
        "user = a { login = cleartext my hunter2 }",
        "user = a { pap = des hunter2 bogus }",
        "user = a { login = clertext hunter2 }",
        "host = 192.0.2.1 { key = hunter2 promt = x }",
        "host = 192.0.2.1 { key = \"hunter2\nhunter2\" promt = x }",
        "host = 192.0.2.1 { enable = hunter2 }",
        "key = hunter2\nkey = hunter2",
        "key = hunter2 user = a { member = b }",
    ] {
        let error = error(text);
        assert!(
            !error.contains("hunter2") && !error.contains("er2-rest"),
            "{error}"
        );
    }
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    for (text, name) in [
        ("accounting syslog;", "accounting syslog"),
        ("user = a { login = skey }", "login = skey"),
        ("user = a { maxsess = 3 }", "maxsess"),
    ] {
        let error = error(&format!("{KEY}{text}"));
        assert!(
            error.contains(&format!("'{name}' is not supported yet")),
            "{error}"
        );
        assert!(error.starts_with("t.conf:2:"), "{error}");
    }
}

#[test]
fn what_cannot_be_meant_is_an_error() {
    for (text, message) in [
        ("user = a { member = b }", "there is no group 'b'"),
        ("user = a { acl = b }", "there is no acl 'b'"),
        (
            "user = a { member = g } group = g { member = h } group = h { member = g }",
            "is a member of itself",
        ),
        ("user = a { } user = a { }", "user 'a' is defined twice"),
        ("group = a { } group = a { }", "group 'a' is defined twice"),
        (
            "user = a { login = nopassword login = nopassword }",
            "'login' is given twice",
        ),
        (
            "user = a { pap = nopassword }",
            "'nopassword' is for login and enable only",
        ),
        ("user = a { login = cleartext \"\" }", "cannot be empty"),
        (
            "user = a { cmd = x { permit (a } }",
            "not a regular expression: '(' without ')'",
        ),
        (
            "user = a { service = ppp { } }",
            "'protocol' after 'ppp' expected",
        ),
        (
            "user = a { service = x { a*b = c } }",
            "cannot hold '=' or '*'",
        ),
        ("user = a {", "'}' expected, found the end of the file"),
        ("host = router1 { }", "not an IPv4 or IPv6 address"),
        ("host = 192.0.2.1 { } host = 192.0.2.1 { }", "defined twice"),
        (
            "host = 192.0.2.1 { prompt = \"\u{1b}[2J\" }",
            "without control characters",
        ),
        ("bogus", "unknown directive 'bogus'"),
        ("}", "a directive expected, found '}'"),
        ("logging = loud", "unknown syslog facility 'loud'"),
    ] {
        let error = error(&format!("{KEY}{text}"));
        assert!(error.contains(message), "{text}: {error}");
    }
}

#[test]
fn a_client_without_a_key_does_not_load() {
    assert!(error("host = 192.0.2.1 { prompt = x }").contains("host 192.0.2.1 has no key"));
    assert!(error("user = a { }").contains("no client may ask"));
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
fn weak_spots_are_warnings() {
    let text = "key = short\nhost = 192.0.2.1 { key = tiny }\nhost = 192.0.2.2 { key = tiny }\n\
                user = a { opap = cleartext x }\ngroup = g { message = hello }\nmaxprocs = 5\nlogging = local6";
    let warnings = loaded(text).warnings.join("\n");
    for expected in [
        "t.conf:1:7: warning: a key shorter than 16",
        "t.conf:1:7: warning: the global key admits clients from every address",
        "t.conf:3:26: warning: host 192.0.2.2 has the same key as host 192.0.2.1",
        "'opap' is read and never used",
        "a message is shown to nobody yet",
        "'maxprocs' has no effect",
        "'logging' has no effect",
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

#[test]
fn users_of_a_very_deep_group_load_in_linear_time() {
    use std::fmt::Write;
    let mut text = KEY.to_owned();
    for depth in 0..20_000 {
        let _ = writeln!(text, "group = g{depth} {{ member = g{} }}", depth + 1);
    }
    text.push_str("group = g20000 { default service = permit }\n");
    for user in 0..20_000 {
        let _ = writeln!(text, "user = u{user} {{ member = g0 login = cleartext x }}");
    }
    let start = std::time::Instant::now();
    loaded(&text);
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}

/// The manual page's own examples, as far as this version goes: the file paths and
/// dates that it cannot honour yet are left out.
#[test]
fn the_examples_of_the_manual_page_load() {
    loaded(&format!(
        r#"{KEY}
acl = dial_only {{
        # All access routers are in 192.168/16
        permit = ^192\.168\.0\.1$
        deny = ^192\.168\.0\.
        permit = ^192\.168\.
}}
group = no_backbone {{
        default service = permit
        service = exec {{
                "acl" = 4
                autocmd = "telnet duffhost"
        }}
        acl = dial_only
}}
user = DEFAULT {{
        service = ppp protocol = ip {{
                addr-pool=foobar
        }}
}}
user = homer {{
        default service = permit
        member = no_backbone
}}
user=fred {{
        name = "Fred Flintstone"
        arap = cleartext "Fred's arap secret"
        chap = cleartext "Fred's chap secret"
        cmd = telnet {{
                permit 131\.108\.13\.[0-9]+
                permit 128\.[0-9]+\.12\.3
        }}
        cmd = show {{
                permit system
                deny .*
        }}
        service = ppp protocol = ip {{
                addr=131.108.12.11
                addr=131.108.12.12
                inacl=101
                optional outacl=102
        }}
        service = slip {{
                inacl=101
                outacl=102
        }}
}}
user = jim {{
        login = cleartext lab
        service = raccess {{
                port#1 = clientname1/tty2
                port#2 = clientname2/tty5
        }}
}}
user = x {{
        service=ppp protocol=multilink {{
                load-threshold=7
        }}
        cmd = show {{
                permit diag
                deny
        }}
        service = acls {{
                inacl#1="permit ip any any precedence immediate"
                route="3.0.0.0 255.0.0.0 1.2.3.4"
        }}
}}
"#
    ));
}
