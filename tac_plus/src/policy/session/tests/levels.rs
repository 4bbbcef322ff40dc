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
