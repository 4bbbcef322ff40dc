//! Whatever arrives, the policy answers or is silent; whatever is configured, the front end loads it or says why not.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod common;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use common::CONFIGURATION;
use proptest::prelude::*;
use tac_plus::conf;
use tac_plus::policy::values::Date;
use tac_plus::policy::{
    Changed, Checked, Done, Effect, Input, PamSays, Policy, Reply, Session, Step,
};
use tacacs_common::packet::{
    AcctRequest, AuthenContinue, AuthenStart, AuthorRequest, Body, Version,
};

fn policy() -> Policy {
    let loaded = conf::compile(
        Path::new("test.conf"),
        format!("logauthor\n{CONFIGURATION}").into(),
    );
    loaded.unwrap_or_else(|error| panic!("{error}")).policy
}

/// A body whose lengths add up, so that more than the decoder is reached.
fn consistent(fixed: &[u8], fields: &[Vec<u8>]) -> Vec<u8> {
    let mut body = fixed.to_vec();
    body.extend(
        fields
            .iter()
            .map(|field| u8::try_from(field.len()).unwrap()),
    );
    body.extend(fields.iter().flatten());
    body
}

fn policy_with_effects() -> Policy {
    let text = r#"password change = yes
        host = 127.0.0.1 { key = "Kat-Secret-0123456789-abcdefghij" }
        user = hash { login = des mEX027bHtzTlQ }
        user = file { login = file /etc/tac/users }
        user = pam { login = PAM }"#;
    let loaded = conf::compile(Path::new("t"), text.into());
    loaded.unwrap_or_else(|error| panic!("{error}")).policy
}

/// Any result, whether it fits what was asked or not.
fn done(which: u8, text: &str) -> Done {
    let words = text.as_bytes().to_vec();
    match which {
        0 => Done::Stored,
        1 => Done::Due,
        2 => Done::Checked(Checked::Right),
        3 => Done::Checked(Checked::RightUntil(None)),
        4 => Done::Checked(Checked::Wrong),
        5 => Done::Checked(Checked::Unknown),
        6 => Done::Pam(PamSays::Yes(words)),
        7 => Done::Pam(PamSays::No(text.to_owned(), words)),
        8 => Done::Changed(Changed::Done),
        _ => Done::Failed,
    }
}

const TODAY: Date = Date::NEVER;

fn is_one_line(text: &str) -> bool {
    !text.contains(|c: char| c.is_control())
}

