//! The load: one thread, one epoll, and requests whose bodies were made beforehand. Each
//! has a session_id of its own, as those of real clients do: a server may refuse to answer
//! one that comes again and again. So the client's own work is a copy, a pad for each
//! packet and a comparison.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};
use tacacs_common::obfuscate::obfuscate;
use tacacs_common::packet::{
    AcctRequest, Action, ArgumentsBuf, AuthenMethod, AuthenService, AuthenStart, AuthenType,
    AuthorRequest, Body, Flags, HEADER_LEN, Header, PrivLvl, Version,
};

use super::histogram::Histogram;

pub(crate) const SECRET: &str = "bench-Secret-0123456789-abcdefgh";
pub(crate) const PASSWORD: &str = "bench-Password";
/// A client's ports run out sooner than its addresses.
pub(crate) const ADDRESSES: u32 = 64;

/// A server that is silent for so long has failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Pap,
    Author,
    Acct,
}

/// How it is asked.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// A connection for each request, or one for all.
    pub(crate) keep: bool,
    pub(crate) connections: usize,
    /// Requests in flight on each.
    pub(crate) depth: usize,
}

/// What came of it.
#[derive(Clone)]
pub(crate) struct Outcome {
    pub(crate) requests: u64,
    pub(crate) elapsed: Duration,
    pub(crate) latency: Histogram,
}

impl Outcome {
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }
}

/// A request on the wire and the one right answer to it.
pub(crate) struct Exchange {
    pub(crate) request: Vec<u8>,
    pub(crate) reply: Vec<u8>,
    /// Both in clear.
    clear: [(Header, Vec<u8>); 2],
    sent: u32,
}

impl Exchange {
    /// The same in a session of this number.
    pub(crate) fn renew(&mut self, id: u32) {
        let packets = [&mut self.request, &mut self.reply];
        for (packet, (header, body)) in packets.into_iter().zip(&self.clear) {
            let header = Header {
                session_id: id,
                ..*header
            };
            packet.clear();
            packet.extend_from_slice(&header.encode());
            packet.extend_from_slice(body);
            if !header.flags.unencrypted {
                let body = packet.get_mut(HEADER_LEN..).unwrap_or_default();
                obfuscate(SECRET.as_bytes(), &header, body);
            }
        }
    }
}

struct Conversation {
    stream: Option<OwnedFd>,
    /// When each request in flight was sent.
    since: Vec<Instant>,
    /// Whether single connection mode is: until then a client sends one request.
    settled: bool,
    input: Vec<u8>,
}

pub(crate) struct Load {
    server: SocketAddr,
    shape: Shape,
    exchanges: Vec<Exchange>,
    conversations: Vec<Conversation>,
    poll: OwnedFd,
    opened: u32,
    /// The first session_id: each conversation's are as many apart as there are in all.
    first: u32,
}

fn bad(message: impl Into<String>) -> io::Error {
    io::Error::other(message.into())
}

impl Load {
    pub(crate) fn new(server: SocketAddr, work: Work, shape: Shape) -> io::Result<Self> {
        let sessions = shape.connections * shape.depth;
        let mut load = Self {
            server,
            shape,
            exchanges: (0..sessions)
                .map(|_| exchange(work, shape.keep, true))
                .collect(),
            conversations: Vec::new(),
            poll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            opened: 0,
            // Another load of the same server has others.
            first: std::time::UNIX_EPOCH
                .elapsed()
                .map_or(0, |time| time.as_micros() as u32),
        };
        for index in 0..shape.connections {
            load.conversations.push(Conversation {
                stream: None,
                since: vec![Instant::now(); shape.depth],
                settled: false,
                input: Vec::new(),
            });
            load.open(index)?;
        }
        Ok(load)
    }

    /// Runs for `time`, and counts what was answered in it.
    pub(crate) fn run(&mut self, time: Duration) -> io::Result<Outcome> {
        let begin = Instant::now();
        let mut outcome = Outcome {
            requests: 0,
            elapsed: time,
            latency: Histogram::default(),
        };
        let mut events = Vec::with_capacity(1024);
        // Never asleep: to wake the client would be a cost of the server's, and one that
        // only a server has that is slow enough to let it sleep.
        let at_once = rustix::time::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let mut last = begin;
        loop {
            events.clear();
            let room = rustix::buffer::spare_capacity(&mut events);
            let found = epoll::wait(&self.poll, room, Some(&at_once))?;
            let now = Instant::now();
            if found > 0 {
                last = now;
            } else if now.duration_since(last) > PATIENCE {
                return Err(bad("the server does not answer any more"));
            }
            for event in &events {
                let index = usize::try_from(event.data.u64()).unwrap_or_default();
                self.receive(index, now, &mut outcome)?;
            }
            if now.duration_since(begin) >= time {
                outcome.elapsed = now.duration_since(begin);
                return Ok(outcome);
            }
        }
    }

