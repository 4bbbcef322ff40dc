//! Dialogues: what the client sends, what it is answered, what is logged.

use std::path::Path;

use tacacs_common::chap::{chap_response, mschap_response, mschapv2_response};
use tacacs_common::packet::{
    Action, ArgumentsBuf, AuthenMethod, AuthenService, AuthenType, PrivLvl,
};

use super::*;
use crate::policy::Ruling;
use crate::policy::callout::Outcome;
use crate::policy::draft::Credential;

mod acct;
mod effects;
mod levels;

const CONFIGURATION: &str = r#"
host = 192.0.2.1 { key = "a secret of more than sixteen" prompt = "Who? " }
host = 192.0.2.2 { key = "another secret of more than 16" enable = cleartext "host enable" }
acl = first { permit = ^192\.0\.2\.1$ }
user = alice {
    login = cleartext "alice login"
    pap = cleartext "alice pap"
    chap = cleartext "alice chap"
    ms-chap = cleartext "alice mschap"
    enable = cleartext "alice enable"
}
user = bob { global = cleartext "bob global" acl = first enableacl = first }
user = open { login = nopassword enable = nopassword }
user = noway { service = exec { } }
user = $enab7$ { login = cleartext "seven" }
user = $enable$ { login = cleartext "fifteen" }
"#;

struct Talk {
    policy: Policy,
    session: Session,
}

impl Talk {
    fn from(address: [u8; 4]) -> Self {
        Self::with(CONFIGURATION, address)
    }

    fn with(configuration: &str, address: [u8; 4]) -> Self {
        let loaded = crate::conf::compile(Path::new("test.conf"), configuration.into());
        let policy = loaded.unwrap_or_else(|error| panic!("{error}")).policy;
        let address = IpAddr::from(address);
        let client = Arc::clone(policy.client(address).unwrap());
        Self {
            policy,
            session: Session::new(address, client),
        }
    }

    /// What it comes to, where nobody has to wait for its answer.
    fn step(&mut self, input: Input<'_>) -> String {
        let mut step = self.session.step(&self.policy, today(), input);
        if let Step::Need(Effect::Count(_)) = step {
            step = (self.session).step(&self.policy, today(), Input::Done(Done::Due));
        }
        show(step)
    }

    fn told(&mut self, done: Done) -> String {
        self.step(Input::Done(done))
    }

    fn start(&mut self, start: AuthenStart<'_>) -> String {
        self.step(Input::Start(start, start.version()))
    }

    fn say(&mut self, user_msg: &str) -> String {
        self.step(Input::Continue(AuthenContinue {
            user_msg: user_msg.as_bytes(),
            data: b"",
            abort: false,
        }))
    }
}

fn today() -> Date {
    Date::parse(b"2026-11-23").unwrap()
}

/// What is asked of the world, as one line.
fn need(effect: Effect) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match effect {
        Effect::Record(record) => text(&record.line),
        Effect::Verify(request) => format!(
            "verify {} {} {:?}",
            match request.credential.as_ref() {
                Credential::Hash(hash) => text(hash.expose()),
                Credential::File(path) => path.display().to_string(),
                _ => "nothing".to_owned(),
            },
            text(&request.user),
            text(request.password.expose())
        ),
        Effect::Pam(request) => format!(
            "pam {} {} {} {} {:?}{}",
            request.service,
            text(&request.user),
            text(&request.port),
            text(&request.rem_addr),
            text(request.password.expose()),
            if request.may_ask { " may ask" } else { "" }
        ),
        Effect::Answer(_, answer) => format!("answer {:?}", text(answer.expose())),
        Effect::Change(request) => format!(
            "change {} {} {:?} {:?}",
            request.path.display(),
            text(&request.user),
            text(request.old.expose()),
            text(request.new.expose())
        ),
        Effect::Search(_) => "search".to_owned(),
        Effect::Run(program) => {
            let words: Vec<_> = program.words.iter().map(|word| text(word)).collect();
            format!("run {words:?} < {:?}", text(&program.stdin))
        }
        Effect::Count(_) => "count".to_owned(),
    }
}

