//! The identity store: what is written is found again, by name and by uid, and a store
//! that is not as it was written gives nobody another's entry.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tacacs_common::identity::{Book, Entry, Refusal, State, Store, StoreError, Writer, repair};
use tempfile::TempDir;

const FIRST: u32 = 2_010_000_000;

fn entry(name: &str, uid: u32) -> Entry {
    Entry {
        name: name.to_owned(),
        uid,
        gid: uid,
        gecos: String::new(),
        home: format!("/home/{name}"),
        shell: "/bin/bash".to_owned(),
        groups: vec![27],
        level: 15,
        learned: 1_700_000_000,
        changed: 1_700_000_000_123,
        state: State::Active,
    }
}

fn account(name: &str, uid: u32) -> Entry {
    Entry {
        state: State::Shared,
        ..entry(name, uid)
    }
}

#[derive(Debug)]
enum Failure {
    Store(StoreError),
    Refused(Refusal),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

struct Host {
    folder: TempDir,
}

impl Host {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    fn with(entries: &[Entry]) -> Self {
        let host = Self::new();
        host.change(|book| {
            for entry in entries {
                book.put(entry.clone()).unwrap();
            }
        });
        host
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("identity")
    }

    fn change(&self, work: impl FnOnce(&mut Book)) {
        let writer = Writer::open(&self.path()).unwrap();
        let done: Result<(), StoreError> = writer.change(|book| {
            work(book);
            Ok(())
        });
        done.unwrap();
    }

    fn put(&self, entry: Entry) -> Result<(), Failure> {
        let writer = Writer::open(&self.path()).map_err(Failure::Store)?;
        writer.change(|book| book.put(entry).map_err(Failure::Refused))
    }

    fn store(&self) -> Store {
        Store::open(&self.path()).unwrap()
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.path()).unwrap()
    }

    fn overwrite(&self, bytes: &[u8]) {
        std::fs::write(self.path(), bytes).unwrap();
    }
}

