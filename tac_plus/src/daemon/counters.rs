//! What was answered, and to whom.
//!
//! Owns the counts that SIGUSR2 writes to the log. As many clients are counted by
//! themselves as there is room for, the rest as one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tacacs_common::packet::{AcctStatus, AuthenStatus, AuthorStatus};

use super::log::Log;
use crate::policy::Reply;

/// Clients with counts of their own.
const CLIENTS: usize = 4096;

/// Answers by client.
#[derive(Default)]
pub(super) struct Counters(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    clients: HashMap<IpAddr, Tally>,
    others: Tally,
}

/// Answers by what they said.
#[derive(Clone, Copy, Default)]
struct Tally {
    passed: u64,
    failed: u64,
    permitted: u64,
    denied: u64,
    recorded: u64,
    errors: u64,
}

impl Counters {
    /// Counts an answer; a question is none.
    pub(super) fn count(&self, client: IpAddr, reply: &Reply) {
        if !reply.is_last() {
            return;
        }
        let mut counts = self.counts();
        let Counts { clients, others } = &mut *counts;
        let has_room = clients.len() < CLIENTS;
        let tally = match clients.get_mut(&client) {
            Some(tally) => tally,
            None if has_room => clients.entry(client).or_default(),
            None => others,
        };
        *tally.slot(reply) += 1;
    }

    /// Writes them to the log, with the connections that each client has now.
    pub(super) fn tell(&self, log: &Log, connections: &HashMap<IpAddr, u32>) {
        let counts = self.counts();
        let mut total = counts.others;
        for tally in counts.clients.values() {
            total.add(*tally);
        }
        log.line(total.line("answers:", connections.values().sum()));
        let silent = connections
            .keys()
            .filter(|client| !counts.clients.contains_key(client));
        let mut clients: Vec<_> = counts.clients.keys().chain(silent).copied().collect();
        clients.sort_unstable();
        for client in clients.into_iter().take(CLIENTS) {
            let tally = counts.clients.get(&client).copied().unwrap_or_default();
            let connections = connections.get(&client).copied().unwrap_or(0);
            log.line(tally.line(&format!("answers: device={client}"), connections));
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tally {
    fn slot(&mut self, reply: &Reply) -> &mut u64 {
        match reply {
            Reply::Authen(answer) => match answer.status {
                AuthenStatus::Pass => &mut self.passed,
                AuthenStatus::Fail => &mut self.failed,
                _ => &mut self.errors,
            },
            Reply::Author(decision) => match decision.status {
                AuthorStatus::PassAdd | AuthorStatus::PassRepl => &mut self.permitted,
                AuthorStatus::Fail => &mut self.denied,
                _ => &mut self.errors,
            },
            Reply::Acct(AcctStatus::Success) => &mut self.recorded,
            Reply::Acct(_) => &mut self.errors,
        }
    }

    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.permitted += other.permitted;
        self.denied += other.denied;
        self.recorded += other.recorded;
        self.errors += other.errors;
    }

    fn line(self, what: &str, connections: u32) -> String {
        let Self {
            passed,
            failed,
            permitted,
            denied,
            recorded,
            errors,
        } = self;
        format!(
            "{what} connections={connections} passed={passed} failed={failed} \
             permitted={permitted} denied={denied} recorded={recorded} errors={errors}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_clients_than_there_is_room_for_are_counted_as_one() {
        let counters = Counters::default();
        for number in 0..u32::try_from(CLIENTS).unwrap() + 10 {
            let client = IpAddr::V4(number.into());
            counters.count(client, &Reply::Acct(AcctStatus::Success));
        }
        let counts = counters.counts();
        assert_eq!(counts.clients.len(), CLIENTS);
        assert_eq!(counts.others.recorded, 10);
    }
}
