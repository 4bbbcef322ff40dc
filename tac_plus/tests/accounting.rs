//! Records: what was answered SUCCESS is kept, whatever happens to the server or the
//! disk.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::HashSet;
use std::os::unix::net::UnixDatagram;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use common::{CONFIGURATION, PATIENCE, SECRET, Server, V0, Wire, acct, arguments, packet, pap};
use tacacs_common::packet::HEADER_LEN;

/// Sends records until the server is gone; tells which were answered SUCCESS.
fn send_records(mut wire: Wire, client: u32, stored: &Mutex<HashSet<String>>) {
    use std::io::{Read, Write};
    const DEEP: u32 = 8;
    let name = |number: u32| format!("task_id={client}-{number}");
    // Each client's sessions have numbers of their own.
    let id = |number: u32| client << 24 | number;
    let request = |number: u32| {
        let args = arguments(&[&name(number)]);
        packet(SECRET.as_bytes(), id(number), 1, V0, true, &acct(4, &args))
    };
    let success = |number: u32| {
        let body = tacacs_common::packet::AcctReply {
            status: tacacs_common::packet::AcctStatus::Success,
            server_msg: b"",
            data: b"",
        };
        packet(SECRET.as_bytes(), id(number), 2, V0, true, &body)
    };
    let first = wire.stream.write_all(&request(0));
    let mut begun = DEEP + 1;
    let several: Vec<u8> = (1..begun).flat_map(request).collect();
    if first
        .and_then(|()| wire.stream.write_all(&several))
        .is_err()
    {
        return;
    }
    let mut reply = [0; HEADER_LEN + 5];
    while wire.stream.read_exact(&mut reply).is_ok() {
        let number = u32::from_be_bytes(reply[4..8].try_into().unwrap()) & 0xff_ffff;
        assert_eq!(reply, success(number)[..]);
        stored.lock().unwrap().insert(name(number));
        if wire.stream.write_all(&request(begun)).is_err() {
            return;
        }
        begun += 1;
    }
}

#[test]
fn a_server_that_is_killed_in_the_middle_of_a_load_has_every_record_it_answered_with_success() {
    for configuration in [
        CONFIGURATION.to_owned(),
        format!("accounting sync = yes\n{CONFIGURATION}"),
    ] {
        let mut server = Server::start(&configuration);
        let stored = Mutex::default();
        thread::scope(|scope| {
            for client in 0..4 {
                let (wire, stored) = (server.connect(), &stored);
                scope.spawn(move || send_records(wire, client, stored));
            }
            let begin = Instant::now();
            let count = || stored.lock().unwrap().len();
            // A disk that others keep busy takes its time for each sync.
            let patience = |stored| if stored < 100 { 3 * PATIENCE } else { PATIENCE };
            while count() < 1000 && begin.elapsed() < patience(count()) {
                thread::yield_now();
            }
            server.kill();
            assert!(count() >= 100, "too slow: {}", count());
        });
        let text = std::fs::read_to_string(server.accounting_path()).unwrap();
        let kept: HashSet<&str> = text
            .lines()
            .filter_map(|line| line.rsplit('\t').next())
            .collect();
        let stored = stored.into_inner().unwrap();
        let lost: Vec<_> = stored
            .iter()
            .filter(|name| !kept.contains(name.as_str()))
            .collect();
        assert!(
            lost.is_empty(),
            "{} of {} are lost: {lost:?}",
            lost.len(),
            stored.len()
        );
    }
}

#[test]
fn a_full_disk_is_an_error_and_records_are_stored_again_when_there_is_room() {
    let setup = "for conf; do :; done; mount -t tmpfs -o size=64k tmpfs /mnt && \
                 ln -s /mnt/acct \"$(dirname \"$conf\")/acct\"";
    let mut server = Server::start_with_mounts(setup, CONFIGURATION);
    let ask = |number: u32| {
        let args = arguments(&[&format!("task_id={number}")]);
        let mut wire = server.connect();
        wire.ask(number, 1, V0, false, &acct(4, &args)).acct()
    };
    assert_eq!(ask(1), "SUCCESS");
    let filler = server.path_within("/mnt/filler");
    // As much as there is.
    let written = std::fs::write(&filler, vec![b'x'; 128 * 1024]);
    assert!(written.is_err(), "the disk is full now");
    // What is left of the last page may still take a few.
    let refused = (2..2000).find(|number| ask(*number) == "ERROR");
    let refused = refused.expect("an ERROR");
    assert_eq!(ask(refused + 1), "ERROR");
    std::fs::remove_file(filler).unwrap();
    assert_eq!(ask(refused + 2), "SUCCESS");
    let text = std::fs::read_to_string(server.path_within("/mnt/acct")).unwrap();
    let mut tasks = text.lines().map(|line| line.rsplit('=').next().unwrap());
    let expected = (1..refused)
        .chain([refused + 2])
        .map(|number| number.to_string());
    assert!(
        expected.eq(tasks.by_ref()),
        "whole lines, those and no others: {text}"
    );
    server.wait_for_line("No space left on device");
    server.wait_for_line("is written again");
}

