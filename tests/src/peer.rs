//! The scripted TACACS+ server: what it is told to do, and what it saw.
//!
//! The program is `src/bin/peer.rs`; the script travels as JSON in a file, and
//! every packet received comes back as one JSON line of its log. Replies are
//! encoded by hand there: a peer that misbehaves must not need the codec's leave.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tacacs_common::packet::{AcctStatus, AuthenStatus, AuthorStatus};

use crate::artefacts::OWN;
use crate::{Daemon, Result, Stage, wait};

/// The secret of every peer unless its script names another.
pub const SECRET: &str = "the-secret-of-every-stage-1b7c09";

/// What a peer answers. Packet number n of a session gets step number n of its
/// kind; when the steps are used up, the last is repeated. Without a step for a
/// kind, packets of that kind are answered with silence.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Script {
    /// The shared secret.
    pub secret: String,
    /// Answers single-connect when asked for it.
    pub single_connect: bool,
    /// Steps of an authentication session.
    pub authen: Vec<Step>,
    /// Steps of an authorization session.
    pub author: Vec<Step>,
    /// Steps of an accounting session.
    pub acct: Vec<Step>,
    /// What is said to the records of these users instead.
    pub acct_of: Vec<(String, Step)>,
}

impl Script {
    /// A peer that permits everything, with these steps for an authentication.
    #[must_use]
    pub fn authen(steps: impl Into<Vec<Step>>) -> Self {
        Self {
            secret: SECRET.into(),
            single_connect: false,
            authen: steps.into(),
            author: vec![Step::permit(&["priv-lvl=15"])],
            acct: vec![Step::success()],
            acct_of: Vec::new(),
        }
    }

    /// The same peer, with these steps for an authorization.
    #[must_use]
    pub fn author(mut self, steps: impl Into<Vec<Step>>) -> Self {
        self.author = steps.into();
        self
    }

    /// The same peer, with these steps for an accounting session.
    #[must_use]
    pub fn acct(mut self, steps: impl Into<Vec<Step>>) -> Self {
        self.acct = steps.into();
        self
    }

    /// The same peer, which answers this to each record of one user.
    #[must_use]
    pub fn acct_of(mut self, user: &str, step: Step) -> Self {
        self.acct_of.push((user.into(), step));
        self
    }

    /// The same peer with another shared secret.
    #[must_use]
    pub fn secret(mut self, secret: &str) -> Self {
        self.secret = secret.into();
        self
    }

    /// The same peer, agreeing to single-connect.
    #[must_use]
    pub fn single_connect(mut self) -> Self {
        self.single_connect = true;
        self
    }
}

/// The reaction to one packet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Step {
    /// A reply.
    Reply(Reply),
    /// No answer; the connection stays open.
    Silence,
    /// No answer; the connection is closed.
    Close,
}

/// One reply, right unless `forged`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Reply {
    /// The status byte of the packet's kind.
    pub status: u8,
    /// `server_msg`, byte for byte.
    pub message: Vec<u8>,
    /// The NOECHO flag of an authentication reply.
    pub no_echo: bool,
    /// The arguments of an authorization reply.
    pub args: Vec<String>,
    /// Milliseconds before it is sent.
    pub delay: u64,
    /// What is wrong with it.
    pub forged: Option<Forged>,
}

/// What can be wrong with a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Forged {
    /// Another session's id.
    SessionId,
    /// seq_no two too high.
    SeqNo,
    /// The other minor version.
    MinorVersion,
    /// Major version 13.
    MajorVersion,
    /// Another packet type.
    PacketType,
    /// A clear body with the UNENCRYPTED flag.
    Unencrypted,
    /// Obfuscated with another secret.
    Secret,
    /// One byte of body, where the fixed part alone is longer.
    ShortBody,
    /// The fields inside announce more than the body has.
    LongFields,
    /// The header announces 2 GiB.
    LongLength,
    /// The header alone, then silence.
    HeaderOnly,
    /// The header and half of the body, then the connection is closed.
    CutOff,
    /// One byte a second.
    Trickle,
    /// The status turned into this one on the way, without the secret: the pad is as it was.
    Status(u8),
}

impl Step {
    /// An authentication reply with this status and message.
    #[must_use]
    pub fn authen(status: AuthenStatus, message: &str) -> Self {
        let no_echo = matches!(status, AuthenStatus::GetPass | AuthenStatus::GetData);
        Self::Reply(Reply {
            status: status.to_wire(),
            message: message.into(),
            no_echo,
            ..Reply::default()
        })
    }

    /// PASS.
    #[must_use]
    pub fn pass() -> Self {
        Self::authen(AuthenStatus::Pass, "")
    }

    /// FAIL.
    #[must_use]
    pub fn fail() -> Self {
        Self::authen(AuthenStatus::Fail, "")
    }

    /// GETPASS, without echo.
    #[must_use]
    pub fn get_pass(prompt: &str) -> Self {
        Self::authen(AuthenStatus::GetPass, prompt)
    }

    /// GETDATA, without echo.
    #[must_use]
    pub fn get_data(prompt: &str) -> Self {
        Self::authen(AuthenStatus::GetData, prompt)
    }

    /// PASS_ADD with these arguments.
    #[must_use]
    pub fn permit(args: &[&str]) -> Self {
        Self::author(AuthorStatus::PassAdd, args)
    }

