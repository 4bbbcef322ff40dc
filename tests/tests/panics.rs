//! A defect of ours inside somebody else's process. The modules are those that are
//! shipped, without a door for tests in them: the clock is taken away, and the standard
//! library panics where it asks for the time.

use e2e::scene::{self, STACK};
use e2e::users::{self, NSS_HOST, entry};
use e2e::{Result, Script, Stage, Step};

const SERVER: &str = "127.0.0.1:49";

/// Stands before the C library, whose own calls it does not meet.
const CLOCKLESS: &str = "\
#include <errno.h>
#include <time.h>
int clock_gettime(clockid_t clock, struct timespec *time)
{
	(void)clock;
	(void)time;
	errno = EINVAL;
	return -1;
}
";

/// A line of shell, in front of which the clock is taken away.
fn without_a_clock(stage: &Stage) -> Result<&'static str> {
    stage.write("/root/clockless.c", 0o600, CLOCKLESS)?;
    stage
        .sh("gcc -shared -fPIC -o /usr/lib/clockless.so /root/clockless.c")?
        .success()?;
    Ok("env LD_PRELOAD=/usr/lib/clockless.so ")
}

#[test]
fn a_panic_in_a_lookup_is_an_unavailable_service_and_nothing_else() -> Result {
    let mapping = "mode = unique\nunknown = authorize\nlookup_programs = getent nss_host";
    let stage = users::host(&[SERVER], "", mapping).start()?;
    users::put_nss_host(&stage)?;
    users::store(&stage, &[entry("alice", 15, &[27])])?;
    let permit = Script::authen([]).author([Step::permit(&["priv-lvl=1"])]);
    let peer = stage.peer(SERVER, &permit)?;
    let clockless = without_a_clock(&stage)?;

    // The same process goes on: to the users behind the one that it failed at.
    let line = format!("{clockless}getent passwd carol root carol alice | cut -d: -f1");
    let known = stage.sh(&line)?;
    assert_eq!(known.stdout, "root\nalice\n", "{known}{}", stage.logs());
    assert_eq!(known.stderr, "");
    assert_eq!(peer.seen("author")?, [], "it came as far as the clock");
    let told = stage.wait_for_log("libnss_tacplus: internal error at ")?;
    assert!(told.ends_with("please report it"), "{told}");

    let find = format!("{clockless}{NSS_HOST} find carol");
    let unavailable = stage.sh(&find)?.stdout;
    assert!(
        unavailable.starts_with("status -1 errno 2 -"),
        "{unavailable}"
    );
    let carol = stage.sh("getent passwd carol | cut -d: -f1")?;
    assert_eq!(carol.stdout, "carol\n", "with a clock: {}", stage.logs());
    Ok(())
}

#[test]
fn a_panic_in_a_login_is_a_refusal_and_the_program_lives() -> Result {
    let stage = scene::host(&[SERVER], "").pam("su", STACK).start()?;
    let _peer = stage.peer(SERVER, &Script::authen([Step::pass()]))?;
    let clockless = without_a_clock(&stage)?;
    let line = format!("{clockless}su bob -c whoami");
    let su = stage.dialog(&["sh", "-c", &line]).run()?;
    // su's own words and code for PAM_SYSTEM_ERR, and not those of a signal.
    assert_eq!((su.code, su.stdout.as_str()), (1, ""), "{su}");
    assert!(su.stderr.contains("System error"), "{su}");
    let told = stage.wait_for_log("pam_tacplus: internal error at ")?;
    assert!(told.ends_with("please report it"), "{told}");
    Ok(())
}
