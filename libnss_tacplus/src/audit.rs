//! Whose login the calling process belongs to: by its audit session, which no process
//! can change once it is set, and the session record that the PAM module made for it.

use std::path::Path;

use tacacs_common::statefile;

use crate::site::Site;

const MAX_BYTES: usize = 4096;

/// The TACACS+ user of the caller's own audit session, if it has one.
pub(crate) fn user(site: &Site<'_>) -> Option<String> {
    let session = session(site.proc)?;
    let path = site.sessions.join(session.to_string());
    let record = statefile::read(&path, MAX_BYTES).ok()??;
    let text = String::from_utf8(record).ok()?;
    let name = text.lines().find_map(|line| line.strip_prefix("user="))?;
    Some(name.to_owned())
}

/// The audit session; the largest number means that there is none.
fn session(proc: &Path) -> Option<u32> {
    let text = std::fs::read_to_string(proc.join("sessionid")).ok()?;
    text.trim()
        .parse()
        .ok()
        .filter(|number| *number != u32::MAX)
}
