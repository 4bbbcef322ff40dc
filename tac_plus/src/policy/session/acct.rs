//! Accounting: one record, one answer once it is stored.
//!
//! Owns what a record looks like.

use tacacs_common::packet::{AcctRecord, AcctRequest, Argument, Version};

use super::{Effect, Record, Session, State, Step};
use crate::escape::{self, Field};

/// Arguments that name a task.
const TASK: [&[u8]; 4] = [b"task_id", b"start_time", b"service", b"protocol"];

impl Session {
    pub(super) fn account(&mut self, request: &AcctRequest<'_>, version: Version) -> Step {
        let version = if self.client.lenient.minor_version {
            Version::DEFAULT
        } else {
            version
        };
        let record = match request.check(version).and_then(|()| request.record()) {
            Ok(record) => record,
            Err(error) => {
                let line = self.senseless("accounting", &request.about, &error);
                return Step::Senseless(error, line);
            }
        };
        self.state = State::Storing;
        Step::Need(Effect::Record(Record {
            line: self.fields_of(record, request),
        }))
    }

    /// `device TAB user TAB port TAB rem_addr TAB kind TAB arguments`, as the original.
    fn fields_of(&self, record: AcctRecord, request: &AcctRequest<'_>) -> Vec<u8> {
        let kind = match record {
            AcctRecord::Start => "start",
            AcctRecord::Stop => "stop",
            AcctRecord::Watchdog | AcctRecord::Update => "update",
        };
        let about = &request.about;
        let mut line = Vec::with_capacity(256);
        escape::append_address(self.address, &mut line);
        for field in [about.user, about.port, about.rem_addr] {
            line.push(b'\t');
            Field(field).append_to(&mut line);
        }
        line.push(b'\t');
        line.extend_from_slice(kind.as_bytes());
        // RFC 8907 section 7.2: the arguments of a watchdog without update are ignored,
        // but for those that say of which task it is one.
        let is_kept = |argument: &&[u8]| match record {
            AcctRecord::Watchdog => {
                Argument::parse(argument).is_some_and(|argument| TASK.contains(&argument.name))
            }
            _ => !argument.is_empty(),
        };
        for argument in about.args.raw().filter(is_kept) {
            line.push(b'\t');
            Field(argument).append_to(&mut line);
        }
        line.push(b'\n');
        line
    }
}
