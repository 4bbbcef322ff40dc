//! Authentication bodies (RFC 8907 sections 5.1 to 5.3).

use super::error::Error;
use super::header::Version;
use super::values::{Action, AuthenService, AuthenStatus, AuthenType, PacketType, PrivLvl};
use super::{Body, wire};

/// What a client opens an authentication with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AuthenStart<'a> {
    /// What is to be done.
    pub action: Action,
    /// The level asked for, or the user's own.
    pub priv_lvl: PrivLvl,
    /// How.
    pub authen_type: AuthenType,
    /// For what.
    pub authen_service: AuthenService,
    /// User name, UTF-8; may be empty for ASCII.
    pub user: &'a [u8],
    /// Where the user is on the client: a terminal's name.
    pub port: &'a [u8],
    /// Where the user comes from: a network address.
    pub rem_addr: &'a [u8],
    /// PAP: the password. CHAP and MS-CHAP: identifier, challenge, response.
    pub data: &'a [u8],
}

/// Bytes of a CHAP response (MD5), and of an MS-CHAP one.
const CHAP_RESPONSE: usize = 16;
const MSCHAP_RESPONSE: usize = 49;

impl AuthenStart<'_> {
    /// The minor version that goes with this START (section 5.4.1, table 1).
    /// Enable has no row in the table and is ASCII.
    pub fn version(&self) -> Version {
        match self.authen_type {
            AuthenType::Pap | AuthenType::Chap | AuthenType::MsChap | AuthenType::MsChapV2 => {
                Version::ONE
            }
            _ => Version::DEFAULT,
        }
    }

    /// Checks what a receiver has to check before it acts (sections 5.1 and 5.4).
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self, version: Version) -> Result<(), Error> {
        match self.action {
            Action::Login | Action::ChangePass => {}
            Action::SendPass | Action::SendAuth => {
                return Err(Error::DeprecatedAction(self.action.to_wire()));
            }
            Action::Unknown(value) => {
                return Err(Error::Enum {
                    field: "action",
                    value,
                });
            }
        }
        // Enable does not use the type (section 5.4.2.6): clients leave it unset.
        let enable = self.authen_service == AuthenService::Enable;
        let unset = self.authen_type == AuthenType::NotSet && !enable;
        if unset || matches!(self.authen_type, AuthenType::Arap | AuthenType::Unknown(_)) {
            return Err(Error::Enum {
                field: "authen_type",
                value: self.authen_type.to_wire(),
            });
        }
        if let AuthenService::Arap | AuthenService::Unknown(_) = self.authen_service {
            return Err(Error::Enum {
                field: "authen_service",
                value: self.authen_service.to_wire(),
            });
        }
        if self.action == Action::ChangePass && self.authen_type != AuthenType::Ascii {
            return Err(Error::Combination);
        }
        if enable {
            return Ok(());
        }
        if version != self.version() {
            return Err(Error::MinorForType {
                found: version.minor(),
            });
        }
        if self.authen_type != AuthenType::Ascii && self.user.is_empty() {
            return Err(Error::UserRequired);
        }
        self.challenge().map(|_| ())
    }

    /// Identifier, challenge and response of CHAP and MS-CHAP data; `None` for
    /// the types that have none.
    ///
    /// # Errors
    /// [`Error::ChapData`], [`Error::ChapChallengeShort`], [`Error::MschapChallenge`].
    pub fn challenge(&self) -> Result<Option<Challenge<'_>>, Error> {
        let data = self.data.len();
        let (response_len, expected) = match self.authen_type {
            AuthenType::Chap => (CHAP_RESPONSE, None),
            AuthenType::MsChap => (MSCHAP_RESPONSE, Some(8)),
            AuthenType::MsChapV2 => (MSCHAP_RESPONSE, Some(16)),
            _ => return Ok(None),
        };
        let bad = match expected {
            None => Error::ChapData { have: data },
            Some(_) => Error::MschapChallenge { data },
        };
        let (id, rest) = self.data.split_first().ok_or(bad)?;
        let at = rest.len().checked_sub(response_len).ok_or(bad)?;
        let (challenge, response) = rest.split_at_checked(at).ok_or(bad)?;
        match expected {
            Some(len) if challenge.len() != len => Err(bad),
            None if challenge.is_empty() => Err(bad),
            None if challenge.len() < 8 => Err(Error::ChapChallengeShort {
                have: challenge.len(),
            }),
            _ => Ok(Some(Challenge {
                id: *id,
                challenge,
                response,
            })),
        }
    }
}

/// The parts of CHAP and MS-CHAP data (section 5.4.2.3).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// PPP identifier.
    pub id: u8,
    /// What the client made up.
    pub challenge: &'a [u8],
    /// 16 bytes for CHAP, 49 for MS-CHAP.
    pub response: &'a [u8],
}

