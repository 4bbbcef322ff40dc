//! The daemon: sockets, signals, the running configuration.
//!
//! Owns everything that touches the world. Must never decide who may do what.
//!
//! | file | owns |
//! |---|---|
//! | `connection` | one connection's task |
//! | `accounting` | records on their way to a file and the system log |
//! | `clock` | the day that it is |
//! | `counters` | what was answered, and to whom |
//! | `files` | files that are appended to |
//! | `json` | JSON lines |
//! | `limits` | what strangers may cost |
//! | `listen` | where clients connect |
//! | `log` | log lines |
//! | `memory` | what strangers may have this process keep |
//! | `places` | how many connections there are, and whose |
//! | [`process`] | the user, the service manager |
//! | `refusals` | what is said about those who are refused |
//! | `secrets` | what is said about old secrets |
//! | `setup` | a configuration on its way into force |
//! | `severity` | how much a line matters |
//! | `syslog` | the system log |
//! | `time` | the time in front of a line |
//! | `tls` | TLS |
//! | `waits` | answers that wait for their turn |

mod accounting;
mod clock;
mod connection;
mod counters;
mod files;
mod json;
mod limits;
mod listen;
mod log;
mod memory;
mod places;
pub mod process;
mod refusals;
mod secrets;
mod setup;
mod severity;
mod syslog;
mod time;
mod tls;
mod waits;

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::effects::Effects;
use crate::trust::Trust;
use accounting::Store;
use clock::Today;
use counters::Counters;
pub use listen::{Endpoint, Listener, Listening};
pub use log::{Log, Writer};
use memory::{Lease, Memory};
use places::{GaveWay, Places};
use refusals::Refusals;
use secrets::Secrets;
use setup::Current;
pub use setup::{Setup, Source};
use tls::Turns;
use waits::Waits;

/// What every connection shares.
struct Shared {
    current: RwLock<Arc<Current>>,
    log: Log,
    store: Store,
    effects: Effects,
    waits: Waits,
    started: Instant,
    today: Today,
    secrets: Secrets,
    trust: Mutex<Trust>,
    refusals: Refusals,
    counters: Counters,
    memory: Memory,
    places: Places,
    turns: Turns,
}

impl Shared {
    fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, current: Current) -> Arc<Current> {
        let mut slot = self.current.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut slot, Arc::new(current))
    }

    fn trust(&self) -> MutexGuard<'_, Trust> {
        self.trust.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether so many bytes may be kept for a stranger. Where there is no room, the oldest
    /// of those with most strangers goes for it, which may be this one.
    fn may_keep(&self, lease: &mut Lease<'_>, bytes: usize) -> bool {
        if lease.grow(bytes) {
            return true;
        }
        let Some(address) = self.places.end_one() else {
            return false;
        };
        self.refuse(address, "memory", || {
            format!("connection from {address} closed: strangers take too much memory")
        });
        lease.take(bytes);
        true
    }

    /// Logs who was refused and why, or counts it.
    fn refuse(&self, address: IpAddr, reason: &'static str, line: impl FnOnce() -> String) {
        self.refusals.tell(&self.log, address, reason, line);
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
        let started = Instant::now();
        let shared = Arc::new(Shared {
            current: RwLock::new(Arc::new(self.setup.current)),
            store: Store::start(self.setup.target, self.log.clone())?,
            effects: Effects::new(self.log.clone()),
            log: self.log,
            waits: Waits::new(started),
            started,
            today: Today::default(),
            secrets: Secrets::default(),
            trust: Mutex::new(Trust::new()),
            refusals: Refusals::default(),
            counters: Counters::default(),
            memory: Memory::default(),
            turns: Turns::new(),
            places: Places::default(),
        });
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut user = signal(SignalKind::user_defined1())?;
        let mut dump = signal(SignalKind::user_defined2())?;
        // A file at its size limit is a failed write then, not the end of the process; nor is
        // a timer that somebody set before the server was started.
        let ignored = [libc::SIGXFSZ, libc::SIGALRM, libc::SIGVTALRM, libc::SIGPROF];
        let ignored = ignored.map(|number| signal(SignalKind::from_raw(number)));
        let _ignored = ignored.into_iter().collect::<io::Result<Vec<_>>>()?;
        let (stop, _) = watch::channel(false);
        let mut doors = Doors {
            shared: Arc::clone(&shared),
            stop: stop.clone(),
            open: Vec::new(),
        };
        doors.open(listeners)?;
        let source = Arc::new(self.source);
        let reloads = async {
            let mut status = process::in_force(&now());
            loop {
                process::notify(&format!("READY=1\nSTATUS={status}"));
                tokio::select! {
                    _ = hangup.recv() => {}
                    _ = user.recv() => {}
                }
                process::notify(&process::reloading());
                let refused = reload(&shared, &source, &mut doors).await.err();
                status = match refused {
                    None => process::in_force(&now()),
                    Some(why) => process::refused(&status, &now(), &why),
                };
            }
        };
        let sums = async {
            loop {
                tokio::time::sleep(refusals::EVERY).await;
                shared.refusals.sum_up(&shared.log);
            }
        };
        let dumps = async {
            while dump.recv().await.is_some() {
                shared
                    .counters
                    .tell(&shared.log, &shared.places.connections());
            }
        };
        // Also from the middle of a reload, which a file system that hangs may hold.
        tokio::select! {
            () = reloads => {}
            () = sums => {}
            () = dumps => {}
            () = shared.waits.run(&shared.log) => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        shared.log.line("stopping");
        process::notify("STOPPING=1");
        // Every task holds a receiver: when the last one is gone, all have ended.
        stop.send_replace(true);
        let closed = async {
            tokio::select! {
                () = stop.closed() => {}
                () = shared.waits.run(&shared.log) => {}
            }
        };
        let _ = tokio::time::timeout(shared.current().limits.stop, closed).await;
        shared.effects.finish().await;
        shared.refusals.sum_up(&shared.log);
        Ok(())
    }
}

