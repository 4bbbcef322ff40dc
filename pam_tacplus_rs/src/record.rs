//! The session record: `/run/tacplus/sessions/<audit session>`, which tells every
//! other program of the host whose session it is, and another process how to close
//! it.
//!
//! Owns the file's format and the rules of who makes it: only a login whose audit
//! login uid is the user's own. A `su` or `sudo` within a session has the session id
//! of that session and must not take its record over.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use rustix::fs::OFlags;
use tacacs_common::packet::{AuthenMethod, AuthenType, PrivLvl};
use tacacs_common::statefile::Folder;

use crate::call::{Now, Site};
use crate::session::Session;

const MAX_BYTES: usize = 4096;

/// Makes the record. Answers the audit session it stands under, `None` if there is
/// to be none.
pub(crate) fn create(site: &Site, session: &Session, uid: Option<u32>) -> io::Result<Option<u32>> {
    let (Some(audit), Some(login_uid)) = (
        audit_number(&site.proc, "sessionid"),
        audit_number(&site.proc, "loginuid"),
    ) else {
        return Ok(None);
    };
    if uid != Some(login_uid) {
        return Ok(None);
    }
    let name = audit.to_string();
    let mut file = match folder(&site.sessions)?.create_file(OsStr::new(&name), 0o644) {
        Ok(file) => file,
        // A login within a session, to the same user.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(error),
    };
    file.write_all(text(session).as_bytes())?;
    Ok(Some(audit))
}

/// The open session of this audit session, if it is this user's.
pub(crate) fn find(site: &Site, user: &str) -> Option<Session> {
    let audit = audit_number(&site.proc, "sessionid")?;
    let text = read(&site.sessions, audit)?;
    if value(&text, "closed").is_some() {
        return None;
    }
    parse(&text, audit).filter(|session| session.user == user)
}

/// Notes that the session has ended, in its own record and in no other.
pub(crate) fn close(site: &Site, session: &Session) {
    let Some(audit) = session.audit else { return };
    let is_own = read(&site.sessions, audit).is_some_and(|text| {
        value(&text, "task_id") == Some(&session.task_id) && value(&text, "closed").is_none()
    });
    if !is_own {
        return;
    }
    let name = audit.to_string();
    let opened = Folder::open(&site.sessions)
        .and_then(|folder| folder.open_file(OsStr::new(&name), OFlags::WRONLY | OFlags::APPEND));
    if let Ok(mut file) = opened {
        // The record goes by itself when no process is left: nothing depends on it.
        let _ = writeln!(file, "closed={}", site.now.unix);
    }
}

fn folder(path: &Path) -> io::Result<Folder> {
    if let Some(parent) = path.parent() {
        Folder::create(parent, 0o755)?;
    }
    Folder::create(path, 0o755)
}

fn read(sessions: &Path, audit: u32) -> Option<String> {
    let name = audit.to_string();
    let bytes = Folder::open(sessions)
        .ok()?
        .read(OsStr::new(&name), MAX_BYTES)
        .ok()??;
    String::from_utf8(bytes).ok()
}

/// A number of the audit system; the largest means that it is not set.
fn audit_number(proc: &Path, name: &str) -> Option<u32> {
    let text = std::fs::read_to_string(proc.join(name)).ok()?;
    text.trim()
        .parse()
        .ok()
        .filter(|number| *number != u32::MAX)
}

fn text(session: &Session) -> String {
    let protocol = session.protocol.as_deref().unwrap_or_default();
    format!(
        "user={}\npriv_lvl={}\nrem_addr={}\nport={}\ntask_id={}\nstart={}\nstart_boot_ms={}\n\
         service={}\nprotocol={protocol}\nauthen_method={}\nauthen_type={}\n",
        session.user,
        session.priv_lvl,
        session.rem_addr,
        session.port,
        session.task_id,
        session.start.unix,
        session.start.boot.as_millis(),
        session.service,
        session.authen_method.to_wire(),
        session.authen_type.to_wire(),
    )
}

fn parse(text: &str, audit: u32) -> Option<Session> {
    let field = |name| value(text, name);
    let protocol = field("protocol")?;
    Some(Session {
        task_id: field("task_id")?.to_owned(),
        user: field("user")?.to_owned(),
        port: field("port")?.to_owned(),
        rem_addr: field("rem_addr")?.to_owned(),
        service: field("service")?.to_owned(),
        protocol: (!protocol.is_empty()).then(|| protocol.to_owned()),
        authen_method: AuthenMethod::from_wire(field("authen_method")?.parse().ok()?),
        authen_type: AuthenType::from_wire(field("authen_type")?.parse().ok()?),
        priv_lvl: PrivLvl::from_decimal(field("priv_lvl")?.as_bytes())?,
        start: Now {
            unix: field("start")?.parse().ok()?,
            boot: Duration::from_millis(field("start_boot_ms")?.parse().ok()?),
        },
        audit: Some(audit),
        pid: std::process::id(),
    })
}

fn value<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests;
