use super::*;
use crate::effects::inbox::Inbox;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

fn to_file(path: &Path) -> Target {
    Target {
        file: Some(path.to_owned()),
        sync: false,
        format: AccountingFormat::Text,
        syslog: None,
    }
}

fn start(target: Target) -> Store {
    let (log, _writer) = Log::start(None).unwrap();
    Store::start(target, log).unwrap()
}

async fn stored(store: &Store, line: &str) -> bool {
    let mut inbox = Inbox::default();
    store
        .record(line.as_bytes(), inbox.ticket(1, PATIENCE))
        .await;
    matches!(inbox.next(PATIENCE).await.as_slice(), [(1, Done::Stored)])
}

fn fields_after_time(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| line.split_once('\t').unwrap().1.to_owned())
        .collect()
}

#[tokio::test]
async fn a_rotated_file_is_left_alone_and_a_new_one_begun() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("acct");
    let store = start(to_file(&path));
    assert!(stored(&store, "one\n").await);
    let rotated = folder.path().join("acct.1");
    std::fs::rename(&path, &rotated).unwrap();
    assert!(stored(&store, "two\n").await);
    assert_eq!(fields_after_time(&rotated), ["one"]);
    assert_eq!(fields_after_time(&path), ["two"]);
}

#[tokio::test]
async fn what_cannot_be_written_is_not_stored_until_it_can_be_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("later").join("acct");
    let store = start(to_file(&path));
    assert!(!stored(&store, "lost\n").await);
    std::fs::create_dir(folder.path().join("later")).unwrap();
    assert!(stored(&store, "kept\n").await);
    assert_eq!(fields_after_time(&path), ["kept"]);
}

#[tokio::test]
async fn half_a_line_of_a_writer_that_was_killed_swallows_no_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("acct");
    std::fs::write(&path, "Nov  2 06:05:41\thalf a rec").unwrap();
    let store = start(to_file(&path));
    assert!(stored(&store, "one\n").await);
    assert!(stored(&store, "two\n").await);
    assert_eq!(fields_after_time(&path), ["half a rec", "one", "two"]);
}

#[tokio::test]
async fn a_pipe_that_nobody_reads_is_an_error_and_one_that_is_read_gets_records() {
    use std::io::Read;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("acct");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    let store = start(to_file(&path));
    assert!(!stored(&store, "lost\n").await);
    let mut reader = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(&path)
        .unwrap();
    assert!(stored(&store, "kept\n").await);
    let mut text = [0; 64];
    let count = reader.read(&mut text).unwrap();
    assert!(text[..count].ends_with(b"\tkept\n"));
}

#[test]
fn the_look_at_a_file_before_a_reload_gives_up_no_lock_on_it() {
    use rustix::fs::FlockOperation;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("acct");
    assert!(to_file(&path).trouble().is_empty());
    assert!(!path.exists(), "it makes none");
    let mut options = OpenOptions::new();
    let writer = options.append(true).create(true).open(&path).unwrap();
    rustix::fs::fcntl_lock(&writer, FlockOperation::NonBlockingLockExclusive).unwrap();
    assert!(to_file(&path).trouble().is_empty());
    let lock = format!(" {} ", std::process::id());
    let inode = std::os::unix::fs::MetadataExt::ino(&writer.metadata().unwrap());
    let locks = std::fs::read_to_string("/proc/locks").unwrap();
    let held = |line: &str| line.contains(&lock) && line.contains(&format!(":{inode} "));
    assert!(locks.lines().any(held), "{locks}");
}

#[tokio::test]
async fn a_full_disk_is_an_error() {
    let store = start(to_file(Path::new("/dev/full")));
    assert!(!stored(&store, "lost\n").await);
}

#[tokio::test]
async fn a_synced_record_is_stored_and_what_has_no_disk_needs_none() {
    let folder = tempfile::tempdir().unwrap();
    for path in [&folder.path().join("acct"), Path::new("/dev/null")] {
        let target = Target {
            sync: true,
            ..to_file(path)
        };
        assert!(stored(&start(target), "one\n").await, "{}", path.display());
    }
}

#[tokio::test]
async fn a_record_as_json_holds_every_field_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("acct");
    let store = start(Target {
        format: AccountingFormat::Json,
        ..to_file(&path)
    });
    let line = "192.0.2.1\talice\ttty1\t10.9.8.7\tstop\ttask_id=1\tcmd=show \"x\"\n";
    assert!(stored(&store, line).await);
    let text = std::fs::read_to_string(&path).unwrap();
    let record: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (name, value) in [
        ("device", "192.0.2.1"),
        ("user", "alice"),
        ("port", "tty1"),
        ("rem_addr", "10.9.8.7"),
        ("record", "stop"),
    ] {
        assert_eq!(record[name], value);
    }
    assert_eq!(record["args"][1], "cmd=show \"x\"");
    assert!(record["time"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn later_records_go_to_the_new_target_and_earlier_ones_to_the_old() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    let store = start(to_file(&old));
    let mut inbox = Inbox::default();
    store.record(b"one\n", inbox.ticket(1, PATIENCE)).await;
    store.set_target(to_file(&new));
    store.record(b"two\n", inbox.ticket(2, PATIENCE)).await;
    while !inbox.is_empty() {
        let results = inbox.next(PATIENCE).await;
        assert!(results.iter().all(|(_, done)| matches!(done, Done::Stored)));
    }
    assert_eq!(fields_after_time(&old), ["one"]);
    assert_eq!(fields_after_time(&new), ["two"]);
}
