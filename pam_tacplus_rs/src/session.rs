//! open_session and close_session: the accounting records START and STOP.
//!
//! Owns what is in them and that none is lost: what no server takes is spooled,
//! and while something waits in the spool, what comes later waits behind it, so
//! that a START always arrives before its STOP.

use std::time::Instant;

use tacacs_common::client::{Accepted, Client};
use tacacs_common::config::Config;
use tacacs_common::escape;
use tacacs_common::exchange::author::append_service;
use tacacs_common::outcome::Outcome;
use tacacs_common::packet::{
    AcctRecord, AcctRequest, ArgumentsBuf, AuthenMethod, AuthenService, AuthenType, AuthorRequest,
    Body, Error, PrivLvl,
};
use tacacs_common::spool::{self, Delivery, End as Stopped, Limits, Spool};

use crate::account::authenticated;
use crate::call::{Call, Now, Person, Site};
use crate::entry;
use crate::handle::{Level, Memory};
use crate::outcome::End;
use crate::{limits, outage, record};

/// Records of earlier sessions that one login delivers at most.
const BACKLOG: usize = 20;

/// A session whose START was recorded: all that its STOP needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) task_id: String,
    pub(crate) user: String,
    pub(crate) port: String,
    pub(crate) rem_addr: String,
    pub(crate) service: String,
    pub(crate) protocol: Option<String>,
    pub(crate) authen_method: AuthenMethod,
    pub(crate) authen_type: AuthenType,
    pub(crate) priv_lvl: PrivLvl,
    pub(crate) start: Now,
    /// The audit session under which there is a session record.
    pub(crate) audit: Option<u32>,
    /// Which process opened it.
    pub(crate) pid: u32,
}

/// `pam_sm_open_session`.
pub(crate) fn open(call: &mut Call<'_>) -> End {
    let end = run_open(call).unwrap_or_else(|end| end);
    // The user's process is forked next.
    call.memory.connection = None;
    end
}

fn run_open(call: &mut Call<'_>) -> Result<End, End> {
    let (config, person) = call.begin()?;
    if call.memory.session.is_some() {
        call.debug(|| "this handle has an open session already".to_owned());
        return Ok(End::Pass);
    }
    call.memory.opened = true;
    limits::apply(call, &config, &person)?;
    let task_id = match task_id() {
        Ok(task_id) => task_id,
        Err(error) => {
            let loss = Loss {
                why: format!("no task_id: {error}"),
                provoked: true,
            };
            return Ok(lost(call, &config, &person, AcctRecord::Start, &loss));
        }
    };
    // acct_mgmt may have run in another process, and left its word in the store only.
    let entry = entry::active(call, &config, &person);
    let uid = person.uid.or(entry.as_ref().map(|entry| entry.uid));
    let level = entry.and_then(|entry| PrivLvl::new(entry.level));
    let mut session = describe(call, &config, &person, task_id, level);
    let end = account(call, &config, &person, &session, AcctRecord::Start);
    if (end == End::Lost { refused: true }) {
        return Ok(end);
    }
    match record::create(call.site, &session, uid) {
        Ok(audit) => session.audit = audit,
        Err(error) => call.log(
            Level::Warning,
            &format!(
                "no session record for {}: {}",
                person.name(),
                escape::line(error.to_string().as_bytes())
            ),
        ),
    }
    call.memory.session = Some(session);
    Ok(end)
}

/// `pam_sm_close_session`. What opened the session may have been another process.
pub(crate) fn close(call: &mut Call<'_>) -> End {
    run_close(call).unwrap_or_else(|end| end)
}

