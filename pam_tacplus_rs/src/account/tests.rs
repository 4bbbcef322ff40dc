use tacacs_common::packet::AuthenStatus::Pass;
use tacacs_common::packet::AuthorStatus::{Error, Fail, PassAdd, PassRepl};
use tacacs_common::packet::{AuthenMethod, AuthenType, AuthorStatus};

use super::{authorize, variable};
use crate::handle::Memory;
use crate::login::authenticate;
use crate::outcome::{End, Phase, Verdict};
use crate::testing::{Host, Say, Seen, Server};

fn account(host: &mut Host) -> End {
    host.run(Phase::Account, authorize)
}

#[test]
fn a_key_login_is_authorized_as_one_that_the_host_authenticated() {
    let server = Server::start(&[Say::Author(PassAdd, &["priv-lvl=15"])]);
    let mut host = Host::new(&[server.address], "");
    assert_eq!(account(&mut host), End::Pass, "{}", host.log());
    assert_eq!(
        server.seen(),
        [Seen::Author {
            method: AuthenMethod::Local,
            authen_type: AuthenType::NotSet,
            user: "alice".to_owned(),
            args: vec!["service=shell".to_owned(), "cmd=".to_owned()],
        }]
    );
    assert!(
        host.log().contains("passed at server s0 with priv-lvl 15"),
        "{}",
        host.log()
    );
    assert_eq!(
        host.memory
            .granted
            .as_ref()
            .unwrap()
            .priv_lvl
            .unwrap()
            .level(),
        15
    );
}

#[test]
fn a_login_that_a_server_authenticated_goes_on_on_the_same_connection() {
    let script = [Say::Authen(Pass, ""), Say::Author(PassAdd, &[])];
    for (server, connections) in [
        (Server::single_connect(&script), 1),
        (Server::start(&script), 2),
    ] {
        let mut host = Host::new(&[server.address], "login = chap").answers(&["pw"]);
        assert_eq!(host.run(Phase::Authenticate, authenticate), End::Pass);
        assert_eq!(account(&mut host), End::Pass, "{}", host.log());
        assert!(
            matches!(
                server.seen()[1],
                Seen::Author {
                    method: AuthenMethod::TacacsPlus,
                    authen_type: AuthenType::Chap,
                    ..
                }
            ),
            "{:?}",
            server.seen()
        );
        assert_eq!(server.connections(), connections);
    }
}

#[test]
fn another_users_authentication_does_not_count() {
    let server = Server::start(&[Say::Authen(Pass, ""), Say::Author(PassAdd, &[])]);
    let mut host = Host::new(&[server.address], "").answers(&["pw"]);
    assert_eq!(host.run(Phase::Authenticate, authenticate), End::Pass);
    host.memory.login.as_mut().unwrap().user = "bob".to_owned();
    assert_eq!(account(&mut host), End::Pass);
    assert!(matches!(
        server.seen()[1],
        Seen::Author {
            method: AuthenMethod::Local,
            ..
        }
    ));
}

#[test]
fn every_answer_but_an_approval_of_what_was_asked_denies() {
    let rows: &[(AuthorStatus, &[&str], bool, &str)] = &[
        (PassAdd, &[], true, "passed"),
        (
            PassAdd,
            &["priv-lvl=1", "timeout*10", "idletime*5", "acl*7"],
            true,
            "priv-lvl 1",
        ),
        (PassRepl, &["priv-lvl=15"], true, "priv-lvl 15"),
        (Fail, &[], false, "denied at server s0: the server refused"),
        (AuthorStatus::Follow, &[], false, "FOLLOW"),
        (
            PassAdd,
            &["priv-lvl=16"],
            false,
            "'priv-lvl' has a value that cannot be used",
        ),
        (
            PassAdd,
            &["priv-lvl=1", "priv-lvl=15"],
            false,
            "more than once",
        ),
        (
            PassRepl,
            &["priv-lvl=1", "priv-lvl=15"],
            false,
            "more than once",
        ),
        (PassAdd, &["color=red"], false, "the server demands 'color'"),
        (
            PassRepl,
            &["service=ppp"],
            false,
            "something else than asked",
        ),
        (
            PassRepl,
            &["cmd=reboot"],
            false,
            "something else than asked",
        ),
    ];
    for (status, args, pass, words) in rows {
        let server = Server::start(&[Say::Author(*status, args)]);
        let second = Server::start(&[Say::Author(PassAdd, &[])]);
        let mut host = Host::new(&[server.address, second.address], "");
        let expected = if *pass { End::Pass } else { End::Refused };
        assert_eq!(account(&mut host), expected, "{status} {args:?}");
        assert!(host.log().contains(words), "{}", host.log());
        assert_eq!(second.connections(), 0, "{status} {args:?}");
        assert_eq!(host.memory.granted.is_some(), *pass);
    }
}

