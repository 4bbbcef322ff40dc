//! How long a connection is waited for.
//!
//! Owns its one timer, and the moment from which on it counts.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Poll, ready};

use tacacs_common::exchange::server::Connection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::{Happened, READ, Running, Talk, Waiting};

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<'_, S> {
    /// Waits for bytes, as long as the state allows, or for an effect's result.
    pub(super) async fn wait(&mut self, mut timer: Pin<&mut Sleep>) -> io::Result<Happened> {
        loop {
            let deadline = self.deadline();
            if deadline < timer.deadline() {
                timer.as_mut().reset(deadline);
            }
            let over = self.connection.is_over();
            let (stream, connection) = (&mut self.stream, &mut self.connection);
            tokio::select! {
                biased;
                count = receive(stream, connection), if !over => return count.map(Happened::Received),
                () = self.inbox.arrived() => return Ok(Happened::Results),
                () = &mut timer => {}
            }
            // The timer is set back only now: most of the time something came meanwhile.
            let now = Instant::now();
            if self.held.as_ref().is_some_and(|held| held.until <= now) {
                return Ok(Happened::Release);
            }
            if self.proven_until.is_some_and(|end| end <= now) {
                return Ok(Happened::Expired);
            }
            if deadline <= now {
                return if self.inbox.is_empty() {
                    Err(io::ErrorKind::TimedOut.into())
                } else {
                    Ok(Happened::Results)
                };
            }
            timer.as_mut().reset(deadline);
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        let held = self.held.as_ref().map(|held| held.until);
        let ends = [self.proven_until, held].into_iter().flatten();
        ends.fold(self.patience(), Instant::min)
    }

    /// Until when the client is waited for.
    fn patience(&self) -> Instant {
        // An effect has its own end.
        if let Some(end) = self.inbox.deadline() {
            return end.into();
        }
        self.since
            + match self.waiting {
                Waiting::FirstPacket => self.limits.first_packet,
                Waiting::Packet => self.limits.packet,
                Waiting::Answer => self.limits.answer,
                Waiting::Idle => self.limits.idle,
            }
    }

    /// Sets the clock anew when the connection got somewhere, not for every byte:
    /// a packet sent a byte a second must end in time all the same.
    pub(super) fn note_progress(&mut self, progress: bool, now: Instant) {
        let waiting = if self.connection.is_mid_packet() {
            if self.waiting == Waiting::FirstPacket && !progress {
                Waiting::FirstPacket
            } else {
                Waiting::Packet
            }
        } else if self.connection.has_sessions() {
            Waiting::Answer
        } else {
            Waiting::Idle
        };
        if progress || waiting != self.waiting {
            self.waiting = waiting;
            self.since = now;
            let is_idle = waiting == Waiting::Idle;
            let idle_since = u64::try_from(self.shared.since_start(now).as_millis() + 1);
            let moment = idle_since.ok().filter(|_| is_idle).unwrap_or(0);
            self.peer.place.set_idle_since(moment);
        }
    }
}

/// Takes what there is. The buffer is on the stack for this call only: an idle
/// connection holds none.
async fn receive<S: AsyncRead + Unpin>(
    stream: &mut S,
    connection: &mut Connection<'_, Running>,
) -> io::Result<usize> {
    poll_fn(|context| {
        let mut buffer = [MaybeUninit::uninit(); READ];
        let mut buffer = ReadBuf::uninit(&mut buffer);
        ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer))?;
        connection.receive(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    })
    .await
}
