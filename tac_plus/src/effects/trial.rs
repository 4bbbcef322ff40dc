//! A configuration's files and programs, tried before it counts.
//!
//! Owns what is looked at, as the user that the daemon runs as. All of it is a warning:
//! who needs something else is served without it, as by the original.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::{passwd, program};
use crate::escape::Word;
use crate::policy::Policy;
use crate::policy::callout::{Callout, Part};
use crate::policy::draft::Credential;

/// Where Linux-PAM looks for services.
const SERVICES: [&str; 3] = ["/etc/pam.d", "/usr/lib/pam.d", "/usr/etc/pam.d"];

/// Tries everything that logins and authorizations will need. `named`: by whom password
/// files are.
pub(crate) fn try_out(
    policy: &Policy,
    named: &HashMap<PathBuf, String>,
    warnings: &mut Vec<String>,
) {
    let mut files = HashSet::new();
    let mut pam = false;
    for credential in policy.credentials() {
        match credential {
            Credential::File(path) if files.insert(path) => {
                let by = named.get(path).map_or("", String::as_str);
                warnings.extend(try_file(policy, path).map(|trouble| format!("{by}: {trouble}")));
            }
            Credential::Pam => pam = true,
            _ => {}
        }
    }
    let service = &policy.settings.pam_service;
    let folders = SERVICES.map(Path::new);
    // Without any of them, there is one file for all services.
    let known = !folders.iter().any(|folder| folder.is_dir())
        || folders.iter().any(|folder| folder.join(service).exists());
    if pam && !known {
        warnings.push(format!(
            "PAM has no service '{service}', so '/etc/pam.d/other' decides about its users"
        ));
    }
    let mut tried = HashSet::new();
    for callout in policy.callouts() {
        let mut words = plain_words(callout).into_iter();
        if let (Callout::Words(_), Some(name)) = (callout, words.next())
            && tried.insert(name)
            && !program::can_start(path_of(name))
        {
            warnings.push(format!(
                "program '{}' cannot be started, so who depends on it is not authorized",
                Word(name)
            ));
        }
        // What a program is told to read is there, or whoever it is asked about is at its mercy.
        for name in words.filter(|word| word.starts_with(b"/")) {
            if tried.insert(name)
                && let Err(error) = accessat(CWD, path_of(name), Access::READ_OK, AtFlags::EACCESS)
            {
                warnings.push(format!(
                    "'{}', which a program is started with, cannot be read: {error}",
                    Word(name)
                ));
            }
        }
    }
}

/// What is wrong with a password file, if anything is.
fn try_file(policy: &Policy, path: &Path) -> Option<String> {
    let shown = path.display();
    if let Err((path, error)) = passwd::try_read(path) {
        let path = path.display();
        return Some(format!(
            "password file {path} cannot be read: {error}; it lets nobody in"
        ));
    }
    if passwd::is_the_hosts(path) {
        return None;
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    if policy.settings.password_change
        && let Err(error) = accessat(CWD, folder, Access::WRITE_OK, AtFlags::EACCESS)
    {
        return Some(format!(
            "passwords in {shown} cannot be changed: its folder cannot be written: {error}"
        ));
    }
    let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o002 != 0 {
        return Some(format!(
            "password file {shown} can be written by everybody on this host: chmod o= it"
        ));
    }
    (mode & 0o004 != 0).then(|| {
        format!("password file {shown} can be read by everybody on this host: chmod o= it")
    })
}

fn path_of(name: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(name))
}

/// The words of a line that are what they are whoever asks. Of a line for a shell, those
/// that mean nothing else to it.
fn plain_words(callout: &Callout) -> Vec<&[u8]> {
    match callout {
        Callout::Words(words) => {
            let plain = words.iter().map(|word| match word.as_slice() {
                [Part::Text(text)] => text.as_slice(),
                _ => &[],
            });
            plain.collect()
        }
        Callout::Shell(line) => {
            let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+".contains(byte);
            line.split(|byte| byte.is_ascii_whitespace() || matches!(byte, b'\'' | b'"'))
                .map(|word| if word.iter().all(is_plain) { word } else { &[] })
                .collect()
        }
    }
}
