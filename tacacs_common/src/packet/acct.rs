//! Accounting bodies (RFC 8907 sections 7.1 and 7.2).

use super::author::AuthorRequest;
use super::error::Error;
use super::header::Version;
use super::values::{AcctStatus, PacketType};
use super::{Body, wire};

/// What kind of record this is: the valid combinations of the flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AcctRecord {
    /// A task began.
    Start,
    /// A task ended.
    Stop,
    /// A task still runs; the arguments are to be ignored.
    Watchdog,
    /// A task still runs, with new values.
    Update,
}

impl AcctRecord {
    /// The flags byte.
    pub const fn to_wire(self) -> u8 {
        match self {
            Self::Start => 0x02,
            Self::Stop => 0x04,
            Self::Watchdog => 0x08,
            Self::Update => 0x0A,
        }
    }

    /// Only bits 1 to 3 count; `None` for a combination the RFC calls invalid.
    pub const fn from_wire(flags: u8) -> Option<Self> {
        match flags & 0x0E {
            0x02 => Some(Self::Start),
            0x04 => Some(Self::Stop),
            0x08 => Some(Self::Watchdog),
            0x0A => Some(Self::Update),
            _ => None,
        }
    }
}

/// A record to store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcctRequest<'a> {
    /// The flags byte as it came; [`AcctRequest::record`] gives its meaning.
    pub flags: u8,
    /// Who, where, and the record's arguments.
    pub about: AuthorRequest<'a>,
}

impl AcctRequest<'_> {
    /// What the flags mean.
    ///
    /// # Errors
    /// [`Error::AcctFlags`].
    pub fn record(&self) -> Result<AcctRecord, Error> {
        AcctRecord::from_wire(self.flags).ok_or(Error::AcctFlags(self.flags))
    }

    /// Checks what a server has to check before it stores the record. Arguments
    /// are not looked at: real clients send odd ones and their records count too.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self, version: Version) -> Result<(), Error> {
        if version != Version::DEFAULT {
            return Err(Error::MinorForType {
                found: version.minor(),
            });
        }
        self.about.check_values()?;
        self.record().map(|_| ())
    }
}

impl<'a> Body<'a> for AcctRequest<'a> {
    const TYPE: PacketType = PacketType::Acct;

    fn decode(body: &'a [u8]) -> Result<Self, Error> {
        if body.len() < 9 {
            return Err(Error::FixedPart {
                have: body.len(),
                need: 9,
            });
        }
        let (&[flags], rest) = wire::fixed::<1>(body)?;
        Ok(Self {
            flags,
            about: AuthorRequest::decode_from(rest)?,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.record()?;
        out.push(self.flags);
        self.about.encode(out)
    }
}

/// Whether the record is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcctReply<'a> {
    /// The result.
    pub status: AcctStatus,
    /// For the user.
    pub server_msg: &'a [u8],
    /// For an administrator's log.
    pub data: &'a [u8],
}

impl AcctReply<'_> {
    /// Refuses a status that the RFC does not define.
    ///
    /// # Errors
    /// [`Error::Enum`].
    pub fn check(&self) -> Result<(), Error> {
        match self.status {
            AcctStatus::Unknown(value) => Err(Error::Enum {
                field: "status",
                value,
            }),
            _ => Ok(()),
        }
    }
}

impl<'a> Body<'a> for AcctReply<'a> {
    const TYPE: PacketType = PacketType::Acct;

    /// Careful: the lengths come first, the status is the fifth byte.
    fn decode(body: &'a [u8]) -> Result<Self, Error> {
        let (&[m0, m1, d0, d1, status], rest) = wire::fixed::<5>(body)?;
        let lengths = [
            u16::from_be_bytes([m0, m1]).into(),
            u16::from_be_bytes([d0, d1]).into(),
        ];
        let [server_msg, data] = wire::fields(rest, lengths)?;
        Ok(Self {
            status: AcctStatus::from_wire(status),
            server_msg,
            data,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        wire::message("server_msg", self.server_msg)?;
        out.extend_from_slice(&wire::len_u16("server_msg", self.server_msg)?);
        out.extend_from_slice(&wire::len_u16("data", self.data)?);
        out.push(self.status.to_wire());
        out.extend_from_slice(self.server_msg);
        out.extend_from_slice(self.data);
        Ok(())
    }
}
