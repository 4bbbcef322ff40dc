//! The built module as the host's loader sees it: what it offers, what it needs,
//! how large it is. `make test` builds it first; without it these tests say so.
#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test says why it fails or is skipped"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The budget of docs/architecture.md.
const MAX_BYTES: u64 = 450_000;

const EXPORTS: [&str; 6] = [
    "pam_sm_acct_mgmt",
    "pam_sm_authenticate",
    "pam_sm_chauthtok",
    "pam_sm_close_session",
    "pam_sm_open_session",
    "pam_sm_setcred",
];

fn module() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let module = root.join("target/module/libpam_tacplus.so");
    if module.is_file() {
        return Some(module);
    }
    println!(
        "skipped: {} is not built, run `make build`",
        module.display()
    );
    None
}

fn output(program: &str, args: &[&str], file: &Path) -> String {
    let output = Command::new(program).args(args).arg(file).output();
    let output = output.unwrap_or_else(|error| panic!("{program} (package binutils): {error}"));
    assert!(
        output.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_module_offers_the_six_functions_of_pam_and_nothing_else() {
    let Some(module) = module() else { return };
    let symbols = output("nm", &["-D", "--defined-only"], &module);
    let mut names: Vec<&str> = symbols
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2))
        .collect();
    names.sort_unstable();
    assert_eq!(names, EXPORTS);
}

#[test]
fn the_module_needs_libpam_and_the_c_library_and_nothing_else() {
    let Some(module) = module() else { return };
    let dynamic = output("readelf", &["-dW"], &module);
    let needed = dynamic.lines().filter(|line| line.contains("(NEEDED)"));
    let names = needed.filter_map(|line| line.split(['[', ']']).nth(1));
    for name in names {
        let known = ["libpam.so", "libc.so", "ld-linux"];
        assert!(known.iter().any(|known| name.starts_with(known)), "{name}");
    }
    assert!(!dynamic.contains("TEXTREL"), "{dynamic}");
}

#[test]
fn the_module_keeps_within_its_size() {
    let Some(module) = module() else { return };
    let size = module.metadata().unwrap().len();
    assert!(size <= MAX_BYTES, "{size} bytes");
    let sections = output("readelf", &["-SW"], &module);
    assert!(!sections.contains(".symtab"), "the module is not stripped");
}
