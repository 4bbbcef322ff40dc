//! The packets of TACACS+ (RFC 8907 sections 4 to 7): one header, seven bodies.
//!
//! Decoding borrows from the buffer and allocates nothing; what is decoded was
//! measured against the announced lengths, and `check` tells whether it also
//! makes sense. Encoding refuses what does not fit instead of cutting it.
//!
//! ```
//! use tacacs_common::packet::{AuthenReply, AuthenStatus, Body};
//!
//! let reply = AuthenReply::decode(&[1, 0, 0, 0, 0, 0])?;
//! assert_eq!(reply.status, AuthenStatus::Pass);
//! # Ok::<(), tacacs_common::packet::Error>(())
//! ```

mod acct;
mod argument;
mod authen;
mod author;
mod error;
mod header;
mod lengths;
mod values;
mod wire;

pub use acct::{AcctRecord, AcctReply, AcctRequest};
pub use argument::{Argument, Arguments, ArgumentsBuf};
pub use authen::{AuthenContinue, AuthenReply, AuthenStart, Challenge};
pub use author::{AuthorReply, AuthorRequest};
pub use error::Error;
pub use header::{DEFAULT_MAX_BODY, Flags, HEADER_LEN, Header, Version};
pub use lengths::{LENGTHS, check_lengths};
pub use values::{
    AcctStatus, Action, AuthenMethod, AuthenService, AuthenStatus, AuthenType, AuthorStatus,
    PacketType, PrivLvl,
};

/// A packet's body: decoded from a slice that it borrows, encoded at the end of
/// a buffer.
pub trait Body<'a>: Sized {
    /// The packet type that carries it.
    const TYPE: PacketType;

    /// Reads a clear body. All of it: a byte too many is an error too.
    ///
    /// # Errors
    /// What is wrong with its layout.
    fn decode(body: &'a [u8]) -> Result<Self, Error>;

    /// Appends the clear body.
    ///
    /// # Errors
    /// [`Error::FieldTooLong`] and [`Error::Text`] for fields that cannot be
    /// sent; `out` then holds a part of the body and is to be thrown away.
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error>;
}
