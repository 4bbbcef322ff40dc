//! A denial stays a denial: one server, one attempt, no session, no way round.

use e2e::scene::{self, LOCAL_PASSWORD, PASSWORD};
use tacacs_common::packet::AuthenStatus;

use e2e::{Forged, Output, Result, Script, Stage, Step};

const FIRST: &str = "127.0.0.1:49";
const SECOND: &str = "127.0.0.2:49";

#[test]
fn a_wrong_password_is_one_attempt_on_one_server() -> Result {
    let stage = scene::host(&[FIRST, SECOND], "").start()?;
    let first = stage.peer(FIRST, &Script::authen([Step::fail()]))?;
    let second = stage.peer(SECOND, &Script::authen([Step::pass()]))?;

    let login = stage.ssh("alice").password("wrong", "whoami")?;

    assert_refused(&stage, &login);
    assert_eq!(first.seen("start")?.len(), 1, "{:?}", first.all()?);
    assert_eq!(second.all()?, [], "a FAIL must not be tried elsewhere");
    assert_eq!(
        (first.seen("author")?, first.seen("acct")?),
        (vec![], vec![])
    );
    Ok(())
}

#[test]
fn the_local_password_does_not_help_where_the_server_said_no() -> Result {
    let stage = scene::host(&[FIRST], "").start()?;
    let peer = stage.peer(FIRST, &Script::authen([Step::fail()]))?;

    let login = stage.ssh("alice").password(LOCAL_PASSWORD, "whoami")?;

    assert_refused(&stage, &login);
    assert_eq!(peer.seen("start")?.len(), 1);
    Ok(())
}

#[test]
fn a_login_denied_by_authorization_opens_no_session_in_any_of_three_ways() -> Result {
    let stage = scene::host(&[FIRST, SECOND], "").start()?;
    let script = Script::authen([Step::pass()]).author([Step::deny()]);
    let first = stage.peer(FIRST, &script)?;
    let second = stage.peer(SECOND, &Script::authen([Step::pass()]))?;

    let by_password = stage.ssh("alice").password(PASSWORD, "whoami")?;
    assert_refused(&stage, &by_password);
    let by_questions = stage.ssh("alice").keyboard_interactive("whoami");
    assert_refused(&stage, &by_questions.answer("Password:", PASSWORD).run()?);
    assert_refused(&stage, &stage.ssh("alice").public_key("whoami")?);
    let with_local = stage.ssh("alice").password(LOCAL_PASSWORD, "whoami")?;
    assert_refused(&stage, &with_local);

    assert_eq!(first.seen("author")?.len(), 4);
    assert_eq!(first.seen("acct")?, [], "no session, no record");
    assert_eq!(second.all()?, [], "a denial must not be tried elsewhere");
    Ok(())
}

#[test]
fn rights_the_host_cannot_honour_are_a_denial() -> Result {
    for args in [
        &["priv-lvl=16"][..],
        &["priv-lvl=-1"],
        &["priv-lvl=15", "shiny=yes"],
    ] {
        let stage = scene::host(&[FIRST], "").start()?;
        let script = Script::authen([Step::pass()]).author([Step::permit(args)]);
        let peer = stage.peer(FIRST, &script)?;

        let login = stage.ssh("alice").password(PASSWORD, "whoami")?;

        assert_refused(&stage, &login);
        assert_eq!(peer.seen("author")?.len(), 1);
        assert_eq!(peer.seen("acct")?, []);
    }
    Ok(())
}

#[test]
fn a_clear_reply_where_a_secret_is_set_is_a_denial() -> Result {
    let stage = scene::host(&[FIRST, SECOND], "").start()?;
    let first = stage.peer(
        FIRST,
        &Script::authen([Step::pass().forged(Forged::Unencrypted)]),
    )?;
    let second = stage.peer(SECOND, &Script::authen([Step::pass()]))?;

    let login = stage.ssh("alice").password(PASSWORD, "whoami")?;

    assert_refused(&stage, &login);
    assert_eq!(first.seen("start")?.len(), 1);
    assert_eq!(second.all()?, []);
    Ok(())
}

#[test]
fn to_be_sent_elsewhere_or_to_begin_again_is_no_pass_and_no_second_server() -> Result {
    for status in [AuthenStatus::Follow, AuthenStatus::Restart] {
        let stage = scene::host(&[FIRST, SECOND], "").start()?;
        let step = Step::authen(status, "127.0.0.2");
        let first = stage.peer(FIRST, &Script::authen([step]))?;
        let second = stage.peer(SECOND, &Script::authen([Step::pass()]))?;

        let login = stage.ssh("alice").password(PASSWORD, "whoami")?;

        assert_refused(&stage, &login);
        assert!(!first.seen("start")?.is_empty());
        assert_eq!(second.all()?, [], "{status}");
    }
    Ok(())
}

#[test]
fn the_answer_sshd_makes_up_for_an_unknown_user_is_never_sent() -> Result {
    let stage = scene::host(&[FIRST], "").start()?;
    let peer = stage.peer(FIRST, &Script::authen([Step::pass()]))?;

    let login = stage.ssh("nosuchuser").password(PASSWORD, "whoami")?;

    assert_refused(&stage, &login);
    let sent: Vec<String> = peer.all()?.into_iter().map(|seen| seen.text).collect();
    assert!(
        !sent.iter().any(|text| text.contains("\u{8}\n\r\u{7f}")),
        "{sent:?}"
    );
    Ok(())
}

fn assert_refused(stage: &Stage, login: &Output) {
    assert_eq!(
        login.stdout,
        "",
        "a session was opened: {login}{}",
        stage.logs()
    );
    assert_ne!(login.code, 0, "{login}{}", stage.logs());
    assert!(stage.listens(22), "sshd is gone: {}", stage.logs());
}
