use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use tacacs_common::config::Mapping;
use tacacs_common::identity::map::hashed_uid;
use tacacs_common::identity::{Entry, State, Store, StoreError, Writer};
use tacacs_common::packet::AuthorStatus::{Fail, Follow, PassAdd};
use tacacs_common::statefile;

use crate::account::authorize;
use crate::outcome::{End, Phase};
use crate::session;
use crate::testing::{Host, Say, Server};

mod setuid;

const LEVEL_15: Say = Say::Author(PassAdd, &["priv-lvl=15"]);
const LEVEL_1: Say = Say::Author(PassAdd, &["priv-lvl=1"]);
const DENIED: Say = Say::Author(Fail, &[]);

/// Bob, who is no local user, in another mode than `local`.
fn bob(servers: &[SocketAddr], global: &str, mapping: &str) -> Host {
    let mut host = Host::new(&[], "");
    configure(&host, servers, global, mapping);
    fs::write(&host.site.group, "users:x:100:\nsudo:x:27:\n").unwrap();
    fs::write(&host.site.shells, "/bin/sh\n/bin/zsh\n").unwrap();
    fs::create_dir(host.site.identity.parent().unwrap()).unwrap();
    host.handle.user = "bob".to_owned();
    host
}

fn configure(host: &Host, servers: &[SocketAddr], global: &str, mapping: &str) {
    let mut conf = format!(
        "[global]\n{global}\n[mapping]\n{mapping}\ngroups.1 = users\ngroups.7 = users sudo\n"
    );
    for (index, server) in servers.iter().enumerate() {
        conf +=
            &format!("[server s{index}]\naddress = {server}\nsecret = a secret for tests only\n");
    }
    host.conf(&conf);
}

fn account(host: &mut Host) -> End {
    host.run(Phase::Account, authorize)
}

fn stored(host: &Host, name: &str) -> Option<Entry> {
    Store::open(&host.site.identity)
        .unwrap()
        .by_name(name.as_bytes())
        .unwrap()
}

fn uid(name: &str) -> u32 {
    hashed_uid(name, &Mapping::default().uid_range)
}

fn told(host: &Host) -> Vec<&str> {
    host.handle
        .told
        .iter()
        .map(|(_, text)| text.as_str())
        .collect()
}

/// Another login program starts, some time later.
fn later(host: &mut Host) {
    host.site.millis += 1000;
    host.running_for(500);
}

const CHANGED: &str = "Your rights on this host have changed, log in again";

#[test]
fn a_first_login_stores_what_the_level_gives() {
    let server = Server::start(&[LEVEL_15]);
    let mut host = bob(&[server.address], "", "");
    assert_eq!(account(&mut host), End::Pass, "{}", host.log());
    let expected = Entry {
        name: "bob".to_owned(),
        uid: uid("bob"),
        gid: uid("bob"),
        gecos: String::new(),
        home: "/home/bob".to_owned(),
        shell: "/bin/bash".to_owned(),
        groups: vec![100, 27],
        level: 15,
        learned: 1_700_000_000,
        changed: 0,
        state: State::Active,
    };
    assert_eq!(stored(&host, "bob"), Some(expected));
    assert_eq!(told(&host), [""; 0]);
}

#[test]
fn nobody_gets_the_uid_or_the_group_of_a_local_user() {
    let (bob_s, shared) = (uid("bob"), uid("tacacs15"));
    for (mapping, passwd, group, end) in [
        (
            "",
            format!("eve:x:{bob_s}:1::/:/bin/sh"),
            String::new(),
            End::Refused,
        ),
        ("", String::new(), format!("staff:x:{bob_s}:"), End::Refused),
        ("", String::new(), format!("bob:x:{bob_s}:eve"), End::Pass),
        (
            "mode = shared",
            format!("eve:x:{shared}:1::/:/bin/sh"),
            String::new(),
            End::Refused,
        ),
        (
            "mode = shared",
            format!("eve:x:{bob_s}:1::/:/bin/sh"),
            String::new(),
            End::Pass,
        ),
    ] {
        let server = Server::start(&[LEVEL_15]);
        let mut host = bob(&[server.address], "", mapping);
        host.handle.account = Some((shared, shared));
        let root = "root:x:0:0::/root:/bin/sh";
        fs::write(&host.site.passwd, format!("{root}\n{passwd}\n")).unwrap();
        fs::write(&host.site.group, format!("root:x:0:\n{group}\n")).unwrap();
        assert_eq!(account(&mut host), end, "{passwd} {group}: {}", host.log());
        assert_eq!(stored(&host, "bob").is_some(), end == End::Pass);
    }
}

