//! What the TLS library checks in a certificate and does not tell.
//!
//! Owns the way through a certificate's DER (RFC 5280 section 4.1) to its names, to the
//! end of its validity and to what its key is for. Must never take what it does not understand for a
//! certificate without an end.

use crate::policy::values::Date;

const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0]`, in front of the version, which the oldest certificates do not have.
const VERSION: u8 = 0xa0;
/// `[3]`.
const EXTENSIONS: u8 = 0xa3;
const BOOLEAN: u8 = 0x01;
/// 2.5.29.15.
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];

/// Some of what was signed, as the bytes within each SEQUENCE.
pub(super) struct Fields<'a> {
    pub(super) issuer: &'a [u8],
    validity: &'a [u8],
    pub(super) subject: &'a [u8],
    /// The key, and behind it what may be left out.
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn of(certificate: &'a [u8]) -> Option<Self> {
        let (_, certificate, _) = element(certificate)?;
        let (_, signed, _) = element(certificate)?;
        let (tag, _, after) = element(signed)?;
        let serial = if tag == VERSION { after } else { signed };
        let (_, _, algorithm) = element(serial)?;
        let (_, _, rest) = element(algorithm)?;
        let (_, issuer, rest) = element(rest)?;
        let (_, validity, rest) = element(rest)?;
        let (_, subject, rest) = element(rest)?;
        Some(Self {
            issuer,
            validity,
            subject,
            rest,
        })
    }

    /// The last second of its validity, since 1 January 1970.
    pub(super) fn not_after(&self) -> Option<u64> {
        let (_, _, after) = element(self.validity)?;
        let (tag, text, _) = element(after)?;
        time(tag, text)
    }
}

impl Fields<'_> {
    /// Whether its key may prove who somebody is: a keyUsage, if there is one, has
    /// digitalSignature (RFC 5280 section 4.2.1.3).
    pub(super) fn may_sign(&self) -> bool {
        self.key_usage().is_some_and(|usage| {
            usage.is_none_or(|bits| bits.first().is_some_and(|first| first & 0x80 != 0))
        })
    }

    /// The bits of its keyUsage; the outer `None` is what nobody can read.
    fn key_usage(&self) -> Option<Option<&[u8]>> {
        let (_, _, mut rest) = element(self.rest)?;
        while !rest.is_empty() {
            let (tag, contents, behind) = element(rest)?;
            rest = behind;
            if tag != EXTENSIONS {
                continue;
            }
            let (_, mut extensions, _) = element(contents)?;
            while !extensions.is_empty() {
                let (_, extension, behind) = element(extensions)?;
                extensions = behind;
                let (_, id, mut value) = element(extension)?;
                if id != KEY_USAGE {
                    continue;
                }
                let (tag, text, behind) = element(value)?;
                value = if tag == BOOLEAN {
                    element(behind)?.1
                } else {
                    text
                };
                let (_, bits, _) = element(value)?;
                return Some(Some(bits.get(1..).unwrap_or_default()));
            }
        }
        Some(None)
    }
}

/// The tag, the contents and what comes behind of the first DER element.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        // 0x80 alone has no length, and DER no such thing.
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = (bytes.iter()).fold(0, |length, byte| length << 8 | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

/// `YYMMDDHHMMSSZ` until 2049, with a century after it.
fn time(tag: u8, text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let century = if year < "50" { "20" } else { "19" };
            (format!("{century}{year}"), rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.to_owned(), rest)
        }
        _ => return None,
    };
    if rest.len() != 10 || !rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let two = |at: usize| rest.get(at..at + 2);
    let number = |at: usize| two(at)?.parse::<u64>().ok();
    let date = format!("{year}-{}-{}", two(0)?, two(2)?);
    let days = u64::try_from(Date::parse(date.as_bytes())?.days()).ok()?;
    Some(((days * 24 + number(4)?) * 60 + number(6)?) * 60 + number(8)?)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn not_after(certificate: &[u8]) -> Option<u64> {
        Fields::of(certificate)?.not_after()
    }

    #[test]
    fn a_key_may_sign_unless_its_usage_says_otherwise() {
        use rcgen::KeyUsagePurpose::{DigitalSignature, KeyAgreement, KeyEncipherment};
        for (usages, expected) in [
            (vec![], true),
            (vec![DigitalSignature], true),
            (vec![DigitalSignature, KeyEncipherment], true),
            (vec![KeyEncipherment], false),
            (vec![KeyAgreement], false),
        ] {
            let mut params = CertificateParams::new(["r1.example.net".to_owned()]).unwrap();
            params.key_usages = usages;
            let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            let der = certificate.der();
            assert_eq!(
                Fields::of(der).unwrap().may_sign(),
                expected,
                "{:?}",
                params.key_usages
            );
        }
    }

    #[test]
    fn the_end_of_a_certificate_is_found_in_both_forms_of_a_date() {
        for (year, month, day) in [(2026, 11, 23), (2049, 12, 31), (2050, 1, 1), (2412, 2, 29)] {
            let mut params = CertificateParams::new(["r1.example.net".to_owned()]).unwrap();
            let end = date_time_ymd(year, month, day) + std::time::Duration::from_secs(86_399);
            params.not_after = end;
            let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            let expected = u64::try_from(end.unix_timestamp()).unwrap();
            assert_eq!(not_after(certificate.der()), Some(expected), "{year}");
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_end_that_could_be_believed() {
        let mut params = CertificateParams::new(["r1.example.net".to_owned()]).unwrap();
        params.not_after = date_time_ymd(2030, 1, 1);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let der = certificate.der();
        let end = not_after(der);
        for length in 0..der.len() {
            assert_eq!(not_after(&der[..length]), None, "cut at {length}");
        }
        assert_eq!(not_after(der), end);
        for text in [
            &b"30010100000"[..],
            b"300101000000",
            b"30010100000xZ",
            b"991301000000Z",
        ] {
            assert_eq!(time(UTC_TIME, text), None);
        }
    }

    #[test]
    fn an_element_is_what_its_length_says_or_nothing() {
        let long = [&[0x30, 0x82, 1, 0][..], &[7; 256], b"rest"].concat();
        assert_eq!(element(&long), Some((0x30, &[7; 256][..], &b"rest"[..])));
        assert_eq!(element(b"\x02\x01\x05"), Some((2, &b"\x05"[..], &b""[..])));
        for broken in [
            &b""[..],
            b"\x30",
            b"\x30\x02\x05",
            b"\x30\x80\x05\x00",
            b"\x30\x81",
            b"\x30\x84\x00\x00\x00\x01\x05",
        ] {
            assert_eq!(element(broken), None, "{broken:?}");
        }
    }
}
