//! One connection's task.
//!
//! Owns its socket and its time limits. Carries bytes to the protocol, requests
//! to the policy, effects to whoever performs them, and replies back.
//!
//! | file | owns |
//! |---|---|
//! | `patience` | how long it is waited for |
//! | `peer` | who is at the other end, and how that is shown |
//! | `refusal` | what whoever sends nonsense gets |
//! | `reply` | the policy's replies as packets |

mod patience;
mod peer;
mod refusal;
mod reply;

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use tacacs_common::exchange::server::{Connection, Event, Request};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::Shared;
use super::limits::Limits;
use super::memory::Lease;
use super::setup::Current;
use crate::effects::{self, inbox::Inbox};
use crate::policy::values::Date;
use crate::policy::{Done, Effect, Input, Policy, Reply, Session, Step};
use peer::{Peer, Proof};
pub(super) use peer::{plain, secured};
use refusal::Held;

/// Bytes taken from a socket at once.
const READ: usize = 16 * 1024;
/// Replies are sent at the latest when this many bytes wait.
const FLUSH: usize = 64 * 1024;
/// Requests that a connection has answered before others have their turn.
const TURN: u32 = 32;
/// Of a connection's sessions, one in so many may wait for who guesses at their users: the
/// others go on.
const WAITING_SHARE: usize = 4;
/// After an error the client gets this long to read the reply before the socket goes.
const LINGER: Duration = Duration::from_secs(1);

/// A session and the policy it began under, which a reload does not change.
struct Running {
    policy: Arc<Policy>,
    session: Session,
    /// When its last packet came.
    since: Instant,
}

/// What the connection waits for, which decides how long.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waiting {
    FirstPacket,
    Packet,
    Answer,
    Idle,
}

struct Talk<'k, S> {
    shared: &'k Shared,
    stream: S,
    peer: Peer<'k>,
    /// That of the last request, which an idle connection must not keep: it may be the
    /// only one that would.
    policy: Weak<Policy>,
    limits: Limits,
    connection: Connection<'k, Running>,
    /// Effects in flight.
    inbox: Inbox,
    waiting: Waiting,
    since: Instant,
    /// When what shows who the client is runs out.
    proven_until: Option<Instant>,
    /// Whether a packet was refused: then the client may still be sending.
    refused: bool,
    /// Whether the client has shown that it is one: by a certificate, or by a request that
    /// makes sense under its secret.
    proven: bool,
    /// What a stranger's packet takes.
    lease: Lease<'k>,
    held: Option<Held>,
    /// When the connection ends without a word.
    hang_up: Option<Instant>,
}

/// When something happens. Looking at clocks costs more than some answers, so it is done
/// once for all that arrived together.
#[derive(Clone, Copy)]
struct Moment {
    now: Instant,
    today: Date,
}

/// What happened while a connection waited.
enum Happened {
    /// So many bytes came; none is the end.
    Received(usize),
    /// Effects have results.
    Results,
    /// What was held back may be sent.
    Release,
    /// The client's certificate ran out.
    Expired,
    /// The daemon is to end.
    Stop,
}

impl<'k, S: AsyncRead + AsyncWrite + Unpin> Talk<'k, S> {
    fn new(
        shared: &'k Shared,
        current: &Current,
        stream: S,
        peer: Peer<'k>,
        connection: Connection<'k, Running>,
    ) -> Self {
        Self {
            shared,
            stream,
            proven_until: peer.proven_until(),
            proven: matches!(peer.proof, Proof::Certificate(_)),
            lease: shared.memory.lease(),
            held: None,
            hang_up: None,
            peer,
            policy: Arc::downgrade(&current.policy),
            limits: current.limits,
            connection,
            inbox: Inbox::default(),
            waiting: Waiting::FirstPacket,
            since: Instant::now(),
            refused: false,
        }
    }

    async fn serve(mut self, stop: watch::Receiver<bool>) {
        // Whatever ends the conversation early (reset, silence), the client knows it best.
        let ended = self.run(stop).await;
        let says_goodbye = matches!(self.peer.proof, Proof::Certificate(_));
        if ended.is_ok() && (self.refused || says_goodbye) {
            self.linger().await;
        }
    }

