//! The daemon: sockets, signals, the running configuration.
//!
//! Owns everything that touches the world. Must never decide who may do what.
//!
//! | file | owns |
//! |---|---|
//! | `connection` | one connection's task |
//! | `accounting` | records on their way to a file and the system log |
//! | `clock` | the day that it is |
//! | `json` | JSON lines |
//! | `limits` | what strangers may cost |
//! | `listen` | where clients connect |
//! | `log` | log lines |
//! | [`process`] | the user, the service manager |
//! | `secrets` | what is said about wrong and old secrets |
//! | `setup` | a configuration on its way into force |
//! | `syslog` | the system log |
//! | `time` | the time in front of a line |
//! | `tls` | TLS |

mod accounting;
mod clock;
mod connection;
mod json;
mod limits;
mod listen;
mod log;
pub mod process;
mod secrets;
mod setup;
mod syslog;
mod time;
mod tls;

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::effects::Effects;
use crate::policy::Attempt;
use crate::policy::throttle::Throttle;
use accounting::Store;
use clock::Today;
pub use listen::{Endpoint, Listener, Listening};
pub use log::{Log, Writer};
use secrets::Secrets;
use setup::Current;
pub use setup::{Setup, Source};

/// What every connection shares.
struct Shared {
    current: RwLock<Arc<Current>>,
    log: Log,
    store: Store,
    effects: Effects,
    throttle: Mutex<Throttle>,
    started: Instant,
    today: Today,
    secrets: Secrets,
    /// Connections by address.
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl Shared {
    fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an attempt to get in; tells how long its answer waits.
    fn count(&self, attempt: &Attempt, now: Instant) -> Duration {
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        throttle.count(attempt, now.saturating_duration_since(self.started))
    }

    /// Counts a connection in, if there is room for it.
    fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let limits = self.current().limits;
        let mut open = self.counts();
        let of_address = open.by_address.get(&address).copied().unwrap_or(0);
        if open.total >= limits.connections || of_address >= limits.connections_per_client {
            return None;
        }
        open.total += 1;
        open.by_address.insert(address, of_address + 1);
        Some(Place {
            shared: Arc::clone(self),
            address,
        })
    }
}

/// A connection's place in the count, given back when it ends.
struct Place {
    shared: Arc<Shared>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.shared.counts();
        open.total = open.total.saturating_sub(1);
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

/// A daemon about to run.
pub struct Daemon {
    /// Where the configuration was read from, and is read again at SIGHUP.
    pub source: Source,
    /// What it said.
    pub setup: Setup,
    /// Where lines go.
    pub log: Log,
}

impl Daemon {
    /// Serves these listeners until SIGTERM or SIGINT.
    ///
    /// # Errors
    ///
    /// If signals or threads cannot be set up.
    pub async fn run(self, listeners: Vec<Listener>) -> io::Result<()> {
        self.log.set_style(self.setup.style);
        let shared = Arc::new(Shared {
            current: RwLock::new(Arc::new(self.setup.current)),
            store: Store::start(self.setup.target, self.log.clone())?,
            effects: Effects::new(self.log.clone()),
            log: self.log,
            throttle: Mutex::default(),
            started: Instant::now(),
            today: Today::default(),
            secrets: Secrets::default(),
            open: Mutex::default(),
        });
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut user = signal(SignalKind::user_defined1())?;
        // A file at its size limit is a failed write then, not the end of the process.
        let _too_large = signal(SignalKind::from_raw(libc::SIGXFSZ))?;
        let (stop, _) = watch::channel(false);
        let mut doors = Doors {
            shared: Arc::clone(&shared),
            stop: stop.clone(),
            open: Vec::new(),
        };
        doors.open(listeners)?;
        let source = Arc::new(self.source);
        let reloads = async {
            loop {
                process::notify("READY=1");
                tokio::select! {
                    _ = hangup.recv() => {}
                    _ = user.recv() => {}
                }
                process::notify(&process::reloading());
                reload(&shared, &source, &mut doors).await;
            }
        };
        // Also from the middle of a reload, which a file system that hangs may hold.
        tokio::select! {
            () = reloads => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        shared.log.line("stopping");
        process::notify("STOPPING=1");
        // Every task holds a receiver: when the last one is gone, all have ended.
        stop.send_replace(true);
        let _ = tokio::time::timeout(shared.current().limits.stop, stop.closed()).await;
        shared.effects.finish().await;
        Ok(())
    }
}

/// The listeners that are open.
struct Doors {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    open: Vec<(Endpoint, AbortHandle)>,
}

impl Doors {
    fn open(&mut self, listeners: Vec<Listener>) -> io::Result<()> {
        for Listener { endpoint, socket } in listeners {
            let listener = TcpListener::from_std(socket)?;
            let what = if endpoint.tls { " for TLS" } else { "" };
            let line = format!("listening{what} on {}", listener.local_addr()?);
            self.shared.log.line(line);
            let stop = self.stop.subscribe();
            let task = accept(Arc::clone(&self.shared), listener, endpoint.tls, stop);
            self.open
                .push((endpoint, tokio::spawn(task).abort_handle()));
        }
        Ok(())
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        self.open.iter().map(|(endpoint, _)| *endpoint).collect()
    }