    /// An authorization FAIL.
    #[must_use]
    pub fn deny() -> Self {
        Self::author(AuthorStatus::Fail, &[])
    }

    /// An authorization reply with this status and these arguments.
    #[must_use]
    pub fn author(status: AuthorStatus, args: &[&str]) -> Self {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Self::Reply(Reply {
            status: status.to_wire(),
            args,
            ..Reply::default()
        })
    }

    /// An accounting SUCCESS.
    #[must_use]
    pub fn success() -> Self {
        Self::acct(AcctStatus::Success)
    }

    /// An accounting reply with this status.
    #[must_use]
    pub fn acct(status: AcctStatus) -> Self {
        Self::Reply(Reply {
            status: status.to_wire(),
            ..Reply::default()
        })
    }

    /// The same reply, sent so much later.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.change(|reply| reply.delay = delay)
    }

    /// The same reply with something wrong.
    #[must_use]
    pub fn forged(self, forged: Forged) -> Self {
        self.change(|reply| reply.forged = Some(forged))
    }

    /// The same reply with this `server_msg`, byte for byte.
    #[must_use]
    pub fn message(self, message: &[u8]) -> Self {
        self.change(|reply| reply.message = message.into())
    }

    fn change(mut self, change: impl FnOnce(&mut Reply)) -> Self {
        if let Self::Reply(reply) = &mut self {
            change(reply);
        }
        self
    }
}

/// One thing a peer saw, in the order in which it happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Seen {
    /// `connect`, `close`, `start`, `continue`, `abort`, `author`, `acct`, or
    /// `malformed` for what could not be read, a wrong secret being one cause.
    pub kind: String,
    /// Number of the connection, from 1.
    pub connection: u32,
    /// Where it came from, without the port.
    pub from: String,
    /// The session, in hexadecimal.
    pub session: String,
    /// The sequence number.
    pub seq_no: u8,
    /// Whether the UNENCRYPTED flag was set.
    pub unencrypted: bool,
    /// Name of the action or of the accounting flags: `LOGIN`, `CHPASS`, `START`, `STOP`.
    pub action: String,
    /// Name of the authentication type.
    pub authen_type: String,
    /// Name of the authentication service.
    pub service: String,
    /// Name of the authentication method.
    pub method: String,
    /// The privilege level.
    pub priv_lvl: u8,
    /// The user.
    pub user: String,
    /// The port.
    pub port: String,
    /// The remote address.
    pub rem_addr: String,
    /// `data` of a START (a PAP password), `user_msg` of a CONTINUE.
    pub text: String,
    /// The arguments as they are.
    pub args: Vec<String>,
}

impl Seen {
    /// The value of the argument with this name, mandatory or optional.
    pub fn arg(&self, name: &str) -> Option<&str> {
        self.args.iter().find_map(|arg| {
            let (found, value) = arg.split_at_checked(arg.find(['=', '*'])?)?;
            (found == name).then(|| value.get(1..)).flatten()
        })
    }
}

/// A running peer.
pub struct Peer<'a> {
    stage: &'a Stage,
    log: String,
    daemon: Daemon,
}

impl<'a> Peer<'a> {
    /// Starts a peer on an address of the stage: `127.0.0.1:49`, `[::1]:49`, or
    /// `unix:/path`. With `owner`, it runs as that user: whose socket it is.
    pub(crate) fn start(stage: &'a Stage, at: &str, script: &Script, owner: &str) -> Result<Self> {
        let name: String = at.chars().filter(char::is_ascii_alphanumeric).collect();
        let name = format!("peer-{name}");
        let file = format!("/run/e2e/{name}.script");
        let log = format!("/var/log/{name}.seen");
        stage.write(&file, 0o644, &serde_json::to_string(script)?)?;
        stage.write(&log, 0o666, "")?;
        let program = format!("{OWN}/peer");
        let identity = [format!("--reuid={owner}"), format!("--regid={owner}")];
        let args = [
            &identity[0],
            &identity[1],
            "--init-groups",
            &program,
            at,
            &file,
            &log,
        ];
        let daemon = stage.spawn(&name, "setpriv", &args)?;
        wait::until(&format!("{name} to listen"), || {
            stage.read(&log).contains("listening").then_some(())
        })?;
        Ok(Self { stage, log, daemon })
    }

    /// Everything seen so far.
    pub fn all(&self) -> Result<Vec<Seen>> {
        let text = self.stage.read(&self.log);
        let lines = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        let seen: Result<Vec<Seen>> = lines.map(|line| Ok(serde_json::from_str(line)?)).collect();
        Ok(seen?
            .into_iter()
            .filter(|seen| seen.kind != "listening")
            .collect())
    }

    /// What was seen of this kind: a packet's, `connect` or `close`.
    pub fn seen(&self, kind: &str) -> Result<Vec<Seen>> {
        Ok(self
            .all()?
            .into_iter()
            .filter(|seen| seen.kind == kind)
            .collect())
    }

    /// Waits until `count` things of this kind were seen and gives them.
    pub fn wait_for(&self, kind: &str, count: usize) -> Result<Vec<Seen>> {
        let seen = wait::until(&format!("{count} x {kind} in {}", self.log), || {
            self.seen(kind).ok().filter(|seen| seen.len() >= count)
        });
        seen.map_err(|error| self.stage.failure(error))
    }

    /// The process: to kill or freeze it.
    pub fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemon
    }
}
