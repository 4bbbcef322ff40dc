use std::path::{Path, PathBuf};

use tacacs_common::identity::{Refusal, StoreError, Writer};

use super::*;

const CONF: &str = "[global]\nexclude_users = guest\n[server s1]\naddress = 127.0.0.1:1\n\
    secret = a-secret-of-enough-letters\n[mapping]\nuid_range = 2010000000-2146999999\n";

const TACACS15: u32 = 2_010_000_015;

/// A host in a folder.
struct Host(tempfile::TempDir);

impl Host {
    fn new() -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        host.write(
            "passwd",
            "root:x:0:0::/root:/bin/sh\nbob:x:1001:1001::/:/bin/sh\n",
        );
        host.write("group", "root:x:0:\nsudo:x:27:bob\n");
        host.write("tacplus.conf", CONF);
        std::fs::create_dir(host.path("sessions")).unwrap();
        std::fs::create_dir(host.path("proc")).unwrap();
        host.put(&[
            entry("alice", 2_010_000_001, State::Active),
            entry("guest", 2_010_000_002, State::Active),
            entry("bob", 2_010_000_003, State::Active),
            entry("tacacs15", TACACS15, State::Shared),
            entry("carol", TACACS15, State::Active),
            entry("dave", TACACS15, State::Active),
        ]);
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn put(&self, entries: &[Entry]) {
        let writer = Writer::open(&self.path("identity")).unwrap();
        let put = writer.change(|book| -> Result<(), Broken> {
            entries
                .iter()
                .try_for_each(|entry| Ok(book.put(entry.clone())?))
        });
        put.unwrap();
    }

    /// Asks as a process of this audit session.
    fn within(&self, session: &str) {
        self.write("proc/sessionid", session);
    }

