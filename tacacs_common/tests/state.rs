//! Shared state files and the hold-down list, as other processes and other users
//! meet them.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use tacacs_common::hold_down::{HoldDown, boottime};
use tacacs_common::statefile;

const NOBODY: u32 = 65534;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A folder that any user can read and only this one can write.
fn public_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    chmod(folder.path(), 0o755);
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> = entries
        .map(|entry| name(entry).into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Why a file is not trusted.
fn refusal(path: &Path) -> String {
    let error = statefile::read(path, 100).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
    error.to_string()
}

#[test]
fn what_was_replaced_is_read_back_with_its_mode_whatever_the_umask() {
    let folder = public_folder();
    let path = folder.path().join("state");
    statefile::replace(&path, b"one", 0o600).unwrap();
    assert_eq!(statefile::read(&path, 3).unwrap().unwrap(), b"one");
    statefile::replace(&path, b"two", 0o644).unwrap();
    assert_eq!(statefile::read(&path, 3).unwrap().unwrap(), b"two");
    assert_eq!(mode(&path), 0o644);
    statefile::replace(&path, b"two", 0o666).unwrap();
    assert_eq!(mode(&path), 0o666);
    assert_eq!(names(folder.path()), ["state"], "no temporary is left");
}

#[test]
fn a_missing_file_or_folder_reads_as_none() {
    let folder = public_folder();
    for name in ["no", "no/such"] {
        let read = statefile::read(&folder.path().join(name), 9).unwrap();
        assert!(read.is_none());
    }
}

#[test]
fn a_file_that_another_user_could_have_written_is_refused_with_the_reason() {
    let folder = public_folder();
    let path = folder.path().join("state");

    statefile::replace(&path, &[b'x'; 101], 0o644).unwrap();
    assert!(refusal(&path).contains("state: is longer than 100 bytes"));

    statefile::replace(&path, b"x", 0o664).unwrap();
    assert!(refusal(&path).contains("can be written by others"));
    statefile::replace(&path, b"x", 0o646).unwrap();
    assert!(refusal(&path).contains("can be written by others"));

    statefile::replace(&path, b"x", 0o644).unwrap();
    symlink(&path, folder.path().join("link")).unwrap();
    assert!(refusal(&folder.path().join("link")).contains("is a symbolic link"));
    fs::create_dir(folder.path().join("dir")).unwrap();
    assert!(refusal(&folder.path().join("dir")).contains("not a regular file"));

    if is_root() {
        chown(&path, Some(NOBODY), None).unwrap();
        assert!(refusal(&path).contains("belongs to uid 65534"));
    } else {
        println!("skipped the wrong owner: only root can give a file away");
    }
}

#[test]
fn a_fifo_is_refused_without_waiting_for_its_other_end() {
    let folder = public_folder();
    let path = folder.path().join("fifo");
    let made = Command::new("mkfifo").arg("-m600").arg(&path).status();
    assert!(made.unwrap().success());
    assert!(refusal(&path).contains("not a regular file"));
    assert!(statefile::lock(&path, secs(0)).is_err());
}

#[test]
fn a_folder_that_another_user_could_have_written_is_refused() {
    let folder = public_folder();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    statefile::replace(&inner.join("state"), b"x", 0o644).unwrap();

    symlink(&inner, folder.path().join("link")).unwrap();
    assert!(refusal(&folder.path().join("link/state")).contains("a link to one"));
    assert!(refusal(&folder.path().join("link//state")).contains("a link to one"));

    chmod(&inner, 0o1777);
    assert!(refusal(&inner.join("state")).contains("can be written by others"));
    assert!(statefile::replace(&inner.join("state"), b"y", 0o644).is_err());
    assert_eq!(names(&inner), ["state"]);
}

#[test]
fn a_replacement_that_fails_leaves_nothing_behind() {
    let folder = public_folder();
    let path = folder.path().join("state");
    // A folder at the name makes the last step, the rename, fail.
    fs::create_dir(&path).unwrap();
    assert!(statefile::replace(&path, b"x", 0o644).is_err());
    assert_eq!(names(folder.path()), ["state"]);
}

#[test]
fn what_killed_writers_left_goes_and_what_living_ones_write_stays() {
    let path = public_folder();
    let folder = statefile::Folder::open(path.path()).unwrap();
    let living = folder.create_temporary(".state.00000000000000aa".as_ref(), 0o600);
    let others = ["state", ".state", ".state.12", ".note.x000000000000000"];
    for name in others {
        fs::write(path.path().join(name), "").unwrap();
    }
    for n in 0..20 {
        fs::write(path.path().join(format!(".other.{n:016x}")), "half").unwrap();
    }
    statefile::replace(&path.path().join("state"), b"new", 0o644).unwrap();
    let mut left = others.map(str::to_owned).to_vec();
    left.push(".state.00000000000000aa".to_owned());
    left.sort();
    assert_eq!(names(path.path()), left);

    drop(living.unwrap());
    statefile::replace(&path.path().join("state"), b"newer", 0o644).unwrap();
    left.retain(|name| name != ".state.00000000000000aa");
    assert_eq!(names(path.path()), left);
}

#[test]
fn writers_and_sweepers_at_once_lose_nothing() {
    let path = tempfile::tempdir_in("/dev/shm").unwrap();
    let path = path.path();
    chmod(path, 0o755);
    std::thread::scope(|scope| {
        for writer in 0..8 {
            scope.spawn(move || {
                let file = path.join(format!("state{writer}"));
                for n in 0..200 {
                    let text = n.to_string();
                    statefile::replace(&file, text.as_bytes(), 0o644).unwrap();
                    let read = statefile::read(&file, 9).unwrap().unwrap();
                    assert_eq!(read, text.as_bytes());
                }
            });
        }
    });
    assert_eq!(names(path).len(), 8);
}

#[test]
fn a_file_that_must_be_new_is_whole_or_not_there() {
    let path = public_folder();
    let folder = statefile::Folder::open(path.path()).unwrap();
    folder.put_new("record".as_ref(), b"one", 0o644).unwrap();
    let again = folder.put_new("record".as_ref(), b"two", 0o644);
    assert_eq!(again.unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(fs::read(path.path().join("record")).unwrap(), b"one");
    assert_eq!(names(path.path()), ["record"]);
}

#[test]
fn a_lock_that_is_held_is_waited_for_only_as_long_as_told() {
    let folder = public_folder();
    let path = folder.path().join("lock");
    let held = statefile::lock(&path, secs(0)).unwrap();
    assert_eq!(mode(&path), 0o600, "others cannot hold it");

    let start = Instant::now();
    let wait = Duration::from_millis(50);
    let error = statefile::lock(&path, wait).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(start.elapsed() >= wait);
    assert!(start.elapsed() < secs(5));

    drop(held);
    statefile::lock(&path, secs(0)).unwrap();
}

#[test]
fn one_login_waits_for_all_its_locks_together_only_as_long_as_told() {
    let folder = public_folder();
    let paths = ["identity.lock", "counters", "servers.lock"].map(|name| folder.path().join(name));
    let _held = paths
        .each_ref()
        .map(|path| statefile::lock(path, secs(0)).unwrap());
    let waited = std::thread::spawn(move || {
        statefile::wait_at_most(Duration::from_millis(50));
        let start = Instant::now();
        for path in &paths {
            let error = statefile::lock(path, secs(60)).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
        }
        start.elapsed()
    });
    let waited = waited.join().unwrap();
    assert!(waited >= Duration::from_millis(50), "{waited:?}");
    assert!(waited < secs(20), "{waited:?}");
}

#[test]
fn a_marked_server_is_held_until_its_time_is_over() {
    let folder = public_folder();
    // The folder under /run is gone after each boot.
    let path = folder.path().join("tacplus/servers");
    if !is_root() {
        fs::create_dir(folder.path().join("tacplus")).unwrap();
    }
    let list = HoldDown::new(&path, secs(30));
    list.mark("192.0.2.1:49", secs(100)).unwrap();
    list.mark("unix:/a path", secs(110)).unwrap();

    assert_eq!(mode(&path), 0o644);
    assert_eq!(mode(path.parent().unwrap()), 0o755);
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "130000 192.0.2.1:49\n140000 unix:/a path\n"
    );
    let held = list.held(secs(129));
    assert!(held.is_held("192.0.2.1:49"));
    assert!(held.is_held("unix:/a path"));
    assert!(!held.is_held("192.0.2.1:4"));
    assert!(!list.held(secs(130)).is_held("192.0.2.1:49"));
    assert!(list.held(secs(130)).is_held("unix:/a path"));
}

#[test]
fn a_server_that_answers_is_let_go_and_the_others_stay() {
    let folder = public_folder();
    let list = HoldDown::new(folder.path().join("servers"), secs(30));
    list.mark("a", secs(1)).unwrap();
    list.mark("b", secs(1)).unwrap();
    list.clear("a").unwrap();
    list.clear("never marked").unwrap();
    let held = list.held(secs(2));
    assert!(!held.is_held("a"));
    assert!(held.is_held("b"));
}

#[test]
fn marks_of_a_server_do_not_pile_up_and_expired_lines_go() {
    let folder = public_folder();
    let path = folder.path().join("servers");
    let list = HoldDown::new(&path, secs(30));
    list.mark("old", secs(1)).unwrap();
    for second in 50..60 {
        list.mark("a", secs(second)).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "89000 a\n");
}

#[test]
fn an_end_further_ahead_than_the_hold_down_counts_for_nothing() {
    let folder = public_folder();
    let path = folder.path().join("servers");
    let long = HoldDown::new(&path, secs(300));
    let short = HoldDown::new(&path, secs(30));
    long.mark("a", secs(5000)).unwrap();
    assert!(long.held(secs(5000)).is_held("a"));
    assert!(!short.held(secs(5000)).is_held("a"), "another setting");
    assert!(
        !long.held(secs(10)).is_held("a"),
        "the clock of another boot"
    );
}

#[test]
fn a_list_that_is_not_ours_is_as_if_absent_and_the_next_mark_heals_it() {
    let folder = public_folder();
    let path = folder.path().join("servers");
    let list = HoldDown::new(&path, secs(30));
    let huge = "20000 a\n".repeat(10_000);
    for text in [
        b"20000 a\nnonsense\n".as_slice(),
        b"20000 a\n-1 b\n",
        b"20000 a\n20000 \n",
        b"20000 a\n99999999999999999999999 b\n",
        b"20000 a\n20000 b\x1b[2J\n",
        b"20000 a\n20000 \xff\n",
        huge.as_bytes(),
    ] {
        statefile::replace(&path, b"20000 a\n", 0o644).unwrap();
        assert!(list.held(secs(10)).is_held("a"));
        statefile::replace(&path, text, 0o644).unwrap();
        assert!(!list.held(secs(10)).is_held("a"));
    }
    list.mark("c", secs(10)).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "40000 c\n");
}

