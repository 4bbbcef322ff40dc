#![forbid(unsafe_code)]
//! The process that keeps a stage alive: its pid 1 and its `/dev/log`.
//!
//! Owns the system log of the stage. Must end, and with it every process of the
//! stage, as soon as the test that opened the stage is gone: it reads its
//! standard input, whose other end only the test holds.

use std::fs::{File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::thread;

fn main() -> io::Result<()> {
    let pid = std::env::args().nth(1).unwrap_or_default();
    let log = UnixDatagram::bind("/dev/log")?;
    std::fs::set_permissions("/dev/log", Permissions::from_mode(0o666))?;
    let file = File::create("/var/log/syslog")?;
    thread::spawn(move || keep_log(&log, file));

    let mut out = io::stdout();
    writeln!(out, "{pid}")?;
    out.flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// One datagram is one line: its control characters, the line's end too, are
/// written as `<raw NN>`, so that a test sees what a terminal would have obeyed.
fn keep_log(log: &UnixDatagram, mut file: File) {
    let mut buffer = [0; 65536];
    while let Ok(length) = log.recv(&mut buffer) {
        let mut line = Vec::with_capacity(length);
        for &byte in buffer.get(..length).unwrap_or_default() {
            match byte {
                b'\n' | 0 => line.push(b' '),
                0x01..=0x1f | 0x7f => line.extend(format!("<raw {byte:02x}>").bytes()),
                _ => line.push(byte),
            }
        }
        line.push(b'\n');
        if file.write_all(&line).is_err() {
            return;
        }
    }
}
