//! What a session asks the world for, and what it makes of the answer.

use tacacs_common::packet::Body;

use super::*;

const HASHES: &str = r#"
host = 192.0.2.1 { key = "a secret of more than sixteen" }
user = alice { login = des mEX027bHtzTlQ pap = des mEX027bHtzTlQ }
user = clear { login = cleartext "in clear" }
user = carol { login = file /etc/tac/users enable = des mEX027bHtzTlQ message = "Be nice" }
user = pam { login = PAM pap = PAM expires = "Dec 1 2026" }
user = soon { login = des mEX027bHtzTlQ expires = "Dec 7 2026" message = "Be nice" }
user = later { login = des mEX027bHtzTlQ expires = "Dec 8 2026" }
user = over { login = des mEX027bHtzTlQ expires = "Nov 23 2026" }
user = over-in-clear { chap = cleartext "in clear" pap = cleartext "in clear" expires = "Jan 1 2005" }
default authentication = file /etc/tac/all
"#;

fn talk() -> Talk {
    Talk::with(HASHES, ONE)
}

/// What is asked of the world when this user types this password.
fn typed(user: &str, password: &str) -> (Talk, String) {
    let mut talk = talk();
    let asked = talk.start(start(AuthenType::Ascii, user, b""));
    assert_eq!(asked, "GETPASS NOECHO \"Password: \"", "{user}");
    let need = talk.say(password);
    (talk, need)
}

fn ends(user: &str, done: Done) -> String {
    let (mut talk, _) = typed(user, "secret");
    talk.told(done)
}

#[test]
fn a_hash_a_file_and_pam_are_asked_about_what_was_typed() {
    for (user, expected) in [
        ("alice", "verify mEX027bHtzTlQ alice \"secret\""),
        ("carol", "verify /etc/tac/users carol \"secret\""),
        (
            "nobody-knows",
            "verify /etc/tac/all nobody-knows \"secret\"",
        ),
        ("pam", "pam tac_plus pam tty1 10.9.8.7 \"secret\" may ask"),
    ] {
        assert_eq!(typed(user, "secret").1, expected);
    }
    for (user, expected) in [
        ("alice", "verify mEX027bHtzTlQ alice \"secret\""),
        ("carol", "verify /etc/tac/all carol \"secret\""),
        ("pam", "pam tac_plus pam tty1 10.9.8.7 \"secret\""),
    ] {
        let need = talk().start(start(AuthenType::Pap, user, b"secret"));
        assert_eq!(need, expected, "PAP asks nothing more");
    }
}

#[test]
fn what_the_world_says_about_a_password_becomes_the_answer() {
    let late = Date::parse(b"2026-12-24");
    for (user, done, expected) in [
        (
            "alice",
            Done::Checked(Checked::Right),
            "PASS \"\" | login success: user=alice",
        ),
        (
            "alice",
            Done::Checked(Checked::Wrong),
            "FAIL \"\" | login failure: user=alice",
        ),
        (
            "alice",
            Done::Failed,
            "ERROR \"\" | login error: user=alice",
        ),
        (
            "carol",
            Done::Checked(Checked::RightUntil(None)),
            "PASS \"Be nice\" | ",
        ),
        (
            "carol",
            Done::Checked(Checked::RightUntil(late)),
            "PASS \"Be nice\" | ",
        ),
        (
            "nobody",
            Done::Checked(Checked::Unknown),
            "FAIL \"\" | login failure: user=nobody",
        ),
        (
            "pam",
            Done::Pam(PamSays::No("Permission denied".to_owned(), b"Out".to_vec())),
            "FAIL \"Out\" | ",
        ),
    ] {
        let answer = ends(user, done);
        assert!(answer.starts_with(expected), "{user}: {answer}");
    }
}

#[test]
fn a_wrong_password_in_clear_takes_as_long_as_one_that_is_a_hash() {
    let (mut talk, need) = typed("clear", "wrong");
    assert!(need.starts_with("verify mEX027bHtzTlQ"), "{need}");
    let answer = talk.told(Done::Checked(Checked::Right));
    assert!(
        answer.starts_with("FAIL") && answer.ends_with("reason='wrong password'"),
        "{answer}"
    );
    assert!(typed("clear", "in clear").1.starts_with("PASS"));
}

