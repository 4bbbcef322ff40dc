//! Where the built programs and the module are found.
//!
//! `TACPLUS_ARTEFACTS` names the folder; without it the workspace's own
//! `target/release` is taken. Nothing is built here: `make test` does that.

use std::path::{Path, PathBuf};

/// The workspace's root folder.
pub fn workspace() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests)
}

/// The built file `name`, or an error that says how to build it.
pub fn built(name: &str) -> crate::Result<PathBuf> {
    let folder = std::env::var_os("TACPLUS_ARTEFACTS")
        .map_or_else(|| workspace().join("target/release"), PathBuf::from);
    let path = folder.join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(format!("{} is missing: run `make build` first", path.display()).into())
}

/// A helper program of this package (`holder`, `answer`, `peer`): built by cargo
/// next to the running test or, for the demo, next to the running program.
pub fn own(name: &str) -> crate::Result<PathBuf> {
    let exe = std::env::current_exe()?;
    let found = exe
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name));
    found
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| format!("{name} is missing beside {}", exe.display()).into())
}
