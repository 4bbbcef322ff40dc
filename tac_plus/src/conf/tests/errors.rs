//! What does not load, and what its message says.

use super::*;

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
        "key = my user = hunter2 {\nuser = b { }",
        "key = my user = hunter2 { bogus }",
    ] {
        let error = error(text);
        assert!(
            !error.contains("hunter2") && !error.contains("er2-rest"),
            "{error}"
        );
    }
}

#[test]
fn what_cannot_be_meant_is_an_error() {
    for (text, message) in [
        ("user = a { member = b }", "there is no group 'b'"),
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
        ("host = 192.0.2.1 { key = \"\" }", "cannot be empty"),
        (
            "user = a { cmd = x { permit (a } }",
            "not a regular expression: '(' without ')'",
        ),
        (
            "user = a { service = ppp { } }",
            "'protocol' after 'ppp' expected",
        ),
        ("user = a {", "'}' expected, found the end of the file"),
        (
            "host = 192.0.2/24 { }",
            "'192.0.2/24' is neither an address nor a network",
        ),
        ("host = 192.0.2.0/33 { }", "'/33' is no prefix length"),
        ("host = 192.0.2.1/24 { }", "the network is 192.0.2.0/24"),
        ("host = 192.0.2.1 { } host = 192.0.2.1 { }", "defined twice"),
        ("host = 192.0.2.1 { warn = 2026-01-01 }", "there is none"),
        ("host = 192.0.2.1 { key = x warn = soon }", "this is no day"),
        ("host = 192.0.2.1 { lenient = all }", "one of minor-version"),
        (
            "host = 192.0.2.1 { tls name = \"a b\" }",
            "neither a dNSName",
        ),
        ("listen = here", "no address to listen on"),
        ("limit idel = 3", "unknown word after 'limit' 'idel'"),
        ("limit idle = soon", "a whole number"),
        ("limit body = 0", "would refuse everybody"),
        ("callout shell = maybe", "one of yes, no"),
        ("pam service = ../passwd", "a PAM service is a name"),
        ("tls key = a tls key = b", "'tls key' is given twice"),
        ("default authentication = cleartext x", "by file only"),
        (
            "user = a { login = skey }",
            "'skey' passwords are not supported",
        ),
        (
            "user = a { login = aceclnt }",
            "'aceclnt' passwords are not supported",
        ),
        (
            "user = a { chap = des abcdefghijklm }",
            "'chap' needs the password itself",
        ),
        ("user = a { enable = PAM }", "PAM cannot raise privileges"),
        (
            "user = a { before authorization \"/bin/x | mail root\" }",
            "'|' means something to a shell only",
        ),
        ("user = a { cmd = x { permit (a)\\1 } }", "back references"),
        ("follow = 192.0.2.1", "unknown directive 'follow'"),
        ("bogus", "unknown directive 'bogus'"),
        ("}", "a directive expected, found '}'"),
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
fn a_message_tells_what_to_do() {
    for (text, expected) in [
        (
            "user = a {\n    before authorization \"/bin/x; /bin/y\"\n}",
            "t.conf:3:26: this program cannot be run: ';' means something to a shell only, and none reads this line\n\
             3 |     before authorization \"/bin/x; /bin/y\"\n\
             \u{20} |                          ^\n\
             \u{20} = put it into a script, or write 'callout shell = yes' at the top level",
        ),
        (
            "limit idel = 5",
            "t.conf:2:7: unknown word after 'limit' 'idel'\n2 | limit idel\n  |       ^\n  = did you mean 'idle'?",
        ),
        // Read with braces within its words this gets further.
        (
            "user = a} { login = cleartext x}\n login = PAM }\n",
            "t.conf:3:2: 'login' is given twice\n3 |  login\n  |  ^",
        ),
    ] {
        assert_eq!(error(&format!("{KEY}{text}")), expected);
    }
}

#[test]
fn hints_name_what_there_is_and_blame_nothing_else() {
    let kinds = "cleartext \"...\" | des \"$6$...\" | file PATH";
    for (text, expected) in [
        (
            "default authentication = pam",
            "default authentication = file /etc/passwd; for PAM: user = DEFAULT { login = PAM pap = PAM }".to_owned(),
        ),
        (
            "default authentication = db",
            "default authentication = file /etc/passwd; for PAM: user = DEFAULT { login = PAM pap = PAM }".to_owned(),
        ),
        (
            "default authentication = skey",
            "default authentication = file /etc/passwd; for PAM: user = DEFAULT { login = PAM pap = PAM }".to_owned(),
        ),
        (
            "user = a { login = pam }",
            format!("login = {kinds} | PAM | nopassword; PAM in capitals"),
        ),
        (
            "user = a { pap = crypt x }",
            format!("pap = {kinds} | PAM; 'des' takes every format of crypt(3)"),
        ),
        (
            "user = a { login = mavis }",
            format!("login = {kinds} | PAM | nopassword; mavis belongs to tac_plus-ng, another language"),
        ),
        (
            "user = a { enable = hunter2 }",
            format!("enable = {kinds} | nopassword"),
        ),
        (
            "user = a { password = cleartext x }",
            "passwords are called login, pap, chap, ms-chap, global and enable here".to_owned(),
        ),
        (
            "user = a { service = exec { default command = permit } }",
            "'default attribute = permit' here, 'default service = permit' outside, for commands too"
                .to_owned(),
        ),
        (
            "id = spawnd { listen = { port = 49 } }",
            "this looks like a file of tac_plus-ng, which is another language: see tac_plus.conf(5) for this one"
                .to_owned(),
        ),
        (
            "user = a { login = des $5$rounds=5000$salt$hash }",
            "put the whole of it in double quotes".to_owned(),
        ),
        (
            "host = 192.0.2.1 { key = \"hunter2\" acl = x }",
            "an acl is named by users and groups: it says from which hosts they may ask".to_owned(),
        ),
    ] {
        assert_eq!(hint(text), expected, "{text}");
    }
    let blamed = error("host = 192.0.2.1 { key = \"hunter2\" acl = x }");
    assert!(blamed.contains("unknown word in a host 'acl'"), "{blamed}");
    assert!(!blamed.contains("hunter2"), "{blamed}");
}

/// What stands under the excerpt.
fn hint(text: &str) -> String {
    let error = error(&format!("{KEY}{text}"));
    let hint = error.rsplit_once("\n  = ");
    hint.map_or(error.clone(), |(_, hint)| hint.to_owned())
}

#[test]
fn a_brace_that_a_password_swallowed_is_told_where_it_is_missed() {
    let swallowed = "; the '}' that ends the value in line 2 was read as part of it: \
                     write a blank before it, or put the value in double quotes";
    assert_eq!(
        error(&format!(
            "{KEY}user = fred {{ enable = cleartext pw}}\nuser = bob {{ }}\n"
        )),
        format!(
            "t.conf:3:1: unknown directive 'user'\n3 | user\n  | ^\n  = the block of user 'fred', \
             opened at line 2, is not closed before 'user': add '}}' there{swallowed}"
        )
    );
    assert_eq!(
        error(&format!("{KEY}user = a {{ login = cleartext b}}\n")),
        format!(
            "t.conf:2:32: '}}' expected, found the end of the file\n2 | user = a {{ login = cleartext **\n  \
             |                                ^\n  = the block of user 'a', opened at line 2, is not \
             closed before the end of the file: add '}}' there{swallowed}"
        )
    );
    assert_eq!(
        hint("host = 192.0.2.1 { key = sesame}\nacl = a { permit = . }\n"),
        format!(
            "the block of host '192.0.2.1', opened at line 2, is not closed before 'acl': add '}}' there{swallowed}"
        )
    );
    // One of another block has nothing to do with it.
    assert_eq!(
        hint("user = a {\nlogin = cleartext b}\n}\nuser = c {\nlogin = PAM\nlogauthor\n"),
        "the block of user 'c', opened at line 5, is not closed before 'logauthor': add '}' there"
    );
}

#[test]
fn a_block_that_is_not_closed_is_named_by_what_belongs_outside_of_it() {
    for (text, block, line, word) in [
        (
            "group = g {\naccounting file = /x\n",
            "group 'g'",
            2,
            "accounting",
        ),
        ("user = a {\nkey = hunter2\n", "user 'a'", 2, "key"),
        ("user = a {\nmaxprocs = 5\n", "user 'a'", 2, "maxprocs"),
        (
            "user = a {\ndefault authentication = file /x\n",
            "user 'a'",
            2,
            "default",
        ),
        ("user = a {\nacl = b { permit = . }\n", "user 'a'", 2, "acl"),
        (
            "user = a {\nservice = exec {\npriv-lvl = 15\nuser = b { }\n",
            "service 'exec'",
            3,
            "user",
        ),
        (
            "user = a {\nservice = exec {\npriv-lvl = 15\nlogging local6\n",
            "service 'exec'",
            3,
            "logging",
        ),
        (
            "user = a {\ncmd = show {\npermit .*\nmember = g\n}\n",
            "cmd 'show'",
            3,
            "member",
        ),
        (
            "acl = x {\npermit = .\nhost = 192.0.2.1 { }\n",
            "acl 'x'",
            2,
            "host",
        ),
        (
            "host = 192.0.2.1 {\nuser = b { }\n",
            "host '192.0.2.1'",
            2,
            "user",
        ),
    ] {
        assert_eq!(
            hint(text),
            format!(
                "the block of {block}, opened at line {line}, is not closed before '{word}': add '}}' there"
            ),
            "{text}"
        );
    }
    // Not every wrong word is one from outside.
    assert_eq!(hint("user = a {\nlogn = PAM\n}"), "did you mean 'login'?");
}