fn run_close(call: &mut Call<'_>) -> Result<End, End> {
    // If this ends here, the session stays in the memory, and its STOP is spooled
    // when the handle ends.
    let (config, person) = call.begin()?;
    let found = call
        .memory
        .session
        .take()
        // A su within a session finds that session's record, which is not its own.
        .or_else(|| (!call.memory.opened).then(|| record::find(call.site, &person.user))?);
    let Some(session) = found.filter(|session| !was_closed(call.site, session)) else {
        call.log(
            Level::Notice,
            &format!("no STOP for {}: no open session is known", person.name()),
        );
        return Ok(End::Pass);
    };
    let end = account(call, &config, &person, &session, AcctRecord::Stop);
    record::close(call.site, &session);
    Ok(end)
}

/// Whether another process has closed the session. This one is through with it then.
fn was_closed(site: &Site, session: &Session) -> bool {
    let is_closed = record::is_closed(site, session);
    if is_closed {
        record::forget(site, session);
    }
    is_closed
}

/// The handle ends. A session that is still open then has failed in a later module,
/// or its application does not close sessions: its STOP must not get lost. In a
/// forked copy of the process the session goes on and nothing is done.
///
/// Answers a line for the log, to which libpam will not add our name: the phases are
/// over.
pub(crate) fn abandon(memory: Memory, site: &Site) -> Option<String> {
    let session = memory.session.filter(|session| session.pid == site.pid)?;
    if was_closed(site, &session) {
        return None;
    }
    let user = escape::line(session.user.as_bytes());
    let spooled = session
        .body(AcctRecord::Stop, site.now)
        .map_err(|error| error.to_string())
        .and_then(|body| spool(site, &body).map_err(|error| error.to_string()));
    record::close(site, &session);
    Some(match spooled {
        Ok(()) => {
            format!("pam_tacplus: the session of '{user}' was never closed: its STOP is spooled")
        }
        Err(why) => format!(
            "pam_tacplus: the session of '{user}' was never closed, and its STOP is lost: {}",
            escape::line(why.as_bytes())
        ),
    })
}

fn describe(
    call: &Call<'_>,
    config: &Config,
    person: &Person,
    task_id: String,
    stored: Option<PrivLvl>,
) -> Session {
    let (authen_method, authen_type) = authenticated(call, person);
    let granted = call
        .memory
        .granted
        .as_ref()
        .filter(|grant| grant.user == person.user);
    Session {
        task_id,
        user: person.user.clone(),
        port: person.port.clone(),
        rem_addr: person.rem_addr.clone(),
        service: config.global.service.clone(),
        protocol: config.global.protocol.clone(),
        authen_method,
        authen_type,
        priv_lvl: granted
            .and_then(|grant| grant.priv_lvl)
            .or(stored)
            .unwrap_or(PrivLvl::USER),
        start: call.site.now,
        audit: None,
        pid: call.site.pid,
    }
}

/// Unique among the sessions of all hosts, since a server sees them side by side.
fn task_id() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}

impl Session {
    /// The clear body of the START or of the STOP. What belongs to accounting alone
    /// comes first (RFC 8907 section 8.3).
    pub(crate) fn body(&self, record: AcctRecord, now: Now) -> Result<Vec<u8>, Error> {
        let mut args = ArgumentsBuf::new();
        args.mandatory("task_id", self.task_id.as_bytes())?;
        args.mandatory("start_time", self.start.unix.to_string().as_bytes())?;
        if record == AcctRecord::Stop {
            args.mandatory("stop_time", now.unix.to_string().as_bytes())?;
            args.mandatory("elapsed_time", self.elapsed(now).to_string().as_bytes())?;
        }
        append_service(&mut args, &self.service, self.protocol.as_deref())?;
        let request = AcctRequest {
            flags: record.to_wire(),
            about: AuthorRequest {
                authen_method: self.authen_method,
                priv_lvl: self.priv_lvl,
                authen_type: self.authen_type,
                authen_service: AuthenService::Login,
                user: self.user.as_bytes(),
                port: self.port.as_bytes(),
                rem_addr: self.rem_addr.as_bytes(),
                args: args.as_arguments(),
            },
        };
        let mut body = Vec::new();
        request.encode(&mut body)?;
        Ok(body)
    }

