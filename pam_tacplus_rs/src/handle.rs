//! What the phases see of a PAM handle, and what they leave in it for each other.
//!
//! Owns the trait that the C edge and the tests' fake both fulfil.

use std::cell::Cell;
use std::io;
use std::time::Duration;

use tacacs_common::client::Connection;
use tacacs_common::exchange::author::Limit;
use tacacs_common::packet::{AuthenType, PrivLvl};
use tacacs_common::secret::Secret;

use crate::session::Session;

/// A PAM handle.
pub(crate) trait Handle {
    /// PAM_USER, asked for if the application has not set it. `None`: nobody, or a
    /// name that is not UTF-8.
    fn user(&mut self) -> Option<String>;
    /// An item.
    fn item(&self, item: Item) -> Option<String>;
    /// A password that the stack carries.
    fn token(&self, token: Token) -> Option<Secret>;
    /// Hands a password to the modules that follow; false if libpam refuses.
    fn set_token(&mut self, token: Token, value: &Secret) -> bool;
    /// What a lookup of this name answers here and now. An error is a lookup that failed,
    /// which is not to find nobody.
    fn account(&self, name: &str) -> io::Result<Option<Account>>;
    /// Sets a PAM environment variable; false if libpam refuses.
    fn set_env(&mut self, name: &str, value: &str) -> bool;
    /// Has libpam wait about this long if the stack refuses in the end.
    fn delay_failure(&mut self, time: Duration);
    /// A PAM environment variable.
    fn env(&self, name: &str) -> Option<String>;
    /// Takes a PAM environment variable away.
    fn unset_env(&mut self, name: &str);
    /// Leaves a text under this name for modules that follow; false if libpam refuses.
    fn set_data(&mut self, name: &str, value: &str) -> bool;
    /// Asks the person. `None`: no answer.
    fn ask(&mut self, echo: bool, prompt: &str) -> Option<Secret>;
    /// Tells the person.
    fn tell(&mut self, note: Note, text: &str);
    /// Writes a line to the system's log. It must be escaped, and must not hold
    /// anything a person typed at a hidden prompt.
    fn log(&self, level: Level, line: &str);
}

/// What programs keep of a lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) home: String,
    pub(crate) shell: String,
}

/// A PAM item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// PAM_SERVICE: sshd, su ...
    Service,
    /// PAM_TTY.
    Tty,
    /// PAM_RHOST.
    Rhost,
}

/// A password that modules of one stack share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// PAM_AUTHTOK.
    Password,
    /// PAM_OLDAUTHTOK.
    OldPassword,
}

/// Kinds of message to the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// PAM_TEXT_INFO.
    Info,
    /// PAM_ERROR_MSG.
    Error,
}

/// How important a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Something has to be done.
    Error,
    /// Something may have to be done.
    Warning,
    /// A refusal.
    Notice,
    /// An approval.
    Info,
    /// A step, with `debug = yes`.
    Debug,
}

/// What one phase leaves for the next, in `pam_set_data`.
#[derive(Default)]
pub(crate) struct Memory {
    /// The authentication that passed in this handle.
    pub(crate) login: Option<Login>,
    /// Whom a server refused in this handle, and none authenticated since.
    pub(crate) denied: Option<String>,
    /// What acct_mgmt was granted.
    pub(crate) granted: Option<Grant>,
    /// A connection that the next phase may go on with.
    pub(crate) connection: Option<Connection>,
    /// When dead servers were last asked in vain: see `Client::in_vain`.
    pub(crate) in_vain: Option<Duration>,
    /// The session whose START was recorded and whose STOP was not.
    pub(crate) session: Option<Session>,
    /// A session was to be opened in this handle, so no other is closed in it.
    pub(crate) opened: bool,
    /// The log has who was left to the other modules, and why.
    pub(crate) passed_over: bool,
    /// The configuration's warnings have been logged.
    pub(crate) warned: bool,
    /// Who uses up the host's ports has been logged.
    pub(crate) ports_named: Cell<bool>,
    /// A phase has begun in this handle.
    pub(crate) begun: bool,
    /// Whether the program is its user's to stop. Found out once: a program that logs
    /// somebody in at a terminal becomes one of a user's session in the middle of it.
    pub(crate) setuid: Option<bool>,
}

/// A passed authentication.
pub(crate) struct Login {
    /// Whose.
    pub(crate) user: String,
    /// How.
    pub(crate) authen_type: AuthenType,
}

/// A passed authorization.
pub(crate) struct Grant {
    /// Whose.
    pub(crate) user: String,
    /// The level the server assigned, if it did.
    pub(crate) priv_lvl: Option<PrivLvl>,
    /// How long the session may last.
    pub(crate) timeout: Option<Limit>,
    /// Whether a server granted it now; else a stored one stands in.
    pub(crate) fresh: bool,
}
