//! tac_plus.conf(5), a front end of [`crate::policy`].
//!
//! Owns the language: words, grammar, error texts and the normalised form. Must
//! never decide what a configuration means; that is the policy's.
//!
//! | file | owns |
//! |---|---|
//! | `source` | line numbers, carets, masking of secrets |
//! | `lexer` | words |
//! | `parser` | the top level, hosts and access lists |
//! | `profile` | users and groups |
//! | `print` | the normalised form without secrets |

mod lexer;
mod parser;
mod print;
mod profile;
mod source;
#[cfg(test)]
mod tests;

use std::path::Path;

pub use source::Error;

use crate::policy::Policy;
use crate::policy::draft::Draft;

/// A configuration that loaded.
pub struct Loaded {
    /// What it means.
    pub policy: Policy,
    /// What the operator should know.
    pub warnings: Vec<String>,
}

/// Reads and compiles a file.
///
/// # Errors
///
/// The first thing that is wrong, with its place.
pub fn load(path: &Path) -> Result<Loaded, Error> {
    compile(path, read(path)?)
}

/// Checks a file and gives back what it says without secrets, and the warnings:
/// `tac_plus -P`.
///
/// # Errors
///
/// As [`load`].
pub fn check(path: &Path) -> Result<(String, Vec<String>), Error> {
    let (loaded, draft) = translate(path, read(path)?)?;
    Ok((print::normalised(&draft), loaded.warnings))
}

/// Compiles a text; `path` is only for messages.
///
/// # Errors
///
/// The first thing that is wrong, with its place.
pub fn compile(path: &Path, text: Vec<u8>) -> Result<Loaded, Error> {
    translate(path, text).map(|(loaded, _)| loaded)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| Error {
        path: path.to_owned(),
        line: 0,
        column: 0,
        message: format!("cannot read the configuration: {error}"),
        excerpt: String::new(),
        hint: None,
    })
}

fn translate(path: &Path, text: Vec<u8>) -> Result<(Loaded, Draft), Error> {
    let mut source = source::Source::new(path, text);
    let mut draft = Draft::default();
    let mut warnings = match parser::parse(&mut source, &mut draft) {
        Ok(warnings) => warnings,
        Err(problem) => return Err(source.error(problem)),
    };
    let policy = Policy::compile(&draft, &mut warnings).map_err(|problem| source.error(problem))?;
    let warnings = warnings
        .into_iter()
        .map(|problem| source.warning(problem))
        .collect();
    Ok((Loaded { policy, warnings }, draft))
}