    /// Connects, with the first request under way.
    fn open(&mut self, index: usize) -> io::Result<()> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let stream = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        sockopt::set_tcp_nodelay(&stream, true)?;
        let from = Ipv4Addr::from(0x7f00_0101 + self.opened % ADDRESSES);
        self.opened = self.opened.wrapping_add(1);
        rustix::net::bind(&stream, &SocketAddr::from((from, 0)))?;
        match connect(&stream, &self.server) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        // Over loopback a connection is there when connect returns.
        let key = epoll::EventData::new_u64(index as u64);
        epoll::add(&self.poll, stream.as_fd(), key, epoll::EventFlags::IN)?;
        let Some(conversation) = self.conversations.get_mut(index) else {
            return Ok(());
        };
        conversation.stream = Some(stream);
        conversation.input.clear();
        conversation.since.fill(Instant::now());
        self.send(index, &[index * self.shape.depth])
    }

    fn send(&mut self, index: usize, ids: &[usize]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(1024);
        let all = self.exchanges.len() as u32;
        for id in ids {
            if let Some(exchange) = self.exchanges.get_mut(*id) {
                let number = exchange.sent.wrapping_mul(all).wrapping_add(*id as u32);
                exchange.sent += 1;
                exchange.renew(self.first.wrapping_add(number));
                bytes.extend_from_slice(&exchange.request);
            }
        }
        let stream = self
            .conversations
            .get(index)
            .and_then(|one| one.stream.as_ref());
        let stream = stream.ok_or_else(|| bad("no connection"))?;
        if rustix::io::write(stream, &bytes)? == bytes.len() {
            Ok(())
        } else {
            Err(bad("a request did not fit the socket"))
        }
    }

    /// Takes the replies that are there and sends as many requests.
    fn receive(&mut self, index: usize, now: Instant, outcome: &mut Outcome) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        let Some(conversation) = self.conversations.get_mut(index) else {
            return Ok(());
        };
        let Some(stream) = conversation.stream.as_ref() else {
            return Ok(());
        };
        let count = match rustix::io::read(stream, &mut buffer) {
            Ok(0) => return Err(bad("the server closed a connection")),
            Ok(count) => count,
            Err(Errno::AGAIN) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        conversation
            .input
            .extend_from_slice(buffer.get(..count).unwrap_or_default());
        let (mut next, mut used) = (Vec::with_capacity(self.shape.depth), 0);
        while let Some(input) = conversation.input.get(used..)
            && let Ok(header) = Header::decode(input)
        {
            let all = self.exchanges.len() as u32;
            let id = (header.session_id.wrapping_sub(self.first) % all) as usize;
            let Some(exchange) = self.exchanges.get(id) else {
                return Err(bad("a reply to nobody"));
            };
            let Some(reply) = input.get(..exchange.reply.len()) else {
                break;
            };
            if reply != exchange.reply {
                return Err(bad(format!(
                    "not the right answer: {reply:02x?} instead of {:02x?}",
                    exchange.reply
                )));
            }
            used += reply.len();
            if let Some(since) = conversation.since.get_mut(id % self.shape.depth) {
                outcome.latency.add(now.saturating_duration_since(*since));
                *since = now;
            }
            outcome.requests += 1;
            next.push(id);
        }
        conversation.input.drain(..used);
        if !self.shape.keep {
            if !next.is_empty() {
                conversation.stream = None;
                return self.open(index);
            }
            return Ok(());
        }
        if !std::mem::replace(&mut conversation.settled, true) {
            let first = index * self.shape.depth;
            next = (first..first + self.shape.depth).collect();
            conversation.since.fill(now);
        }
        self.send(index, &next)
    }
}

pub(crate) fn exchange(work: Work, single: bool, obfuscated: bool) -> Exchange {
    let who = (b"bench", b"tty1", b"10.9.8.7");
    let mut args = ArgumentsBuf::new();
    let words: &[&str] = match work {
        Work::Pap => &[],
        Work::Author => &[
            "service=shell",
            "cmd=show",
            "cmd-arg=version",
            "cmd-arg=<cr>",
        ],
        Work::Acct => &[
            "task_id=1",
            "service=shell",
            "start_time=1700000000",
            "elapsed_time=5",
            "cmd=show version <cr>",
        ],
    };
    for word in words {
        // Every one is shorter than 255 bytes.
        let _ = args.push_raw(word.as_bytes());
    }
    let about = AuthorRequest {
        authen_method: AuthenMethod::TacacsPlus,
        priv_lvl: PrivLvl::USER,
        authen_type: AuthenType::Ascii,
        authen_service: AuthenService::Login,
        user: who.0,
        port: who.1,
        rem_addr: who.2,
        args: args.as_arguments(),
    };
    let start = AuthenStart {
        action: Action::Login,
        priv_lvl: PrivLvl::USER,
        authen_type: AuthenType::Pap,
        authen_service: AuthenService::Login,
        user: who.0,
        port: who.1,
        rem_addr: who.2,
        data: PASSWORD.as_bytes(),
    };
    let success = [1, 0, 0, 0, 0, 0];
    let (request, reply) = match work {
        Work::Pap => (encoded(&start), &success[..]),
        Work::Author => (encoded(&about), &success[..]),
        Work::Acct => (
            encoded(&AcctRequest { flags: 4, about }),
            &[0, 0, 0, 0, 1][..],
        ),
    };
    let (version, packet_type) = match work {
        Work::Pap => (Version::ONE, AuthenStart::TYPE),
        Work::Author => (Version::DEFAULT, AuthorRequest::TYPE),
        Work::Acct => (Version::DEFAULT, AcctRequest::TYPE),
    };
    let packet = |seq_no, body: &[u8]| {
        let header = Header {
            version,
            packet_type,
            seq_no,
            flags: Flags {
                unencrypted: !obfuscated,
                single_connect: single,
            },
            session_id: 0,
            length: body.len() as u32,
        };
        (header, body.to_vec())
    };
    let mut exchange = Exchange {
        request: Vec::new(),
        reply: Vec::new(),
        clear: [packet(1, &request), packet(2, reply)],
        sent: 0,
    };
    exchange.renew(0x5eed_0000);
    exchange
}

fn encoded<'b>(body: &impl Body<'b>) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What a benchmark sends is known to fit.
    let _ = body.encode(&mut bytes);
    bytes
}
