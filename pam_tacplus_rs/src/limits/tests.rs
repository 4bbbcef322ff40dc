use std::fs;

use tacacs_common::packet::AcctStatus;
use tacacs_common::packet::AuthorStatus::{Error, PassAdd};

use super::*;
use crate::account::authorize;
use crate::handle::Memory;
use crate::outcome::Phase;
use crate::session;
use crate::testing::{Host, Say, Server};

const STACK: &str = "session required pam_tacplus.so\nsession required pam_systemd.so\n";

/// A host with systemd, where pam_systemd is in the stack.
fn host(server: &Server) -> Host {
    let host = Host::new(&[server.address], "");
    for folder in ["system", "seats"] {
        fs::create_dir_all(host.site.systemd.join(folder)).unwrap();
    }
    fs::create_dir(&host.site.pam[0]).unwrap();
    fs::write(host.site.pam[0].join("sshd"), STACK).unwrap();
    fs::write(
        host.site.proc.join("cgroup"),
        "0::/system.slice/ssh.service\n",
    )
    .unwrap();
    host
}

fn handling(host: &Host, names: &str) {
    let conf = fs::read_to_string(&host.site.conf).unwrap();
    let line = format!("mode = local\nhandled = {names}\n");
    host.conf(&conf.replace("mode = local\n", &line));
}

const MANDATORY: Say = Say::Author(PassAdd, &["timeout=30"]);
const OPTIONAL: Say = Say::Author(PassAdd, &["timeout*30"]);
const TAKEN: Say = Say::Acct(AcctStatus::Success);

fn account(host: &mut Host) -> End {
    host.run(Phase::Account, authorize)
}

fn open(host: &mut Host) -> End {
    host.run(Phase::Session, session::open)
}

fn half_an_hour() -> Vec<(String, String)> {
    vec![(RUNTIME.to_owned(), "1800".to_owned())]
}

#[test]
fn pam_systemd_is_told_how_long_the_session_may_last() {
    for limit in [MANDATORY, OPTIONAL] {
        let server = Server::start(&[limit, TAKEN]);
        let mut host = host(&server);
        assert_eq!(account(&mut host), End::Pass, "{}", host.log());
        assert_eq!(host.handle.data, []);
        assert_eq!(open(&mut host), End::Pass, "{}", host.log());
        assert_eq!(host.handle.data, half_an_hour());
        assert_eq!(host.handle.env, [""; 0]);
    }
}

/// As sshd does it in a keyboard-interactive dialogue.
#[test]
fn a_session_that_another_process_opens_has_the_same_limit() {
    let server = Server::start(&[MANDATORY, TAKEN]);
    let mut host = host(&server);
    assert_eq!(account(&mut host), End::Pass, "{}", host.log());
    assert_eq!(host.handle.env, ["TACPLUS_TIMEOUT==30"]);
    host.memory = Memory::default();
    assert_eq!(open(&mut host), End::Pass, "{}", host.log());
    assert_eq!(host.handle.data, half_an_hour());
    assert_eq!(
        host.handle.env, [""; 0],
        "the user's programs do not see it"
    );
}

#[test]
fn a_limit_that_was_tampered_with_on_the_way_opens_no_session() {
    let server = Server::start(&[TAKEN]);
    for text in ["", "30", "=", "=-1", "=0", "=x"] {
        let mut host = host(&server);
        host.handle.env = vec![format!("TACPLUS_TIMEOUT={text}")];
        assert_eq!(open(&mut host), End::Refused, "{text:?}");
    }
}

#[test]
fn a_mandatory_limit_that_nobody_sees_to_denies_and_names_the_key() {
    type Spoil = fn(&Host);
    let nothing: Spoil = |_| {};
    let idle = &["idletime=10"][..];
    let timeout = &["timeout=30"][..];
    for (reply, spoil, why) in [
        (idle, nothing, "nothing on this host ends an idle session"),
        (
            timeout,
            |host| fs::remove_dir(host.site.systemd.join("system")).unwrap(),
            "does not run here",
        ),
        (
            timeout,
            |host| fs::remove_dir(host.site.systemd.join("seats")).unwrap(),
            "does not run here",
        ),
        (
            timeout,
            |host| {
                fs::write(
                    host.site.pam[0].join("sshd"),
                    STACK.replace("systemd", "unix"),
                )
                .unwrap()
            },
            "no session line of the service asks pam_systemd",
        ),
        (
            timeout,
            |host| {
                let su = "0::/user.slice/user-1001.slice/user@1001.service/app.slice/x.scope\n";
                fs::write(host.site.proc.join("cgroup"), su).unwrap();
            },
            "within another one",
        ),
        (
            timeout,
            |host| fs::remove_file(host.site.proc.join("cgroup")).unwrap(),
            "within another one",
        ),
        (
            timeout,
            |host| {
                let su = "0::/user.slice/user-1001.slice/session-3.scope\n";
                fs::write(host.site.proc.join("cgroup"), su).unwrap();
            },
            "within another one",
        ),
    ] {
        let server = Server::start(&[
            Say::Author(PassAdd, reply),
            Say::Author(PassAdd, reply),
            Say::Author(PassAdd, &["timeout*30", "idletime*10"]),
        ]);
        let mut host = host(&server);
        spoil(&host);
        assert_eq!(account(&mut host), End::Refused, "{why}");
        let log = host.log();
        assert!(log.contains(why), "{log}");
        assert!(log.contains("list it in [mapping] handled"), "{log}");
        // Whom that is all the same says so, and an optional one asks for nothing.
        handling(&host, "timeout idletime");
        assert_eq!(account(&mut host), End::Pass, "{}", host.log());
        assert_eq!(account(&mut host), End::Pass, "{}", host.log());
    }
}

#[test]
fn no_limit_is_none() {
    let reply = &["timeout=0", "idletime=0"];
    let server = Server::start(&[Say::Author(PassAdd, reply), TAKEN]);
    let mut host = Host::new(&[server.address], "");
    assert_eq!(account(&mut host), End::Pass, "{}", host.log());
    assert_eq!(open(&mut host), End::Pass, "{}", host.log());
    assert_eq!(host.handle.data, []);
}

#[test]
fn an_approval_for_a_while_stands_in_for_no_later_one() {
    for (reply, end) in [
        (&["priv-lvl=1"][..], End::Pass),
        (&["priv-lvl=1", "timeout*30"], End::Pass),
        (&["priv-lvl=1", "timeout=30"], End::Refused),
    ] {
        let server = Server::start(&[Say::Author(PassAdd, reply), Say::Author(Error, &[])]);
        let mut host = host(&server);
        let conf = fs::read_to_string(&host.site.conf).unwrap();
        let global = "[global]\nunreachable = ignore\noffline_hours = 2";
        host.conf(&conf.replace("mode = local", "").replace("[global]", global));
        host.handle.user = "bob".to_owned();
        fs::write(&host.site.group, "").unwrap();
        fs::create_dir(host.site.identity.parent().unwrap()).unwrap();
        host.running_for(500);
        assert_eq!(account(&mut host), End::Pass, "{}", host.log());
        let stands_in = account(&mut host) == End::Pass;
        assert_eq!(stands_in, end == End::Pass, "{reply:?}: {}", host.log());
    }
}
