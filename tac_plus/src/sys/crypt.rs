//! Password hashes: crypt(3) of the system's libcrypt, which knows the formats of
//! the host: DES, `$1$`, `$2y$`, `$5$`, `$6$`, `$y$` and what comes after them.
//!
//! Owns the buffers that passwords pass through, and wipes them.

use std::ffi::{CStr, CString, c_char, c_int, c_ulong};
use std::hint::black_box;

use tacacs_common::secret::Secret;
use zeroize::Zeroize;

/// `CRYPT_GENSALT_OUTPUT_SIZE`.
const SETTING: usize = 192;
/// `sizeof(struct crypt_data)`: fixed, an early version of libcrypt chose it so.
const DATA: usize = 32_768;
/// `CRYPT_MAX_PASSPHRASE_SIZE`, with its zero byte.
const LONGEST: usize = 512;

/// `struct crypt_data`: output and scratch memory of one call.
#[repr(C, align(16))]
struct Data([u8; DATA]);

#[link(name = "crypt")]
unsafe extern "C" {
    fn crypt_rn(
        phrase: *const c_char,
        setting: *const c_char,
        data: *mut Data,
        size: c_int,
    ) -> *mut c_char;
    fn crypt_gensalt_rn(
        prefix: *const c_char,
        count: c_ulong,
        random: *const c_char,
        random_size: c_int,
        output: *mut c_char,
        output_size: c_int,
    ) -> *mut c_char;
}

/// Whether a password has this hash. What cannot be a password or a hash matches nothing.
pub(crate) fn verify(password: &[u8], hash: &[u8]) -> bool {
    crypt(password, hash).is_some_and(|found| same(found.expose(), hash))
}

/// The hash of a password with a new salt, of the kind that `like` is if that is
/// one of today, else of the system's favourite. `None` if the system cannot.
pub(crate) fn hash(password: &[u8], like: &[u8]) -> Option<Secret> {
    const TODAY: [&CStr; 3] = [c"$y$", c"$6$", c"$2b$"];
    let prefix = TODAY
        .iter()
        .find(|prefix| like.starts_with(prefix.to_bytes()));
    hash_as(password, prefix.copied())
}

/// The hash of a password with a new salt, of the kind with this prefix, or of the
/// system's favourite. `None` if the system cannot.
pub fn hash_as(password: &[u8], prefix: Option<&CStr>) -> Option<Secret> {
    let mut setting = [0; SETTING];
    let prefix = prefix.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: `prefix` is null or a string that outlives the call; no random bytes
    // asks the library to take the system's; `setting` has the size that is told.
    let made = unsafe {
        crypt_gensalt_rn(
            prefix,
            0,
            std::ptr::null(),
            0,
            setting.as_mut_ptr().cast(),
            c_int::try_from(SETTING).ok()?,
        )
    };
    if made.is_null() {
        return None;
    }
    crypt(
        password,
        CStr::from_bytes_until_nul(&setting).ok()?.to_bytes(),
    )
}

/// What crypt(3) makes of a password and a setting: a salt with whatever chooses the
/// kind. `None` if it makes nothing.
pub fn crypt(password: &[u8], setting: &[u8]) -> Option<Secret> {
    if password.len() >= LONGEST || setting.is_empty() {
        return None;
    }
    let setting = CString::new(setting).ok()?;
    // A zero byte would end the password early: another one than was typed.
    let mut password = CString::new(password)
        .map_err(|error| error.into_vec().zeroize())
        .ok()?
        .into_bytes_with_nul();
    // Zeroed memory is what the library wants at first.
    let mut data = Box::new(Data([0; DATA]));
    // SAFETY: both strings end with a zero byte and outlive the call; `data` is
    // valid for the size that is told, and nobody else has it.
    let output = unsafe {
        crypt_rn(
            password.as_ptr().cast(),
            setting.as_ptr(),
            &raw mut *data,
            c_int::try_from(DATA).ok()?,
        )
    };
    // SAFETY: a non-null result is a string inside `data`, which is still there.
    let found = (!output.is_null())
        .then(|| Secret::from_slice(unsafe { CStr::from_ptr(output) }.to_bytes()));
    password.zeroize();
    data.0.zeroize();
    found
}

/// Equality in a time that depends on the lengths only.
fn same(one: &[u8], other: &[u8]) -> bool {
    let difference = one.iter().zip(other).fold(0, |sum, (a, b)| sum | (a ^ b));
    black_box(difference) == 0 && one.len() == other.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_of_the_systems_crypt_is_verified() {
        for hash in [
            "abws3YimNi/io",
            "$1$saltsalt$stoYjH/9M8w1dr62o05Hz.",
            "$2y$05$abcdefghijklmnopqrstuu2sM.EEHj4jPcCa5rwqJGg1PNBllkZXy",
            "$5$saltsalt$1/hLNbYXXAwh9TyUmVyUKV9YI4mlJD2A1HCRQrK34S/",
            "$6$saltsalt$sf.aCPsRRapNR1G5rTzY78df.KdUQqMQQzVCyMoM4FlnOxuRq9mRc.jW/1pK6qbEVcZ0U5.MSQkhdX1AsdktA1",
            "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$Za3pfITVacI/LLzVtk3DEk9Aal68F.BRMACAWOEacg4",
        ] {
            assert!(verify(b"a password", hash.as_bytes()), "{hash}");
            assert!(!verify(b"A password", hash.as_bytes()), "{hash}");
            assert!(!verify(b"", hash.as_bytes()), "{hash}");
        }
    }

    #[test]
    fn what_is_no_hash_matches_nothing() {
        for hash in [
            "",
            "*",
            "!",
            "x",
            "*0",
            "*1",
            "$1",
            "$nosuch$salt$hash",
            "a\0b",
        ] {
            for password in ["", "a password", hash] {
                assert!(
                    !verify(password.as_bytes(), hash.as_bytes()),
                    "{hash:?} {password:?}"
                );
            }
        }
    }

    #[test]
    fn a_password_that_c_would_cut_matches_nothing() {
        let hash = b"$1$saltsalt$stoYjH/9M8w1dr62o05Hz.";
        assert!(!verify(b"a password\0and more", hash));
        assert!(!verify(&[b'x'; LONGEST], hash));
    }

    #[test]
    fn a_new_hash_is_of_the_old_ones_kind_unless_that_is_out_of_date() {
        for (like, prefix) in [
            ("$6$old$old", "$6$"),
            ("$y$j9T$x$y", "$y$"),
            ("abws3YimNi/io", "$"),
        ] {
            let made = hash(b"new password", like.as_bytes()).unwrap();
            assert!(made.expose().starts_with(prefix.as_bytes()), "{like}");
            assert!(!made.expose().starts_with(b"$1$"), "{like}");
            assert!(verify(b"new password", made.expose()), "{like}");
        }
    }
}
