//! Numbers that an attacker must not guess: session ids and challenges (RFC 8907
//! section 4.1). Always from the kernel, so a fork or a restored snapshot does
//! not repeat them, and never a substitute when it fails.

use std::io;

pub(super) fn fill<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes)
}

pub(super) fn session_id() -> io::Result<u32> {
    fill().map(u32::from_be_bytes)
}
