use tacacs_common::dialogues::Dialogues;
use tacacs_common::packet::AuthenStatus::{self, Error, Fail, GetData, GetPass, GetUser, Pass};
use tacacs_common::packet::{Action, AuthenService, AuthenType};

use super::authenticate;
use crate::handle::Note;
use crate::outcome::{End, Phase};
use crate::testing::{Host, Say, Seen, Server};

fn login(host: &mut Host) -> End {
    host.run(Phase::Authenticate, authenticate)
}

fn is_unreachable(end: End) -> bool {
    matches!(end, End::Unreachable { .. })
}

#[test]
fn a_password_that_the_person_types_is_sent_and_kept_for_the_stack() {
    let server = Server::start(&[Say::Authen(Pass, "Welcome\n")]);
    let mut host = Host::new(&[server.address], "").answers(&["pw1"]);
    assert_eq!(login(&mut host), End::Pass, "{}", host.log());
    assert_eq!(
        server.seen(),
        [Seen::Start {
            action: Action::Login,
            authen_type: AuthenType::Pap,
            service: AuthenService::Login,
            user: "alice".to_owned(),
            port: "pts/7".to_owned(),
            rem_addr: "192.0.2.7".to_owned(),
            data: b"pw1".to_vec(),
        }]
    );
    assert_eq!(host.handle.asked, [(false, "Password: ".to_owned())]);
    assert_eq!(host.handle.password.as_deref(), Some(&b"pw1"[..]));
    assert_eq!(host.handle.told, [(Note::Info, "Welcome".to_owned())]);
    assert!(
        host.log()
            .contains("Info: authentication of 'alice' from 192.0.2.7 passed at server s0")
    );
}

#[test]
fn a_password_of_an_earlier_module_is_used_as_the_line_says() {
    for (word, token, answer, sent) in [
        ("try_first_pass", Some("old"), None, Some("old")),
        ("try_first_pass", None, Some("typed"), Some("typed")),
        ("use_first_pass", Some("old"), None, Some("old")),
        ("use_first_pass", None, Some("never asked for"), None),
        ("debug", Some("old"), Some("typed"), Some("typed")),
    ] {
        let server = Server::start(&[Say::Authen(Pass, "")]);
        let mut host = Host::new(&[server.address], "").words(&[word]);
        host.handle.password = token.map(|token| token.as_bytes().to_vec());
        host.handle.answers.extend(answer);
        let end = login(&mut host);
        let data: Vec<_> = server.seen();
        match sent {
            None => assert_eq!((end, data), (End::Refused, vec![]), "{word}"),
            Some(sent) => {
                assert_eq!(end, End::Pass, "{word}");
                assert!(matches!(&data[..], [Seen::Start { data, .. }] if data == sent.as_bytes()));
            }
        }
        assert_eq!(
            host.handle.asked.len(),
            usize::from(sent == Some("typed")),
            "{word}"
        );
    }
}

#[test]
fn passwords_that_are_none_are_never_sent() {
    for (answer, end) in [
        (Some(""), End::Refused),
        (Some("\x08\n\r\x7fINCORRECT\x08\n"), End::Refused),
        (Some("\x08\n\r"), End::Refused),
        (None, End::NoAnswer),
    ] {
        let server = Server::start(&[Say::Authen(Pass, "")]);
        let mut host = Host::new(&[server.address], "");
        host.handle.answers.extend(answer);
        assert_eq!(login(&mut host), end, "{answer:?}");
        assert_eq!(
            (server.connections(), server.seen()),
            (0, vec![]),
            "{answer:?}"
        );

        let server = Server::start(&[Say::Hidden(GetPass, ""), Say::Close]);
        let mut host = Host::new(&[server.address], "login = ascii");
        host.handle.answers.extend(answer);
        assert_eq!(login(&mut host), end, "{answer:?}");
        let aborted = Seen::Continue {
            user_msg: String::new(),
            abort: true,
        };
        let seen = server.wait_for(2);
        assert_eq!(seen.get(1..), Some(&[aborted][..]), "{answer:?}");
    }
}

