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
const MAX_BYTES: u64 = 350_000;

const EXPORTS: [&str; 11] = [
    "_nss_tacplus_endgrent",
    "_nss_tacplus_endpwent",
    "_nss_tacplus_getgrent_r",
    "_nss_tacplus_getgrgid_r",
    "_nss_tacplus_getgrnam_r",
    "_nss_tacplus_getpwent_r",
    "_nss_tacplus_getpwnam_r",
    "_nss_tacplus_getpwuid_r",
    "_nss_tacplus_initgroups_dyn",
    "_nss_tacplus_setgrent",
    "_nss_tacplus_setpwent",
];

/// What a module that is loaded into every program must not even be able to do: start
/// threads or programs, touch signals, leave something to be done at exit, end the
/// process's use of a descriptor set, or look names up itself.
const NEVER: [&str; 22] = [
    "atexit",
    "__cxa_atexit",
    "__cxa_thread_atexit_impl",
    "execve",
    "execvp",
    "fork",
    "getgrnam",
    "getpwnam",
    "getpwnam_r",
    "getpwuid_r",
    "kill",
    "openlog",
    "posix_spawnp",
    "pthread_atfork",
    "pthread_create",
    "pthread_key_create",
    "pthread_sigmask",
    "raise",
    "select",
    "sigaction",
    "sigaltstack",
    "signal",
];

fn module() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let module = root.join("target/module/libnss_tacplus.so");
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
fn the_module_offers_the_functions_of_nss_and_nothing_else() {
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
fn the_module_needs_the_c_library_and_nothing_else() {
    let Some(module) = module() else { return };
    let dynamic = output("readelf", &["-dW"], &module);
    let needed = dynamic.lines().filter(|line| line.contains("(NEEDED)"));
    let names = needed.filter_map(|line| line.split(['[', ']']).nth(1));
    for name in names {
        let known = ["libc.so.6", "ld-linux"];
        assert!(known.iter().any(|known| name.starts_with(known)), "{name}");
    }
    assert!(dynamic.contains("Library soname: [libnss_tacplus.so.2]"));
    assert!(!dynamic.contains("TEXTREL"), "{dynamic}");
}

#[test]
fn the_module_has_no_way_to_start_threads_or_programs_or_to_touch_signals() {
    let Some(module) = module() else { return };
    let symbols = output("nm", &["-D", "--undefined-only"], &module);
    for line in symbols.lines() {
        let symbol = line.split_whitespace().last().unwrap_or_default();
        let name = symbol.split('@').next().unwrap_or_default();
        assert!(!NEVER.contains(&name), "{name}");
    }
}

#[test]
fn the_module_keeps_within_its_size() {
    let Some(module) = module() else { return };
    let size = module.metadata().unwrap().len();
    assert!(size <= MAX_BYTES, "{size} bytes");
    let sections = output("readelf", &["-SW"], &module);
    assert!(!sections.contains(".symtab"), "the module is not stripped");
}
