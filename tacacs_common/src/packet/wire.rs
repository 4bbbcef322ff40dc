//! Reading and writing the variable part of a body.
//!
//! Every body is a fixed part with lengths, then the fields. Their sum is
//! compared with the body's length before anything is cut out of it, so no
//! field can reach outside the body and no byte is left over (section 4.5).

use super::error::Error;

/// Takes the fixed part off a body.
pub(super) fn fixed<const N: usize>(body: &[u8]) -> Result<(&[u8; N], &[u8]), Error> {
    body.split_first_chunk::<N>().ok_or(Error::FixedPart {
        have: body.len(),
        need: N,
    })
}

/// Cuts `rest` into fields of the given lengths, which must use it up.
pub(super) fn fields<const N: usize>(
    mut rest: &[u8],
    lengths: [usize; N],
) -> Result<[&[u8]; N], Error> {
    let sum = lengths
        .iter()
        .fold(0usize, |sum, len| sum.saturating_add(*len));
    let mismatch = Error::LenSum {
        sum,
        body: rest.len(),
    };
    if sum != rest.len() {
        return Err(mismatch);
    }
    let mut fields = [&[][..]; N];
    for (field, length) in fields.iter_mut().zip(lengths) {
        (*field, rest) = rest.split_at_checked(length).ok_or(mismatch)?;
    }
    Ok(fields)
}

/// A length that has to fit one byte.
pub(super) fn len_u8(field: &'static str, bytes: &[u8]) -> Result<u8, Error> {
    u8::try_from(bytes.len()).map_err(|_| Error::FieldTooLong {
        field,
        len: bytes.len(),
        max: 255,
    })
}

/// A length that has to fit two bytes, as they go on the wire.
pub(super) fn len_u16(field: &'static str, bytes: &[u8]) -> Result<[u8; 2], Error> {
    u16::try_from(bytes.len())
        .map(u16::to_be_bytes)
        .map_err(|_| Error::FieldTooLong {
            field,
            len: bytes.len(),
            max: 65_535,
        })
}

/// Strict sender: printable US-ASCII only (section 3.7).
pub(super) fn printable(field: &'static str, bytes: &[u8]) -> Result<(), Error> {
    if bytes.iter().all(|b| (0x20..=0x7E).contains(b)) {
        Ok(())
    } else {
        Err(Error::Text { field })
    }
}

/// A user name is UTF-8 without control characters (section 3.7).
pub(super) fn user_name(bytes: &[u8]) -> Result<(), Error> {
    match core::str::from_utf8(bytes) {
        Ok(name) if !name.chars().any(char::is_control) => Ok(()),
        _ => Err(Error::Text { field: "user" }),
    }
}

/// Text for a person. Line breaks and tabs are let through: every server sends
/// them in its prompts (section 3.7 would not).
pub(super) fn message(field: &'static str, bytes: &[u8]) -> Result<(), Error> {
    match core::str::from_utf8(bytes) {
        Ok(text)
            if !text
                .chars()
                .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) =>
        {
            Ok(())
        }
        _ => Err(Error::Text { field }),
    }
}
