//! One connection to one server: whole packets, within a time limit.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use zeroize::Zeroizing;

use super::budget::{Budget, FAIR_CHANCE, Wait};
use super::connect::{Transport, connect, is_readable, wait_for};
use super::{Means, Trouble, random};
use crate::config::{Address, Server, SingleConnect};
use crate::exchange::{NotOurs, Session};
use crate::obfuscate::Protection;
use crate::packet::{Body, DEFAULT_MAX_BODY, Error, HEADER_LEN, Header, PacketType, Version};
use crate::secret::Secret;

/// Large enough for a START, so that a password is never left behind in memory
/// by a buffer that grew.
const OUT_CAPACITY: usize = 2048;

/// A connection, and what is known of it.
pub(super) struct Link {
    transport: Option<Box<dyn Transport>>,
    secret: Option<Secret>,
    /// The process that connected. A forked copy must not use the connection.
    pid: u32,
    /// Sessions begun. Single connection mode is settled by the first.
    sessions: u32,
    single_connect: bool,
    offer: bool,
    /// Whether a reply has come in the session that runs.
    answered: bool,
    last_port: Option<u16>,
}

/// How long the reply to a packet may take.
#[derive(Clone, Copy)]
pub(super) enum ReplyLimit {
    /// `timeout`, out of the operation's deadline.
    Quick,
    /// `authen_timeout`, outside the deadline: a person may have to approve.
    Slow(Duration),
}

impl Link {
    /// Connects, reading the secret first: without it nothing is sent.
    pub(super) fn open(
        server: &Server,
        budget: &mut Budget,
        means: Means,
    ) -> Result<Self, Trouble> {
        let secret = server.secret().map_err(Trouble::Config)?;
        let is_protected = server.tls.is_some() || matches!(server.address, Address::Unix(_));
        if secret.is_none() && !is_protected {
            return Err(Trouble::NoSecret);
        }
        let begun = Instant::now();
        let connected = budget.spend(server.timeout, |wait| connect(server, wait, means));
        if let Err(Trouble::Resolve(_) | Trouble::ResolveTimeout { .. }) = connected {
            // A resolver may know no limits, and what it used is used.
            budget.take(begun.elapsed().saturating_sub(server.timeout));
        }
        let (transport, last_port) = connected?;
        Ok(Self {
            transport: Some(transport),
            secret,
            pid: std::process::id(),
            sessions: 0,
            single_connect: false,
            offer: server.single_connect == SingleConnect::Auto,
            answered: false,
            last_port,
        })
    }

    /// The port it comes from, if the host had no other than its last.
    pub(super) const fn last_port(&self) -> Option<u16> {
        self.last_port
    }

    /// Whether a further session may begin here (RFC 8907 section 4.3).
    pub(super) fn is_usable(&self) -> bool {
        self.single_connect
            && self.pid == std::process::id()
            && self
                .transport
                .as_ref()
                .is_some_and(|transport| transport.is_intact() && !is_readable(transport.as_fd()))
    }

    /// Whether the session that runs began on a connection that had served
    /// others and has had no reply: then the server may have closed it just
    /// before, and the session can begin anew on a fresh connection.
    pub(super) const fn may_be_stale(&self) -> bool {
        self.sessions > 1 && !self.answered
    }

    /// Begins a session.
    pub(super) fn session(
        &mut self,
        packet_type: PacketType,
        version: Version,
    ) -> Result<LinkSession<'_>, Trouble> {
        let id = random::session_id().map_err(|error| Trouble::Local("random numbers", error))?;
        self.answered = false;
        self.sessions = self.sessions.saturating_add(1);
        let Self {
            transport,
            secret,
            sessions,
            single_connect,
            offer,
            answered,
            ..
        } = self;
        let transport = transport.as_deref_mut().ok_or(Trouble::Closed)?;
        let protection = secret
            .as_ref()
            .map_or(Protection::Clear, Protection::Obfuscated);
        let session = Session::new(protection, packet_type, version, id, *offer);
        let first = *sessions == 1;
        Ok(LinkSession {
            session,
            transport,
            single_connect,
            answered,
            first,
            offer: *offer,
        })
    }
}

impl Drop for Link {
    /// Closes the descriptor, and does nothing else: this may be a forked copy.
    fn drop(&mut self) {
        if let Some(transport) = self.transport.take_if(|transport| !transport.is_intact()) {
            transport.abandon();
        }
    }
}

