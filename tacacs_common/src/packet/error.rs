//! What can be wrong with a packet.

use core::fmt;

/// Why a packet is refused, on the way in or out. Carries numbers and field
/// names, never contents: a field may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Fewer than 12 bytes.
    ShortHeader {
        /// Bytes there are.
        have: usize,
    },
    /// The version byte's major version is not 0xC.
    Major(u8),
    /// The minor version is neither 0 nor 1.
    Minor(u8),
    /// The packet type is none of the three.
    Type(u8),
    /// The announced body is larger than the reader accepts.
    LengthLimit {
        /// Announced, in bytes.
        length: u32,
        /// Accepted, in bytes.
        limit: u32,
    },
    /// The body ends before its announced length.
    Truncated {
        /// Bytes there are.
        have: usize,
        /// Bytes announced.
        need: usize,
    },
    /// The body is shorter than its fixed part.
    FixedPart {
        /// Bytes there are.
        have: usize,
        /// Bytes of the fixed part.
        need: usize,
    },
    /// The lengths in the body do not add up to the body's length: most often
    /// another shared secret.
    LenSum {
        /// What the lengths add up to.
        sum: usize,
        /// The body's length.
        body: usize,
    },
    /// More argument lengths announced than the body has bytes.
    ArgCnt {
        /// `arg_cnt`.
        count: u8,
    },
    /// An argument without a name, without a separator, or under two bytes.
    Arg {
        /// Its place, from 0.
        index: usize,
    },
    /// Control characters, or bytes that the field may not hold.
    Text {
        /// The field's name.
        field: &'static str,
    },
    /// A number that the RFC does not define for this field.
    Enum {
        /// The field's name.
        field: &'static str,
        /// The number.
        value: u8,
    },
    /// A privilege level above 15.
    PrivLvl(u8),
    /// The minor version does not fit what is asked (section 5.4.1, table 1).
    MinorForType {
        /// The packet's minor version.
        found: u8,
    },
    /// SENDPASS or SENDAUTH.
    DeprecatedAction(u8),
    /// Action and authentication type do not go together (table 1).
    Combination,
    /// This authentication type needs a user in its START.
    UserRequired,
    /// CHAP data without room for identifier, challenge and response.
    ChapData {
        /// Bytes there are.
        have: usize,
    },
    /// A CHAP challenge under 8 bytes.
    ChapChallengeShort {
        /// Bytes of the challenge.
        have: usize,
    },
    /// An MS-CHAP challenge that is not 8 bytes (v1) or 16 bytes (v2).
    MschapChallenge {
        /// Bytes of the data field.
        data: usize,
    },
    /// Accounting flags that are not start, stop, watchdog or update.
    AcctFlags(u8),
    /// An authorization FOLLOW that carries arguments.
    FollowArgs,
    /// The UNENCRYPTED flag on a connection that has a secret.
    FlagUnencrypted,
    /// No UNENCRYPTED flag on a connection that is protected by TLS.
    FlagTlsClear,
    /// A sequence number out of turn.
    Seq {
        /// What it had to be.
        expected: u8,
        /// What it is.
        found: u8,
    },
    /// On the way out: a field longer than its length field can say. It is
    /// refused, never cut.
    FieldTooLong {
        /// The field's name.
        field: &'static str,
        /// Its length.
        len: usize,
        /// The most there can be.
        max: usize,
    },
}

