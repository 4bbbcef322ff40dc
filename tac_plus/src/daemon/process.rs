//! The process and who started it.
//!
//! Owns the change to another user, and what a service manager is told and hands
//! over (the protocols of sd_notify(3) and sd_listen_fds(3)).

use std::ffi::CString;
use std::io;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::process::{getgid, getuid};

use crate::sys::process::{self, Account};

/// The first descriptor that a service manager hands over.
const FIRST: i32 = 3;

/// Becomes the user and the group of these names (or numbers) for good.
///
/// # Errors
///
/// In words for the operator: there is no such user, or this process may not.
pub fn become_user(user: Option<&str>, group: Option<&str>) -> Result<(), String> {
    if user.is_none() && group.is_none() {
        return Ok(());
    }
    let mut account = Account {
        uid: getuid().as_raw(),
        gid: getgid().as_raw(),
    };
    let mut name = None;
    if let Some(user) = user {
        let text = CString::new(user).map_err(|error| error.to_string())?;
        match (process::user(&text), user.parse()) {
            (Ok(Some(found)), _) => {
                account = found;
                name = Some(text);
            }
            // With this process's own group, it would keep what only root may.
            (Ok(None), Ok(_)) if group.is_none() => {
                return Err(format!(
                    "-U: there is no user '{user}' here: name its group with -Q"
                ));
            }
            (Ok(None), Ok(uid)) => account.uid = uid,
            (Ok(None), Err(_)) => return Err(format!("-U: there is no user '{user}'")),
            (Err(error), _) => return Err(format!("-U: cannot look up '{user}': {error}")),
        }
    }
    if let Some(group) = group {
        let text = CString::new(group).map_err(|error| error.to_string())?;
        account.gid = match (process::group(&text), group.parse()) {
            (Ok(Some(gid)), _) | (Ok(None), Ok(gid)) => gid,
            (Ok(None), Err(_)) => return Err(format!("-Q: there is no group '{group}'")),
            (Err(error), _) => return Err(format!("-Q: cannot look up '{group}': {error}")),
        };
    }
    process::become_account(&account, name.as_ref()).map_err(|error| {
        let (uid, gid) = (account.uid, account.gid);
        format!("cannot become user {uid} and group {gid}: {error}")
    })
}

/// The sockets that a service manager hands over, each with its name there. To be
/// called once, before anything is opened.
#[must_use]
pub fn inherited_sockets() -> Vec<(TcpListener, String)> {
    let number = |name| {
        let text = std::env::var(name).ok()?;
        text.parse::<u32>().ok()
    };
    if number("LISTEN_PID") != Some(std::process::id()) {
        return Vec::new();
    }
    let count = number("LISTEN_FDS").unwrap_or(0).min(64);
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    (FIRST..)
        .take(usize::try_from(count).unwrap_or(0))
        .filter_map(|number| {
            let name = names.next().unwrap_or_default().to_owned();
            let socket = TcpListener::from(process::inherited(number)?);
            socket.set_nonblocking(true).ok()?;
            Some((socket, name))
        })
        .collect()
}

/// What a reload is announced with.
pub(super) fn reloading() -> String {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
    format!("RELOADING=1\nMONOTONIC_USEC={micros}")
}

/// What a service manager shows about the configuration.
pub(super) fn in_force(since: &str) -> String {
    format!("configuration in force since {since}")
}

/// The same once one has been refused: what was said before, and why.
pub(super) fn refused(before: &str, time: &str, why: &str) -> String {
    let before = before.split(';').next().unwrap_or_default();
    let why = why.lines().next().unwrap_or_default();
    format!("{before}; refused at {time}: {why}")
}

/// Tells the service manager, if there is one that listens.
pub(super) fn notify(state: &str) {
    let Ok(path) = std::env::var("NOTIFY_SOCKET") else {
        return;
    };
    let send = || -> io::Result<()> {
        let address = match path.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(&path)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.send_to_addr(state.as_bytes(), &address)?;
        Ok(())
    };
    // A manager that does not listen must not keep the service from serving.
    let _ = send();
}
