//! A look at what a TLS client says first.
//!
//! Owns one question: does the client announce early data? The TLS library would
//! only skip such data, and RFC 9887 section 5.1.2 has such a client cut off. Must
//! never judge anything else about a handshake: what cannot be read here is left
//! to the library.

/// Record types (RFC 8446 section 5.1).
const CHANGE_CIPHER_SPEC: u8 = 20;
pub(super) const HANDSHAKE: u8 = 22;
/// The one handshake message a client sends in clear.
const CLIENT_HELLO: u8 = 1;
/// The extension that announces early data (section 4.2.10).
const EARLY_DATA: u16 = 42;
/// Bytes that are kept for a look; whoever sends more in clear is no client.
const LONGEST: usize = 16 * 1024;
/// A record's header.
const HEAD: usize = 5;

/// What has been seen so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing that decides; there is more to come in clear.
    Nothing,
    /// A whole ClientHello without early data, or nothing in clear any more: the rest is
    /// the library's.
    Whole,
    /// What no client says.
    Refused(&'static str),
}

/// The part of a handshake in clear, as it arrives: it is kept here, and nowhere else.
#[derive(Default)]
pub(super) struct Hello {
    bytes: Vec<u8>,
    /// So many bytes have to be there before it is worth another look.
    need: usize,
}

impl Hello {
    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Everything that came.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Takes what came.
    pub(super) fn look(&mut self, bytes: &[u8]) -> Seen {
        self.bytes.extend_from_slice(bytes);
        if let Some(0xc0 | 0xc1) = self.bytes.first() {
            return Seen::Refused("it speaks plain TACACS+, which is not spoken here");
        }
        if self.bytes.len() < self.need {
            return Seen::Nothing;
        }
        match self.message() {
            Ok(seen) => seen,
            Err(_) if self.bytes.len() > LONGEST => Seen::Refused("its first message is too long"),
            Err(need) => {
                self.need = need;
                Seen::Nothing
            }
        }
    }

    /// What its first handshake message is; without all of that, how many bytes there
    /// have to be at least.
    fn message(&self) -> Result<Seen, usize> {
        let mut message = Vec::new();
        let mut rest = self.bytes.as_slice();
        loop {
            if let [kind, a, b, c, body @ ..] = &message[..] {
                let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
                if *kind != CLIENT_HELLO {
                    return Ok(Seen::Whole);
                }
                if let Some(body) = body.get(..length) {
                    return Ok(match has_early_data(body) {
                        Some(true) => Seen::Refused("the client sends early data"),
                        _ => Seen::Whole,
                    });
                }
            }
            let seen = self.bytes.len() - rest.len();
            let Some(([kind, _, _, high, low], after)) = rest.split_first_chunk::<HEAD>() else {
                return Err(seen + HEAD);
            };
            if !matches!(*kind, HANDSHAKE | CHANGE_CIPHER_SPEC) {
                return Ok(Seen::Whole);
            }
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let (part, after) = after.split_at_checked(length).ok_or(seen + HEAD + length)?;
            if *kind == HANDSHAKE {
                message.extend_from_slice(part);
            }
            rest = after;
        }
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

    const EARLY: Seen = Seen::Refused("the client sends early data");

    #[test]
    fn early_data_is_seen_in_any_pieces() {
        let with = hello(&[10, 42, 45]);
        let (one, two) = with.split_at(7);
        let split = [record(HANDSHAKE, one), record(HANDSHAKE, two)].concat();
        let after = [record(CHANGE_CIPHER_SPEC, &[1]), record(HANDSHAKE, &with)].concat();
        for bytes in [record(HANDSHAKE, &with), split, after] {
            assert_eq!(Hello::default().look(&bytes), EARLY);
            let mut hello = Hello::default();
            let seen: Vec<Seen> = bytes.chunks(1).map(|byte| hello.look(byte)).collect();
            let (last, before) = seen.split_last().unwrap();
            assert_eq!(*last, EARLY);
            assert!(before.iter().all(|seen| *seen == Seen::Nothing));
            assert_eq!(hello.into_bytes(), bytes, "kept once, and handed on whole");
        }
    }

    #[test]
    fn a_hello_without_it_is_whole_and_so_is_what_is_no_hello() {
        let plain = record(HANDSHAKE, &hello(&[10, 45]));
        assert_eq!(Hello::default().look(&plain), Seen::Whole);
        assert_eq!(Hello::default().look(&record(23, &[42])), Seen::Whole);
        assert_eq!(
            Hello::default().look(&record(HANDSHAKE, &[2, 0, 0, 0])),
            Seen::Whole
        );
        for cut in 4..40 {
            let mut short = hello(&[42]);
            short.truncate(cut);
            if let Some(length) = short.get_mut(3) {
                *length = cut.saturating_sub(4) as u8;
            }
            let seen = Hello::default().look(&record(HANDSHAKE, &short));
            assert_eq!(seen, Seen::Whole, "{cut}");
        }
    }

    #[test]
    fn a_hello_that_never_ends_is_refused_before_it_is_long() {
        let mut hello = Hello::default();
        let mut bytes = vec![CLIENT_HELLO, 0xff, 0xff, 0xff];
        bytes.resize(100, 0);
        let part = record(HANDSHAKE, &bytes);
        let mut looks = 0;
        while hello.look(&part) == Seen::Nothing {
            looks += 1;
        }
        assert!(looks <= LONGEST / part.len() + 1);
        let plain = Hello::default().look(&[0xc1; 12]);
        assert!(matches!(plain, Seen::Refused(_)), "{plain:?}");
    }
}
