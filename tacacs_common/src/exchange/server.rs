//! One connection, seen from the server: bytes in, requests and bytes out.
//!
//! Owns the header rules of RFC 8907 sections 4.1 to 4.5: which packet belongs to
//! which session, single connection mode, the obfuscation of bodies, and the
//! answer to everything that is not a well-formed request. Must never decide what
//! a request means, and never read a socket or a clock.
//!
//! The pad of a body depends on nothing that the server chooses, so a first packet is a
//! question of whoever sent it: which bytes make sense? It has one answer for all that do
//! not, and it is given when all of the packet has come, however early that was clear.

mod event;
mod first;
mod refuse;

pub use event::{Event, Limits, Refusal, Request};

use std::sync::Arc;

use zeroize::Zeroize;

use super::seal::seal;
use crate::obfuscate::Protection;
use crate::packet::{
    AcctRequest, AuthenContinue, AuthenStart, AuthorRequest, Body, Error, Flags, HEADER_LEN,
    Header, PacketType, Version,
};
use crate::secret::Secret;
use first::Coming;

/// Buffers above this are given back when they run empty: idle connections are cheap.
const KEPT_CAPACITY: usize = 4096;

/// A running session.
struct Session<S> {
    id: u32,
    version: Version,
    packet_type: PacketType,
    /// Number of the packet received last.
    received: u8,
    /// Whether that packet still has no reply.
    unanswered: bool,
    state: Option<S>,
}

/// Single connection mode (section 4.3) is settled by the first request and the first reply.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Unknown,
    /// The client asked in the connection's first packet; every reply agrees.
    Single,
    /// One session, then the end.
    Plain,
}

/// The end of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Closing {
    No,
    /// No new sessions; over when the running ones are.
    AfterSessions,
    /// Over as soon as what is to be sent is sent.
    Now,
}

/// One connection. `S` is what the caller keeps for each session.
pub struct Connection<'k, S> {
    protection: Protection<'k>,
    /// Secrets that a first packet may be obfuscated with instead.
    others: &'k [Arc<Secret>],
    limits: Limits,
    input: Vec<u8>,
    /// Where the packet that is looked at begins in `input`.
    start: usize,
    /// Where what was handed out already ends.
    done: usize,
    output: Vec<u8>,
    sessions: Vec<Session<S>>,
    mode: Mode,
    closing: Closing,
    coming: Coming<'k>,
}

impl<'k, S> Connection<'k, S> {
    /// A connection on which nothing happened yet.
    pub const fn new(protection: Protection<'k>, limits: Limits) -> Self {
        Self {
            protection,
            others: &[],
            limits,
            input: Vec::new(),
            start: 0,
            done: 0,
            output: Vec::new(),
            sessions: Vec::new(),
            mode: Mode::Unknown,
            closing: Closing::No,
            coming: Coming::Unseen,
        }
    }

    /// A connection of a client that may use any of several secrets: the first packet
    /// tells which, and the others count for nothing from then on.
    pub const fn with_secrets(
        first: &'k Secret,
        others: &'k [Arc<Secret>],
        limits: Limits,
    ) -> Self {
        let mut connection = Self::new(Protection::Obfuscated(first), limits);
        connection.others = others;
        connection
    }

    /// Whether the connection is obfuscated with this very secret.
    pub fn uses(&self, secret: &Secret) -> bool {
        matches!(self.protection, Protection::Obfuscated(used) if std::ptr::eq(used, secret))
    }

    /// Whether the first packet has told, or there is no choice.
    pub const fn knows_its_secret(&self) -> bool {
        self.others.is_empty()
    }

    /// Takes what was received. To be followed by [`Connection::poll`] until it
    /// has nothing more, so that the buffer never holds more than one packet and
    /// one read.
    pub fn receive(&mut self, bytes: &[u8]) {
        if self.closing == Closing::Now {
            return;
        }
        self.forget_done();
        self.input.drain(..self.start.min(self.input.len()));
        (self.start, self.done) = (0, 0);
        self.input.extend_from_slice(bytes);
    }

