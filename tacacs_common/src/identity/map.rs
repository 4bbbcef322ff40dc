//! From a name and a level to an account of this host. Pure: what it asks the store
//! is the same on every call until somebody writes.
//!
//! The uid of a name is `first + hash(name) mod size` of `uid_range`, where the hash
//! is FNV-1a of 64 bits over the bytes of the name: from 0xcbf29ce484222325, each byte
//! is xored in and the result multiplied by 0x100000001b3, modulo 2^64. With a
//! `uid_key_file` it is SipHash-2-4 over the same bytes: whoever may choose names cannot
//! choose two that meet. So a user has the same uid on every host of the same `uid_range`
//! and key. This must never change: files all over the network would change their owner.

use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use siphasher::sip::SipHasher24;

use super::{Entry, NOLOGIN, Refusal, State, Store, StoreError, line, name};
use crate::config::{Error, Mapping, Mode};
use crate::packet::Arguments;

/// Why a name gets no account.
#[derive(Debug)]
pub enum Unmapped {
    /// It is not a name that this host gives to users.
    Name,
    /// Users of mode local have the account of `/etc/passwd`.
    Local,
    /// The uid that goes with the name is another's.
    #[allow(missing_docs)]
    Collision {
        name: String,
        uid: u32,
        owner: String,
    },
    /// Lookups answer with this uid, which is none of ours.
    Elsewhere(u32),
    /// No lookup finds the user, whom the store has.
    Unseen,
    /// A lookup failed, which is not to find nobody.
    Lookup(io::Error),
    /// A file of the host that would have to be asked.
    Unread(PathBuf, io::Error),
    /// The key by which names give uids cannot be read.
    Key(Error),
    /// The configured home or shell cannot stand in a passwd entry.
    Unwritable,
    /// The server approved without saying a level.
    NoLevel,
    /// The store refuses the entry.
    Refused(Refusal),
    /// The store cannot say, or cannot be written.
    Store(StoreError),
}