#[test]
fn two_servers_share_a_file_and_lose_nothing() {
    let one = Server::start(CONFIGURATION);
    let path = one.accounting_path();
    let two = Server::start_with_mounts(
        &format!(
            "for conf; do :; done; ln -s {} \"$(dirname \"$conf\")/acct\"",
            path.display()
        ),
        CONFIGURATION,
    );
    thread::scope(|scope| {
        for (client, server) in [&one, &two, &one, &two].into_iter().enumerate() {
            let mut wire = server.connect();
            scope.spawn(move || {
                for number in 0..200 {
                    let args = arguments(&[&format!("task_id={client}-{number}")]);
                    let reply = wire.ask(number, 1, V0, true, &acct(4, &args));
                    assert_eq!(reply.acct(), "SUCCESS");
                }
            });
        }
    });
    let records: HashSet<String> = one.records().into_iter().collect();
    assert_eq!(records.len(), 800);
}

#[test]
fn records_are_json_where_the_configuration_says_so() {
    let server = Server::start(&format!("accounting format = json\n{CONFIGURATION}"));
    let args = arguments(&["task_id=1", "cmd=show \"x\""]);
    let mut wire = server.connect();
    assert_eq!(wire.ask(1, 1, V0, false, &acct(4, &args)).acct(), "SUCCESS");
    let text = std::fs::read_to_string(server.accounting_path()).unwrap();
    let record: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(record["device"], "127.0.0.1");
    assert_eq!(record["record"], "stop");
    assert_eq!(record["args"][1], "cmd=show \"x\"");
}

#[test]
fn records_and_lines_go_to_the_system_log_and_one_that_it_does_not_take_is_an_error() {
    let dev = tempfile::tempdir().unwrap();
    let socket = dev.path().join("log");
    let system_log = UnixDatagram::bind(&socket).unwrap();
    system_log.set_read_timeout(Some(PATIENCE)).unwrap();
    let setup = format!("mount --bind {} /dev", dev.path().display());
    let text = format!("accounting syslog\nlogging = local3\n{CONFIGURATION}");
    let server = Server::start_with_mounts(&setup, &text);
    let ask = |number: u32| {
        let args = arguments(&[&format!("task_id={number}"), "service=shell"]);
        let mut wire = server.connect();
        wire.ask(number, 1, V0, false, &acct(4, &args)).acct()
    };
    let wait_for = |part: &str| {
        loop {
            let mut buffer = [0; 1024];
            let count = system_log.recv(&mut buffer).unwrap();
            let message = String::from_utf8_lossy(&buffer[..count]).into_owned();
            if message.contains(part) {
                return message;
            }
        }
    };
    assert_eq!(ask(1), "SUCCESS");
    let message = wait_for("task_id=1");
    assert!(
        message.starts_with("<158>"),
        "LOG_LOCAL3, LOG_INFO: {message}"
    );
    let record = "]: 127.0.0.1    alice    tty1    10.9.8.7    stop    task_id=1    service=shell";
    assert!(
        message.contains(" tac_plus[") && message.ends_with(record),
        "{message}"
    );
    let forged = arguments(&["cmd=x    stop    task_id=7", "task_id=8 "]);
    let mut wire = server.connect();
    let reply = wire.ask(1, 1, V0, false, &acct(4, &forged));
    assert_eq!(reply.acct(), "SUCCESS");
    let message = wait_for("task_id=8");
    let fields: Vec<&str> = message.split("    ").collect();
    assert_eq!(
        fields[4..],
        [
            "stop",
            "cmd=x\\040\\040\\040\\040stop\\040\\040\\040\\040task_id=7",
            "task_id=8\\040"
        ],
        "no argument becomes two fields"
    );
    server.connect().start(&pap("alice", "wrong"));
    let message = wait_for("login failure: user=alice");
    assert!(message.starts_with("<157>"), "LOG_NOTICE: {message}");
    drop(system_log);
    assert_eq!(ask(2), "ERROR");
    std::fs::remove_file(&socket).unwrap();
    let _system_log = UnixDatagram::bind(&socket).unwrap();
    assert_eq!(ask(3), "SUCCESS");
}

#[test]
fn a_system_log_that_is_not_there_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let hidden = format!(
        "mount --bind {} /dev && mkdir -p /dev/shm",
        folder.path().display()
    );
    let mut server = Server::start_with_mounts(
        &hidden,
        &format!("accounting syslog\n{}", common::CONFIGURATION),
    );
    assert_eq!(server.connect().acct(0x02, &["task_id=1"]), "ERROR");
    server.wait_for_line("the system log takes no records: No such file");
    server.signal("TERM");
    let lines = server.all_lines();
    let told = "the system log takes no records";
    assert_eq!(
        lines.matches(told).count(),
        2,
        "at the start and at a record: {lines}"
    );
}