    /// Seconds, by the clock that nobody sets.
    fn elapsed(&self, now: Now) -> u64 {
        now.boot.saturating_sub(self.start.boot).as_secs()
    }
}

/// What became of a record.
enum Fate {
    /// This server has it.
    Sent(String),
    /// It waits on the disk, and why.
    Spooled(String),
    /// It is nowhere.
    Lost(Loss),
}

/// Why a record is nowhere.
struct Loss {
    why: String,
    /// By limits that whoever started this program has set or used up, or may have.
    provoked: bool,
}

impl Loss {
    fn new(unsent: Unsent, unspooled: &spool::Error) -> Self {
        Self {
            why: format!("{}; {unspooled}", unsent.why),
            provoked: unsent.provoked || unspooled.may_be_provoked(),
        }
    }
}

/// Records the beginning or the end of a session, and says so.
fn account(
    call: &mut Call<'_>,
    config: &Config,
    person: &Person,
    session: &Session,
    record: AcctRecord,
) -> End {
    let body = match session.body(record, call.site.now) {
        Ok(body) => body,
        Err(error) => {
            let loss = Loss {
                why: error.to_string(),
                provoked: false,
            };
            return lost(call, config, person, record, &loss);
        }
    };
    let mut client = call.client(config);
    let fate = deliver(call, config, &mut client, &body);
    call.log_passed_over(&mut client);
    let about = format!(
        "{} of {} (task_id {})",
        name(record),
        person.name(),
        session.task_id
    );
    match fate {
        Fate::Sent(server) => {
            let server = escape::line(server.as_bytes());
            call.log(Level::Info, &format!("{about} recorded at server {server}"));
            End::Pass
        }
        Fate::Spooled(why) => {
            let why = escape::line(why.as_bytes());
            call.log(
                Level::Warning,
                &format!("{about} spooled, to be delivered later: {why}"),
            );
            if record == AcctRecord::Start
                && let Some(line) = outage::alone(call, config, person, session.authen_method)
            {
                call.log(Level::Warning, &line);
            }
            End::Pass
        }
        Fate::Lost(loss) => lost(call, config, person, record, &loss),
    }
}

const fn name(record: AcctRecord) -> &'static str {
    match record {
        AcctRecord::Start => "START",
        _ => "STOP",
    }
}

/// A record is nowhere. Whoever starts a setuid program must not get a session without
/// one by the limits that it inherits, whatever the configuration says.
fn lost(call: &Call<'_>, config: &Config, person: &Person, record: AcctRecord, loss: &Loss) -> End {
    let provoked = call.site.setuid && loss.provoked;
    let refused = provoked || config.global.acct_required;
    let verdict = match record {
        AcctRecord::Start if provoked => {
            "; refused, for this may be the doing of who started this program"
        }
        AcctRecord::Start if refused => "; refused (acct_required = yes)",
        _ => "",
    };
    let why = escape::line(loss.why.as_bytes());
    let name = name(record);
    call.log(
        Level::Error,
        &format!("{name} of {} is lost: {why}{verdict}", person.name()),
    );
    End::Lost { refused }
}

/// Gets a record to a server or to the disk.
fn deliver(call: &Call<'_>, config: &Config, client: &mut Client<'_>, body: &[u8]) -> Fate {
    let Some(waiting) = backlog(call.site) else {
        return match send(call, client, body) {
            Ok(server) => Fate::Sent(server),
            Err(unsent) => match spool(call.site, body) {
                Ok(()) => Fate::Spooled(unsent.why),
                Err(error) => Fate::Lost(Loss::new(unsent, &error)),
            },
        };
    };
    let append = || waiting.append(body, call.site.now.unix);
    let error = match append() {
        // Its user could stop it in its turn to deliver, and nobody's records would
        // leave the host.
        Ok(()) if call.site.setuid => {
            let why = "a login delivers what waits, and no program that its user may stop";
            return Fate::Spooled(why.to_owned());
        }
        Ok(()) => return in_order(call, config, client, &waiting, body),
        Err(error) => error,
    };
    // What is full is emptied first, and has room then.
    if !call.site.setuid
        && let Fate::Spooled(why) = in_order(call, config, client, &waiting, body)
        && append().is_ok()
    {
        return Fate::Spooled(why);
    }
    // A spool without room must not keep a living server from its records.
    match send(call, client, body) {
        Ok(server) => Fate::Sent(server),
        Err(unsent) => Fate::Lost(Loss::new(unsent, &error)),
    }
}