/// A reply as one line; what was logged follows after a bar.
fn show(step: Step) -> String {
    let (reply, log) = match step {
        Step::Senseless(_, log) => ("ERROR".to_owned(), Some(log)),
        Step::Reply(Reply::Authen(answer), log) | Step::Unsupported(Reply::Authen(answer), log) => {
            let no_echo = if answer.no_echo { " NOECHO" } else { "" };
            let text = String::from_utf8(answer.server_msg).unwrap();
            (format!("{}{no_echo} {text:?}", answer.status), log)
        }
        Step::Reply(Reply::Author(decision), log)
        | Step::Unsupported(Reply::Author(decision), log) => (decision.status.to_string(), log),
        Step::Reply(Reply::Acct(status), log) | Step::Unsupported(Reply::Acct(status), log) => {
            (status.to_string(), log)
        }
        Step::Silence(log) => ("silence".to_owned(), log),
        Step::Need(effect) => (need(effect), None),
    };
    log.map_or(reply.clone(), |log| format!("{reply} | {log}"))
}

fn start<'a>(authen_type: AuthenType, user: &'a str, data: &'a [u8]) -> AuthenStart<'a> {
    AuthenStart {
        action: Action::Login,
        priv_lvl: PrivLvl::USER,
        authen_type,
        authen_service: AuthenService::Login,
        user: user.as_bytes(),
        port: b"tty1",
        rem_addr: b"10.9.8.7",
        data,
    }
}

fn enable(user: &str, level: u8) -> AuthenStart<'_> {
    AuthenStart {
        priv_lvl: PrivLvl::new(level).unwrap(),
        authen_service: AuthenService::Enable,
        ..start(AuthenType::Ascii, user, b"")
    }
}

/// The first word of the answer to a single START.
fn once(address: [u8; 4], authen_start: AuthenStart<'_>) -> String {
    let answer = Talk::from(address).start(authen_start);
    answer
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned()
}

const ONE: [u8; 4] = [192, 0, 2, 1];
const TWO: [u8; 4] = [192, 0, 2, 2];

#[test]
fn an_ascii_login_asks_for_the_name_and_the_password() {
    let mut talk = Talk::from(ONE);
    assert_eq!(
        talk.start(start(AuthenType::Ascii, "", b"ignored")),
        "GETUSER \"Who? \""
    );
    assert_eq!(talk.say("alice"), "GETPASS NOECHO \"Password: \"");
    assert_eq!(
        talk.say("alice login"),
        "PASS \"\" | login success: user=alice device=192.0.2.1 ip=192.0.2.1 port=tty1 client=10.9.8.7"
    );
    assert_eq!(talk.say("alice login"), "ERROR \"\"", "the session is over");
}

#[test]
fn a_client_without_a_prompt_of_its_own_uses_the_originals() {
    let answer = Talk::from(TWO).start(start(AuthenType::Ascii, "", b""));
    assert_eq!(
        answer,
        "GETUSER \"\\nUser Access Verification\\n\\nUsername: \""
    );
}

#[test]
fn the_name_is_asked_for_three_times() {
    let mut talk = Talk::from(ONE);
    talk.start(start(AuthenType::Ascii, "", b""));
    assert!(talk.say("").starts_with("GETUSER"));
    assert!(talk.say("").starts_with("GETUSER"));
    assert!(
        talk.say("")
            .starts_with("FAIL \"\" | login failure: user=unknown")
    );
}

#[test]
fn an_unknown_user_a_wrong_password_and_one_without_password_look_the_same() {
    let dialogue = |user: &str| {
        let mut talk = Talk::from(ONE);
        let prompt = talk.start(start(AuthenType::Ascii, user, b""));
        let end = talk.say("wrong");
        (
            prompt,
            end.split(" | ").next().unwrap_or_default().to_owned(),
        )
    };
    let expected = (
        "GETPASS NOECHO \"Password: \"".to_owned(),
        "FAIL \"\"".to_owned(),
    );
    for user in ["alice", "nobody-knows", "noway", "DEFAULT", "al\nice"] {
        assert_eq!(dialogue(user), expected, "{user}");
    }
}

#[test]
fn a_name_over_255_bytes_never_gets_in() {
    let mut talk = Talk::from(ONE);
    talk.start(start(AuthenType::Ascii, "", b""));
    assert!(talk.say(&"a".repeat(256)).starts_with("FAIL"));
}

