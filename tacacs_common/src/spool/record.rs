//! One record: its file name, and its bytes on the disk.
//!
//! Owns both formats. Must never pass on a body that is not, byte for byte, the one
//! that was appended.

use std::io;
use std::str::FromStr;

use md5::{Digest, Md5};

use crate::packet::{AcctRequest, Body};

/// The longest body that is taken: all fields of an accounting request at their
/// longest (RFC 8907, 7.1) fit into it.
pub const MAX_BODY: usize = 128 * 1024;

/// The longest file.
pub(super) const MAX_FILE: usize = HEAD + MAX_BODY;

/// Before the body: this mark, the checksum, the time it was made.
const MARK: &[u8; 8] = b"tacspl1\n";
const SUM: usize = 16;
const HEAD: usize = MARK.len() + SUM + size_of::<u64>();

/// An accounting record.
///
/// There is no `Debug`: the body can hold the text of commands.
pub struct Record {
    /// The body of the accounting request, as it was appended.
    pub body: Vec<u8>,
    /// When it was made, in seconds since 1970.
    pub created: u64,
}

/// What the name of a file says. The order is that of the appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) seq: u64,
    pub(super) created: u64,
    /// Of the body.
    pub(super) length: u64,
    /// Stands for the user whom the record is about; `None` if the body names none, and
    /// in files of older versions.
    pub(super) user: Option<u64>,
    /// Who started the setuid program that made it.
    pub(super) caller: Option<u32>,
    /// How often a server did not take it and took a later one of another user.
    pub(super) errors: u8,
    /// The file has a name of an older version, which ends after the length.
    is_old: bool,
}

impl Entry {
    /// A record that has no number yet.
    pub(super) fn new(body: &[u8], created: u64, caller: Option<u32>) -> Self {
        Self {
            seq: 0,
            created,
            length: body.len() as u64,
            user: user(body).map(digest),
            caller,
            errors: 0,
            is_old: false,
        }
    }

    /// The same record after so many errors.
    pub(super) const fn with_errors(self, errors: u8) -> Self {
        Self {
            errors,
            is_old: false,
            ..self
        }
    }

    pub(super) fn name(&self) -> String {
        if self.is_old {
            return format!("{:020}.{}.{}", self.seq, self.created, self.length);
        }
        let user = self.user.map(|user| format!("{user:016x}"));
        let caller = self.caller.map(|caller| caller.to_string());
        format!(
            "{:020}.{}.{}.{}.{}.{}",
            self.seq,
            self.created,
            self.length,
            user.as_deref().unwrap_or("-"),
            caller.as_deref().unwrap_or("-"),
            self.errors
        )
    }

    pub(super) fn temporary(&self) -> String {
        format!(".{}", self.name())
    }

    /// Takes only names that [`name`](Self::name) makes, and those of older versions,
    /// which end after the length. Runs for each file of the folder in each append, so
    /// without that call.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (seq, rest) = name.split_at_checked(20)?;
        let mut fields = rest.strip_prefix('.')?.split('.');
        let mut entry = Self {
            seq: digits(seq)?,
            created: number(fields.next()?)?,
            length: number(fields.next()?)?,
            user: None,
            caller: None,
            errors: 0,
            is_old: true,
        };
        if let Some(user) = fields.next() {
            entry.user = unless_none(user, hexadecimal)?;
            entry.caller = unless_none(fields.next()?, number)?;
            entry.errors = number(fields.next()?)?;
            entry.is_old = false;
        }
        fields.next().is_none().then_some(entry)
    }
}

/// A field that is `-` or a value.
fn unless_none<T>(field: &str, value: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    match field {
        "-" => Some(None),
        field => value(field).map(Some),
    }
}

/// A number in its one form.
fn number<T: FromStr>(field: &str) -> Option<T> {
    let is_plain = field == "0" || !field.starts_with('0');
    is_plain.then(|| digits(field))?
}

fn digits<T: FromStr>(field: &str) -> Option<T> {
    let are_digits = field.bytes().all(|byte| byte.is_ascii_digit());
    are_digits.then(|| field.parse().ok())?
}

fn hexadecimal(field: &str) -> Option<u64> {
    let is_ours = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_plain = field.len() == 16 && field.bytes().all(is_ours);
    is_plain.then(|| u64::from_str_radix(field, 16).ok())?
}

/// The user in the body of an accounting request.
fn user(body: &[u8]) -> Option<&[u8]> {
    AcctRequest::decode(body)
        .ok()
        .map(|request| request.about.user)
}

