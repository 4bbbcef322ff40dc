//! The command-line programs: `tacacs_client` talks to a server, `tacplus` looks
//! after the host.
//!
//! | module | owns |
//! |---|---|
//! | `args` | the command line of `tacacs_client` |
//! | `servers` | which servers are asked |
//! | `key` | where the shared secret comes from |
//! | `answers` | what a person answers a server |
//! | `aaa` | authenticate, authorize, account |
//! | `report` | an outcome as words, JSON and exit code |
//! | `decode` | packets of a capture |
//! | `admin` | `tacplus` and its subcommands |
//! | `exit`, `output` | exit codes, standard output and error |
//! | `sys` | argument list and core |

mod aaa;
mod admin;
mod answers;
mod args;
mod decode;
mod exit;
mod key;
#[cfg(test)]
mod man;
mod output;
mod report;
mod servers;
mod sys;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use args::{Action, Cli};
use exit::{Exit, Failure};

const NAME: &str = "tacacs_client";

/// The program `tacacs_client`.
pub fn client() -> ExitCode {
    sys::keep_memory_private();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    hide_secrets(&cli);
    ended(NAME, run(&cli))
}

fn run(cli: &Cli) -> Result<Exit, Failure> {
    cli.check()?;
    match &cli.action {
        Action::Decode(with) => decode::command::run(&cli.common, with),
        Action::Authenticate(with) => {
            aaa::run(cli, |request, client| request.authenticate(client, with))
        }
        Action::Authorize(with) => aaa::run(cli, |request, client| request.authorize(client, with)),
        Action::Account(with) => aaa::run(cli, |request, client| request.account(client, with)),
    }
}

/// The program `tacplus`.
pub fn admin() -> ExitCode {
    admin::main()
}

/// Says why a program failed, if it did, and gives its exit code.
fn ended(name: &str, result: Result<Exit, Failure>) -> ExitCode {
    let exit = result.unwrap_or_else(|failure| {
        output::tell(name, &failure.text);
        failure.exit
    });
    exit.into()
}

/// Prints what clap has to say: an error, or the help that was asked for.
fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if error.use_stderr() {
        Exit::Usage.into()
    } else {
        ExitCode::SUCCESS
    }
}

/// Overwrites the secrets of the argument list, then says that it is late for that.
fn hide_secrets(cli: &Cli) {
    let secrets = cli.secrets();
    let bytes: Vec<&[u8]> = secrets.iter().map(|(_, secret)| secret.expose()).collect();
    sys::overwrite_arguments(&bytes);
    for (option, _) in secrets {
        let instead = match option {
            "-k" => "use --key-file or TACACS_PLUS_KEY",
            "-p" => "use TACACS_PLUS_PWD or --password-stdin",
            _ => "use --secret-file",
        };
        warn(format_args!(
            "the value of {option} was visible to other users in ps; {instead}"
        ));
    }
}

fn warn(text: impl std::fmt::Display) {
    output::tell(NAME, format_args!("warning: {text}"));
}
