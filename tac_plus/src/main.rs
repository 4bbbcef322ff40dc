//! `tac_plus`, the TACACS+ server.
//!
//! Owns the command line, which is the original's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tac_plus::conf;
use tac_plus::daemon::{Daemon, Log, Setup};
use tokio::net::{TcpListener, TcpSocket};

/// The TACACS+ server (RFC 8907), configured by tac_plus.conf(5).
#[derive(Parser)]
#[command(name = "tac_plus", version, disable_version_flag = true)]
struct Options {
    /// The configuration file
    #[arg(short = 'C', value_name = "FILE")]
    configuration: PathBuf,
    /// Only check the configuration and print it without its secrets
    #[arg(short = 'P')]
    parse_only: bool,
    /// Port to listen on; 0 lets the system choose
    #[arg(short = 'p', value_name = "PORT", default_value_t = 49)]
    port: u16,
    /// Address to listen on, may be repeated; all addresses without it
    #[arg(short = 'B', value_name = "ADDRESS")]
    bind: Vec<IpAddr>,
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
    /// Log to standard error (it always does)
    #[arg(short = 't')]
    console: bool,
    /// Look up client names (clients are known by address)
    #[arg(short = 'L')]
    lookup: bool,
    /// Length of the listen queue
    #[arg(short = 'm', value_name = "LENGTH")]
    backlog: Option<u32>,
    /// Agree to single connection mode (it always does)
    #[arg(short = 'S')]
    single_connect: bool,
    /// Refuse SENDPASS (it always does)
    #[arg(short = 's')]
    no_sendpass: bool,
    /// Log to a file: not supported
    #[arg(short = 'l', value_name = "FILE", hide = true)]
    log_file: Option<PathBuf>,
    /// Serve one connection of inetd: not supported
    #[arg(short = 'i', hide = true)]
    inetd: bool,
    /// Switch user: not supported
    #[arg(short = 'U', value_name = "USER", hide = true)]
    user: Option<String>,
    /// Switch group: not supported
    #[arg(short = 'Q', value_name = "GROUP", hide = true)]
    group: Option<String>,
    /// Write wtmp: not supported
    #[arg(short = 'u', value_name = "FILE", hide = true)]
    wtmp: Option<PathBuf>,
    /// Write a wholog: not supported
    #[arg(short = 'w', value_name = "FILE", hide = true)]
    wholog: Option<PathBuf>,
}

impl Past {
    /// The flag that cannot be honoured and what to do instead.
    fn refused(&self) -> Option<&'static str> {
        let table = [
            (
                self.log_file.is_some(),
                "-l is not supported: log lines go to standard error, redirect that",
            ),
            (self.inetd, "-i is not supported: run tac_plus as a service"),
            (
                self.user.is_some(),
                "-U is not supported: let the service manager start tac_plus as that user",
            ),
            (
                self.group.is_some(),
                "-Q is not supported: let the service manager start tac_plus with that group",
            ),
            (
                self.wtmp.is_some(),
                "-u is not supported: there is no wtmp accounting",
            ),
            (
                self.wholog.is_some(),
                "-w is not supported: there is no wholog",
            ),
        ];
        table
            .into_iter()
            .find(|(given, _)| *given)
            .map(|(_, message)| message)
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    keep_memory_private();
    let Ok((log, writer)) = Log::start(None) else {
        return ExitCode::FAILURE;
    };
    let result = run(&options, &log);
    let code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            log.line(message);
            ExitCode::FAILURE
        }
    };
    drop(log);
    writer.finish();
    code
}

fn run(options: &Options, log: &Log) -> Result<(), String> {
    if let Some(message) = options.past.refused() {
        return Err(message.to_owned());
    }
    if options.parse_only {
        let (normalised, warnings) =
            conf::check(&options.configuration).map_err(|error| error.to_string())?;
        warnings.into_iter().for_each(|warning| log.line(warning));
        return print(&normalised);
    }
    let descriptors = raise_descriptor_limit(log);
    let setup = Setup::load(&options.configuration, descriptors)?;
    for warning in &setup.warnings {
        log.line(warning);
    }
    // One thread answers everybody: a request takes microseconds. What takes
    // longer (the accounting file, a reload) has threads of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    let ended = runtime.block_on(async {
        let listeners = listen(&options.bind, options.port)?;
        let daemon = Daemon {
            configuration: options.configuration.clone(),
            descriptors,
            setup,
            log: log.clone(),
        };
        let served = daemon.run(listeners).await;
        served.map_err(|error| format!("cannot serve: {error}"))
    });
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

/// The addresses given, or every address of both families.
fn listen(bind: &[IpAddr], port: u16) -> Result<Vec<TcpListener>, String> {
    if bind.is_empty() {
        // A socket on :: takes IPv4 too, unless the host has no IPv6 at all.
        let everywhere = listen_on(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)))
            .or_else(|_| listen_on(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))));
        return everywhere.map(|listener| vec![listener]);
    }
    bind.iter()
        .map(|address| listen_on(SocketAddr::from((*address, port))))
        .collect()
}

fn listen_on(address: SocketAddr) -> Result<TcpListener, String> {
    const BACKLOG: u32 = 1024;
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    };
    let listener = socket.and_then(|socket| {
        socket.set_reuseaddr(true)?;
        // Replies are small and somebody waits for them. Connections inherit it.
        socket.set_nodelay(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    });
    listener.map_err(|error| format!("cannot listen on {address}: {error}"))
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
        log.line(format!("cannot raise the limit of open files: {error}"));
    }
    let now = getrlimit(Resource::Nofile).current;
    now.map_or(usize::MAX, |now| usize::try_from(now).unwrap_or(usize::MAX))
}