#[test]
fn a_refusal_is_asked_of_one_server_only_and_said() {
    let (first, second) = (
        Server::start(&[Say::Authen(Fail, "Account locked")]),
        Server::start(&[Say::Authen(Pass, "")]),
    );
    let mut host = Host::new(&[first.address, second.address], "").answers(&["wrong"]);
    assert_eq!(login(&mut host), End::Refused);
    assert_eq!((first.seen().len(), second.connections()), (1, 0));
    assert_eq!(
        host.handle.told,
        [(Note::Error, "Account locked".to_owned())]
    );
    assert!(
        host.log()
            .contains("Notice: authentication of 'alice' from 192.0.2.7 denied at server s0"),
        "{}",
        host.log()
    );
    assert!(host.memory.login.is_none());
}

#[test]
fn messages_are_kept_back_where_they_are_not_wanted_and_questions_are_not() {
    let server = Server::start(&[
        Say::Hidden(GetPass, "Password for you: "),
        Say::Authen(Pass, "Hi"),
    ]);
    let mut host = Host::new(&[server.address], "login = ascii").answers(&["pw"]);
    host.silent = true;
    assert_eq!(login(&mut host), End::Pass);
    assert_eq!(host.handle.told, []);
    assert_eq!(
        host.handle.asked,
        [(false, "Password for you: ".to_owned())]
    );
}

#[test]
fn a_dialogue_of_several_steps_goes_through_the_conversation() {
    let server = Server::start(&[
        Say::Authen(GetUser, "login: "),
        Say::Hidden(GetPass, "\x1b[2JPassword: "),
        Say::Authen(GetData, "Code from your phone: "),
        Say::Hidden(GetData, "Press Enter when approved"),
        Say::Authen(Pass, ""),
    ]);
    let mut host = Host::new(&[server.address], "login = ascii").answers(&["pw1", "123456", ""]);
    assert_eq!(login(&mut host), End::Pass, "{}", host.log());
    let said: Vec<_> = server.seen().into_iter().skip(1).collect();
    let expected = ["alice", "pw1", "123456", ""].map(|text| Seen::Continue {
        user_msg: text.to_owned(),
        abort: false,
    });
    assert_eq!(said, expected);
    assert_eq!(
        host.handle.asked,
        [
            (false, "\\x1b[2JPassword: ".to_owned()),
            (true, "Code from your phone: ".to_owned()),
            (false, "Press Enter when approved".to_owned()),
        ]
    );
    assert_eq!(host.handle.password.as_deref(), Some(&b"pw1"[..]));
    assert_eq!(
        host.memory.login.as_ref().unwrap().authen_type,
        AuthenType::Ascii
    );
}

#[test]
fn the_stacks_password_answers_the_first_question_for_a_password_and_no_other() {
    let server = Server::start(&[
        Say::Hidden(GetPass, ""),
        Say::Hidden(GetPass, "Token: "),
        Say::Authen(Pass, ""),
    ]);
    let mut host = Host::new(&[server.address], "login = ascii")
        .words(&["use_first_pass"])
        .answers(&["654321"]);
    host.handle.password = Some(b"pw1".to_vec());
    assert_eq!(login(&mut host), End::Pass, "{}", host.log());
    let said = server.seen();
    assert!(matches!(&said[1], Seen::Continue { user_msg, .. } if user_msg == "pw1"));
    assert!(matches!(&said[2], Seen::Continue { user_msg, .. } if user_msg == "654321"));
    assert_eq!(
        host.handle.password.as_deref(),
        Some(&b"pw1"[..]),
        "a code is no password"
    );
}

