//! Logging in without an account on the host: three ways in, three modes of mapping,
//! three settings of `unknown`, and what stays afterwards.

use e2e::scene::PASSWORD;
use e2e::users::{self, uid};
use e2e::{Output, Result, Script, Stage, Step};

const SERVER: &str = "127.0.0.1:49";

fn host(mapping: &str) -> Result<Stage> {
    users::host(&[SERVER], "", &format!("groups.15 = sudo\n{mapping}")).start()
}

/// A server that knows everybody, at this level.
fn everybody(level: u8) -> Script {
    Script::authen([Step::pass()]).author([Step::permit(&[&format!("priv-lvl={level}")])])
}

/// Who she is in her session, by every way to find out.
const WHO: &str = "whoami; id; pwd; stat -c '%U %G %a' ~; cat /proc/self/loginuid; echo; touch f; ls -l f | cut -d' ' -f3,4";

fn is_alice(login: &Output, stage: &Stage) {
    let alice = uid("alice");
    assert_eq!(
        login.stdout,
        format!(
            "alice\n\
             uid={alice}(alice) gid={alice}(alice) groups={alice}(alice),27(sudo)\n\
             /home/alice\n\
             alice alice 700\n\
             {alice}\n\
             alice alice\n"
        ),
        "{login}{}",
        stage.logs()
    );
}

#[test]
fn a_user_of_the_server_alone_logs_in_by_password() -> Result {
    let stage = host("mode = unique\nunknown = authorize")?;
    let _peer = stage.peer(SERVER, &everybody(15))?;
    for _ in 0..2 {
        is_alice(&stage.ssh("alice").password(PASSWORD, WHO)?, &stage);
    }
    Ok(())
}
