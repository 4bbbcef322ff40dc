//! `tacplus spool list|show|drop|retry`: single accounting records on this host.
//!
//! Owns what an administrator sees of a record and may do to it. Records hold the
//! commands of users, so that only who may read the spool, root, is shown them. Must
//! never print a byte of one unescaped.

use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tacacs_common::escape;
use tacacs_common::packet::{AcctRequest, Body};
use tacacs_common::spool::{Listed, Place, Spool};

use super::NAME;
use super::spool::writers;
use crate::decode::body;
use crate::decode::fields::Fields;
use crate::exit::{Exit, Failure};
use crate::output;

/// A record, as JSON.
#[derive(Serialize)]
struct Shown {
    id: String,
    place: &'static str,
    file: String,
    /// Seconds since 1970.
    created: u64,
    length: u64,
    /// Whose setuid program made it.
    caller: Option<u32>,
    errors: u8,
    /// `None` if it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<Fields>,
}

impl Shown {
    fn new(writer: &str, spool: &Spool, listed: &Listed) -> Result<Self, Failure> {
        let record = spool.read(listed).map_err(Failure::usage)?;
        let request = record.as_ref().and_then(|record| {
            let request = AcctRequest::decode(&record.body).ok()?;
            Some(body::acct_request(&request))
        });
        Ok(Self {
            id: id(writer, listed),
            place: word(listed.place),
            file: listed.name.clone(),
            created: listed.created,
            length: listed.length,
            caller: listed.caller,
            errors: listed.errors,
            record: request,
        })
    }

    /// One line, without what the record holds but for whose it is.
    fn line(&self, now: u64) -> String {
        let about = match &self.record {
            Some(record) => format!("{} of {}", record.shown("flags"), record.shown("user")),
            None => "not readable".to_owned(),
        };
        let age = now.saturating_sub(self.created);
        let errors = match self.errors {
            0 => String::new(),
            n => format!(", {n} errors"),
        };
        let caller = self.caller.map_or_else(String::new, |uid| {
            format!(", by a program that uid {uid} started")
        });
        format!(
            "{}  {}  {about}, {age} s old{errors}{caller}\n",
            self.id, self.place
        )
    }
}

const fn word(place: Place) -> &'static str {
    match place {
        Place::Waiting => "waiting",
        Place::Refused => "refused",
        Place::Corrupt => "corrupt",
    }
}

fn id(writer: &str, listed: &Listed) -> String {
    format!("{}/{}", escape::line(writer.as_bytes()), listed.number)
}

/// Lists every record of every writer.
pub(super) fn list(root: &Path, json: bool) -> Result<Exit, Failure> {
    let now = now();
    let mut all = Vec::new();
    for (writer, spool) in &writers(root)? {
        for listed in spool.list().map_err(Failure::usage)? {
            let shown = Shown::new(writer, spool, &listed)?;
            all.push(if json {
                to_json(&shown)
            } else {
                shown.line(now)
            });
        }
    }
    if json {
        output::result(format_args!("{{\"records\":[{}]}}\n", all.join(",")));
    } else {
        output::result(all.concat());
    }
    Ok(Exit::Pass)
}

/// Shows all of some records.
pub(super) fn show(root: &Path, ids: &[String], json: bool) -> Result<Exit, Failure> {
    let now = now();
    each(root, ids, |writer, spool, listed| {
        let shown = Shown::new(writer, spool, listed)?;
        if json {
            output::result(format_args!("{}\n", to_json(&shown)));
        } else {
            let mut text = shown.line(now);
            if let Some(record) = &shown.record {
                record.write_text("  ", &mut text);
            }
            output::result(text);
        }
        Ok(true)
    })
}

/// Removes records for good.
pub(super) fn discard(root: &Path, ids: &[String]) -> Result<Exit, Failure> {
    each(root, ids, |writer, spool, listed| {
        done(writer, listed, "dropped", spool.discard(listed))
    })
}

/// Puts records that were set aside into the queue again; without `ids` all that
/// servers did not take.
pub(super) fn retry(root: &Path, ids: &[String]) -> Result<Exit, Failure> {
    if !ids.is_empty() {
        return each(root, ids, |writer, spool, listed| {
            done(writer, listed, "waiting", spool.retry(listed))
        });
    }
    for (writer, spool) in &writers(root)? {
        let listed = spool.list().map_err(Failure::usage)?;
        for listed in listed
            .iter()
            .filter(|listed| listed.place == Place::Refused)
        {
            if !done(writer, listed, "waiting", spool.retry(listed))? {
                return Ok(Exit::Denied);
            }
        }
    }
    Ok(Exit::Pass)
}

/// Says what became of a record; whether it went well.
fn done(
    writer: &str,
    listed: &Listed,
    word: &str,
    result: io::Result<bool>,
) -> Result<bool, Failure> {
    let id = id(writer, listed);
    match result {
        Ok(true) => output::result(format_args!("{id}: {word}\n")),
        Ok(false) => output::tell(NAME, format_args!("{id}: it has gone meanwhile")),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            output::tell(NAME, format_args!("{id}: {error}; try again"));
            return Ok(false);
        }
        Err(error) => return Err(Failure::usage(error)),
    }
    Ok(result.unwrap_or(false))
}

/// Does something to each of the records that are meant.
fn each(
    root: &Path,
    ids: &[String],
    mut act: impl FnMut(&str, &Spool, &Listed) -> Result<bool, Failure>,
) -> Result<Exit, Failure> {
    let writers = writers(root)?;
    let mut exit = Exit::Pass;
    for id in ids {
        if !one(&writers, id, &mut act)? {
            exit = Exit::Denied;
        }
    }
    Ok(exit)
}

fn one(
    writers: &[(String, Spool)],
    id: &str,
    act: &mut impl FnMut(&str, &Spool, &Listed) -> Result<bool, Failure>,
) -> Result<bool, Failure> {
    let tell = |what: &str| {
        let id = escape::line(id.as_bytes());
        output::tell(NAME, format_args!("{id}: {what}"));
        Ok(false)
    };
    let Some((name, record)) = id.split_once('/') else {
        return Err(Failure::usage(format!(
            "{}: a record is named WRITER/NUMBER, as 'tacplus spool list' does",
            escape::line(id.as_bytes())
        )));
    };
    let Some((writer, spool)) = writers.iter().find(|(writer, _)| writer == name) else {
        return tell("there is no such record");
    };
    let mut listed = spool.list().map_err(Failure::usage)?;
    listed.retain(|listed| listed.name == record || listed.number.to_string() == record);
    match listed.as_slice() {
        [] => tell("there is no such record"),
        [listed] => act(writer, spool, listed),
        _ => tell("several records have this number: say WRITER/FILE, as --json lists it"),
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map(|now| now.as_secs()).unwrap_or(0)
}

fn to_json(shown: &Shown) -> String {
    serde_json::to_string(shown).unwrap_or_default()
}
