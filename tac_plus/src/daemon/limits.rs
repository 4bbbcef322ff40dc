//! What strangers may cost.
//!
//! Owns the numbers, so that one look answers what a hostile client can tie up.

use std::time::Duration;

use tacacs_common::exchange::server;

use crate::policy::settings;

/// Bounds on connections, in number and time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bounds inside a connection.
    pub(super) connection: server::Limits,
    /// Connections at the same time.
    pub(super) connections: usize,
    /// Connections of one address at the same time.
    pub(super) connections_per_client: usize,
    /// From the connection to its first whole packet.
    pub(super) first_packet: Duration,
    /// From a later packet's first byte to its last.
    pub(super) packet: Duration,
    /// From a question to its answer: a person is typing.
    pub(super) answer: Duration,
    /// Between sessions in single connection mode (RFC 8907 section 4.3 wants a limit).
    pub(super) idle: Duration,
    /// For the client to take a reply.
    pub(super) write: Duration,
    /// For running sessions when the daemon is told to stop.
    pub(super) stop: Duration,
}

/// Descriptors that are kept for everything but connections: listeners, the runtime,
/// the accounting file, a configuration being read.
const OTHER_DESCRIPTORS: usize = 16;
/// And those of effects at their busiest (three pipes a program, password files, what PAM's
/// modules open), where there are that many; a quarter of all where there are few.
const EFFECTS_DESCRIPTORS: usize = 256;

impl Limits {
    /// What a configuration says, over the defaults.
    pub(super) fn of(settings: &settings::Limits) -> Self {
        let default = Self::default();
        let count = |value: Option<u32>, default: usize| {
            value.map_or(default, |value| {
                usize::try_from(value).unwrap_or(usize::MAX)
            })
        };
        Self {
            connection: server::Limits {
                max_body: settings.body.unwrap_or(default.connection.max_body),
                sessions: count(settings.sessions, default.connection.sessions),
                ..default.connection
            },
            connections: count(settings.connections, default.connections),
            connections_per_client: count(
                settings.connections_per_client,
                default.connections_per_client,
            ),
            first_packet: settings.first_packet.unwrap_or(default.first_packet),
            packet: settings.packet.unwrap_or(default.packet),
            answer: settings.answer.unwrap_or(default.answer),
            idle: settings.idle.unwrap_or(default.idle),
            ..default
        }
    }

    /// No more connections than there are descriptors for them. A client that is
    /// refused asks another server at once; one that nobody can accept waits, and
    /// without a descriptor nothing can be reloaded or rotated either. No client may
    /// take more than half of them.
    pub(super) fn within(mut self, descriptors: usize) -> Self {
        let rest = OTHER_DESCRIPTORS + EFFECTS_DESCRIPTORS.min(descriptors / 4);
        let room = descriptors.saturating_sub(rest).max(1);
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
            (1024, 752, 376),
            (64, 32, 16),
            (20, 1, 1),
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
