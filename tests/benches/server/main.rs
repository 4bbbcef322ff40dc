//! The server under load, beside a null server that only reads, deobfuscates and
//! answers a constant: `cargo bench -p e2e --bench server`, after `make build`.
//!
//! | file | owns |
//! |---|---|
//! | `load` | the client |
//! | `idle` | connections that nobody uses |
//! | `subject` | the servers |
//! | `histogram` | latencies |
//!
//! The servers have one core, the load has another. Both servers run each cell in
//! turn, `ROUNDS` times: a busy machine is so to both of a pair, and the pair with the
//! median ratio counts. A word on the command line picks the cells whose name holds it.
#![allow(
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    missing_docs,
    reason = "a program that prints a table of figures"
)]

mod histogram;
mod idle;
mod load;
mod subject;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use load::{Load, Outcome, Shape, Work};
use subject::Subject;

const ROUNDS: usize = 5;
const WARM_UP: Duration = Duration::from_millis(200);
const MEASURED: Duration = Duration::from_millis(600);

fn main() -> io::Result<()> {
    let filter = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let program = program();
    let mut load_core = rustix::thread::CpuSet::new();
    load_core.set(0);
    rustix::thread::sched_setaffinity(None, &load_core)?;
    println!("| work | null | | | `tac_plus` | | | | of null |");
    println!("|---|---|---|---|---|---|---|---|---|");
    println!("| | requests/s | p50, p99 | CPU | requests/s | p50, p99 | CPU | memory | |");
    for (name, work, shape) in cells() {
        if filter.as_ref().is_none_or(|word| name.contains(word)) {
            cell(&program, &name, work, shape)?;
        }
    }
    if filter.is_none_or(|word| "idle".contains(&word)) {
        idle_connections(&program)?;
    }
    Ok(())
}

fn idle_connections(program: &Path) -> io::Result<()> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let all = rustix::process::Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, all)?;
    let count = idle::CONNECTIONS;
    let subject = Subject::tac_plus(program, "")?;
    let kept = idle::plain(subject.address, count)?;
    println!(
        "\n{} idle connections, plain: {} KB",
        kept.len(),
        subject.resident_kb()?
    );
    drop((kept, subject));
    let (subject, config) = idle::tls_subject(program)?;
    let address = subject.listens("listening for TLS on")?;
    let kept = idle::secured(address, &config, count)?;
    println!(
        "{} idle connections, TLS: {} KB",
        kept.len(),
        subject.resident_kb()?
    );
    Ok(())
}

fn program() -> PathBuf {
    let folder = std::env::var_os("TACPLUS_ARTEFACTS").map(PathBuf::from);
    let release = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release");
    folder.unwrap_or_else(release).join("tac_plus")
}

fn cells() -> Vec<(String, Work, Shape)> {
    let works = [
        ("PAP", Work::Pap),
        ("command authorization", Work::Author),
        ("accounting to a file", Work::Acct),
    ];
    let mut cells = Vec::new();
    for (name, work) in works {
        for connections in [1, 16, 64] {
            for (keep, depth, words) in [
                (false, 1, "a connection each"),
                (true, 1, "kept"),
                (true, 8, "kept, 8 deep"),
            ] {
                let shape = Shape {
                    keep,
                    connections,
                    depth,
                };
                cells.push((format!("{name}, {connections} {words}"), work, shape));
            }
        }
    }
    cells
}

struct Run {
    outcome: Outcome,
    cpu: Duration,
    memory_kb: u64,
}

fn cell(program: &Path, name: &str, work: Work, shape: Shape) -> io::Result<()> {
    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        let null = run(&Subject::null()?, work, shape)?;
        let ours = run(&Subject::tac_plus(program, "")?, work, shape)?;
        pairs.push((null, ours));
    }
    let part = |(null, ours): &(Run, Run)| ours.outcome.rate() / null.outcome.rate() * 100.0;
    pairs.sort_by(|a, b| part(a).total_cmp(&part(b)));
    let pair = pairs.swap_remove(pairs.len() / 2);
    println!(
        "| {name} | {} | {} | {} KB | {:.0} % |",
        row(&pair.0),
        row(&pair.1),
        pair.1.memory_kb,
        part(&pair)
    );
    Ok(())
}

fn run(subject: &Subject, work: Work, shape: Shape) -> io::Result<Run> {
    let mut load = Load::new(subject.address, work, shape)?;
    load.run(WARM_UP)?;
    let before = subject.processor_time()?;
    let outcome = load.run(MEASURED)?;
    let used = subject.processor_time()?.saturating_sub(before);
    Ok(Run {
        cpu: used.div_f64(outcome.requests as f64),
        memory_kb: subject.resident_kb()?,
        outcome,
    })
}

fn row(run: &Run) -> String {
    let micro = |time: Duration| format!("{:.0}", time.as_secs_f64() * 1e6);
    let quantile = |part| micro(run.outcome.latency.quantile(part));
    format!(
        "{:.0} | {}, {} µs | {:.1} µs",
        run.outcome.rate(),
        quantile(0.5),
        quantile(0.99),
        run.cpu.as_secs_f64() * 1e6
    )
}
