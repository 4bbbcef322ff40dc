//! What the policy asks the world for, performed.
//!
//! Owns threads, files and processes that a decision needs. Must never decide
//! anything, and never make one request wait for another's effect: everything
//! here is bounded in number and in time.
//!
//! | file | owns |
//! |---|---|
//! | `inbox` | results on their way back to their connection |
//! | `pool` | threads for what blocks |
//! | `passwd` | password files |
//! | `pam` | dialogues with PAM |
//! | `program` | programs that take part in a decision |
//! | `trial` | what a configuration names, tried before it counts |

pub(crate) mod inbox;
mod pam;
mod passwd;
mod pool;
mod program;
mod trial;

use std::net::IpAddr;
use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub(crate) use pam::Dialogue;
pub(crate) use trial::try_out;

use crate::daemon::Log;
use crate::policy::draft::Credential;
use crate::policy::{ChangeRequest, Checked, Done, Effect, VerifyRequest};
use crate::sys::crypt;
use inbox::Ticket;
use pool::{Full, Pool};

/// Password hashes are made to take time. These threads leave the processor to
/// requests, and what cannot wait its turn is an ERROR: a client that hears nothing
/// asks again and makes it worse.
const HASHES: usize = 4;
const HASHES_WAITING: usize = 256;
const HASH_NICE: i32 = 10;
/// Rules that take long: few have such, so one client's must not keep more threads.
const SEARCHES: usize = 2;
const SEARCHES_WAITING: usize = 64;
/// A dialogue with PAM waits for people and for other servers.
const DIALOGUES: usize = 128;
const PROGRAMS: usize = 32;
const PROGRAMS_WAITING: usize = 64;

/// How long a hash may take with its time in the queue, and a file on a slow disk.
const HASH_LIMIT: Duration = Duration::from_secs(20);
/// A device asks another server long before this.
const SEARCH_LIMIT: Duration = Duration::from_secs(10);
/// PAM may wait for somebody to take a phone out of a pocket.
const PAM_LIMIT: Duration = Duration::from_secs(60);
/// A dialogue that lasts longer waits for nobody any more: its module hangs.
const PAM_STUCK: Duration = Duration::from_secs(900);
/// A program has its own limit; this is for its turn and its end.
const PROGRAM_GRACE: Duration = Duration::from_secs(5);
/// How long killing the last of them may take.
const LAST_MOMENT: Duration = Duration::from_secs(2);

/// Whoever performs effects.
pub(crate) struct Effects {
    hashes: Pool,
    searches: Pool,
    dialogues: Pool,
    programs: Pool,
    /// As many dialogues as were known to hang when it was last logged.
    stuck: AtomicUsize,
    /// Programs that could not be ended.
    lost: Arc<Mutex<Vec<Child>>>,
    /// Whether programs are to end.
    ending: Arc<AtomicBool>,
    log: Log,
}

