//! Who is a TACACS+ user of this host.
//!
//! Owns the reading of `/etc/passwd`, always as a file: NSS may be what is asking,
//! and a server must not be able to make a name local.

use std::io;
use std::path::Path;

use tacacs_common::config::{Config, Mode};
use tacacs_common::hostfile;
use tacacs_common::identity::name::{is_name, is_shared_account};

/// What `/etc/passwd` lists about a name. Bytes, since what else a line says may be in any
/// encoding.
pub(crate) struct Passwd(Vec<u8>);

impl Passwd {
    /// Reads the lines of this name.
    pub(crate) fn read(path: &Path, name: &str) -> io::Result<Self> {
        let mut own = Vec::new();
        hostfile::lines(path, &mut |line| {
            if hostfile::is_of(line, name) {
                own.extend_from_slice(line);
                own.push(b'\n');
            }
            true
        })?;
        Ok(Self(own))
    }

    /// The uid of a local user; the first entry of a name counts.
    pub(crate) fn uid(&self, name: &str) -> Option<u32> {
        self.entries(name).find_map(|entry| {
            str::from_utf8(entry.split(colon).nth(2)?)
                .ok()?
                .parse()
                .ok()
        })
    }

    /// Whether the name is listed, even with a broken entry.
    fn lists(&self, name: &str) -> bool {
        self.entries(name).next().is_some()
    }

    fn entries(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let lines = self.0.split(|byte| *byte == b'\n');
        lines.filter(move |line| {
            !line.is_empty() && line.split(colon).next() == Some(name.as_bytes())
        })
    }
}

const fn colon(byte: &u8) -> bool {
    *byte == b':'
}

/// Whether this is root, who never depends on a server or a configuration.
/// `passwd` is `None` when the file cannot be read.
pub(crate) fn is_root(name: &str, passwd: Option<&Passwd>) -> bool {
    name == "root" || passwd.and_then(|passwd| passwd.uid(name)) == Some(0)
}

/// What the servers have to say about a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// They decide.
    Tacacs {
        /// Whether the user is in /etc/passwd.
        local: bool,
        /// The uid in /etc/passwd.
        uid: Option<u32>,
    },
    /// Nothing.
    Ignored {
        /// Why, as the rest of a sentence about the user.
        why: &'static str,
        /// Whether a file of the host has the name, so that the log may have it too:
        /// any other may be a password that was typed for a name.
        known: bool,
    },
}

/// Nothing about a name that a file of the host has.
const fn ignored(why: &'static str) -> Standing {
    Standing::Ignored { why, known: true }
}

