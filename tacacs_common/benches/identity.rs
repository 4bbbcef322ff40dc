//! Lookups in the identity store, opening it included, as a process does each time.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a bench fails by panicking"
)]

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tacacs_common::identity::{Store, StoreError, Writer};

const FIRST: u32 = 2_010_000_000;

fn name(number: u32) -> String {
    format!("user{number:06}")
}

/// Not in the order of the names.
fn uid(number: u32) -> u32 {
    FIRST + (u64::from(number) * 2_654_435_761 % 100_000_007) as u32
}

/// A store of so many entries, in the layout that `identity::store` describes: to put
/// them in one by one would take longer than the whole bench.
fn store(size: u32) -> String {
    const HEAD: usize = 41;
    let (mut lines, mut index) = (String::new(), BTreeMap::new());
    for number in 0..size {
        let (name, uid) = (name(number), uid(number));
        index.insert(uid, HEAD + lines.len());
        lines += &format!(
            "{name}:{uid}:{uid}:Somebody of the network:/home/{name}:/bin/bash:4,27,100:15:1700000000:0:active\n"
        );
    }
    let start = HEAD + lines.len();
    for (uid, offset) in index {
        lines += &format!("{uid:010} {offset:010}\n");
    }
    let size = HEAD + lines.len();
    format!("tacplus-identity 1 {start:010} {size:010}\n{lines}")
}

fn lookups(criterion: &mut Criterion) {
    for size in [1_000, 100_000] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity");
        std::fs::write(&path, store(size)).unwrap();
        let names: Vec<String> = (0..size).map(name).collect();
        let uids: Vec<u32> = (0..size).map(uid).collect();
        let mut group = criterion.benchmark_group(format!("{size} entries"));
        let mut at = 0_usize;
        let mut next = || {
            at = (at + 7919) % names.len();
            at
        };
        group.bench_function("by name", |bencher| {
            bencher.iter(|| {
                let name = names[next()].as_bytes();
                let found = Store::open(&path).unwrap().by_name(black_box(name));
                assert!(found.unwrap().is_some());
            });
        });
        group.bench_function("by uid", |bencher| {
            bencher.iter(|| {
                let uid = uids[next()];
                let found = Store::open(&path).unwrap().by_uid(black_box(uid));
                assert!(found.unwrap().is_some());
            });
        });
        group.bench_function("nobody's name", |bencher| {
            bencher.iter(|| {
                let found = Store::open(&path).unwrap().by_name(black_box(b"user05x"));
                assert!(found.unwrap().is_none());
            });
        });
        group.bench_function("a change", |bencher| {
            bencher.iter(|| {
                let writer = Writer::open(&path).unwrap();
                let done: Result<(), StoreError> = writer.change(|book| {
                    book.find("user000007").unwrap().learned += 1;
                    Ok(())
                });
                done.unwrap();
            });
        });
        group.finish();
    }
}

criterion_group!(benches, lookups);
criterion_main!(benches);