    fn ask<T>(&self, lookup: impl Fn(&Site<'_>) -> Answer<T>) -> Answer<T> {
        let [conf, passwd, group, store, hold_down, sessions, proc] = [
            "tacplus.conf",
            "passwd",
            "group",
            "identity",
            "servers",
            "sessions",
            "proc",
        ]
        .map(|name| self.path(name));
        lookup(&Site {
            conf: &conf,
            passwd: &passwd,
            group: &group,
            store: &store,
            hold_down: &hold_down,
            sessions: &sessions,
            proc: &proc,
            is_root: true,
        })
    }

    fn name_of(&self, uid: u32) -> Answer<String> {
        self.ask(|site| person_by_uid(site, uid))
            .map(|entry| entry.name)
    }

    fn uid_of(&self, name: &str) -> Answer<u32> {
        self.ask(|site| person_by_name(site, name))
            .map(|entry| entry.uid)
    }
}

#[derive(Debug)]
struct Broken;

impl From<StoreError> for Broken {
    fn from(_: StoreError) -> Self {
        Self
    }
}

impl From<Refusal> for Broken {
    fn from(_: Refusal) -> Self {
        Self
    }
}

fn entry(name: &str, uid: u32, state: State) -> Entry {
    Entry {
        name: name.to_owned(),
        uid,
        gid: uid,
        gecos: String::new(),
        home: format!("/home/{name}"),
        shell: "/bin/bash".to_owned(),
        groups: vec![27],
        level: 15,
        learned: 0,
        changed: 0,
        state,
    }
}

#[test]
fn a_stored_user_is_found_by_name_and_by_uid() {
    let host = Host::new();
    assert_eq!(host.uid_of("alice"), Ok(2_010_000_001));
    assert_eq!(host.name_of(2_010_000_001), Ok("alice".to_owned()));
    assert_eq!(
        host.ask(|site| groups_of(site, "alice", 2_010_000_001)),
        Ok(vec![27])
    );
    let group = host.ask(|site| group_by_name(site, "alice")).unwrap();
    assert_eq!((group.name.as_str(), group.gid), ("alice", 2_010_000_001));
}

#[test]
fn nobody_else_is() {
    let host = Host::new();
    for name in ["root", "nosuch", "*", "", "-rf", "a:b", "12", "Alice"] {
        assert_eq!(host.uid_of(name), Err(Failure::NotFound), "{name:?}");
        let groups = host.ask(|site| groups_of(site, name, 2_010_000_001));
        assert_eq!(groups, Err(Failure::NotFound), "{name:?}");
    }
    for uid in [0, 1001, u32::MAX, 2_010_000_009] {
        assert_eq!(host.name_of(uid), Err(Failure::NotFound), "{uid}");
        let group = host.ask(|site| group_by_gid(site, uid));
        assert_eq!(group, Err(Failure::NotFound), "{uid}");
    }
}

#[test]
fn a_name_of_the_host_itself_is_never_answered_even_if_it_is_stored() {
    let host = Host::new();
    assert_eq!(host.uid_of("bob"), Err(Failure::NotFound));
    assert_eq!(host.name_of(2_010_000_003), Err(Failure::NotFound));
    let groups = host.ask(|site| groups_of(site, "bob", 2_010_000_003));
    assert_eq!(groups, Err(Failure::NotFound));
    // Nor is anybody when it cannot be told who is local.
    std::fs::remove_file(host.path("passwd")).unwrap();
    assert_eq!(host.uid_of("alice"), Err(Failure::NotFound));
}

#[test]
fn a_list_of_local_users_that_cannot_be_read_to_its_end_finds_nobody() {
    let host = Host::new();
    let mut passwd = std::fs::File::options();
    let passwd = passwd.append(true).open(host.path("passwd")).unwrap();
    // Somewhere behind this bob might stand, as he does at its beginning.
    passwd.set_len(200 * 1024 * 1024).unwrap();
    assert_eq!(host.uid_of("alice"), Err(Failure::NotFound));
    assert_eq!(host.name_of(2_010_000_001), Err(Failure::NotFound));
}

#[test]
fn a_name_that_pam_ignores_cannot_log_in_but_keeps_its_files() {
    let host = Host::new();
    assert_eq!(host.uid_of("guest"), Err(Failure::NotFound));
    assert_eq!(host.name_of(2_010_000_002), Ok("guest".to_owned()));
    host.write(
        "tacplus.conf",
        &CONF.replace("uid_range", "mode = local\nuid_range"),
    );
    assert_eq!(host.uid_of("alice"), Err(Failure::NotFound));
    assert_eq!(host.name_of(2_010_000_001), Ok("alice".to_owned()));
}

#[test]
fn a_configuration_that_cannot_be_read_hides_no_stored_user() {
    let host = Host::new();
    host.write("tacplus.conf", "tiemout = 1\n");
    assert_eq!(host.uid_of("alice"), Ok(2_010_000_001));
    std::fs::remove_file(host.path("tacplus.conf")).unwrap();
    assert_eq!(host.uid_of("alice"), Ok(2_010_000_001));
}

#[test]
fn another_modules_user_of_the_same_name_gets_no_groups() {
    let host = Host::new();
    for primary in [0, 1000, 2_010_000_002] {
        let groups = host.ask(|site| groups_of(site, "alice", primary));
        assert_eq!(groups, Err(Failure::NotFound), "{primary}");
    }
    // Who only wants to see them says so like this.
    assert_eq!(
        host.ask(|site| groups_of(site, "alice", u32::MAX)),
        Ok(vec![27])
    );
}

#[test]
fn a_shared_uid_is_the_callers_own_login_or_the_account() {
    let host = Host::new();
    let account = Ok("tacacs15".to_owned());
    for unset in ["4294967295", "", "x"] {
        host.within(unset);
        assert_eq!(host.name_of(TACACS15), account, "{unset:?}");
    }
    host.write("sessions/7", "user=carol\npriv_lvl=15\n");
    host.write("sessions/8", "user=dave\npriv_lvl=15\nclosed=1700000000\n");
    host.write("sessions/9", "user=alice\n");
    host.write("sessions/10", "user=nosuch\n");
    for (session, expected) in [
        ("7", "carol"),
        // What it left running is still dave's.
        ("8", "dave"),
        // Another uid's login, nobody's login, and a session without a record.
        ("9", "tacacs15"),
        ("10", "tacacs15"),
        ("11", "tacacs15"),
    ] {
        host.within(session);
        assert_eq!(
            host.name_of(TACACS15),
            Ok(expected.to_owned()),
            "session {session}"
        );
    }
    // Their group is the account's.
    let group = host.ask(|site| group_by_gid(site, TACACS15)).unwrap();
    assert_eq!(group.name, "tacacs15");
    assert_eq!(
        host.ask(|site| group_by_name(site, "carol")),
        Err(Failure::NotFound)
    );
}

#[test]
fn a_damaged_store_knows_nobody() {
    let host = Host::new();
    let whole = std::fs::read_to_string(host.path("identity")).unwrap();
    for damaged in [
        "",
        "alice:2010000001\n",
        &whole[..whole.len() - 1],
        &format!("{whole}\n"),
        &whole.replace("alice:2010000001", "alice:0000000000"),
    ] {
        host.write("identity", damaged);
        assert_eq!(host.uid_of("alice"), Err(Failure::NotFound), "{damaged}");
        assert_eq!(
            host.name_of(2_010_000_001),
            Err(Failure::NotFound),
            "{damaged}"
        );
    }
    std::fs::remove_file(host.path("identity")).unwrap();
    std::os::unix::fs::symlink(Path::new("/etc/passwd"), host.path("identity")).unwrap();
    assert_eq!(host.uid_of("alice"), Err(Failure::NotFound));
}

#[test]
fn a_walk_meets_everybody_once_and_goes_on_where_it_had_no_room() {
    let host = Host::new();
    let walk = crate::walk::Walk::new();
    let mut names: Vec<String> = Vec::new();
    let mut refuse = true;
    loop {
        let step = host.ask(|site| {
            let mut seen = None;
            walk.person(site, &mut |entry| {
                seen = Some(entry.name.clone());
                if refuse {
                    Err(Failure::BufferTooSmall)
                } else {
                    Ok(())
                }
            })
            .map(|()| seen)
        });
        match step {
            Ok(name) => names.extend(name),
            Err(Failure::BufferTooSmall) => {}
            Err(failure) => {
                assert_eq!(failure, Failure::NotFound);
                break;
            }
        }
        refuse = !refuse;
    }
    // Not bob, who is local.
    assert_eq!(names, ["alice", "carol", "dave", "guest", "tacacs15"]);
}

#[test]
fn a_user_called_like_a_group_of_the_host_is_not_in_that_group() {
    let host = Host::new();
    host.put(&[entry("sudo", 2_010_000_027, State::Active)]);
    assert_eq!(host.uid_of("sudo"), Ok(2_010_000_027));
    let by_gid = host.ask(|site| group_by_gid(site, 2_010_000_027));
    assert_eq!(by_gid, Err(Failure::NotFound));
    let by_name = host.ask(|site| group_by_name(site, "sudo"));
    assert_eq!(by_name, Err(Failure::NotFound));
    let walk = crate::walk::Walk::new();
    let mut names: Vec<String> = Vec::new();
    while let Ok(name) = host.ask(|site| {
        let mut seen = String::new();
        let step = walk.group(site, &mut |group| {
            seen.clone_from(&group.name);
            Ok(())
        });
        step.map(|()| seen)
    }) {
        names.push(name);
    }
    assert_eq!(names, ["alice", "guest", "tacacs15"]);
}

#[test]
fn a_lookup_notes_a_dead_server_without_a_lock_that_whoever_started_su_could_keep() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root's programs ask a server");
        return;
    }
    let host = Host::new();
    host.write("tacplus.conf", &format!("{CONF}unknown = authorize\n"));
    std::os::unix::fs::symlink("/usr/bin/su", host.path("proc/exe")).unwrap();
    assert_eq!(host.uid_of("erin"), Err(Failure::Unreachable));
    let noted = std::fs::read_to_string(host.path("servers")).unwrap();
    assert!(noted.ends_with(" 127.0.0.1:1\n"), "{noted}");
    assert!(!host.path("servers.lock").exists());
}