#[test]
fn a_user_without_a_password_takes_as_long_as_one_with_a_hash_and_never_passes() {
    let configuration = HASHES.replace("default authentication = file /etc/tac/all", "");
    for user in ["nobody-knows", "over-in-clear", "DEFAULT"] {
        let mut talk = Talk::with(&configuration, ONE);
        talk.start(start(AuthenType::Ascii, user, b""));
        let need = talk.say("secret");
        assert!(need.starts_with("verify mEX027bHtzTlQ"), "{need}");
        let answer = talk.told(Done::Checked(Checked::Right));
        assert!(answer.starts_with("FAIL \"\""), "{user}: {answer}");
    }
}

#[test]
fn users_are_warned_two_weeks_before_their_last_day_and_kept_out_after_it() {
    let right = || Done::Checked(Checked::Right);
    let until = |day: &str| Done::Checked(Checked::RightUntil(Date::parse(day.as_bytes())));
    for (user, done, expected) in [
        ("later", right(), "PASS \"\""),
        (
            "soon",
            right(),
            "PASS \"Be nice\\nPassword will expire soon\"",
        ),
        ("over", right(), "FAIL \"Password has expired\""),
        (
            "pam",
            Done::Pam(PamSays::Yes(b"Hello".to_vec())),
            "PASS \"Hello\\nPassword will expire soon\"",
        ),
        // The file's own day counts, not the configuration's.
        (
            "carol",
            until("2026-12-07"),
            "PASS \"Be nice\\nPassword will expire soon\"",
        ),
        (
            "carol",
            until("2026-11-23"),
            "FAIL \"Password has expired\"",
        ),
        ("soon", until("2027-11-23"), "PASS \"Be nice\""),
    ] {
        let answer = ends(user, done);
        assert!(
            answer.starts_with(&format!("{expected} | ")),
            "{user}: {answer}"
        );
    }
    let challenge = [
        &b"\x07challenge"[..],
        &chap_response(7, b"in clear", b"challenge"),
    ]
    .concat();
    for (kind, data) in [
        (AuthenType::Pap, &b"in clear"[..]),
        (AuthenType::Chap, &challenge),
    ] {
        let mut talk = talk();
        let need = talk.start(start(kind, "over-in-clear", data));
        assert!(need.starts_with("verify "), "{need}");
        let said = talk.told(Done::Checked(Checked::Wrong));
        assert!(said.starts_with("FAIL \"Password has expired\""), "{said}");
    }
}

#[test]
fn reasons_that_would_mislead_are_told_apart() {
    let configuration = "host = 192.0.2.1 { key = \"a secret of more than sixteen\" }\n\
         user = day { login = des mEX027bHtzTlQ expires = \"32 Foo\" }\n\
         user = over { login = des mEX027bHtzTlQ expires = \"Nov 23 2026\" }\n\
         user = hash { login = des nonsense }\n\
         user = empty { login = cleartext \"\" }\n\
         user = wrong { login = des mEX027bHtzTlQ }\n";
    for (user, checked, reason) in [
        ("day", Checked::Right, "its day of expiry cannot be read"),
        ("over", Checked::Right, "password has expired"),
        (
            "hash",
            Checked::Wrong,
            "its hash is none that crypt(3) makes",
        ),
        (
            "empty",
            Checked::Wrong,
            "its password is empty or an asterisk, which lets nobody in",
        ),
        ("wrong", Checked::Wrong, "wrong password"),
    ] {
        let mut talk = Talk::with(configuration, ONE);
        talk.start(start(AuthenType::Ascii, user, b""));
        talk.say("secret");
        let said = talk.told(Done::Checked(checked));
        assert!(said.ends_with(&format!(" reason='{reason}'")), "{said}");
    }
}

