//! What a configuration sets that names nothing: limits, files, listeners.
//!
//! Owns their shape and what holds where nothing is written. Must never hold a secret.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that a configuration says once.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file of accounting records; the default is
    /// [`DEFAULT_ACCOUNTING`](Self::DEFAULT_ACCOUNTING) if they go nowhere else.
    pub accounting_file: Option<PathBuf>,
    /// Records go to syslog.
    pub accounting_syslog: bool,
    /// Records are on the disk, not only with the kernel, before they are answered.
    pub accounting_sync: bool,
    /// What a line of the file looks like.
    pub accounting_format: AccountingFormat,
    /// The syslog facility, lower case; `daemon` where none is given.
    pub facility: Option<String>,
    /// Log lines are JSON.
    pub log_json: bool,
    /// One log line for every authorization.
    pub log_authorization: bool,
    /// Callouts are handed to a shell.
    pub callout_shell: bool,
    /// How long a callout may take.
    pub callout_timeout: Duration,
    /// Users may change the passwords of password files.
    pub password_change: bool,
    /// The PAM service that passwords are checked under.
    pub pam_service: String,
    /// A client's secret that can be guessed is an error, not a warning (RFC 8907
    /// section 10.5.1 wants such a policy).
    pub refuse_weak_keys: bool,
    /// How long an answer may wait for the next after many wrong passwords; zero
    /// never waits.
    pub throttle: Duration,
    /// What strangers may cost.
    pub limits: Limits,
    /// Where clients connect in plain TCP, besides what the command line says.
    pub listen: Vec<SocketAddr>,
    /// TLS, if there is any.
    pub tls: Tls,
}

/// What a line of the accounting file looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccountingFormat {
    /// The original's fields with tabs between them.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// What strangers may cost; `None` is the daemon's own default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a packet's body.
    pub body: Option<u32>,
    /// Until the first packet of a connection is there.
    pub first_packet: Option<Duration>,
    /// Until a packet that began is there.
    pub packet: Option<Duration>,
    /// Until somebody answered a question.
    pub answer: Option<Duration>,
    /// Until a connection without a session is closed.
    pub idle: Option<Duration>,
    /// Questions in one session.
    pub rounds: Option<u32>,
    /// Sessions on one connection.
    pub sessions: Option<u32>,
    /// Connections in all.
    pub connections: Option<u32>,
    /// Connections of one client.
    pub connections_per_client: Option<u32>,
}

/// TLS 1.3 (RFC 9887).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Where clients connect; the port is 300 where none is written.
    pub listen: Vec<SocketAddr>,
    /// The server's certificate with its chain, PEM.
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<PathBuf>,
    /// Who signs clients' certificates, PEM.
    pub ca: Option<PathBuf>,
    /// Lists of revoked certificates, PEM.
    pub crl: Vec<PathBuf>,
    /// How long a session may be resumed; zero never, `None` the daemon's default.
    pub ticket_lifetime: Option<Duration>,
}

impl Settings {
    /// Where records go if the configuration does not say.
    pub const DEFAULT_ACCOUNTING: &str = "/var/log/tac_plus.acct";
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            accounting_file: None,
            accounting_syslog: false,
            accounting_sync: false,
            accounting_format: AccountingFormat::default(),
            facility: None,
            log_json: false,
            log_authorization: false,
            callout_shell: false,
            callout_timeout: Duration::from_secs(10),
            password_change: false,
            pam_service: "tac_plus".to_owned(),
            refuse_weak_keys: false,
            throttle: Duration::from_secs(2),
            limits: Limits::default(),
            listen: Vec::new(),
            tls: Tls::default(),
        }
    }
}
