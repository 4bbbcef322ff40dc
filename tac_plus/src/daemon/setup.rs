//! A configuration on its way into force.
//!
//! Owns trying everything that it asks for, as the user that the daemon runs as,
//! before any of it counts: what fails here fails at the start or leaves the running
//! configuration as it is, and not a login in the night.

use std::path::PathBuf;
use std::sync::Arc;

use super::accounting::Target;
use super::limits::Limits;
use super::listen::{Endpoint, Listening};
use super::log::Style;
use super::tls::Tls;
use crate::conf::{self, Loaded};
use crate::effects;
use crate::policy::Policy;

/// What is in force.
pub(super) struct Current {
    pub(super) policy: Arc<Policy>,
    pub(super) limits: Limits,
    pub(super) tls: Option<Tls>,
}

/// Where a configuration comes from, and what it cannot say.
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// How many files this process may have open.
    pub descriptors: usize,
    /// What the command line and the service manager say about addresses.
    pub listening: Listening,
}

/// A configuration that loaded and of which everything was tried.
pub struct Setup {
    pub(super) current: Current,
    pub(super) target: Target,
    pub(super) style: Style,
    pub(super) endpoints: Vec<Endpoint>,
    /// What the operator should know.
    pub warnings: Vec<String>,
}

impl Source {
    /// What the file says without its secrets, and what the operator should know: what
    /// [`Source::load`] would find, without serving it.
    ///
    /// # Errors
    ///
    /// As [`Source::load`].
    pub fn check(&self) -> Result<(String, Vec<String>), String> {
        let (text, loaded) = conf::check(&self.path).map_err(|error| error.to_string())?;
        Ok((text, self.try_out(loaded)?.warnings))
    }

    /// Reads the file and tries what it asks for.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, in words for the operator.
    pub fn load(&self) -> Result<Setup, String> {
        let loaded = conf::load(&self.path).map_err(|error| error.to_string())?;
        self.try_out(loaded)
    }

    /// Tries what a configuration asks for.
    ///
    /// # Errors
    ///
    /// As [`Source::load`].
    pub fn try_out(&self, loaded: Loaded) -> Result<Setup, String> {
        let mut warnings = loaded.warnings;
        let settings = &loaded.policy.settings;
        let key = settings.tls.key.as_ref().and_then(|key| {
            let metadata = std::fs::metadata(key).ok()?;
            conf::written_by_others(key, &metadata)
        });
        // Whoever writes it is root's master, or only the server's.
        for trouble in loaded.written_by_others.into_iter().chain(key) {
            if rustix::process::geteuid().is_root() {
                return Err(trouble);
            }
            warnings.push(trouble);
        }
        let target = Target::of(settings);
        warnings.extend(target.trouble());
        effects::try_out(&loaded.policy, &loaded.password_files, &mut warnings);
        let endpoints = self.listening.endpoints(settings)?;
        let tls = Tls::load(&settings.tls, &mut warnings)?;
        if tls.is_some() && !endpoints.iter().any(|endpoint| endpoint.tls) {
            warnings.push(
                "no TLS is served: the service manager hands over sockets, and none for TLS"
                    .to_owned(),
            );
        }
        if tls.is_some() && endpoints.iter().any(|endpoint| !endpoint.tls) {
            warnings.push(
                "plain TCP is served beside TLS: whoever can read the network reads those \
                 clients' passwords"
                    .to_owned(),
            );
        }
        Ok(Setup {
            style: Style::of(settings),
            target,
            endpoints,
            current: Current {
                limits: Limits::of(&settings.limits).within(self.descriptors),
                policy: Arc::new(loaded.policy),
                tls,
            },
            warnings,
        })
    }
}