#[test]
fn whatever_becomes_of_a_decoy_it_changes_no_verdict() {
    for (user, password, why) in [
        ("clear", "wrong", "wrong password"),
        ("kept-out", "in clear", "access list"),
        ("open", "", "access list"),
        ("DEFAULT", "in clear", "unknown user"),
    ] {
        for done in [
            Done::Failed,
            Done::Checked(Checked::Right),
            Done::Checked(Checked::Unknown),
            Done::Due,
        ] {
            let configuration = format!(
                "{}\nacl = nowhere {{ deny = .* }}\n\
                 user = kept-out {{ login = cleartext \"in clear\" acl = nowhere }}\n\
                 user = open {{ login = nopassword acl = nowhere }}",
                HASHES.replace("default authentication = file /etc/tac/all", "")
            );
            let mut talk = Talk::with(&configuration, ONE);
            let mut need = talk.start(start(AuthenType::Ascii, user, b""));
            if need.starts_with("GETPASS") {
                need = talk.say(password);
            }
            assert!(need.starts_with("verify mEX027bHtzTlQ"), "{user}: {need}");
            let answer = talk.told(done);
            assert!(
                answer.starts_with("FAIL \"\" | login failure: ") && answer.contains(why),
                "{user}: {answer}"
            );
        }
    }
}

#[test]
fn a_wrong_password_of_an_expired_user_is_only_a_wrong_password() {
    let answer = ends("over", Done::Checked(Checked::Wrong));
    assert!(answer.starts_with("FAIL \"\""), "{answer}");
}

#[test]
fn pam_may_ask_more_and_each_question_keeps_its_echo() {
    let asks = |prompt: &str, echo| {
        Done::Pam(PamSays::Ask {
            prompt: prompt.as_bytes().to_vec(),
            echo,
            dialogue: Dialogue::with_nobody(),
        })
    };
    let (mut talk, _) = typed("pam", "secret");
    assert_eq!(talk.told(asks("Code: ", true)), "GETDATA \"Code: \"");
    assert_eq!(talk.say("123"), "answer \"123\"");
    assert_eq!(talk.told(asks("PIN: ", false)), "GETDATA NOECHO \"PIN: \"");
    assert_eq!(talk.say(""), "answer \"\"");
    let end = talk.told(Done::Pam(PamSays::Yes(Vec::new())));
    assert!(end.starts_with("PASS"), "{end}");
}

#[test]
fn an_answer_that_would_wait_too_long_is_a_failure_and_no_success_in_the_log() {
    let all = ["alice pap", "wrong"]
        .map(|password| [Done::TooLate, Done::Failed].map(|done| (password, done)));
    for (password, done) in all.into_iter().flatten() {
        let mut talk = Talk::from(ONE);
        let mut step = |input: Input<'_>| talk.session.step(&talk.policy, today(), input);
        let login = start(AuthenType::Pap, "alice", password.as_bytes());
        step(Input::Start(login, login.version()));
        let end = show(step(Input::Done(done)));
        let expected = "FAIL \"\" | login failure: user=alice";
        assert!(end.starts_with(expected), "{end}");
    }
}

#[test]
fn questions_without_end_are_an_error() {
    let (mut talk, _) = typed("pam", "secret");
    for _ in 0..19 {
        let question = PamSays::Ask {
            prompt: b"More: ".to_vec(),
            echo: true,
            dialogue: Dialogue::with_nobody(),
        };
        assert_eq!(talk.told(Done::Pam(question)), "GETDATA \"More: \"");
        talk.say("more");
    }
    let question = PamSays::Ask {
        prompt: b"More: ".to_vec(),
        echo: true,
        dialogue: Dialogue::with_nobody(),
    };
    let end = talk.told(Done::Pam(question));
    assert!(
        end.starts_with("ERROR") && end.contains("too many questions"),
        "{end}"
    );
}

#[test]
fn enable_may_be_a_hash() {
    let mut talk = talk();
    talk.start(enable("carol", 15));
    assert_eq!(talk.say("x"), "verify mEX027bHtzTlQ carol \"x\"");
    let answer = talk.told(Done::Checked(Checked::Right));
    assert!(
        answer.starts_with("PASS \"\" | enable 15 success"),
        "{answer}"
    );
}