#[test]
fn each_kind_of_login_has_its_own_password_or_the_global_one() {
    let chap = |secret: &str| {
        [
            &b"\x07challenge"[..],
            &chap_response(7, secret.as_bytes(), b"challenge"),
        ]
        .concat()
    };
    let v1 = |secret: &str| {
        [
            &b"\x07"[..],
            &[3; 8],
            &mschap_response(secret.as_bytes(), &[3; 8]).unwrap(),
        ]
        .concat()
    };
    let v2 = |user: &str, secret: &str| {
        let response =
            mschapv2_response(user.as_bytes(), secret.as_bytes(), &[3; 16], &[4; 16]).unwrap();
        [&b"\x07"[..], &[3; 16], &response].concat()
    };
    for (authen_type, user, data, expected) in [
        (AuthenType::Pap, "alice", b"alice pap".to_vec(), "PASS"),
        (AuthenType::Pap, "alice", b"alice login".to_vec(), "FAIL"),
        (AuthenType::Pap, "alice", b"alice pa".to_vec(), "FAIL"),
        (AuthenType::Pap, "alice", b"alice pap\0".to_vec(), "FAIL"),
        (AuthenType::Pap, "alice", b"".to_vec(), "FAIL"),
        (AuthenType::Pap, "bob", b"bob global".to_vec(), "PASS"),
        (AuthenType::Pap, "open", b"".to_vec(), "FAIL"),
        (
            AuthenType::Pap,
            "nobody",
            b"\0nobody's password\0".to_vec(),
            "FAIL",
        ),
        (AuthenType::Chap, "alice", chap("alice chap"), "PASS"),
        (AuthenType::Chap, "alice", chap("alice pap"), "FAIL"),
        (AuthenType::Chap, "bob", chap("bob global"), "PASS"),
        (
            AuthenType::Chap,
            "nobody",
            chap("\0nobody's password\0"),
            "FAIL",
        ),
        (AuthenType::MsChap, "alice", v1("alice mschap"), "PASS"),
        (AuthenType::MsChap, "alice", v1("alice chap"), "FAIL"),
        (
            AuthenType::MsChapV2,
            "alice",
            v2("alice", "alice mschap"),
            "PASS",
        ),
        (
            AuthenType::MsChapV2,
            "alice",
            v2("bob", "alice mschap"),
            "FAIL",
        ),
        (
            AuthenType::MsChapV2,
            "alice",
            v2("alice", "alice chap"),
            "FAIL",
        ),
    ] {
        assert_eq!(
            once(ONE, start(authen_type, user, &data)),
            expected,
            "{authen_type} {user}"
        );
    }
}

#[test]
fn an_access_list_turns_a_right_password_into_a_refusal_and_the_log_says_so() {
    assert_eq!(
        once(ONE, start(AuthenType::Pap, "bob", b"bob global")),
        "PASS"
    );
    let answer = Talk::from(TWO).start(start(AuthenType::Pap, "bob", b"bob global"));
    assert!(
        answer.starts_with("FAIL \"\" |") && answer.ends_with("reason='access list'"),
        "{answer}"
    );
}

#[test]
fn nopassword_passes_without_a_question() {
    assert_eq!(once(ONE, start(AuthenType::Ascii, "open", b"")), "PASS");
    assert_eq!(once(ONE, enable("open", 15)), "PASS");
}

#[test]
fn a_users_own_login_stands_above_nopassword_of_its_group() {
    let configuration = "host = 192.0.2.1 { key = \"a secret of more than sixteen\" }\n\
         group = g { login = nopassword }\n\
         user = own { member = g login = cleartext x }\nuser = none { member = g }\n";
    for (user, expected) in [("own", "GETPASS"), ("none", "PASS")] {
        let said = Talk::with(configuration, ONE).start(start(AuthenType::Ascii, user, b""));
        assert!(said.starts_with(expected), "{user}: {said}");
    }
}

#[test]
fn enable_asks_the_user_then_the_host_then_the_level() {
    for (address, user, level, password, expected) in [
        (ONE, "alice", 15, "alice enable", "PASS"),
        (ONE, "alice", 15, "fifteen", "FAIL"),
        (TWO, "alice", 15, "host enable", "FAIL"),
        (TWO, "bob", 15, "fifteen", "FAIL"),
        (TWO, "nobody-knows", 15, "host enable", "PASS"),
        (ONE, "bob", 15, "fifteen", "PASS"),
        (ONE, "bob", 7, "seven", "PASS"),
        (ONE, "bob", 8, "seven", "FAIL"),
        (ONE, "", 7, "seven", "PASS"),
        // bob's enableacl admits the first client only.
        (TWO, "bob", 15, "host enable", "FAIL"),
    ] {
        let mut talk = Talk::from(address);
        assert!(
            talk.start(enable(user, level)).starts_with("GETPASS"),
            "{user} {level}"
        );
        assert!(
            talk.say(password).starts_with(expected),
            "{user} {level} {password}"
        );
    }
}

