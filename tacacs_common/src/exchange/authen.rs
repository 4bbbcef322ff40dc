//! The client's side of an authentication (RFC 8907 section 5.4): one START, then
//! questions and answers until a result.

use crate::chap::{chap_response, mschap_response, mschapv2_response};
use crate::packet::{
    Action, AuthenReply, AuthenService, AuthenStart, AuthenStatus, AuthenType, Error, PrivLvl,
    Version,
};
use crate::secret::Secret;

/// Questions a server may ask before the client gives up. Stops a server that
/// asks for ever; a login with a second factor and a forced password change
/// takes under ten.
pub const MAX_ROUNDS: u32 = 20;

/// Who wants to be authenticated, and for what.
#[derive(Clone, Copy)]
pub struct Who<'a> {
    /// User name, at most 255 bytes.
    pub user: &'a str,
    /// The terminal.
    pub port: &'a str,
    /// The address the user comes from.
    pub rem_addr: &'a str,
    /// The level asked for.
    pub priv_lvl: PrivLvl,
    /// LOGIN, or ENABLE for a privilege request.
    pub service: AuthenService,
}

/// The ways of authenticating, with what each sends in its START.
#[derive(Clone, Copy)]
pub enum How<'a> {
    /// The server asks.
    Ascii,
    /// The password as it is.
    Pap(&'a Secret),
    /// RFC 1994, with a random identifier and challenge.
    Chap {
        /// The password.
        password: &'a Secret,
        /// Identifier.
        id: u8,
        /// Challenge.
        challenge: [u8; 16],
    },
    /// RFC 2433.
    MsChap {
        /// The password.
        password: &'a Secret,
        /// Identifier.
        id: u8,
        /// Challenge.
        challenge: [u8; 8],
    },
    /// RFC 2759.
    MsChapV2 {
        /// The password.
        password: &'a Secret,
        /// Identifier.
        id: u8,
        /// The authenticator's challenge.
        challenge: [u8; 16],
        /// The peer's challenge.
        peer_challenge: [u8; 16],
    },
    /// A password change: the server asks for the old one and the new one.
    ChangePassword,
}

impl How<'_> {
    const fn authen_type(&self) -> AuthenType {
        match self {
            Self::Ascii | Self::ChangePassword => AuthenType::Ascii,
            Self::Pap(_) => AuthenType::Pap,
            Self::Chap { .. } => AuthenType::Chap,
            Self::MsChap { .. } => AuthenType::MsChap,
            Self::MsChapV2 { .. } => AuthenType::MsChapV2,
        }
    }

    /// The START's data.
    fn data(&self, user: &str) -> Result<Secret, Error> {
        let no_utf16 = Error::Text { field: "password" };
        let mut data = Vec::with_capacity(80);
        match self {
            Self::Ascii | Self::ChangePassword => {}
            Self::Pap(password) => return Ok(Secret::from_slice(password.expose())),
            Self::Chap {
                password,
                id,
                challenge,
            } => {
                data.push(*id);
                data.extend_from_slice(challenge);
                data.extend_from_slice(&chap_response(*id, password.expose(), challenge));
            }
            Self::MsChap {
                password,
                id,
                challenge,
            } => {
                data.push(*id);
                data.extend_from_slice(challenge);
                let response = mschap_response(password.expose(), challenge).ok_or(no_utf16)?;
                data.extend_from_slice(&response);
            }
            Self::MsChapV2 {
                password,
                id,
                challenge,
                peer_challenge,
            } => {
                data.push(*id);
                data.extend_from_slice(challenge);
                let response = mschapv2_response(
                    user.as_bytes(),
                    password.expose(),
                    challenge,
                    peer_challenge,
                )
                .ok_or(no_utf16)?;
                data.extend_from_slice(&response);
            }
        }
        Ok(Secret::new(data))
    }
}

/// A question of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask<'a> {
    /// What is asked for.
    pub what: What,
    /// Whether the answer may be shown while it is typed.
    pub echo: bool,
    /// The server's prompt, as it came: escape it before a person sees it.
    pub prompt: &'a [u8],
}

impl Ask<'_> {
    /// Whether a new password is to be typed once more, for certainty and not because it
    /// was refused: as far as the words tell, which no RFC lays down. Who has made sure
    /// already can answer this, once, without asking the person again.
    #[must_use]
    pub fn wants_it_again(&self) -> bool {
        const AGAIN: [&str; 7] = [
            "again", "re-enter", "reenter", "retype", "re-type", "repeat", "confirm",
        ];
        let prompt = self.prompt.trim_ascii_end();
        let last = prompt.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        let line = prompt.get(last..).unwrap_or_default();
        let says = |word: &str| {
            line.windows(word.len())
                .any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
        };
        self.what == What::Pass
            && says("password")
            && AGAIN.into_iter().any(says)
            // "Too short, try again. New password:"
            && !says("try")
    }
}

/// What a question asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// GETUSER.
    User,
    /// GETPASS.
    Pass,
    /// GETDATA.
    Data,
}

/// How an authentication goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// Answer with a CONTINUE, or ABORT.
    Ask(Ask<'a>),
    /// Over.
    Done(End),
}

/// How an authentication ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// PASS.
    Pass,
    /// FAIL.
    Fail,
    /// FOLLOW: deprecated, the same as FAIL; the named host is never contacted.
    Follow,
    /// RESTART, which is not followed: the same as FAIL (section 5.4.3).
    Restart,
    /// ERROR: as if the server could not be reached.
    Error,
    /// More questions than [`MAX_ROUNDS`].
    TooManyRounds,
    /// A question that this way of authenticating does not have, or a status
    /// that does not exist: as if the server could not be reached.
    Protocol,
}