fn change(configuration: &str, user: &str) -> (Talk, String) {
    let mut talk = Talk::with(&format!("password change = yes\n{configuration}"), ONE);
    let asked = talk.start(AuthenStart {
        action: Action::ChangePass,
        ..start(AuthenType::Ascii, user, b"")
    });
    (talk, asked)
}

#[test]
fn a_password_in_a_file_is_changed_once_the_new_one_was_typed_twice() {
    let (mut talk, asked) = change(HASHES, "");
    assert!(asked.starts_with("GETUSER"), "{asked}");
    assert_eq!(talk.say("carol"), "GETDATA NOECHO \"Old password: \"");
    assert_eq!(talk.say("old"), "verify /etc/tac/users carol \"old\"");
    let new = "GETPASS NOECHO \"New password: \"";
    assert_eq!(talk.told(Done::Checked(Checked::RightUntil(None))), new);
    let again = "GETPASS NOECHO \"New password again: \"";
    for (typed, expected) in [
        (
            "",
            "GETPASS NOECHO \"The password is empty.\\nNew password: \"",
        ),
        (
            "old",
            "GETPASS NOECHO \"The password is the old one.\\nNew password: \"",
        ),
        ("new", again),
        (
            "mistyped",
            "GETPASS NOECHO \"The passwords are not the same.\\nNew password: \"",
        ),
        ("new", again),
        ("new", "change /etc/tac/users carol \"old\" \"new\""),
    ] {
        assert_eq!(talk.say(typed), expected);
    }
    let end = talk.told(Done::Changed(Changed::Done));
    let line = "PASS \"Password changed\" | password change success: user=carol device=192.0.2.1";
    assert!(end.starts_with(line), "{end}");
}

#[test]
fn a_change_that_cannot_be_is_refused_after_the_old_password_was_right() {
    for (user, done, expected) in [
        ("carol", Done::Checked(Checked::Wrong), "FAIL \"\""),
        ("nobody", Done::Checked(Checked::Unknown), "FAIL \"\""),
        ("alice", Done::Checked(Checked::Wrong), "FAIL \"\""),
        (
            "alice",
            Done::Checked(Checked::Right),
            "FAIL \"Passwords cannot be changed here\"",
        ),
        (
            "pam",
            Done::Pam(PamSays::Yes(Vec::new())),
            "FAIL \"Passwords cannot be changed here\"",
        ),
        ("carol", Done::Failed, "ERROR \"\""),
    ] {
        let (mut talk, asked) = change(HASHES, user);
        assert_eq!(asked, "GETDATA NOECHO \"Old password: \"", "{user}");
        talk.say("old");
        let answer = talk.told(done);
        assert!(
            answer.starts_with(&format!("{expected} | password change ")),
            "{user}: {answer}"
        );
    }
    for (done, expected) in [
        (Done::Changed(Changed::Wrong), "FAIL \"\""),
        (
            Done::Changed(Changed::NotHere),
            "FAIL \"Passwords cannot be changed here\"",
        ),
        (Done::Failed, "ERROR \"\""),
    ] {
        let (mut talk, _) = change(HASHES, "carol");
        talk.say("old");
        talk.told(Done::Checked(Checked::RightUntil(None)));
        talk.say("new");
        talk.say("new");
        let answer = talk.told(done);
        assert!(answer.starts_with(expected), "{answer}");
    }
}

#[test]
fn without_a_throttle_nobody_waits() {
    let configuration = format!("throttle = 0\n{CONFIGURATION}");
    let mut talk = Talk::with(&configuration, ONE);
    let start = start(AuthenType::Pap, "alice", b"wrong");
    let step = talk
        .session
        .step(&talk.policy, today(), Input::Start(start, Version::ONE));
    assert!(show(step).starts_with("FAIL"));
}