/// The listeners that are open.
struct Doors {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    open: Vec<(Endpoint, JoinHandle<()>)>,
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
            self.open.push((endpoint, tokio::spawn(task)));
        }
        Ok(())
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        self.open.iter().map(|(endpoint, _)| *endpoint).collect()
    }

    /// Closes what is not wanted any more, and says so when it is closed. Connections that
    /// came that way go on.
    async fn close_all_but(&mut self, wanted: &[Endpoint]) {
        let open = std::mem::take(&mut self.open).into_iter();
        let (stay, go): (Vec<_>, Vec<_>) =
            open.partition(|(endpoint, _)| wanted.contains(endpoint));
        self.open = stay;
        for (endpoint, task) in go {
            task.abort();
            let _ = task.await;
            let address = endpoint.address;
            let line = format!("no longer listening on {address}");
            self.shared.log.line(line);
        }
    }
}

/// Reads the configuration again. One that does not load, or cannot be served, changes
/// nothing; the error says why.
async fn reload(shared: &Shared, source: &Arc<Source>, doors: &mut Doors) -> Result<(), String> {
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
    let result = match ready {
        Ok((setup, listeners)) => {
            for warning in setup.warnings {
                log.line(warning);
            }
            shared.store.set_target(setup.target);
            log.set_style(setup.style);
            let before = shared.replace(setup.current);
            tokio::spawn(forget(before));
            doors.close_all_but(&setup.endpoints).await;
            if let Err(error) = doors.open(listeners) {
                log.error(format!("cannot listen: {error}"));
            }
            log.line("configuration reloaded");
            Ok(())
        }
        Err(error) => {
            log.error(format!(
                "{error}\nconfiguration not reloaded, the one before stays in force"
            ));
            Err(error)
        }
    };
    // Whoever rotates logs sends this signal, whatever the configuration says now.
    log.reopen();
    result
}

/// Frees a configuration once its last session is over, and gives its memory back: of a
/// hundred thousand users that is a lot, and takes a moment.
async fn forget(before: Arc<Current>) {
    let policy = Arc::downgrade(&before.policy);
    let _ = tokio::task::spawn_blocking(move || drop(before)).await;
    while policy.strong_count() > 0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let _ = tokio::task::spawn_blocking(crate::sys::process::give_memory_back).await;
}

fn now() -> String {
    time::Stamp::default().iso().to_owned()
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
            Ok((stream, peer)) => {
                if begin(&shared, stream, peer.ip().to_canonical(), tls, &stop) {
                    // Its descriptor is free before the next connection needs one.
                    tokio::task::yield_now().await;
                }
            }
            // The client gave up before it was its turn.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                // Out of descriptors, most likely: connections end, then it goes on.
                shared
                    .log
                    .error(format!("cannot accept a connection: {error}"));
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Serves a connection; tells whether another one has to end for it.
fn begin(
    shared: &Arc<Shared>,
    stream: TcpStream,
    address: IpAddr,
    tls: bool,
    stop: &watch::Receiver<bool>,
) -> bool {
    let limits = shared.current().limits;
    let Some(place) = shared.places.enter(address, &limits) else {
        shared.refuse(address, "too many", || {
            format!("connection from {address} refused: too many connections")
        });
        return false;
    };
    let gave_way = place.gave_way();
    match gave_way {
        Some(GaveWay::Stranger(other)) => shared.refuse(other, "gave way", || {
            format!(
                "connection from {other} closed: too many connections, and this one has shown \
                 no secret or certificate"
            )
        }),
        Some(GaveWay::Idle) => shared.refuse(address, "idle", || {
            format!(
                "connection from {address} closed: too many connections, and nothing happened \
                 on this one"
            )
        }),
        None => {}
    }
    let (shared, stop, number) = (Arc::clone(shared), stop.clone(), place.number());
    let places = shared.places.clone();
    // Two kinds of tasks, so that the small one is not as large as the other.
    let task = if tls {
        tokio::spawn(async move {
            connection::secured(&shared, &place, stream, address, stop).await;
        })
    } else {
        tokio::spawn(async move {
            connection::plain(&shared, &place, stream, address, stop).await;
        })
    };
    places.set_task(address, number, task.abort_handle());
    gave_way.is_some()
}
