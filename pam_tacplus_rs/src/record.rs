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

use tacacs_common::session_record::{MAX_BYTES, SessionRecord, millis};
use tacacs_common::statefile::Folder;

use crate::call::{Now, Site};
use crate::session::Session;

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
    let text = record(session).text();
    let text = text.ok_or_else(|| io::Error::other("a value has a line break in it"))?;
    // With regard to the limit on file sizes that su's caller may have set, and never half
    // of it: that would stand in the way of the session's next one.
    let name = audit.to_string();
    match folder.put_new(OsStr::new(&name), text.as_bytes(), 0o644) {
        Ok(()) => Ok(Some(audit)),
        // A login within a session, to the same user.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error),
    }
}

/// The open session of this audit session, if it is this user's.
pub(crate) fn find(site: &Site, user: &str) -> Option<Session> {
    let audit = audit_number(&site.proc, "sessionid")?;
    let record = SessionRecord::parse(&read(&site.sessions, audit)?)?;
    let is_open = record.closed.is_none() && record.user == user;
    is_open.then(|| session(site, record, audit))
}

/// Whether another process has closed this session meanwhile.
pub(crate) fn is_closed(site: &Site, session: &Session) -> bool {
    match session.audit {
        Some(_) => own(site, session).is_some_and(|(_, record)| record.closed.is_some()),
        None => {
            let note = Folder::open(&site.sessions)
                .and_then(|folder| folder.read(&note_name(session), MAX_BYTES));
            matches!(note, Ok(Some(_)))
        }
    }
}

/// Notes that the session has ended: in its own record and in no other, or for the
/// process that opened it, where this is another one and there is no record.
pub(crate) fn close(site: &Site, session: &Session) {
    if session.audit.is_none() {
        note_for_opener(site, session);
        return;
    }
    let Some((name, record)) = own(site, session) else {
        return;
    };
    if record.closed.is_some() {
        return;
    }
    let closed = SessionRecord {
        closed: Some(site.now.unix),
        ..record
    };
    let text = closed.text().unwrap_or_default();
    // The record goes by itself when no process is left: nothing depends on this.
    let _ = Folder::open(&site.sessions)
        .and_then(|folder| folder.replace(&name, text.as_bytes(), 0o644));
}

/// A copy of the process that opened the session has closed it, and the opener, whose
/// memory still says that it is open, must not write a second STOP.
fn note_for_opener(site: &Site, session: &Session) {
    if session.pid == site.pid {
        return;
    }
    let _ = folder(&site.sessions).and_then(|folder| {
        let _ = sweep(site, &folder);
        folder.put_new(&note_name(session), b"", 0o644)
    });
}

/// Forgets what was noted for this process about its session, which is over.
pub(crate) fn forget(site: &Site, session: &Session) {
    if session.audit.is_none() && session.pid == site.pid {
        let _ = Folder::open(&site.sessions).and_then(|folder| folder.remove(&note_name(session)));
    }
}

fn note_name(session: &Session) -> OsString {
    format!("closed.{}.{}", session.pid, session.task_id).into()
}

/// The process for which a file of this name was noted.
fn noted_for(name: &str) -> Option<u32> {
    number(name.strip_prefix("closed.")?.split_once('.')?.0)
}

/// The name and the text of this session's own record.
fn own(site: &Site, session: &Session) -> Option<(OsString, SessionRecord)> {
    let audit = session.audit?;
    let record = SessionRecord::parse(&read(&site.sessions, audit)?)?;
    (record.task_id == session.task_id).then(|| (audit.to_string().into(), record))
}

/// Removes the records of sessions that no process belongs to any more and that have
/// not changed for a while, and notes for processes that are gone. Looking at every
/// process takes a moment, so this waits until there are many.
fn sweep(site: &Site, folder: &Folder) -> io::Result<()> {
    let mut records: Vec<u32> = Vec::new();
    let mut notes: Vec<(u32, String)> = Vec::new();
    folder.names(&mut |name| {
        let name = str::from_utf8(name).unwrap_or_default();
        records.extend(number(name).filter(|audit| audit.to_string() == name));
        notes.extend(noted_for(name).map(|pid| (pid, name.to_owned())));
    })?;
    if records.len().saturating_add(notes.len()) < MANY {
        return Ok(());
    }
    let processes = site.proc.parent().unwrap_or(&site.proc);
    for (_, name) in notes
        .iter()
        .filter(|(pid, _)| !processes.join(pid.to_string()).exists())
    {
        let _ = folder.remove(OsStr::new(name));
    }
    let alive = audit_sessions(site)?;
    for audit in records.into_iter().filter(|audit| !alive.contains(audit)) {
        let name = audit.to_string();
        // Another login may be at it too.
        let changed =
            std::fs::symlink_metadata(site.sessions.join(&name)).and_then(|found| found.modified());
        let is_old = changed.is_ok_and(|at| at.elapsed().is_ok_and(|age| age >= KEPT));
        if is_old {
            let _ = folder.remove(OsStr::new(&name));
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

/// Who logged in to the session in which this process runs.
pub(crate) fn login_uid(site: &Site) -> Option<u32> {
    audit_number(&site.proc, "loginuid")
}

/// A number of the audit system; the largest means that it is not set.
fn audit_number(proc: &Path, name: &str) -> Option<u32> {
    let text = std::fs::read_to_string(proc.join(name)).ok()?;
    number(text.trim())
}

fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number| *number != u32::MAX)
}

fn record(session: &Session) -> SessionRecord {
    SessionRecord {
        user: session.user.clone(),
        priv_lvl: session.priv_lvl,
        rem_addr: session.rem_addr.clone(),
        port: session.port.clone(),
        task_id: session.task_id.clone(),
        start: session.start.unix,
        // As precise as the record.
        start_boot: Duration::from_millis(millis(session.start.boot)),
        service: session.service.clone(),
        protocol: session.protocol.clone(),
        authen_method: session.authen_method,
        authen_type: session.authen_type,
        closed: None,
    }
}

fn session(site: &Site, record: SessionRecord, audit: u32) -> Session {
    Session {
        task_id: record.task_id,
        user: record.user,
        port: record.port,
        rem_addr: record.rem_addr,
        service: record.service,
        protocol: record.protocol,
        authen_method: record.authen_method,
        authen_type: record.authen_type,
        priv_lvl: record.priv_lvl,
        start: Now {
            unix: record.start,
            boot: record.start_boot,
        },
        audit: Some(audit),
        pid: site.pid,
    }
}

#[cfg(test)]
mod tests;
