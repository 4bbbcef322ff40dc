//! The blocking client: one operation over the server list.
//!
//! Owns failover and time. The next server is asked only when one could not be
//! reached; a denial ends the list. After its first question an authentication
//! ends in a pass or a denial, so a one-time code is never sent twice.

mod budget;
mod connect;
pub mod getent;
mod link;
mod ports;
mod random;
mod resolve;
mod trouble;
mod visit;

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use budget::Budget;
use link::{Fault, Link};
use visit::{Record, Visit, accounted, authenticate_at, authorized, challenge, once, unreadable};

pub use connect::Transport;
pub use ports::most_sockets;
pub use resolve::{Resolver, names_have_authority};
pub use trouble::Trouble;

use crate::config::{Address, AgentFallback, Config, Roles, Server};
use crate::dialogues::{Dialogues, Slot};
use crate::exchange::authen::{Ask, Who};
use crate::hold_down::{self, HeldSet, HoldDown};
use crate::outcome::{Denial, DenyReason, Outcome, Unreachable};
use crate::packet::{AcctReply, ArgumentsBuf, AuthorReply, AuthorRequest, AuthorStatus, Body};
use crate::secret::Secret;

/// Time for all servers together that were dead a moment ago.
const HELD_DOWN_LIMIT: Duration = Duration::from_millis(500);

/// How long a try of dead servers that was in vain speaks for the next operation
/// of the same login, so that a login asks them once and not in every phase.
const IN_VAIN_LASTS: Duration = Duration::from_secs(5);

