//! `tac_plus`, the TACACS+ server.
//!
//! Owns the command line, which is the original's.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tac_plus::conf;
use tac_plus::daemon::{Daemon, Listener, Listening, Log, Source, process};

/// The TACACS+ server (RFC 8907, RFC 9887), configured by tac_plus.conf(5).
#[derive(Parser)]
#[command(name = "tac_plus", version, disable_version_flag = true)]
struct Options {
    /// The configuration file
    #[arg(short = 'C', value_name = "FILE")]
    configuration: PathBuf,
    /// Only check the configuration and print it without its secrets
    #[arg(short = 'P')]
    parse_only: bool,
    /// Port to listen on for plain TCP, 49 without it; 0 lets the system choose
    #[arg(short = 'p', value_name = "PORT")]
    port: Option<u16>,
    /// Address to listen on for plain TCP, may be repeated; without it those of the
    /// configuration, or all if it has none
    #[arg(short = 'B', value_name = "ADDRESS")]
    bind: Vec<IpAddr>,
    /// Length of the listen queue
    #[arg(short = 'm', value_name = "LENGTH")]
    backlog: Option<i32>,
    /// Log to a file instead of standard error
    #[arg(short = 'l', value_name = "FILE")]
    log_file: Option<PathBuf>,
    /// Become this user once the sockets are open
    #[arg(short = 'U', value_name = "USER")]
    user: Option<String>,
    /// Become this group once the sockets are open
    #[arg(short = 'Q', value_name = "GROUP")]
    group: Option<String>,
    /// Stay in the foreground (it always does: a service manager puts it into the background)
    #[arg(short = 'G')]
    foreground: bool,
    /// Print the version
    #[arg(short = 'v', action = clap::ArgAction::Version)]
    version: Option<bool>,
    #[command(flatten)]
    past: Past,
}

/// Flags of the original without a use here. Old command lines keep working where
/// nothing depends on the flag, and are refused where something does.
#[derive(clap::Args)]
#[command(next_help_heading = "Flags of the original without effect")]
struct Past {
    /// Debug bits
    #[arg(short = 'd', value_name = "BITS")]
    debug: Vec<String>,
    /// Stay in the foreground, one process
    #[arg(short = 'g')]
    single_process: bool,
    /// Log to standard error (it does so without -l)
    #[arg(short = 't')]
    console: bool,
    /// Look up client names (clients are known by address)
    #[arg(short = 'L')]
    lookup: bool,
    /// Agree to single connection mode (it always does)
    #[arg(short = 'S')]
    single_connect: bool,
    /// Refuse SENDPASS (it always does)
    #[arg(short = 's')]
    no_sendpass: bool,
    /// Write wtmp: nothing is written, sessions are in the accounting records
    #[arg(short = 'u', value_name = "FILE")]
    wtmp: Option<PathBuf>,
    /// Count sessions in a file: nothing is written, there is no maxsess
    #[arg(short = 'w', value_name = "FILE")]
    wholog: Option<PathBuf>,
    /// Serve one connection of inetd: not supported
    #[arg(short = 'i', hide = true)]
    inetd: bool,
}

impl Past {
    /// What the operator of an old command line should know.
    fn warnings(&self) -> impl Iterator<Item = &'static str> {
        let table = [
            (
                !self.debug.is_empty(),
                "-d has no effect: everything worth a line is logged",
            ),
            (
                self.lookup,
                "-L has no effect: clients are known by their address",
            ),
            (self.wtmp.is_some(), "-u has no effect: no wtmp is written"),
            (
                self.wholog.is_some(),
                "-w has no effect: there is no maxsess to count for",
            ),
        ];
        table
            .into_iter()
            .filter_map(|(given, message)| given.then_some(message))
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    keep_memory_private();
    let prepared = prepare(&options);
    // Only now is this the user whose log it is; and a change of user undid it.
    keep_memory_private();
    let path = options
        .log_file
        .as_deref()
        .filter(|_| prepared.is_ok() && !options.parse_only);
    let Ok((log, writer)) = Log::start(path) else {
        return ExitCode::FAILURE;
    };
    let result = prepared.and_then(|prepared| run(&options, prepared, &log));
    let code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            log.error(message);
            ExitCode::FAILURE
        }
    };
    drop(log);
    writer.finish();
    code
}

/// Does what only the user that starts the server may: opens the sockets that the
/// configuration and the command line ask for. Then becomes the user that it serves as.
fn prepare(options: &Options) -> Result<(Listening, Vec<Listener>), String> {
    if options.past.inetd {
        return Err("-i is not supported: run tac_plus as a service".to_owned());
    }
    let listening = Listening {
        addresses: options.bind.clone(),
        port: options.port,
        backlog: options.backlog,
        inherited: process::inherited_sockets(),
    };
    if options.parse_only {
        return Ok((listening, Vec::new()));
    }
    let loaded = conf::load(&options.configuration).map_err(|error| error.to_string())?;
    let endpoints = listening.endpoints(&loaded.policy.settings)?;
    let listeners = listening.bind(&endpoints, &[])?;
    process::become_user(options.user.as_deref(), options.group.as_deref())?;
    Ok((listening, listeners))
}

fn run(
    options: &Options,
    (listening, listeners): (Listening, Vec<Listener>),
    log: &Log,
) -> Result<(), String> {
    options
        .past
        .warnings()
        .for_each(|warning| log.line(warning));
    let source = Source {
        path: options.configuration.clone(),
        descriptors: raise_descriptor_limit(log),
        listening,
    };
    if options.parse_only {
        let (normalised, warnings) = source.check()?;
        let log_trouble = options.log_file.as_deref().and_then(Log::trouble);
        let warnings = warnings.into_iter().chain(log_trouble);
        warnings.for_each(|warning| log.line(warning));
        return print(&normalised);
    }
    // Read again, by the user that will have to read it at every reload.
    let setup = source.load()?;
    for warning in &setup.warnings {
        log.line(warning);
    }
    // One thread answers everybody: a request takes microseconds. What takes
    // longer (the accounting file, a reload) has threads of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    let log = log.clone();
    let daemon = Daemon { source, setup, log };
    let ended = runtime
        .block_on(daemon.run(listeners))
        .map_err(|error| format!("cannot serve: {error}"));
    // Connections that outlived the grace period end here and let go of the log.
    runtime.shutdown_background();
    ended
}

fn print(text: &str) -> Result<(), String> {
    use std::io::Write;
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| format!("cannot print: {error}"))
}

/// Keeps every secret out of cores and away from other processes of the same user
/// (RFC 8907 section 10.5.1). Best effort: where this is refused the server is
/// needed all the same.
fn keep_memory_private() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = setrlimit(Resource::Core, none);
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// A connection is a descriptor, and the usual soft limit of 1024 is low. Tells how
/// many there may be now.
fn raise_descriptor_limit(log: &Log) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        log.error(format!("cannot raise the limit of open files: {error}"));
    }
    let now = getrlimit(Resource::Nofile).current;
    now.map_or(usize::MAX, |now| usize::try_from(now).unwrap_or(usize::MAX))
}