impl std::fmt::Display for Unmapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name => f.write_str("it is not a name that this host gives to users: lower-case letters, digits, _ - and ., not a number, 32 bytes at most; upper case with 'case = keep'"),
            Self::Local => f.write_str("with mode = local users are those of /etc/passwd"),
            Self::Collision { name, uid, owner } => write!(
                f,
                "uid {uid}, which goes with the name, is that of '{owner}'; choose another with 'tacplus identity add {name} --uid N', the same on every host"
            ),
            Self::Elsewhere(uid) => write!(
                f,
                "another module of nsswitch.conf knows the name, with uid {uid}: the servers have no say over it"
            ),
            Self::Unseen => f.write_str(
                "it is stored here and no lookup finds it: see 'tacplus check', and whether the host is out of descriptors",
            ),
            Self::Lookup(error) => write!(f, "a lookup of the name failed: {error}"),
            Self::Unread(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Key(error) => error.fmt(f),
            Self::Unwritable => {
                f.write_str("its home or shell is not a path that a passwd entry can hold")
            }
            Self::NoLevel => f.write_str(
                "the server gave no priv-lvl, without which nobody gets an account here",
            ),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Unmapped {}

impl From<StoreError> for Unmapped {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Refusal> for Unmapped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What is not left to the mapping: what a server says about an account, as far as the
/// configuration lets it, and what an administrator says on the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Wishes {
    /// The administrator's; never a server's.
    pub uid: Option<u32>,
    pub gecos: Option<String>,
    pub home: Option<String>,
    pub shell: Option<String>,
}

/// What a name with this level is on this host, without its supplementary groups.
///
/// # Errors
/// Why it gets no account.
pub fn plan(
    mapping: &Mapping,
    store: &Store,
    user: &str,
    level: u8,
    wishes: &Wishes,
) -> Result<Entry, Unmapped> {
    named(mapping, user)?;
    let uid = match mapping.mode {
        Mode::Unique => uid_of(mapping, store, user, wishes.uid)?,
        Mode::Shared | Mode::Local => account(mapping, store, level)?.uid,
    };
    let home = mapping.home.replace("%u", user);
    let shell = mapping.shell.to_string_lossy().into_owned();
    if !(line::is_path(&home) && line::is_path(&shell)) {
        return Err(Unmapped::Unwritable);
    }
    Ok(Entry {
        name: user.to_owned(),
        uid,
        gid: uid,
        gecos: wishes.gecos.clone().unwrap_or_default(),
        home: wishes.home.clone().unwrap_or(home),
        shell: wishes.shell.clone().unwrap_or(shell),
        groups: Vec::new(),
        level,
        learned: 0,
        changed: 0,
        state: State::Active,
    })
}

/// What a name is before any server was asked about it (`unknown = allocate`): an
/// account of the lowest level.
///
/// # Errors
/// Why it gets no account.
pub fn allocate(mapping: &Mapping, store: &Store, user: &str) -> Result<Entry, Unmapped> {
    plan(mapping, store, user, 0, &Wishes::default())
}

/// Whether the mode and its rules of names give this name an account.
///
/// # Errors
/// Why they do not.
pub fn named(mapping: &Mapping, user: &str) -> Result<(), Unmapped> {
    let shared = mapping.mode == Mode::Shared;
    if mapping.mode == Mode::Local {
        return Err(Unmapped::Local);
    }
    if !name::is_name(user, mapping.case)
        || (shared && name::is_shared_account(user, &mapping.user_prefix))
    {
        return Err(Unmapped::Name);
    }
    Ok(())
}

/// The account that users of this level share.
///
/// # Errors
/// Its uid is another's, or the store cannot say.
pub fn account(mapping: &Mapping, store: &Store, level: u8) -> Result<Entry, Unmapped> {
    account_with_uid(mapping, store, level, None)
}

/// The same, with the uid that an administrator chose, if one did.
///
/// # Errors
/// As for [`account`].
pub fn account_with_uid(
    mapping: &Mapping,
    store: &Store,
    level: u8,
    uid: Option<u32>,
) -> Result<Entry, Unmapped> {
    let name = format!("{}{level}", mapping.user_prefix);
    let uid = uid_of(mapping, store, &name, uid)?;
    Ok(Entry {
        name,
        uid,
        gid: uid,
        gecos: String::new(),
        home: "/nonexistent".to_owned(),
        shell: NOLOGIN.to_owned(),
        groups: Vec::new(),
        level,
        learned: 0,
        changed: 0,
        state: State::Shared,
    })
}

/// The names of the supplementary groups of a level: those of the nearest level at or
/// below that has any.
pub fn group_names(mapping: &Mapping, level: u8) -> &[String] {
    let nearest = mapping.groups.range(..=level).next_back();
    nearest.map_or(&[], |(_, names)| names)
}

/// The uid that is the name's own: the one that was chosen for it, else the one that it
/// has or had, else the hashed one if nobody else has or had it.
fn uid_of(
    mapping: &Mapping,
    store: &Store,
    name: &str,
    chosen: Option<u32>,
) -> Result<u32, Unmapped> {
    if let Some(uid) = chosen {
        return Ok(uid);
    }
    for entry in store.all_of(name.as_bytes())? {
        let owner = store.owner(entry.uid)?;
        if owner.is_some_and(|owner| owner.name == name) {
            return Ok(entry.uid);
        }
    }
    let uid = given_uid(mapping, name)?;
    match store.owner(uid)? {
        Some(owner) if owner.name != name => Err(Unmapped::Collision {
            name: name.to_owned(),
            uid,
            owner: owner.name,
        }),
        _ => Ok(uid),
    }
}

/// The uid that goes with a name, whoever has it.
///
/// # Errors
/// The key that it takes cannot be read.
pub fn given_uid(mapping: &Mapping, name: &str) -> Result<u32, Unmapped> {
    let key = mapping.uid_key().map_err(Unmapped::Key)?;
    let hash = match key {
        Some(key) => SipHasher24::new_with_key(&key.0).hash(name.as_bytes()),
        None => hash(name.as_bytes()),
    };
    Ok(within(&mapping.uid_range, hash))
}

/// The same where there is no key.
pub fn hashed_uid(name: &str, range: &RangeInclusive<u32>) -> u32 {
    within(range, hash(name.as_bytes()))
}

fn within(range: &RangeInclusive<u32>, hash: u64) -> u32 {
    let (first, last) = (*range.start(), *range.end());
    let size = u64::from(last.saturating_sub(first)).saturating_add(1);
    let step = hash.checked_rem(size).unwrap_or(0);
    first.saturating_add(u32::try_from(step).unwrap_or(0))
}

/// FNV-1a, 64 bits.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl Wishes {
    /// Takes what the configuration names out of an approval's arguments. What a passwd
    /// entry or `shells` (whether `/etc/shells` lists it) does not allow is left out.
    ///
    /// # Errors
    /// What `shells` answers.
    pub fn read<E>(
        mapping: &Mapping,
        args: Arguments<'_>,
        shells: &dyn Fn(&str) -> Result<bool, E>,
    ) -> Result<Self, E> {
        let value = |name: &Option<String>, good: fn(&str) -> bool| {
            let name = name.as_deref()?;
            let mut named = args.parsed().flatten();
            // The first one of a name counts.
            let argument = named.find(|argument| argument.name == name.as_bytes())?;
            let text = str::from_utf8(argument.value).ok()?;
            good(text).then(|| text.to_owned())
        };
        let shell = match value(&mapping.shell_attribute, line::is_path) {
            Some(shell) if shells(&shell)? => Some(shell),
            _ => None,
        };
        Ok(Self {
            uid: None,
            gecos: value(&mapping.gecos_attribute, line::is_text),
            home: value(&mapping.home_attribute, line::is_path),
            shell,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::ArgumentsBuf;

    const RANGE: RangeInclusive<u32> = 2_010_000_000..=2_146_999_999;

    fn empty() -> Store {
        Store::open(std::path::Path::new("/nonexistent/identity")).unwrap()
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        // From the definition's own test vectors.
        for (text, hash_of) in [
            ("", 0xcbf2_9ce4_8422_2325),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
        ] {
            assert_eq!(hash(text.as_bytes()), hash_of, "{text}");
        }
    }

    #[test]
    fn a_uid_is_the_same_on_every_host_for_ever() {
        for (name, uid) in [("alice", ALICE), ("bob", BOB), ("tacacs15", TACACS15)] {
            assert_eq!(hashed_uid(name, &RANGE), uid, "{name}");
        }
        assert_eq!(hashed_uid("alice", &(5000..=5000)), 5000);
    }

    #[test]
    fn with_a_key_the_hash_is_siphash_2_4() {
        use std::os::unix::fs::PermissionsExt;
        let file = tempfile::NamedTempFile::new().unwrap();
        let put = |text: &str, mode| {
            std::fs::write(file.path(), text).unwrap();
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(file.path(), mode).unwrap();
        };
        let mapping = Mapping {
            uid_key_file: Some(file.path().to_owned()),
            uid_range: RANGE,
            ..Mapping::default()
        };
        put("000102030405060708090a0b0c0d0e0f\n", 0o600);
        // The last of the 64 test vectors of the definition is that of the bytes 0 to 62,
        // the first that of none.
        for (length, hash) in [(0, 0x726f_db47_dd0e_0e31), (63, 0x958a_324c_eb06_4572)] {
            let text = String::from_utf8((0..length).collect()).unwrap();
            assert_eq!(given_uid(&mapping, &text).unwrap(), within(&RANGE, hash));
        }
        let keyed = given_uid(&mapping, "alice").unwrap();
        assert_ne!(keyed, ALICE);
        put("000102030405060708090A0B0C0D0E0F", 0o400);
        assert_eq!(given_uid(&mapping, "alice").unwrap(), keyed);
        for (text, mode) in [
            ("000102030405060708090a0b0c0d0e0f", 0o640),
            ("000102030405060708090a0b0c0d0e", 0o600),
            ("000102030405060708090a0b0c0d0e0f00", 0o600),
            ("0001020304050607+8090a0b0c0d0e0f", 0o600),
            ("", 0o600),
        ] {
            put(text, mode);
            let why = given_uid(&mapping, "alice").unwrap_err();
            assert!(matches!(why, Unmapped::Key(_)), "{text} {mode:o}: {why}");
        }
    }

    const ALICE: u32 = 2_060_266_183;
    const BOB: u32 = 2_064_211_092;
    const TACACS15: u32 = 2_081_609_530;

    #[test]
    fn a_user_has_the_groups_of_the_nearest_level_at_or_below() {
        let mut mapping = Mapping::default();
        mapping.groups.insert(1, vec!["users".to_owned()]);
        mapping.groups.insert(7, vec!["operator".to_owned()]);
        mapping
            .groups
            .insert(15, vec!["sudo".to_owned(), "adm".to_owned()]);
        for (level, names) in [
            (0, &[][..]),
            (1, &["users"][..]),
            (6, &["users"]),
            (7, &["operator"]),
            (14, &["operator"]),
            (15, &["sudo", "adm"]),
        ] {
            assert_eq!(group_names(&mapping, level), names, "{level}");
        }
    }

    #[test]
    fn each_mode_makes_its_own_account() {
        let mut mapping = Mapping::default();
        let wishes = Wishes::default();
        let alice = plan(&mapping, &empty(), "alice", 7, &wishes).unwrap();
        assert_eq!((alice.uid, alice.gid, alice.level), (ALICE, ALICE, 7));
        assert_eq!(
            (alice.home.as_str(), alice.shell.as_str()),
            ("/home/alice", "/bin/bash")
        );
        mapping.mode = Mode::Shared;
        let alice = plan(&mapping, &empty(), "alice", 15, &wishes).unwrap();
        assert_eq!((alice.uid, alice.gid), (TACACS15, TACACS15));
        let account = account(&mapping, &empty(), 15).unwrap();
        assert_eq!((account.name.as_str(), account.uid), ("tacacs15", TACACS15));
        let refused = plan(&mapping, &empty(), "tacacs15", 15, &wishes);
        assert!(matches!(refused, Err(Unmapped::Name)));
        mapping.mode = Mode::Local;
        let refused = plan(&mapping, &empty(), "alice", 15, &wishes);
        assert!(matches!(refused, Err(Unmapped::Local)));
    }

    #[test]
    fn a_server_sets_only_what_is_configured_and_allowed() {
        let mut args = ArgumentsBuf::new();
        for argument in [
            "name=Alice A.",
            "dir=/srv/alice",
            "sh=/bin/zsh",
            "sh=/bin/evil",
        ] {
            args.push_raw(argument.as_bytes()).unwrap();
        }
        let shells = |shell: &str| Ok::<_, ()>(shell == "/bin/zsh");
        let mut mapping = Mapping::default();
        let read = |mapping: &Mapping| Wishes::read(mapping, args.as_arguments(), &shells).unwrap();
        assert_eq!(read(&mapping), Wishes::default());
        mapping.gecos_attribute = Some("name".to_owned());
        mapping.home_attribute = Some("dir".to_owned());
        mapping.shell_attribute = Some("sh".to_owned());
        let text = |text: &str| Some(text.to_owned());
        let expected = Wishes {
            uid: None,
            gecos: text("Alice A."),
            home: text("/srv/alice"),
            shell: text("/bin/zsh"),
        };
        assert_eq!(read(&mapping), expected);
    }

    #[test]
    fn a_servers_home_and_shell_keep_to_the_rules_of_paths_and_shells() {
        let mapping = Mapping {
            gecos_attribute: Some("g".to_owned()),
            home_attribute: Some("h".to_owned()),
            shell_attribute: Some("s".to_owned()),
            ..Mapping::default()
        };
        let shells = |shell: &str| Ok::<_, ()>(shell != "/bin/evil");
        for bad in [
            "g=a:b",
            "h=home",
            "h=/",
            "h=/home/../root",
            "h=/home//a",
            "h=/a:0:0:",
            "h=",
            "s=/bin/evil",
            "s=sh",
            "s=",
            "s=/bin/../bin/sh",
        ] {
            let mut args = ArgumentsBuf::new();
            args.push_raw(bad.as_bytes()).unwrap();
            let wishes = Wishes::read(&mapping, args.as_arguments(), &shells);
            assert_eq!(wishes, Ok(Wishes::default()), "{bad:?}");
        }
    }
}
