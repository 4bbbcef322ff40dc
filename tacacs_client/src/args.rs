//! The command line of `tacacs_client`: help, manual page and parser are all made
//! from here.
//!
//! Options are taken before the subcommand and behind it, except `-p`: before it
//! is the port, behind `authenticate` the password.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use tacacs_common::packet::{AcctRecord, AuthenType};
use tacacs_common::secret::Secret;

use crate::exit::Failure;

const ABOUT: &str = "TACACS+ client with full AAA support";

const LONG_ABOUT: &str = "\
Authenticates a user, asks for an authorization or sends an accounting record, and says how the server answered. Reads packets of a capture with decode.

Silent without -v: the exit code tells. The shared secret comes from --key-file or the environment variable TACACS_PLUS_KEY, the password from TACACS_PLUS_PWD or --password-stdin; what is missing is asked for on the terminal, without echo. Given as -k and -p they are visible to other users until the program has started, and a warning says so.";

/// The whole command line.
#[derive(Parser)]
#[command(name = "tacacs_client", version, about = ABOUT, long_about = LONG_ABOUT)]
pub(crate) struct Cli {
    /// tacacs+ server port [default: 49]
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) action: Action,
}

/// What every action understands.
#[derive(Args)]
#[command(next_help_heading = "Options of every action")]
pub(crate) struct Common {
    /// user name
    #[arg(short, long, global = true)]
    pub(crate) username: Option<String>,
    /// tacacs+ server address: a name, an address or unix:/path
    #[arg(short = 'H', long, global = true)]
    pub(crate) host: Option<String>,
    /// user privilege level, 0 to 15 [default: 0, with --enable 15]; an authorization that grants a lower one counts as refused
    #[arg(short = 'l', long, global = true, value_parser = clap::value_parser!(u8).range(0..=15))]
    pub(crate) priv_lvl: Option<u8>,
    /// authentication type [default: ascii with -H, else as configured]
    #[arg(short = 't', long, global = true, value_enum)]
    pub(crate) authen_type: Option<Type>,
    /// remote address (logged by tacacs server)
    #[arg(short, long, global = true, default_value = "127.0.0.1")]
    pub(crate) rem_addr: String,
    /// console port used in connection (logged by tacacs server)
    #[arg(short = 'P', long, global = true, default_value = "tty0")]
    pub(crate) virtual_port: String,
    /// seconds that connecting, and each reply, may take [default: 10 with -H, else as configured]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) timeout: Option<u64>,
    /// print the steps to standard error; no secret is among them
    #[arg(short, long, global = true)]
    pub(crate) debug: bool,
    /// print responses
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// use IPv6 addresses
    #[arg(short = '6', long = "v6", global = true)]
    pub(crate) v6: bool,
    /// tacacs+ shared encryption key
    #[arg(short, long, global = true, value_parser = hidden())]
    pub(crate) key: Option<Hidden>,
    /// file with the shared encryption key, readable by its owner alone
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// take the servers from this file [default without -H: /etc/tacplus.conf]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// print the response as one JSON object
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What is to be done.
#[derive(Subcommand)]
pub(crate) enum Action {
    /// authenticate against a tacacs+ server
    Authenticate(Authenticate),
    /// authorize a command against a tacacs+ server
    Authorize(Authorize),
    /// account commands with accounting flags against a tacacs+ server
    Account(Account),
    /// read packets of a capture
    Decode(Decode),
}

#[derive(Args)]
pub(crate) struct Authenticate {
    /// user password
    #[arg(short, long, value_parser = hidden())]
    pub(crate) password: Option<Hidden>,
    /// read the password from standard input, and answers to further questions from further lines
    #[arg(long, conflicts_with = "password")]
    pub(crate) password_stdin: bool,
    /// ask for the privilege level of -l instead of a login
    #[arg(long)]
    pub(crate) enable: bool,
    /// change the password; the one given is the old one
    #[arg(long, conflicts_with = "enable")]
    pub(crate) change_password: bool,
}

#[derive(Args)]
pub(crate) struct Authorize {
    /// list of cmds to authorize: name=value, or name*value for an optional one
    #[arg(short, long, required = true, num_args = 1..)]
    pub(crate) cmds: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Account {
    /// list of cmds to account: name=value
    #[arg(short, long, required = true, num_args = 1..)]
    pub(crate) cmds: Vec<String>,
    /// accounting flag
    #[arg(short, long, value_enum)]
    pub(crate) flag: Flag,
}

#[derive(Args)]
pub(crate) struct Decode {
    /// packets as hex, in any grouping or as a dump; standard input without it
    pub(crate) hex: Vec<String>,
    /// shared secret that the bodies are obfuscated with
    #[arg(long, value_parser = hidden())]
    pub(crate) secret: Option<Hidden>,
    /// file with the shared secret, readable by its owner alone
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,
    /// the packets were inside TLS, so their bodies are clear
    #[arg(long, conflicts_with_all = ["secret", "secret_file"])]
    pub(crate) tls: bool,
    /// show passwords and challenge responses too
    #[arg(long)]
    pub(crate) show_secrets: bool,
}

/// The authentication types, as the command line names them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Type {
    Ascii,
    Pap,
    Chap,
    Mschap,
    Mschapv2,
}

impl From<Type> for AuthenType {
    fn from(word: Type) -> Self {
        match word {
            Type::Ascii => Self::Ascii,
            Type::Pap => Self::Pap,
            Type::Chap => Self::Chap,
            Type::Mschap => Self::MsChap,
            Type::Mschapv2 => Self::MsChapV2,
        }
    }
}

/// The accounting flags, as the command line names them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Flag {
    Start,
    Stop,
    Update,
}

impl From<Flag> for AcctRecord {
    fn from(word: Flag) -> Self {
        match word {
            Flag::Start => Self::Start,
            Flag::Stop => Self::Stop,
            // There are pairs: of a watchdog alone a server ignores them.
            Flag::Update => Self::Update,
        }
    }
}

/// A secret of the command line. Copies share its memory.
#[derive(Clone)]
pub(crate) struct Hidden(Arc<Secret>);

impl Hidden {
    pub(crate) fn expose(&self) -> &[u8] {
        self.0.expose()
    }
}

fn hidden() -> impl TypedValueParser<Value = Hidden> {
    OsStringValueParser::new()
        .map(|value: OsString| Hidden(Arc::new(Secret::new(value.into_vec()))))
}

impl Cli {
    /// What the parser cannot see, because it looks at the options before the
    /// subcommand and at those behind it apart.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let common = &self.common;
        if common.host.is_some() && common.config.is_some() {
            return Err(Failure::usage("give -H or --config, not both"));
        }
        let mut secrets = u32::from(common.key.is_some()) + u32::from(common.key_file.is_some());
        if let Action::Decode(with) = &self.action {
            secrets += u32::from(with.secret.is_some()) + u32::from(with.secret_file.is_some());
        }
        if secrets > 1 {
            return Err(Failure::usage("the shared secret is given more than once"));
        }
        Ok(())
    }

    /// The secrets that stand in the argument list, each with its option.
    pub(crate) fn secrets(&self) -> Vec<(&'static str, &Hidden)> {
        let mut secrets = Vec::new();
        secrets.extend(self.common.key.as_ref().map(|key| ("-k", key)));
        match &self.action {
            Action::Authenticate(with) => {
                secrets.extend(with.password.as_ref().map(|password| ("-p", password)));
            }
            Action::Decode(with) => {
                secrets.extend(with.secret.as_ref().map(|secret| ("--secret", secret)));
            }
            Action::Authorize(_) | Action::Account(_) => {}
        }
        secrets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }
}