/// One authentication.
pub struct Authentication {
    interactive: bool,
    rounds: u32,
}

impl Authentication {
    /// Hands the START and the version that goes with it to `send`.
    ///
    /// # Errors
    /// Those of `send`; [`Error::Text`] for a password without the form that
    /// MS-CHAP needs.
    pub fn start<T, E: From<Error>>(
        who: &Who<'_>,
        how: &How<'_>,
        send: impl FnOnce(&AuthenStart<'_>, Version) -> Result<T, E>,
    ) -> Result<(Self, T), E> {
        let data = how.data(who.user)?;
        let change = matches!(how, How::ChangePassword);
        let start = AuthenStart {
            action: if change {
                Action::ChangePass
            } else {
                Action::Login
            },
            priv_lvl: who.priv_lvl,
            authen_type: how.authen_type(),
            authen_service: who.service,
            user: who.user.as_bytes(),
            port: who.port.as_bytes(),
            rem_addr: who.rem_addr.as_bytes(),
            data: data.expose(),
        };
        let sent = send(&start, start.version())?;
        let interactive = start.authen_type == AuthenType::Ascii;
        Ok((
            Self {
                interactive,
                rounds: 0,
            },
            sent,
        ))
    }

    /// Whether the START held a password already, so that the server's answer may
    /// take as long as a push to a telephone.
    pub const fn sent_password(how: &How<'_>) -> bool {
        !matches!(how, How::Ascii | How::ChangePassword)
    }

    /// What a reply means.
    pub fn on_reply<'r>(&mut self, reply: &AuthenReply<'r>) -> Step<'r> {
        let what = match reply.status {
            AuthenStatus::Pass => return Step::Done(End::Pass),
            AuthenStatus::Fail => return Step::Done(End::Fail),
            AuthenStatus::Restart => return Step::Done(End::Restart),
            AuthenStatus::Follow => return Step::Done(End::Follow),
            AuthenStatus::Error => return Step::Done(End::Error),
            AuthenStatus::Unknown(_) => return Step::Done(End::Protocol),
            AuthenStatus::GetUser => What::User,
            AuthenStatus::GetPass => What::Pass,
            AuthenStatus::GetData => What::Data,
        };
        if !self.interactive {
            return Step::Done(End::Protocol);
        }
        self.rounds = self.rounds.saturating_add(1);
        if self.rounds > MAX_ROUNDS {
            return Step::Done(End::TooManyRounds);
        }
        // A password is never shown, whatever the server's flag says.
        let echo = !reply.no_echo && what != What::Pass;
        Step::Ask(Ask {
            what,
            echo,
            prompt: reply.server_msg,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: AuthenStatus) -> AuthenReply<'static> {
        AuthenReply {
            status,
            no_echo: false,
            server_msg: b"more: ",
            data: b"",
        }
    }

    const ALICE: Who<'_> = Who {
        user: "alice",
        port: "ssh",
        rem_addr: "192.0.2.7",
        priv_lvl: PrivLvl::USER,
        service: AuthenService::Login,
    };

    fn begin(how: How<'_>) -> Authentication {
        Authentication::start(&ALICE, &how, |_, _| Ok::<_, Error>(()))
            .unwrap()
            .0
    }

    #[test]
    fn only_pass_is_a_pass() {
        for byte in 0..=u8::MAX {
            let status = AuthenStatus::from_wire(byte);
            let step = begin(How::Ascii).on_reply(&reply(status));
            assert_eq!(step == Step::Done(End::Pass), byte == 1, "status {byte}");
        }
    }

    #[test]
    fn a_question_in_a_way_without_questions_is_not_answered() {
        let password = Secret::from_slice(b"pw");
        for status in [
            AuthenStatus::GetPass,
            AuthenStatus::GetData,
            AuthenStatus::GetUser,
        ] {
            let step = begin(How::Pap(&password)).on_reply(&reply(status));
            assert_eq!(step, Step::Done(End::Protocol));
        }
    }

    #[test]
    fn endless_questions_end() {
        let mut dialogue = begin(How::Ascii);
        for _ in 0..MAX_ROUNDS {
            let step = dialogue.on_reply(&reply(AuthenStatus::GetPass));
            assert!(matches!(
                step,
                Step::Ask(Ask {
                    what: What::Pass,
                    echo: false,
                    ..
                })
            ));
        }
        assert_eq!(
            dialogue.on_reply(&reply(AuthenStatus::GetPass)),
            Step::Done(End::TooManyRounds)
        );
    }

    #[test]
    fn each_way_starts_with_its_own_version_and_data() {
        let password = Secret::from_slice(b"pw");
        let challenge = [7; 16];
        let ways = [
            (How::Ascii, 0, 0),
            (How::ChangePassword, 0, 0),
            (How::Pap(&password), 1, 2),
            (
                How::Chap {
                    password: &password,
                    id: 1,
                    challenge,
                },
                1,
                33,
            ),
            (
                How::MsChap {
                    password: &password,
                    id: 1,
                    challenge: [7; 8],
                },
                1,
                58,
            ),
            (
                How::MsChapV2 {
                    password: &password,
                    id: 1,
                    challenge,
                    peer_challenge: challenge,
                },
                1,
                66,
            ),
        ];
        for (how, minor, len) in ways {
            Authentication::start(&ALICE, &how, |start, version| {
                assert_eq!((version.minor(), start.data.len()), (minor, len));
                start.check(version)
            })
            .unwrap();
        }
    }
}