/// The spool, if something waits in it.
fn backlog(site: &Site) -> Option<Spool> {
    let spool = Spool::open_existing(&site.spool, Limits::default()).ok()??;
    let waits = spool.has_waiting().is_ok_and(|waits| waits);
    waits.then(|| spool.called_by(charged(site)))
}

fn spool(site: &Site, body: &[u8]) -> Result<(), spool::Error> {
    Spool::open(&site.spool, Limits::default())
        .map_err(spool::Error::Io)?
        .called_by(charged(site))
        .append(body, site.now.unix)
}

/// Whose doing a record is that a setuid program makes.
fn charged(site: &Site) -> Option<u32> {
    site.setuid.then(|| {
        site.caller
            .or_else(|| record::login_uid(site))
            .unwrap_or_default()
    })
}

/// Delivers what waits, oldest first, for as long as an operation may take, and says
/// what became of the record `body` among it.
fn in_order(
    call: &Call<'_>,
    config: &Config,
    client: &mut Client<'_>,
    spool: &Spool,
    body: &[u8],
) -> Fate {
    let begun = Instant::now();
    let mut ours = None;
    let mut reason = String::new();
    let report = spool.deliver(BACKLOG, &mut |record| {
        if begun.elapsed() >= config.global.deadline {
            reason = "no time for the records before it".to_owned();
            return Delivery::Retry;
        }
        let outcome = client.account(&record.body);
        let delivery = Delivery::of(&outcome);
        match &delivery {
            Delivery::Stored(server) if record.body == body => ours = Some(server.clone()),
            Delivery::Stored(_) => {}
            _ => reason = unsent(call, outcome).why,
        }
        delivery
    });
    call.debug(|| format!("{} records delivered from the spool", report.delivered));
    if report.refused > 0 {
        call.log(
            Level::Error,
            &format!(
                "{} accounting records are set aside, which no server takes: see 'tacplus spool list'",
                report.refused
            ),
        );
    }
    if let Some(server) = ours {
        return Fate::Sent(server);
    }
    Fate::Spooled(match report.end {
        Stopped::Done | Stopped::Limit => "earlier records come first".to_owned(),
        Stopped::Busy => "another process is delivering".to_owned(),
        Stopped::Retry => reason,
        Stopped::Failed(error) => error.to_string(),
    })
}

/// Why no server has a record.
struct Unsent {
    why: String,
    /// As [`Loss::provoked`].
    provoked: bool,
}

/// Sends one record.
fn send(call: &Call<'_>, client: &mut Client<'_>, body: &[u8]) -> Result<String, Unsent> {
    match client.account(body) {
        Outcome::Pass(accepted) => Ok(accepted.server),
        outcome => Err(unsent(call, outcome)),
    }
}

fn unsent(call: &Call<'_>, outcome: Outcome<Accepted>) -> Unsent {
    match outcome {
        Outcome::Pass(accepted) => Unsent {
            why: format!("{} has it", accepted.server),
            provoked: false,
        },
        Outcome::Deny(denial) => Unsent {
            why: format!("{}: {}", denial.server, denial.reason),
            provoked: false,
        },
        Outcome::Unreachable(why) => Unsent {
            why: call.log_unreachable(&why).to_owned(),
            provoked: why.provoked,
        },
    }
}

#[cfg(test)]
mod tests;