#[test]
fn a_list_in_the_wrong_hands_is_as_if_absent() {
    let folder = public_folder();
    let path = folder.path().join("servers");
    let list = HoldDown::new(&path, secs(30));
    list.mark("a", secs(10)).unwrap();
    chmod(&path, 0o666);
    assert!(!list.held(secs(11)).is_held("a"));
    chmod(&path, 0o644);
    assert!(list.held(secs(11)).is_held("a"));
    if is_root() {
        chown(&path, Some(NOBODY), None).unwrap();
        assert!(!list.held(secs(11)).is_held("a"));
    } else {
        println!("skipped the wrong owner: only root can give a file away");
    }
}

#[test]
fn keys_that_could_break_the_list_and_a_hold_down_of_zero_write_nothing() {
    let folder = public_folder();
    let path = folder.path().join("servers");
    let list = HoldDown::new(&path, secs(30));
    list.mark("a\n9999999 b", secs(1)).unwrap();
    list.mark("", secs(1)).unwrap();
    let off = HoldDown::new(&path, secs(0));
    off.mark("a", secs(1)).unwrap();
    assert!(!path.exists());
}

#[test]
fn a_stuck_writer_delays_nobody_and_keeps_no_server_from_being_held_down() {
    let folder = public_folder();
    let path = folder.path().join("servers");
    let list = HoldDown::new(&path, secs(30));
    list.mark("a", secs(1)).unwrap();
    let _stuck = statefile::lock(&folder.path().join("servers.lock"), secs(0)).unwrap();

    let start = Instant::now();
    list.mark("b", secs(1)).unwrap();
    let held = list.held(secs(2));
    assert!(held.is_held("a") && held.is_held("b"));
    assert!(start.elapsed() < secs(5), "{:?}", start.elapsed());
}