impl Effects {
    /// Starts no thread before there is work.
    pub(crate) fn new(log: Log) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let hashes = processors.min(HASHES);
        Self {
            hashes: Pool::new("hash", HASH_NICE, hashes, HASHES_WAITING),
            searches: Pool::new(
                "search",
                HASH_NICE,
                processors.min(SEARCHES),
                SEARCHES_WAITING,
            ),
            dialogues: Pool::new("pam", 0, DIALOGUES, 0),
            programs: Pool::new("program", 0, PROGRAMS, PROGRAMS_WAITING),
            stuck: AtomicUsize::default(),
            lost: Arc::default(),
            ending: Arc::default(),
            log,
        }
    }

    /// Ends the programs that still run: they must not outlive the daemon. Waits for
    /// their end, though not for ever.
    pub(crate) async fn finish(&self) {
        self.ending.store(true, Ordering::Relaxed);
        let end = Instant::now() + LAST_MOMENT;
        while !self.programs.is_idle() && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Has it performed for this client; the ticket tells the result.
    pub(crate) fn perform(&self, client: IpAddr, effect: Effect, ticket: Ticket) {
        let log = self.log.clone();
        let (what, done) = match effect {
            Effect::Verify(request) => {
                let work = move || {
                    if !ticket.is_for_nobody() {
                        ticket.done(verify(&request, &log));
                    }
                };
                ("a password", self.hashes.run(client, work))
            }
            Effect::Change(request) => {
                let work = move || ticket.done(change(&request, &log));
                ("a change of password", self.hashes.run(client, work))
            }
            Effect::Search(search) => {
                let end = Instant::now() + SEARCH_LIMIT;
                let work = move || {
                    let wanted = || !ticket.is_for_nobody() && Instant::now() < end;
                    if let Some(ruling) = search.finish(wanted) {
                        ticket.done(Done::Found(ruling));
                    }
                };
                ("rules that take long", self.searches.run(client, work))
            }
            Effect::Pam(request) => {
                self.mind_stuck_dialogues();
                let work = move || pam::converse(request, ticket);
                ("PAM", self.dialogues.run(client, work))
            }
            Effect::Run(program) => {
                let (ending, lost) = (Arc::clone(&self.ending), Arc::clone(&self.lost));
                let work = move || {
                    let unwanted = || ticket.is_for_nobody() || ending.load(Ordering::Relaxed);
                    let done = program::run(&program, &unwanted, &lost, &log);
                    ticket.done(done);
                };
                ("a program", self.programs.run(client, work))
            }
            Effect::Answer(dialogue, answer) => {
                dialogue.answer(answer, ticket);
                return;
            }
            // Whoever asks for these performs them.
            Effect::Record(_) | Effect::Count(_) => return,
        };
        if let Err(Full) = done {
            self.log.error(format!(
                "request from {client} answered with ERROR: too many others wait for {what}"
            ));
        }
    }
}

impl Effects {
    /// Says so each time that more modules of PAM hang: a thread inside one can neither be
    /// ended nor used again, and one day there would be none left.
    fn mind_stuck_dialogues(&self) {
        let now = self.dialogues.stuck(PAM_STUCK);
        if now > self.stuck.swap(now, Ordering::Relaxed) {
            self.log.error(format!(
                "{now} of {DIALOGUES} threads for PAM have been inside a module for more than {} \
                 minutes and are lost: see which module hangs, and restart tac_plus then",
                PAM_STUCK.as_secs() / 60
            ));
        }
    }
}

/// How long an effect may take before it counts as failed.
pub(crate) fn limit(effect: &Effect) -> Duration {
    match effect {
        Effect::Pam(_) | Effect::Answer(..) => PAM_LIMIT,
        Effect::Search(_) => SEARCH_LIMIT,
        Effect::Run(program) => program.limit + PROGRAM_GRACE,
        _ => HASH_LIMIT,
    }
}

fn verify(request: &VerifyRequest, log: &Log) -> Done {
    let password = &request.password;
    match request.credential.as_ref() {
        Credential::Hash(hash) if crypt::verify(password.expose(), hash.expose()) => {
            Done::Checked(Checked::Right)
        }
        Credential::Hash(_) => Done::Checked(Checked::Wrong),
        Credential::File(path) => match passwd::verify(path, &request.user, password) {
            Ok(checked) => Done::Checked(checked),
            Err(error) => {
                log.error(format!(
                    "password file {} cannot be read: {error}",
                    path.display()
                ));
                Done::Failed
            }
        },
        // Compared where they are, by the policy.
        Credential::Clear(_) | Credential::NoPassword | Credential::Pam => Done::Failed,
    }
}

fn change(request: &ChangeRequest, log: &Log) -> Done {
    let ChangeRequest {
        path,
        user,
        old,
        new,
    } = request;
    match passwd::change(path, user, old, new) {
        Ok(changed) => Done::Changed(changed),
        Err(error) => {
            log.error(format!(
                "password file {} cannot be changed: {error}",
                path.display()
            ));
            Done::Failed
        }
    }
}
