//! What the accounting spool promises to one writer and one deliverer, on a sound
//! disk, a full one and a damaged one. Killed and competing processes: `spool_processes.rs`.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tacacs_common::spool::{Delivery, End, Error, Excess, Limits, MAX_BODY, Report, Spool, Status};

const NOBODY: u32 = 65534;

/// A server took it.
fn stored() -> Delivery {
    Delivery::Stored("a".to_owned())
}

struct Stage {
    root: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        Self { root }
    }

    fn path(&self) -> PathBuf {
        self.root.path().join("tacplus/pam")
    }

    fn spool(&self) -> Spool {
        Spool::open(&self.path(), Limits::default()).unwrap()
    }

    fn small(&self, records: u64, bytes: u64) -> Spool {
        Spool::open(&self.path(), Limits { records, bytes }).unwrap()
    }

    /// The files of the records waiting, oldest first.
    fn records(&self) -> Vec<PathBuf> {
        let is_record = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.starts_with(|first: char| first.is_ascii_digit())
        };
        files(&self.path()).into_iter().filter(is_record).collect()
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

/// Delivers to a server that answers `answer` to everything; what it saw.
fn deliver(spool: &Spool, answer: Delivery) -> (Vec<Vec<u8>>, Report) {
    let mut seen = Vec::new();
    let report = spool.deliver(usize::MAX, &mut |record| {
        seen.push(record.body.clone());
        answer.clone()
    });
    (seen, report)
}

fn is_done(report: &Report) -> bool {
    matches!(report.end, End::Done)
}

#[test]
fn records_are_delivered_in_the_order_of_their_appends_and_byte_for_byte() {
    let stage = Stage::new();
    let spool = stage.spool();
    let bodies: Vec<Vec<u8>> = vec![
        b"start".to_vec(),
        Vec::new(),
        (0..=255).cycle().take(66_054).collect(),
        b"stop".to_vec(),
    ];
    // The clock of the host jumps: it has no say in the order.
    for (body, created) in bodies.iter().zip([1_000_000, 5, u64::MAX, 0]) {
        spool.append(body, created).unwrap();
    }
    let mut seen = Vec::new();
    let report = spool.deliver(usize::MAX, &mut |record| {
        seen.push((record.body.clone(), record.created));
        stored()
    });
    assert!(is_done(&report), "{report:?}");
    assert_eq!(report.delivered, 4);
    let created: Vec<u64> = seen.iter().map(|record| record.1).collect();
    assert_eq!(created, [1_000_000, 5, u64::MAX, 0]);
    assert!(seen.into_iter().map(|record| record.0).eq(bodies));
    assert!(stage.records().is_empty());
}

#[test]
fn an_appended_record_is_there_for_the_next_process() {
    let stage = Stage::new();
    stage.spool().append(b"one", 1).unwrap();
    stage.spool().append(b"two", 2).unwrap();
    let (seen, _) = deliver(&stage.spool(), stored());
    assert_eq!(seen, [b"one", b"two"]);
}

