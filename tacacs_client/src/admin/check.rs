//! `tacplus check`: is the configuration right, and what does it say.

use std::path::Path;

use tacacs_common::config::{Config, Error, Mode};

use super::NAME;
use crate::exit::{Exit, Failure};
use crate::output;

/// Prints the configuration, or everything that is wrong with it.
pub(super) fn run(path: &Path) -> Result<Exit, Failure> {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(error) => {
            list(&error);
            return Ok(Exit::Usage);
        }
    };
    for warning in &config.warnings {
        output::tell(NAME, format_args!("warning: {warning}"));
    }
    warn_of_what_is_not_there_yet(&config);
    let secrets_are_right = check_secrets(&config);
    output::result(config.show());
    if secrets_are_right {
        Ok(Exit::Pass)
    } else {
        Ok(Exit::Usage)
    }
}

/// What a file may say already and no program here does yet: it loads, and the
/// first login would show that nothing came of it.
fn warn_of_what_is_not_there_yet(config: &Config) {
    if config.mapping.mode != Mode::Local {
        output::tell(
            NAME,
            "warning: mode = unique and mode = shared count on the name lookup, which is not \
             there yet: write mode = local in [mapping]",
        );
    }
    for server in config.servers.iter().filter(|server| server.tls.is_some()) {
        let name = &server.name;
        output::tell(
            NAME,
            format_args!("warning: server '{name}' is not asked: TLS is not there yet"),
        );
    }
}

/// Secret files are opened at login only; here is where a wrong one is found in time.
fn check_secrets(config: &Config) -> bool {
    let mut all_right = true;
    if !rustix::process::geteuid().is_root() {
        output::tell(
            NAME,
            "warning: secret files are not checked, which takes root",
        );
        return all_right;
    }
    for server in &config.servers {
        if let Err(error) = server.secret() {
            all_right = false;
            list(&error);
        }
    }
    all_right
}

fn list(error: &Error) {
    for problem in error.problems() {
        output::tell(NAME, problem);
    }
}
