//! Body obfuscation (RFC 8907 section 4.5): XOR with a chain of MD5 sums.
//!
//! It hides a body from a glance and protects nothing: no integrity, no
//! freshness. TLS does (RFC 9887), and replaces it.
//!
//! `pad[1] = MD5(session_id, secret, version, seq_no)`,
//! `pad[i] = MD5(session_id, secret, version, seq_no, pad[i-1])`.
//! All blocks share the prefix, so its whole MD5 blocks are compressed once a
//! packet, and for a secret of up to 33 bytes each pad block is one compression.

use md5::block_api::compress;
use zeroize::Zeroize;

use crate::packet::Header;
use crate::secret::{Secret, leaving_no_trace};

/// How the bodies of one connection are protected.
#[derive(Clone, Copy)]
pub enum Protection<'s> {
    /// Plain TCP: obfuscated with the shared secret.
    Obfuscated(&'s Secret),
    /// TLS, or a Unix socket whose peer was checked: bodies are clear and every
    /// packet carries the UNENCRYPTED flag (RFC 9887 section 4).
    Clear,
}

impl Protection<'_> {
    /// What the UNENCRYPTED flag of every packet must be.
    pub const fn unencrypted_flag(&self) -> bool {
        matches!(self, Self::Clear)
    }

    /// Obfuscates a clear body or makes an obfuscated one clear, in place.
    /// `header` is that of the very packet.
    pub fn apply(&self, header: &Header, body: &mut [u8]) {
        if let Self::Obfuscated(secret) = self {
            obfuscate(secret.expose(), header, body);
        }
    }
}

const INITIAL: [u32; 4] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476];
const BLOCK: usize = 64;
const SUM: usize = 16;

/// XORs `body` with the pad. Twice is the identity.
pub fn obfuscate(secret: &[u8], header: &Header, body: &mut [u8]) {
    leaving_no_trace(|| xor(secret, header, body));
}

fn xor(secret: &[u8], header: &Header, body: &mut [u8]) {
    let mut pad = Pad::new(secret, header);
    for (index, chunk) in body.chunks_mut(SUM).enumerate() {
        let sum = if index == 0 { pad.first() } else { pad.next() };
        for (byte, mask) in chunk.iter_mut().zip(sum) {
            *byte ^= mask;
        }
    }
}

/// The pad's blocks. `tail` is the end of the hashed text, already padded as
/// MD5 wants it: rest of the prefix, room for the sum before, 0x80, length.
struct Pad {
    /// MD5 state after the prefix's whole blocks.
    prefix: [u32; 4],
    tail: [u8; 2 * BLOCK],
    /// Where the sum before goes in `tail`.
    at: usize,
    /// Blocks of `tail` that count: one, or two for a long secret.
    blocks: usize,
    first: [u8; SUM],
}

impl Pad {
    fn new(secret: &[u8], header: &Header) -> Self {
        // Filled in its place: a copy of its own would not be wiped.
        let mut pad = Self {
            prefix: INITIAL,
            tail: [0; 2 * BLOCK],
            at: 0,
            blocks: 0,
            first: [0; SUM],
        };
        let mut at = 0usize;
        let mut total = 0u64;
        let session_id = header.session_id.to_be_bytes();
        let end = [header.version.to_wire(), header.seq_no];
        for byte in session_id.iter().chain(secret).chain(&end) {
            if let Some(slot) = pad.tail.get_mut(at) {
                *slot = *byte;
            }
            at = at.wrapping_add(1);
            total = total.wrapping_add(1);
            if at == BLOCK {
                if let Some(block) = pad.tail.first_chunk::<BLOCK>() {
                    compress(&mut pad.prefix, core::slice::from_ref(block));
                }
                pad.tail = [0; 2 * BLOCK];
                at = 0;
            }
        }
        pad.at = at;
        pad.finish(at, total);
        pad.first = pad.sum();
        pad.wipe_from(at);
        pad.finish(at.wrapping_add(SUM), total.wrapping_add(SUM as u64));
        pad
    }

    /// Writes MD5's own padding: 0x80 at `end`, the length in bits at the end of
    /// the last block.
    fn finish(&mut self, end: usize, total: u64) {
        if let Some(slot) = self.tail.get_mut(end) {
            *slot = 0x80;
        }
        self.blocks = if end < BLOCK - 8 { 1 } else { 2 };
        let bits = total.wrapping_mul(8).to_le_bytes();
        let length_at = self.blocks.wrapping_mul(BLOCK).wrapping_sub(8);
        if let Some(slot) = self.tail.get_mut(length_at..length_at.wrapping_add(8)) {
            slot.copy_from_slice(&bits);
        }
    }

    fn wipe_from(&mut self, at: usize) {
        if let Some(rest) = self.tail.get_mut(at..) {
            rest.fill(0);
        }
    }

    fn first(&mut self) -> [u8; SUM] {
        self.put(self.first);
        self.first
    }

    fn next(&mut self) -> [u8; SUM] {
        let sum = self.sum();
        self.put(sum);
        sum
    }

    fn put(&mut self, sum: [u8; SUM]) {
        if let Some(slot) = self.tail.get_mut(self.at..self.at.wrapping_add(SUM)) {
            slot.copy_from_slice(&sum);
        }
    }

    fn sum(&self) -> [u8; SUM] {
        let mut state = self.prefix;
        let (blocks, _) = self.tail.as_chunks::<BLOCK>();
        for block in blocks.iter().take(self.blocks) {
            compress(&mut state, core::slice::from_ref(block));
        }
        let mut sum = [0; SUM];
        for (bytes, word) in sum.chunks_exact_mut(4).zip(state) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        sum
    }
}

impl Drop for Pad {
    fn drop(&mut self) {
        self.tail.zeroize();
        self.prefix.zeroize();
        self.first.zeroize();
    }
}
