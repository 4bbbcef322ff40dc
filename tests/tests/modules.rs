//! The built modules as the host's loader sees them: what they offer, what they need,
//! what they cannot do, how large they are. `make test` builds them first; without them
//! these tests say so.

use std::path::Path;
use std::process::Command;

use e2e::Result;
use e2e::artefacts::module;

/// What a module promises. The sizes are the budget of docs/architecture.md.
struct Promise {
    file: &'static str,
    soname: Option<&'static str>,
    exports: &'static [&'static str],
    needs: &'static [&'static str],
    never: &'static [&'static str],
    max_bytes: u64,
}

const PROMISES: [Promise; 2] = [
    Promise {
        file: "libpam_tacplus.so",
        soname: None,
        exports: &[
            "pam_sm_acct_mgmt",
            "pam_sm_authenticate",
            "pam_sm_chauthtok",
            "pam_sm_close_session",
            "pam_sm_open_session",
            "pam_sm_setcred",
        ],
        needs: &["libpam.so", "libgcc_s.so.1", "libc.so", "ld-linux"],
        never: &[],
        max_bytes: 512_000,
    },
    Promise {
        file: "libnss_tacplus.so",
        soname: Some("libnss_tacplus.so.2"),
        exports: &[
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
        ],
        needs: &["libc.so.6", "ld-linux"],
        // It is in every program, and starts none.
        never: &["kill", "posix_spawn", "waitpid"],
        max_bytes: 384_000,
    },
];

/// What a module that is loaded into other people's programs must not even be able to
/// do: start threads, copy the process, touch signals, leave something to be done at
/// exit, end the process's use of a descriptor set, take the log's name, or look users
/// up as a program would.
const NEVER: [&str; 24] = [
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
    "openlog",
    "popen",
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
    "system",
    "vfork",
];

/// What a tool of binutils says about a file.
fn output(program: &str, args: &[&str], file: &Path) -> Result<String> {
    let output = Command::new(program).args(args).arg(file).output();
    let output = output.map_err(|error| format!("{program} (package binutils): {error}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {complaint}");
    Ok(String::from_utf8(output.stdout)?)
}

fn each(check: impl Fn(&Promise, &Path) -> Result) -> Result {
    for promise in &PROMISES {
        if let Some(path) = module(promise.file) {
            check(promise, &path)?;
        }
    }
    Ok(())
}

#[test]
fn each_module_offers_the_functions_of_its_interface_and_nothing_else() -> Result {
    each(|promise, path| {
        let symbols = output("nm", &["-D", "--defined-only"], path)?;
        let names = symbols.lines().filter_map(|line| line.split(' ').nth(2));
        let mut names: Vec<&str> = names.collect();
        names.sort_unstable();
        assert_eq!(names, promise.exports, "{}", promise.file);
        Ok(())
    })
}

#[test]
fn each_module_needs_the_c_library_and_its_host_s_and_nothing_else() -> Result {
    each(|promise, path| {
        let file = promise.file;
        let dynamic = output("readelf", &["-dW"], path)?;
        let value = |line: &str| line.split(['[', ']']).nth(1).map(str::to_owned);
        let needed = dynamic.lines().filter(|line| line.contains("(NEEDED)"));
        for name in needed.filter_map(value) {
            let known = promise.needs.iter().any(|known| name.starts_with(known));
            assert!(known, "{file}: {name}");
        }
        if let Some(soname) = promise.soname {
            assert!(dynamic.contains(&format!("Library soname: [{soname}]")));
        }
        assert!(!dynamic.contains("TEXTREL"), "{file}: {dynamic}");
        Ok(())
    })
}

#[test]
fn no_module_has_a_way_to_start_threads_or_to_touch_signals() -> Result {
    each(|promise, path| {
        let symbols = output("nm", &["-D", "--undefined-only"], path)?;
        let symbols = symbols
            .lines()
            .filter_map(|line| line.split(' ').next_back());
        for name in symbols.filter_map(|symbol| symbol.split('@').next()) {
            let file = promise.file;
            assert!(!NEVER.contains(&name), "{file}: {name}");
            assert!(!promise.never.contains(&name), "{file}: {name}");
        }
        Ok(())
    })
}

#[test]
fn each_module_keeps_within_its_size() -> Result {
    each(|promise, path| {
        let file = promise.file;
        let size = path.metadata()?.len();
        assert!(size <= promise.max_bytes, "{file}: {size} bytes");
        let sections = output("readelf", &["-SW"], path)?;
        assert!(!sections.contains(".symtab"), "{file} is not stripped");
        Ok(())
    })
}
