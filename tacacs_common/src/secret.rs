//! Shared secrets, passwords and one-time codes.
//!
//! Owns the memory they live in. Must never offer a way to print, compare by
//! accident or copy one: there is no `Debug`, `Display` or `Clone` here.

use zeroize::Zeroize;

/// Bytes that are wiped when dropped and that nothing can print.
///
/// ```compile_fail
/// let secret = tacacs_common::secret::Secret::from_slice(b"x");
/// println!("{secret:?}");
/// ```
/// ```compile_fail
/// let secret = tacacs_common::secret::Secret::from_slice(b"x");
/// println!("{secret}");
/// ```
/// ```compile_fail
/// let secret = tacacs_common::secret::Secret::from_slice(b"x");
/// let copy = secret.clone();
/// ```
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the bytes over. Spare capacity is wiped too, on drop.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Copies the bytes of a buffer whose wiping is somebody else's task.
    pub fn from_slice(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// The bytes, for the one place that puts them on the wire or hashes them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no byte.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Does what works on secrets, and wipes the stack that it used. A hash function leaves
/// the block that it was given there, where no owner of the secret can reach it.
pub(crate) fn leaving_no_trace<T>(work: impl FnOnce() -> T) -> T {
    let done = below(work);
    wipe_stack();
    done
}

/// In a frame of its own, below the caller's, as that of [`wipe_stack`] is.
#[inline(never)]
fn below<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// As deep as any hash here reaches. Not by volatile writes, a byte at a time: they
/// would cost more than the hash.
#[inline(never)]
fn wipe_stack() {
    std::hint::black_box(&mut [0u8; 1024]);
}
