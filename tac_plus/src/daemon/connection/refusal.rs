//! What whoever sends nonsense gets.
//!
//! Owns the answer to packets that no client with the secret sends: the same to all of
//! them, at a moment that tells nothing, and as often as [`crate::trust`] allows.

use std::time::Duration;

use tacacs_common::exchange::server::Refusal;
use tacacs_common::packet::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::Talk;
use crate::trust;

/// An ERROR that waits for its moment, and what else was answered with it.
pub(super) struct Held {
    pub(super) until: Instant,
    reply: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<'_, S> {
    /// Deals with a packet that was refused; what was answered to it begins at `answered`
    /// in the output.
    pub(super) fn refused(&mut self, refusal: Refusal, answered: usize, now: Instant) {
        self.refused = true;
        let address = self.peer.address;
        match refusal {
            Refusal::Secret(error) => {
                let line = match error.suggests_wrong_secret() {
                    true => format!(
                        "packet from {address} refused: wrong shared secret for this client? ({error})"
                    ),
                    false => format!("packet from {address} refused: {error}"),
                };
                self.doubt(error.code(), line, answered, now);
            }
            Refusal::Replayed => {
                self.tell("replay", || {
                    format!(
                        "recorded requests are being replayed: packet from {address} refused, \
                         the fourth with its session_id"
                    )
                });
                let tick = trust::tick_after(self.shared.since_start(now));
                self.hang_up = Some(self.shared.moment(tick));
            }
            Refusal::Packet(error @ Error::FlagUnencrypted) => self.tell(error.code(), || {
                format!("connection from {address} closed: {error}")
            }),
            Refusal::Packet(error) => {
                let line = format!("packet from {address} refused: {error}");
                // Its answer is obfuscated too: who has shown nothing gets few of them.
                if !self.proven && self.connection.output().len() > answered {
                    self.doubt(error.code(), line, answered, now);
                } else {
                    self.tell(error.code(), || line);
                }
            }
            Refusal::NoNewSession | Refusal::TooManySessions => {
                let reason = match refusal {
                    Refusal::NoNewSession => "no new session",
                    _ => "sessions",
                };
                self.tell(reason, || {
                    format!("packet from {address} refused: {refusal}")
                });
            }
        }
    }

    /// Answers a packet that makes no sense, or hangs up: most likely its sender does not
    /// have the secret.
    pub(super) fn doubt(
        &mut self,
        reason: &'static str,
        line: String,
        answered: usize,
        now: Instant,
    ) {
        let answer = {
            let since = self.shared.since_start(now);
            self.shared.trust().senseless(self.peer.address, since)
        };
        self.refused = true;
        self.tell(reason, || line);
        let until = self.shared.moment(answer.at);
        let output = self.connection.output();
        let reply = output.split_off(answered.min(output.len()));
        if !answer.told {
            self.hang_up = Some(until);
            return;
        }
        match &mut self.held {
            Some(held) => held.reply.extend_from_slice(&reply),
            None => self.held = Some(Held { until, reply }),
        }
    }

    /// Sends what was held back, if its moment has come.
    pub(super) fn release(&mut self, now: Instant) {
        if let Some(held) = self.held.take_if(|held| held.until <= now) {
            self.connection.output().extend_from_slice(&held.reply);
        }
    }

    /// Logs who was refused and why, or counts it.
    pub(super) fn tell(&self, reason: &'static str, line: impl FnOnce() -> String) {
        let Self { shared, peer, .. } = self;
        (shared.refusals).tell(&shared.log, peer.address, reason, line);
    }
}

impl crate::daemon::Shared {
    /// Times as the policy has them.
    pub(super) fn since_start(&self, now: Instant) -> Duration {
        now.into_std().saturating_duration_since(self.started)
    }

    /// And as the runtime has them.
    fn moment(&self, since_start: Duration) -> Instant {
        Instant::from_std(self.started) + since_start
    }
}
