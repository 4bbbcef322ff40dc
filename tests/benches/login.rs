//! A whole login (authenticate, acct_mgmt, open_session, close_session) through
//! the built module against `tac_plus` on loopback, in a process of its own, as
//! programs that log in are. The same with `pam_permit` is the floor: the
//! difference is what TACACS+ adds.
//!
//! `TACPLUS_BENCH_PEER='/path/pam_other.so its words'` measures another module
//! beside it, against the same server; its secret is that of every stage.
#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::expect_used, reason = "criterion has no place for an error")]

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use e2e::scene::PASSWORD;
use e2e::{Result, Stage, peer};

/// The module alone in each phase, so that nothing else is measured.
fn stack(module: &str) -> String {
    ["auth", "account", "session"]
        .map(|phase| format!("{phase} required {module}\n"))
        .concat()
}

fn conf(single_connect: &str) -> String {
    format!(
        "[mapping]\nmode = local\n[server s1]\naddress = 127.0.0.1:49\nsecret = {}\n\
         single_connect = {single_connect}\n",
        peer::SECRET
    )
}

fn stage(services: &[(&str, String)]) -> Result<Stage> {
    let server = format!(
        "key = {}\naccounting file = /var/log/tac_plus.acct\nuser = alice {{\n\
         default service = permit\nglobal = cleartext {PASSWORD}\n\
         service = exec {{ priv-lvl = 15 }}\n}}\n",
        peer::SECRET
    );
    services
        .iter()
        .fold(Stage::builder(), |builder, (service, module)| {
            builder.pam(service, &stack(module))
        })
        .user("alice", 2001)
        .tacplus_conf(&conf("auto"))
        .file("/etc/tacplus-no-single.conf", 0o600, &conf("no"))
        .server_conf(&server)
        .start()
}

fn log_in(stage: &Stage, service: &str, count: u64) -> Result<Duration> {
    let operations = "authenticate acct_mgmt open_session close_session";
    let line = format!(
        "i=0; while [ $i -lt {count} ]; do i=$((i + 1)); \
         echo '{PASSWORD}' | pamtester -I rhost=192.0.2.1 {service} alice {operations} \
         >/dev/null 2>&1 || exit 1; done"
    );
    let begin = Instant::now();
    stage
        .sh(&line)?
        .success()
        .map_err(|error| stage.failure(error))?;
    Ok(begin.elapsed())
}

fn logins(criterion: &mut Criterion) {
    let mut services = vec![
        ("permit", "pam_permit.so".to_owned()),
        ("one-connection", "pam_tacplus.so".to_owned()),
        (
            "connection-a-session",
            "pam_tacplus.so conf=/etc/tacplus-no-single.conf".to_owned(),
        ),
    ];
    if let Ok(module) = std::env::var("TACPLUS_BENCH_PEER") {
        services.push(("peer", module));
    }
    let stage = stage(&services).expect("the stage is built as root, after `make build`");
    let mut group = criterion.benchmark_group("login");
    group
        .sample_size(20)
        .measurement_time(Duration::from_secs(6));
    for (service, _) in &services {
        group.bench_function(*service, |bencher| {
            bencher.iter_custom(|count| log_in(&stage, service, count).expect("a login"));
        });
    }
    group.finish();
}

criterion_group!(benches, logins);
criterion_main!(benches);