/// One session on a link.
pub(super) struct LinkSession<'l> {
    session: Session<'l>,
    transport: &'l mut dyn Transport,
    single_connect: &'l mut bool,
    answered: &'l mut bool,
    first: bool,
    offer: bool,
}

/// What sending and receiving can end with, apart from a reply.
pub(super) enum Fault {
    /// The request does not fit a packet. Nothing was sent.
    Unsendable(Error),
    /// The reply has the wrong UNENCRYPTED flag: a denial.
    Flag(NotOurs),
    /// Anything else.
    Trouble(Trouble),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Unsendable(error)
    }
}

impl From<Trouble> for Fault {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl LinkSession<'_> {
    /// Sends a packet that has no reply.
    pub(super) fn tell<'b>(
        &mut self,
        body: &impl Body<'b>,
        timeout: Duration,
        budget: &mut Budget,
    ) -> Result<(), Fault> {
        let mut out = Zeroizing::new(Vec::with_capacity(OUT_CAPACITY));
        self.session
            .seal(body, &mut out)
            .map_err(Fault::Unsendable)?;
        Ok(budget.spend(timeout, |wait| self.write(&out, wait))?)
    }

    /// Sends a packet and waits for its reply, whose clear body is returned.
    pub(super) fn ask<'b>(
        &mut self,
        body: &impl Body<'b>,
        limit: ReplyLimit,
        timeout: Duration,
        budget: &mut Budget,
    ) -> Result<Vec<u8>, Fault> {
        self.tell(body, timeout, budget)?;
        match limit {
            ReplyLimit::Quick => budget.spend(timeout, |wait| self.reply(wait)),
            ReplyLimit::Slow(limit) => self.reply(&Wait::new(limit)),
        }
    }

    fn write(&mut self, mut out: &[u8], wait: &Wait) -> Result<(), Trouble> {
        while !out.is_empty() {
            match self.transport.write(out) {
                Ok(0) => return Err(Trouble::Closed),
                Ok(sent) => out = out.get(sent..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait_for(self.transport.as_fd(), PollFlags::OUT, wait)
                        .map_err(|error| slow(error, wait))?;
                }
                Err(error) => return Err(Trouble::Io(error)),
            }
        }
        Ok(())
    }

    /// Reads one packet. The whole of it has to be here before the end of the
    /// wait, however slowly it drips in.
    fn reply(&mut self, wait: &Wait) -> Result<Vec<u8>, Fault> {
        let mut head = [0; HEADER_LEN];
        self.read(&mut head, wait)?;
        let header = Header::decode(&head).map_err(Trouble::Malformed)?;
        self.session
            .expect(&header, DEFAULT_MAX_BODY)
            .map_err(|why| match why {
                flag @ NotOurs::Flag(_) => Fault::Flag(flag),
                other => Fault::Trouble(Trouble::NotOurs(other)),
            })?;
        *self.answered = true;
        if self.first {
            self.first = false;
            *self.single_connect = self.offer && header.flags.single_connect;
        }
        if header.length == 0 {
            return Err(Trouble::HeaderOnly.into());
        }
        let mut body = vec![0; usize::try_from(header.length).unwrap_or(0)];
        self.read(&mut body, wait)?;
        self.session.open(&header, &mut body);
        Ok(body)
    }

    fn read(&mut self, mut buf: &mut [u8], wait: &Wait) -> Result<(), Trouble> {
        while !buf.is_empty() {
            match self.transport.read(buf) {
                // The end of the stream is the end, not "try again".
                Ok(0) => return Err(Trouble::Closed),
                Ok(count) => buf = buf.get_mut(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait_for(self.transport.as_fd(), PollFlags::IN, wait)
                        .map_err(|error| slow(error, wait))?;
                }
                Err(error) => return Err(Trouble::Io(error)),
            }
            if !buf.is_empty() && wait.remaining().is_none() {
                return Err(no_reply(wait));
            }
        }
        Ok(())
    }
}

fn slow(error: io::Error, wait: &Wait) -> Trouble {
    if error.kind() == io::ErrorKind::TimedOut {
        no_reply(wait)
    } else {
        Trouble::Io(error)
    }
}

fn no_reply(wait: &Wait) -> Trouble {
    Trouble::NoReply {
        late: wait.is_late(wait.begun(), FAIR_CHANCE),
    }
}