#[test]
fn a_user_of_another_module_is_not_the_servers() {
    let server = Server::start(&[LEVEL_15, LEVEL_15]);
    let mut host = bob(&[server.address], "", "");
    host.handle.account = Some((61_999, 61_999));
    assert_eq!(account(&mut host), End::Refused);
    assert_eq!(stored(&host, "bob"), None);
    host.handle.account = Some((uid("bob"), uid("bob")));
    assert_eq!(account(&mut host), End::Pass, "{}", host.log());
}

#[test]
fn a_lookup_that_finds_nobody_where_the_store_has_an_active_user_refuses() {
    for setuid in [false, true] {
        let server = Server::start(&[LEVEL_15; 4]);
        let mut host = bob(&[server.address], "", "");
        assert_eq!(account(&mut host), End::Pass, "{}", host.log());
        later(&mut host);
        host.site.setuid = setuid;
        for (lost, why) in [
            (0, "no lookup finds it"),
            (24, "a lookup of the name failed: Too many open files"),
        ] {
            host.handle.lost = Some(lost);
            assert_eq!(account(&mut host), End::Refused, "{lost}");
            assert!(host.log().contains(why), "{}", host.log());
        }
        host.handle.lost = None;
        assert_eq!(account(&mut host), End::Pass, "{}", host.log());
    }
}

#[test]
fn a_lookup_that_fails_makes_no_user() {
    let server = Server::start(&[LEVEL_15, LEVEL_15]);
    let mut host = bob(&[server.address], "", "");
    host.handle.lost = Some(24);
    assert_eq!(account(&mut host), End::Refused);
    assert_eq!(stored(&host, "bob"), None);
    // With unknown = never a lookup may well find nobody.
    host.handle.lost = Some(0);
    assert_eq!(account(&mut host), End::Pass, "{}", host.log());
}

#[test]
fn a_file_of_the_host_that_cannot_be_read_is_not_an_empty_one() {
    for (file, mapping) in [
        ("passwd", ""),
        ("group", ""),
        ("shells", "shell_attribute = shell"),
    ] {
        let shell = Say::Author(PassAdd, &["priv-lvl=15", "shell*/bin/zsh"]);
        let server = Server::start(&[shell]);
        let mut host = bob(&[server.address], "", mapping);
        let path = host.site.conf.with_file_name(file);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_ne!(account(&mut host), End::Pass, "{file}");
        let named = format!("{}: ", path.display());
        assert!(host.log().contains(&named), "{}", host.log());
        assert_eq!(stored(&host, "bob"), None, "{file}");
    }
}

#[test]
fn an_unchanged_entry_is_written_again_every_quarter_of_an_hour() {
    let server = Server::start(&[LEVEL_15, LEVEL_15, LEVEL_15]);
    let mut host = bob(&[server.address], "", "");
    assert_eq!(account(&mut host), End::Pass);
    let file = |host: &Host| fs::metadata(&host.site.identity).unwrap().ino();
    let first = file(&host);
    host.site.now.unix += 899;
    assert_eq!(account(&mut host), End::Pass);
    assert_eq!(file(&host), first);
    host.site.now.unix += 1;
    assert_eq!(account(&mut host), End::Pass);
    assert_eq!(stored(&host, "bob").unwrap().learned, 1_700_000_900);
}

#[test]
fn a_demotion_takes_the_groups_away_before_the_session_begins() {
    let server = Server::start(&[LEVEL_15, LEVEL_1]);
    let mut host = bob(&[server.address], "", "");
    assert_eq!(account(&mut host), End::Pass);
    assert_eq!(account(&mut host), End::Pass, "{}", host.log());
    let bob = stored(&host, "bob").unwrap();
    assert_eq!((bob.level, bob.groups, bob.uid), (1, vec![100], uid("bob")));
}

