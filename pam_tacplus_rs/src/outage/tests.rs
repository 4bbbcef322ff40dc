use std::fs;

use tacacs_common::identity::{Entry, State, StoreError, Writer};
use tacacs_common::packet::AuthorStatus::PassAdd;
use tacacs_common::packet::{AcctStatus, AuthenStatus};

use crate::account::authorize;
use crate::login::authenticate;
use crate::outcome::{End, Phase, Verdict, code};
use crate::session;
use crate::testing::{Host, Say, Seen, Server};

const SUCCESS: i32 = 0;
const PERM_DENIED: i32 = 6;
const AUTH_ERR: i32 = 7;
const AUTHINFO_UNAVAIL: i32 = 9;
const IGNORE: i32 = 25;

/// alice is local; nobody answers.
fn host(global: &str) -> Host {
    let host = Host::new(&[Server::nowhere()], global);
    group(
        &host,
        "wheel:x:10:alice,carol\nalice:x:1001:\nempty:x:11:\n",
    );
    host.answers(&["pw", "pw", "pw"])
}

fn group(host: &Host, text: &str) {
    fs::write(&host.site.group, text).unwrap();
}

/// The codes of authenticate and of acct_mgmt.
fn codes(host: &mut Host) -> (i32, i32) {
    let authenticated = host.run(Phase::Authenticate, authenticate);
    let authorized = host.run(Phase::Account, authorize);
    (
        code(Phase::Authenticate, authenticated),
        code(Phase::Account, authorized),
    )
}

#[test]
fn without_a_word_about_it_an_outage_refuses_whom_nobody_named() {
    const REFUSED: (i32, i32) = (AUTH_ERR, PERM_DENIED);
    const LET_ON: (i32, i32) = (AUTHINFO_UNAVAIL, IGNORE);
    for (global, expected) in [
        ("", REFUSED),
        ("unreachable = users", REFUSED),
        ("fallback_users = bob", REFUSED),
        ("fallback_users = Alice", REFUSED),
        // Her primary group, one without members, and one that there is not.
        ("fallback_users = @alice @empty @nosuch", REFUSED),
        ("fallback_users = bob alice", LET_ON),
        ("fallback_users = @nosuch @wheel", LET_ON),
        ("fallback_users = alice\nunreachable = deny", REFUSED),
        ("unreachable = deny", REFUSED),
        ("unreachable = ignore", LET_ON),
    ] {
        let mut host = host(global);
        assert_eq!(codes(&mut host), expected, "{global}: {}", host.log());
        assert!(
            host.memory.login.is_none(),
            "the password is not checked yet"
        );
    }
}

#[test]
fn what_nobody_can_read_names_nobody_and_says_so() {
    for (spoil, said) in [
        (
            "",
            "cannot tell whether a group of fallback_users lists 'alice' from 192.0.2.7",
        ),
        ("long", "it has a line of more than 1 MB"),
    ] {
        let mut host = host("fallback_users = @wheel");
        fs::remove_file(&host.site.group).unwrap();
        if spoil == "long" {
            let line = format!("wheel:x:10:alice,{}", "x".repeat(2 << 20));
            group(&host, &line);
        }
        assert_eq!(codes(&mut host), (AUTH_ERR, PERM_DENIED), "{}", host.log());
        assert!(host.log().contains(said), "{}", host.log());
        // A name needs no file.
        host = self::host("fallback_users = @wheel alice");
        fs::remove_file(&host.site.group).unwrap();
        assert_eq!(codes(&mut host), (AUTHINFO_UNAVAIL, IGNORE));
    }
}