impl Error {
    /// A stable word for scripts and tests.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ShortHeader { .. } => "short-header",
            Self::Major(_) => "major",
            Self::Minor(_) => "minor",
            Self::Type(_) => "type",
            Self::LengthLimit { .. } => "length-limit",
            Self::Truncated { .. } => "truncated",
            Self::FixedPart { .. } => "fixed-part",
            Self::LenSum { .. } => "len-sum",
            Self::ArgCnt { .. } => "arg-cnt",
            Self::Arg { .. } => "arg",
            Self::Text { .. } => "text",
            Self::Enum { .. } => "enum",
            Self::PrivLvl(_) => "priv-lvl",
            Self::MinorForType { .. } => "minor-for-type",
            Self::DeprecatedAction(_) => "deprecated-action",
            Self::Combination => "combination",
            Self::UserRequired => "user-required",
            Self::ChapData { .. } => "chap-data",
            Self::ChapChallengeShort { .. } => "chap-challenge-short",
            Self::MschapChallenge { .. } => "mschap-challenge",
            Self::AcctFlags(_) => "acct-flags",
            Self::FollowArgs => "follow-args",
            Self::FlagUnencrypted => "flag-unencrypted",
            Self::FlagTlsClear => "flag-tls-clear",
            Self::Seq { .. } => "seq",
            Self::FieldTooLong { .. } => "field-too-long",
        }
    }

    /// Whether a wrong shared secret is the likely cause: the pad turned the
    /// lengths into noise (RFC 8907 section 4.5).
    pub const fn suggests_wrong_secret(&self) -> bool {
        matches!(
            self,
            Self::FixedPart { .. } | Self::LenSum { .. } | Self::ArgCnt { .. }
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ShortHeader { have } => write!(f, "a header has 12 bytes, there are {have}"),
            Self::Major(byte) => {
                write!(f, "version byte {byte:#04x} is not TACACS+ (0xc0 or 0xc1)")
            }
            Self::Minor(minor) => write!(f, "minor version {minor} is neither 0 nor 1"),
            Self::Type(value) => write!(f, "packet type {value} is not 1, 2 or 3"),
            Self::LengthLimit { length, limit } => {
                write!(f, "a body of {length} bytes is over the limit of {limit}")
            }
            Self::Truncated { have, need } => {
                write!(f, "the body ends after {have} of {need} bytes")
            }
            Self::FixedPart { have, need } => {
                write!(
                    f,
                    "a body of {have} bytes is shorter than its fixed part of {need}"
                )
            }
            Self::LenSum { sum, body } => write!(
                f,
                "the body has {body} bytes but its lengths add up to {sum}; is the shared secret the same on both sides?"
            ),
            Self::ArgCnt { count } => {
                write!(
                    f,
                    "{count} arguments are announced, the body is too short for them"
                )
            }
            Self::Arg { index } => write!(
                f,
                "argument {} is not name=value or name*value of 2 to 255 bytes",
                index.saturating_add(1)
            ),
            Self::Text { field } => write!(f, "{field} holds characters that it may not"),
            Self::Enum { field, value } => write!(f, "{field} {value:#04x} is not defined here"),
            Self::PrivLvl(level) => write!(f, "priv_lvl {level} is outside 0..15"),
            Self::MinorForType { found } => {
                write!(f, "minor version {found} does not go with this packet")
            }
            Self::DeprecatedAction(value) => write!(f, "action {value} is deprecated and refused"),
            Self::Combination => {
                f.write_str("this action does not go with this authentication type")
            }
            Self::UserRequired => f.write_str("this authentication type needs a user name"),
            Self::ChapData { have } => write!(
                f,
                "CHAP data of {have} bytes has no room for identifier, challenge and response"
            ),
            Self::ChapChallengeShort { have } => {
                write!(
                    f,
                    "a CHAP challenge of {have} bytes is under the minimum of 8"
                )
            }
            Self::MschapChallenge { data } => {
                write!(
                    f,
                    "MS-CHAP data of {data} bytes does not hold a challenge of the right size"
                )
            }
            Self::AcctFlags(flags) => {
                write!(
                    f,
                    "accounting flags {flags:#04x} are not start, stop, watchdog or update"
                )
            }
            Self::FollowArgs => f.write_str("a FOLLOW reply carries arguments"),
            Self::FlagUnencrypted => {
                f.write_str("the packet is marked as not obfuscated although a secret is set")
            }
            Self::FlagTlsClear => {
                f.write_str("the packet is not marked as unobfuscated although TLS protects it")
            }
            Self::Seq { expected, found } => {
                write!(f, "seq_no is {found} where {expected} is due")
            }
            Self::FieldTooLong { field, len, max } => {
                write!(f, "{field} has {len} bytes, at most {max} fit")
            }
        }
    }
}

impl std::error::Error for Error {}
