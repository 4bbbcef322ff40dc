//! The header rules of one session, seen from the client (RFC 8907 sections 4.1
//! and 4.3): who may send which number, and which replies belong to it.

use core::fmt;

use super::seal::seal;
use crate::obfuscate::Protection;
use crate::packet::{Body, Error, Flags, Header, PacketType, Version};

/// One session of a client.
pub struct Session<'k> {
    protection: Protection<'k>,
    packet_type: PacketType,
    version: Version,
    id: u32,
    /// Number of the packet sent last, 0 before the first.
    sent: u8,
    offer_single_connect: bool,
}

/// Why a packet is not the reply to what was sent. Whatever it says, it is not a
/// pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotOurs {
    /// The UNENCRYPTED flag does not fit the connection. The one mismatch that
    /// is a denial (RFC 8907 section 10.5.2): somebody else may be answering.
    Flag(Error),
    /// Another version byte than the request's.
    Version,
    /// Another packet type.
    Type,
    /// Another session.
    SessionId,
    /// Any other header field.
    Header(Error),
}

impl fmt::Display for NotOurs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(error) | Self::Header(error) => error.fmt(f),
            Self::Version => f.write_str("the reply has another version than the request"),
            Self::Type => f.write_str("the reply has another packet type than the request"),
            Self::SessionId => f.write_str("the reply belongs to another session"),
        }
    }
}

impl<'k> Session<'k> {
    /// A session that has sent nothing. `id` must come from the system's
    /// generator (section 4.1); `offer_single_connect` only counts for the first
    /// packet of a connection (section 4.3).
    pub const fn new(
        protection: Protection<'k>,
        packet_type: PacketType,
        version: Version,
        id: u32,
        offer_single_connect: bool,
    ) -> Self {
        Self {
            protection,
            packet_type,
            version,
            id,
            sent: 0,
            offer_single_connect,
        }
    }

    /// Appends the session's next packet to `out`, ready for the wire.
    ///
    /// # Errors
    /// What the body's encoder refuses, a body over 2^16 bytes
    /// ([`Error::LengthLimit`]), and [`Error::Seq`] when the numbers are used up:
    /// a reply to 255 would wrap (section 4.1). `out` is then as before.
    pub fn seal<'b>(&mut self, body: &impl Body<'b>, out: &mut Vec<u8>) -> Result<(), Error> {
        let seq_no = match self.sent {
            0 => 1,
            sent if sent < 253 => sent.saturating_add(2),
            sent => {
                return Err(Error::Seq {
                    expected: sent,
                    found: u8::MAX,
                });
            }
        };
        let header = Header {
            version: self.version,
            packet_type: self.packet_type,
            seq_no,
            flags: Flags {
                unencrypted: self.protection.unencrypted_flag(),
                single_connect: self.offer_single_connect,
            },
            session_id: self.id,
            length: 0,
        };
        seal(header, body, self.protection, out)?;
        self.sent = seq_no;
        Ok(())
    }

    /// Whether this header belongs to the reply that is due. To be asked before
    /// the body is read.
    ///
    /// # Errors
    /// The first mismatch.
    pub fn expect(&self, header: &Header, max_body: u32) -> Result<(), NotOurs> {
        match (self.protection.unencrypted_flag(), header.flags.unencrypted) {
            (false, true) => return Err(NotOurs::Flag(Error::FlagUnencrypted)),
            (true, false) => return Err(NotOurs::Flag(Error::FlagTlsClear)),
            _ => {}
        }
        header.check(max_body).map_err(NotOurs::Header)?;
        if header.version != self.version {
            return Err(NotOurs::Version);
        }
        if header.packet_type != self.packet_type {
            return Err(NotOurs::Type);
        }
        if header.session_id != self.id {
            return Err(NotOurs::SessionId);
        }
        let expected = self.sent.wrapping_add(1);
        if header.seq_no != expected {
            return Err(NotOurs::Header(Error::Seq {
                expected,
                found: header.seq_no,
            }));
        }
        Ok(())
    }

    /// Makes the body of an expected reply clear.
    pub fn open(&self, header: &Header, body: &mut [u8]) {
        self.protection.apply(header, body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{AuthenContinue, DEFAULT_MAX_BODY};
    use crate::secret::Secret;

    fn session<'k>(secret: &'k Secret) -> Session<'k> {
        let protection = Protection::Obfuscated(secret);
        Session::new(protection, PacketType::Authen, Version::DEFAULT, 7, true)
    }

    const ANSWER: AuthenContinue<'_> = AuthenContinue {
        user_msg: b"x",
        data: b"",
        abort: false,
    };

    #[test]
    fn a_client_sends_odd_numbers_and_stops_before_they_wrap() {
        let secret = Secret::from_slice(b"0123456789abcdef");
        let mut session = session(&secret);
        let mut out = Vec::new();
        for turn in 0..127u8 {
            out.clear();
            session.seal(&ANSWER, &mut out).unwrap();
            assert_eq!(out[2], turn * 2 + 1);
        }
        out.clear();
        assert_eq!(
            session.seal(&ANSWER, &mut out),
            Err(Error::Seq {
                expected: 253,
                found: 255
            })
        );
        assert!(out.is_empty());
    }

    #[test]
    fn only_the_reply_to_the_last_packet_is_ours() {
        let secret = Secret::from_slice(b"0123456789abcdef");
        let mut session = session(&secret);
        let mut out = Vec::new();
        session.seal(&ANSWER, &mut out).unwrap();
        let sent = Header::decode(&out).unwrap();
        let good = Header { seq_no: 2, ..sent };
        assert_eq!(session.expect(&good, DEFAULT_MAX_BODY), Ok(()));
        let seq = |found| NotOurs::Header(Error::Seq { expected: 2, found });
        let flags = Flags {
            unencrypted: true,
            single_connect: false,
        };
        for (bad, why) in [
            (Header { seq_no: 1, ..good }, seq(1)),
            (Header { seq_no: 3, ..good }, seq(3)),
            (Header { seq_no: 4, ..good }, seq(4)),
            (
                Header {
                    session_id: 8,
                    ..good
                },
                NotOurs::SessionId,
            ),
            (
                Header {
                    packet_type: PacketType::Author,
                    ..good
                },
                NotOurs::Type,
            ),
            (
                Header {
                    version: Version::ONE,
                    ..good
                },
                NotOurs::Version,
            ),
            (
                Header { flags, ..good },
                NotOurs::Flag(Error::FlagUnencrypted),
            ),
            (
                Header {
                    length: 65_537,
                    ..good
                },
                NotOurs::Header(Error::LengthLimit {
                    length: 65_537,
                    limit: 65_536,
                }),
            ),
        ] {
            assert_eq!(session.expect(&bad, DEFAULT_MAX_BODY), Err(why));
        }
        let clear = Session::new(
            Protection::Clear,
            PacketType::Authen,
            Version::DEFAULT,
            7,
            false,
        );
        assert_eq!(
            clear.expect(&good, DEFAULT_MAX_BODY),
            Err(NotOurs::Flag(Error::FlagTlsClear))
        );
    }
}