#[test]
fn where_accounts_are_shared_another_level_wants_a_second_login() {
    let server = Server::start(&[LEVEL_15, LEVEL_1, LEVEL_1]);
    let mut host = bob(&[server.address], "", "mode = shared");
    host.handle.account = Some((uid("tacacs15"), uid("tacacs15")));
    assert_eq!(account(&mut host), End::Pass, "{}", host.log());
    assert_eq!(stored(&host, "bob").unwrap().uid, uid("tacacs15"));
    assert_eq!(stored(&host, "tacacs15").unwrap().state, State::Shared);

    later(&mut host);
    assert_eq!(account(&mut host), End::Refused);
    assert_eq!(told(&host), [CHANGED]);
    assert_eq!(stored(&host, "bob").unwrap().uid, uid("tacacs1"));
    assert!(host.memory.granted.is_none());

    later(&mut host);
    assert_eq!(account(&mut host), End::Pass, "{}", host.log());
}

#[test]
fn a_login_that_began_before_a_demotion_does_not_end_with_the_rights_of_before() {
    let script = [LEVEL_15, LEVEL_1, LEVEL_1, LEVEL_1];
    for (age, known) in [(1500, true), (0, false)] {
        let server = Server::start(&script);
        let mut host = bob(&[server.address], "", "mode = shared");
        host.handle.account = Some((uid("tacacs15"), uid("tacacs15")));
        assert_eq!(account(&mut host), End::Pass);
        later(&mut host);
        assert_eq!(account(&mut host), End::Refused);
        // sshd copied the user's entry, and waited at the prompt while another login
        // was refused. Now store and server are of one mind, and sshd is not.
        host.site.millis += 1000;
        if known {
            host.running_for(age);
        } else {
            std::fs::remove_file(host.site.proc.join("stat")).unwrap();
        }
        assert_eq!(account(&mut host), End::Refused, "{}", host.log());
        // The next one was told of the new account.
        later(&mut host);
        assert_eq!(account(&mut host), End::Pass, "{}", host.log());
    }
}

#[test]
fn a_login_that_began_before_a_denial_does_not_go_on_with_the_account_of_before() {
    for mapping in ["mode = shared", "mode = shared\nunknown = allocate"] {
        let level_0 = Say::Author(PassAdd, &["priv-lvl=0"]);
        let server = Server::start(&[LEVEL_15, LEVEL_15, DENIED, level_0.clone(), level_0]);
        let mut host = bob(&[server.address], "", mapping);
        host.handle.account = Some((uid("tacacs15"), uid("tacacs15")));
        account(&mut host);
        later(&mut host);
        assert_eq!(account(&mut host), End::Pass);
        later(&mut host);
        assert_eq!(account(&mut host), End::Refused);
        host.running_for(1500);
        assert_eq!(account(&mut host), End::Refused, "{}", host.log());
        later(&mut host);
        assert_eq!(account(&mut host), End::Pass, "{}", host.log());
    }
}

#[test]
fn a_login_that_began_before_an_administrator_chose_another_uid_is_refused_once() {
    let server = Server::start(&[LEVEL_15, LEVEL_15, LEVEL_15]);
    let mut host = bob(&[server.address], "", "");
    assert_eq!(account(&mut host), End::Pass);
    let chosen = Entry {
        uid: 2_010_000_001,
        gid: 2_010_000_001,
        changed: 1_700_000_000_500,
        ..stored(&host, "bob").unwrap()
    };
    change(&host, |book| book.put(chosen).unwrap());
    host.site.millis += 1000;
    host.running_for(800);
    assert_eq!(account(&mut host), End::Refused, "{}", host.log());
    host.running_for(400);
    assert_eq!(account(&mut host), End::Pass, "{}", host.log());
    assert_eq!(stored(&host, "bob").unwrap().uid, 2_010_000_001);
}