/// Whose matter a user is. Root was let go before.
pub(crate) fn who_is(name: &str, config: &Config, passwd: &Passwd) -> Standing {
    if config
        .global
        .exclude_users
        .iter()
        .any(|excluded| excluded == name)
    {
        return ignored("is listed in exclude_users");
    }
    let local = passwd.lists(name);
    match config.mapping.mode {
        Mode::Local => match passwd.uid(name) {
            Some(uid) if uid >= config.global.min_uid => Standing::Tacacs {
                local,
                uid: Some(uid),
            },
            Some(_) => ignored("has a uid below min_uid"),
            None if local => ignored("has a line without a uid in /etc/passwd"),
            None => Standing::Ignored {
                why: "is not in /etc/passwd, as mode = local wants",
                known: false,
            },
        },
        Mode::Unique | Mode::Shared if local => ignored("is a local user"),
        Mode::Shared if is_shared_account(name, &config.mapping.user_prefix) => {
            ignored("is a shared account, which nobody logs in to by its name")
        }
        Mode::Unique | Mode::Shared if !is_name(name, config.mapping.case) => Standing::Ignored {
            why: "is not a name that this host gives to users",
            known: false,
        },
        Mode::Unique | Mode::Shared => Standing::Tacacs { local, uid: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacacs_common::config::Case;

    const PASSWD: &str = "root:x:0:0::/root:/bin/sh\n\
        toor:x:0:0::/root:/bin/sh\n\
        daemon:x:1:1::/:/usr/sbin/nologin\n\
        alice:x:1001:1001::/home/alice:/bin/bash\n\
        alice:x:0:0::/home/alice:/bin/bash\n\
        svc:x:999:999::/:/bin/sh\n\
        guest:x:1002:1002::/:/bin/sh\n\
        broken\n";

    fn passwd() -> Passwd {
        Passwd(PASSWD.as_bytes().to_vec())
    }

    fn config(mode: Mode, case: Case) -> Config {
        let mut config = Config::default();
        config.mapping.mode = mode;
        config.mapping.case = case;
        config.global.exclude_users = vec!["guest".to_owned()];
        config
    }

    #[test]
    fn root_is_known_by_name_and_by_uid_and_without_a_readable_passwd() {
        for (name, expected) in [
            ("root", true),
            ("toor", true),
            ("alice", false),
            ("nobody", false),
            ("broken", false),
        ] {
            assert_eq!(is_root(name, Some(&passwd())), expected, "{name}");
        }
        assert!(is_root("root", None));
        assert!(!is_root("toor", None));
    }

    #[test]
    fn in_mode_local_only_ordinary_local_users_are_asked_about() {
        let config = config(Mode::Local, Case::Lower);
        for (name, tacacs) in [
            ("alice", true),
            ("svc", false),
            ("daemon", false),
            ("guest", false),
            ("bob", false),
            ("broken", false),
            ("", false),
        ] {
            let standing = who_is(name, &config, &passwd());
            let expected = Standing::Tacacs {
                local: true,
                uid: Some(1001),
            };
            assert_eq!(standing == expected, tacacs, "{name}: {standing:?}");
        }
    }

    #[test]
    fn in_the_other_modes_no_server_can_log_anyone_into_a_local_account() {
        for mode in [Mode::Unique, Mode::Shared] {
            let config = config(mode, Case::Lower);
            for name in ["alice", "svc", "daemon", "guest", "broken"] {
                let standing = who_is(name, &config, &passwd());
                assert!(
                    matches!(standing, Standing::Ignored { .. }),
                    "{name}: {standing:?}"
                );
            }
            let bob = who_is("bob", &config, &passwd());
            assert_eq!(
                bob,
                Standing::Tacacs {
                    local: false,
                    uid: None
                }
            );
        }
    }

    #[test]
    fn names_that_are_not_names_are_nobodys() {
        for bad in [
            "", "-rf", "12345", "a:b", "a/b", "a\nb", "a b", "..", "Alice", "Ålice",
        ] {
            let standing = who_is(bad, &config(Mode::Unique, Case::Lower), &passwd());
            assert!(matches!(standing, Standing::Ignored { .. }), "{bad:?}");
        }
        let kept = who_is("Alice", &config(Mode::Unique, Case::Keep), &passwd());
        assert_eq!(
            kept,
            Standing::Tacacs {
                local: false,
                uid: None
            }
        );
    }

    /// pam_unix leaves unknown names out of the log for the same reason.
    #[test]
    fn a_name_that_may_be_a_mistyped_password_is_told_from_one_that_the_host_has() {
        for (mode, name, has) in [
            (Mode::Local, "guest", true),
            (Mode::Local, "svc", true),
            (Mode::Local, "broken", true),
            (Mode::Local, "Corr3ct-horse", false),
            (Mode::Local, "bob", false),
            (Mode::Unique, "alice", true),
            (Mode::Unique, "Corr3ct horse!", false),
            (Mode::Shared, "tacacs15", true),
            (Mode::Shared, "Corr3ct horse!", false),
        ] {
            let standing = who_is(name, &config(mode, Case::Lower), &passwd());
            let told = matches!(standing, Standing::Ignored { known, .. } if known == has);
            assert!(told, "{name}: {standing:?}");
        }
    }

    #[test]
    fn shared_accounts_are_not_for_logging_in() {
        for (name, tacacs) in [("tacacs15", false), ("tacacs0", false), ("tacacs16", true)] {
            let standing = who_is(name, &config(Mode::Shared, Case::Lower), &passwd());
            assert_eq!(
                matches!(standing, Standing::Tacacs { .. }),
                tacacs,
                "{name}"
            );
        }
    }
}
