//! A body made ready for the wire: the one place where packets are put together.

use crate::obfuscate::Protection;
use crate::packet::{Body, DEFAULT_MAX_BODY, Error, HEADER_LEN, Header};

/// Appends a packet to `out`: `header` with the body's length, and the body,
/// obfuscated if the connection is. After an error `out` is as before.
///
/// # Errors
/// What the body's encoder refuses, and [`Error::LengthLimit`] over 2^16 bytes.
pub(super) fn seal<'b>(
    header: Header,
    body: &impl Body<'b>,
    protection: Protection<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let start = out.len();
    let sealed = append(header, body, protection, out, start);
    if sealed.is_err() {
        out.truncate(start);
    }
    sealed
}

fn append<'b>(
    header: Header,
    body: &impl Body<'b>,
    protection: Protection<'_>,
    out: &mut Vec<u8>,
    start: usize,
) -> Result<(), Error> {
    out.extend_from_slice(&[0; HEADER_LEN]);
    body.encode(out)?;
    let packet = out.get_mut(start..).unwrap_or_default();
    let Some((head, clear)) = packet.split_first_chunk_mut::<HEADER_LEN>() else {
        return Err(Error::ShortHeader { have: 0 });
    };
    let limit = DEFAULT_MAX_BODY;
    let length = u32::try_from(clear.len()).unwrap_or(u32::MAX);
    if length > limit {
        return Err(Error::LengthLimit { length, limit });
    }
    let header = Header { length, ..header };
    *head = header.encode();
    protection.apply(&header, clear);
    Ok(())
}
