//! The system log.
//!
//! Owns the socket to it and the form of its messages (RFC 3164, as the C library
//! sends them). Must never wait long: a system log that hangs is an error.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

const SOCKET: &str = "/dev/log";
/// How long a full socket may keep its writer.
const PATIENCE: Duration = Duration::from_secs(1);
/// LOG_INFO.
const INFO: u8 = 6;

/// The facilities by their names, as syslog.conf(5) and the original know them.
const FACILITIES: [(&str, u8); 20] = [
    ("kern", 0),
    ("user", 1),
    ("mail", 2),
    ("daemon", 3),
    ("auth", 4),
    ("syslog", 5),
    ("lpr", 6),
    ("news", 7),
    ("uucp", 8),
    ("cron", 9),
    ("authpriv", 10),
    ("ftp", 11),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];
const DAEMON: u8 = 3;

/// A sender of messages under one facility.
pub(super) struct Syslog {
    priority: u8,
    socket: Option<UnixDatagram>,
}

impl Syslog {
    /// `facility` by its name; without one it is `daemon`.
    pub(super) fn new(facility: Option<&str>) -> Self {
        let known = FACILITIES
            .iter()
            .find(|(name, _)| facility.is_some_and(|wanted| wanted == *name));
        let code = known.map_or(DAEMON, |(_, code)| *code);
        Self {
            priority: code * 8 + INFO,
            socket: None,
        }
    }

    /// Sends a message; once more if the system log was started anew meanwhile.
    pub(super) fn send(&mut self, time: &str, message: &str) -> io::Result<()> {
        let pid = std::process::id();
        let text = format!("<{}>{time} tac_plus[{pid}]: {message}", self.priority);
        if let Some(socket) = &self.socket
            && socket.send(text.as_bytes()).is_ok()
        {
            return Ok(());
        }
        let socket = UnixDatagram::unbound()?;
        socket.connect(SOCKET)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.send(text.as_bytes())?;
        self.socket = Some(socket);
        Ok(())
    }
}
