//! Challenge responses: CHAP (RFC 1994), MS-CHAP v1 (RFC 2433) and v2 (RFC 2759),
//! in the layout of RFC 8907 sections 5.4.2.3 to 5.4.2.5.
//!
//! Owns the arithmetic alone: both the client, which answers, and the server,
//! which computes the same answer to compare. MD4 and DES are broken; they are
//! here because the standards say so.

use des::cipher::{Array, BlockCipherEncrypt, KeyInit};
use md4::{Digest, Md4};
use md5::Md5;
use sha1::Sha1;
use zeroize::Zeroize;

use crate::secret::leaving_no_trace;

/// The 16-byte CHAP response: MD5 of identifier, secret and challenge.
pub fn chap_response(id: u8, secret: &[u8], challenge: &[u8]) -> [u8; 16] {
    leaving_no_trace(|| {
        let mut hasher = Md5::new();
        hasher.update([id]);
        hasher.update(secret);
        hasher.update(challenge);
        hasher.finalize().into()
    })
}

/// The 49-byte MS-CHAP v1 response: no LAN Manager part, the NT part, and the
/// flag that says so. `None` for a password that is not UTF-8: it has no UTF-16
/// form to hash.
pub fn mschap_response(password: &[u8], challenge: &[u8; 8]) -> Option<[u8; 49]> {
    let mut response = [0u8; 49];
    response[24..48].copy_from_slice(&nt_response(password, challenge)?);
    response[48] = 1;
    Some(response)
}

/// The 49-byte MS-CHAP v2 response: the peer's challenge, 8 reserved bytes, the
/// NT part, and a zero flag. `None` for a password that is not UTF-8.
pub fn mschapv2_response(
    user: &[u8],
    password: &[u8],
    authenticator_challenge: &[u8; 16],
    peer_challenge: &[u8; 16],
) -> Option<[u8; 49]> {
    // RFC 2759 section 8.2: only the name behind a domain counts.
    let name = user.rsplit(|b| *b == b'\\').next().unwrap_or(user);
    let mut hasher = Sha1::new();
    hasher.update(peer_challenge);
    hasher.update(authenticator_challenge);
    hasher.update(name);
    let digest: [u8; 20] = hasher.finalize().into();
    let challenge = digest.first_chunk::<8>()?;
    let mut response = [0u8; 49];
    response[..16].copy_from_slice(peer_challenge);
    response[24..48].copy_from_slice(&nt_response(password, challenge)?);
    Some(response)
}

fn nt_response(password: &[u8], challenge: &[u8; 8]) -> Option<[u8; 24]> {
    leaving_no_trace(|| challenge_response(password, challenge))
}

/// ChallengeResponse of RFC 2433 appendix A: three DES encryptions of the
/// challenge under the NT hash, padded to three 7-byte keys.
fn challenge_response(password: &[u8], challenge: &[u8; 8]) -> Option<[u8; 24]> {
    let mut keys = [0u8; 21];
    let mut hash = nt_hash(password)?;
    keys[..16].copy_from_slice(&hash);
    hash.zeroize();
    let mut response = [0u8; 24];
    let (sevens, _) = keys.as_chunks::<7>();
    let (eights, _) = response.as_chunks_mut::<8>();
    for (key, out) in sevens.iter().zip(eights) {
        let mut block = Array::from(*challenge);
        des::Des::new(&Array::from(with_parity(key))).encrypt_block(&mut block);
        *out = block.into();
    }
    keys.zeroize();
    Some(response)
}

/// MD4 of the password in UTF-16, low byte first.
fn nt_hash(password: &[u8]) -> Option<[u8; 16]> {
    let text = core::str::from_utf8(password).ok()?;
    let mut hasher = Md4::new();
    for unit in text.encode_utf16() {
        hasher.update(unit.to_le_bytes());
    }
    Some(hasher.finalize().into())
}

/// Spreads 56 bits over 8 bytes; the low bit of each is the parity DES ignores.
fn with_parity(key: &[u8; 7]) -> [u8; 8] {
    let [a, b, c, d, e, f, g] = key.map(u64::from);
    let bits = a << 48 | b << 40 | c << 32 | d << 24 | e << 16 | f << 8 | g;
    core::array::from_fn(|i| {
        let shift = 49 - 7 * u32::try_from(i).unwrap_or(0);
        u8::try_from(bits >> shift & 0x7F).unwrap_or(0) << 1
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ms_chap_v2_answers_as_in_rfc_2759_section_9_2() {
        let authenticator = [
            0x5B, 0x5D, 0x7C, 0x7D, 0x7B, 0x3F, 0x2F, 0x3E, 0x3C, 0x2C, 0x60, 0x21, 0x32, 0x26,
            0x26, 0x28,
        ];
        let peer = [
            0x21, 0x40, 0x23, 0x24, 0x25, 0x5E, 0x26, 0x2A, 0x28, 0x29, 0x5F, 0x2B, 0x3A, 0x33,
            0x7C, 0x7E,
        ];
        let nt = [
            0x82, 0x30, 0x9E, 0xCD, 0x8D, 0x70, 0x8B, 0x5E, 0xA0, 0x8F, 0xAA, 0x39, 0x81, 0xCD,
            0x83, 0x54, 0x42, 0x33, 0x11, 0x4A, 0x3D, 0x85, 0xD6, 0xDF,
        ];
        let response = mschapv2_response(b"User", b"clientPass", &authenticator, &peer).unwrap();
        assert_eq!(response[..16], peer);
        assert_eq!(response[24..48], nt);
        assert_eq!(
            mschapv2_response(b"DOM\\User", b"clientPass", &authenticator, &peer),
            Some(response)
        );
    }

    #[test]
    fn ms_chap_v1_answers_as_in_rfc_2433_appendix_b() {
        let challenge = [0x10, 0x2D, 0xB5, 0xDF, 0x08, 0x5D, 0x30, 0x41];
        let nt = [
            0x4E, 0x9D, 0x3C, 0x8F, 0x9C, 0xFD, 0x38, 0x5D, 0x5B, 0xF4, 0xD3, 0x24, 0x67, 0x91,
            0x95, 0x6C, 0xA4, 0xC3, 0x51, 0xAB, 0x40, 0x9A, 0x3D, 0x61,
        ];
        let response = mschap_response(b"MyPw", &challenge).unwrap();
        assert_eq!(response[24..48], nt);
        assert_eq!(response[48], 1);
    }

    #[test]
    fn what_a_password_went_through_is_wiped() {
        fn wiped<T: zeroize::ZeroizeOnDrop>() {}
        wiped::<Md5>();
        wiped::<Md4>();
        wiped::<des::Des>();
    }

    #[test]
    fn a_password_without_a_utf_16_form_has_no_response() {
        assert_eq!(mschap_response(b"\xFF", &[0; 8]), None);
    }
}