#[test]
fn every_attempt_is_counted_by_user_and_takes_the_turn_of_its_client_and_place() {
    let attempt = |user: &str, password: &[u8]| {
        let mut talk = Talk::from(ONE);
        let start = start(AuthenType::Pap, user, password);
        match talk
            .session
            .step(&talk.policy, today(), Input::Start(start, Version::ONE))
        {
            Step::Need(Effect::Count(attempt)) => attempt,
            other => panic!("{}", show(other)),
        }
    };
    let (right, wrong) = (attempt("alice", b"alice pap"), attempt("alice", b"wrong"));
    let other = attempt("nobody", b"wrong");
    assert!(right.passed && !wrong.passed && !other.passed);
    assert_eq!(right.user, wrong.user);
    assert_ne!(other.user, wrong.user);
    assert_eq!((other.client, other.place), (wrong.client, wrong.place));
    assert_eq!(*other.name, *b"nobody");
}

#[test]
fn mistakes_of_old_devices_are_forgiven_where_the_client_is_known_for_them() {
    let lenient = CONFIGURATION.replace(
        "prompt =",
        "lenient = minor-version lenient = empty-arg lenient = ascii-start-password prompt =",
    );
    let pap = start(AuthenType::Pap, "alice", b"alice pap");
    let in_data = start(AuthenType::Ascii, "alice", b"alice login");
    for (address, expected) in [
        (ONE, ["PASS", "PASS", "FAIL"]),
        (TWO, ["ERROR", "GETPASS", "ERROR"]),
    ] {
        let ask = |input: Input<'_>| {
            let answer = Talk::with(&lenient, address).step(input);
            answer.split(' ').next().unwrap_or_default().to_owned()
        };
        let fixed = [6, 1, 1, 1, 5, 0, 0, 3, 0, 13, 4];
        let body = [&fixed[..], b"alice", b"service=shell", b"cmd="].concat();
        let request = AuthorRequest::decode(&body).unwrap();
        let answers = [
            ask(Input::Start(pap, Version::DEFAULT)),
            ask(Input::Start(in_data, Version::DEFAULT)),
            ask(Input::Author(request, Version::ONE)),
        ];
        assert_eq!(answers, expected);
    }
}

/// What comes of an authorization with these arguments, as some devices send them.
fn odd(configuration: &str, version: Version, args: &[&str]) -> String {
    let len = |text: &str| u8::try_from(text.len()).unwrap();
    let mut body = vec![6, 1, 1, 1, 5, 4, 8, len_of(args)];
    body.extend(args.iter().map(|arg| len(arg)));
    body.extend_from_slice(
        ["alice", "tty1", "10.9.8.7", &args.concat()]
            .concat()
            .as_bytes(),
    );
    let request = AuthorRequest::decode(&body).unwrap();
    Talk::with(configuration, ONE).step(Input::Author(request, version))
}

fn len_of(args: &[&str]) -> u8 {
    args.len().try_into().unwrap()
}

#[test]
fn a_mistake_of_a_device_is_logged_with_the_word_that_forgives_it_and_forgiven_by_it() {
    let users = "user = alice { cmd = show { permit ^version$ } }\n";
    let show = ["service=shell", "cmd=show", "cmd-arg=version"];
    let edgecore = [&show[..], &["<cr>"]].concat();
    let cumulus = [&[""][..], &show].concat();
    for (word, version, args, reason) in [
        ("bare-arg", V0, edgecore, "argument 4"),
        ("empty-arg", V0, cumulus, "argument 1"),
        (
            "minor-version",
            Version::ONE,
            show.to_vec(),
            "minor version 1",
        ),
    ] {
        let host = "host = 192.0.2.1 { key = \"a secret of more than sixteen\" }\n";
        let refused = odd(&format!("{host}{users}"), version, &args);
        assert!(refused.starts_with("ERROR | "), "{word}: {refused}");
        for part in [
            "authorization error: user=alice client=10.9.8.7 device=192.0.2.1 reason='",
            reason,
            &format!("(lenient = {word} would forgive it)'"),
        ] {
            assert!(refused.contains(part), "{part}: {refused}");
        }
        let own = host.replace(" }", &format!(" lenient = {word} }}"));
        let key = format!("lenient = {word} key = \"a secret of more than sixteen\"\n");
        for configuration in [own, format!("lenient = {word}\n{host}"), key] {
            let answer = odd(&format!("{configuration}{users}"), version, &args);
            assert_eq!(answer, "PASS_ADD", "{configuration}");
        }
    }
}

