//! Any bytes as the identity store: no panic, nobody gets another's entry, and what
//! `tacplus identity repair` makes of them is whole.
#![no_main]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tacacs_common::identity::{Entry, State, Store, repair};

static STORE: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = PathBuf::from(format!("/dev/shm/tacplus-fuzz-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("its mode");
    folder.join("identity")
});

/// Every entry, and whether the store is readable to its end.
fn all(store: &Store) -> (Vec<Entry>, bool) {
    let mut entries = Vec::new();
    let read = store.each(&mut |entry| {
        entries.push(entry);
        true
    });
    (entries, read.is_ok())
}

fuzz_target!(|data: &[u8]| {
    let path = &*STORE;
    fs::write(path, data).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("its mode");
    if let Ok(store) = Store::open(path) {
        let (entries, _) = all(&store);
        for entry in &entries {
            if let Ok(Some(found)) = store.by_name(entry.name.as_bytes()) {
                assert_eq!(found.name, entry.name);
                assert!(found.is_known());
            }
            if let Ok(Some(found)) = store.by_uid(entry.uid) {
                assert_eq!(found.uid, entry.uid);
            }
            if let Ok(Some(group)) = store.group_by_gid(entry.gid) {
                assert_eq!(group.gid, entry.gid);
            }
            let _ = store.after(entry.name.as_bytes());
        }
        // Names and numbers that stand where no line was met.
        for word in data.split(|byte| b":\n ".contains(byte)).take(64) {
            if let Ok(Some(found)) = store.by_name(word) {
                assert_eq!(found.name.as_bytes(), word);
            }
            let number = str::from_utf8(word).ok().and_then(|word| word.parse().ok());
            if let Some(Ok(Some(found))) = number.map(|uid| store.owner(uid)) {
                assert_eq!(Some(found.uid), number);
            }
        }
    }

    let (kept, _) = repair(path).expect("a store that can be written");
    let store = Store::open(path).expect("a whole store");
    let (entries, whole) = all(&store);
    assert!(whole && entries.len() == kept);
    for entry in &entries {
        let owner = store.owner(entry.uid).expect("a whole index").expect("an owner");
        // A uid is one name's, or an account's and those of its users.
        assert!(owner.name == entry.name || owner.state == State::Shared);
        if entry.is_known() {
            let found = store.by_name(entry.name.as_bytes()).expect("a whole store");
            assert_eq!(found.as_ref(), Some(entry));
        }
    }
});
