#![forbid(unsafe_code)]
//! Takes every local port that there is, as any user may: `hog tcp` or `hog udp`.
//!
//! Says `held N` when no port is left, and keeps them until it is killed.

use std::io::{self, Write};
use std::net::{Ipv6Addr, SocketAddrV6};

use rustix::net::{AddressFamily, SocketType, bind, socket};

const RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

fn main() -> e2e::Result {
    let kind = match std::env::args().nth(1).as_deref() {
        Some("tcp") => SocketType::STREAM,
        Some("udp") => SocketType::DGRAM,
        _ => return Err("usage: hog tcp|udp".into()),
    };
    let range = std::fs::read_to_string(RANGE)?;
    let mut ends = range.split_whitespace().map(str::parse::<u16>);
    let (Some(first), Some(last)) = (ends.next(), ends.next()) else {
        return Err(format!("{RANGE}: {range}").into());
    };
    let mut held = Vec::new();
    for port in first?..=last? {
        // For both families.
        let socket = socket(AddressFamily::INET6, kind, None)?;
        let any = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0);
        if bind(&socket, &any).is_ok() {
            held.push(socket);
        }
    }
    let mut out = io::stdout();
    writeln!(out, "held {}", held.len())?;
    out.flush()?;
    loop {
        std::thread::park();
    }
}
