//! The system log.
//!
//! Owns the socket to it and the form of its messages (RFC 3164, as the C library
//! sends them). Must never wait long: a system log that hangs is an error, and keeps
//! its writer once, not for every message.

use std::io::{self, ErrorKind};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

const SOCKET: &str = "/dev/log";
/// How long a full socket may keep its writer.
const PATIENCE: Duration = Duration::from_secs(1);
/// LOG_INFO.
pub(super) const INFO: u8 = 6;

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
    /// Its code times eight.
    facility: u8,
    path: PathBuf,
    socket: Option<UnixDatagram>,
    /// Whether it hung at the last message.
    hangs: bool,
}

impl Syslog {
    /// `facility` by its name; without one it is `daemon`.
    pub(super) fn new(facility: Option<&str>) -> Self {
        let known = FACILITIES
            .iter()
            .find(|(name, _)| facility.is_some_and(|wanted| wanted == *name));
        let code = known.map_or(DAEMON, |(_, code)| *code);
        Self {
            facility: code * 8,
            path: SOCKET.into(),
            socket: None,
            hangs: false,
        }
    }

    /// Sends a message; once more if the system log was started anew meanwhile.
    pub(super) fn send(&mut self, time: &str, severity: u8, message: &str) -> io::Result<()> {
        let pid = std::process::id();
        let priority = self.facility + severity;
        let text = format!("<{priority}>{time} tac_plus[{pid}]: {message}");
        if let Some(socket) = self.socket.take() {
            match self.hand_over(socket, &text) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
        let socket = UnixDatagram::unbound()?;
        socket.connect(&self.path)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.set_nonblocking(self.hangs)?;
        self.hand_over(socket, &text)
    }

    fn hand_over(&mut self, socket: UnixDatagram, text: &str) -> io::Result<()> {
        let sent = socket.send(text.as_bytes());
        let hangs = matches!(&sent, Err(error) if error.kind() == ErrorKind::WouldBlock);
        if hangs != self.hangs {
            socket.set_nonblocking(hangs)?;
            self.hangs = hangs;
        }
        if sent.is_ok() || hangs {
            self.socket = Some(socket);
        }
        sent.map(drop)
    }
}

/// Why there is no system log to send to, if there is none.
pub(super) fn trouble() -> Option<io::Error> {
    let connect = || UnixDatagram::unbound()?.connect(SOCKET);
    connect().err()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_system_log_that_hangs_keeps_its_writer_once_and_is_used_again_when_it_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let reader = UnixDatagram::bind(&path).unwrap();
        let mut syslog = Syslog {
            path,
            ..Syslog::new(None)
        };
        let mut send = || syslog.send("", INFO, "a line").is_ok();
        while send() {}
        let start = Instant::now();
        assert!((0..1000).all(|_| !send()));
        assert!(start.elapsed() < 10 * PATIENCE);
        reader.set_nonblocking(true).unwrap();
        while reader.recv(&mut [0; 64]).is_ok() {}
        assert!(send());
    }
}