#[test]
fn only_root_can_look_at_a_record() {
    let stage = Stage::new();
    stage.spool().append(b"shutdown now", 1).unwrap();
    assert_eq!(mode(&stage.path()), 0o700);
    assert_eq!(mode(stage.path().parent().unwrap()), 0o755);
    for file in files(&stage.path()) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn delivery_stops_where_a_record_has_to_wait_and_goes_on_from_there() {
    let stage = Stage::new();
    let spool = stage.spool();
    for body in [b"1", b"2", b"3"] {
        spool.append(body, 1).unwrap();
    }
    let mut seen = Vec::new();
    let report = spool.deliver(usize::MAX, &mut |record| {
        seen.push(record.body.clone());
        match record.body.as_slice() {
            b"2" => Delivery::Retry,
            _ => stored(),
        }
    });
    assert!(matches!(report.end, End::Retry), "{report:?}");
    assert_eq!(seen, [b"1", b"2"]);

    let (seen, report) = deliver(&spool, stored());
    assert!(is_done(&report), "{report:?}");
    assert_eq!(seen, [b"2", b"3"]);
}

#[test]
fn delivery_sends_no_more_than_it_was_asked_to() {
    let stage = Stage::new();
    let spool = stage.spool();
    for body in [b"1", b"2", b"3"] {
        spool.append(body, 1).unwrap();
    }
    let report = spool.deliver(2, &mut |_| stored());
    assert!(matches!(report.end, End::Limit), "{report:?}");
    assert_eq!(report.delivered, 2);
    assert_eq!(deliver(&spool, stored()).0, [b"3"]);
}

#[test]
fn what_a_server_will_never_take_is_set_aside_and_does_not_block() {
    let stage = Stage::new();
    let spool = stage.spool();
    spool.append(b"odd", 1).unwrap();
    spool.append(b"good", 2).unwrap();
    let report = spool.deliver(usize::MAX, &mut |record| match record.body.as_slice() {
        b"odd" => Delivery::Refused,
        _ => stored(),
    });
    assert!(is_done(&report), "{report:?}");
    assert_eq!((report.delivered, report.refused), (1, 1));
    let aside = files(&stage.path().join("refused"));
    assert_eq!(aside.len(), 1);
    assert!(fs::read(&aside[0]).unwrap().ends_with(b"odd"));
    assert_eq!(mode(&stage.path().join("refused")), 0o700);
}

#[test]
fn a_refused_record_that_cannot_be_set_aside_is_kept_and_does_not_block() {
    let stage = Stage::new();
    let spool = stage.spool();
    spool.append(b"odd", 1).unwrap();
    spool.append(b"good", 2).unwrap();
    fs::write(stage.path().join("refused"), b"in the way").unwrap();
    let report = spool.deliver(usize::MAX, &mut |record| match record.body.as_slice() {
        b"odd" => Delivery::Refused,
        _ => stored(),
    });
    assert!(matches!(report.end, End::Failed(_)), "{report:?}");
    assert_eq!(report.delivered, 1);
    assert_eq!(deliver(&spool, stored()).0, [b"odd"]);
}

#[test]
fn records_set_aside_never_take_each_others_place() {
    let stage = Stage::new();
    let spool = stage.spool();
    for body in [b"one", b"two"] {
        spool.append(body, 1).unwrap();
        let (_, report) = deliver(&spool, Delivery::Refused);
        assert_eq!(report.refused, 1);
    }
    assert_eq!(files(&stage.path().join("refused")).len(), 2);
}

#[test]
fn records_set_aside_keep_within_their_bound_and_the_oldest_go() {
    let stage = Stage::new();
    let spool = stage.spool();
    // 8 MiB is the bound, so 64 bodies of 128 KiB just fit.
    for n in 0..66_u8 {
        spool.append(&vec![n; MAX_BODY], 1).unwrap();
    }
    let (_, report) = deliver(&spool, Delivery::Refused);
    assert_eq!(report.refused, 66);
    let aside = files(&stage.path().join("refused"));
    assert_eq!(aside.len(), 64);
    assert!(fs::read(&aside[0]).unwrap().ends_with(&[2]));
}

#[test]
fn a_full_spool_refuses_the_new_record_and_keeps_the_old_ones() {
    let stage = Stage::new();
    let spool = stage.small(2, 100);
    spool.append(b"one", 1).unwrap();
    spool.append(b"two", 1).unwrap();
    let error = spool.append(b"three", 1).unwrap_err();
    assert!(matches!(error, Error::Full(Excess::Spool)));
    assert!(error.to_string().contains("it is full"), "{error}");
    assert_eq!(spool.status().unwrap().dropped, 1);

    assert_eq!(deliver(&spool, stored()).0, [b"one", b"two"]);
    spool.append(b"four", 1).unwrap();
}

#[test]
fn a_spool_is_full_by_bytes_too() {
    let stage = Stage::new();
    let spool = stage.small(100, 10);
    spool.append(b"123456", 1).unwrap();
    assert!(matches!(spool.append(b"12345", 1), Err(Error::Full(_))));
    spool.append(b"1234", 1).unwrap();
}

#[test]
fn a_body_that_no_request_can_have_is_refused() {
    let stage = Stage::new();
    let spool = stage.spool();
    let error = spool.append(&vec![0; MAX_BODY + 1], 1).unwrap_err();
    assert!(matches!(error, Error::TooLong(_)));
    assert_eq!(spool.status().unwrap().dropped, 1);
    assert!(stage.records().is_empty());
}

#[test]
fn the_status_tells_what_waits_and_what_became_of_the_rest() {
    let stage = Stage::new();
    assert!(
        Spool::open_existing(&stage.path(), Limits::default())
            .unwrap()
            .is_none()
    );
    let spool = stage.small(4, 1000);
    assert_eq!(spool.status().unwrap(), Status::default());

    for body in ["stored", "odd", "spoiled", "waiting"] {
        spool.append(body.as_bytes(), 1_700_000_000).unwrap();
    }
    spool.append(b"too much", 1).unwrap_err();
    fs::write(&stage.records()[2], b"tacspl1\n").unwrap();
    let report = spool.deliver(usize::MAX, &mut |record| match record.body.as_slice() {
        b"stored" => stored(),
        b"odd" => Delivery::Refused,
        _ => Delivery::Retry,
    });
    assert!(matches!(report.end, End::Retry), "{report:?}");
    spool.append(b"later", 1_800_000_000).unwrap();

    let seen = Spool::open_existing(&stage.path(), Limits::default())
        .unwrap()
        .unwrap();
    assert_eq!(
        seen.status().unwrap(),
        Status {
            pending: 2,
            bytes: 12,
            oldest: Some(1_700_000_000),
            spooled: 5,
            delivered: 1,
            refused: 1,
            dropped: 1,
            corrupt: 1,
            removed: 0,
        }
    );
}

#[test]
fn a_damaged_record_is_moved_aside_and_does_not_block() {
    let stage = Stage::new();
    let spool = stage.spool();
    let damages: [fn(&Path); 7] = [
        |file| fs::write(file, b"").unwrap(),
        |file| {
            let mut bytes = fs::read(file).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(file, bytes).unwrap();
        },
        |file| {
            let mut bytes = fs::read(file).unwrap();
            bytes.truncate(bytes.len() - 1);
            fs::write(file, bytes).unwrap();
        },
        |file| fs::write(file, vec![b'x'; 2 * MAX_BODY]).unwrap(),
        |file| {
            fs::remove_file(file).unwrap();
            symlink("/etc/passwd", file).unwrap();
        },
        |file| {
            fs::remove_file(file).unwrap();
            fs::create_dir(file).unwrap();
        },
        |file| fs::set_permissions(file, Permissions::from_mode(0o666)).unwrap(),
    ];
    for _ in &damages {
        spool.append(b"rm -rf /tmp/x", 1).unwrap();
    }
    for (file, damage) in stage.records().iter().zip(damages) {
        damage(file);
    }
    spool.append(b"good", 2).unwrap();

    let (seen, report) = deliver(&spool, stored());
    assert!(is_done(&report), "{report:?}");
    assert_eq!(seen, [b"good"]);
    assert_eq!(report.corrupt, 7);
    assert_eq!(spool.status().unwrap().corrupt, 7);
    assert_eq!(files(&stage.path().join("corrupt")).len(), 7);
}

#[test]
fn a_record_under_the_name_of_another_is_not_delivered() {
    let stage = Stage::new();
    let spool = stage.spool();
    spool.append(b"one", 1).unwrap();
    spool.append(b"two", 2).unwrap();
    let records = stage.records();
    fs::copy(&records[0], &records[1]).unwrap();
    let (seen, report) = deliver(&spool, stored());
    assert_eq!(seen, [b"one"]);
    assert_eq!(report.corrupt, 1);
}

#[test]
fn what_a_dead_writer_left_is_never_delivered_and_goes() {
    let stage = Stage::new();
    let spool = stage.spool();
    spool.append(b"whole", 1).unwrap();
    let torn = stage.path().join(".00000000000000000002.1.5");
    fs::write(&torn, b"tacspl1\nxx").unwrap();

    assert_eq!(deliver(&spool, stored()).0, [b"whole"]);
    assert!(!torn.exists());
}

#[test]
fn what_a_dead_writer_left_takes_no_room_from_the_living() {
    let stage = Stage::new();
    let spool = stage.small(1, 100);
    let torn = stage.path().join(".00000000000000000001.1.5");
    fs::write(&torn, b"tacspl1\nxx").unwrap();
    spool.append(b"whole", 1).unwrap();
    assert!(!torn.exists());
}

#[test]
fn appends_go_on_while_a_delivery_waits_for_its_server() {
    let stage = Stage::new();
    let spool = stage.spool();
    spool.append(b"one", 1).unwrap();
    let (other_appender, other_deliverer) = (stage.spool(), stage.spool());
    let report = spool.deliver(usize::MAX, &mut |_| {
        other_appender.append(b"two", 2).unwrap();
        let (seen, report) = deliver(&other_deliverer, stored());
        assert!(matches!(report.end, End::Busy), "{report:?}");
        assert!(seen.is_empty(), "one deliverer at a time");
        stored()
    });
    assert!(is_done(&report), "{report:?}");
    assert_eq!(deliver(&spool, stored()).0, [b"two"]);
}

#[test]
fn lost_counters_do_not_put_a_new_record_before_an_old_one() {
    let stage = Stage::new();
    let spool = stage.spool();
    for body in [b"1", b"2", b"3"] {
        spool.append(body, 1).unwrap();
    }
    spool.deliver(1, &mut |_| stored());
    // What a power cut, or worse, can do to a file that is not flushed.
    let most = format!("last {0}\ndropped {0}\n", u64::MAX);
    let counters = [b"".as_slice(), b"last -1\nspooled\n\xff", most.as_bytes()];
    for (text, body) in counters.into_iter().zip([b"4", b"5", b"6"]) {
        fs::write(stage.path().join("counters"), text).unwrap();
        spool.append(body, 1).unwrap();
    }
    let seen = deliver(&spool, stored()).0;
    assert_eq!(seen, [b"2", b"3", b"4", b"5", b"6"]);
}

#[test]
fn a_spool_that_another_user_could_have_written_is_refused() {
    let stage = Stage::new();
    drop(stage.spool());
    let (path, parent) = (stage.path(), stage.root.path().join("tacplus"));
    let refusal = |path: &Path| {
        let error = Spool::open(path, Limits::default()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
        error.to_string()
    };
    symlink(&path, parent.join("link")).unwrap();
    assert!(refusal(&parent.join("link")).contains("a link to one"));
    symlink(&parent, stage.root.path().join("link")).unwrap();
    assert!(refusal(&stage.root.path().join("link/pam")).contains("a link to one"));

    for place in [&path, &parent] {
        fs::set_permissions(place, Permissions::from_mode(0o777)).unwrap();
        assert!(refusal(&path).contains("can be written by others"));
        fs::set_permissions(place, Permissions::from_mode(0o755)).unwrap();
    }
    if rustix::process::geteuid().is_root() {
        for place in [&path, &parent] {
            chown(place, Some(NOBODY), None).unwrap();
            assert!(refusal(&path).contains("belongs to uid 65534"));
            chown(place, Some(0), None).unwrap();
        }
    } else {
        println!("skipped the wrong owner: only root can give a folder away");
    }
    drop(stage.spool());
}

#[test]
fn links_in_place_of_the_spools_own_files_are_not_followed() {
    let stage = Stage::new();
    let spool = stage.spool();
    spool.append(b"one", 1).unwrap();
    let prey = stage.root.path().join("prey");
    fs::write(&prey, b"").unwrap();
    for name in ["counters", "deliver"] {
        let _ = fs::remove_file(stage.path().join(name));
        symlink(&prey, stage.path().join(name)).unwrap();
    }
    assert!(matches!(spool.append(b"two", 1), Err(Error::Io(_))));
    let (seen, report) = deliver(&spool, stored());
    assert!(matches!(report.end, End::Failed(_)), "{report:?}");
    assert!(seen.is_empty());
    assert!(fs::read(&prey).unwrap().is_empty());
}

/// Runs one of the tests below in a process of its own, started through `prefix`.
fn run_child(prefix: &[&str], test: &str, folder: &Path) -> Result<(), String> {
    let output = Command::new(prefix[0])
        .args(&prefix[1..])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", test])
        .env("SPOOL_STAGE", folder)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    match told.contains("1 passed") {
        true => Ok(()),
        false => Err(format!("{output:?}")),
    }
}

fn child_folder() -> PathBuf {
    PathBuf::from(std::env::var_os("SPOOL_STAGE").unwrap())
}

#[test]
fn a_full_disk_is_an_error_that_leaves_nothing_half_written() {
    let can_mount = Command::new("unshare").args(["-m", "true"]).status();
    if !can_mount.is_ok_and(|status| status.success()) {
        println!("skipped: needs a mount namespace of its own, so root");
        return;
    }
    let stage = Stage::new();
    let mount = "mount -t tmpfs -o size=256k,mode=755 none \"$SPOOL_STAGE\" && exec \"$@\"";
    let prefix = ["unshare", "-m", "sh", "-c", mount, "sh"];
    run_child(&prefix, "child_on_a_full_disk", stage.root.path()).unwrap();
}

#[test]
#[ignore = "the child of a_full_disk_is_an_error_that_leaves_nothing_half_written"]
fn child_on_a_full_disk() {
    let folder = child_folder();
    let spool = Spool::open(&folder.join("tacplus/pam"), Limits::default()).unwrap();
    let body = vec![b'x'; 9000];
    let mut kept = 0;
    let error = loop {
        match spool.append(&body, 1) {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(kept > 0);
    let Error::Io(error) = error else {
        panic!("{error}");
    };
    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    assert!(error.to_string().contains("tacplus/pam"), "{error}");
    let left = files(&folder.join("tacplus/pam"));
    let is_temporary =
        |file: &&PathBuf| file.file_name().unwrap().to_str().unwrap().starts_with('.');
    assert_eq!(left.iter().find(is_temporary), None);

    let status = spool.status().unwrap();
    assert_eq!((status.pending, status.spooled), (kept, kept));
    assert_eq!(status.dropped, 1);
    let (seen, report) = deliver(&spool, stored());
    assert!(is_done(&report), "{report:?}");
    assert_eq!(seen, vec![body.clone(); seen.len()]);
    assert_eq!(seen.len() as u64, kept);
    spool.append(&body, 1).unwrap();
}

#[test]
fn a_callers_file_size_limit_is_an_error_and_does_not_kill_the_process() {
    let stage = Stage::new();
    let prefix = ["sh", "-c", "ulimit -f 0 && exec \"$@\"", "sh"];
    run_child(&prefix, "child_with_a_file_size_limit", stage.root.path()).unwrap();
}

#[test]
#[ignore = "the child of a_callers_file_size_limit_is_an_error_and_does_not_kill_the_process"]
fn child_with_a_file_size_limit() {
    let spool = Spool::open(&child_folder().join("tacplus/pam"), Limits::default()).unwrap();
    let Err(Error::Io(error)) = spool.append(b"x", 1) else {
        panic!("it cannot have been written");
    };
    assert_eq!(error.kind(), ErrorKind::FileTooLarge, "{error}");
    assert_eq!(spool.status().unwrap().pending, 0);
}
