//! A configuration on its way into force.
//!
//! Owns trying everything that it asks for, as the user that the daemon runs as,
//! before any of it counts: what fails here fails at the start or leaves the running
//! configuration as it is, and not a login in the night.

use std::path::Path;
use std::sync::Arc;

use super::accounting::Target;
use super::limits::Limits;
use super::log::Style;
use crate::conf::{self, Loaded};
use crate::policy::Policy;

/// What is in force.
pub(super) struct Current {
    pub(super) policy: Arc<Policy>,
    pub(super) limits: Limits,
}

/// A configuration that loaded and of which everything was tried.
pub struct Setup {
    pub(super) current: Current,
    pub(super) target: Target,
    pub(super) style: Style,
    /// What the operator should know.
    pub warnings: Vec<String>,
}

impl Setup {
    /// Reads a file and tries what it asks for. `descriptors` is how many files this
    /// process may have open.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, in words for the operator.
    pub fn load(path: &Path, descriptors: usize) -> Result<Self, String> {
        let loaded = conf::load(path).map_err(|error| error.to_string())?;
        Self::of(loaded, descriptors)
    }

    /// Tries what a configuration asks for.
    ///
    /// # Errors
    ///
    /// As [`Setup::load`].
    pub fn of(loaded: Loaded, descriptors: usize) -> Result<Self, String> {
        let settings = &loaded.policy.settings;
        let target = Target::of(settings);
        target.check()?;
        let limits = Limits::of(&settings.limits).within(descriptors);
        Ok(Self {
            style: Style::of(settings),
            target,
            current: Current {
                policy: Arc::new(loaded.policy),
                limits,
            },
            warnings: loaded.warnings,
        })
    }
}
