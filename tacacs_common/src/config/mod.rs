//! `/etc/tacplus.conf`: one configuration for every program of a host.
//!
//! Owns how that file, an old `/etc/tacplus_servers` and the PAM line are
//! read, and which of them are refused. Must never put a secret into an
//! error, a warning or a debug print, however a line is misspelled: errors
//! repeat nothing of a file but what is close to a word of ours.
//!
//! | module | owns |
//! |---|---|
//! | `types` | what programs read |
//! | `keys` | the one table of keys, defaults and help |
//! | `values` | readers of one value each |
//! | `lines` | comments, sections and values of a line |
//! | `fallback` | whom `fallback_users` names |
//! | `files` | owner, mode and size of files |
//! | `parse` | files to a draft |
//! | `old` | old keys and the PAM line |
//! | `check` | rules between keys |
//! | `host` | uids that the host has given away |
//! | `show` | a configuration as text |
//! | [`pages`] | example file, manual page and reference |

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod check;
mod draft;
mod error;
mod fallback;
mod files;
mod host;
mod keys;
mod lines;
mod old;
pub mod pages;
mod parse;
mod show;
mod types;
mod values;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use error::{Error, Place, Problem};
pub use fallback::FallbackUsers;
pub use host::HostFacts;
pub use types::*;

use crate::secret::Secret;
use draft::Here;
use files::{Loaded, Refusal};
use host::Facts;
use parse::Parser;

/// Where the configuration is, unless a program is told otherwise.
pub const PATH: &str = "/etc/tacplus.conf";

impl Config {
    /// Reads the file `path` and those that it includes.
    ///
    /// # Errors
    /// What is wrong with a file's owner, mode or text, each with its line.
    pub fn load(path: &Path) -> Result<Self, Error> {
        Self::load_with_pam_line(path, &[])
    }

    /// As [`Config::load`], but without a look at which uids this host gives to others.
    /// For lookups, of which there are many, of users that are stored already.
    ///
    /// # Errors
    /// As for [`Config::load`].
    pub fn load_for_lookup(path: &Path) -> Result<Self, Error> {
        Self::load_with(path, &[], &|| Ok(HostFacts::default()))
    }

    /// Reads the file `path`, or the one that `conf=` names, and lets the
    /// words of a PAM line override it.
    ///
    /// A `server=` replaces all servers of the file, and the agent; a
    /// `secret=` without one replaces the secrets of its servers. With a
    /// `server=` or `include=` on the line the file need not exist.
    ///
    /// # Errors
    /// As for [`Config::load`], and words of the line that are not known.
    pub fn load_with_pam_line(path: &Path, words: &[&str]) -> Result<Self, Error> {
        Self::load_with(path, words, &HostFacts::read)
    }

    fn load_with(path: &Path, words: &[&str], host: &dyn Fn() -> Facts) -> Result<Self, Error> {
        let named = old::values_of(words, "conf").last();
        let path = named.map_or(path, Path::new);
        let enough = ["server", "include"]
            .iter()
            .any(|name| old::values_of(words, name).next().is_some());
        let optional = enough && named.is_none();
        let open = |asked: &Path| match files::load(asked) {
            Err(Refusal::Missing(_)) if optional && asked == path => Ok(Loaded::empty()),
            result => result,
        };
        let mut parser = Parser::new(path, &open);
        parser.file(path, None, Some(Here::Global));
        parser.pam_line(words);
        parser
            .problems
            .or(parser.draft)
            .and_then(|draft| check::finish(draft, path, host))
    }

    /// Reads a configuration from memory, where nothing can be included and
    /// secrets may stand. For tests, and for checking a text before it is
    /// written.
    ///
    /// # Errors
    /// As for [`Config::load`], with `tacplus.conf` as the name of the file.
    pub fn parse(bytes: &[u8], host: &HostFacts) -> Result<Self, Error> {
        let path = Path::new("tacplus.conf");
        let open = |asked: &Path| {
            if asked != path {
                return Err(Refusal::Unopened("cannot be read from here".to_owned()));
            }
            Ok(Loaded {
                bytes: Secret::from_slice(bytes),
                ..Loaded::empty()
            })
        };
        let mut parser = Parser::new(path, &open);
        parser.file(path, None, Some(Here::Global));
        parser
            .problems
            .or(parser.draft)
            .and_then(|draft| check::finish(draft, path, &|| Ok(host.clone())))
    }
}
