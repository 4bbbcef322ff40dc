//! The accounting spool among processes: killed at any point, and many at once.
//!
//! The "server" is a file: a record counts as taken once its line is in it.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use tacacs_common::spool::{Delivery, End, Limits, Record, Spool};

const KILLS: u64 = 150;

fn open(stage: &Path) -> Spool {
    Spool::open(&stage.join("tacplus/pam"), Limits::default()).unwrap()
}

/// Long enough to be torn, and different in each record.
fn body(writer: &str, number: u64) -> Vec<u8> {
    format!("{writer} {number} ").repeat(200).into_bytes()
}

/// Takes a record as a server would; a line says `WRITER NUMBER`.
fn take(server: &mut File, record: &Record) -> Delivery {
    let text = std::str::from_utf8(&record.body).unwrap();
    let mut words = text.split(' ');
    let (writer, number) = (words.next().unwrap(), words.next().unwrap());
    assert_eq!(record.body, body(writer, number.parse().unwrap()));
    let line = format!("{writer} {number}\n");
    server.write_all(line.as_bytes()).unwrap();
    Delivery::Stored("a".to_owned())
}

fn server(stage: &Path) -> File {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    options.open(stage.join("server")).unwrap()
}

/// What the server took from a writer, in order, repetitions included.
fn taken(stage: &Path, writer: &str) -> Vec<u64> {
    let text = fs::read_to_string(stage.join("server")).unwrap();
    let lines = text.lines().map(|line| line.split_once(' ').unwrap());
    lines
        .filter(|line| line.0 == writer)
        .map(|line| line.1.parse().unwrap())
        .collect()
}

/// A child that does not outlive its test.
struct Running(Child);

impl Running {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    fn is_alive(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts one of the children below.
fn start(child: &str, stage: &Path, writer: &str, from: u64, to: u64) -> Running {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", child])
        .env("SPOOL_STAGE", stage)
        .env("SPOOL_WRITER", writer)
        .env("SPOOL_NUMBERS", format!("{from} {to}"))
        .stdout(Stdio::piped())
        .spawn();
    Running(child.unwrap())
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap()
}

/// The number of a line that says that its append returned.
fn acknowledged(line: &str) -> Option<u64> {
    line.strip_prefix("stored ")?.parse().ok()
}

#[test]
#[ignore = "a child of the tests below"]
fn child_that_appends() {
    let stage = PathBuf::from(variable("SPOOL_STAGE"));
    let (writer, numbers) = (variable("SPOOL_WRITER"), variable("SPOOL_NUMBERS"));
    let (from, to) = numbers.split_once(' ').unwrap();
    let spool = open(&stage);
    for number in from.parse().unwrap()..to.parse().unwrap() {
        spool.append(&body(&writer, number), number).unwrap();
        // One write, so that a kill cannot cut a line.
        let line = format!("stored {number}\n");
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    }
}

#[test]
#[ignore = "a child of the tests below"]
fn child_that_delivers() {
    let stage = PathBuf::from(variable("SPOOL_STAGE"));
    let (spool, mut server) = (open(&stage), server(&stage));
    loop {
        spool.deliver(usize::MAX, &mut |record| take(&mut server, record));
    }
}

/// Numbers from nowhere in particular (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[test]
fn killed_at_any_point_nothing_stored_is_lost_torn_or_out_of_order() {
    let stage = tempfile::tempdir().unwrap();
    let stage = stage.path();
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let mut chance = Chance(now as u64 | 1);
    println!("chance: {}", chance.0);

    let mut stored = BTreeSet::new();
    let mut next = 0;
    for _ in 0..KILLS {
        let mut deliverer = start("child_that_delivers", stage, "", 0, 0);
        let mut appender = start("child_that_appends", stage, "w", next, u64::MAX);
        let mut output = BufReader::new(appender.0.stdout.take().unwrap());
        let mut text = String::new();
        while !text.contains("stored ") {
            assert_ne!(output.read_line(&mut text).unwrap(), 0, "{text}");
        }
        sleep(Duration::from_micros(chance.below(6000)));
        appender.kill();
        sleep(Duration::from_micros(chance.below(2000)));
        deliverer.kill();

        output.read_to_string(&mut text).unwrap();
        stored.extend(text.lines().filter_map(acknowledged));
        // The one after the last may have been on its way.
        next = stored.last().map_or(0, |last| last + 2);
    }

    let (spool, mut server) = (open(stage), server(stage));
    let report = spool.deliver(usize::MAX, &mut |record| take(&mut server, record));
    assert!(matches!(report.end, End::Done), "{report:?}");

    let taken = taken(stage, "w");
    let mut seen = BTreeSet::new();
    let mut last = None;
    for number in &taken {
        if seen.insert(*number) {
            assert!(last < Some(*number), "{number} came after {last:?}");
            last = Some(*number);
        }
    }
    let lost: Vec<_> = stored.difference(&seen).collect();
    assert!(lost.is_empty(), "stored and never delivered: {lost:?}");
    println!(
        "{} stored, {} delivered, {} of them again",
        stored.len(),
        taken.len(),
        taken.len() - seen.len()
    );

    let status = spool.status().unwrap();
    assert_eq!((status.pending, status.corrupt), (0, 0), "{status:?}");
    let mut left: Vec<_> = fs::read_dir(stage.join("tacplus/pam"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["counters", "deliver"], "torn files are cleaned up");
}

#[test]
fn many_processes_append_while_others_deliver_each_record_once_and_in_order() {
    const WRITERS: [&str; 4] = ["a", "b", "c", "d"];
    const EACH: u64 = 40;
    let stage = tempfile::tempdir().unwrap();
    let stage = stage.path();
    let mut children: Vec<Running> = WRITERS
        .iter()
        .map(|writer| start("child_that_appends", stage, writer, 0, EACH))
        .collect();
    let mut deliverers: Vec<Running> = (0..2)
        .map(|_| start("child_that_delivers", stage, "", 0, 0))
        .collect();
    for child in &mut children {
        let mut text = String::new();
        let mut output = child.0.stdout.take().unwrap();
        output.read_to_string(&mut text).unwrap();
        assert!(child.0.wait().unwrap().success(), "{text}");
    }
    let spool = open(stage);
    while spool.status().unwrap().pending > 0 {
        assert!(deliverers.iter_mut().all(Running::is_alive));
    }
    drop(deliverers);

    for writer in WRITERS {
        assert!(taken(stage, writer).into_iter().eq(0..EACH), "{writer}");
    }
    let status = spool.status().unwrap();
    let all = EACH * WRITERS.len() as u64;
    assert_eq!((status.spooled, status.delivered), (all, all), "{status:?}");
    assert_eq!((status.dropped, status.corrupt), (0, 0), "{status:?}");
}
