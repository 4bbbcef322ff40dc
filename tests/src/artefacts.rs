//! Where the built programs and modules are found.
//!
//! `TACPLUS_ARTEFACTS` names a folder with all of them; without it cargo's folders
//! `release` and `module`, or the tests' own when there are none, are taken. Nothing
//! is built here: `make build` does that.

use std::io::Write;
use std::path::{Path, PathBuf};

/// Where the stage sees what is under test; in the `PATH` of its programs.
pub const BUILT: &str = "/run/e2e/built";

/// Where the stage sees the modules.
pub const MODULES: &str = "/run/e2e/modules";

/// Where the stage sees the helper programs of this package.
pub const OWN: &str = "/run/e2e/own";

/// The workspace's root folder, at the same place on the stage.
#[must_use]
pub fn workspace() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests)
}

/// The folder with the programs that are under test, as the host sees it.
pub(crate) fn built() -> crate::Result<PathBuf> {
    folder("release", "tac_plus")
}

/// The folder with the modules that are under test, as the host sees it.
pub(crate) fn modules() -> crate::Result<PathBuf> {
    folder("module", "libpam_tacplus.so")
}

/// A module as it is delivered; `None`, with a word about it, if it is not built: what
/// the tests' own profile makes is not what a host gets.
#[must_use]
pub fn module(file: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("TACPLUS_ARTEFACTS").map(PathBuf::from);
    let path = folder
        .unwrap_or_else(|| workspace().join("target/module"))
        .join(file);
    if path.is_file() {
        return Some(path);
    }
    let _ = writeln!(
        std::io::stderr(),
        "skipped: {} is not built, run `make build`",
        path.display()
    );
    None
}

/// The folder of a profile, if it has this file.
fn folder(profile: &str, file: &str) -> crate::Result<PathBuf> {
    if let Some(folder) = std::env::var_os("TACPLUS_ARTEFACTS") {
        return Ok(folder.into());
    }
    let own = own()?;
    let folder = own.with_file_name(profile);
    Ok(if folder.join(file).is_file() {
        folder
    } else {
        own
    })
}

/// The folder with the helper programs, as the host sees it: next to the running
/// test, or, for the demo, to the running program.
pub(crate) fn own() -> crate::Result<PathBuf> {
    let exe = std::env::current_exe()?;
    let mut folders = exe.ancestors().skip(1).take(2);
    match folders.find(|folder| folder.join("holder").is_file()) {
        Some(folder) => Ok(folder.into()),
        None => Err(format!("the program 'holder' is missing beside {}", exe.display()).into()),
    }
}