impl<'a> Body<'a> for AuthenStart<'a> {
    const TYPE: PacketType = PacketType::Authen;

    fn decode(body: &'a [u8]) -> Result<Self, Error> {
        let (
            &[
                action,
                priv_lvl,
                authen_type,
                authen_service,
                user,
                port,
                rem_addr,
                data,
            ],
            rest,
        ) = wire::fixed::<8>(body)?;
        let [user, port, rem_addr, data] = wire::fields(
            rest,
            [user.into(), port.into(), rem_addr.into(), data.into()],
        )?;
        Ok(Self {
            action: Action::from_wire(action),
            priv_lvl: PrivLvl::new(priv_lvl).ok_or(Error::PrivLvl(priv_lvl))?,
            authen_type: AuthenType::from_wire(authen_type),
            authen_service: AuthenService::from_wire(authen_service),
            user,
            port,
            rem_addr,
            data,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        wire::user_name(self.user)?;
        wire::printable("port", self.port)?;
        wire::printable("rem_addr", self.rem_addr)?;
        out.extend_from_slice(&[
            self.action.to_wire(),
            self.priv_lvl.level(),
            self.authen_type.to_wire(),
            self.authen_service.to_wire(),
            wire::len_u8("user", self.user)?,
            wire::len_u8("port", self.port)?,
            wire::len_u8("rem_addr", self.rem_addr)?,
            wire::len_u8("data", self.data)?,
        ]);
        for field in [self.user, self.port, self.rem_addr, self.data] {
            out.extend_from_slice(field);
        }
        Ok(())
    }
}

/// What a server answers an authentication with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AuthenReply<'a> {
    /// The result, or the question.
    pub status: AuthenStatus,
    /// NOECHO: what the user types now must not be shown.
    pub no_echo: bool,
    /// For the user.
    pub server_msg: &'a [u8],
    /// For the client; may hold anything.
    pub data: &'a [u8],
}

impl AuthenReply<'_> {
    /// Refuses a status that the RFC does not define.
    ///
    /// # Errors
    /// [`Error::Enum`].
    pub fn check(&self) -> Result<(), Error> {
        match self.status {
            AuthenStatus::Unknown(value) => Err(Error::Enum {
                field: "status",
                value,
            }),
            _ => Ok(()),
        }
    }
}

const NO_ECHO: u8 = 0x01;
const ABORT: u8 = 0x01;

impl<'a> Body<'a> for AuthenReply<'a> {
    const TYPE: PacketType = PacketType::Authen;

    fn decode(body: &'a [u8]) -> Result<Self, Error> {
        let (&[status, flags, m0, m1, d0, d1], rest) = wire::fixed::<6>(body)?;
        let lengths = [
            u16::from_be_bytes([m0, m1]).into(),
            u16::from_be_bytes([d0, d1]).into(),
        ];
        let [server_msg, data] = wire::fields(rest, lengths)?;
        Ok(Self {
            status: AuthenStatus::from_wire(status),
            no_echo: flags & NO_ECHO != 0,
            server_msg,
            data,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        wire::message("server_msg", self.server_msg)?;
        out.extend_from_slice(&[self.status.to_wire(), u8::from(self.no_echo) * NO_ECHO]);
        out.extend_from_slice(&wire::len_u16("server_msg", self.server_msg)?);
        out.extend_from_slice(&wire::len_u16("data", self.data)?);
        out.extend_from_slice(self.server_msg);
        out.extend_from_slice(self.data);
        Ok(())
    }
}

/// What a client goes on with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AuthenContinue<'a> {
    /// The answer. A password, often.
    pub user_msg: &'a [u8],
    /// With `abort`: the reason.
    pub data: &'a [u8],
    /// The client gives up; the server does not answer (section 5.3).
    pub abort: bool,
}

impl<'a> Body<'a> for AuthenContinue<'a> {
    const TYPE: PacketType = PacketType::Authen;

    fn decode(body: &'a [u8]) -> Result<Self, Error> {
        let (&[u0, u1, d0, d1, flags], rest) = wire::fixed::<5>(body)?;
        let lengths = [
            u16::from_be_bytes([u0, u1]).into(),
            u16::from_be_bytes([d0, d1]).into(),
        ];
        let [user_msg, data] = wire::fields(rest, lengths)?;
        Ok(Self {
            user_msg,
            data,
            abort: flags & ABORT != 0,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        out.extend_from_slice(&wire::len_u16("user_msg", self.user_msg)?);
        out.extend_from_slice(&wire::len_u16("data", self.data)?);
        out.push(u8::from(self.abort) * ABORT);
        out.extend_from_slice(self.user_msg);
        out.extend_from_slice(self.data);
        Ok(())
    }
}
