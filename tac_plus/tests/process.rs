//! The server as a process: who it is, and what a service manager gives it.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says why it is skipped"
)]

mod common;

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{CONFIGURATION, PATIENCE, Wire, pap};

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A configuration in a folder, its records in `acct` there.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    set_mode(folder.path(), 0o755);
    let text = format!(
        "accounting file = {}/acct\n{CONFIGURATION}",
        folder.path().display()
    );
    std::fs::write(folder.path().join("tac_plus.conf"), text).unwrap();
    std::fs::write(folder.path().join("acct"), "").unwrap();
    folder
}

/// Whether this is root, who alone can become somebody else; says so if not.
fn is_root() -> bool {
    let is_root = rustix::process::getuid().is_root();
    if !is_root {
        println!("skipped: only root can become another user");
    }
    is_root
}

fn refused(folder: &Path, flags: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tac_plus"))
        .args(["-B", "127.0.0.1", "-p", "0"])
        .args(flags)
        .arg("-C")
        .arg(folder.join("tac_plus.conf"))
        .output()
        .unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn another_user_serves_and_what_it_may_not_do_later_is_told_at_the_start() {
    if !is_root() {
        return;
    }
    let folder = folder();
    let (configuration, records) = (
        folder.path().join("tac_plus.conf"),
        folder.path().join("acct"),
    );
    set_mode(&configuration, 0o600);
    set_mode(&records, 0o600);
    let nobody = ["-U", "65534", "-Q", "65534"];
    let error = refused(folder.path(), &nobody);
    assert!(error.contains("cannot read the configuration"), "{error}");
    set_mode(&configuration, 0o644);
    let mut child = Command::new(env!("CARGO_BIN_EXE_tac_plus"))
        .args([
            "-B",
            "127.0.0.1",
            "-p",
            "0",
            "-l",
            "/root/no-such-folder/log",
        ])
        .args(nobody)
        .arg("-C")
        .arg(&configuration)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let start: Vec<String> = lines
        .map(|line| line.unwrap())
        .take_while(|line| !line.contains("listening on"))
        .collect();
    child.kill().unwrap();
    child.wait().unwrap();
    let start = start.join("\n");
    for told in [
        "acct cannot be written: Permission denied",
        "the log /root/no-such-folder/log cannot be opened",
    ] {
        assert!(start.contains(told), "{told}: {start}");
    }
    let error = refused(folder.path(), &["-U", "no-such-user"]);
    assert!(
        error.contains("-U: there is no user 'no-such-user'"),
        "{error}"
    );
    let error = refused(folder.path(), &["-U", "64999"]);
    assert!(error.contains("name its group with -Q"), "{error}");
}

#[test]
fn the_user_is_changed_for_good_with_all_its_groups() {
    if !is_root() {
        return;
    }
    let folder = folder();
    set_mode(&folder.path().join("acct"), 0o666);
    let log = folder.path().join("log");
    std::fs::write(&log, "").unwrap();
    set_mode(&log, 0o666);
    let mut child = Command::new(env!("CARGO_BIN_EXE_tac_plus"))
        .args([
            "-B",
            "127.0.0.1",
            "-p",
            "0",
            "-U",
            "nobody",
            "-Q",
            "65534",
            "-l",
        ])
        .arg(&log)
        .arg("-C")
        .arg(folder.path().join("tac_plus.conf"))
        .spawn()
        .unwrap();
    wait_for(&log, "listening on");
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    for line in [
        "Uid:\t65534\t65534\t65534\t65534",
        "Gid:\t65534\t65534\t65534\t65534",
    ] {
        assert!(status.contains(line), "{status}");
    }
    let groups = status
        .lines()
        .find(|line| line.starts_with("Groups:"))
        .unwrap();
    assert!(
        !groups.split_whitespace().any(|group| group == "0"),
        "{groups}"
    );
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Waits for a line in a file and gives it.
fn wait_for(path: &Path, part: &str) -> String {
    let end = std::time::Instant::now() + PATIENCE;
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if let Some(line) = text.lines().find(|line| line.contains(part)) {
            return line.to_owned();
        }
        assert!(std::time::Instant::now() < end, "no {part:?} in {text}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_service_manager_hands_over_sockets_and_is_told_how_it_goes() {
    let folder = folder();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let manager = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let told = || {
        let mut buffer = [0; 256];
        let count = manager.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    };
    let script = "exec 3<&0 0</dev/null; export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=plain; \
                  exec \"$0\" \"$@\"";
    let child = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_tac_plus"), "-C"])
        .arg(folder.path().join("tac_plus.conf"))
        .env("NOTIFY_SOCKET", folder.path().join("notify"))
        .stdin(Stdio::from(OwnedFd::from(socket)))
        .spawn()
        .unwrap();
    let child = Ended(child);
    let ready = told();
    let since = "READY=1\nSTATUS=configuration in force since ";
    assert!(ready.starts_with(since), "{ready}");
    let log_in = || {
        let mut wire = Wire::new(std::net::TcpStream::connect(address).unwrap());
        wire.start(&pap("alice", "alice-pap"))
    };
    assert_eq!(log_in(), "PASS \"\"");
    let signal = |name: &str| {
        let id = child.0.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &id])
                .status()
                .unwrap()
                .success()
        );
    };
    signal("HUP");
    let reloading = told();
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    let ready = told();
    assert!(ready.starts_with(since) && !ready.contains(';'), "{ready}");
    assert_eq!(log_in(), "PASS \"\"", "the socket is the same");
    std::fs::write(folder.path().join("tac_plus.conf"), "bogus\n").unwrap();
    signal("HUP");
    assert!(told().starts_with("RELOADING=1"));
    let refused = told();
    assert!(
        refused.starts_with(since)
            && refused.contains("; refused at ")
            && refused.ends_with("tac_plus.conf:1:1: unknown directive 'bogus'"),
        "{refused}"
    );
    signal("TERM");
    assert_eq!(told(), "STOPPING=1");
}

