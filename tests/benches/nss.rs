//! Lookups of users in the identity store by the built NSS module: as whole processes
//! (`getent`), beside the same of a local user, and within one process, where the store
//! has 1,000 entries and 100,000. The program of the latter is `src/nss_host.c`.
#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::expect_used, reason = "criterion has no place for an error")]
#![allow(clippy::print_stdout, reason = "criterion cannot measure two in turns")]

use std::fmt::Write;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use e2e::users;
use e2e::{Result, Stage};
use tacacs_common::identity;

/// The one who is looked up: somewhere in the middle of the names.
const NAME: &str = "user0500";
const UID: u32 = 2_010_000_500;

/// A stage whose store has so many entries.
fn stage(entries: u32) -> Result<Stage> {
    let stage = users::host(&["127.0.0.1:49"], "", "mode = unique").start()?;
    stage.write(identity::PATH, 0o644, &store(entries))?;
    users::put_nss_host(&stage)?;
    // As a package does: without it the loader looks for the module in many folders.
    stage.sh("ldconfig")?.success()?;
    Ok(stage)
}

/// The text of a store, in the layout that `tacacs_common::identity` reads.
fn store(entries: u32) -> String {
    const HEAD: usize = "tacplus-identity 1 0000000000 0000000000\n".len();
    let (mut lines, mut index) = (String::new(), String::new());
    let mut names: Vec<(String, u32)> = (0..entries)
        .map(|number| (format!("user{number:04}"), 2_010_000_000 + number))
        .collect();
    names.sort();
    let mut offsets = Vec::new();
    for (name, uid) in names {
        offsets.push((uid, HEAD + lines.len()));
        let _ = writeln!(
            lines,
            "{name}:{uid}:{uid}::/home/{name}:/bin/bash:27,100:15:1700000000:0:active"
        );
    }
    offsets.sort_unstable();
    for (uid, offset) in offsets {
        let _ = writeln!(index, "{uid:010} {offset:010}");
    }
    let start = HEAD + lines.len();
    let size = start + index.len();
    format!("tacplus-identity 1 {start:010} {size:010}\n{lines}{index}")
}

/// So many processes, one after the other.
fn processes(stage: &Stage, name: &str, count: u32) -> Result<Duration> {
    let line = format!(
        "i=0; while [ $i -lt {count} ]; do i=$((i + 1)); getent passwd {name} >/dev/null || exit 1; done"
    );
    let begin = Instant::now();
    stage.sh(&line)?.success()?;
    Ok(begin.elapsed())
}

/// So many lookups in each of these threads of one process.
fn within(stage: &Stage, how: &str, count: u64, threads: u64) -> Result<Duration> {
    let (uid, count, threads) = (UID.to_string(), count.to_string(), threads.to_string());
    let output = stage.run("nss_host", &["time", NAME, &uid, how, &count, &threads])?;
    output.success()?;
    Ok(Duration::from_nanos(output.stdout.trim().parse()?))
}

/// `getent passwd` of the stored user against that of a local one, in turn: a ratio that a
/// busy machine cannot move by being busy at the wrong moment.
fn whole_processes(stage: &Stage) {
    const TURNS: usize = 40;
    const COUNT: u32 = 100;
    let [mut files, mut stored] = [const { Vec::new() }; 2];
    for _ in 0..TURNS {
        for (name, times) in [("bob", &mut files), (NAME, &mut stored)] {
            let time = processes(stage, name, COUNT).expect("a lookup");
            times.push(time / COUNT);
        }
    }
    for times in [&mut files, &mut stored] {
        times.sort_unstable();
    }
    for (what, at) in [("lower quartile", TURNS / 4), ("median", TURNS / 2)] {
        let (files, stored) = (files[at], stored[at]);
        let ratio = stored.as_secs_f64() / files.as_secs_f64();
        println!("getent, {what}: files {files:.2?}, stored {stored:.2?}, {ratio:.2} times");
    }
}

fn lookups(criterion: &mut Criterion) {
    let small = stage(1_000).expect("the stage is built as root, after `make build`");
    whole_processes(&small);

    let large = stage(100_000).expect("as above");
    for (entries, stage) in [("1,000", &small), ("100,000", &large)] {
        let mut group = criterion.benchmark_group(format!("among {entries}"));
        group
            .sample_size(10)
            .measurement_time(Duration::from_secs(2));
        for (what, how, threads) in [
            ("getpwnam", "name", 1),
            ("getpwnam, 8 threads", "name", 8),
            ("getpwuid", "uid", 1),
            ("getpwuid, 8 threads", "uid", 8),
            ("initgroups", "groups", 1),
            ("not stored", "x", 1),
            ("fork", "empty fork", 1),
            ("fork and getpwnam", "fork", 1),
        ] {
            group.bench_function(what, |bencher| {
                bencher.iter_custom(|count| within(stage, how, count, threads).expect("a lookup"));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, lookups);
criterion_main!(benches);