#[test]
fn with_a_prompt_of_its_own_the_host_asks_for_the_password_before_it_asks_a_server() {
    for (word, global) in [("prompt=PIN:_", ""), ("debug", "prompt = PIN:_")] {
        let server = Server::start(&[
            Say::Hidden(GetPass, "Password: "),
            Say::Hidden(GetData, "Code: "),
            Say::Authen(Pass, ""),
        ]);
        let global = format!("login = ascii\n{global}");
        let mut host = Host::new(&[server.address], &global)
            .words(&[word])
            .answers(&["pw1", "123456"]);
        assert_eq!(login(&mut host), End::Pass, "{}", host.log());
        let asked = ["PIN: ", "Code: "].map(|prompt| (false, prompt.to_owned()));
        assert_eq!(host.handle.asked, asked);
        assert_eq!(host.handle.password.as_deref(), Some(&b"pw1"[..]));
        assert!(matches!(&server.seen()[1], Seen::Continue { user_msg, .. } if user_msg == "pw1"));

        // Who does not answer lets no connection wait.
        let server = Server::start(&[Say::Hidden(GetPass, "Password: ")]);
        let mut host = Host::new(&[server.address], &global).words(&[word]);
        assert_eq!(login(&mut host), End::NoAnswer);
        assert_eq!(server.connections(), 0);
    }
}

#[test]
fn a_login_that_finds_no_room_for_its_dialogue_is_refused_and_asks_no_server() {
    let server = Server::start(&[Say::Hidden(GetPass, ""), Say::Authen(Pass, "")]);
    let key = server.address.to_string();
    let mut host =
        Host::new(&[server.address], "login = ascii\ndialogues = 2").answers(&["pw", "pw"]);
    let dialogues = Dialogues::new(&host.site.dialogues, 2);
    let su = dialogues.enter(&key, true).unwrap().unwrap();

    host.site.setuid = true;
    assert_eq!(login(&mut host), End::Refused);
    assert!(
        host.log().contains("as many dialogues wait there"),
        "{}",
        host.log()
    );
    assert_eq!(server.connections(), 0);
    // Logins have slots that no caller of su can keep.
    host.site.setuid = false;
    assert_eq!(login(&mut host), End::Pass, "{}", host.log());

    let login_s = dialogues.enter(&key, false).unwrap().unwrap();
    assert_eq!(login(&mut host), End::Refused);
    drop((su, login_s));
    std::fs::remove_dir_all(&host.site.dialogues).unwrap();
    std::fs::write(&host.site.dialogues, "").unwrap();
    assert_eq!(login(&mut host), End::Refused);
    assert!(host.log().contains("cannot be counted"), "{}", host.log());
    assert_eq!(server.connections(), 1);
}

#[test]
fn endless_questions_end() {
    let script: Vec<Say> = std::iter::repeat_n(Say::Hidden(GetData, "again"), 100).collect();
    let server = Server::start(&script);
    let answers = ["x"; 100];
    let mut host = Host::new(&[server.address], "login = ascii").answers(&answers);
    assert_eq!(login(&mut host), End::TooManyRounds);
    assert!(server.seen().len() < 50);
}

#[test]
fn the_next_server_is_asked_only_if_one_gave_no_answer() {
    let up = Server::start(&[Say::Authen(Pass, "")]);
    let erring = Server::start(&[Say::Authen(Error, "database down")]);
    let servers = [Server::nowhere(), erring.address, up.address];
    let mut host = Host::new(&servers, "").answers(&["pw"]);
    assert_eq!(login(&mut host), End::Pass);
    assert!(
        host.log().contains("Warning: server s0: cannot connect"),
        "{}",
        host.log()
    );
    assert!(
        host.log()
            .contains("Warning: server s1: it answered ERROR: database down")
    );
}

