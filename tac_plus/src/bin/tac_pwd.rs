//! `tac_pwd`: what belongs behind `des` in tac_plus.conf(5).
//!
//! Owns its command line and the question for the password. Must never take a
//! password from the command line, where everybody on the host can read it.

use std::ffi::CStr;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use tac_plus::crypt;
use tacacs_common::secret::Secret;
use tacacs_common::terminal;

/// What crypt(3) takes is shorter.
const LONGEST: usize = 512;

/// Asks for a password and prints what crypt(3) makes of it, for tac_plus.conf(5).
///
/// The password is read from the terminal, twice, or from standard input if that is
/// none: there it is the first line.
#[derive(Parser)]
#[command(name = "tac_pwd", version, disable_version_flag = true)]
struct Options {
    /// How to hash; the system's favourite without it
    #[arg(short, long, value_enum, conflicts_with_all = ["md5", "salt"])]
    format: Option<Format>,
    /// As -f md5
    #[arg(short = 'm', conflicts_with = "salt")]
    md5: bool,
    /// Do not show what is typed (it never is)
    #[arg(short = 'e')]
    no_echo: bool,
    /// Print the version
    #[arg(short = 'v', long, action = clap::ArgAction::Version)]
    version: Option<bool>,
    /// A salt for DES, two characters, or a whole setting for crypt(3) such as $6$salt
    salt: Option<String>,
}

/// What the system's crypt(3) knows.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The traditional one, of eight characters; old devices only
    Des,
    /// $1$; old devices only
    Md5,
    /// $2y$, of 72 characters
    Blowfish,
    /// $5$
    Sha256,
    /// $6$
    Sha512,
    /// $y$
    Yescrypt,
}

impl Format {
    fn prefix(self) -> &'static CStr {
        match self {
            Self::Des => c"",
            Self::Md5 => c"$1$",
            Self::Blowfish => c"$2y$",
            Self::Sha256 => c"$5$",
            Self::Sha512 => c"$6$",
            Self::Yescrypt => c"$y$",
        }
    }

    /// As many bytes of a password count.
    fn longest(self) -> Option<usize> {
        match self {
            Self::Des => Some(8),
            Self::Blowfish => Some(72),
            _ => None,
        }
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            say(&message);
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    if let Some(salt) = &options.salt
        && !is_salt(salt)
    {
        return Err("the argument is a salt, never the password: two of a-z A-Z 0-9 . / for DES, or what begins with '$'".to_owned());
    }
    let password = ask().map_err(|error| format!("no password: {error}"))?;
    let format = options.format.or(options.md5.then_some(Format::Md5));
    let shortened = match (&options.salt, format) {
        (Some(salt), _) if !salt.starts_with('$') => Some(Format::Des),
        (_, format) => format,
    };
    if let Some(longest) = shortened.and_then(Format::longest)
        && password.len() > longest
    {
        say(&format!(
            "only the first {longest} bytes of this password will count"
        ));
    }
    let hash = match &options.salt {
        Some(salt) => crypt::crypt(password.expose(), salt.as_bytes()),
        None => crypt::hash_as(password.expose(), format.map(Format::prefix)),
    };
    // A star and a digit are libcrypt's word for failure.
    let hash = hash.filter(|hash| !hash.expose().starts_with(b"*"));
    let hash = hash.ok_or("the system's crypt(3) cannot do this")?;
    let mut out = io::stdout().lock();
    out.write_all(hash.expose())
        .and_then(|()| out.write_all(b"\n"))
        .map_err(|error| format!("cannot print: {error}"))
}

fn is_salt(salt: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/');
    salt.starts_with('$') || (salt.len() == 2 && salt.bytes().all(is_plain))
}

/// The password from the terminal, or the first line of standard input.
fn ask() -> io::Result<Secret> {
    let stdin = io::stdin();
    let password = if stdin.is_terminal() {
        let first = terminal::ask_hidden("Password: ")?;
        let again = terminal::ask_hidden("Again: ")?;
        if first.expose() != again.expose() {
            return Err(io::Error::other("they are not the same"));
        }
        first
    } else {
        match terminal::read_line(&stdin) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Secret::new(Vec::new()),
            line => line?,
        }
    };
    match password.len() {
        0 => Err(io::Error::other("it is empty")),
        LONGEST.. => Err(io::Error::other("it is longer than crypt(3) takes")),
        _ => Ok(password),
    }
}

fn say(message: &str) {
    // Nobody is left to tell if this fails.
    let _ = writeln!(io::stderr(), "tac_pwd: {message}");
}
