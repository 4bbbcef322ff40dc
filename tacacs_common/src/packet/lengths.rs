//! What the beginning of a first packet's body tells about the rest.
//!
//! Owns one question: can this be a request at all? The answer is that of decoding, and
//! needs the lengths only, so that nobody has to wait for a long body, keep it or make it
//! clear to refuse it.

use super::error::Error;
use super::values::{PacketType, PrivLvl};

/// No beginning needs more bytes: those of an accounting record with 255 arguments.
pub const LENGTHS: usize = 9 + 255;

/// Whether a body of `length` bytes that begins with `head`, in clear, can be decoded as
/// the first of a session.
///
/// # Errors
/// As its decoder, and [`Error::Truncated`] where `head` is too short to tell.
pub fn check_lengths(packet_type: PacketType, head: &[u8], length: usize) -> Result<(), Error> {
    let (flags, is_start) = match packet_type {
        PacketType::Authen => (0, true),
        PacketType::Author => (0, false),
        PacketType::Acct => (1, false),
        PacketType::Unknown(value) => return Err(Error::Type(value)),
    };
    let fixed = 8usize.saturating_add(flags);
    let body = length.checked_sub(fixed).ok_or(Error::FixedPart {
        have: length,
        need: fixed,
    })?;
    let (head, rest) = head.split_at_checked(fixed).ok_or(Error::Truncated {
        have: head.len(),
        need: fixed,
    })?;
    let Some(&[_, priv_lvl, _, _, user, port, rem_addr, last]) = head.get(flags..) else {
        return Err(Error::Truncated {
            have: head.len(),
            need: fixed,
        });
    };
    let names = [user, port, rem_addr]
        .iter()
        .fold(0usize, |sum, length| sum.saturating_add((*length).into()));
    let (rest, sum) = if is_start {
        (body, names.saturating_add(last.into()))
    } else {
        arguments(rest, last, body, names, fixed)?
    };
    if sum != rest {
        return Err(Error::LenSum { sum, body: rest });
    }
    PrivLvl::new(priv_lvl)
        .map(|_| ())
        .ok_or(Error::PrivLvl(priv_lvl))
}

/// The bytes behind the lengths of arguments, and what all lengths add up to.
fn arguments(
    head: &[u8],
    count: u8,
    body: usize,
    names: usize,
    fixed: usize,
) -> Result<(usize, usize), Error> {
    let lengths = usize::from(count);
    let rest = body.checked_sub(lengths).ok_or(Error::ArgCnt { count })?;
    // So far no argument has been looked at: so many can hold neither less nor more.
    let most = names.saturating_add(lengths.saturating_mul(255));
    if !(names..=most).contains(&rest) {
        return Err(Error::LenSum {
            sum: names,
            body: rest,
        });
    }
    let lengths = head.get(..lengths).ok_or(Error::Truncated {
        have: head.len().saturating_add(fixed),
        need: lengths.saturating_add(fixed),
    })?;
    let sum = lengths
        .iter()
        .fold(names, |sum, length| sum.saturating_add((*length).into()));
    Ok((rest, sum))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{AcctRequest, AuthenStart, AuthorRequest, Body};

    fn decodes(packet_type: PacketType, body: &[u8]) -> bool {
        match packet_type {
            PacketType::Authen => AuthenStart::decode(body).is_ok(),
            PacketType::Author => AuthorRequest::decode(body).is_ok(),
            _ => AcctRequest::decode(body).is_ok(),
        }
    }

    proptest::proptest! {
        #[test]
        fn the_beginning_tells_what_decoding_would(
            head in proptest::collection::vec(0u8..6, 0..40),
            more in 0usize..40,
        ) {
            for packet_type in [PacketType::Authen, PacketType::Author, PacketType::Acct] {
                let mut body = head.clone();
                body.resize(head.len().saturating_add(more), 0);
                let told = check_lengths(packet_type, &body, body.len()).is_ok();
                proptest::prop_assert_eq!(told, decodes(packet_type, &body));
                // A part of it tells the same or that it is too short to tell.
                match check_lengths(packet_type, &head, body.len()) {
                    Err(Error::Truncated { need, .. }) => proptest::prop_assert!(need > head.len()),
                    result => proptest::prop_assert_eq!(result.is_ok(), told),
                }
            }
        }
    }

    #[test]
    fn the_first_sixteen_bytes_refuse_what_cannot_fit_whatever_the_rest_is() {
        let long = 65_000;
        let start = [1, 1, 2, 1, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0];
        let refused = check_lengths(PacketType::Authen, &start, long);
        assert!(matches!(refused, Err(Error::LenSum { .. })), "{refused:?}");
        let few = [6, 1, 1, 1, 255, 255, 255, 200, 0, 0, 0, 0, 0, 0, 0, 0];
        let refused = check_lengths(PacketType::Author, &few, long);
        assert!(matches!(refused, Err(Error::LenSum { .. })), "{refused:?}");
        let many = [6, 1, 1, 1, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 0, 0];
        let refused = check_lengths(PacketType::Author, &many, 100);
        assert!(matches!(refused, Err(Error::ArgCnt { .. })), "{refused:?}");
    }
}
