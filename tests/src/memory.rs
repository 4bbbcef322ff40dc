//! What a process keeps in its memory.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use crate::{Result, leaks};

/// Whether the writable memory of a process, which a core file would hold,
/// contains these bytes.
pub fn contains(pid: u32, needle: &[u8]) -> Result<bool> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else {
            continue;
        };
        let Some((from, to)) = range.split_once('-') else {
            continue;
        };
        let (from, to) = (u64::from_str_radix(from, 16)?, u64::from_str_radix(to, 16)?);
        if !rights.starts_with("rw") {
            continue;
        }
        let mut bytes = vec![0; usize::try_from(to - from)?];
        // Some mappings of devices cannot be read, and no core holds them.
        if memory.read_exact_at(&mut bytes, from).is_ok() && leaks::contains(&bytes, needle) {
            return Ok(true);
        }
    }
    Ok(false)
}
