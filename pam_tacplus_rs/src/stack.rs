//! Which modules the session lines of a service ask, in their order.
//!
//! Owns as much of the files' syntax as that takes: comments, includes, controls in
//! brackets. What a control makes of an answer is libpam's.

use std::io;
use std::path::PathBuf;

use tacacs_common::hostfile;

/// As deep as libpam goes.
const DEPTH: usize = 16;

/// No stack is longer; files that include each other twice over would be.
const MANY: usize = 1000;

/// Whether a session line asks `later` behind one that asks `module`. What cannot be read
/// says that none does.
pub(crate) fn is_followed(folders: &[PathBuf], service: &str, module: &str, later: &str) -> bool {
    let mut modules = Vec::new();
    let service = service.to_ascii_lowercase();
    // A service without a file of its own has this one.
    let read = match add(folders, &service, DEPTH, &mut modules) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && modules.is_empty() => {
            add(folders, "other", DEPTH, &mut modules)
        }
        read => read,
    };
    let mut behind = modules.iter().skip_while(|asked| *asked != module);
    read.is_ok() && behind.any(|asked| asked == later)
}

/// Adds the modules of a file. The first folder that has it counts.
fn add(folders: &[PathBuf], file: &str, depth: usize, to: &mut Vec<String>) -> io::Result<()> {
    let depth = depth.checked_sub(1).ok_or(io::ErrorKind::InvalidData)?;
    let mut end = Err(io::ErrorKind::NotFound.into());
    for folder in folders {
        let mut within = Ok(());
        end = hostfile::lines(&folder.join(file), &mut |line| {
            within = match asked(&String::from_utf8_lossy(line)) {
                Some(Asked::File(file)) => add(folders, &file, depth, to),
                Some(Asked::Module(_)) if to.len() >= MANY => {
                    Err(io::ErrorKind::InvalidData.into())
                }
                Some(Asked::Module(module)) => {
                    to.push(module);
                    Ok(())
                }
                None => Ok(()),
            };
            within.is_ok()
        })
        .and(within);
        if !matches!(&end, Err(error) if error.kind() == io::ErrorKind::NotFound) {
            break;
        }
    }
    end
}

enum Asked {
    Module(String),
    File(String),
}

/// What a line asks for in a session.
fn asked(line: &str) -> Option<Asked> {
    let line = line.split('#').next()?.trim();
    let (kind, rest) = line.split_once(char::is_whitespace)?;
    let rest = rest.trim_start();
    if kind.eq_ignore_ascii_case("@include") {
        return Some(Asked::File(rest.to_owned()));
    }
    let kind = kind.strip_prefix('-').unwrap_or(kind);
    if !kind.eq_ignore_ascii_case("session") {
        return None;
    }
    let (control, rest) = if rest.starts_with('[') {
        rest.split_once(']')?
    } else {
        rest.split_once(char::is_whitespace)?
    };
    let path = rest.split_whitespace().next()?;
    if ["include", "substack"]
        .iter()
        .any(|word| control.eq_ignore_ascii_case(word))
    {
        return Some(Asked::File(path.to_owned()));
    }
    let module = path.rsplit('/').next()?;
    Some(Asked::Module(module.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Whether `b.so` follows `a.so` in the service `sshd` of these files.
    fn follows(files: &[(&str, &str)]) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let folders = ["etc", "usr"].map(|name| folder.path().join(name));
        for folder in &folders {
            fs::create_dir(folder).unwrap();
        }
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        is_followed(&folders, "SSHD", "a.so", "b.so")
    }

    #[test]
    fn a_module_behind_another_is_found_wherever_its_line_stands() {
        for (files, expected) in [
            (
                &[("etc/sshd", "session required a.so\nsession optional b.so\n")][..],
                true,
            ),
            (
                &[("etc/sshd", "session required b.so\nsession optional a.so\n")],
                false,
            ),
            (
                &[("etc/sshd", "session required a.so\naccount optional b.so\n")],
                false,
            ),
            (
                &[(
                    "etc/sshd",
                    "session required a.so\n# session optional b.so\n",
                )],
                false,
            ),
            (&[("etc/sshd", "session optional b.so\n")], false),
            (
                &[(
                    "etc/sshd",
                    "session\trequired /lib/a.so x\n-SESSION [success=ok default=ignore] /lib/b.so # c\n",
                )],
                true,
            ),
            (
                &[
                    ("etc/sshd", "session required a.so\n@include common\n"),
                    ("etc/common", "session optional b.so\n"),
                ],
                true,
            ),
            (
                &[
                    ("usr/sshd", "session include c\nsession substack d\n"),
                    ("etc/c", "session required a.so\n"),
                    ("usr/d", "session required b.so\n"),
                ],
                true,
            ),
            // The first folder counts, and `other` where there is no file.
            (
                &[
                    ("etc/sshd", "session required a.so\n"),
                    ("usr/sshd", "session required a.so\nsession required b.so\n"),
                ],
                false,
            ),
            (
                &[(
                    "etc/other",
                    "session required a.so\nsession required b.so\n",
                )],
                true,
            ),
            // What does not end, or is not there, is no word for it.
            (
                &[(
                    "etc/sshd",
                    "session required a.so\nsession required b.so\n@include sshd\n",
                )],
                false,
            ),
            (
                &[(
                    "etc/sshd",
                    "session required a.so\nsession required b.so\n@include none\n",
                )],
                false,
            ),
            (&[], false),
        ] {
            assert_eq!(follows(files), expected, "{files:?}");
        }
    }
}