    /// The next event in what was received. Before the body of a session's first packet is
    /// looked at, `admits` is asked whether its session_id may be used (again).
    pub fn poll(&mut self, admits: impl FnOnce(u32) -> bool) -> Option<Event<'_, S>> {
        self.forget_done();
        if self.closing == Closing::Now {
            return None;
        }
        if self.coming.is_refused() {
            return self.refused_in_full();
        }
        let header = match Header::decode(self.unread()) {
            Ok(header) => header,
            Err(Error::ShortHeader { .. }) => return None,
            Err(error) => return Some(self.close(error)),
        };
        if let Err(error @ Error::LengthLimit { .. }) = header.check(self.limits.max_body) {
            return Some(self.close(error));
        }
        if header.flags.unencrypted && !self.protection.unencrypted_flag() {
            // Section 10.5.2: dropped, without a word.
            return Some(self.close(Error::FlagUnencrypted));
        }
        let body_len = usize::try_from(header.length).unwrap_or(usize::MAX);
        let packet_len = HEADER_LEN.saturating_add(body_len);
        if let Coming::Unseen = self.coming {
            self.coming = self.look(&header, body_len, admits);
            if self.coming.is_refused() {
                return self.refused_in_full();
            }
        }
        if self.unread().len() < packet_len {
            return None;
        }
        self.done = self.start.saturating_add(packet_len);
        if let Coming::Fits(protection) = std::mem::take(&mut self.coming) {
            self.protection = protection;
            self.others = &[];
        }
        let head = self.head();
        if let Err(error) = self.admit(&header) {
            return Some(self.refuse(&header, head, error));
        }
        self.request(header)
    }

    /// Checks everything about a packet but its body.
    fn admit(&self, header: &Header) -> Result<(), Error> {
        header.check(self.limits.max_body)?;
        if self.protection.unencrypted_flag() && !header.flags.unencrypted {
            return Err(Error::FlagTlsClear);
        }
        let found = header.seq_no;
        let Some(session) = self.find(header.session_id) else {
            return if found == 1 {
                Ok(())
            } else {
                Err(Error::Seq { expected: 1, found })
            };
        };
        if session.version != header.version {
            return Err(Error::MinorForType {
                found: header.version.minor(),
            });
        }
        let expected = session.received.saturating_add(2);
        // The client speaks out of turn, or opens a session under a number in use.
        if session.unanswered || session.packet_type != header.packet_type || found != expected {
            return Err(Error::Seq { expected, found });
        }
        Ok(())
    }

    /// The request in a packet whose header is in order.
    fn request(&mut self, header: Header) -> Option<Event<'_, S>> {
        if header.seq_no == 1
            && let Err(refusal) = self.open(&header)
        {
            return Some(Event::Refused(refusal));
        }
        let body = self.start.saturating_add(HEADER_LEN)..self.done;
        if let Some(body) = self.input.get_mut(body.clone()) {
            self.protection.apply(&header, body);
        }
        // Decoded once to know whether it can be, and again for the caller: the
        // borrow checker lets no borrow out of one branch that another has to end.
        if let Err(error) = decode(&header, self.input.get(body.clone())?) {
            return Some(self.undecodable(&header, error));
        }
        let session = self
            .sessions
            .iter_mut()
            .find(|session| session.id == header.session_id)?;
        session.received = header.seq_no;
        session.unanswered = true;
        let request = decode(&header, self.input.get(body)?).ok()?;
        Some(Event::Request {
            session_id: header.session_id,
            version: header.version,
            state: &mut session.state,
            request,
        })
    }

    /// Opens the session of a first packet, if another one may be.
    fn open(&mut self, header: &Header) -> Result<(), Refusal> {
        if self.closing != Closing::No || self.mode == Mode::Plain {
            self.drain();
            return Err(Refusal::NoNewSession);
        }
        if self.is_full() {
            self.error_reply(header);
            return Err(Refusal::TooManySessions);
        }
        if self.mode == Mode::Unknown {
            let single = header.flags.single_connect && self.limits.single_connect;
            self.mode = if single { Mode::Single } else { Mode::Plain };
        }
        self.sessions.push(Session {
            id: header.session_id,
            version: header.version,
            packet_type: header.packet_type,
            received: header.seq_no,
            unanswered: true,
            state: None,
        });
        Ok(())
    }

    /// Answers the request that a session waits for. `last` ends the session.
    ///
    /// # Errors
    /// What the encoder refuses; an ERROR has then been sent instead and the
    /// session is over. Also [`Error::Seq`] for a session that waits for nothing.
    pub fn reply<'b>(
        &mut self,
        session_id: u32,
        body: &impl Body<'b>,
        last: bool,
    ) -> Result<(), Error> {
        let Some(session) = self
            .sessions
            .iter_mut()
            .find(|session| session.id == session_id && session.unanswered)
        else {
            return Err(Error::Seq {
                expected: 0,
                found: 0,
            });
        };
        session.unanswered = false;
        let (version, received, packet_type) =
            (session.version, session.received, session.packet_type);
        let sealed = self.seal(version, session_id, received, body);
        if sealed.is_err() {
            let flags = Flags::default();
            self.error_reply(&Header {
                version,
                packet_type,
                seq_no: received,
                flags,
                session_id,
                length: 0,
            });
        }
        // The answer to packet 253 is the last one whose own answer could be answered.
        if last || sealed.is_err() || received >= 253 {
            self.end(session_id);
        }
        sealed
    }

    /// Ends a session without a reply.
    pub fn end(&mut self, session_id: u32) {
        self.sessions.retain(|session| session.id != session_id);
        if self.mode == Mode::Plain {
            self.drain();
        }
    }

    /// Ends the sessions that wait for the client and whose state is `stale`.
    pub fn end_where(&mut self, mut stale: impl FnMut(&S) -> bool) {
        let before = self.sessions.len();
        self.sessions.retain(|session| {
            session.unanswered || !session.state.as_ref().is_some_and(&mut stale)
        });
        if self.mode == Mode::Plain && self.sessions.len() < before {
            self.drain();
        }
    }

    /// Takes no new sessions from now on.
    pub fn drain(&mut self) {
        if self.closing == Closing::No {
            self.closing = Closing::AfterSessions;
        }
    }

    /// What is to be sent; the caller takes away what it has sent.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Whether the connection is over once the output is sent.
    pub fn is_over(&self) -> bool {
        match self.closing {
            Closing::No => false,
            Closing::AfterSessions => self.sessions.is_empty(),
            Closing::Now => true,
        }
    }

    /// Whether a packet has begun and not ended.
    pub fn is_mid_packet(&self) -> bool {
        self.input.len() > self.done || self.coming.is_refused()
    }

    /// Whether bodies are obfuscated, and a secret is all that a client shows.
    const fn is_obfuscated(&self) -> bool {
        !self.protection.unencrypted_flag()
    }

    /// Whether the next session would be one too many.
    pub fn is_full(&self) -> bool {
        self.sessions.len() >= self.limits.sessions
    }

    /// Whether a session runs, whosever turn it is.
    pub fn has_sessions(&self) -> bool {
        !self.sessions.is_empty()
    }

    /// The caller's state of a running session.
    pub fn state(&mut self, session_id: u32) -> Option<&mut S> {
        self.sessions
            .iter_mut()
            .find(|session| session.id == session_id)?
            .state
            .as_mut()
    }

    fn find(&self, id: u32) -> Option<&Session<S>> {
        self.sessions.iter().find(|session| session.id == id)
    }

    /// Appends a packet to the output; nothing of it stays there after an error.
    fn seal<'b, B: Body<'b>>(
        &mut self,
        version: Version,
        session_id: u32,
        received: u8,
        body: &B,
    ) -> Result<(), Error> {
        // Section 4.1: the number never wraps, a session that used them up ends.
        let seq_no = received.checked_add(1).ok_or(Error::Seq {
            expected: received,
            found: 0,
        })?;
        let flags = Flags {
            unencrypted: self.protection.unencrypted_flag(),
            // Nothing more is agreed to once the connection is about to end.
            single_connect: self.mode == Mode::Single && self.closing == Closing::No,
        };
        let header = Header {
            version,
            packet_type: B::TYPE,
            seq_no,
            flags,
            session_id,
            length: 0,
        };
        seal(header, body, self.protection, &mut self.output)
    }

    fn unread(&self) -> &[u8] {
        self.input.get(self.start..).unwrap_or_default()
    }

    /// Wipes the packet that was handed out last: it may hold a password.
    fn forget_done(&mut self) {
        if let Some(done) = self.input.get_mut(self.start..self.done) {
            done.zeroize();
        }
        self.start = self.start.max(self.done);
        if self.start == self.input.len() {
            self.input.clear();
            (self.start, self.done) = (0, 0);
            if self.input.capacity() > KEPT_CAPACITY {
                self.input = Vec::new();
            }
        }
    }
}

impl<S> Drop for Connection<'_, S> {
    fn drop(&mut self) {
        self.input.zeroize();
    }
}

fn decode<'a>(header: &Header, body: &'a [u8]) -> Result<Request<'a>, Error> {
    match (header.packet_type, header.seq_no) {
        (PacketType::Authen, 1) => AuthenStart::decode(body).map(Request::Start),
        (PacketType::Authen, _) => AuthenContinue::decode(body).map(Request::Continue),
        (PacketType::Author, _) => AuthorRequest::decode(body).map(Request::Author),
        (PacketType::Acct, _) => AcctRequest::decode(body).map(Request::Acct),
        (PacketType::Unknown(value), _) => Err(Error::Type(value)),
    }
}
