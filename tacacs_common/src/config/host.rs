//! Which uids of the host are taken.
//!
//! Owns the reading of /etc/login.defs and /etc/subuid, nothing else does.

use std::path::Path;

use super::values::number;
use crate::hostfile;

/// Uids that the host gives to others. The parser asks for no other fact
/// about the host, so that tests state them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFacts {
    /// UID_MIN of /etc/login.defs.
    pub uid_min: u32,
    /// UID_MAX of /etc/login.defs.
    pub uid_max: u32,
    /// First uid and count of each line of /etc/subuid.
    pub subuid: Vec<(u32, u32)>,
}

/// The facts, or which file does not say them and why.
pub(super) type Facts = Result<HostFacts, String>;

impl Default for HostFacts {
    /// What holds where neither file says anything.
    fn default() -> Self {
        Self {
            uid_min: 1000,
            uid_max: 60_000,
            subuid: Vec::new(),
        }
    }
}

impl HostFacts {
    /// Reads them from this host. A file that is not there says nothing.
    ///
    /// # Errors
    /// One that is there and cannot be read as a whole, and why.
    pub fn read() -> Result<Self, String> {
        Self::read_from(Path::new("/etc/login.defs"), Path::new("/etc/subuid"))
    }

    /// Of bytes, since a comment may be in any encoding, and with little ado: every
    /// lookup of a user's name reads the configuration, and these files with it.
    fn read_from(login_defs: &Path, subuid: &Path) -> Result<Self, String> {
        let mut facts = Self::default();
        let each = |path: &Path, take: &mut dyn FnMut(&[u8])| {
            let take = &mut |line: &[u8]| {
                take(line);
                true
            };
            hostfile::lines_if_any(path, take)
                .map_err(|error| format!("{}: {error}", path.display()))
        };
        each(login_defs, &mut |line| facts.take_definition(line))?;
        each(subuid, &mut |line| {
            let mut fields = line.split(|byte| *byte == b':').skip(1).map(uid);
            if let (Some(Some(first)), Some(Some(count))) = (fields.next(), fields.next()) {
                facts.subuid.push((first, count));
            }
        })?;
        Ok(facts)
    }

    /// A line of /etc/login.defs.
    fn take_definition(&mut self, line: &[u8]) {
        let mut words = line
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        let field = match words.next() {
            Some(b"UID_MIN") => &mut self.uid_min,
            Some(b"UID_MAX") => &mut self.uid_max,
            _ => return,
        };
        if let Some(uid) = words.next().and_then(uid) {
            *field = uid;
        }
    }

    /// First uid, last uid and owner of every range that is taken.
    pub(super) fn taken(&self) -> Vec<(u32, u32, &'static str)> {
        let mut taken = vec![
            (0, self.uid_min.saturating_sub(1), "the uids of the system"),
            (
                self.uid_min,
                self.uid_max,
                "UID_MIN to UID_MAX of /etc/login.defs",
            ),
            (61_184, 65_519, "which systemd hands out"),
            (65_534, 65_535, "nobody"),
            (524_288, 1_879_048_191, "which containers use"),
        ];
        for &(first, count) in self.subuid.iter().filter(|(_, count)| *count > 0) {
            taken.push((
                first,
                first.saturating_add(count.saturating_sub(1)),
                "a line of /etc/subuid",
            ));
        }
        taken
    }
}

fn uid(digits: &[u8]) -> Option<u32> {
    number(str::from_utf8(digits).ok()?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn facts_are_read_from_the_files_of_the_host() {
        let folder = tempfile::tempdir().unwrap();
        let [defs, subuid] = ["login.defs", "subuid"].map(|name| folder.path().join(name));
        let read = || HostFacts::read_from(&defs, &subuid);
        assert_eq!(read(), Ok(HostFacts::default()));
        let text = b"# UID_MIN 5 \xff\nUID_MIN\t\t 500\nUID_MAX 30000\nUID_MAX\nSYS_UID_MAX 999\n";
        fs::write(&defs, text).unwrap();
        fs::write(
            &subuid,
            "alice:100000:65536\nbroken\nbob:x:1\ncarol:165536:0\n",
        )
        .unwrap();
        let facts = HostFacts {
            uid_min: 500,
            uid_max: 30_000,
            subuid: vec![(100_000, 65_536), (165_536, 0)],
        };
        assert_eq!(read(), Ok(facts.clone()));
        assert!(
            facts
                .taken()
                .contains(&(100_000, 165_535, "a line of /etc/subuid"))
        );
        // What is there and cannot be read does not say that all uids are free.
        fs::remove_file(&subuid).unwrap();
        fs::create_dir(&subuid).unwrap();
        let why = read().unwrap_err();
        assert!(why.starts_with(&format!("{}: ", subuid.display())), "{why}");
    }
}
