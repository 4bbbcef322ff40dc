//! A server, or somebody on the way to it, that answers a login wrongly: never a
//! pass, never past the time limits, never the end of `sshd`.

use std::thread;
use std::time::{Duration, Instant};

use e2e::scene::{self, PASSWORD};
use e2e::{Forged, Result, Script, Step};

const SERVER: &str = "127.0.0.1:49";

/// One login as a user who has no local password, on a stage of its own, against
/// a server that passes everybody but does so wrongly.
fn log_in(step: Step) -> Result {
    let limits = "timeout = 1\nauthen_timeout = 3\ndeadline = 4\nunreachable = ignore";
    let stage = scene::host(&[SERVER], limits).start()?;
    let what = format!("{step:?}");
    let peer = stage.peer(SERVER, &Script::authen([step]))?;

    let begin = Instant::now();
    let login = stage.ssh("carol").password(PASSWORD, "whoami")?;

    let what = format!("{what}: {login}{}", stage.logs());
    assert_eq!((login.code, login.stdout.as_str()), (255, ""), "{what}");
    // authen_timeout, and what sshd and pam_unix take to refuse.
    assert!(
        begin.elapsed() < Duration::from_secs(15),
        "{:?} {what}",
        begin.elapsed()
    );
    assert_eq!(peer.seen("start")?.len(), 1, "{what}");
    assert_eq!(
        (peer.seen("author")?, peer.seen("acct")?),
        (vec![], vec![]),
        "{what}"
    );
    assert!(stage.listens(22), "{what}");
    Ok(())
}

fn log_in_with_each(steps: impl IntoIterator<Item = Step>) -> Result {
    thread::scope(|scope| {
        let logins: Vec<_> = steps
            .into_iter()
            .map(|step| scope.spawn(|| log_in(step)))
            .collect();
        for login in logins {
            login
                .join()
                .map_err(|_| "a login did not go as it must, see above")??;
        }
        Ok(())
    })
}

#[test]
fn a_header_that_does_not_belong_to_the_request_is_no_pass() -> Result {
    use Forged::{MajorVersion, MinorVersion, PacketType, SeqNo, SessionId, Unencrypted};
    let lies = [
        SessionId,
        SeqNo,
        MinorVersion,
        MajorVersion,
        PacketType,
        Unencrypted,
    ];
    log_in_with_each(lies.map(|forged| Step::pass().forged(forged)))
}

#[test]
fn a_body_that_is_not_what_was_announced_is_no_pass() -> Result {
    use Forged::{LongFields, LongLength, Secret, ShortBody};
    let lies = [Secret, ShortBody, LongFields, LongLength];
    log_in_with_each(lies.map(|forged| Step::pass().forged(forged)))
}

#[test]
fn a_reply_that_never_comes_whole_is_no_pass() -> Result {
    use Forged::{CutOff, HeaderOnly, Trickle};
    let slow = [CutOff, HeaderOnly, Trickle].map(|forged| Step::pass().forged(forged));
    log_in_with_each(slow.into_iter().chain([Step::Silence, Step::Close]))
}
