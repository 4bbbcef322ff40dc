//! A writer of the identity store that is killed at any moment leaves the store as it
//! was or as it was to become, and readers never see anything else.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and is no module"
)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tacacs_common::identity::{Entry, State, Store, StoreError, Writer};

const USERS: u32 = 600;
const KILLS: u32 = 200;
const FIRST: u32 = 2_010_000_000;

fn name(number: u32) -> String {
    format!("u{number:04}")
}

fn fill(path: &Path) {
    let writer = Writer::open(path).unwrap();
    let done: Result<(), StoreError> = writer.change(|book| {
        for number in 0..USERS {
            let entry = Entry {
                name: name(number),
                uid: FIRST + number,
                gid: FIRST + number,
                gecos: String::new(),
                home: format!("/home/{}", name(number)),
                shell: "/bin/bash".to_owned(),
                groups: vec![27, 100],
                level: 15,
                learned: 1_700_000_000,
                changed: 0,
                state: State::Active,
            };
            book.put(entry).unwrap();
        }
        Ok(())
    });
    done.unwrap();
}

fn forget(path: &Path, number: u32) -> std::process::Child {
    Command::new(env!("CARGO_BIN_EXE_tacplus"))
        .args(["identity", "forget", &name(number), "--store"])
        .arg(path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Every entry is there with its uid, whoever was forgotten.
fn is_whole(path: &Path) -> u32 {
    let (mut count, mut forgotten) = (0, 0);
    Store::open(path)
        .unwrap()
        .each(&mut |entry| {
            assert_eq!(entry.uid, FIRST + count, "{entry:?}");
            assert_eq!(entry.name, name(count));
            count += 1;
            forgotten += u32::from(entry.state == State::Forgotten);
            true
        })
        .unwrap();
    assert_eq!(count, USERS);
    forgotten
}

#[test]
fn two_hundred_killed_writers_never_leave_half_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identity");
    fill(&path);
    let begun = Instant::now();
    assert!(forget(&path, 0).wait().unwrap().success());
    let mut whole = begun.elapsed();
    assert_eq!(is_whole(&path), 1);

    let done = AtomicBool::new(false);
    let forgotten = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut lookups = 0_u32;
            while !done.load(Ordering::Relaxed) {
                let number = lookups % (USERS - KILLS - 1) + KILLS + 1;
                let store = Store::open(&path).unwrap();
                let found = store.by_uid(FIRST + number).unwrap().unwrap();
                assert_eq!(found.name, name(number));
                lookups += 1;
            }
            lookups
        });
        // Moments all over the life of the process, and a little behind its end.
        for number in 1..=KILLS {
            let mut writer = forget(&path, number);
            let share = f64::from(number * 89 % KILLS) / f64::from(KILLS) * 1.2;
            std::thread::sleep(whole.mul_f64(share).max(Duration::from_micros(50)));
            let _ = writer.kill();
            let was_done = writer.wait().unwrap().success();
            // How long a life is depends on what else the machine does.
            if was_done && share < 0.9 {
                whole = whole.mul_f64(0.9);
            } else if !was_done && share > 1.1 {
                whole = whole.mul_f64(1.5);
            }
            is_whole(&path);
        }
        done.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
        is_whole(&path)
    });
    assert!(
        (2..=KILLS).contains(&forgotten),
        "no writer was killed, or each one: {forgotten} of {KILLS} were done"
    );

    // The lock is free, and the next writer clears away what the others left.
    assert!(forget(&path, USERS - 1).wait().unwrap().success());
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 2, "the store and its lock");
}
