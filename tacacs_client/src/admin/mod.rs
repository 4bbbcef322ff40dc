//! `tacplus`, the host's administration command.
//!
//! Owns its command line. Each subcommand is a file of this folder.

mod check;
mod elsewhere;
mod identity;
mod outage;
mod pam;
mod records;
mod spool;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tacacs_common::config;
use tacacs_common::spool::ROOT;

use crate::exit::{Exit, Failure};
use crate::{ended, sys, usage};

const NAME: &str = "tacplus";

const ABOUT: &str = "look after TACACS+ on this host";

const LONG_ABOUT: &str = "\
Checks the configuration of this host's TACACS+ modules, and looks after the accounting records that no server has taken yet and after the users that this host knows from its servers.";

/// The whole command line.
#[derive(Parser)]
#[command(name = NAME, version, about = ABOUT, long_about = LONG_ABOUT)]
pub(crate) struct Cli {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Check the configuration and the PAM lines, and print the configuration with every default filled in and without secrets
    Check(Check),
    /// Accounting records that no server has taken yet
    #[command(subcommand)]
    Spool(Spool),
    /// The users that this host knows from its servers
    #[command(subcommand)]
    Identity(identity::Identity),
}

#[derive(Args)]
struct ConfigFile {
    /// the configuration
    #[arg(long, value_name = "FILE", default_value = config::PATH)]
    config: PathBuf,
}

#[derive(Args)]
struct Check {
    #[command(flatten)]
    config: ConfigFile,
    /// the folder below which etc/pam.d is looked for
    #[arg(long, value_name = "FOLDER", default_value = "/")]
    root: PathBuf,
    /// look at the PAM lines only, and fail only if one would lock root out with this version
    #[arg(long)]
    before_install: bool,
}

#[derive(Subcommand)]
enum Spool {
    /// Show what waits, and the counters, for every program that writes records
    Status(SpoolFolder),
    /// Send what waits to the servers now
    Flush {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        folder: SpoolFolder,
    },
    /// List the records that wait and those set aside, by their numbers
    List(SpoolFolder),
    /// Show everything in a record, the text of commands too
    Show {
        /// the record, as list names it
        #[arg(value_name = "WRITER/NUMBER", required = true)]
        records: Vec<String>,
        #[command(flatten)]
        folder: SpoolFolder,
    },
    /// Remove a record for good: no server will have it
    Drop {
        /// the record, as list names it
        #[arg(value_name = "WRITER/NUMBER", required = true)]
        records: Vec<String>,
        #[command(flatten)]
        root: SpoolRoot,
    },
    /// Let records that were set aside wait for a server again
    Retry {
        /// the record, as list names it [default: all that servers did not take]
        #[arg(value_name = "WRITER/NUMBER")]
        records: Vec<String>,
        #[command(flatten)]
        root: SpoolRoot,
    },
}

impl Spool {
    fn root(&self) -> &Path {
        match self {
            Self::Status(folder)
            | Self::List(folder)
            | Self::Flush { folder, .. }
            | Self::Show { folder, .. } => &folder.root.spool,
            Self::Drop { root, .. } | Self::Retry { root, .. } => &root.spool,
        }
    }
}

#[derive(Args)]
struct SpoolRoot {
    /// the folder of the spool
    #[arg(long, value_name = "FOLDER", default_value = ROOT)]
    spool: PathBuf,
}

#[derive(Args)]
struct SpoolFolder {
    #[command(flatten)]
    root: SpoolRoot,
    /// print one JSON object
    #[arg(long)]
    json: bool,
}

/// The program `tacplus`.
pub(crate) fn main() -> ExitCode {
    sys::keep_memory_private();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    ended(NAME, run(&cli))
}

fn run(cli: &Cli) -> Result<Exit, Failure> {
    match &cli.action {
        Action::Check(with) if with.before_install => Ok(check::before_install(&with.root)),
        Action::Check(with) => check::run(&with.config.config, &with.root),
        Action::Identity(action) => identity::run(action),
        Action::Spool(action) => {
            needs_root(action.root())?;
            run_spool(action, action.root())
        }
    }
}

fn run_spool(action: &Spool, root: &Path) -> Result<Exit, Failure> {
    match action {
        Spool::Status(folder) => spool::status(root, folder.json),
        Spool::Flush { config, folder } => spool::flush(&config.config, root, folder.json),
        Spool::List(folder) => records::list(root, folder.json),
        Spool::Show { records, folder } => records::show(root, records, folder.json),
        Spool::Drop { records, .. } => records::discard(root, records),
        Spool::Retry { records, .. } => records::retry(root, records),
    }
}

/// The host's own spool is root's; saying so beats "permission denied".
fn needs_root(spool: &Path) -> Result<(), Failure> {
    if spool == Path::new(ROOT) && !rustix::process::geteuid().is_root() {
        return Err(Failure::usage(
            "the spool belongs to root: run this as root",
        ));
    }
    Ok(())
}
