//! The action `decode`: where its bytes and its secret come from.

use std::io::Read;

use tacacs_common::obfuscate::Protection;
use tacacs_common::secret::Secret;

use super::{Packet, Reader, hex};
use crate::args::{Common, Decode};
use crate::exit::{Exit, Failure};
use crate::{key, output};

/// A capture is read whole; this keeps a wrong file out of memory.
const INPUT_LIMIT: u64 = 64 << 20;

/// Prints the packets; an exit of [`Exit::Denied`] says that one is malformed.
pub(crate) fn run(common: &Common, with: &Decode) -> Result<Exit, Failure> {
    let text = if with.hex.is_empty() {
        standard_input()?
    } else {
        with.hex.join(" ")
    };
    let bytes = hex::parse(&text).map_err(Failure::usage)?;
    let secret = secret(common, with)?;
    let protection = match (&secret, with.tls) {
        (_, true) => Some(Protection::Clear),
        (Some(secret), false) => Some(Protection::Obfuscated(secret)),
        (None, false) => None,
    };
    let reader = Reader {
        protection,
        show_secrets: with.show_secrets,
    };
    let packets = reader.packets(&bytes);
    let texts: Vec<String> = packets
        .iter()
        .map(|packet| {
            if common.json {
                serde_json::to_string(packet).unwrap_or_default() + "\n"
            } else {
                packet.text()
            }
        })
        .collect();
    output::result(texts.join(if common.json { "" } else { "\n" }));
    if packets.iter().all(Packet::is_sound) {
        Ok(Exit::Pass)
    } else {
        Ok(Exit::Denied)
    }
}

/// The sources of the other actions count too, except the terminal: without a
/// secret there is still the header to read.
fn secret(common: &Common, with: &Decode) -> Result<Option<Secret>, Failure> {
    if with.tls {
        return Ok(None);
    }
    let file = match (&with.secret_file, &common.key_file) {
        (Some(path), _) => Some(("--secret-file", path.as_path())),
        (None, path) => path.as_deref().map(|path| ("--key-file", path)),
    };
    let key = with.secret.as_ref().or(common.key.as_ref());
    match key::of_command_line(key, file)? {
        Some(secret) => Ok(Some(secret)),
        None => key::of_environment(),
    }
}

fn standard_input() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().take(INPUT_LIMIT).read_to_end(&mut bytes);
    read.map_err(|error| Failure::usage(format!("standard input: {error}")))?;
    String::from_utf8(bytes).map_err(|_| {
        Failure::usage("standard input is not text: make hex of a binary packet with 'xxd -p'")
    })
}