#[test]
fn without_an_answer_from_any_server_the_configuration_says_how_it_goes_on() {
    for (policy, verdict) in [
        ("ignore", "the rest of the stack decides"),
        ("deny", "refused (unreachable = deny)"),
        (
            "users",
            "refused (unreachable = users, and fallback_users does not name the user)",
        ),
        (
            "users\nfallback_users = alice",
            "the host decides, for fallback_users names the user",
        ),
    ] {
        let mut host =
            Host::new(&[Server::nowhere()], &format!("unreachable = {policy}")).answers(&["pw"]);
        let end = login(&mut host);
        assert!(is_unreachable(end), "{end:?}");
        assert!(host.log().contains(verdict), "{}", host.log());
    }
}

#[test]
fn a_code_is_not_sent_to_a_second_server() {
    let first = Server::start(&[Say::Hidden(GetPass, ""), Say::Close]);
    let second = Server::start(&[Say::Hidden(GetPass, ""), Say::Authen(Pass, "")]);
    let mut host =
        Host::new(&[first.address, second.address], "login = ascii").answers(&["123456", "123456"]);
    assert_eq!(login(&mut host), End::Refused, "{}", host.log());
    assert_eq!(second.connections(), 0);
    assert!(
        host.log().contains("the dialogue broke off: "),
        "{}",
        host.log()
    );
}

#[test]
fn a_wrong_secret_is_called_by_its_name() {
    let server = Server::start(&[Say::Authen(Pass, "")]);
    let mut host = Host::new(&[], "").answers(&["pw"]);
    host.conf(&format!(
        "[mapping]\nmode = local\n[server core1]\naddress = {}\nsecret = another secret entirely\n",
        server.address
    ));
    let end = login(&mut host);
    assert!(is_unreachable(end), "{end:?}");
    assert!(
        host.log()
            .contains("Error: shared secret mismatch with core1"),
        "{}",
        host.log()
    );
}

#[test]
fn root_gets_past_a_broken_configuration_and_others_are_told_the_line() {
    let mut host = Host::new(&[], "tiemout = 5");
    host.handle.user = "root".to_owned();
    assert_eq!(login(&mut host), End::Ignored);
    assert_eq!(host.log(), "");

    host.handle.user = "alice".to_owned();
    assert_eq!(login(&mut host), End::Misconfigured);
    assert!(
        host.log().contains("Error: configuration error: "),
        "{}",
        host.log()
    );
    assert!(host.log().contains("tacplus.conf:2: "), "{}", host.log());
}

#[test]
fn those_who_are_not_tacacs_users_are_not_asked_about() {
    let server = Server::start(&[Say::Authen(Pass, "")]);
    for user in ["root", "nobody", "bob"] {
        let mut host = Host::new(&[server.address], "").answers(&["pw"]);
        host.handle.user = user.to_owned();
        assert_eq!(login(&mut host), End::Ignored, "{user}");
    }
    let mut host = Host::new(&[server.address], "skip_services = cron sshd").answers(&["pw"]);
    assert_eq!(login(&mut host), End::Ignored);
    assert_eq!(server.connections(), 0);
}

#[test]
fn one_line_a_login_says_who_was_passed_over_and_why() {
    for (mode, user, line) in [
        (
            "local",
            "guest",
            "'guest' from 192.0.2.7 is listed in exclude_users",
        ),
        (
            "local",
            "bob",
            "somebody from 192.0.2.7, whose name is not in /etc/passwd, as mode = local wants; it is not logged, for it may be a mistyped password",
        ),
        ("unique", "alice", "'alice' from 192.0.2.7 is a local user"),
        (
            "unique",
            "corr3ct\nHorse",
            "somebody from 192.0.2.7, whose name is not a name that this host gives to users; it is not logged, for it may be a mistyped password",
        ),
    ] {
        let mut host = in_mode(mode, user);
        assert_eq!(login(&mut host), End::Ignored);
        assert_eq!(host.log(), format!("Info: passed over: {line}\n"));
        host.run(Phase::Account, crate::account::authorize);
        host.run(Phase::Session, crate::session::open);
        assert_eq!(host.log().lines().count(), 1, "{}", host.log());

        // A login with a key begins with acct_mgmt.
        let mut host = in_mode(mode, user);
        host.run(Phase::Account, crate::account::authorize);
        host.run(Phase::Session, crate::session::open);
        assert_eq!(host.log(), format!("Info: passed over: {line}\n"));
    }
}

