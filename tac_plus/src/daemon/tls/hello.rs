//! A look at what a TLS client says first.
//!
//! Owns one question: does the client announce early data? The TLS library would
//! only skip such data, and RFC 9887 section 5.1.2 has such a client cut off. Must
//! never judge anything else about a handshake: what cannot be read here is left
//! to the library.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Record types (RFC 8446 section 5.1).
const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;
/// The one handshake message a client sends in clear.
const CLIENT_HELLO: u8 = 1;
/// The extension that announces early data (section 4.2.10).
const EARLY_DATA: u16 = 42;
/// Handshake bytes that are kept for a look; whoever sends more in clear is no client.
const LONGEST: usize = 64 * 1024;

/// A TCP stream whose reader finds an error where a client announces early data.
pub(crate) struct Watched {
    stream: TcpStream,
    hello: Option<Box<Hello>>,
}

impl Watched {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            hello: Some(Box::default()),
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if let Some(hello) = &mut self.hello {
            let fresh = buffer.filled().get(before..).unwrap_or_default();
            match hello.look(fresh) {
                Seen::Nothing => {}
                Seen::End => self.hello = None,
                Seen::EarlyData => {
                    return Poll::Ready(Err(io::Error::other("the client sends early data")));
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// What has been seen so far.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// Nothing that decides; there is more to come in clear.
    Nothing,
    /// No early data, and nothing in clear any more.
    End,
    EarlyData,
}

/// The part of a handshake in clear, as it arrives.
#[derive(Default)]
struct Hello {
    /// A record's header that has begun.
    head: Vec<u8>,
    /// Bytes that are left of the record after it, and whether they are a handshake's.
    left: usize,
    handshake: bool,
    /// Handshake messages, from the first that is not whole.
    message: Vec<u8>,
}

impl Hello {
    fn look(&mut self, mut bytes: &[u8]) -> Seen {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.left == 0 {
                self.head.push(first);
                bytes = rest;
                if let [kind, _, _, high, low] = self.head[..] {
                    if !matches!(kind, HANDSHAKE | CHANGE_CIPHER_SPEC) {
                        return Seen::End;
                    }
                    self.handshake = kind == HANDSHAKE;
                    self.left = u16::from_be_bytes([high, low]).into();
                    self.head.clear();
                }
                continue;
            }
            let (part, rest) = bytes.split_at(self.left.min(bytes.len()));
            (self.left, bytes) = (self.left - part.len(), rest);
            if self.handshake {
                self.message.extend_from_slice(part);
                if self.message.len() > LONGEST {
                    return Seen::End;
                }
                match self.messages() {
                    Seen::Nothing => {}
                    seen => return seen,
                }
            }
        }
        Seen::Nothing
    }

    /// Looks at the messages that are whole.
    fn messages(&mut self) -> Seen {
        while let [kind, a, b, c, body @ ..] = &self.message[..] {
            let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
            let Some(body) = body.get(..length) else {
                break;
            };
            if *kind != CLIENT_HELLO {
                return Seen::End;
            }
            if has_early_data(body).unwrap_or(false) {
                return Seen::EarlyData;
            }
            self.message.drain(..4 + length);
        }
        Seen::Nothing
    }
}

/// Whether a ClientHello holds the extension; `None` if it cannot be read.
fn has_early_data(hello: &[u8]) -> Option<bool> {
    // legacy_version and random.
    let rest = hello.get(34..)?;
    let (_session_id, rest) = vector::<1>(rest)?;
    let (_cipher_suites, rest) = vector::<2>(rest)?;
    let (_compression, rest) = vector::<1>(rest)?;
    let (mut extensions, _) = vector::<2>(rest)?;
    while let Some((kind, rest)) = extensions.split_first_chunk::<2>() {
        if u16::from_be_bytes(*kind) == EARLY_DATA {
            return Some(true);
        }
        (_, extensions) = vector::<2>(rest)?;
    }
    Some(false)
}

/// A vector whose length takes so many bytes, and what comes after it.
fn vector<const LENGTH: usize>(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH>()?;
    let length = length
        .iter()
        .fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ClientHello with these extensions, each empty.
    fn hello(extensions: &[u8]) -> Vec<u8> {
        let list: Vec<u8> = extensions
            .iter()
            .flat_map(|kind| [0, *kind, 0, 0])
            .collect();
        let mut body = vec![3; 34];
        body.extend([2, 9, 9, 0, 2, 0x13, 0x01, 1, 0, 0, list.len() as u8]);
        body.extend(list);
        let mut message = vec![CLIENT_HELLO, 0, 0, body.len() as u8];
        message.extend(body);
        message
    }

    fn record(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind, 3, 3, 0, body.len() as u8], body].concat()
    }

    #[test]
    fn early_data_is_seen_in_any_pieces_and_in_a_second_hello_too() {
        let with = hello(&[10, 42, 45]);
        let (one, two) = with.split_at(7);
        let split = [record(HANDSHAKE, one), record(HANDSHAKE, two)].concat();
        let second = [
            record(HANDSHAKE, &hello(&[10])),
            record(CHANGE_CIPHER_SPEC, &[1]),
            record(HANDSHAKE, &with),
        ]
        .concat();
        for bytes in [record(HANDSHAKE, &with), split, second] {
            assert_eq!(Hello::default().look(&bytes), Seen::EarlyData);
            let mut hello = Hello::default();
            let seen: Vec<Seen> = bytes.chunks(1).map(|byte| hello.look(byte)).collect();
            assert!(seen.contains(&Seen::EarlyData));
        }
    }

    #[test]
    fn nothing_is_seen_in_other_hellos_and_nothing_is_looked_at_after_them() {
        let plain = record(HANDSHAKE, &hello(&[10, 45]));
        assert_eq!(Hello::default().look(&plain), Seen::Nothing);
        let ended = [plain, record(23, &hello(&[42]))].concat();
        assert_eq!(Hello::default().look(&ended), Seen::End);
        assert_eq!(Hello::default().look(&[0xc1; 12]), Seen::End);
        for cut in 0..40 {
            let mut short = hello(&[42]);
            short.truncate(cut);
            if let Some(length) = short.get_mut(3) {
                *length = cut.saturating_sub(4) as u8;
            }
            let seen = Hello::default().look(&record(HANDSHAKE, &short));
            assert_eq!(seen, Seen::Nothing, "{cut}");
        }
    }
}
