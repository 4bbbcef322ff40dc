//! Passwords of privilege levels, by their pseudo-users.

use super::*;

#[test]
fn the_password_of_a_level_is_its_own_and_good_where_and_while_it_says() {
    let users = "acl = nowhere { deny = .* }\n\
         user = alice { login = cleartext a }\n\
         user = $enab1$ { login = file /etc/levels }\n\
         user = $enab2$ { login = PAM }\n\
         user = $enab3$ { login = cleartext x expires = 2026-11-22 }\n\
         user = $enab4$ { login = cleartext x enableacl = nowhere }\n\
         user = $enab5$ { login = cleartext x acl = nowhere }\n";
    let host = "host = 192.0.2.1 { key = \"a secret of more than sixteen\" }\n";
    for (level, expected) in [
        (1, "verify /etc/levels $enab1$ \"x\""),
        (2, "FAIL"),
        (3, "FAIL \"Password has expired\""),
        (4, "FAIL"),
        (5, "PASS"),
    ] {
        let mut talk = Talk::with(&format!("{host}{users}"), ONE);
        talk.start(enable("alice", level));
        let mut said = talk.say("x");
        if expected.starts_with("FAIL") {
            assert_eq!(said, "verify /etc/levels alice \"x\"", "for its time");
            said = talk.told(Done::Checked(Checked::Right));
        }
        assert!(said.starts_with(expected), "{level}: {said}");
    }
}

#[test]
fn nobody_logs_in_by_the_password_of_a_level() {
    let configuration = "host = 192.0.2.1 { key = \"a secret of more than sixteen\" }\n\
         user = $enable$ { login = cleartext x pap = cleartext x chap = cleartext x }\n\
         user = $enab15$ { login = nopassword }\n";
    for user in ["$enable$", "$enab15$"] {
        let mut talk = Talk::with(configuration, ONE);
        let asked = talk.start(start(AuthenType::Ascii, user, b""));
        assert!(asked.starts_with("GETPASS"), "{user}: {asked}");
        assert!(talk.say("x").starts_with("FAIL"), "{user}");
        let challenge = [&b"\x07challenge"[..], &chap_response(7, b"x", b"challenge")].concat();
        for (kind, data) in [(AuthenType::Pap, &b"x"[..]), (AuthenType::Chap, &challenge)] {
            let said = Talk::with(configuration, ONE).start(start(kind, user, data));
            assert!(said.starts_with("FAIL"), "{user}: {said}");
        }
    }
}

/// What comes of `x` for a level; whatever is asked of the world is answered with this.
fn raised(configuration: &str, level: u8, done: fn() -> Done) -> Vec<String> {
    let host = "host = 192.0.2.1 { key = \"a secret of more than sixteen\" }\n";
    let mut talk = Talk::with(&format!("{host}{configuration}"), ONE);
    assert!(talk.start(enable("alice", level)).starts_with("GETPASS"));
    let mut said = vec![talk.say("x")];
    while said.last().is_some_and(|last| last.starts_with("verify")) {
        said.push(talk.told(done()));
    }
    let words = said
        .iter()
        .map(|said| said.split(" | ").next().unwrap_or_default());
    words.map(str::to_owned).collect()
}

#[test]
fn level_15_has_two_names_and_the_password_of_either_is_good() {
    let wrong = || Done::Checked(Checked::Wrong);
    for (first, second, expected) in [
        ("cleartext x", "cleartext y", &["PASS \"\""][..]),
        ("cleartext y", "cleartext x", &["PASS \"\""]),
        ("cleartext y", "cleartext z", &["FAIL \"\""]),
        (
            "cleartext x expires = 2026-11-22",
            "cleartext x",
            &["PASS \"\""],
        ),
        ("PAM", "cleartext x", &["PASS \"\""]),
        ("nopassword", "cleartext x", &["PASS \"\""]),
        (
            "file /one",
            "file /two",
            &[
                "verify /one $enable$ \"x\"",
                "verify /two $enab15$ \"x\"",
                "FAIL \"\"",
            ],
        ),
        (
            "file /one",
            "cleartext x",
            &["verify /one $enable$ \"x\"", "PASS \"\""],
        ),
    ] {
        let users = format!(
            "user = $enable$ {{ login = {first} }}\nuser = $enab15$ {{ login = {second} }}\n"
        );
        assert_eq!(raised(&users, 15, wrong), expected, "{users}");
    }
}

#[test]
fn the_password_of_a_level_stands_in_its_own_block_or_in_the_default_file() {
    let right = || Done::Checked(Checked::Right);
    for (users, level, expected) in [
        (
            "user = $enab15$ { login = nopassword }",
            15,
            &["FAIL \"\""][..],
        ),
        ("user = $enab7$ { login = nopassword }", 7, &["FAIL \"\""]),
        (
            "group = g { login = cleartext x }\nuser = $enab15$ { member = g }",
            15,
            &["FAIL \"\""],
        ),
        (
            "user = $enab15$ { global = cleartext x }",
            15,
            &["PASS \"\""],
        ),
        (
            "group = g { expires = 2026-11-22 }\nuser = $enab15$ { member = g login = cleartext x }",
            15,
            &["PASS \"\""],
        ),
        ("user = DEFAULT { login = cleartext x }", 15, &["FAIL \"\""]),
        (
            "default authentication = file /all",
            7,
            &["verify /all $enab7$ \"x\"", "PASS \"\""],
        ),
        (
            "default authentication = file /all\nuser = $enable$ { login = nopassword }",
            15,
            &["verify /all $enable$ \"x\"", "PASS \"\""],
        ),
    ] {
        assert_eq!(raised(users, level, right), expected, "{users}");
    }
    let wrong = || Done::Checked(Checked::Unknown);
    let in_vain = [
        "verify /all $enable$ \"x\"",
        "verify /all $enab15$ \"x\"",
        "FAIL \"\"",
    ];
    assert_eq!(
        raised("default authentication = file /all", 15, wrong),
        in_vain
    );
}
