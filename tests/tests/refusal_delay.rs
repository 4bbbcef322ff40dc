//! How long a refused login takes: about two seconds, whoever it was about.

use std::time::Duration;

use e2e::logins::{self, Login, Refusals, Way};
use e2e::scene::{self, STACK};
use e2e::{Result, Script, Step};

const SERVER: &str = "127.0.0.1:49";

/// Who is refused, and for what.
const REFUSED: [(&str, Way<'_>); 5] = [
    ("alice", Way::Password("wrong")),
    ("alice", Way::Password("")),
    ("root", Way::Password("wrong")),
    ("bob", Way::Password("wrong")),
    ("nosuchuser", Way::Password("wrong")),
];

/// How often each.
const TIMES: usize = 40;

#[test]
fn the_median_refusal_takes_two_seconds_for_whomever_it_is_and_none_with_nodelay() -> Result {
    // pam_unix asks for the same wait: here it does not.
    let patient = STACK.replace("pam_tacplus.so nodelay", "pam_tacplus.so");
    assert_ne!(patient, STACK);
    let stage = scene::host(&[SERVER], "exclude_users = bob")
        .pam("patient", &patient)
        .pam("quick", STACK)
        .start()?;
    logins::put_pam_host(&stage)?;
    let _peer = stage.peer(SERVER, &Script::authen([Step::fail()]))?;

    // All at once, for libpam makes the wait longer or shorter by the second of the start.
    let all: Vec<Login<'_>> = (0..TIMES)
        .flat_map(|_| REFUSED.iter())
        .flat_map(|(user, way)| ["patient", "quick"].map(|service| (service, *user, *way)))
        .map(|(service, user, way)| Login {
            service,
            user,
            caller: 0,
            way,
        })
        .collect();
    let verdicts = logins::run(&stage, &all, all.len(), Refusals::Waited)?;

    for (user, way) in REFUSED {
        let median = |service: &str| {
            let of = |login: &Login<'_>| {
                login.service == service && login.user == user && login.way == way
            };
            let chosen = all.iter().zip(&verdicts).filter(|(login, _)| of(login));
            let mut times: Vec<Duration> = chosen
                .map(|(login, verdict)| {
                    assert!(!verdict.gets_in(), "{login:?} {verdict:?}");
                    verdict.took
                })
                .collect();
            assert_eq!(times.len(), TIMES);
            times.sort_unstable();
            times[TIMES / 2]
        };
        let (patient, quick) = (median("patient"), median("quick"));
        let wait = patient.saturating_sub(quick);
        let expected = Duration::from_millis(900)..Duration::from_millis(3200);
        assert!(
            expected.contains(&wait),
            "{user} {way:?}: {patient:?}, {quick:?} with nodelay"
        );
    }
    Ok(())
}
