//! Where the built programs and the module are found.
//!
//! `TACPLUS_ARTEFACTS` names the folder; without it cargo's `release` folder, or
//! the tests' own when there is none, is taken. Nothing is built here: `make test`
//! does that.

use std::path::{Path, PathBuf};

/// Where the stage sees what is under test; in the `PATH` of its programs.
pub const BUILT: &str = "/run/e2e/built";

/// Where the stage sees the helper programs of this package.
pub const OWN: &str = "/run/e2e/own";

/// The workspace's root folder, at the same place on the stage.
#[must_use]
pub fn workspace() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests)
}

/// The folder with what is under test, as the host sees it.
pub(crate) fn built() -> crate::Result<PathBuf> {
    if let Some(folder) = std::env::var_os("TACPLUS_ARTEFACTS") {
        return Ok(folder.into());
    }
    let own = own()?;
    let release = own.with_file_name("release");
    let has_module = release.join("libpam_tacplus.so").is_file();
    Ok(if has_module { release } else { own })
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