#[test]
fn a_program_that_may_not_be_killed_keeps_no_thread_and_is_told() {
    if !is_root() {
        return;
    }
    // As sudo(8) does, it becomes somebody whom the server's user may not kill.
    let folder = folder();
    let program = folder.path().join("raise");
    std::fs::copy("/usr/bin/setpriv", &program).unwrap();
    set_mode(&program, 0o4755);
    set_mode(&folder.path().join("acct"), 0o666);
    let (path, log) = (
        folder.path().join("tac_plus.conf"),
        folder.path().join("log"),
    );
    std::fs::write(&log, "").unwrap();
    set_mode(&log, 0o666);
    let text = std::fs::read_to_string(&path).unwrap();
    let pid = folder.path().join("pid");
    let line = format!(
        "{} --reuid=0 --regid=0 --clear-groups sh -c 'echo $$ >{}; exec sleep 1000'",
        program.display(),
        pid.display()
    );
    let user = format!(
        "callout shell = yes\ncallout timeout = 1\nuser = carol {{ before authorization \"exec {line}\" }}\n"
    );
    std::fs::write(&path, format!("{text}{user}")).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_tac_plus"))
        .args(["-B", "127.0.0.1", "-p", "0", "-U", "nobody", "-l"])
        .arg(&log)
        .arg("-C")
        .arg(&path)
        .spawn()
        .unwrap();
    let _child = Ended(child);
    let listening = wait_for(&log, "listening on");
    let address = listening.rsplit(' ').next().unwrap();
    let mut wire = Wire::new(std::net::TcpStream::connect(address).unwrap());
    let said = wire.author("carol", &["service=shell", "cmd="]);
    let sleeper = std::fs::read_to_string(&pid).unwrap();
    let killed = Command::new("kill").arg(sleeper.trim()).status().unwrap();
    assert_eq!(said, "ERROR []");
    assert!(killed.success(), "it was still there");
    wait_for(&log, "cannot be killed and is left to itself: user=carol");
}

#[test]
fn the_unit_checks_a_configuration_before_it_reloads() {
    let unit = include_str!("../../packaging/systemd/tac_plus.service");
    let commands: Vec<&str> = unit
        .lines()
        .filter_map(|line| line.strip_prefix("ExecReload="))
        .collect();
    let start = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="));
    let check = start.unwrap().replace("tac_plus -C", "tac_plus -P -C");
    assert_eq!(commands, [check.as_str(), "/bin/kill -HUP $MAINPID"]);
    assert!(unit.contains("\nUMask=0027\n"));
}

#[test]
fn new_files_can_be_read_by_who_reads_logs() {
    use std::os::unix::fs::MetadataExt;
    if !is_root() {
        return;
    }
    let folder = folder();
    let (log, records) = (folder.path().join("log"), folder.path().join("acct"));
    std::fs::remove_file(&records).unwrap();
    let script = "umask 077; exec \"$0\" \"$@\"";
    let child = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_tac_plus")])
        .args(["-B", "127.0.0.1", "-p", "0", "-l"])
        .arg(&log)
        .arg("-C")
        .arg(folder.path().join("tac_plus.conf"))
        .spawn()
        .unwrap();
    let _child = Ended(child);
    wait_for(&log, "listening on");
    let groups = std::fs::read_to_string("/etc/group").unwrap();
    let adm = groups.lines().find_map(|line| line.strip_prefix("adm:x:"));
    let adm = adm.map(|rest| rest.split(':').next().unwrap().parse::<u32>().unwrap());
    for path in [log, records] {
        let made = std::fs::metadata(&path).unwrap();
        let expected = adm.map_or((0o600, 0), |adm| (0o640, adm));
        assert_eq!((made.mode() & 0o777, made.gid()), expected, "{path:?}");
    }
}

#[test]
fn the_log_is_a_file_where_asked_for_and_json_where_configured() {
    let folder = folder();
    let path = folder.path().join("tac_plus.conf");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("log format = json\n{text}")).unwrap();
    let log = folder.path().join("log");
    let child = Command::new(env!("CARGO_BIN_EXE_tac_plus"))
        .args(["-B", "127.0.0.1", "-p", "0", "-l"])
        .arg(&log)
        .arg("-C")
        .arg(path)
        .spawn()
        .unwrap();
    let _child = Ended(child);
    let line = wait_for(&log, "listening on");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let address = line["message"]
        .as_str()
        .unwrap()
        .rsplit(' ')
        .next()
        .unwrap()
        .to_owned();
    let mut wire = Wire::new(std::net::TcpStream::connect(address).unwrap());
    assert_eq!(wire.start(&pap("alice", "wrong")), "FAIL \"\"");
    let line = wait_for(&log, "login failure");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["message"], "login failure");
    assert_eq!(line["user"], "alice");
    assert_eq!(line["client"], "10.9.8.7");
}
