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
use std::fs::{Metadata, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::geteuid;

pub use source::Error;

use crate::policy::Policy;
use crate::policy::draft::{At, Credential, Draft};

/// How long whoever writes a configuration into a pipe may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A configuration that loaded.
pub struct Loaded {
    /// What it means.
    pub policy: Policy,
    /// What the operator should know.
    pub warnings: Vec<String>,
    /// Who besides root and the server's own user may write it, if anybody may.
    pub(crate) written_by_others: Option<String>,
    /// Password files, and by whom and in which line each is named first.
    pub(crate) password_files: HashMap<PathBuf, String>,
}

/// Reads and compiles a file.
///
/// # Errors
///
/// The first thing that is wrong, with its place.
pub fn load(path: &Path) -> Result<Loaded, Error> {
    load_with_draft(path).map(|(loaded, _)| loaded)
}

/// As [`load`], and what the file says without its secrets.
///
/// # Errors
///
/// As [`load`].
pub fn check(path: &Path) -> Result<(String, Loaded), Error> {
    let (loaded, draft) = load_with_draft(path)?;
    Ok((print::normalised(&draft), loaded))
}

fn load_with_draft(path: &Path) -> Result<(Loaded, Draft), Error> {
    let (text, metadata) = read(path)?;
    let (mut loaded, draft) = translate(path, text)?;
    // It holds every secret (RFC 8907 section 10.5.1).
    if metadata.mode() & 0o007 != 0 {
        let path = path.display();
        loaded.warnings.push(format!(
            "{path}: warning: everybody on this host can get at its secrets (chmod o= {path})"
        ));
    }
    loaded.written_by_others = written_by_others(path, &metadata);
    Ok((loaded, draft))
}

/// Who besides root and this process's user may write a file, in words for the operator.
pub(crate) fn written_by_others(path: &Path, metadata: &Metadata) -> Option<String> {
    let path = path.display();
    let (owner, own) = (metadata.uid(), geteuid().as_raw());
    if metadata.is_file() && metadata.mode() & 0o002 != 0 {
        return Some(format!(
            "{path}: everybody on this host may write it (chmod o-w {path})"
        ));
    }
    (metadata.is_file() && owner != 0 && owner != own).then(|| {
        format!("{path}: it belongs to user {owner}, who may write it (chown root {path})")
    })
}

/// Compiles a text; `path` is only for messages.
///
/// # Errors
///
/// The first thing that is wrong, with its place.
pub fn compile(path: &Path, text: Vec<u8>) -> Result<Loaded, Error> {
    translate(path, text).map(|(loaded, _)| loaded)
}

/// The file, and what the system says of it. Waits for nobody who keeps a pipe open.
fn read(path: &Path) -> Result<(Vec<u8>, Metadata), Error> {
    let read = || -> std::io::Result<(Vec<u8>, Metadata)> {
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path)?;
        let metadata = file.metadata()?;
        let mut text = Vec::new();
        let end = Instant::now() + PATIENCE;
        loop {
            match file.read_to_end(&mut text) {
                Ok(_) => return Ok((text, metadata)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if Instant::now() >= end {
                let why = "it is a pipe, and whoever writes it does not end";
                return Err(std::io::Error::new(ErrorKind::TimedOut, why));
            }
            let mut pipe = [PollFd::new(&file, PollFlags::IN)];
            // Whatever comes of it, it is read next.
            let _ = poll(&mut pipe, Timespec::try_from(PATIENCE).ok().as_ref());
        }
    };
    read().map_err(|error| Error {
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
    let (mut draft, mut warnings) = match top::parse(&mut source) {
        Ok(read) => read,
        Err(problem) => return Err(source.error(problem)),
    };
    draft.line_starts = source.line_starts().to_vec();
    let policy = Policy::compile(&draft, &mut warnings).map_err(|problem| source.error(problem))?;
    warnings.sort_by_key(|problem| problem.place.start);
    let warnings = warnings
        .into_iter()
        .map(|problem| source.warning(problem))
        .collect();
    let loaded = Loaded {
        policy,
        warnings,
        written_by_others: None,
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
