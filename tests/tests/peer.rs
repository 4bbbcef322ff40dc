//! The scripted peer itself, with the client of PyPI: it answers what it is told
//! to and tells what it saw.

use e2e::{Forged, Result, Script, Stage, Step, interop};

#[test]
fn a_peer_answers_by_its_script_and_writes_down_what_it_saw() -> Result {
    let stage = Stage::builder().start()?;
    let script = Script::authen([Step::get_pass("Password: "), Step::fail()])
        .author([Step::permit(&["priv-lvl=7"])]);
    let peer = stage.peer("[::1]:49", &script)?;

    let login = interop::pypi(&stage, "::1", "ascii", &["authenticate", "-p", "pw1"])?;
    assert!(login.stdout.contains("status: FAIL"), "{login}");
    let rights = interop::pypi(
        &stage,
        "::1",
        "pap",
        &["authorize", "-c", "service=shell", "cmd="],
    )?;
    assert!(rights.stdout.contains("priv-lvl=7"), "{rights}");

    let start = &peer.seen("start")?[0];
    assert_eq!(
        (start.user.as_str(), start.authen_type.as_str()),
        ("alice", "ASCII")
    );
    assert_eq!((start.from.as_str(), start.connection), ("::1", 1));
    let answers = peer.seen("continue")?;
    assert_eq!(
        (answers.len(), answers[0].text.as_str(), answers[0].seq_no),
        (1, "pw1", 3)
    );
    let author = &peer.seen("author")?[0];
    assert_eq!(
        (author.arg("service"), author.arg("cmd")),
        (Some("shell"), Some(""))
    );
    assert_eq!(peer.wait_for("close", 2)?.len(), 2);
    Ok(())
}

#[test]
fn a_forged_reply_goes_out_as_forged() -> Result {
    let stage = Stage::builder().start()?;
    let script = Script::authen([Step::pass().forged(Forged::ShortBody)]);
    let peer = stage.peer("127.0.0.1:49", &script)?;
    let login = interop::pypi(&stage, "127.0.0.1", "pap", &["authenticate", "-p", "pw1"])?;
    assert!(!login.stdout.contains("status: PASS"), "{login}");
    assert_eq!(peer.seen("start")?[0].text, "pw1");
    Ok(())
}
