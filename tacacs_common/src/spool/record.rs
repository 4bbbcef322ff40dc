//! One record: its file name, and its bytes on the disk.
//!
//! Owns both formats. Must never pass on a body that is not, byte for byte, the one
//! that was appended.

use std::io;

use md5::{Digest, Md5};

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
}

impl Entry {
    pub(super) fn name(&self) -> String {
        format!("{:020}.{}.{}", self.seq, self.created, self.length)
    }

    pub(super) fn temporary(&self) -> String {
        format!(".{}", self.name())
    }

    /// Takes only names that [`name`](Self::name) makes. Runs for each file of the
    /// folder in each append, so without that call.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (seq, rest) = name.split_at_checked(20)?;
        let (created, length) = rest.strip_prefix('.')?.split_once('.')?;
        let number = |field: &str| {
            let is_plain = field == "0" || !field.starts_with(['0', '+']);
            is_plain.then(|| field.parse().ok())?
        };
        // Half of the range: no name, however made, can use up the numbers.
        let seq: i64 = seq.parse().ok().filter(|_| !seq.starts_with(['+', '-']))?;
        Some(Self {
            seq: seq.unsigned_abs(),
            created: number(created)?,
            length: number(length)?,
        })
    }
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
    };

    #[test]
    fn a_name_says_all_of_its_entry() {
        assert_eq!(ENTRY.name(), "00000000000000000042.1700000000.0");
        let last = Entry {
            seq: i64::MAX.unsigned_abs(),
            created: u64::MAX,
            length: u64::MAX,
        };
        for entry in [ENTRY, last] {
            assert_eq!(Entry::parse(&entry.name()), Some(entry));
        }
    }

    #[test]
    fn other_names_are_none_of_ours() {
        for name in [
            "",
            "counters",
            "00000000000000000042",
            "00000000000000000042.1",
            "00000000000000000042.1.2.3",
            "00000000000000000042.1.2~",
            "00000000000000000042.01.2",
            "00000000000000000042.1.+2",
            "00000000000000000042.1.",
            "+0000000000000000042.1.2",
            "0000000000000000042.1.2",
            "-0000000000000000042.1.2",
            "18446744073709551615.1.2",
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