#[test]
fn a_setuid_program_marks_a_server_without_the_lock() {
    let folder = public_folder();
    let path = folder.path().join("servers");
    let mut su = HoldDown::new(&path, secs(30));
    su.without_lock();
    su.mark("a", secs(1)).unwrap();
    su.mark("b", secs(1)).unwrap();
    su.clear("a").unwrap();
    assert!(su.held(secs(2)).is_held("b"));
    assert_eq!(names(folder.path()), ["servers"]);
}

#[test]
fn marks_made_at_once_are_all_kept() {
    /// Who is held up for longer is passed by, and a mark may be lost then.
    const PATIENCE: Duration = Duration::from_millis(50);
    // In memory, as /run is: no disk holds a writer up.
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let path = folder.path().join("servers");
    let keys: Vec<String> = (0..8).map(|n| format!("server{n}")).collect();
    let mark = |key: &str| {
        let begun = Instant::now();
        HoldDown::new(&path, secs(30)).mark(key, secs(1)).unwrap();
        begun.elapsed()
    };
    let mut shown = 0;
    for _ in 0..200 {
        let _ = fs::remove_file(&path);
        let together = Barrier::new(keys.len());
        let writer = |key| {
            together.wait();
            mark(key)
        };
        let took: Vec<Duration> = std::thread::scope(|scope| {
            let writers: Vec<_> = keys.iter().map(|key| scope.spawn(|| writer(key))).collect();
            let took = writers.into_iter().map(|writer| writer.join().unwrap());
            took.collect()
        });
        // A busy machine holds a writer up too: such a round shows nothing.
        if took.iter().all(|took| *took < PATIENCE) {
            let held = HoldDown::new(&path, secs(30)).held(secs(2));
            assert!(keys.iter().all(|key| held.is_held(key)), "{held:?}");
            shown += 1;
        }
    }
    assert!(shown > 0, "some writer was held up in every round");
}

