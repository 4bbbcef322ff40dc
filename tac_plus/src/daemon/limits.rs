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

/// Descriptors that are kept for everything but connections: listeners, the runtime,
/// the accounting file, a configuration being read.
const OTHER_DESCRIPTORS: usize = 16;

impl Limits {
    /// No more connections than there are descriptors for them. A client that is
    /// refused asks another server at once; one that nobody can accept waits, and
    /// without a descriptor nothing can be reloaded or rotated either. No client may
    /// take more than half of them.
    #[must_use]
    pub fn within(mut self, descriptors: usize) -> Self {
        let room = descriptors.saturating_sub(OTHER_DESCRIPTORS).max(1);
        self.connections = self.connections.min(room);
        self.connections_per_client = self.connections_per_client.min(room.div_ceil(2));
        self
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_rest_and_a_client_leaves_half_of_them() {
        for (descriptors, connections, per_client) in [
            (1_048_576, 20_000, 2_000),
            (1024, 1008, 504),
            (20, 4, 2),
            (3, 1, 1),
        ] {
            let limits = Limits::default().within(descriptors);
            assert_eq!(
                (limits.connections, limits.connections_per_client),
                (connections, per_client),
                "{descriptors}"
            );
        }
    }
}