    async fn run(&mut self, mut stop: watch::Receiver<bool>) -> io::Result<()> {
        // Both last as long as the connection: setting a timer and a listener up anew
        // for every packet would cost more than its answer.
        let mut timer = pin!(sleep_until(self.deadline()));
        // An error means that the daemon is gone, which is the same.
        let mut stopping = pin!(stop.wait_for(|stop| *stop));
        let mut stopped = false;
        while !self.connection.is_over() || self.held.is_some() {
            // A client that always has more to say lets the others speak too.
            tokio::task::consume_budget().await;
            let happened = tokio::select! {
                biased;
                happened = self.wait(timer.as_mut()) => happened?,
                _ = &mut stopping, if !stopped => Happened::Stop,
            };
            match happened {
                Happened::Received(0) => {
                    // Somebody may still listen for what was asked before.
                    self.finish_effects().await;
                    if let Some(held) = &self.held {
                        sleep_until(held.until).await;
                        self.release(Instant::now());
                    }
                    self.flush().await?;
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Happened::Received(_) => {
                    let now = Instant::now();
                    let progress = self.answer(now).await?;
                    self.note_progress(progress, now);
                }
                Happened::Results => {
                    let results = self.inbox.take();
                    self.resume(results).await;
                    self.note_progress(true, Instant::now());
                    self.flush().await?;
                }
                Happened::Release => {
                    self.release(Instant::now());
                    self.flush().await?;
                }
                Happened::Expired => self.mind_expiry(Instant::now()),
                Happened::Stop => {
                    stopped = true;
                    self.connection.drain();
                }
            }
        }
        Ok(())
    }

    /// Answers everything that has arrived whole; tells whether anything had.
    async fn answer(&mut self, now: Instant) -> io::Result<bool> {
        let policy = self.refresh();
        self.mind_expiry(now);
        let moment = Moment {
            now,
            today: self.shared.today.date(),
        };
        // Dialogues that were given up without a word must not fill the connection.
        let limit = self.limits.answer;
        self.connection
            .end_where(|running| now.saturating_duration_since(running.since) >= limit);
        let mut progress = false;
        let mut turn = 0..TURN;
        loop {
            if turn.next().is_none() {
                tokio::task::yield_now().await;
                turn = 0..TURN;
            }
            // What has arrived may have been taken already, so it is looked at again.
            while self.connection.is_full() && self.inbox.is_busy() {
                let results = self.inbox.next(self.limits.write).await;
                self.resume(results).await;
            }
            let answered = self.connection.output().len();
            let (shared, tags) = (self.shared, &self.peer.tags);
            let admits =
                |id| tags.is_empty() || shared.trust().admits(tags, id, shared.since_start(now));
            let Some(event) = self.connection.poll(admits) else {
                break;
            };
            progress = true;
            match event {
                Event::Refused(refusal) => self.refused(refusal, answered, now),
                Event::Request {
                    session_id,
                    version,
                    state,
                    request,
                } => {
                    let running = state.get_or_insert_with(|| {
                        self.inbox.begin(session_id);
                        Running {
                            policy: Arc::clone(&policy),
                            session: Session::new(self.peer.address, Arc::clone(&self.peer.client)),
                            since: now,
                        }
                    });
                    running.since = now;
                    let input = match request {
                        Request::Start(start) => Input::Start(start, version),
                        Request::Continue(more) => Input::Continue(more),
                        Request::Author(request) => Input::Author(request, version),
                        Request::Acct(request) => Input::Acct(request, version),
                    };
                    let opens = !matches!(input, Input::Continue(_));
                    let step = (running.session).step(&running.policy, moment.today, input);
                    if opens && !matches!(step, Step::Senseless(..) | Step::Unsupported(..)) {
                        self.prove(session_id, moment);
                    }
                    self.perform(session_id, step, moment).await;
                }
            }
            if let Some(moment) = self.hang_up {
                self.flush().await?;
                sleep_until(moment).await;
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            if self.connection.output().len() > FLUSH {
                self.flush().await?;
            }
        }
        self.flush().await?;
        self.mind_memory()?;
        Ok(progress)
    }

    /// A stranger's packet that is long is kept only while there is room for it.
    fn mind_memory(&mut self) -> io::Result<()> {
        let bytes = self.connection.is_waiting_for();
        if self.proven || self.shared.may_keep(&mut self.lease, bytes) {
            return Ok(());
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    /// A session's first request made sense: the client has shown that it is one.
    fn prove(&mut self, session_id: u32, moment: Moment) {
        let Moment { now, today } = moment;
        if !self.peer.tags.is_empty() {
            let since = self.shared.since_start(now);
            let mut trust = self.shared.trust();
            trust.made_sense(&self.peer.tags, session_id, since);
        }
        if !self.proven {
            self.proven = true;
            self.lease.give_back();
            self.peer.place.keep();
        }
        if self.waiting == Waiting::FirstPacket {
            (self.peer).mind_old_secret(self.shared, &self.connection, today);
        }
    }

    /// After a reload: a client that is no longer one, or has another secret now,
    /// may end its sessions but begin none. Tells what is in force.
    fn refresh(&mut self) -> Arc<Policy> {
        let current = self.shared.current();
        let policy = Arc::clone(&current.policy);
        if std::ptr::eq(Arc::as_ptr(&policy), self.policy.as_ptr()) {
            return policy;
        }
        match current.policy.client(self.peer.address) {
            Some(client) if self.peer.is_still(client, &current, &self.connection) => {
                self.peer.client = Arc::clone(client);
                self.policy = Arc::downgrade(&policy);
            }
            _ => self.connection.drain(),
        }
        policy
    }

    /// A client whose certificate has run out meanwhile may end its sessions but begin
    /// none.
    fn mind_expiry(&mut self, now: Instant) {
        if self.proven_until.is_none_or(|end| end > now) {
            return;
        }
        self.proven_until = None;
        self.connection.drain();
        let address = self.peer.address;
        let line = format!("connection from {address} ends: its certificate has run out");
        self.shared.log.line(line);
    }

    async fn perform(&mut self, session_id: u32, mut step: Step, moment: Moment) {
        loop {
            let answer;
            match step {
                Step::Senseless(error, line) => {
                    let answered = self.connection.output().len();
                    self.connection.deny(session_id);
                    return match self.peer.proof {
                        Proof::Secrets(_) => self.doubt(error.code(), line, answered, moment.now),
                        Proof::Certificate(_) => self.tell(error.code(), || line),
                    };
                }
                Step::Unsupported(reply, line) => {
                    self.log(line);
                    return self.reply(session_id, &reply);
                }
                Step::Reply(reply, line) => {
                    self.log(line);
                    return self.reply(session_id, &reply);
                }
                Step::Silence(line) => {
                    self.log(line);
                    return self.connection.end(session_id);
                }
                Step::Need(Effect::Count(attempt)) => {
                    let now = moment.now.into_std();
                    let most = self.limits.connection.sessions / WAITING_SHARE;
                    let (waits, inbox) = (&self.shared.waits, &mut self.inbox);
                    match waits.count(&attempt, now, session_id, inbox, most) {
                        Some(done) => answer = done,
                        None => return,
                    }
                }
                Step::Need(effect) => {
                    let limit = effects::limit(&effect);
                    let ticket = self.inbox.ticket(session_id, limit);
                    return match effect {
                        Effect::Record(record) => {
                            self.shared.store.record(&record.line, ticket).await;
                        }
                        effect => self
                            .shared
                            .effects
                            .perform(self.peer.address, effect, ticket),
                    };
                }
            }
            // Nobody has to wait: on with it.
            let Some(running) = self.connection.state(session_id) else {
                return;
            };
            let input = Input::Done(answer);
            step = (running.session).step(&running.policy, moment.today, input);
        }
    }

    /// Waits for all effects in flight, but not for a disk that hangs.
    async fn finish_effects(&mut self) {
        let end = Instant::now() + self.limits.write;
        while !self.inbox.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            let results = self.inbox.next(left).await;
            self.resume(results).await;
        }
    }

    /// Tells sessions what became of their effects.
    async fn resume(&mut self, results: Vec<(u32, Done)>) {
        let moment = Moment {
            now: Instant::now(),
            today: self.shared.today.date(),
        };
        for (session_id, done) in results {
            let Some(running) = self.connection.state(session_id) else {
                continue;
            };
            running.since = moment.now;
            let done = Input::Done(done);
            let step = (running.session).step(&running.policy, moment.today, done);
            self.perform(session_id, step, moment).await;
        }
    }

    fn reply(&mut self, session_id: u32, reply: &Reply) {
        self.shared.counters.count(self.peer.address, reply);
        if let Err(error) = reply::send(&mut self.connection, session_id, reply) {
            let address = self.peer.address;
            let line = format!("reply to {address} could not be sent: {error}");
            self.shared.log.line(line);
        }
    }

    fn log(&self, line: Option<String>) {
        if let Some(line) = line {
            self.shared.log.line(line);
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        let output = self.connection.output();
        if output.is_empty() {
            return Ok(());
        }
        let stream = &mut self.stream;
        let mut sent = pin!(async {
            stream.write_all(output).await?;
            stream.flush().await
        });
        // The socket takes it at once but for clients that do not read: only those
        // cost a timer.
        match poll_fn(|context| Poll::Ready(sent.as_mut().poll(context))).await {
            Poll::Ready(done) => done?,
            Poll::Pending => timeout(self.limits.write, sent)
                .await
                .map_err(|_| io::ErrorKind::TimedOut)??,
        }
        let output = self.connection.output();
        output.clear();
        output.shrink_to(READ);
        Ok(())
    }

    /// Closes so that the ERROR arrives: a socket closed with unread bytes in it is
    /// reset, and the reset overtakes the reply.
    async fn linger(mut self) {
        let drained = timeout(LINGER, async {
            self.stream.shutdown().await?;
            if !self.refused {
                return Ok(());
            }
            for _ in 0..256 {
                if self.stream.read(&mut [0; 1024]).await? == 0 {
                    break;
                }
            }
            io::Result::Ok(())
        });
        // The reply is out; whether the client said goodbye does not matter.
        let _ = drained.await;
    }
}