fn in_mode(mode: &str, user: &str) -> Host {
    let mut host = Host::new(&[Server::nowhere()], "exclude_users = guest");
    let conf = std::fs::read_to_string(&host.site.conf).unwrap();
    host.conf(&conf.replace("mode = local", &format!("mode = {mode}")));
    host.handle.user = user.to_owned();
    host
}

#[test]
fn the_jobs_of_a_skipped_service_and_root_write_no_line_each() {
    for (user, conf) in [("guest", "skip_services = sshd"), ("root", "")] {
        let mut host = Host::new(
            &[Server::nowhere()],
            &format!("exclude_users = guest\n{conf}"),
        );
        host.handle.user = user.to_owned();
        assert_eq!(login(&mut host), End::Ignored, "{}", host.log());
        assert_eq!(
            host.run(Phase::Account, crate::account::authorize),
            End::Ignored
        );
        assert_eq!(host.log(), "", "{user}");
    }
}

#[test]
fn whoever_is_refused_is_refused_after_the_same_wait() {
    let two_seconds = Some(std::time::Duration::from_secs(2));
    for (user, global, answer, end) in [
        ("alice", "", "wrong", End::Refused),
        ("alice", "", "", End::Refused),
        ("root", "", "wrong", End::Ignored),
        ("nosuchuser", "", "wrong", End::Ignored),
        ("alice", "tiemout = 5", "wrong", End::Misconfigured),
        ("alice", "skip_services = sshd", "wrong", End::Ignored),
    ] {
        for word in ["debug", "nodelay"] {
            let server = Server::start(&[Say::Authen(Fail, "")]);
            let mut host = Host::new(&[server.address], global).words(&[word]);
            host.handle.user = user.to_owned();
            host.handle.answers = [answer].into();
            assert_eq!(login(&mut host), end, "{user} {global}");
            let wait = two_seconds.filter(|_| word != "nodelay");
            assert_eq!(host.handle.delay, wait, "{user} {global} {word}");
        }
    }
}

#[test]
fn the_log_has_no_secret_at_its_highest_level() {
    let server = Server::start(&[
        Say::Hidden(GetPass, "Password: "),
        Say::Authen(GetData, "Code: "),
        Say::Authen(Fail, "no"),
    ]);
    let mut host = Host::new(&[server.address], "login = ascii\ndebug = yes")
        .answers(&["marked-password", "marked-code"]);
    assert_eq!(login(&mut host), End::Refused);
    let log = host.log();
    assert!(log.contains("Debug: "), "{log}");
    assert!(
        !log.contains("marked") && !log.contains("secret for tests"),
        "{log}"
    );
    assert!(
        host.handle
            .log
            .borrow()
            .iter()
            .all(|(_, line)| !line.contains('\n'))
    );
}

#[test]
fn every_way_of_sending_a_password_is_sent_as_its_own_type() {
    for (word, authen_type, len) in [
        ("pap", AuthenType::Pap, 2),
        ("chap", AuthenType::Chap, 33),
        ("mschap", AuthenType::MsChap, 58),
        ("mschapv2", AuthenType::MsChapV2, 66),
    ] {
        let server = Server::start(&[Say::Authen(AuthenStatus::Pass, "")]);
        let mut host = Host::new(&[server.address], &format!("login = {word}")).answers(&["pw"]);
        assert_eq!(login(&mut host), End::Pass, "{word}");
        let seen = server.seen();
        assert!(
            matches!(&seen[..], [Seen::Start { authen_type: t, data, .. }]
                if *t == authen_type && data.len() == len),
            "{seen:?}"
        );
    }
}