#[test]
fn another_user_reads_the_list_and_cannot_change_it() {
    if !is_root() {
        println!("skipped: needs root, to be somebody else");
        return;
    }
    let folder = public_folder();
    let path = folder.path().join("servers");
    let list = HoldDown::new(&path, secs(30));
    list.mark("dead", boottime()).unwrap();
    let before = fs::read(&path).unwrap();

    // A copy, because the build folder may be closed to others.
    let program = folder.path().join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let output = Command::new(&program)
        .args(["--ignored", "--exact", "child_without_rights"])
        .env("HOLD_DOWN_FILE", &path)
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("1 passed"), "{output:?}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
#[ignore = "the child of another_user_reads_the_list_and_cannot_change_it"]
fn child_without_rights() {
    let path = std::env::var_os("HOLD_DOWN_FILE").unwrap();
    let path = Path::new(&path);
    let list = HoldDown::new(path, secs(30));
    assert!(list.held(boottime()).is_held("dead"));
    list.mark("other", boottime()).unwrap();
    list.clear("dead").unwrap();
    let missing = HoldDown::new("/run/no-such-folder/servers", secs(30));
    missing.mark("other", boottime()).unwrap();
    assert!(statefile::lock(&path.with_file_name("servers.lock"), secs(0)).is_err());
}