/// How to authenticate. Challenges are made up anew for each server.
#[derive(Clone, Copy)]
pub enum Way<'a> {
    /// The server asks.
    Ascii,
    /// The password as it is.
    Pap(&'a Secret),
    /// RFC 1994.
    Chap(&'a Secret),
    /// RFC 2433.
    MsChap(&'a Secret),
    /// RFC 2759.
    MsChapV2(&'a Secret),
    /// The server asks for the old password and the new one.
    ChangePassword,
}

/// A successful authentication, or a stored accounting record.
#[derive(Debug)]
pub struct Accepted {
    /// The server's name in the configuration.
    pub server: String,
    /// Its words for the user, as they came: escape them.
    pub server_msg: Vec<u8>,
}

/// An approved request, as the server put it. What it means for the request is
/// told by [`crate::exchange::author::grant`].
#[derive(Debug)]
pub struct Authorized {
    /// The server's name in the configuration.
    pub server: String,
    /// PASS_ADD or PASS_REPL.
    pub status: AuthorStatus,
    /// The reply's arguments.
    pub args: ArgumentsBuf,
    /// For the user, as it came.
    pub server_msg: Vec<u8>,
    /// For the log, as it came.
    pub data: Vec<u8>,
}

/// A connection that may serve the process's next operation.
pub struct Connection {
    /// The server's address: another configuration may use its name for another.
    address: Address,
    link: Link,
}

/// Asks the configured servers.
pub struct Client<'c> {
    servers: Vec<Cow<'c, Server>>,
    deadline: Duration,
    authen_timeout: Duration,
    acct_all: bool,
    /// Whether each server gets its share of the deadline and no more.
    shared_out: bool,
    /// Whether somebody who may stop this process could make a server seem dead.
    distrusting: bool,
    hold_down: HoldDown,
    dialogues: Option<Dialogues>,
    kept: Option<Connection>,
    troubles: Vec<(String, Trouble)>,
    in_vain: Option<Duration>,
    means: Means,
}

/// What this host lends to a connection.
#[derive(Clone, Copy)]
struct Means {
    /// Who is asked for the addresses of a name.
    resolver: Option<Resolver>,
    /// Whether root may connect from the last ports.
    local_ports: bool,
}

impl<'c> Client<'c> {
    /// A client of the configured servers, or of the agent if there is one.
    pub fn new(config: &'c Config) -> Self {
        let global = &config.global;
        Self {
            servers: targets(config),
            deadline: global.deadline,
            authen_timeout: global.authen_timeout,
            acct_all: global.acct_all,
            shared_out: false,
            distrusting: false,
            hold_down: HoldDown::new(hold_down::PATH, global.hold_down),
            dialogues: None,
            kept: None,
            troubles: Vec::new(),
            in_vain: None,
            means: Means {
                resolver: None,
                local_ports: global.local_ports,
            },
        }
    }

    /// Keeps the list of dead servers elsewhere than in `/run`.
    #[must_use]
    pub fn with_hold_down(mut self, path: &Path, hold: Duration) -> Self {
        self.hold_down = HoldDown::new(path, hold);
        if self.distrusting {
            self.hold_down.without_lock();
        }
        self
    }

    /// Counts the dialogues of the host, and lets no more of them wait at a server.
    #[must_use]
    pub fn counting(mut self, dialogues: Dialogues) -> Self {
        self.dialogues = Some(dialogues);
        self
    }

    /// Looks the names of servers up by `resolver`, which keeps a limit: the process's own
    /// resolver does not.
    #[must_use]
    pub fn resolving_by(mut self, resolver: Resolver) -> Self {
        self.means.resolver = Some(resolver);
        self
    }

    /// Allows no more than `limit` for all servers together, and shares it out among
    /// them: a lookup for which somebody's login waits has no time to give one server
    /// all of it. A server that is too slow for this is not held down for it.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.deadline = self.deadline.min(limit);
        self.shared_out = true;
        self
    }

    /// For a setuid program. What its caller may have brought about holds no server down
    /// and makes an outcome [provoked](Unreachable::provoked), as this host's shortages do
    /// in every program.
    #[must_use]
    pub fn distrusting_its_caller(mut self, setuid: bool) -> Self {
        self.distrusting = setuid;
        if setuid {
            self.hold_down.without_lock();
        }
        self
    }

    /// Goes on with a connection of an earlier client of this process, if it
    /// still is what it was.
    pub fn resume(&mut self, connection: Connection) {
        self.kept = Some(connection);
    }

    /// Hands over the connection that may be used again, if there is one.
    pub fn into_connection(mut self) -> Option<Connection> {
        self.kept.take().filter(|kept| kept.link.is_usable())
    }

    /// When (since boot) servers were last asked of which all are held down, and
    /// none answered.
    pub const fn in_vain(&self) -> Option<Duration> {
        self.in_vain
    }

    /// Goes on after an earlier client of this process: what that one asked in
    /// vain a moment ago is not asked again.
    pub const fn after(&mut self, in_vain: Option<Duration>) {
        self.in_vain = in_vain;
    }

    /// What went wrong at servers that were passed over since this was asked
    /// last, for the log.
    pub fn take_troubles(&mut self) -> Vec<(String, Trouble)> {
        std::mem::take(&mut self.troubles)
    }

    /// Authenticates. `ask` puts the server's questions to the person; `None`
    /// gives up.
    pub fn authenticate(
        &mut self,
        who: &Who<'_>,
        way: Way<'_>,
        ask: &mut dyn FnMut(&Ask<'_>) -> Option<Secret>,
    ) -> Outcome<Accepted> {
        let slow = self.authen_timeout;
        let interactive = matches!(way, Way::Ascii | Way::ChangePassword);
        self.over_servers(
            Task {
                role: |roles| roles.authentication,
                all: false,
                interactive,
            },
            &mut |link, server, budget| {
                let how = match challenge(way) {
                    Ok(how) => how,
                    Err(error) => return Visit::Next(Trouble::Local("random numbers", error)),
                };
                authenticate_at(link, server, budget, slow, who, &how, ask)
            },
        )
    }

    /// Asks for an authorization.
    pub fn authorize(&mut self, request: &AuthorRequest<'_>) -> Outcome<Authorized> {
        self.over_servers(
            Task {
                role: |roles| roles.authorization,
                all: false,
                interactive: false,
            },
            &mut |link, server, budget| {
                let body = match once::<AuthorRequest<'_>>(link, request, server, budget) {
                    Ok(body) => body,
                    Err(fault) => return Visit::fault(fault, false),
                };
                match AuthorReply::decode(&body) {
                    Ok(reply) => authorized(server, &reply),
                    Err(error) => Visit::Next(unreadable(server, error)),
                }
            },
        )
    }

    /// Stores an accounting record: the clear body of a REQUEST. The same bytes
    /// sent again are the same record.
    pub fn account(&mut self, record: &[u8]) -> Outcome<Accepted> {
        let all = self.acct_all;
        self.over_servers(
            Task {
                role: |roles| roles.accounting,
                all,
                interactive: false,
            },
            &mut |link, server, budget| {
                let body = match once(link, &Record(record), server, budget) {
                    Ok(body) => body,
                    // There is nothing to deny: the record is not stored here.
                    Err(Fault::Flag(why)) => return Visit::Next(Trouble::NotOurs(why)),
                    Err(fault) => return Visit::fault(fault, false),
                };
                match AcctReply::decode(&body) {
                    Ok(reply) => accounted(server, &reply),
                    Err(error) => Visit::Next(unreadable(server, error)),
                }
            },
        )
    }

    /// Visits servers in order until one decides; with `all`, every one, and one
    /// that accepts is enough.
    fn over_servers<T>(
        &mut self,
        task: Task,
        visit: &mut dyn FnMut(&mut Link, &Server, &mut Budget) -> Visit<T>,
    ) -> Outcome<T> {
        let now = hold_down::boottime();
        let order = order(&self.servers, task.role, &self.hold_down.held(now));
        let all_held = order.iter().all(|(_, is_held)| *is_held);
        let pass_over = all_held && self.in_vain.is_some_and(|at| lasts(at, now));
        let mut budget = Budget::new(self.deadline);
        let mut unreachable = Unreachable::default();
        let mut accepted = None;
        let mut waiting = order.len();
        // What the servers before could have used up by themselves.
        let mut used = Duration::ZERO;
        for (index, is_held) in order {
            let Some(server) = self.servers.get(index).cloned() else {
                continue;
            };
            if is_held {
                budget.cap(HELD_DOWN_LIMIT);
            }
            let visit = if pass_over {
                Visit::Next(Trouble::HeldDown)
            } else if budget.is_spent() {
                Visit::Next(Trouble::NoTime)
            } else if self.shared_out {
                budget.share(waiting, |share| self.visit(&server, share, task, visit))
            } else {
                self.visit(&server, &mut budget, task, visit)
            };
            waiting = waiting.saturating_sub(1);
            let by_its_caller = |trouble: &Trouble| match trouble {
                // A dead server gets no fair chance, nor does one behind many silent ones.
                Trouble::ConnectTimeout { .. } | Trouble::NoReply { .. } if is_held => false,
                Trouble::NoTime => !is_held && used < self.deadline,
                trouble => trouble.may_be_provoked(),
            };
            let provoked = visit.trouble().is_some_and(|trouble| {
                trouble.is_shortage() || (self.distrusting && by_its_caller(trouble))
            });
            unreachable.provoked |= provoked;
            if visit.trouble().is_none_or(Trouble::takes_time) {
                used = used.saturating_add(server.timeout);
            }
            if is_held && visit.was_answered() {
                let _ = self.hold_down.clear(&key(&server));
            }
            match visit {
                Visit::Settled(Ok(pass)) if task.all => accepted = Some(pass),
                Visit::Settled(Ok(pass)) => {
                    self.troubles.append(&mut unreachable.tried);
                    return Outcome::Pass(pass);
                }
                Visit::Settled(Err((reason, server_msg))) => {
                    self.troubles.append(&mut unreachable.tried);
                    return Outcome::Deny(Denial {
                        server: server.name.clone(),
                        reason,
                        server_msg,
                    });
                }
                Visit::Next(trouble) => {
                    if !provoked {
                        self.note(&server, &trouble);
                    }
                    unreachable.tried.push((server.name.clone(), trouble));
                }
            }
        }
        if let Some(pass) = accepted {
            self.troubles.append(&mut unreachable.tried);
            return Outcome::Pass(pass);
        }
        if all_held && !pass_over && !unreachable.provoked {
            self.in_vain = Some(hold_down::boottime());
        }
        Outcome::Unreachable(unreachable)
    }

    /// One server: on the kept connection if there is one, else on a new one. A
    /// kept connection that the server closed meanwhile gets a second chance.
    fn visit<T>(
        &mut self,
        server: &Server,
        budget: &mut Budget,
        task: Task,
        visit: &mut dyn FnMut(&mut Link, &Server, &mut Budget) -> Visit<T>,
    ) -> Visit<T> {
        let _slot = match self.slot(server, task.interactive) {
            Ok(slot) => slot,
            Err(reason) => return Visit::deny(reason, b""),
        };
        let kept = self.kept.take_if(|kept| kept.address == server.address);
        if let Some(mut link) = kept.map(|kept| kept.link).filter(Link::is_usable) {
            let result = visit(&mut link, server, budget);
            let broke = matches!(result, Visit::Next(Trouble::Closed | Trouble::Io(_)));
            if !(broke && link.may_be_stale()) {
                self.keep(server, link, &result);
                return result;
            }
        }
        match Link::open(server, budget, self.means) {
            Err(trouble) => Visit::Next(trouble),
            Ok(mut link) => {
                if let Some(port) = link.last_port() {
                    let trouble = Trouble::LastPort(port);
                    self.troubles.push((server.name.clone(), trouble));
                }
                let result = visit(&mut link, server, budget);
                self.keep(server, link, &result);
                result
            }
        }
    }

    /// The right to let a dialogue wait at a server, taken before it knows of it.
    fn slot(&self, server: &Server, interactive: bool) -> Result<Option<Slot>, DenyReason> {
        let Some(dialogues) = self.dialogues.as_ref().filter(|_| interactive) else {
            return Ok(None);
        };
        match dialogues.enter(&key(server), self.distrusting) {
            Ok(Some(slot)) => Ok(Some(slot)),
            Ok(None) => Err(DenyReason::NoSlot),
            Err(error) => Err(DenyReason::Uncounted(error.to_string())),
        }
    }

    /// Keeps a connection on which a server decided, in single connection mode.
    fn keep<T>(&mut self, server: &Server, link: Link, visit: &Visit<T>) {
        use DenyReason::{Aborted, BrokenOff, FlagMismatch, TooManyRounds};
        let decided = match visit {
            // Forged, or left in the middle, where the server may still say something.
            Visit::Settled(Err((FlagMismatch | Aborted | TooManyRounds | BrokenOff(_), _))) => {
                false
            }
            Visit::Settled(_) => true,
            Visit::Next(_) => false,
        };
        if decided && link.is_usable() {
            let address = server.address.clone();
            self.kept = Some(Connection { address, link });
        }
    }

    fn note(&self, server: &Server, trouble: &Trouble) {
        if trouble.holds_down() {
            let _ = self.hold_down.mark(&key(server), hold_down::boottime());
        }
    }
}

/// What servers are asked for.
#[derive(Clone, Copy)]
struct Task {
    role: fn(&Roles) -> bool,
    /// Of every server.
    all: bool,
    /// With questions to a person, for whom a connection has to wait.
    interactive: bool,
}

/// Whom to ask: the agent alone if there is one, and behind it the servers if the
/// configuration says so. Never plain TCP when the agent would have used TLS.
fn targets(config: &Config) -> Vec<Cow<'_, Server>> {
    let direct = || config.servers.iter().map(Cow::Borrowed);
    let Some(agent) = &config.global.agent else {
        return direct().collect();
    };
    let mut server = Server::new("agent", Address::Unix(agent.clone()), None);
    server.timeout = config.global.timeout;
    let mut targets = vec![Cow::Owned(server)];
    let any_tls = config.servers.iter().any(|server| server.tls.is_some());
    if config.global.agent_fallback == AgentFallback::Direct && !any_tls {
        targets.extend(direct());
    }
    targets
}

/// The servers with a role: those alive first, then those held down.
fn order(
    servers: &[Cow<'_, Server>],
    role: fn(&Roles) -> bool,
    held: &HeldSet,
) -> Vec<(usize, bool)> {
    let with_role = servers
        .iter()
        .enumerate()
        .filter(|(_, server)| role(&server.roles))
        .map(|(index, server)| (index, held.is_held(&key(server))));
    let (held, mut order): (Vec<_>, Vec<_>) = with_role.partition(|(_, is_held)| *is_held);
    order.extend(held);
    order
}

/// Whether what was in vain then is so now. A time in the future is not believed.
fn lasts(in_vain: Duration, now: Duration) -> bool {
    now.checked_sub(in_vain)
        .is_some_and(|age| age < IN_VAIN_LASTS)
}

fn key(server: &Server) -> String {
    server.address.to_string()
}