#[test]
fn who_is_named_gets_on_whoever_brought_the_outage_about_and_nobody_else_does() {
    for (global, let_on) in [
        ("unreachable = ignore", false),
        ("unreachable = deny", false),
        ("", false),
        ("fallback_users = alice", true),
    ] {
        // In a program of her own, whose limits would keep any server from being reached: a
        // device that is not there cannot be told from one that she may not use.
        let mut host = host(&format!("{global}\nsource_ip = 192.0.2.99"));
        let broken = fs::read_to_string(&host.site.conf).unwrap();
        host.conf(
            &broken
                .replace("127.0.0.1", "[fe80::1]")
                .replace("source_ip = 192.0.2.99", ""),
        );
        host.site.setuid = true;
        let expected = if let_on {
            (AUTHINFO_UNAVAIL, IGNORE)
        } else {
            (AUTH_ERR, PERM_DENIED)
        };
        assert_eq!(codes(&mut host), expected, "{global}: {}", host.log());
    }
}

#[test]
fn each_use_of_ignore_warns_of_who_decides() {
    let mut host = host("unreachable = ignore");
    codes(&mut host);
    let warned = host
        .log()
        .matches("whoever can make a server slow, full or silent")
        .count();
    assert_eq!(warned, 2, "{}", host.log());
}

#[test]
fn a_named_session_without_a_server_is_logged_and_its_start_says_local() {
    let mut host = host("fallback_users = alice");
    codes(&mut host);
    assert_eq!(
        host.run(Phase::Session, session::open),
        End::Pass,
        "{}",
        host.log()
    );
    assert!(
        host.log().contains(
            "Warning: session of 'alice' from 192.0.2.7 opened by fallback_users: no server is \
             known to have approved it (authen_method LOCAL)"
        ),
        "{}",
        host.log()
    );
    // What waits goes out once there is a server.
    let server = Server::start(&[
        Say::Acct(AcctStatus::Success),
        Say::Acct(AcctStatus::Success),
    ]);
    let conf = fs::read_to_string(&host.site.conf).unwrap();
    let old = conf
        .lines()
        .find(|line| line.starts_with("address"))
        .unwrap()
        .to_owned();
    host.conf(&conf.replace(&old, &format!("address = {}", server.address)));
    host.run(Phase::Session, session::close);
    let seen = server.wait_for(2);
    let (Seen::Acct { flags: 2, .. }, Seen::Acct { flags: 4, .. }) = (&seen[0], &seen[1]) else {
        panic!("{seen:?}");
    };
}

#[test]
fn a_named_session_that_a_server_approved_is_no_exception() {
    let server = Server::start(&[Say::Author(PassAdd, &["priv-lvl=1"])]);
    let mut host = Host::new(&[server.address], "fallback_users = alice");
    assert_eq!(host.run(Phase::Account, authorize), End::Pass);
    assert_eq!(host.run(Phase::Session, session::open), End::Pass);
    assert!(host.log().contains("spooled"), "{}", host.log());
    assert!(
        !host.log().contains("opened by fallback_users"),
        "{}",
        host.log()
    );
}

#[test]
fn what_a_server_refused_in_this_login_nothing_stands_in_for() {
    for global in ["fallback_users = alice", "unreachable = ignore"] {
        let server = Server::start(&[Say::Authen(AuthenStatus::Fail, "")]);
        let mut host = Host::new(&[server.address], global).answers(&["pw"]);
        // A stack that goes on after a refusal; by then the server is gone.
        assert_eq!(host.run(Phase::Authenticate, authenticate), End::Refused);
        let end = host.run(Phase::Account, authorize);
        assert_eq!(code(Phase::Account, end), PERM_DENIED, "{}", host.log());
        // Another login is another matter.
        host.memory = crate::handle::Memory::default();
        let end = host.run(Phase::Account, authorize);
        assert_eq!(code(Phase::Account, end), IGNORE, "{}", host.log());
    }
}

/// bob is not local; alice is.
fn stranger(global: &str) -> Host {
    let mut host = host(global);
    let conf = fs::read_to_string(&host.site.conf).unwrap();
    host.conf(&conf.replace("mode = local", ""));
    host.handle.user = "bob".to_owned();
    host
}

