//! Password files: lines as in passwd(5).
//!
//! Owns reading them and changing one password in them. Never writes the host's
//! own `/etc/passwd` or `/etc/shadow`, and never leaves a file half written: a
//! change is a new file under the old name.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use tacacs_common::secret::Secret;
use zeroize::Zeroizing;

use crate::policy::values::Date;
use crate::policy::{Changed, Checked};
use crate::sys::crypt;

const SYSTEM: &str = "/etc/passwd";
const SHADOW: &str = "/etc/shadow";
/// Larger is no password file.
const LARGEST: u64 = 256 * 1024 * 1024;
/// How long another change may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a file says about a user.
struct Entry {
    hash: Secret,
    expires: Option<Date>,
}

/// Whether this is a user's password. A user who is not in the file costs as much
/// time as one who is.
pub(super) fn verify(path: &Path, user: &[u8], password: &Secret) -> io::Result<Checked> {
    let text = read(path)?;
    let own = line_of(&text, user);
    let (entry, decoy) = if path == Path::new(SYSTEM) {
        let shadow = read(Path::new(SHADOW))?;
        let entry = own.map(|line| match field(line, 1) {
            b"x" => line_of(&shadow, user).map_or_else(Entry::none, Entry::of_shadow),
            _ => Entry::of_passwd(line),
        });
        (entry, some_hash(&shadow))
    } else {
        (own.map(Entry::of_passwd), some_hash(&text))
    };
    let Some(Entry { hash, expires }) = entry else {
        crypt::verify(password.expose(), decoy.expose());
        return Ok(Checked::Unknown);
    };
    Ok(if crypt::verify(password.expose(), hash.expose()) {
        Checked::RightUntil(expires)
    } else {
        Checked::Wrong
    })
}

impl Entry {
    /// Nobody's password.
    fn none() -> Self {
        Self {
            hash: Secret::from_slice(b"*"),
            expires: None,
        }
    }

    /// The shell's place holds the first day on which nobody gets in, unless it is a
    /// path. What is neither lets nobody in.
    fn of_passwd(line: &[u8]) -> Self {
        let expires = match field(line, 6) {
            [] | [b'/', ..] => None,
            day => Some(Date::parse(day).unwrap_or(Date::NEVER)),
        };
        Self {
            hash: Secret::from_slice(field(line, 1)),
            expires,
        }
    }

    /// As shadow(5): days since 1970.
    fn of_shadow(line: &[u8]) -> Self {
        let expires = match field(line, 7) {
            b"" | b"-1" => None,
            days => {
                let days = std::str::from_utf8(days)
                    .ok()
                    .and_then(|days| days.parse().ok());
                Some(days.map_or(Date::NEVER, Date::from_days))
            }
        };
        Self {
            hash: Secret::from_slice(field(line, 1)),
            expires,
        }
    }
}

/// Whether the host keeps its own users there.
pub(super) fn is_the_hosts(path: &Path) -> bool {
    [SYSTEM, SHADOW].iter().any(|own| path == Path::new(own))
}

/// Reads what [`verify`] would; the error names the file.
pub(super) fn try_read(path: &Path) -> Result<(), (&Path, io::Error)> {
    let shadow = (path == Path::new(SYSTEM)).then_some(Path::new(SHADOW));
    for path in [Some(path), shadow].into_iter().flatten() {
        read(path).map_err(|error| (path, error))?;
    }
    Ok(())
}

/// Puts a new password in the place of the old one, if that is right.
pub(super) fn change(path: &Path, user: &[u8], old: &Secret, new: &Secret) -> io::Result<Changed> {
    // A symbolic link stays one: what it leads to is replaced.
    let path = path.canonicalize()?;
    if is_the_hosts(&path) {
        return Ok(Changed::NotHere);
    }
    let folder = File::open(path.parent().unwrap_or(Path::new("/")))?;
    // On the folder, because the file itself is another one afterwards.
    lock(&folder)?;
    let text = read(&path)?;
    let Some(line) = line_of(&text, user) else {
        return Ok(Changed::Wrong);
    };
    let hash = field(line, 1);
    if !crypt::verify(old.expose(), hash) {
        return Ok(Changed::Wrong);
    }
    let hash = crypt::hash(new.expose(), hash)
        .ok_or_else(|| io::Error::other("libcrypt makes no hash of the new password"))?;
    let mut fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
    if let Some(field) = fields.get_mut(1) {
        *field = hash.expose();
    }
    let mut lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    let changed = Zeroizing::new(fields.join(&b':'));
    for other in &mut lines {
        if std::ptr::eq(*other, line) {
            *other = &changed;
        }
    }
    replace(&path, &Zeroizing::new(lines.join(&b'\n')))?;
    folder.sync_all()?;
    Ok(Changed::Done)
}

/// The new text under the old name, with the old owner and mode, or no change.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = path.with_file_name(name);
    // Under the lock, so this is what an earlier change left that was stopped.
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written =
        write_like(path, &temporary, text).and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        // Whether or not there is one: the error that counts is the first.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