const V0: Version = Version::DEFAULT;

const PROGRAMS: &str = r#"
logauthor
host = 192.0.2.1 { key = "a secret of more than sixteen" }
user = before { before authorization "/bin/pre $user $name $ip $port $address $priv $method $type $service $status ${nothing}" }
user = after { default service = permit after authorization "/bin/post $status" }
"#;

fn authorize(configuration: &str, user: &str, rem_addr: &[u8]) -> (Talk, Step) {
    let mut talk = Talk::with(configuration, ONE);
    let mut args = ArgumentsBuf::new();
    for arg in ["service=shell", "cmd="] {
        args.push_raw(arg.as_bytes()).unwrap();
    }
    let request = AuthorRequest {
        authen_method: AuthenMethod::TacacsPlus,
        priv_lvl: PrivLvl::USER,
        authen_type: AuthenType::Ascii,
        authen_service: AuthenService::Login,
        user: user.as_bytes(),
        port: b"tty1; id",
        rem_addr,
        args: args.as_arguments(),
    };
    let step = (talk.session).step(
        &talk.policy,
        today(),
        Input::Author(request, Version::DEFAULT),
    );
    (talk, step)
}

#[test]
fn a_program_is_told_about_the_request_word_by_word() {
    let (_, step) = authorize(PROGRAMS, "before", b"10.9.8.7");
    let words = r#"["/bin/pre", "before", "192.0.2.1", "192.0.2.1", "tty1; id", "10.9.8.7", "1", "6", "1", "1", "fail", "unknown"]"#;
    assert_eq!(
        show(step),
        format!("run {words} < \"service=shell\\ncmd=\\n\"")
    );
    let (_, step) = authorize(PROGRAMS, "after", b"");
    assert_eq!(
        show(step),
        "run [\"/bin/post\", \"pass\"] < \"service=shell\\ncmd=\\n\""
    );
}

#[test]
fn an_address_that_there_is_not_is_no_argument() {
    let programs = PROGRAMS.replace("$user $name", "-i $address -fix -u $user '$address' $name");
    let (_, step) = authorize(&programs, "before", b"");
    let asked = show(step);
    let words = r#"run ["/bin/pre", "-i", "-fix", "-u", "before", "", "192.0.2.1", "#;
    assert!(asked.starts_with(words), "{asked}");
}

#[test]
fn a_line_for_a_shell_finds_fields_as_variables_and_never_as_its_own_words() {
    let configuration = format!("callout shell = yes\n{PROGRAMS}");
    let (_, step) = authorize(&configuration, "after", b"$(id)");
    let Step::Need(Effect::Run(program)) = step else {
        panic!("a program decides")
    };
    let words: Vec<_> = program
        .words
        .iter()
        .map(|word| String::from_utf8_lossy(word))
        .collect();
    assert_eq!(words, ["/bin/sh", "-c", "IFS=; set -f; /bin/post $status"]);
    let value = |name| {
        program
            .variables
            .iter()
            .find(|known| known.0 == name)
            .unwrap()
            .1
            .clone()
    };
    assert_eq!(value("address"), b"$(id)");
    assert_eq!(value("port"), b"tty1; id");
}

fn ruling(permitted: bool) -> Ruling {
    Ruling {
        permitted,
        line: Some(7),
    }
}

const REASONS: &str = "host = 192.0.2.1 { key = \"a secret of more than sixteen\" }
acl = office {
    deny = ^192\\.0\\.2\\.1$
}
acl = nowhere { deny = ^198 }
user = away { acl = office }
user = nobody { acl = nowhere }
user = fred {
    cmd = show {
        permit ^version
        deny ^run
    }
    service = exec { priv-lvl = 1 }
    service = ppp protocol = ip { }
}
user = idle { service = slip { } }
user = before { before authorization /bin/pre }
user = after { service = exec { priv-lvl = 1 } after authorization /bin/post }
";