fn store(host: &Host, state: State) {
    let entry = Entry {
        name: "bob".to_owned(),
        uid: 2_020_000_000,
        gid: 2_020_000_000,
        gecos: String::new(),
        home: "/home/bob".to_owned(),
        shell: "/bin/bash".to_owned(),
        groups: Vec::new(),
        level: 7,
        learned: 1_690_000_000,
        changed: 0,
        state,
    };
    fs::create_dir_all(host.site.identity.parent().unwrap()).unwrap();
    let writer = Writer::open(&host.site.identity).unwrap();
    let put: Result<(), StoreError> = writer.change(|book| {
        book.put(entry).unwrap();
        Ok(())
    });
    put.unwrap();
}

#[test]
fn a_named_user_of_the_store_goes_on_as_long_as_a_server_approved_last() {
    for (global, state, expected) in [
        ("fallback_users = bob", Some(State::Active), SUCCESS),
        // For how long does not matter: the operator takes the name off the list.
        (
            "fallback_users = bob\noffline_hours = 1",
            Some(State::Active),
            SUCCESS,
        ),
        ("fallback_users = bob", Some(State::Disabled), PERM_DENIED),
        ("fallback_users = bob", None, PERM_DENIED),
        ("fallback_users = alice", Some(State::Active), PERM_DENIED),
        ("offline_hours = 8760", Some(State::Active), PERM_DENIED),
        (
            "offline_hours = 8760\nunreachable = deny",
            Some(State::Active),
            PERM_DENIED,
        ),
        // A list of /etc/group counts for names that it alone knows.
        ("fallback_users = @wheel", Some(State::Active), PERM_DENIED),
    ] {
        let mut host = stranger(global);
        if let Some(state) = state {
            store(&host, state);
        }
        let end = host.run(Phase::Account, authorize);
        assert_eq!(
            code(Phase::Account, end),
            expected,
            "{global} {state:?}: {}",
            host.log()
        );
        let level = host.memory.granted.and_then(|grant| grant.priv_lvl);
        let level = level.map(|level| level.level());
        assert_eq!(level, (expected == SUCCESS).then_some(7));
    }
}

#[test]
fn what_a_server_said_of_a_stored_user_lets_in_nobody_else_of_that_name() {
    const ELSEWHERE: Option<(u32, u32)> = Some((5000, 5000));
    for (global, service) in [
        ("fallback_users = bob", "sshd"),
        ("unreachable = ignore\noffline_hours = 8760", "sshd"),
        ("skip_services = cron", "cron"),
    ] {
        for (account, lost) in [
            (ELSEWHERE, None),
            (None, Some(0)),
            (None, Some(libc::EMFILE)),
            (None, None),
        ] {
            let mut host = stranger(global);
            store(&host, State::Active);
            host.handle.service = service.to_owned();
            (host.handle.account, host.handle.lost) = (account, lost);
            let end = host.run(Phase::Account, authorize);
            let passes = code(Phase::Account, end) == SUCCESS;
            let own = account.is_none() && lost.is_none();
            assert_eq!(passes, own, "{global} {account:?} {lost:?}: {}", host.log());
        }
    }
}

#[test]
fn a_local_user_is_none_of_our_business_in_an_outage_where_the_servers_have_users_of_their_own() {
    let mut host = stranger("unreachable = deny");
    host.handle.user = "alice".to_owned();
    assert_eq!(host.run(Phase::Account, authorize), End::Ignored);
}

#[test]
fn an_outage_that_ends_between_the_phases_leaves_the_word_to_the_server() {
    let server = Server::start(&[Say::Author(PassAdd, &[])]);
    let mut host = host("fallback_users = alice");
    let end = host.run(Phase::Authenticate, authenticate);
    assert_eq!(code(Phase::Authenticate, end), AUTHINFO_UNAVAIL);
    let conf = fs::read_to_string(&host.site.conf).unwrap();
    let old = conf
        .lines()
        .find(|line| line.starts_with("address"))
        .unwrap()
        .to_owned();
    host.conf(&conf.replace(&old, &format!("address = {}", server.address)));
    assert_eq!(host.run(Phase::Account, authorize), End::Pass);
    let verdict = End::Unreachable {
        verdict: Verdict::Named,
        local: true,
    };
    assert_ne!(code(Phase::Account, verdict), SUCCESS);
}
