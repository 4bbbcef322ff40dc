//! A defect of ours inside somebody else's process. The modules are those that are
//! shipped, without a door for tests in them: the clock is taken away, and the standard
//! library panics where it asks for the time.

use e2e::scene::{self, STACK};
use e2e::users::{self, NSS_HOST, entry};
use e2e::{Result, Script, Stage, Step, artefacts};

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

/// The same from a chroot on: a file server that locks itself into a folder of its user's.
const LOST_CLOCK: &str = "\
#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static int gone;
int chroot(const char *path)
{
	gone = 1;
	return syscall(SYS_chroot, path);
}
int clock_gettime(clockid_t clock, struct timespec *time)
{
	errno = EINVAL;
	return gone ? -1 : syscall(SYS_clock_gettime, clock, time);
}
";

/// Ends with 66 whatever loads it.
const HOSTILE: &str = "\
__attribute__((constructor)) static void run(void)
{
	__asm__ volatile(\"syscall\" : : \"a\"(231), \"D\"(66));
}
";

/// Folders of a user's: one with nothing in it, and one with a library of the user's own
/// under the name of the one that unwinds.
fn folders(stage: &Stage) -> Result<[&'static str; 2]> {
    stage.write("/root/lost.c", 0o600, LOST_CLOCK)?;
    stage.write("/root/hostile.c", 0o600, HOSTILE)?;
    let line = "gcc -shared -fPIC -o /usr/lib/lost.so /root/lost.c; \
        mkdir -p /srv/empty/dev /srv/hostile/dev /srv/hostile/lib/x86_64-linux-gnu; \
        gcc -shared -fPIC -nostdlib -o /srv/hostile/lib/x86_64-linux-gnu/libgcc_s.so.1 /root/hostile.c; \
        chown -R bob /srv/hostile/lib";
    stage.sh(line)?.success()?;
    Ok(["/srv/empty", "/srv/hostile"])
}

#[test]
fn no_code_of_a_folder_runs_when_a_module_panics_in_it() -> Result {
    let session = "session required pam_tacplus.so\n";
    let stage = users::host(&[SERVER], "", "mode = local")
        .pam("files", session)
        .start()?;
    let _peer = stage.peer(SERVER, &Script::authen([Step::pass()]))?;
    let folders = folders(&stage)?;
    let source = artefacts::workspace().join("tests/src/chroot_host.c");
    let compile = format!("gcc -o /usr/bin/chroot_host {} -lpam", source.display());
    stage.sh(&compile)?.success()?;
    for folder in folders {
        let line = format!("LD_PRELOAD=/usr/lib/lost.so chroot_host files bob {folder}");
        let closed = stage.sh(&line)?;
        // PAM_SYSTEM_ERR.
        assert_eq!(
            (closed.code, closed.stdout.as_str()),
            (0, "closed: 4\n"),
            "{folder}: {closed}"
        );
    }
    Ok(())
}

#[test]
fn no_code_of_a_folder_runs_when_a_lookup_panics_in_it() -> Result {
    let mapping = "mode = unique\nunknown = authorize\nlookup_programs = nss_host";
    let stage = users::host(&[SERVER], "", mapping).start()?;
    users::put_nss_host(&stage)?;
    for folder in folders(&stage)? {
        // What the module reads is there: that is how it comes as far as the clock.
        let fill = format!(
            "mkdir -p {folder}/etc {folder}/proc && mount --bind /proc {folder}/proc && \
             cp -p /etc/tacplus.conf /etc/passwd /etc/group {folder}/etc"
        );
        stage.sh(&fill)?.success()?;
        let line = format!("LD_PRELOAD=/usr/lib/lost.so {NSS_HOST} find-in carol {folder}");
        let found = stage.sh(&line)?;
        let unavailable = found.stdout.starts_with("status -1 errno 2 -");
        assert!(found.code == 0 && unavailable, "{folder}: {found}");
    }
    Ok(())
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