/// A name of any length and any bytes, for the name of a file. Who may choose user
/// names cannot choose one that stands for another's.
fn digest(user: &[u8]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..]: [u8; SUM] = Md5::digest(user).into();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

pub(super) fn encode(body: &[u8], created: u64) -> Vec<u8> {
    let created = created.to_be_bytes();
    let mut file = Vec::with_capacity(HEAD + body.len());
    file.extend_from_slice(MARK);
    file.extend_from_slice(&checksum(&created, body));
    file.extend_from_slice(&created);
    file.extend_from_slice(body);
    file
}

/// The record in these bytes, if they are whole and those that belong to this name.
pub(super) fn decode(mut file: Vec<u8>, entry: &Entry) -> Option<Record> {
    let (mark, rest) = file.split_first_chunk()?;
    let (sum, rest) = rest.split_first_chunk::<SUM>()?;
    let (created, body) = rest.split_first_chunk()?;
    let is_whole = mark == MARK
        && *sum == checksum(created, body)
        && u64::from_be_bytes(*created) == entry.created
        && body.len() as u64 == entry.length;
    is_whole.then(|| Record {
        body: file.split_off(HEAD),
        created: entry.created,
    })
}

/// Whether reading failed because of this one file, as against the whole system.
pub(super) fn is_damage(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
        || error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}

fn checksum(created: &[u8; 8], body: &[u8]) -> [u8; SUM] {
    Md5::new()
        .chain_update(created)
        .chain_update(body)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: Entry = Entry {
        seq: 42,
        created: 1_700_000_000,
        length: 0,
        user: None,
        caller: None,
        errors: 0,
        is_old: false,
    };

    #[test]
    fn a_name_says_all_of_its_entry() {
        assert_eq!(ENTRY.name(), "00000000000000000042.1700000000.0.-.-.0");
        let all = Entry {
            user: Some(0xab),
            caller: Some(1000),
            errors: 2,
            ..ENTRY
        };
        assert_eq!(
            all.name(),
            "00000000000000000042.1700000000.0.00000000000000ab.1000.2"
        );
        let last = Entry {
            seq: u64::MAX,
            created: u64::MAX,
            length: u64::MAX,
            user: Some(u64::MAX),
            caller: Some(u32::MAX),
            errors: u8::MAX,
            ..ENTRY
        };
        for entry in [ENTRY, all, last] {
            assert_eq!(Entry::parse(&entry.name()), Some(entry));
        }
    }

    #[test]
    fn a_name_of_an_older_version_is_one_of_nobody() {
        let name = "00000000000000000042.1700000000.0";
        let old = Entry::parse(name).unwrap();
        assert_eq!(old.name(), name);
        assert_eq!((old.user, old.caller, old.errors), (None, None, 0));
        assert_eq!(old.with_errors(1).name(), format!("{name}.-.-.1"));
    }

    #[test]
    fn other_names_are_none_of_ours() {
        for name in [
            "",
            "counters",
            "00000000000000000042",
            "00000000000000000042.1",
            "00000000000000000042.1.2.3",
            "00000000000000000042.1.2.-.-",
            "00000000000000000042.1.2.-.-.0.0",
            "00000000000000000042.1.2.00000000000000AB.-.0",
            "00000000000000000042.1.2.ab.-.0",
            "00000000000000000042.1.2.-.4294967296.0",
            "00000000000000000042.1.2.-.-.256",
            "00000000000000000042.1.2.-.-.00",
            "00000000000000000042.1.2~",
            "00000000000000000042.01.2",
            "00000000000000000042.1.+2",
            "00000000000000000042.1.",
            "+0000000000000000042.1.2",
            "0000000000000000042.1.2",
            "-0000000000000000042.1.2",
            "18446744073709551616.1.2",
            "0000000000000000004\u{e4}.1.2",
        ] {
            assert_eq!(Entry::parse(name), None, "{name}");
        }
    }

    #[test]
    fn any_other_byte_anywhere_in_a_file_spoils_it() {
        let entry = Entry { length: 4, ..ENTRY };
        let file = encode(b"body", entry.created);
        let record = decode(file.clone(), &entry).unwrap();
        assert_eq!(
            (record.body.as_slice(), record.created),
            (b"body".as_slice(), entry.created)
        );
        for place in 0..file.len() {
            let mut spoiled = file.clone();
            spoiled[place] ^= 0x20;
            assert!(decode(spoiled, &entry).is_none(), "byte {place}");
            assert!(
                decode(file[..place].to_vec(), &entry).is_none(),
                "cut at {place}"
            );
        }
        assert!(decode(file, &ENTRY).is_none(), "the name of another");
    }
}