fn write_like(model: &Path, path: &Path, text: &[u8]) -> io::Result<()> {
    let model = std::fs::metadata(model)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text)?;
    let made = file.metadata()?;
    if (made.uid(), made.gid()) != (model.uid(), model.gid()) {
        std::os::unix::fs::fchown(&file, Some(model.uid()), Some(model.gid()))?;
    }
    file.set_permissions(std::fs::Permissions::from_mode(model.mode() & 0o7777))?;
    file.sync_all()
}

fn lock(folder: &File) -> io::Result<()> {
    let end = Instant::now() + PATIENCE;
    loop {
        match rustix::fs::flock(folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = OpenOptions::new()
        .read(true)
        // A pipe in its place is an error and not a wait.
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return Err(io::Error::other("not a password file"));
    }
    let size = usize::try_from(metadata.len()).unwrap_or(0);
    let mut text = Zeroizing::new(Vec::with_capacity(size.saturating_add(1)));
    file.take(LARGEST).read_to_end(&mut text)?;
    Ok(text)
}

/// The first line of this user, as everybody who reads such files takes it: there is
/// no colon in a name, and what begins like these is a note, or speaks of other sources.
fn line_of<'t>(text: &'t [u8], user: &[u8]) -> Option<&'t [u8]> {
    if matches!(user, [] | [b'#' | b'+' | b'-', ..]) || user.contains(&b':') {
        return None;
    }
    let mut lines = text.split(|byte| *byte == b'\n');
    lines.find(|line| {
        let rest = line.strip_prefix(user);
        rest.is_some_and(|rest| rest.starts_with(b":"))
    })
}

fn field(line: &[u8], at: usize) -> &[u8] {
    line.split(|byte| *byte == b':').nth(at).unwrap_or_default()
}

/// A hash of the file's kind, for those who are not in it.
fn some_hash(text: &[u8]) -> Secret {
    let mut lines = text.split(|byte| *byte == b'\n');
    let hash = lines.find_map(|line| Some(field(line, 1)).filter(|hash| hash.len() > 12));
    Secret::from_slice(hash.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const HASH: &str = "$1$saltsalt$stoYjH/9M8w1dr62o05Hz.";

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passwd");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    fn secret(text: &str) -> Secret {
        Secret::from_slice(text.as_bytes())
    }

    #[test]
    fn the_shells_place_holds_the_day_of_expiry_unless_it_is_a_path() {
        for (shell, expected) in [
            (":/bin/sh", None),
            (":", None),
            ("", None),
            (":Jan 1 2037", Date::parse(b"Jan 1 2037")),
            (":whenever", Some(Date::NEVER)),
        ] {
            let (_folder, path) = file(&format!("bob:*:1:1::/\nalice:{HASH}:1:1:Alice:/{shell}\n"));
            let verdict = verify(&path, b"alice", &secret("a password")).unwrap();
            assert_eq!(verdict, Checked::RightUntil(expected), "{shell}");
        }
    }

    #[test]
    fn a_wrong_password_a_locked_one_and_an_unknown_user_do_not_pass() {
        let (_folder, path) = file(&format!(
            "alice:{HASH}:1:1:::\nbob:!{HASH}:1:1:::\ncarol::1:1:::\n"
        ));
        for (user, password, expected) in [
            ("alice", "another", Checked::Wrong),
            ("bob", "a password", Checked::Wrong),
            ("carol", "", Checked::Wrong),
            ("alic", "a password", Checked::Unknown),
            ("", "a password", Checked::Unknown),
            ("alice:x", "a password", Checked::Unknown),
        ] {
            let verdict = verify(&path, user.as_bytes(), &secret(password)).unwrap();
            assert_eq!(verdict, expected, "{user}");
        }
    }

    #[test]
    fn shadow_counts_its_expiry_in_days() {
        for (days, expected) in [
            ("", None),
            ("20000", Some(Date::from_days(20_000))),
            ("soon", Some(Date::NEVER)),
        ] {
            let line = format!("alice:{HASH}:19000:0:99999:7::{days}:");
            assert_eq!(Entry::of_shadow(line.as_bytes()).expires, expected);
        }
    }

    #[test]
    fn a_change_replaces_one_hash_and_keeps_everything_else() {
        let (folder, path) = file(&format!(
            "# note\nalice:{HASH}:1:1:Alice:/:Jan 1 2037\nbob:x:2:2:::\n"
        ));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let change = |old: &str| change(&link, b"alice", &secret(old), &secret("new one")).unwrap();
        assert_eq!(change("not it"), Changed::Wrong);
        assert_eq!(change("a password"), Changed::Done);
        assert_eq!(change("a password"), Changed::Wrong, "it is no longer that");
        let expires = Date::parse(b"Jan 1 2037");
        assert_eq!(
            verify(&path, b"alice", &secret("new one")).unwrap(),
            Checked::RightUntil(expires)
        );
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.split('\n').collect();
        assert_eq!(
            [lines[0], lines[2], lines[3]],
            ["# note", "bob:x:2:2:::", ""]
        );
        assert!(lines[1].ends_with(":1:1:Alice:/:Jan 1 2037"), "{text}");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert!(link.is_symlink());
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            2,
            "nothing is left over"
        );
    }

    #[test]
    fn the_hosts_own_files_are_never_changed() {
        let changed = change(Path::new(SYSTEM), b"root", &secret("x"), &secret("y"));
        assert_eq!(changed.unwrap(), Changed::NotHere);
    }
}
