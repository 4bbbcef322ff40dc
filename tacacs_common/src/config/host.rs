//! Which uids of the host are taken.
//!
//! Owns the reading of /etc/login.defs and /etc/subuid, nothing else does.

use std::fs;

use super::values::number;

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
    pub fn read() -> Self {
        let text = |path| fs::read(path).unwrap_or_default();
        Self::from_texts(&text("/etc/login.defs"), &text("/etc/subuid"))
    }

    /// Of bytes, since a comment may be in any encoding, and with little ado: every
    /// lookup of a user's name reads the configuration, and these files with it.
    fn from_texts(login_defs: &[u8], subuid: &[u8]) -> Self {
        let mut facts = Self::default();
        for line in lines(login_defs) {
            let mut words = line
                .split(u8::is_ascii_whitespace)
                .filter(|word| !word.is_empty());
            let field = match words.next() {
                Some(b"UID_MIN") => &mut facts.uid_min,
                Some(b"UID_MAX") => &mut facts.uid_max,
                _ => continue,
            };
            if let Some(uid) = words.next().and_then(uid) {
                *field = uid;
            }
        }
        for line in lines(subuid) {
            let mut fields = line.split(|byte| *byte == b':').skip(1).map(uid);
            if let (Some(Some(first)), Some(Some(count))) = (fields.next(), fields.next()) {
                facts.subuid.push((first, count));
            }
        }
        facts
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

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
}

fn uid(digits: &[u8]) -> Option<u32> {
    number(str::from_utf8(digits).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_from_the_texts_of_the_host() {
        let defs = b"# UID_MIN 5\nUID_MIN\t\t 500\nUID_MAX 30000\nUID_MAX\nSYS_UID_MAX 999\n";
        let facts = HostFacts::from_texts(
            defs,
            b"alice:100000:65536\nbroken\nbob:x:1\ncarol:165536:0\n",
        );
        assert_eq!(
            facts,
            HostFacts {
                uid_min: 500,
                uid_max: 30_000,
                subuid: vec![(100_000, 65_536), (165_536, 0)]
            }
        );
        assert!(
            facts
                .taken()
                .contains(&(100_000, 165_535, "a line of /etc/subuid"))
        );
        assert_eq!(HostFacts::from_texts(b"", b""), HostFacts::default());
    }
}