#[test]
fn a_change_of_the_mode_is_a_change_of_the_account_and_the_way_back_leads_to_the_same_uid() {
    let server = Server::start(&[LEVEL_15, LEVEL_15, LEVEL_15, LEVEL_15, LEVEL_15]);
    let mut host = bob(&[server.address], "", "mode = unique");
    assert_eq!(account(&mut host), End::Pass);
    for (mode, owner) in [("mode = shared", "tacacs15"), ("mode = unique", "bob")] {
        configure(&host, &[server.address], "", mode);
        later(&mut host);
        assert_eq!(account(&mut host), End::Refused, "{}", host.log());
        later(&mut host);
        assert_eq!(account(&mut host), End::Pass, "{}", host.log());
        assert_eq!(stored(&host, "bob").unwrap().uid, uid(owner));
        // What was his stays his.
        let store = Store::open(&host.site.identity).unwrap();
        assert_eq!(store.owner(uid("bob")).unwrap().unwrap().name, "bob");
    }
}

#[test]
fn two_first_logins_at_once_are_both_let_in() {
    let server = Server::start(&[LEVEL_15, LEVEL_15, DENIED, LEVEL_15]);
    let mut host = bob(&[server.address], "", "");
    host.running_for(3000);
    let ends = [(); 4].map(|()| account(&mut host));
    assert_eq!(ends, [End::Pass, End::Pass, End::Refused, End::Pass]);
}

#[test]
fn a_first_login_goes_on_only_with_the_account_that_its_program_was_told_of() {
    // Asked without an address, the server had said more.
    for (told_of, first) in [
        (Some("tacacs15"), End::Refused),
        (None, End::Refused),
        (Some("tacacs1"), End::Pass),
    ] {
        let server = Server::start(&[LEVEL_1, LEVEL_1]);
        let mut host = bob(&[server.address], "", "mode = shared");
        host.handle.account = told_of.map(|name| (uid(name), uid(name)));
        assert_eq!(account(&mut host), first, "{told_of:?}");
        later(&mut host);
        assert_eq!(account(&mut host), End::Pass, "{}", host.log());
    }
}

#[test]
fn a_session_has_the_shell_that_the_server_gives_this_login() {
    let zsh = Say::Author(PassAdd, &["priv-lvl=15", "shell=/bin/zsh"]);
    let sh = Say::Author(PassAdd, &["priv-lvl=15", "shell=/bin/sh"]);
    let server = Server::start(&[
        sh.clone(),
        sh.clone(),
        DENIED,
        sh.clone(),
        zsh,
        sh.clone(),
        sh,
    ]);
    let mut host = bob(&[server.address], "", "shell_attribute = shell");
    // A question without address had another answer.
    host.handle.account = Some((uid("bob"), uid("bob")));
    host.handle.shell = Some("/bin/zsh");
    assert_eq!(account(&mut host), End::Refused, "{}", host.log());
    later(&mut host);
    assert_eq!(account(&mut host), End::Pass, "{}", host.log());
    // So it has about a user who got himself refused.
    later(&mut host);
    assert_eq!(account(&mut host), End::Refused);
    later(&mut host);
    assert_eq!(account(&mut host), End::Refused, "{}", host.log());
    // A login that waited while two others changed the shell and changed it back.
    host.handle.shell = Some("/bin/sh");
    later(&mut host);
    assert_eq!(account(&mut host), End::Refused, "{}", host.log());
    later(&mut host);
    assert_eq!(account(&mut host), End::Refused, "{}", host.log());
    host.running_for(1500);
    assert_eq!(account(&mut host), End::Refused, "{}", host.log());
}

#[test]
fn a_clock_that_was_set_back_keeps_nobody_out_for_long() {
    let server = Server::start(&[LEVEL_15, LEVEL_15, LEVEL_15]);
    let mut host = bob(&[server.address], "", "mode = shared");
    host.handle.account = Some((uid("tacacs15"), uid("tacacs15")));
    assert_eq!(account(&mut host), End::Pass);
    host.site.millis -= 3_600_000;
    host.running_for(500);
    assert_eq!(account(&mut host), End::Refused);
    later(&mut host);
    assert_eq!(account(&mut host), End::Pass, "{}", host.log());
}