fn taken<T: std::fmt::Debug>(result: Result<T, Failure>) -> (u32, String) {
    match result {
        Err(Failure::Refused(Refusal::Taken { uid, owner })) => (uid, owner),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn what_is_stored_is_found_by_name_and_by_uid() {
    let (alice, bob) = (entry("alice", FIRST + 7), entry("bob", FIRST + 3));
    let store = Host::with(&[bob.clone(), alice.clone()]).store();
    assert_eq!(store.by_name(b"alice").unwrap(), Some(alice.clone()));
    assert_eq!(store.by_name(b"bob").unwrap(), Some(bob.clone()));
    assert_eq!(store.by_uid(FIRST + 7).unwrap(), Some(alice));
    assert_eq!(store.by_uid(FIRST + 3).unwrap(), Some(bob));
    assert_eq!(store.groups_of(b"bob").unwrap(), Some(vec![27]));
    for stranger in [
        &b""[..],
        b"al",
        b"alicea",
        b"aaa",
        b"zed",
        b"bo\xff",
        b"alice:",
        b"*",
    ] {
        assert_eq!(store.by_name(stranger).unwrap(), None, "{stranger:?}");
    }
    for stranger in [0, 1000, FIRST, FIRST + 4, u32::MAX] {
        assert_eq!(store.by_uid(stranger).unwrap(), None, "{stranger}");
    }
}

#[test]
fn no_store_is_an_empty_one() {
    let store = Host::new().store();
    assert_eq!(store.by_name(b"alice").unwrap(), None);
    assert_eq!(store.by_uid(FIRST).unwrap(), None);
    assert_eq!(store.after(b"").unwrap(), None);
}

#[test]
fn every_user_has_a_group_of_the_own_name() {
    let store = Host::with(&[entry("alice", FIRST + 7)]).store();
    let group = store.group_by_name(b"alice").unwrap().unwrap();
    assert_eq!((group.name.as_str(), group.gid), ("alice", FIRST + 7));
    assert_eq!(store.group_by_gid(FIRST + 7).unwrap(), Some(group));
    assert_eq!(store.group_by_name(b"sudo").unwrap(), None);
    assert_eq!(store.group_by_gid(27).unwrap(), None);
}

#[test]
fn users_of_one_level_share_the_account_that_owns_their_uid() {
    let host = Host::with(&[
        account("tacacs15", FIRST + 15),
        entry("alice", FIRST + 15),
        entry("zed", FIRST + 15),
    ]);
    let store = host.store();
    assert_eq!(store.by_name(b"zed").unwrap().unwrap().uid, FIRST + 15);
    assert_eq!(store.by_uid(FIRST + 15).unwrap().unwrap().name, "tacacs15");
    assert_eq!(
        store.group_by_gid(FIRST + 15).unwrap().unwrap().name,
        "tacacs15"
    );
    assert_eq!(store.group_by_name(b"alice").unwrap(), None);
    // An account goes when its users are gone.
    host.change(|book| assert!(book.forget("tacacs15").is_err()));
    // What an account shares it does not give to another account.
    let other = host.put(account("tacacs1", FIRST + 15));
    assert_eq!(taken(other), (FIRST + 15, "tacacs15".to_owned()));
}

#[test]
fn a_uid_never_goes_to_another_name() {
    let host = Host::with(&[entry("alice", FIRST + 7)]);
    assert_eq!(
        taken(host.put(entry("bob", FIRST + 7))),
        (FIRST + 7, "alice".to_owned())
    );
    assert_eq!(taken(host.put(account("tacacs1", FIRST + 7))).1, "alice");

    host.change(|book| book.forget("alice").unwrap());
    assert_eq!(host.store().by_name(b"alice").unwrap(), None);
    assert_eq!(host.store().by_uid(FIRST + 7).unwrap(), None);
    assert_eq!(
        taken(host.put(entry("bob", FIRST + 7))),
        (FIRST + 7, "alice".to_owned())
    );
    assert_eq!(
        host.store().owner(FIRST + 7).unwrap().unwrap().state,
        State::Forgotten
    );

    host.put(entry("alice", FIRST + 7)).unwrap();
    assert_eq!(
        host.store().by_uid(FIRST + 7).unwrap().unwrap().name,
        "alice"
    );
    assert_eq!(host.store().all_of(b"alice").unwrap().len(), 1);
}

#[test]
fn a_user_and_an_account_of_one_name_are_not_one_another() {
    let host = Host::with(&[account("tacacs15", FIRST + 15)]);
    let user = host.put(entry("tacacs15", FIRST + 15));
    assert_eq!(taken(user), (FIRST + 15, "tacacs15".to_owned()));
    let host = Host::with(&[entry("tacacs15", FIRST + 15)]);
    let account = host.put(account("tacacs15", FIRST + 15));
    assert_eq!(taken(account), (FIRST + 15, "tacacs15".to_owned()));
}

#[test]
fn a_user_who_gets_another_uid_leaves_the_first_one_taken() {
    let host = Host::with(&[entry("alice", FIRST + 7), entry("alice", FIRST + 8)]);
    assert_eq!(
        host.store().by_name(b"alice").unwrap().unwrap().uid,
        FIRST + 8
    );
    assert_eq!(host.store().by_uid(FIRST + 7).unwrap(), None);
    assert_eq!(taken(host.put(entry("bob", FIRST + 7))).1, "alice");
    // From one account to another there is nothing to keep.
    let host = Host::with(&[
        account("tacacs1", FIRST + 1),
        account("tacacs15", FIRST + 15),
        entry("alice", FIRST + 15),
        entry("alice", FIRST + 1),
    ]);
    assert_eq!(host.store().all_of(b"alice").unwrap().len(), 1);
}

#[test]
fn a_disabled_user_keeps_name_and_uid_and_nothing_else() {
    let host = Host::with(&[entry("alice", FIRST + 7)]);
    host.change(|book| book.find("alice").unwrap().disable());
    let alice = host.store().by_uid(FIRST + 7).unwrap().unwrap();
    assert_eq!(
        (alice.name.as_str(), alice.state),
        ("alice", State::Disabled)
    );
    assert_eq!(
        (alice.shell.as_str(), alice.groups.len()),
        ("/usr/sbin/nologin", 0)
    );
}

#[test]
fn an_entry_that_does_not_fit_a_line_is_refused() {
    let host = Host::new();
    for bad in [
        Entry {
            home: "relative".to_owned(),
            ..entry("a", FIRST)
        },
        Entry {
            gecos: "a:b".to_owned(),
            ..entry("a", FIRST)
        },
        Entry {
            shell: "/bin/sh\n".to_owned(),
            ..entry("a", FIRST)
        },
        Entry {
            level: 16,
            ..entry("a", FIRST)
        },
        Entry {
            groups: vec![5; 65],
            ..entry("a", FIRST)
        },
        entry("-rf", FIRST),
        entry("a", 0),
        entry("a", u32::MAX),
    ] {
        let refused = host.put(bad.clone());
        assert!(
            matches!(refused, Err(Failure::Refused(Refusal::Unwritable))),
            "{bad:?}"
        );
    }
}

#[test]
fn enumeration_needs_nothing_but_the_last_name() {
    let names: Vec<String> = (0..500).map(|n| format!("u{n:03}")).collect();
    let entries: Vec<Entry> = names
        .iter()
        .zip(FIRST..)
        .map(|(n, uid)| entry(n, uid))
        .collect();
    let host = Host::with(&entries);
    host.change(|book| book.forget("u250").unwrap());
    let mut found = Vec::new();
    let mut last = String::new();
    while let Some(next) = host.store().after(last.as_bytes()).unwrap() {
        last.clone_from(&next.name);
        found.push(next.name);
    }
    let living: Vec<String> = names.into_iter().filter(|name| name != "u250").collect();
    assert_eq!(found, living);
}

#[test]
fn a_store_that_another_user_could_have_written_is_not_read() {
    let host = Host::with(&[entry("alice", FIRST + 7)]);
    let set = |mode| {
        std::fs::set_permissions(host.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    assert_eq!(
        std::fs::metadata(host.path()).unwrap().permissions().mode() & 0o777,
        0o644
    );
    for mode in [0o664, 0o646] {
        set(mode);
        let error = Store::open(&host.path()).err().unwrap().to_string();
        assert!(error.contains("can be written by others"), "{error}");
    }
    set(0o644);
    let real = host.folder.path().join("real");
    std::fs::rename(host.path(), &real).unwrap();
    symlink(&real, host.path()).unwrap();
    let error = Store::open(&host.path()).err().unwrap().to_string();
    assert!(error.contains("symbolic link"), "{error}");
    std::fs::remove_file(host.path()).unwrap();
    std::fs::create_dir(host.path()).unwrap();
    assert!(Store::open(&host.path()).is_err());
}

#[test]
fn a_store_that_is_not_as_long_as_it_says_is_no_store() {
    let host = Host::with(&[entry("alice", FIRST + 7), entry("bob", FIRST + 3)]);
    let whole = host.text().into_bytes();
    for length in 0..whole.len() {
        host.overwrite(&whole[..length]);
        assert!(Store::open(&host.path()).is_err(), "{length} bytes");
        assert!(Writer::open(&host.path()).is_err(), "{length} bytes");
    }
    host.overwrite(&[&whole[..], b"x"].concat());
    assert!(Store::open(&host.path()).is_err());
    let huge = std::fs::File::create(host.path()).unwrap();
    huge.set_len(1 << 40).unwrap();
    let error = Store::open(&host.path()).err().unwrap().to_string();
    assert!(error.contains("larger than 64 MiB"), "{error}");
}

#[test]
fn a_changed_byte_never_gives_one_user_anothers_uid() {
    let users: BTreeMap<String, u32> = [("alice", 7), ("bob", 3), ("carol", 5)]
        .map(|(name, uid)| (name.to_owned(), FIRST + uid))
        .into();
    let entries: Vec<Entry> = users.iter().map(|(name, uid)| entry(name, *uid)).collect();
    let host = Host::with(&entries);
    let whole = host.text().into_bytes();
    for at in 0..whole.len() {
        for byte in [b'\n', b':', b'x', 0, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            host.overwrite(&bytes);
            let Ok(store) = Store::open(&host.path()) else {
                continue;
            };
            for (name, uid) in &users {
                // A uid's answer has this uid, a name's has this name.
                let by_uid = store.by_uid(*uid).ok().flatten();
                assert!(by_uid.is_none_or(|found| found.uid == *uid), "byte {at}");
                let by_name = store.by_name(name.as_bytes()).ok().flatten();
                assert!(by_name.is_none_or(|found| found.name == *name), "byte {at}");
            }
        }
    }
}

#[test]
fn a_damaged_store_is_not_written_over_until_it_is_repaired() {
    let host = Host::with(&[entry("alice", FIRST + 7), entry("bob", FIRST + 3)]);
    let damaged = host.text().replace("alice:", "ali\tce:");
    host.overwrite(damaged.as_bytes());
    let refused = host.put(entry("carol", FIRST + 5));
    assert!(
        matches!(refused, Err(Failure::Store(StoreError::Damaged(_)))),
        "{refused:?}"
    );
    assert_eq!(host.text(), damaged);

    assert_eq!(repair(&host.path()).unwrap(), (1, [2].into()));
    assert_eq!(host.store().by_uid(FIRST + 3).unwrap().unwrap().name, "bob");
    let kept = std::fs::read_to_string(host.folder.path().join("identity.damaged")).unwrap();
    assert_eq!(kept, damaged);
    host.put(entry("carol", FIRST + 5)).unwrap();
}

#[test]
fn a_store_whose_lines_are_out_of_order_is_not_written_over() {
    let host = Host::with(&[entry("alice", FIRST + 7), entry("bob", FIRST + 3)]);
    let text = host.text();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let swapped = [lines[0], lines[2], lines[1], lines[3], lines[4]].concat();
    host.overwrite(swapped.as_bytes());
    let refused = host.put(entry("carol", FIRST + 5));
    assert!(
        matches!(refused, Err(Failure::Store(StoreError::Damaged(_)))),
        "{refused:?}"
    );
}

#[test]
fn a_repair_keeps_shared_accounts_and_their_users_and_drops_contradictions() {
    let host = Host::with(&[
        account("tacacs15", FIRST + 15),
        entry("alice", FIRST + 15),
        entry("bob", FIRST + 15),
        entry("carol", FIRST + 5),
    ]);
    let line = "mallory:2010000005:2010000005::/home/m:/bin/sh::1:0:0:active\n";
    let text = host
        .text()
        .replace("\ntacacs15:", &format!("\n{line}tacacs15:"));
    host.overwrite(text.as_bytes());
    assert_eq!(repair(&host.path()).unwrap(), (4, [5].into()));
    assert_eq!(
        host.store().by_uid(FIRST + 5).unwrap().unwrap().name,
        "carol"
    );
    assert_eq!(
        host.store().by_uid(FIRST + 15).unwrap().unwrap().name,
        "tacacs15"
    );
}

#[test]
fn what_killed_writers_left_is_removed_by_the_next() {
    let host = Host::with(&[entry("alice", FIRST + 7)]);
    let left = host.folder.path().join(".identity.0123456789abcdef");
    std::fs::write(&left, "half").unwrap();
    host.put(entry("bob", FIRST + 3)).unwrap();
    assert!(!left.exists());
}

#[test]
fn a_writer_waits_for_another_one_and_not_for_ever() {
    let host = Host::with(&[entry("alice", FIRST + 7)]);
    let held = Writer::open(&host.path()).unwrap();
    let second = Writer::open(&host.path());
    assert!(
        matches!(&second, Err(StoreError::Io(error)) if error.kind() == io::ErrorKind::TimedOut)
    );
    drop(held);
    host.put(entry("bob", FIRST + 3)).unwrap();
}

fn names() -> impl Strategy<Value = Vec<String>> {
    let name = "[a-z_][a-z0-9_.-]{0,31}";
    proptest::collection::btree_set(name, 1..300).prop_map(|names| names.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_entry_of_any_store_is_found(names in names(), long in 0_usize..250) {
        let host = Host::new();
        let entries: Vec<Entry> = names
            .iter()
            .zip((FIRST..).step_by(3))
            .enumerate()
            .map(|(at, (name, uid))| Entry {
                gecos: "g".repeat(if at % 2 == 0 { long } else { 0 }),
                ..entry(name, uid)
            })
            .collect();
        host.change(|book| {
            for entry in entries.iter().rev() {
                book.put(entry.clone()).unwrap();
            }
        });
        let store = host.store();
        for entry in &entries {
            let expected = Some(entry.clone());
            prop_assert_eq!(store.by_name(entry.name.as_bytes()).unwrap(), expected.clone());
            prop_assert_eq!(store.by_uid(entry.uid).unwrap(), expected);
            prop_assert_eq!(store.by_uid(entry.uid + 1).unwrap(), None);
            let longer = format!("{}-", entry.name);
            if !names.contains(&longer) {
                prop_assert_eq!(store.by_name(longer.as_bytes()).unwrap(), None);
            }
        }
    }

    #[test]
    fn any_bytes_at_all_are_no_crash(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        let host = Host::new();
        host.overwrite(&framed(&bytes));
        check_all(&host.path());
    }
}

/// Bytes as the body of a store whose head is right.
fn framed(bytes: &[u8]) -> Vec<u8> {
    let size = 41 + bytes.len();
    let index = size - (bytes.len() / 2 / 22) * 22;
    let head = format!("tacplus-identity 1 {index:010} {size:010}\n");
    [head.as_bytes(), bytes].concat()
}

fn check_all(path: &Path) {
    let store = Store::open(path).unwrap();
    let _ = store.by_name(b"alice");
    let _ = store.by_uid(FIRST);
    let _ = store.after(b"");
    let _ = store.each(&mut |_| true);
    let _ = repair(path).unwrap();
    Store::open(path).unwrap().each(&mut |_| true).unwrap();
}
