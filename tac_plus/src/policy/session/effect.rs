//! What a session asks the world for, and what it is told.
//!
//! Owns the shapes. Everything in an effect is its own: it outlives the packet.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tacacs_common::secret::Secret;

use crate::effects::Dialogue;
use crate::escape::Quoted;
use crate::policy::callout::Outcome;
use crate::policy::draft::Credential;
use crate::policy::values::Date;
use crate::policy::{Ruling, Search};

/// Something that only the daemon can do.
pub enum Effect {
    /// Store an accounting record; its result is [`Done::Stored`].
    Record(Record),
    /// Look at a password; its result is [`Done::Checked`].
    Verify(VerifyRequest),
    /// Ask PAM; its result is [`Done::Pam`].
    Pam(PamRequest),
    /// Give PAM the answer to its question; its result is [`Done::Pam`].
    Answer(Dialogue, Secret),
    /// Put another password into a file; its result is [`Done::Changed`].
    Change(ChangeRequest),
    /// Go through rules that take long; its result is [`Done::Found`].
    Search(Search),
    /// Run a program; its result is [`Done::Ended`].
    Run(Program),
    /// Count an attempt to get in, and wait as long as the attempts before it call
    /// for; its result is [`Done::Due`].
    Count(Attempt),
}

/// What became of an effect.
pub enum Done {
    /// The record is stored.
    Stored,
    /// What a hash or a file says.
    Checked(Checked),
    /// What PAM says.
    Pam(PamSays),
    /// What became of a change.
    Changed(Changed),
    /// What the rules say of it.
    Found(Ruling),
    /// How a program ended.
    Ended(Outcome),
    /// The answer may be given.
    Due,
    /// It may not: it would have to wait too long.
    TooLate,
    /// It could not be performed, or not in time: nothing is known.
    Failed,
}

/// An accounting record as the original writes it, without the time in front.
pub struct Record {
    /// Fields separated by tabs, ended by a newline, escaped.
    pub line: Vec<u8>,
}

/// A password to look at.
pub struct VerifyRequest {
    /// A hash or a file.
    pub credential: Arc<Credential>,
    /// Whose line of a file.
    pub user: Vec<u8>,
    /// What was typed.
    pub password: Secret,
}

/// What a hash or a file says about a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It is right.
    Right,
    /// It is right, until the day that the file names if it does.
    RightUntil(Option<Date>),
    /// It is wrong.
    Wrong,
    /// The file does not have this user.
    Unknown,
}

/// What PAM is asked.
pub struct PamRequest {
    /// The name of the service.
    pub service: String,
    /// Who.
    pub user: Vec<u8>,
    /// On which terminal.
    pub port: Vec<u8>,
    /// From where.
    pub rem_addr: Vec<u8>,
    /// The answer to the first question that is not shown.
    pub password: Secret,
    /// Whether there can be further questions.
    pub may_ask: bool,
}

/// What PAM says.
pub enum PamSays {
    /// The user is let in, and told this.
    Yes(Vec<u8>),
    /// Why not, for the log; the user is told the second.
    No(String, Vec<u8>),
    /// Why it cannot tell, for the log.
    Nothing(String),
    /// A question.
    Ask {
        /// Its words.
        prompt: Vec<u8>,
        /// Whether the answer is shown.
        echo: bool,
        /// Who waits for it.
        dialogue: Dialogue,
    },
}

/// Another password for a line of a file.
pub struct ChangeRequest {
    /// The file.
    pub path: PathBuf,
    /// Whose line.
    pub user: Vec<u8>,
    /// The password that must still be right.
    pub old: Secret,
    /// The one for its place.
    pub new: Secret,
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// The new password holds.
    Done,
    /// The old one is no longer right.
    Wrong,
    /// This file is not to be changed.
    NotHere,
}

/// A program to run.
pub struct Program {
    /// The program and its arguments.
    pub words: Vec<Vec<u8>>,
    /// What its environment has beside a path.
    pub variables: Vec<(&'static str, Vec<u8>)>,
    /// Its standard input.
    pub stdin: Vec<u8>,
    /// How long it may take.
    pub limit: Duration,
    /// For the log.
    pub tag: Tag,
}

/// A program and whom it was asked about, as lines of the log name them: never its
/// arguments, which are fields of a request and maybe secrets.
#[derive(Clone)]
pub struct Tag {
    /// The program alone, escaped.
    pub(super) program: String,
    /// The user, where the user is, and the client, escaped.
    pub(super) about: String,
}

impl Tag {
    /// The line that says why the program gave no decision.
    pub(crate) fn failure(&self, why: &str, stderr: &[u8]) -> String {
        let Self { program, about } = self;
        let said = match stderr {
            [] => String::new(),
            said => format!(" stderr='{}'", Quoted(said)),
        };
        format!("program '{program}' {why}: {about}{said}")
    }
}

/// An attempt to get in.
pub struct Attempt {
    /// Whether it was a good one.
    pub passed: bool,
    /// Who is counted; nobody without a name.
    pub user: Option<u64>,
    /// The same, for the log.
    pub name: Box<[u8]>,
    /// Whose turn it takes: the client's, and there that of the place the user is at.
    pub client: u64,
    /// The place.
    pub place: u64,
    /// The answer waits no longer than this.
    pub longest: Duration,
}