/// What is logged or recorded is one line, however hostile the request.
fn check(step: &Step) {
    match step {
        Step::Reply(_, Some(line))
        | Step::Silence(Some(line))
        | Step::Senseless(_, line)
        | Step::Unsupported(_, Some(line)) => {
            assert!(is_one_line(line), "{line:?}")
        }
        Step::Need(Effect::Record(record)) => {
            let text = std::str::from_utf8(&record.line).unwrap();
            let line = text.strip_suffix('\n').unwrap().replace('\t', " ");
            assert!(is_one_line(&line), "{line:?}");
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn any_authentication_is_answered(
        fixed in prop::array::uniform4(0u8..8),
        user in prop::sample::select(vec![&b"alice"[..], b"", b"x\ny", b"\xff\xfe", b"DEFAULT"]),
        fields in prop::array::uniform3(prop::collection::vec(any::<u8>(), 0..80)),
        minor in any::<bool>(),
        answers in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..300), any::<bool>()), 0..6),
    ) {
        let policy = policy();
        let address = IpAddr::from([127, 0, 0, 1]);
        let mut session = Session::new(address, Arc::clone(policy.client(address).unwrap()));
        let [port, rem_addr, data] = fields;
        let body = consistent(&fixed, &[user.to_vec(), port, rem_addr, data]);
        let start = AuthenStart::decode(&body).unwrap();
        let version = if minor { Version::ONE } else { Version::DEFAULT };
        let mut step = session.step(&policy, TODAY, Input::Start(start, version));
        check(&step);
        for (user_msg, abort) in &answers {
            let Step::Reply(Reply::Authen(answer), _) = &step else { break };
            // Nobody guesses a password here.
            prop_assert_ne!(answer.status, tacacs_common::packet::AuthenStatus::Pass);
            let more = AuthenContinue { user_msg, data: user_msg, abort: *abort };
            step = session.step(&policy, TODAY, Input::Continue(more));
            check(&step);
            if let Step::Need(Effect::Count(_)) = step {
                step = session.step(&policy, TODAY, Input::Done(Done::Due));
                check(&step);
            }
        }
    }

    #[test]
    fn whatever_becomes_of_an_effect_the_session_goes_on_or_ends(
        user in prop::sample::select(vec!["hash", "file", "pam", "nobody", ""]),
        action in prop::sample::select(vec![1u8, 2]),
        results in prop::collection::vec((0u8..10, any::<bool>(), "[ab]{0,2}"), 1..40),
    ) {
        let policy = policy_with_effects();
        let address = IpAddr::from([127, 0, 0, 1]);
        let mut session = Session::new(address, Arc::clone(policy.client(address).unwrap()));
        let body = consistent(&[action, 1, 1, 1], &[user.as_bytes().to_vec(), vec![], vec![], vec![]]);
        let start = AuthenStart::decode(&body).unwrap();
        let mut step = session.step(&policy, TODAY, Input::Start(start, Version::DEFAULT));
        let mut proved = false;
        for (result, listen, text) in &results {
            check(&step);
            step = match &step {
                Step::Reply(reply, _) if reply.is_last() => {
                    let Reply::Authen(answer) = reply else { break };
                    let passed = answer.status == tacacs_common::packet::AuthenStatus::Pass;
                    prop_assert!(proved || !passed, "nobody said that it is right");
                    break;
                }
                Step::Silence(_) | Step::Senseless(..) | Step::Unsupported(..) => break,
                Step::Reply(..) => {
                    let user_msg = if user.is_empty() && !proved { b"hash" } else { text.as_bytes() };
                    let more = AuthenContinue { user_msg, data: b"", abort: !listen && *result == 0 };
                    session.step(&policy, TODAY, Input::Continue(more))
                }
                Step::Need(_) => {
                    let done = done(*result, text);
                    proved |= matches!(
                        done,
                        Done::Checked(Checked::Right | Checked::RightUntil(None)) | Done::Pam(PamSays::Yes(_))
                    );
                    session.step(&policy, TODAY, Input::Done(done))
                }
            };
        }
    }

    #[test]
    fn any_request_and_record_is_answered(
        fixed in prop::array::uniform4(0u8..8),
        flags in any::<u8>(),
        who in prop::array::uniform3(prop::collection::vec(any::<u8>(), 0..40)),
        args in prop::collection::vec(
            prop_oneof![
                prop::sample::select(vec!["service=shell", "cmd=", "cmd=show", "priv-lvl*3", "service=ppp", "protocol=ip", "cmd-arg=version"])
                    .prop_map(|arg| arg.as_bytes().to_vec()),
                prop::collection::vec(any::<u8>(), 0..60),
            ],
            0..8,
        ),
    ) {
        let policy = policy();
        let address = IpAddr::from([127, 0, 0, 1]);
        let mut body = fixed.to_vec();
        body.extend(who.iter().map(|field| u8::try_from(field.len()).unwrap()));
        body.push(u8::try_from(args.len()).unwrap());
        body.extend(args.iter().map(|arg| u8::try_from(arg.len()).unwrap()));
        body.extend(who.iter().flatten().chain(args.iter().flatten()));
        let request = AuthorRequest::decode(&body).unwrap();
        let mut session = Session::new(address, Arc::clone(policy.client(address).unwrap()));
        check(&session.step(&policy, TODAY, Input::Author(request, Version::DEFAULT)));
        let record = [&[flags], &body[..]].concat();
        let record = AcctRequest::decode(&record).unwrap();
        let mut session = Session::new(address, Arc::clone(policy.client(address).unwrap()));
        check(&session.step(&policy, TODAY, Input::Acct(record, Version::DEFAULT)));
    }

    #[test]
    fn any_words_of_the_language_load_or_are_an_error_without_the_secret(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "key", "=", "{", "}", "user", "group", "host", "acl", "member", "login", "pap", "cleartext", "nopassword",
                "service", "exec", "ppp", "protocol", "cmd", "permit", "deny", "default", "attribute", "optional",
                "enable", "prompt", "accounting", "file", "127.0.0.1", "a", "b", "\"", "\\", "#", "\n", "\"MARK\"", "MARK", "x{",
                "y}", "name", "(", "[a-z]*", "message", "logging", "daemon",
            ]),
            0..40,
        ),
    ) {
        let text = format!("key = \"MARKED-secret\"\n{}", words.join(" ").replace("MARK", "cleartext \"MARKED-secret\""));
        if let Err(error) = conf::compile(Path::new("t"), text.into_bytes()) {
            prop_assert!(!error.to_string().contains("MARKED"), "{error}");
        }
    }
}