    /// Closes what is not wanted any more. Connections that came that way go on.
    fn close_all_but(&mut self, wanted: &[Endpoint]) {
        self.open.retain(|(endpoint, task)| {
            let stays = wanted.contains(endpoint);
            if !stays {
                let address = endpoint.address;
                self.shared
                    .log
                    .line(format!("no longer listening on {address}"));
                task.abort();
            }
            stays
        });
    }
}

/// Reads the configuration again. One that does not load, or cannot be served, changes
/// nothing.
async fn reload(shared: &Shared, source: &Arc<Source>, doors: &mut Doors) {
    let log = &shared.log;
    let reader = Arc::clone(source);
    // A large file takes a while; connections are served meanwhile.
    let loaded = tokio::task::spawn_blocking(move || reader.load()).await;
    let loaded =
        loaded.unwrap_or_else(|_| Err("the reader of the configuration failed".to_owned()));
    let ready = loaded.and_then(|setup| {
        let listeners = (source.listening).bind(&setup.endpoints, &doors.endpoints())?;
        Ok((setup, listeners))
    });
    match ready {
        Ok((setup, listeners)) => {
            for warning in setup.warnings {
                log.line(warning);
            }
            shared.store.set_target(setup.target);
            log.set_style(setup.style);
            *shared
                .current
                .write()
                .unwrap_or_else(PoisonError::into_inner) = Arc::new(setup.current);
            doors.close_all_but(&setup.endpoints);
            if let Err(error) = doors.open(listeners) {
                log.line(format!("cannot listen: {error}"));
            }
            log.line("configuration reloaded");
        }
        Err(error) => log.line(format!(
            "{error}\nconfiguration not reloaded, the one before stays in force"
        )),
    }
    // Whoever rotates logs sends this signal, whatever the configuration says now.
    log.reopen();
}

async fn accept(
    shared: Arc<Shared>,
    listener: TcpListener,
    tls: bool,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => return,
        };
        match accepted {
            Ok((stream, peer)) => begin(&shared, stream, peer.ip().to_canonical(), tls, &stop),
            // The client gave up before it was its turn.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                // Out of descriptors, most likely: connections end, then it goes on.
                shared
                    .log
                    .line(format!("cannot accept a connection: {error}"));
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn begin(
    shared: &Arc<Shared>,
    stream: TcpStream,
    address: IpAddr,
    tls: bool,
    stop: &watch::Receiver<bool>,
) {
    let Some(place) = shared.enter(address) else {
        shared.log.line(format!(
            "connection from {address} refused: too many connections"
        ));
        return;
    };
    let stop = stop.clone();
    // Two kinds of tasks, so that the small one is not as large as the other.
    if tls {
        tokio::spawn(async move {
            connection::secured(&place.shared, stream, address, stop).await;
        });
    } else {
        tokio::spawn(async move { connection::plain(&place.shared, stream, address, stop).await });
    }
}
