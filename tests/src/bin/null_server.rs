#![forbid(unsafe_code)]
//! The limit that the server's benchmark measures against: reads, deobfuscates,
//! answers a constant. One thread, one epoll, one buffer; no policy, no log, no file.
//!
//! `null_server SECRET` prints the address it listens on and serves until it is
//! killed. For a benchmark's own client only: it checks nothing.

use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::event::epoll;
use rustix::net::{SocketFlags, accept_with};
use tacacs_common::obfuscate::obfuscate;
use tacacs_common::packet::{HEADER_LEN, Header, PacketType};

const LISTENER: u64 = u64::MAX;

fn main() -> io::Result<()> {
    let secret = std::env::args().nth(1).unwrap_or_default();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    // A connection inherits it.
    rustix::net::sockopt::set_tcp_nodelay(&listener, true)?;
    rustix::net::listen(&listener, 1024)?;
    writeln!(io::stdout(), "{}", listener.local_addr()?)?;
    serve(&listener, secret.as_bytes())
}

struct Peer {
    stream: OwnedFd,
    /// A packet that has not ended.
    rest: Vec<u8>,
}

fn serve(listener: &TcpListener, secret: &[u8]) -> io::Result<()> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let key = epoll::EventData::new_u64(LISTENER);
    epoll::add(&poll, listener, key, epoll::EventFlags::IN)?;
    let mut peers: Vec<Option<Peer>> = Vec::new();
    let mut events = Vec::with_capacity(1024);
    let mut input = vec![0; 64 * 1024];
    let mut output = Vec::new();
    loop {
        events.clear();
        epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in &events {
            if event.data.u64() == LISTENER {
                admit(listener, &poll, &mut peers)?;
                continue;
            }
            let index = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
            let Some(slot) = peers.get_mut(index) else {
                continue;
            };
            let goes_on = slot
                .as_mut()
                .is_some_and(|peer| answer(peer, secret, &mut input, &mut output));
            if !goes_on {
                // Closing takes it out of the epoll too.
                *slot = None;
            }
        }
    }
}

fn admit(listener: &TcpListener, poll: &OwnedFd, peers: &mut Vec<Option<Peer>>) -> io::Result<()> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    while let Ok(stream) = accept_with(listener, flags) {
        // The slot of a descriptor is its number: descriptors are reused lowest first.
        let index = usize::try_from(stream.as_raw_fd()).unwrap_or_default();
        let key = epoll::EventData::new_u64(index as u64);
        epoll::add(poll, stream.as_fd(), key, epoll::EventFlags::IN)?;
        if peers.len() <= index {
            peers.resize_with(index + 1, || None);
        }
        if let Some(slot) = peers.get_mut(index) {
            *slot = Some(Peer {
                stream,
                rest: Vec::new(),
            });
        }
    }
    Ok(())
}

/// Reads once and answers what is whole; tells whether the connection goes on.
fn answer(peer: &mut Peer, secret: &[u8], input: &mut [u8], output: &mut Vec<u8>) -> bool {
    let Ok(count @ 1..) = rustix::io::read(&peer.stream, &mut *input) else {
        return false;
    };
    let Some(fresh) = input.get_mut(..count) else {
        return false;
    };
    output.clear();
    let mut single = true;
    if peer.rest.is_empty() {
        let used = packets(fresh, secret, output, &mut single);
        peer.rest
            .extend_from_slice(fresh.get(used..).unwrap_or_default());
    } else {
        peer.rest.extend_from_slice(fresh);
        let used = packets(&mut peer.rest, secret, output, &mut single);
        peer.rest.drain(..used);
    }
    // The benchmark's client never has more in flight than a socket holds.
    rustix::io::write(&peer.stream, output).is_ok_and(|sent| sent == output.len()) && single
}

/// Answers every whole packet; tells how many bytes they took.
fn packets(input: &mut [u8], secret: &[u8], output: &mut Vec<u8>, single: &mut bool) -> usize {
    let mut used = 0;
    while let Ok(header) = Header::decode(input.get(used..).unwrap_or_default()) {
        let begin = used + HEADER_LEN;
        let end = begin + usize::try_from(header.length).unwrap_or(usize::MAX / 2);
        let Some(body) = input.get_mut(begin..end) else {
            break;
        };
        obfuscate(secret, &header, body);
        reply(&header, secret, output);
        *single &= header.flags.single_connect;
        used = end;
    }
    used
}

fn reply(request: &Header, secret: &[u8], output: &mut Vec<u8>) {
    let body: &[u8] = match request.packet_type {
        PacketType::Acct => &[0, 0, 0, 0, 1],
        _ => &[1, 0, 0, 0, 0, 0],
    };
    let header = Header {
        seq_no: request.seq_no.wrapping_add(1),
        length: body.len().try_into().unwrap_or_default(),
        ..*request
    };
    output.extend_from_slice(&header.encode());
    let begin = output.len();
    output.extend_from_slice(body);
    obfuscate(secret, &header, output.get_mut(begin..).unwrap_or_default());
}
