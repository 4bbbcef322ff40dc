//! A whole login (authenticate, acct_mgmt, open_session, close_session) through
//! the built module against `tac_plus` on loopback, and the same with
//! `pam_permit`: the difference is what TACACS+ adds.
#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::expect_used, reason = "criterion has no place for an error")]

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use e2e::scene::{self, PASSWORD, STACK, server_conf};
use e2e::{Result, Stage};

const PERMIT: &str = "\
auth    required pam_permit.so
account required pam_permit.so
session required pam_permit.so
";

fn stage() -> Result<Stage> {
    scene::host(&["127.0.0.1:49"], "")
        .server_conf(&server_conf())
        .pam("tacacs", STACK)
        .pam("permit", PERMIT)
        .start()
}

/// So many logins, each by a process of its own, as programs that log in are.
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
    let stage = stage().expect("the stage is built as root, after `make build`");
    let mut group = criterion.benchmark_group("login");
    group
        .sample_size(20)
        .measurement_time(Duration::from_secs(6));
    for service in ["permit", "tacacs"] {
        group.bench_function(service, |bencher| {
            bencher.iter_custom(|count| log_in(&stage, service, count).expect("a login"));
        });
    }
    group.finish();
}

criterion_group!(benches, logins);
criterion_main!(benches);
