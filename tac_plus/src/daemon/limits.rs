//! What strangers may cost.
//!
//! Owns the numbers, so that one look answers what a hostile client can tie up.

use std::time::Duration;

use tacacs_common::exchange::server;

/// Bounds on connections, in number and time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bounds inside a connection.
    pub connection: server::Limits,
    /// Connections at the same time.
    pub connections: usize,
    /// Connections of one address at the same time.
    pub connections_per_client: usize,
    /// From the connection to its first whole packet.
    pub first_packet: Duration,
    /// From a later packet's first byte to its last.
    pub packet: Duration,
    /// From a question to its answer: a person is typing.
    pub answer: Duration,
    /// Between sessions in single connection mode (RFC 8907 section 4.3 wants a limit).
    pub idle: Duration,
    /// For the client to take a reply.
    pub write: Duration,
    /// For running sessions when the daemon is told to stop.
    pub stop: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connection: server::Limits::default(),
            connections: 20_000,
            connections_per_client: 2_000,
            first_packet: Duration::from_secs(10),
            packet: Duration::from_secs(10),
            answer: Duration::from_secs(180),
            idle: Duration::from_secs(600),
            write: Duration::from_secs(10),
            stop: Duration::from_secs(5),
        }
    }
}