#[test]
fn a_denial_disables_the_entry_until_the_next_approval() {
    let server = Server::start(&[LEVEL_15, DENIED, LEVEL_1]);
    let mut host = bob(&[server.address], "", "");
    assert_eq!(account(&mut host), End::Pass);
    assert_eq!(account(&mut host), End::Refused);
    let entry = stored(&host, "bob").unwrap();
    assert_eq!((entry.state, entry.uid), (State::Disabled, uid("bob")));
    assert_eq!(
        (entry.shell.as_str(), entry.groups),
        ("/usr/sbin/nologin", vec![])
    );
    // The login program asked a server before it came here.
    assert_eq!(account(&mut host), End::Pass, "{}", host.log());
    let entry = stored(&host, "bob").unwrap();
    assert_eq!((entry.state, entry.level), (State::Active, 1));
}

#[test]
fn who_was_disabled_logs_in_twice_where_lookups_ask_no_server() {
    let server = Server::start(&[LEVEL_15, DENIED, LEVEL_15, LEVEL_15]);
    let mut host = bob(&[server.address], "", "unknown = never");
    let ends = [(); 4].map(|()| account(&mut host));
    assert_eq!(ends, [End::Pass, End::Refused, End::Refused, End::Pass]);
    assert_eq!(told(&host), [CHANGED]);
}

#[test]
fn a_denial_of_somebody_unknown_stores_nothing() {
    let server = Server::start(&[DENIED]);
    let mut host = bob(&[server.address], "", "");
    assert_eq!(account(&mut host), End::Refused);
    assert!(!host.site.identity.exists());
}

#[test]
fn only_a_servers_own_refusal_disables() {
    for answer in [
        Say::Author(Follow, &[]),
        Say::Author(PassAdd, &["priv-lvl=16"]),
        Say::Author(PassAdd, &["priv-lvl=15", "shiny=yes"]),
        Say::Author(PassAdd, &[]),
    ] {
        let server = Server::start(&[LEVEL_15, answer]);
        let mut host = bob(&[server.address], "", "");
        assert_eq!(account(&mut host), End::Pass);
        assert_eq!(account(&mut host), End::Refused);
        assert_eq!(
            stored(&host, "bob").unwrap().state,
            State::Active,
            "{}",
            host.log()
        );
    }
}

#[test]
fn an_approval_without_a_level_makes_no_user() {
    for mode in ["mode = unique", "mode = shared"] {
        let server = Server::start(&[Say::Author(PassAdd, &[])]);
        let mut host = bob(&[server.address], "", mode);
        assert_eq!(account(&mut host), End::Refused);
        assert!(
            host.log().contains("the server gave no priv-lvl"),
            "{}",
            host.log()
        );
        assert!(!host.site.identity.exists());
    }
}

#[test]
fn a_name_whose_uid_is_anothers_is_refused_and_the_log_says_what_to_do() {
    let server = Server::start(&[LEVEL_15, LEVEL_15]);
    let mut host = bob(&[server.address], "", "");
    let other = Entry {
        name: "carol".to_owned(),
        uid: uid("bob"),
        gid: uid("bob"),
        gecos: String::new(),
        home: "/home/carol".to_owned(),
        shell: "/bin/sh".to_owned(),
        groups: Vec::new(),
        level: 1,
        learned: 0,
        changed: 0,
        state: State::Active,
    };
    change(&host, |book| book.put(other).unwrap());
    let hint = "that of 'carol'; choose another with 'tacplus identity add bob --uid N'";
    for _ in 0..2 {
        assert_eq!(account(&mut host), End::Refused);
        assert!(host.log().contains(hint), "{}", host.log());
        assert_eq!(stored(&host, "bob"), None);
        host.handle.log.borrow_mut().clear();
        change(&host, |book| book.forget("carol").unwrap());
    }
}

fn change(host: &Host, work: impl FnOnce(&mut tacacs_common::identity::Book)) {
    let writer = Writer::open(&host.site.identity).unwrap();
    let done: Result<(), StoreError> = writer.change(|book| {
        work(book);
        Ok(())
    });
    done.unwrap();
}

