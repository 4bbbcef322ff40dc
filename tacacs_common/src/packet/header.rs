//! The 12-byte header (RFC 8907 section 4.1), always in clear.

use super::error::Error;
use super::values::PacketType;

/// Length of a header in bytes.
pub const HEADER_LEN: usize = 12;

/// Largest body accepted unless configured otherwise: the RFC's recommended 2^16.
pub const DEFAULT_MAX_BODY: u32 = 65_536;

/// `major_version`: the only one there is.
const MAJOR: u8 = 0xC;

/// The version byte: `major_version` 0xC and a minor version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version(u8);

impl Version {
    /// Minor version 0: ASCII, change password, enable, authorization, accounting.
    pub const DEFAULT: Self = Self(0xC0);
    /// Minor version 1: PAP, CHAP, MS-CHAP (RFC 8907 section 5.4.1).
    pub const ONE: Self = Self(0xC1);

    /// The low nibble.
    pub const fn minor(self) -> u8 {
        self.0 & 0x0F
    }

    /// The byte on the wire.
    pub const fn to_wire(self) -> u8 {
        self.0
    }
}

/// Header flags. Bits the RFC does not define are ignored when read and never
/// written (section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags {
    /// 0x01: the body is not obfuscated.
    pub unencrypted: bool,
    /// 0x04: the sender offers or accepts single connection mode.
    pub single_connect: bool,
}

impl Flags {
    const UNENCRYPTED: u8 = 0x01;
    const SINGLE_CONNECT: u8 = 0x04;

    /// Reads the flags byte.
    pub const fn from_wire(byte: u8) -> Self {
        Self {
            unencrypted: byte & Self::UNENCRYPTED != 0,
            single_connect: byte & Self::SINGLE_CONNECT != 0,
        }
    }

    /// The flags byte.
    pub const fn to_wire(self) -> u8 {
        let mut byte = 0;
        if self.unencrypted {
            byte |= Self::UNENCRYPTED;
        }
        if self.single_connect {
            byte |= Self::SINGLE_CONNECT;
        }
        byte
    }
}

/// A packet header. Its major version was checked, nothing else: see
/// [`Header::check`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Major and minor version.
    pub version: Version,
    /// What the body is.
    pub packet_type: PacketType,
    /// 1 to 255; the client's are odd, the server's even.
    pub seq_no: u8,
    /// Flags that have a meaning.
    pub flags: Flags,
    /// Random, constant in a session.
    pub session_id: u32,
    /// Length of the body in bytes.
    pub length: u32,
}

impl Header {
    /// Reads the first 12 bytes.
    ///
    /// # Errors
    /// [`Error::ShortHeader`] under 12 bytes, [`Error::Major`] for another protocol.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let Some(
            &[
                version,
                packet_type,
                seq_no,
                flags,
                s0,
                s1,
                s2,
                s3,
                l0,
                l1,
                l2,
                l3,
            ],
        ) = bytes.first_chunk::<HEADER_LEN>()
        else {
            return Err(Error::ShortHeader { have: bytes.len() });
        };
        if version >> 4 != MAJOR {
            return Err(Error::Major(version));
        }
        Ok(Self {
            version: Version(version),
            packet_type: PacketType::from_wire(packet_type),
            seq_no,
            flags: Flags::from_wire(flags),
            session_id: u32::from_be_bytes([s0, s1, s2, s3]),
            length: u32::from_be_bytes([l0, l1, l2, l3]),
        })
    }

    /// The 12 bytes on the wire.
    pub const fn encode(&self) -> [u8; HEADER_LEN] {
        let [s0, s1, s2, s3] = self.session_id.to_be_bytes();
        let [l0, l1, l2, l3] = self.length.to_be_bytes();
        [
            self.version.to_wire(),
            self.packet_type.to_wire(),
            self.seq_no,
            self.flags.to_wire(),
            s0,
            s1,
            s2,
            s3,
            l0,
            l1,
            l2,
            l3,
        ]
    }

    /// Checks what must hold before the body is read: its length first, so
    /// that nothing is allocated for a liar.
    ///
    /// # Errors
    /// [`Error::LengthLimit`], [`Error::Type`], [`Error::Minor`], [`Error::Seq`].
    pub fn check(&self, max_body: u32) -> Result<(), Error> {
        if self.length > max_body {
            return Err(Error::LengthLimit {
                length: self.length,
                limit: max_body,
            });
        }
        if let PacketType::Unknown(value) = self.packet_type {
            return Err(Error::Type(value));
        }
        if self.version.minor() > 1 {
            return Err(Error::Minor(self.version.minor()));
        }
        if self.seq_no == 0 {
            return Err(Error::Seq {
                expected: 1,
                found: 0,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undefined_flag_bits_are_ignored_and_never_written() {
        let flags = Flags::from_wire(0xFF);
        assert_eq!(
            flags,
            Flags {
                unencrypted: true,
                single_connect: true
            }
        );
        assert_eq!(flags.to_wire(), 0x05);
        assert_eq!(Flags::from_wire(0xFA), Flags::default());
    }
}