#[test]
fn who_raises_privileges_without_a_name_is_asked_for_one_where_the_client_says_so() {
    let configuration = CONFIGURATION.replace("prompt =", "nameless enable = ask prompt =");
    let mut talk = Talk::with(&configuration, ONE);
    assert_eq!(talk.start(enable("", 15)), "GETUSER \"Who? \"");
    assert_eq!(talk.say("alice"), "GETPASS NOECHO \"Password: \"");
    let answer = talk.say("alice enable");
    assert!(
        answer.starts_with("PASS \"\" | enable 15 success: user=alice"),
        "{answer}"
    );
    let named = Talk::with(&configuration, ONE).start(enable("alice", 15));
    assert!(named.starts_with("GETPASS"), "{named}");
}

#[test]
fn enable_does_not_care_about_the_authentication_type() {
    let unset = AuthenStart {
        authen_type: AuthenType::NotSet,
        ..enable("alice", 15)
    };
    let mut talk = Talk::from(ONE);
    assert!(talk.start(unset).starts_with("GETPASS"));
    assert!(talk.say("alice enable").starts_with("PASS"));
    let login = AuthenStart {
        authen_service: AuthenService::Login,
        ..unset
    };
    assert_eq!(once(ONE, login), "ERROR");
}

#[test]
fn an_abort_ends_the_session_without_a_word_and_logs_the_reason_escaped() {
    let mut talk = Talk::from(ONE);
    talk.start(start(AuthenType::Ascii, "alice", b""));
    let end = talk.step(Input::Continue(AuthenContinue {
        user_msg: b"alice login",
        data: b"gone' result='x\n",
        abort: true,
    }));
    assert!(
        end.starts_with("silence | login failure: user=alice"),
        "{end}"
    );
    assert!(
        end.ends_with("reason='aborted by the client: gone\\047 result=\\047x\\012'"),
        "{end}"
    );
}

#[test]
fn a_reason_of_64_kilobytes_is_not_logged_whole() {
    let mut talk = Talk::from(ONE);
    talk.start(start(AuthenType::Ascii, "alice", b""));
    let end = talk.step(Input::Continue(AuthenContinue {
        user_msg: b"",
        data: &[b'x'; 60_000],
        abort: true,
    }));
    assert!(end.len() < 500, "{}", end.len());
}

#[test]
fn deprecated_and_impossible_requests_fail_and_senseless_ones_are_errors() {
    let base = start(AuthenType::Pap, "alice", b"alice pap");
    for (authen_start, expected) in [
        (
            AuthenStart {
                action: Action::SendAuth,
                ..base
            },
            "FAIL",
        ),
        (
            AuthenStart {
                action: Action::SendPass,
                ..base
            },
            "FAIL",
        ),
        (
            AuthenStart {
                action: Action::Unknown(9),
                ..base
            },
            "ERROR",
        ),
        (
            AuthenStart {
                authen_type: AuthenType::Arap,
                ..base
            },
            "FAIL",
        ),
        (
            AuthenStart {
                authen_type: AuthenType::NotSet,
                ..base
            },
            "ERROR",
        ),
        (
            AuthenStart {
                authen_type: AuthenType::Unknown(9),
                ..base
            },
            "ERROR",
        ),
        (
            AuthenStart {
                authen_service: AuthenService::Unknown(9),
                ..base
            },
            "ERROR",
        ),
        (
            AuthenStart {
                action: Action::ChangePass,
                ..base
            },
            "FAIL",
        ),
        (AuthenStart { user: b"", ..base }, "FAIL"),
        (
            AuthenStart {
                action: Action::ChangePass,
                authen_type: AuthenType::Ascii,
                ..base
            },
            "FAIL",
        ),
    ] {
        assert_eq!(once(ONE, authen_start), expected);
    }
    let wrong_minor = Talk::from(ONE).step(Input::Start(base, Version::DEFAULT));
    assert!(wrong_minor.starts_with("ERROR"), "{wrong_minor}");
}

#[test]
fn with_logauthor_every_decision_is_one_line() {
    let mut talk = Talk::with(&format!("logauthor {CONFIGURATION}"), ONE);
    let mut args = ArgumentsBuf::new();
    for arg in ["service=shell", "cmd=show", "cmd-arg='x'"] {
        args.push_raw(arg.as_bytes()).unwrap();
    }
    let request = AuthorRequest {
        authen_method: AuthenMethod::TacacsPlus,
        priv_lvl: PrivLvl::USER,
        authen_type: AuthenType::Ascii,
        authen_service: AuthenService::Login,
        user: b"alice",
        port: b"tty1",
        rem_addr: b"10.9.8.7",
        args: args.as_arguments(),
    };
    assert_eq!(
        talk.step(Input::Author(request, Version::DEFAULT)),
        "FAIL | authorization user=alice cmd='show \\047x\\047' client=10.9.8.7 \
         device=192.0.2.1 result=rejected reason='no cmd show'"
    );
}
