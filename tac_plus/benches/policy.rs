//! Configurations of a size that nobody has: how long they take to load, and whether
//! a request among a hundred thousand users costs more than among ten.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench fails by panicking"
)]

use std::fmt::Write;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use tac_plus::conf;
use tac_plus::policy::values::Date;
use tac_plus::policy::{Input, Policy, Reply, Session, Step};
use tacacs_common::packet::{
    ArgumentsBuf, AuthenMethod, AuthenService, AuthenType, AuthorRequest, AuthorStatus, PrivLvl,
    Version,
};

const KEY: &str = "key = \"a secret of more than sixteen\"\n";
const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const TODAY: Date = Date::NEVER;

fn users(count: u32) -> String {
    let mut text = KEY.to_owned();
    for group in 0..20 {
        let _ = writeln!(
            text,
            "group = g{group} {{ service = exec {{ priv-lvl = 15 }} cmd = configure {{ deny terminal permit .* }} cmd = show {{ permit ^version permit \"^(ip|ipv6) route\" deny .* }} }}"
        );
    }
    for user in 0..count {
        let group = user % 20;
        let _ = writeln!(
            text,
            "user = user{user} {{ member = g{group} pap = cleartext password{user} }}"
        );
    }
    text
}

fn expressions(count: u32) -> String {
    let mut text = KEY.to_owned();
    for number in 0..count {
        let _ = writeln!(
            text,
            "user = user{number} {{ cmd = show {{ permit \"^(ip|ipv6) route vrf v{number}( .*)?$\" }} }}"
        );
    }
    text
}

fn load(text: String) -> Policy {
    conf::compile(Path::new("bench.conf"), text.into())
        .unwrap_or_else(|error| panic!("{error}"))
        .policy
}

fn step(policy: &Policy, input: Input<'_>) -> Reply {
    let client = Arc::clone(policy.client(CLIENT).unwrap());
    match Session::new(CLIENT, client).step(policy, TODAY, input) {
        Step::Reply(reply, _) => reply,
        _ => panic!("no answer"),
    }
}

fn command(policy: &Policy, user: &[u8]) {
    let mut args = ArgumentsBuf::new();
    args.mandatory("service", b"shell").unwrap();
    args.mandatory("cmd", b"show").unwrap();
    args.mandatory("cmd-arg", b"ip").unwrap();
    args.mandatory("cmd-arg", b"route").unwrap();
    args.mandatory("cmd-arg", b"<cr>").unwrap();
    let request = AuthorRequest {
        authen_method: AuthenMethod::TacacsPlus,
        priv_lvl: PrivLvl::USER,
        authen_type: AuthenType::Ascii,
        authen_service: AuthenService::Login,
        user,
        port: b"tty1",
        rem_addr: b"198.51.100.7",
        args: args.as_arguments(),
    };
    let Reply::Author(decision) = step(policy, Input::Author(request, Version::DEFAULT)) else {
        panic!("another answer");
    };
    assert_eq!(decision.status, AuthorStatus::PassAdd);
}

fn loading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("load");
    group.sample_size(10);
    for (name, text) in [
        ("100,000 users in 20 groups", users(100_000)),
        ("100,000 expressions", expressions(100_000)),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter_batched(|| text.clone(), load, BatchSize::PerIteration);
        });
    }
    group.finish();
}

fn answering(criterion: &mut Criterion) {
    for count in [10, 100_000] {
        let policy = load(users(count));
        criterion.bench_function(&format!("a command among {count} users"), |bencher| {
            bencher.iter(|| command(&policy, b"user7"));
        });
    }
}

criterion_group!(benches, loading, answering);
criterion_main!(benches);