#[test]
fn a_mandatory_attribute_that_the_administrator_handles_is_no_obstacle() {
    let server = Server::start(&[Say::Author(PassAdd, &["color=red"])]);
    let host = Host::new(&[], "");
    host.conf(&format!(
        "[mapping]\nmode = local\nhandled = color\n[server a]\naddress = {}\nsecret = a secret for tests only\n",
        server.address
    ));
    let mut host = host;
    assert_eq!(account(&mut host), End::Pass, "{}", host.log());
}

#[test]
fn an_error_is_no_decision_and_leaves_local_users_to_the_next_module() {
    let server = Server::start(&[Say::Author(Error, &["priv-lvl=15"])]);
    let mut host = Host::new(&[server.address], "unreachable = ignore");
    let end = account(&mut host);
    let verdict = Verdict::Ignored;
    let local = true;
    assert_eq!(end, End::Unreachable { verdict, local });
}

#[test]
fn only_listed_attributes_become_variables() {
    let server = Server::start(&[Say::Author(
        PassAdd,
        &[
            "site-name*Lab 7",
            "site-name*Lab 8",
            "LD_PRELOAD*/tmp/x.so",
            "PATH*/tmp",
            "1x*y",
        ],
    )]);
    let mut host = Host::new(&[], "");
    host.conf(&format!(
        "[mapping]\nmode = local\nenv_allow = site-name 1x\n[server a]\naddress = {}\nsecret = a secret for tests only\n",
        server.address
    ));
    assert_eq!(account(&mut host), End::Pass, "{}", host.log());
    assert_eq!(host.handle.env, ["SITE_NAME=Lab 7"]);
}

#[test]
fn a_variable_has_a_variables_name() {
    assert_eq!(variable("priv-lvl").as_deref(), Some("PRIV_LVL"));
    for bad in ["", "1st", "a.b", "a b", "ä"] {
        assert_eq!(variable(bad), None, "{bad}");
    }
}

#[test]
fn a_service_other_than_shell_has_no_command() {
    let server = Server::start(&[Say::Author(PassAdd, &[])]);
    let mut host = Host::new(&[server.address], "").words(&["service=linuxlogin", "protocol=ssh"]);
    assert_eq!(account(&mut host), End::Pass, "{}", host.log());
    assert!(matches!(&server.seen()[0], Seen::Author { args, .. }
        if *args == ["service=linuxlogin", "protocol=ssh"]));
}

#[test]
fn a_login_asks_dead_servers_in_one_phase_and_not_in_the_next() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root writes the hold-down");
        return;
    }
    let mut host = Host::new(&[Server::nowhere()], "").answers(&["pw", "pw"]);
    // An earlier login found the server dead.
    host.run(Phase::Authenticate, authenticate);
    host.memory = Memory::default();

    assert!(matches!(
        host.run(Phase::Authenticate, authenticate),
        End::Unreachable { .. }
    ));
    assert!(!host.log().contains("not tried again"), "{}", host.log());
    assert!(matches!(account(&mut host), End::Unreachable { .. }));
    assert!(
        host.log()
            .contains("server s0: not tried again, it did not answer a moment ago"),
        "{}",
        host.log()
    );
}
