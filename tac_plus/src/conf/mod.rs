//! tac_plus.conf(5), a front end of [`crate::policy`].
//!
//! Owns the language: words, grammar, error texts and the normalised form. Must
//! never decide what a configuration means; that is the policy's.
//!
//! | file | owns |
//! |---|---|
//! | `source` | line numbers, carets, masking of secrets |
//! | `lexer` | words |
//! | `parser` | what the grammar is made of |
//! | `block` | blocks that are not closed |
//! | `top` | the top level and access lists |
//! | `host` | clients |
//! | `credential` | passwords |
//! | `profile` | users and groups |
//! | `print` | the normalised form without secrets |

mod block;
mod credential;
mod host;
mod lexer;
mod parser;
mod print;
mod profile;
mod source;
#[cfg(test)]
mod tests;
mod top;

use std::collections::HashMap;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use source::Error;

use crate::policy::Policy;
use crate::policy::draft::{At, Credential, Draft};

/// A configuration that loaded.
pub struct Loaded {
    /// What it means.
    pub policy: Policy,
    /// What the operator should know.
    pub warnings: Vec<String>,
    /// Password files, and by whom and in which line each is named first.
    pub(crate) password_files: HashMap<PathBuf, String>,
}

/// Reads and compiles a file.
///
/// # Errors
///
/// The first thing that is wrong, with its place.
pub fn load(path: &Path) -> Result<Loaded, Error> {
    let (text, warning) = read(path)?;
    let mut loaded = compile(path, text)?;
    loaded.warnings.extend(warning);
    Ok(loaded)
}

/// As [`load`], and what the file says without its secrets.
///
/// # Errors
///
/// As [`load`].
pub fn check(path: &Path) -> Result<(String, Loaded), Error> {
    let (text, warning) = read(path)?;
    let (mut loaded, draft) = translate(path, text)?;
    loaded.warnings.extend(warning);
    Ok((print::normalised(&draft), loaded))
}

/// Compiles a text; `path` is only for messages.
///
/// # Errors
///
/// The first thing that is wrong, with its place.
pub fn compile(path: &Path, text: Vec<u8>) -> Result<Loaded, Error> {
    translate(path, text).map(|(loaded, _)| loaded)
}

/// The file, and a warning if it lies open: it holds every secret (RFC 8907 section 10.5.1).
fn read(path: &Path) -> Result<(Vec<u8>, Option<String>), Error> {
    let read = || -> std::io::Result<(Vec<u8>, u32)> {
        let mut file = std::fs::File::open(path)?;
        let mode = file.metadata()?.permissions().mode();
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        Ok((text, mode))
    };
    let (text, mode) = read().map_err(|error| Error {
        path: path.to_owned(),
        line: 0,
        column: 0,
        message: format!("cannot read the configuration: {error}"),
        excerpt: String::new(),
        hint: None,
    })?;
    let warning = (mode & 0o007 != 0).then(|| {
        let path = path.display();
        format!("{path}: warning: everybody on this host can get at its secrets (chmod o= {path})")
    });
    Ok((text, warning))
}

fn translate(path: &Path, text: Vec<u8>) -> Result<(Loaded, Draft), Error> {
    let mut source = source::Source::new(path, text);
    let (draft, mut warnings) = match top::parse(&mut source) {
        Ok(read) => read,
        Err(problem) => return Err(source.error(problem)),
    };
    let policy = Policy::compile(&draft, &mut warnings).map_err(|problem| source.error(problem))?;
    warnings.sort_by_key(|problem| problem.place.start);
    let warnings = warnings
        .into_iter()
        .map(|problem| source.warning(problem))
        .collect();
    let loaded = Loaded {
        policy,
        warnings,
        password_files: password_files(path, &draft, &source),
    };
    Ok((loaded, draft))
}

/// Password files, each with the first who names it.
fn password_files(path: &Path, draft: &Draft, source: &source::Source) -> HashMap<PathBuf, String> {
    let mut files = HashMap::new();
    let mut add = |what: &str, name: &[u8], at: &At<Arc<Credential>>| {
        if let Credential::File(file) = at.value.as_ref() {
            files.entry(file.clone()).or_insert_with(|| {
                let (path, line) = (path.display(), source.line_number(at.place.start));
                let name = String::from_utf8_lossy(name);
                format!("{path}:{line}: {what} '{}'", name.escape_debug())
            });
        }
    };
    if let Some(at) = &draft.default_authentication {
        add("default", b"authentication", at);
    }
    for host in &draft.hosts {
        let name = host.network.value.to_string();
        let enable = host.enable.iter();
        enable.for_each(|at| add("host", name.as_bytes(), at));
    }
    for (what, profiles) in [("group", &draft.groups), ("user", &draft.users)] {
        for profile in profiles {
            let own = profile.credentials.typed().into_iter().flatten();
            own.for_each(|at| add(what, &profile.name.value, at));
        }
    }
    files
}