#[test]
fn a_stored_approval_stands_in_for_dead_servers_for_as_long_as_configured() {
    const HOUR: u64 = 3600;
    for (global, later, stands_in) in [
        ("offline_hours = 2\nunreachable = ignore", 2 * HOUR, true),
        (
            "offline_hours = 2\nunreachable = ignore",
            2 * HOUR + 1,
            false,
        ),
        ("unreachable = ignore", 1, false),
        ("offline_hours = 2", 1, false),
        ("offline_hours = 2\nunreachable = deny", 1, false),
    ] {
        let server = Server::start(&[LEVEL_15]);
        let mut host = bob(&[server.address], global, "");
        assert_eq!(account(&mut host), End::Pass);
        host.memory = crate::handle::Memory::default();
        host.site.now.unix += later;
        let end = account(&mut host);
        assert_eq!(end == End::Pass, stands_in, "{global}: {end:?}");
        let granted = host.memory.granted.and_then(|grant| grant.priv_lvl);
        assert_eq!(granted.map(|level| level.level()), stands_in.then_some(15));
        if !stands_in {
            assert!(
                matches!(end, End::Unreachable { local: false, .. }),
                "{end:?}"
            );
        }
    }
}

#[test]
fn nothing_stands_in_for_dead_servers_once_one_has_refused() {
    let server = Server::start(&[LEVEL_15, DENIED]);
    let global = "offline_hours = 2\nunreachable = ignore";
    let mut host = bob(&[server.address], global, "");
    assert_eq!(account(&mut host), End::Pass);
    assert_eq!(account(&mut host), End::Refused);
    assert!(matches!(account(&mut host), End::Unreachable { .. }));
}

#[test]
fn who_was_let_in_with_an_allocated_account_of_another_level_logs_in_again() {
    for (mapping, answer, first) in [
        ("mode = shared", LEVEL_15, End::Refused),
        (
            "mode = shared",
            Say::Author(PassAdd, &["priv-lvl=0"]),
            End::Pass,
        ),
        ("mode = unique", LEVEL_15, End::Pass),
    ] {
        let server = Server::start(&[answer.clone(), answer]);
        let mut host = bob(
            &[server.address],
            "",
            &format!("{mapping}\nunknown = allocate"),
        );
        assert_eq!(account(&mut host), first, "{mapping}");
        later(&mut host);
        assert_eq!(account(&mut host), End::Pass, "{mapping}");
    }
}

#[test]
fn a_store_that_cannot_be_written_keeps_out_only_those_whose_rights_change() {
    let server = Server::start(&[LEVEL_15, LEVEL_15, LEVEL_1, LEVEL_15]);
    let mut host = bob(&[server.address], "", "");
    assert_eq!(account(&mut host), End::Pass);
    let lock = host.site.identity.with_extension("lock");
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    host.site.now.unix += 3600;
    assert_eq!(account(&mut host), End::Pass);
    assert!(host.log().contains("let in as before"), "{}", host.log());
    assert_eq!(account(&mut host), End::Refused);
    assert!(host.log().contains("identity.lock"), "{}", host.log());
    host.handle.user = "carol".to_owned();
    assert_eq!(account(&mut host), End::Refused);
}

#[test]
fn a_login_waits_for_its_locks_no_longer_than_a_tenth_of_a_second() {
    let server = Server::start(&[LEVEL_15]);
    let mut host = bob(&[server.address], "", "");
    let lock = host.site.identity.with_extension("lock");
    let _held = statefile::lock(&lock, Duration::ZERO).unwrap();
    let start = Instant::now();
    assert_eq!(account(&mut host), End::Refused);
    let took = start.elapsed();
    assert!(host.log().contains("is locked by"), "{}", host.log());
    // A second is what a busy machine may take for the rest.
    assert!(took < Duration::from_millis(1100), "{took:?}");
}

#[test]
fn a_damaged_store_lets_nobody_in_by_it() {
    let server = Server::start(&[LEVEL_15, LEVEL_15]);
    let mut host = bob(&[server.address], "", "");
    assert_eq!(account(&mut host), End::Pass);
    let text = fs::read_to_string(&host.site.identity).unwrap();
    fs::write(&host.site.identity, &text[..text.len() - 1]).unwrap();
    assert_eq!(account(&mut host), End::Refused);
    assert!(
        host.log().contains("tacplus identity repair"),
        "{}",
        host.log()
    );
}

