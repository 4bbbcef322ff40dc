//! Bytes from the hex text that other tools print.
//!
//! Owns what is understood: plain hex in any grouping, as `xxd -p` and tshark's
//! field output write it, and dumps with offsets and a column of characters, as
//! `xxd`, `hexdump -C` and `tcpdump -x` write them. Must never guess: what is
//! neither is an error with its place.

use std::fmt;

/// Bytes on one line of a dump; all the tools above agree.
const DUMP_WIDTH: usize = 16;

/// What could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Error {
    /// Something that is not a hex digit or a separator.
    NotHex { line: usize, found: char },
    /// Half a byte.
    OddDigits { line: usize },
    /// No digit at all.
    Empty,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHex { line, found } => write!(
                f,
                "line {line}: {found:?} is not a hex digit; give the packet's bytes as hex, for example from 'xxd -p'"
            ),
            Self::OddDigits { line } => {
                write!(
                    f,
                    "line {line}: an odd number of hex digits, half a byte is missing"
                )
            }
            Self::Empty => {
                f.write_str("no hex digits; give a packet as an argument or on standard input")
            }
        }
    }
}

/// Reads the bytes of `text`.
pub(crate) fn parse(text: &str) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut in_dump = false;
    for (index, line) in text.lines().enumerate() {
        let number = index.saturating_add(1);
        match dump_columns(line, bytes.len()) {
            Some(columns) => {
                in_dump = true;
                dump_line(columns, &mut bytes);
            }
            // `hexdump -C` ends with the length alone.
            None if in_dump && offset(line.trim()) == Some(bytes.len()) => {}
            None => plain_line(line, number, &mut bytes)?,
        }
    }
    if bytes.is_empty() {
        return Err(Error::Empty);
    }
    Ok(bytes)
}

/// What stands behind the offset of a dump's line: an offset is followed by a
/// colon and a blank, or is the number of bytes so far and followed by two blanks.
fn dump_columns(line: &str, so_far: usize) -> Option<&str> {
    let line = line.trim_start();
    if let Some((before, after)) = line.split_once(':')
        && after.starts_with([' ', '\t'])
        && offset(before).is_some()
    {
        return Some(after.trim_start());
    }
    let (before, after) = line.split_once("  ")?;
    (offset(before) == Some(so_far)).then(|| after.trim_start())
}

/// An offset has four to eight digits.
fn offset(word: &str) -> Option<usize> {
    let digits = word.strip_prefix("0x").unwrap_or(word);
    if !(4..=8).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    usize::from_str_radix(digits, 16).ok()
}

/// Reads the groups of one line up to its column of characters, which begins
/// behind sixteen bytes, a wide gap or the first thing that is not hex.
fn dump_line(columns: &str, bytes: &mut Vec<u8>) {
    let end = bytes.len().saturating_add(DUMP_WIDTH);
    let hex = columns.split("   ").next().unwrap_or(columns);
    for group in hex.split_ascii_whitespace() {
        let Some(group) = group_bytes(group) else {
            return;
        };
        for byte in group {
            if bytes.len() == end {
                return;
            }
            bytes.push(byte);
        }
    }
}

fn group_bytes(group: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    plain_line(group, 0, &mut bytes).ok()?;
    Some(bytes)
}

/// Reads digits, whatever separates them.
fn plain_line(line: &str, number: usize, bytes: &mut Vec<u8>) -> Result<(), Error> {
    let words = line.split(|c: char| c.is_whitespace() || matches!(c, ':' | ',' | ';' | '-'));
    let mut high = None;
    for word in words {
        let word = word
            .strip_prefix("0x")
            .or_else(|| word.strip_prefix("0X"))
            .unwrap_or(word);
        for c in word.replace("\\x", "").chars() {
            let digit = c.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let Some(digit) = digit else {
                return Err(Error::NotHex {
                    line: number,
                    found: c,
                });
            };
            match high.take() {
                None => high = Some(digit),
                Some(high) => bytes.push(high << 4 | digit),
            }
        }
    }
    match high {
        None => Ok(()),
        Some(_) => Err(Error::OddDigits { line: number }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: [u8; 18] = [
        0xC0, 1, 1, 0, 0x1A, 0x2B, 0x3C, 1, 0, 0, 0, 0x16, 0xE5, 0x94, 0x22, 0x5F, 0xAB, 0xCD,
    ];

    #[test]
    fn hex_is_read_however_it_is_grouped() {
        for text in [
            "c00101001a2b3c0100000016e594225fabcd",
            "C0 01 01 00 1A 2B 3C 01 00 00 00 16 E5 94 22 5F AB CD\n",
            "c0:01:01:00:1a:2b:3c:01:00:00:00:16:e5:94:22:5f:ab:cd",
            "0xc0, 0x01, 0x01, 0x00, 0x1a, 0x2b, 0x3c, 0x01, 0x00, 0x00, 0x00, 0x16,\n0xe5, 0x94, 0x22, 0x5f, 0xab, 0xcd",
            "0xc00101001a2b3c0100000016e594225fabcd",
            "c00101001a2b3c01\n00000016e594225f\r\nabcd\n",
            "\\xc0\\x01\\x01\\x00\\x1a\\x2b\\x3c\\x01\\x00\\x00\\x00\\x16\\xe5\\x94\\x22\\x5f\\xab\\xcd",
            "c0010100  1a2b3c01  00000016  e594225f  abcd",
        ] {
            assert_eq!(parse(text).as_deref(), Ok(&BYTES[..]), "{text}");
        }
    }

    #[test]
    fn the_offsets_and_characters_of_a_dump_are_left_out() {
        for text in [
            // xxd
            "00000000: c001 0100 1a2b 3c01 0000 0016 e594 225f  .....+<.......\"_\n\
             00000010: abcd                                     ab",
            // hexdump -C
            "00000000  c0 01 01 00 1a 2b 3c 01  00 00 00 16 e5 94 22 5f  |.....+<.......\"_|\n\
             00000010  ab cd                                             |..|\n\
             00000012\n",
            // tcpdump -X
            "\t0x0000:  c001 0100 1a2b 3c01 0000 0016 e594 225f  .....+<.......\"_\n\
             \t0x0010:  abcd                                     ..",
            // Wireshark, with characters that look like hex
            "0000  c0 01 01 00 1a 2b 3c 01  00 00 00 16 e5 94 22 5f   abcdef0123456789\n\
             0010  ab cd                                             ab\n",
        ] {
            assert_eq!(parse(text).as_deref(), Ok(&BYTES[..]), "{text}");
        }
    }

    #[test]
    fn what_is_not_hex_is_refused_with_its_line() {
        assert_eq!(parse(""), Err(Error::Empty));
        assert_eq!(parse(" \n\n"), Err(Error::Empty));
        assert_eq!(
            parse("c001\nc0g1"),
            Err(Error::NotHex {
                line: 2,
                found: 'g'
            })
        );
        assert_eq!(parse("c00"), Err(Error::OddDigits { line: 1 }));
        assert_eq!(
            parse("packet.hex"),
            Err(Error::NotHex {
                line: 1,
                found: 'p'
            })
        );
    }
}
