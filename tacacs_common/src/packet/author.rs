//! Authorization bodies (RFC 8907 sections 6.1 and 6.2).

use super::argument::Arguments;
use super::error::Error;
use super::header::Version;
use super::values::{AuthenMethod, AuthenService, AuthenType, AuthorStatus, PacketType, PrivLvl};
use super::{Body, wire};

/// May this be done? An accounting REQUEST is the same behind its flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthorRequest<'a> {
    /// How the client says the user was authenticated.
    pub authen_method: AuthenMethod,
    /// The user's level now.
    pub priv_lvl: PrivLvl,
    /// How the user logged in.
    pub authen_type: AuthenType,
    /// What the user logged in for.
    pub authen_service: AuthenService,
    /// User name, UTF-8.
    pub user: &'a [u8],
    /// Where the user is on the client.
    pub port: &'a [u8],
    /// Where the user comes from.
    pub rem_addr: &'a [u8],
    /// What is asked about.
    pub args: Arguments<'a>,
}

impl<'a> AuthorRequest<'a> {
    /// Checks what a server has to check before it decides.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self, version: Version) -> Result<(), Error> {
        if version != Version::DEFAULT {
            return Err(Error::MinorForType {
                found: version.minor(),
            });
        }
        self.check_values()?;
        self.args.check()
    }

    pub(super) fn check_values(&self) -> Result<(), Error> {
        if let AuthenMethod::Unknown(value) = self.authen_method {
            return Err(Error::Enum {
                field: "authen_method",
                value,
            });
        }
        if let AuthenType::Unknown(value) = self.authen_type {
            return Err(Error::Enum {
                field: "authen_type",
                value,
            });
        }
        if let AuthenService::Unknown(value) = self.authen_service {
            return Err(Error::Enum {
                field: "authen_service",
                value,
            });
        }
        Ok(())
    }

    /// Reads the layout that authorization and accounting share.
    pub(super) fn decode_from(body: &'a [u8]) -> Result<Self, Error> {
        let (
            &[
                method,
                priv_lvl,
                authen_type,
                service,
                user,
                port,
                rem_addr,
                count,
            ],
            rest,
        ) = wire::fixed::<8>(body)?;
        let (lengths, rest) = rest
            .split_at_checked(count.into())
            .ok_or(Error::ArgCnt { count })?;
        let [user, port, rem_addr, bytes] = wire::fields(
            rest,
            [
                user.into(),
                port.into(),
                rem_addr.into(),
                Arguments::total(lengths),
            ],
        )?;
        Ok(Self {
            authen_method: AuthenMethod::from_wire(method),
            priv_lvl: PrivLvl::new(priv_lvl).ok_or(Error::PrivLvl(priv_lvl))?,
            authen_type: AuthenType::from_wire(authen_type),
            authen_service: AuthenService::from_wire(service),
            user,
            port,
            rem_addr,
            args: Arguments::from_parts(lengths, bytes),
        })
    }
}

impl<'a> Body<'a> for AuthorRequest<'a> {
    const TYPE: PacketType = PacketType::Author;

    fn decode(body: &'a [u8]) -> Result<Self, Error> {
        Self::decode_from(body)
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        wire::user_name(self.user)?;
        wire::printable("port", self.port)?;
        wire::printable("rem_addr", self.rem_addr)?;
        out.extend_from_slice(&[
            self.authen_method.to_wire(),
            self.priv_lvl.level(),
            self.authen_type.to_wire(),
            self.authen_service.to_wire(),
            wire::len_u8("user", self.user)?,
            wire::len_u8("port", self.port)?,
            wire::len_u8("rem_addr", self.rem_addr)?,
            wire::len_u8("arg_cnt", self.args.lengths())?,
        ]);
        for field in [
            self.args.lengths(),
            self.user,
            self.port,
            self.rem_addr,
            self.args.bytes(),
        ] {
            out.extend_from_slice(field);
        }
        Ok(())
    }
}

/// A server's decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthorReply<'a> {
    /// The decision.
    pub status: AuthorStatus,
    /// For the user.
    pub server_msg: &'a [u8],
    /// For an administrator's log.
    pub data: &'a [u8],
    /// Added to the request's, or in their place, as `status` says.
    pub args: Arguments<'a>,
}

impl AuthorReply<'_> {
    /// Refuses a status that the RFC does not define, arguments in a FOLLOW, and
    /// arguments that are not well formed.
    ///
    /// # Errors
    /// [`Error::Enum`], [`Error::FollowArgs`], [`Error::Arg`].
    pub fn check(&self) -> Result<(), Error> {
        match self.status {
            AuthorStatus::Unknown(value) => Err(Error::Enum {
                field: "status",
                value,
            }),
            AuthorStatus::Follow if !self.args.is_empty() => Err(Error::FollowArgs),
            AuthorStatus::PassAdd | AuthorStatus::PassRepl => self
                .args
                .parsed()
                .try_for_each(|argument| argument.map(|_| ())),
            _ => Ok(()),
        }
    }
}

impl<'a> Body<'a> for AuthorReply<'a> {
    const TYPE: PacketType = PacketType::Author;

    /// Careful: the argument lengths come before `server_msg`, the arguments
    /// after `data`.
    fn decode(body: &'a [u8]) -> Result<Self, Error> {
        let (&[status, count, m0, m1, d0, d1], rest) = wire::fixed::<6>(body)?;
        let (lengths, rest) = rest
            .split_at_checked(count.into())
            .ok_or(Error::ArgCnt { count })?;
        let [server_msg, data, bytes] = wire::fields(
            rest,
            [
                u16::from_be_bytes([m0, m1]).into(),
                u16::from_be_bytes([d0, d1]).into(),
                Arguments::total(lengths),
            ],
        )?;
        Ok(Self {
            status: AuthorStatus::from_wire(status),
            server_msg,
            data,
            args: Arguments::from_parts(lengths, bytes),
        })
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        wire::message("server_msg", self.server_msg)?;
        out.extend_from_slice(&[
            self.status.to_wire(),
            wire::len_u8("arg_cnt", self.args.lengths())?,
        ]);
        out.extend_from_slice(&wire::len_u16("server_msg", self.server_msg)?);
        out.extend_from_slice(&wire::len_u16("data", self.data)?);
        for field in [
            self.args.lengths(),
            self.server_msg,
            self.data,
            self.args.bytes(),
        ] {
            out.extend_from_slice(field);
        }
        Ok(())
    }
}