fn asks(user: &str, args: &[&str]) -> (Talk, String) {
    let mut talk = Talk::with(REASONS, ONE);
    let mut buf = ArgumentsBuf::new();
    for arg in args {
        buf.push_raw(arg.as_bytes()).unwrap();
    }
    let request = AuthorRequest {
        authen_method: AuthenMethod::TacacsPlus,
        priv_lvl: PrivLvl::USER,
        authen_type: AuthenType::Ascii,
        authen_service: AuthenService::Login,
        user: user.as_bytes(),
        port: b"tty1",
        rem_addr: b"10.9.8.7",
        args: buf.as_arguments(),
    };
    let said = talk.step(Input::Author(request, Version::DEFAULT));
    (talk, said)
}

#[test]
fn every_refusal_of_an_authorization_is_a_line_with_its_reason_in_the_originals_form() {
    let exec = &["service=shell", "cmd="][..];
    for (user, args, what, reason) in [
        ("away", exec, "cmd=exec", "acl office, rule of line 3"),
        ("nobody", exec, "cmd=exec", "acl nowhere, no rule matches"),
        ("eve", exec, "cmd=exec", "unknown user"),
        ("idle", exec, "cmd=exec", "nothing permits a shell"),
        (
            "fred",
            &["service=shell", "cmd=show", "cmd-arg=run", "cmd-arg=<cr>"],
            "cmd='show run <cr>'",
            "cmd show, rule of line 11",
        ),
        (
            "fred",
            &["service=shell", "cmd=show", "cmd-arg=ip"],
            "cmd='show ip'",
            "cmd show, no rule matches",
        ),
        (
            "fred",
            &["service=shell", "cmd=reload"],
            "cmd='reload'",
            "no cmd reload",
        ),
        (
            "fred",
            &["service=shell", "cmd=", "priv-lvl=15"],
            "cmd=exec args='priv-lvl=15'",
            "argument priv-lvl=15",
        ),
        (
            "fred",
            &["service=junos-exec"],
            "svc=junos-exec",
            "no service junos-exec",
        ),
        (
            "fred",
            &["service=ppp", "protocol=ipx"],
            "svc=ppp args='protocol=ipx'",
            "no service ppp, protocol ipx",
        ),
        (
            "fred",
            &["service=shell", "cmd=show", "cmd=run"],
            "cmd='run'",
            "argument cmd is given twice",
        ),
    ] {
        let (_, said) = asks(user, args);
        let expected = format!(
            "FAIL | authorization user={user} {what} client=10.9.8.7 device=192.0.2.1 \
             result=rejected reason='{reason}'"
        );
        assert_eq!(said, expected);
    }
    let (_, senseless) = asks("fred", &["service=shell"]);
    assert!(
        senseless.starts_with("ERROR | ")
            && senseless.ends_with("reason='service=shell without cmd'"),
        "{senseless}"
    );
    let (_, permitted) = asks("fred", exec);
    assert_eq!(permitted, "PASS_ADD", "only refusals, without 'logauthor'");
}

#[test]
fn what_a_program_refuses_or_overrules_is_a_line_with_its_word() {
    let exec = &["service=shell", "cmd="][..];
    let raised = &["service=shell", "cmd=", "priv-lvl=15"][..];
    for (user, args, code, stdout, expected) in [
        (
            "before",
            exec,
            1,
            "",
            "rejected reason='the program denies: not \\047now\\047'",
        ),
        ("before", exec, 2, "a=b", ""),
        ("after", exec, 0, "", ""),
        (
            "after",
            exec,
            1,
            "",
            "rejected reason='the program denies: not \\047now\\047'",
        ),
        (
            "after",
            exec,
            2,
            "a=b",
            "accepted reason='the program after it has other arguments'",
        ),
        (
            "after",
            raised,
            2,
            "a=b",
            "accepted reason='the program after it permits'",
        ),
        (
            "after",
            raised,
            0,
            "",
            "rejected reason='argument priv-lvl=15'",
        ),
    ] {
        let (mut talk, _) = asks(user, args);
        let said = talk.told(Done::Ended(Outcome {
            code: Some(code),
            stdout: stdout.into(),
            stderr: b"not 'now'\n".to_vec(),
        }));
        let result = said.split_once(" result=").map_or("", |(_, result)| result);
        assert_eq!(result, expected, "{user} {code}: {said}");
    }
}

