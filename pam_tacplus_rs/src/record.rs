//! The session record: `/run/tacplus/sessions/<audit session>`, which tells every
//! other program of the host whose session it is, and another process how to close
//! it.
//!
//! Owns the file's format and the rules of who makes it: only a login whose audit
//! login uid is the user's own. A `su` or `sudo` within a session has the session id
//! of that session and must not take its record over.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::time::Duration;

use tacacs_common::packet::{AuthenMethod, AuthenType, PrivLvl};
use tacacs_common::statefile::{self, Folder};

use crate::call::{Now, Site};
use crate::session::Session;

const MAX_BYTES: usize = 4096;

/// How many records there are before the old ones are looked for.
const MANY: usize = 64;

/// How long a record stays after its session, for events that come late.
const KEPT: Duration = Duration::from_secs(5 * 60);

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
    let folder = folder(&site.sessions)?;
    // What cannot be removed now stays until the next boot at the latest.
    let _ = sweep(site, &folder);
    let name = audit.to_string();
    let mut file = match folder.create_file(OsStr::new(&name), 0o644) {
        Ok(file) => file,
        // A login within a session, to the same user.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(error),
    };
    // With regard to the limit on file sizes that su's caller may have set.
    if let Err(error) = statefile::write_durably(&mut file, text(session).as_bytes()) {
        // Half a record would stand in the way of the session's next one.
        let _ = folder.remove(OsStr::new(&name));
        return Err(error);
    }
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

/// Whether another process has closed this session meanwhile.
pub(crate) fn is_closed(site: &Site, session: &Session) -> bool {
    own(site, session).is_some_and(|(_, text)| value(&text, "closed").is_some())
}

/// Notes that the session has ended, in its own record and in no other.
pub(crate) fn close(site: &Site, session: &Session) {
    let Some((name, text)) = own(site, session) else {
        return;
    };
    if value(&text, "closed").is_some() {
        return;
    }
    let closed = format!("{text}closed={}\n", site.now.unix);
    // The record goes by itself when no process is left: nothing depends on this.
    let _ = Folder::open(&site.sessions)
        .and_then(|folder| folder.replace(&name, closed.as_bytes(), 0o644));
}

/// The name and the text of this session's own record.
fn own(site: &Site, session: &Session) -> Option<(OsString, String)> {
    let audit = session.audit?;
    let text = read(&site.sessions, audit)?;
    let is_own = value(&text, "task_id") == Some(&session.task_id);
    is_own.then(|| (audit.to_string().into(), text))
}

/// Removes the records of sessions that no process belongs to any more and that have
/// not changed for a while. Looking at every process takes a moment, so this waits
/// until there are many.
fn sweep(site: &Site, folder: &Folder) -> io::Result<()> {
    let mut records: Vec<u32> = Vec::new();
    folder.names(&mut |name| {
        let name = str::from_utf8(name).unwrap_or_default();
        records.extend(number(name).filter(|audit| audit.to_string() == name));
    })?;
    if records.len() < MANY {
        return Ok(());
    }
    let alive = audit_sessions(site)?;
    for audit in records.into_iter().filter(|audit| !alive.contains(audit)) {
        let name = audit.to_string();
        let changed = std::fs::symlink_metadata(site.sessions.join(&name))?.modified()?;
        if changed.elapsed().is_ok_and(|age| age >= KEPT) {
            folder.remove(OsStr::new(&name))?;
        }
    }
    Ok(())
}

/// The audit sessions that processes of this host belong to.
fn audit_sessions(site: &Site) -> io::Result<Vec<u32>> {
    let processes = site.proc.parent().unwrap_or(&site.proc);
    let mut sessions = Vec::new();
    for entry in std::fs::read_dir(processes)? {
        sessions.extend(audit_number(&entry?.path(), "sessionid"));
    }
    Ok(sessions)
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
    number(text.trim())
}

fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number| *number != u32::MAX)
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
