//! Where the shared secret comes from.
//!
//! Owns the order of its sources: `-k`, `--key-file`, `TACACS_PLUS_KEY`, and the
//! terminal last.

use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use tacacs_common::config::{Address, SecretSource, Server};
use tacacs_common::secret::Secret;
use tacacs_common::terminal;

use crate::args::{Common, Hidden};
use crate::exit::Failure;
use crate::warn;

/// The environment variable with the shared secret.
pub(crate) const VARIABLE: &str = "TACACS_PLUS_KEY";

/// Under this a secret can be guessed from one captured packet (RFC 8907 section
/// 10.5.1 asks for 16 at least).
const SHORT: usize = 16;

/// The secret of the command line: `-k` or `--key-file`.
pub(crate) fn of_command_line(
    key: Option<&Hidden>,
    file: Option<(&str, &Path)>,
) -> Result<Option<Secret>, Failure> {
    let secret = match (key, file) {
        (Some(key), _) => Secret::from_slice(key.expose()),
        (None, Some((option, path))) => of_file(option, path)?,
        (None, None) => return Ok(None),
    };
    checked(secret).map(Some)
}

/// The secret of the environment.
pub(crate) fn of_environment() -> Result<Option<Secret>, Failure> {
    std::env::var_os(VARIABLE)
        .filter(|value| !value.is_empty())
        .map(|value| checked(Secret::new(value.into_vec())))
        .transpose()
}

/// The secret for a server named on the command line.
pub(crate) fn for_host(common: &Common) -> Result<Secret, Failure> {
    let file = common.key_file.as_deref().map(|path| ("--key-file", path));
    if let Some(secret) = of_command_line(common.key.as_ref(), file)? {
        return Ok(secret);
    }
    if let Some(secret) = of_environment()? {
        return Ok(secret);
    }
    let typed = terminal::ask_hidden("tacacs+ shared key: ").map_err(|error| {
        Failure::usage(format!(
            "no shared key and no terminal to ask for it ({error}): use --key-file or {VARIABLE}"
        ))
    })?;
    checked(typed)
}

/// Reads a secret file by the rules for those of the configuration, except that a
/// short one is let through: this is a tool to find out what is wrong.
fn of_file(option: &str, path: &Path) -> Result<Secret, Failure> {
    let mut source = SecretSource::file(path.to_owned(), option);
    if let SecretSource::File(file) = &mut source {
        file.weak = true;
    }
    let nowhere = Address::Unix(path.to_owned());
    let secret = Server::new(option, nowhere, Some(source))
        .secret()
        .map_err(Failure::usage)?;
    secret.ok_or_else(|| Failure::usage(format!("{option}: no secret")))
}

fn checked(secret: Secret) -> Result<Secret, Failure> {
    if secret.is_empty() {
        return Err(Failure::usage("the shared key is empty"));
    }
    if secret.len() < SHORT {
        warn("the shared key is shorter than 16 characters and can be guessed from a capture");
    }
    Ok(secret)
}
