//! Any file under any name in a spool, beside any counters: no panic, no byte of another
//! body is delivered, and the record that is appended next is found again and leaves.
//!
//! The input is a name, a line end, the counters, an empty line and the bytes of the
//! file. Bytes behind `whole ` are the body of a sound record, which the spool itself
//! makes and which then gets that name.
#![no_main]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tacacs_common::spool::{Delivery, Limits, Place, Spool};

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let root = PathBuf::from(format!("/dev/shm/tacplus-fuzz-{}", std::process::id()));
    root.join("pam")
});

fuzz_target!(|data: &[u8]| {
    let Some((name, rest)) = split(data, b"\n") else { return };
    let Some((counters, file)) = split(rest, b"\n\n") else { return };
    let Ok(name) = str::from_utf8(name) else { return };
    if name.is_empty() || name.len() > 200 || name.contains(['/', '\0']) || name.starts_with("..") {
        return;
    }
    let _ = fs::remove_dir_all(&*FOLDER);
    let spool = Spool::open(&FOLDER, Limits::default()).expect("a folder");
    let planted = FOLDER.join(name);
    let body = file.strip_prefix(b"whole ");
    match body {
        Some(body) => {
            if spool.append(body, 7).is_err() {
                return;
            }
            let made = spool.list().expect("a list").swap_remove(0);
            if fs::rename(FOLDER.join(made.name), &planted).is_err() {
                return;
            }
        }
        None => private(&planted, file),
    }
    if name != "counters" {
        private(&FOLDER.join("counters"), counters);
    }
    let _ = spool.status();
    for listed in spool.list().expect("a list") {
        let _ = spool.read(&listed);
    }

    const NEXT: &[u8] = b"the record that comes next";
    if spool.append(NEXT, 8).is_err() {
        return;
    }
    let mut found = false;
    let report = spool.deliver(10, &mut |record| {
        found |= record.body == NEXT && record.created == 8;
        assert!(
            record.body == NEXT || file.ends_with(&record.body),
            "nobody appended this"
        );
        Delivery::Stored("server".to_owned())
    });
    assert!(found, "{report:?}");
    let waiting = spool.list().expect("a list");
    assert!(waiting.iter().all(|listed| listed.place != Place::Waiting), "{report:?}");
});

fn split<'d>(data: &'d [u8], at: &[u8]) -> Option<(&'d [u8], &'d [u8])> {
    let index = data.windows(at.len()).position(|window| window == at)?;
    Some((&data[..index], &data[index + at.len()..]))
}

fn private(path: &Path, bytes: &[u8]) {
    if fs::write(path, bytes).is_ok() {
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o600));
    }
}
