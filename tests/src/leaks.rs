//! No test leaves a secret behind: looks through everything the programs of a
//! stage wrote when the stage is dropped, whatever the test was about.

use std::fs;
use std::path::{Path, PathBuf};

use crate::stage::WRITTEN;
use crate::{Stage, peer, scene};

/// What no file may contain.
const MARKS: [&str; 4] = [
    peer::SECRET,
    scene::PASSWORD,
    scene::LOCAL_PASSWORD,
    scene::CODE,
];

/// The files with a mark in them: logs, state, spool, what users were left with.
/// Not searched: configurations, where secrets belong, and the test's own tools.
pub(crate) fn found(stage: &Stage) -> Vec<PathBuf> {
    let written = |folder: &str| format!("{WRITTEN}/{folder}");
    let folders = ["/var/log", "/run", "/home"].map(str::to_owned);
    let others = ["var", "tmp", "root"].map(written);
    let mut leaks = Vec::new();
    for folder in folders.iter().chain(&others) {
        search(&stage.path(folder), &mut leaks);
    }
    leaks
}

fn search(folder: &Path, leaks: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_tool =
            path.ends_with("run/e2e") || path.extension().is_some_and(|ext| ext == "seen");
        match entry.file_type() {
            _ if is_tool => {}
            Ok(kind) if kind.is_dir() => search(&path, leaks),
            Ok(kind) if kind.is_file() => {
                let bytes = fs::read(&path).unwrap_or_default();
                if MARKS.iter().any(|mark| contains(&bytes, mark.as_bytes())) {
                    leaks.push(path);
                }
            }
            _ => {}
        }
    }
}

/// Whether `bytes` has `needle` in it.
pub(crate) fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}