#[test]
fn a_command_whose_rules_take_long_is_decided_later_like_any_other() {
    let configuration = r#"
host = 192.0.2.1 { key = "a secret of more than sixteen" }
logauthor
user = alone { cmd = show { permit "(a|b)*c$" } }
user = after { cmd = show { permit "(a|b)*c$" } after authorization "/bin/post $status" }
"#;
    let asked = |user: &str| {
        let mut talk = Talk::with(configuration, ONE);
        let mut args = ArgumentsBuf::new();
        for arg in ["service=shell", "cmd=show"] {
            args.push_raw(arg.as_bytes()).unwrap();
        }
        for _ in 0..253 {
            args.mandatory("cmd-arg", &[b'a'; 240]).unwrap();
        }
        let request = AuthorRequest {
            authen_method: AuthenMethod::TacacsPlus,
            priv_lvl: PrivLvl::USER,
            authen_type: AuthenType::Ascii,
            authen_service: AuthenService::Login,
            user: user.as_bytes(),
            port: b"tty1",
            rem_addr: b"10.9.8.7",
            args: args.as_arguments(),
        };
        let input = Input::Author(request, Version::DEFAULT);
        assert_eq!(talk.step(input), "search");
        talk
    };
    for (done, status, log) in [
        (Done::Found(ruling(true)), "PASS_ADD | ", "result=accepted"),
        (
            Done::Found(ruling(false)),
            "FAIL | ",
            "result=rejected reason='cmd show, rule of line 7'",
        ),
        (
            Done::Failed,
            "ERROR | authorization user=alone cmd='show aaa",
            "bytes, make them simpler or fewer'",
        ),
    ] {
        let answer = asked("alone").told(done);
        assert!(
            answer.starts_with(status) && answer.ends_with(log),
            "{answer}"
        );
    }
    let program = asked("after").told(Done::Found(ruling(true)));
    assert!(
        program.starts_with(r#"run ["/bin/post", "pass"] < "service=shell\ncmd=show\ncmd-arg=aaa"#),
        "{program}"
    );
}

#[test]
fn a_programs_end_is_the_decision_and_one_that_cannot_be_run_is_an_error() {
    let ended = |code| {
        Done::Ended(Outcome {
            code: Some(code),
            ..Outcome::default()
        })
    };
    for (user, done, expected) in [
        ("before", ended(0), "PASS_ADD"),
        ("before", ended(1), "FAIL"),
        ("after", ended(0), "PASS_ADD"),
        ("after", ended(1), "FAIL"),
        ("after", Done::Ended(Outcome::default()), "ERROR"),
        ("after", Done::Failed, "ERROR"),
    ] {
        let (mut talk, _) = authorize(PROGRAMS, user, b"");
        let answer = talk.told(done);
        assert!(answer.starts_with(expected), "{user}: {answer}");
        let lines = answer.split_once(" | ").unwrap().1;
        let last = lines.lines().last().unwrap();
        assert!(last.starts_with("authorization user="), "{answer}");
    }
}

#[test]
fn a_program_that_gave_no_decision_is_named_in_the_log_with_whom_it_was_about() {
    let (mut talk, _) = authorize(PROGRAMS, "after", b"10.9.8.7 x");
    let answer = talk.told(Done::Failed);
    assert!(
        answer.starts_with(
            "ERROR | program '/bin/post' was not run, or not in time: too many others run: \
             user=after client=10.9.8.7\\040x device=192.0.2.1\nauthorization user=after "
        ),
        "{answer}"
    );
}
