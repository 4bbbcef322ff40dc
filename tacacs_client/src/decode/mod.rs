//! `tacacs_client decode`: packets of a capture, as a person or a program reads
//! them.
//!
//! Owns the way from bytes to a [`Packet`] with everything that a receiver would
//! refuse it for, by name. Must never show a password or a response unless
//! told to.

pub(crate) mod body;
pub(crate) mod command;
pub(crate) mod fields;
mod hex;

use serde::Serialize;
use tacacs_common::escape;
use tacacs_common::obfuscate::Protection;
use tacacs_common::packet::{DEFAULT_MAX_BODY, Error, HEADER_LEN, Header};
use zeroize::Zeroizing;

use fields::{Fields, Value};

/// How the bodies of a capture are to be read.
pub(crate) struct Reader<'s> {
    /// With which secret, or clear; `None` when nobody said, and then only a body
    /// marked as clear is read.
    pub(crate) protection: Option<Protection<'s>>,
    /// Whether passwords and responses are shown.
    pub(crate) show_secrets: bool,
}

/// One packet, or the bytes that should have been one.
#[derive(Serialize)]
pub(crate) struct Packet {
    /// Where it begins in the input, in bytes.
    offset: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<Fields>,
    /// The RFC's name for its body.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Fields>,
    /// What a receiver refuses it for; the first is why.
    errors: Vec<Problem>,
    /// What the reader of this should know.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

/// One thing that is wrong.
#[derive(Serialize)]
struct Problem {
    code: &'static str,
    text: String,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self {
            code: error.code(),
            text: error.to_string(),
        }
    }
}

const OBFUSCATED: &str =
    "the body is obfuscated: give the shared secret with --secret-file to read it";
const WRONG_SECRET: &str = "this secret does not make the body readable: it is most likely not the one that the packet was sent with";
const IP_PACKET: &str = "this looks like a whole IP packet: give the bytes inside TCP alone, as 'tshark -T fields -e tcp.payload' prints them";
const MARKED_CLEAR: &str = "the packet is marked as not obfuscated, so its body was read as it is";
const READ_CLEAR: &str = "the body was read as it is, although the packet is not marked so";

impl Reader<'_> {
    /// Takes packets off `bytes` until they are used up or no further packet can
    /// be found.
    pub(crate) fn packets(&self, bytes: &[u8]) -> Vec<Packet> {
        let mut packets = Vec::new();
        let mut offset = 0usize;
        while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
            let (packet, len) = self.packet(offset, rest);
            packets.push(packet);
            match len {
                Some(len) => offset = offset.saturating_add(len),
                None => break,
            }
        }
        packets
    }

    /// One packet, and its length if the next one can be found behind it.
    fn packet(&self, offset: usize, bytes: &[u8]) -> (Packet, Option<usize>) {
        let mut packet = Packet::at(offset);
        let header = match Header::decode(bytes) {
            Ok(header) => header,
            Err(error) => {
                packet.errors.push(error.into());
                packet.note = looks_like_ip(bytes).then_some(IP_PACKET);
                return (packet, None);
            }
        };
        packet.header = Some(header_fields(&header, bytes));
        let checked = header.check(DEFAULT_MAX_BODY);
        if let Err(error) = checked {
            packet.errors.push(error.into());
            if let Error::LengthLimit { .. } = error {
                return (packet, None);
            }
        }
        let have = bytes.len().saturating_sub(HEADER_LEN);
        let need = usize::try_from(header.length).unwrap_or(usize::MAX);
        let end = HEADER_LEN.saturating_add(need);
        let Some(body) = bytes.get(HEADER_LEN..end) else {
            packet.errors.push(Error::Truncated { have, need }.into());
            return (packet, None);
        };
        if checked.is_ok() {
            packet.kind = Some(body::kind(&header));
            self.body(&header, body, &mut packet);
        }
        (packet, Some(end))
    }

    fn body(&self, header: &Header, body: &[u8], packet: &mut Packet) {
        let marked_clear = header.flags.unencrypted;
        let protection = match (self.protection, marked_clear) {
            (None, false) => {
                packet.note = Some(OBFUSCATED);
                return;
            }
            (None, true) => Protection::Clear,
            (Some(Protection::Obfuscated(_)), true) => {
                packet.errors.push(Error::FlagUnencrypted.into());
                packet.note = Some(MARKED_CLEAR);
                Protection::Clear
            }
            (Some(Protection::Clear), false) => {
                packet.errors.push(Error::FlagTlsClear.into());
                packet.note = Some(READ_CLEAR);
                Protection::Clear
            }
            (Some(as_told), _) => as_told,
        };
        let mut clear = Zeroizing::new(body.to_vec());
        protection.apply(header, &mut clear);
        match body::open(header, &clear, self.show_secrets) {
            Ok(opened) => {
                packet.body = Some(opened.fields);
                packet
                    .errors
                    .extend(opened.verdict.err().map(Problem::from));
            }
            Err(error) => {
                packet.errors.push(error.into());
                let obfuscated = matches!(protection, Protection::Obfuscated(_));
                if obfuscated && error.suggests_wrong_secret() {
                    packet.note = Some(WRONG_SECRET);
                }
            }
        }
    }
}

impl Packet {
    const fn at(offset: usize) -> Self {
        Self {
            offset,
            header: None,
            kind: None,
            body: None,
            errors: Vec::new(),
            note: None,
        }
    }

    /// Whether a receiver would accept it, as far as one can tell.
    pub(crate) const fn is_sound(&self) -> bool {
        self.errors.is_empty()
    }

    /// For a person.
    pub(crate) fn text(&self) -> String {
        use std::fmt::Write;
        let mut out = format!("packet at byte {}\n", self.offset);
        if let Some(header) = &self.header {
            header.write_text("  ", &mut out);
        }
        if let Some(kind) = self.kind {
            let _ = writeln!(out, "  {kind}");
        }
        if let Some(body) = &self.body {
            body.write_text("    ", &mut out);
        }
        for error in &self.errors {
            let _ = writeln!(
                out,
                "  error {}: {}",
                error.code,
                escape::line(error.text.as_bytes())
            );
        }
        if let Some(note) = self.note {
            let _ = writeln!(out, "  note: {note}");
        }
        out
    }
}

fn header_fields(header: &Header, bytes: &[u8]) -> Fields {
    // Also the bits that the RFC does not define: somebody set them.
    let flags = bytes.get(3).copied().unwrap_or_default();
    Fields::default()
        .with(
            "version",
            Value::Word(format!("{:#04x}", header.version.to_wire())),
        )
        .with("type", Value::word(header.packet_type))
        .with("seq_no", Value::Number(header.seq_no.into()))
        .with("flags", Value::Word(format!("{flags:#04x}")))
        .with("unencrypted", Value::Flag(header.flags.unencrypted))
        .with("single_connect", Value::Flag(header.flags.single_connect))
        .with(
            "session_id",
            Value::Word(format!("{:#010x}", header.session_id)),
        )
        .with("length", Value::Number(header.length))
}

/// The first byte of an IPv4 header without options, or the first of an IPv6 one.
fn looks_like_ip(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(0x45 | 0x60..=0x6F))
}