#[test]
fn a_service_without_authorization_goes_by_the_stored_one() {
    let server = Server::start(&[LEVEL_15, DENIED]);
    let mut host = bob(&[server.address], "", "");
    let cron = |host: &mut Host| {
        host.handle.service = "cron".to_owned();
        let end = account(host);
        host.handle.service = "sshd".to_owned();
        end
    };
    assert_eq!(cron(&mut host), End::Ignored);
    assert_eq!(account(&mut host), End::Pass);
    assert_eq!(cron(&mut host), End::Pass, "{}", host.log());
    assert_eq!(account(&mut host), End::Refused);
    assert_eq!(cron(&mut host), End::Refused);
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn what_may_have_been_told_of_another_account_goes_by_no_stored_approval() {
    let global = "offline_hours = 2\nunreachable = ignore\nskip_services = cron";
    let server = Server::start(&[LEVEL_15]);
    let mut host = bob(&[server.address], global, "mode = shared");
    host.handle.account = Some((uid("tacacs15"), uid("tacacs15")));
    assert_eq!(account(&mut host), End::Pass);
    for (age, ends) in [(1500, false), (500, true)] {
        host.site.millis = 1_700_000_001_000;
        host.running_for(age);
        host.memory = crate::handle::Memory::default();
        assert_eq!(account(&mut host) == End::Pass, ends, "{}", host.log());
        host.handle.service = "cron".to_owned();
        assert_eq!(account(&mut host) == End::Pass, ends, "{}", host.log());
        host.handle.service = "sshd".to_owned();
    }
    assert!(host.log().contains("restart it"), "{}", host.log());
}

#[test]
fn local_names_are_ignored_and_never_stored() {
    for mode in ["mode = unique", "mode = shared"] {
        let server = Server::start(&[LEVEL_15]);
        let mut host = bob(&[server.address], "", mode);
        host.handle.user = "alice".to_owned();
        assert_eq!(account(&mut host), End::Ignored);
        assert!(!host.site.identity.exists());
        assert_eq!(server.connections(), 0);
    }
}

#[test]
fn a_session_record_names_the_login_whose_uid_the_store_knows() {
    for (mode, owner) in [("mode = unique", "bob"), ("mode = shared", "tacacs15")] {
        let server = Server::start(&[LEVEL_15]);
        let mut host = bob(&[server.address], "", mode);
        host.handle.account = Some((uid(owner), uid(owner)));
        assert_eq!(account(&mut host), End::Pass);
        // As behind sshd's keyboard-interactive dialogue, whose process is gone.
        host.memory = crate::handle::Memory::default();
        host.audit("7", &uid(owner).to_string());
        assert_eq!(host.run(Phase::Session, session::open), End::Pass);
        let record = fs::read_to_string(host.site.sessions.join("7")).unwrap();
        assert!(record.contains("user=bob\npriv_lvl=15\n"), "{record}");
        // Another login uid is another login.
        host.memory = crate::handle::Memory::default();
        host.audit("8", "1001");
        assert_eq!(host.run(Phase::Session, session::open), End::Pass);
        assert!(!host.site.sessions.join("8").exists());
    }
}

#[test]
fn a_server_sets_the_fields_that_the_configuration_names() {
    let answer = Say::Author(
        PassAdd,
        &["priv-lvl=1", "sh=/bin/zsh", "who=Bob B.", "dir*/etc/../bob"],
    );
    let server = Server::start(&[answer]);
    let mapping = "shell_attribute = sh\ngecos_attribute = who\nhome_attribute = dir";
    let mut host = bob(&[server.address], "", mapping);
    assert_eq!(account(&mut host), End::Pass, "{}", host.log());
    let bob = stored(&host, "bob").unwrap();
    assert_eq!(
        (bob.shell.as_str(), bob.gecos.as_str()),
        ("/bin/zsh", "Bob B.")
    );
    assert_eq!(bob.home, "/home/bob", "not a plain path");
}

#[test]
fn a_configured_group_that_the_host_lacks_is_named_in_the_log() {
    let server = Server::start(&[LEVEL_15]);
    let mut host = bob(&[server.address], "", "");
    fs::write(&host.site.group, "users:x:100:\n").unwrap();
    assert_eq!(account(&mut host), End::Pass);
    assert!(
        host.log()
            .contains("Warning: no group 'sudo' in /etc/group"),
        "{}",
        host.log()
    );
    assert_eq!(stored(&host, "bob").unwrap().groups, [100]);
}
