//! Opening configuration and secret files.
//!
//! Owns who may own such a file, who may write or read it, and how large it
//! may be. Every check is made on the opened descriptor, so that what was
//! checked is what is read.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, Stat};
use zeroize::Zeroizing;

use super::check::MIN_SECRET;
use super::error::{Error, Place};
use super::types::{SecretFile, UidKey};
use crate::secret::Secret;

/// No sensible configuration is larger; without a limit a link to a disk
/// would fill the memory of sshd.
const MAX_CONFIG: usize = 1 << 20;
/// As for configurations.
const MAX_SECRET_FILE: usize = 4096;

/// A configuration file's bytes, wiped on drop: there may be secrets in it.
pub(super) struct Loaded {
    pub(super) bytes: Secret,
    /// Device and inode.
    pub(super) id: (u64, u64),
    /// Permission bits.
    pub(super) mode: u32,
}

impl Loaded {
    /// A file without a line, which nobody else can read.
    pub(super) fn empty() -> Self {
        Self {
            bytes: Secret::new(Vec::new()),
            id: (0, 0),
            mode: 0o600,
        }
    }
}

/// Why a file is not read.
pub(super) enum Refusal {
    /// It is not there. The text does not name it.
    Missing(String),
    /// It could not be opened. The text does not name it.
    Unopened(String),
    /// It was opened and its owner, mode, kind or size is wrong.
    Bad(String),
}

/// Reads a configuration file.
pub(super) fn load(path: &Path) -> Result<Loaded, Refusal> {
    let (file, stat) = open(path, OFlags::empty())?;
    let mode = stat.st_mode & 0o7777;
    if mode & 0o022 != 0 {
        return Err(bad(
            path,
            &format!("others can write to it (mode {mode:04o}): chmod go-w"),
        ));
    }
    let bytes = read(file, &stat, MAX_CONFIG)?;
    Ok(Loaded {
        bytes,
        id: (stat.st_dev, stat.st_ino),
        mode,
    })
}

/// Reads a `secret_file`.
pub(super) fn read_secret(asked: &SecretFile) -> Result<Secret, Error> {
    let path = asked.path.as_path();
    let whole = private(
        path,
        "secret_file",
        0o137,
        "0600, or 0640 for a group,",
        &asked.place,
    )?;
    let secret = one_line(whole.expose());
    let wrong = |text: &str| Error::one(Place::path(path), text);
    if secret.is_empty() {
        return Err(wrong(
            "the secret_file is empty: write the secret into it, on one line",
        ));
    }
    if secret.iter().any(|byte| matches!(byte, b'\n' | 0)) {
        return Err(wrong(
            "the secret_file holds more than one line: write the secret alone",
        ));
    }
    if secret.len() < MIN_SECRET && !asked.weak {
        return Err(wrong(&super::check::short_secret(secret.len())));
    }
    Ok(Secret::from_slice(secret))
}

/// Reads a `uid_key_file`.
pub(super) fn read_uid_key(path: &Path) -> Result<UidKey, Error> {
    let whole = private(path, "uid_key_file", 0o177, "0600", &Place::path(path))?;
    let mut key = UidKey(Zeroizing::new([0; 16]));
    let digits = one_line(whole.expose());
    let pairs = digits.chunks_exact(2).map(|pair| {
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        let (high, low) = (digit(pair.first()?)?, digit(pair.get(1)?)?);
        u8::try_from(high.checked_mul(16)?.checked_add(low)?).ok()
    });
    let mut good = digits.len() == 32;
    for (place, byte) in key.0.iter_mut().zip(pairs) {
        good &= byte.is_some();
        *place = byte.unwrap_or_default();
    }
    if good {
        return Ok(key);
    }
    Err(Error::one(
        Place::path(path),
        "the uid_key_file holds no key: write 32 hexadecimal digits, as 'openssl rand -hex 16' makes them, the same on every host",
    ))
}

/// The bytes of a file that nobody but those whom `mode` allows can read, which `place`
/// asks for as `what`.
fn private(
    path: &Path,
    what: &str,
    never: u32,
    mode: &str,
    place: &Place,
) -> Result<Secret, Error> {
    let refused = |refusal| match refusal {
        Refusal::Missing(text) | Refusal::Unopened(text) => Error::one(
            place.clone(),
            format!("the {what} {} {text}", path.display()),
        ),
        Refusal::Bad(text) => Error::one(Place::path(path), text),
    };
    // A link may be turned to another file by whoever owns its folder.
    let (file, stat) = open(path, OFlags::NOFOLLOW).map_err(refused)?;
    let bits = stat.st_mode & 0o7777;
    if bits & never != 0 {
        let text = format!("too many can use this {what} (mode {bits:04o}): chmod {mode}");
        return Err(refused(bad(path, &text)));
    }
    read(file, &stat, MAX_SECRET_FILE).map_err(refused)
}

/// The bytes without one line end.
fn one_line(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

/// Opens a regular file that root, or whoever runs this process, owns.
fn open(path: &Path, more: OFlags) -> Result<(File, Stat), Refusal> {
    // NONBLOCK: a FIFO at this place must not stop a login.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY | more;
    let descriptor = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| match errno {
        rustix::io::Errno::NOENT => Refusal::Missing("does not exist".to_owned()),
        rustix::io::Errno::LOOP if more.contains(OFlags::NOFOLLOW) => {
            Refusal::Unopened("is a symbolic link: name the file itself".to_owned())
        }
        errno => Refusal::Unopened(format!("cannot be opened: {errno}")),
    })?;
    let stat = rustix::fs::fstat(&descriptor)
        .map_err(|errno| Refusal::Unopened(format!("cannot be examined: {errno}")))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Refusal::Bad("this is not a regular file".to_owned()));
    }
    if stat.st_uid != 0 && stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(bad(
            path,
            &format!("it belongs to uid {}: chown root", stat.st_uid),
        ));
    }
    Ok((File::from(descriptor), stat))
}

/// Reads at most `limit` bytes, into a buffer that never moves: a copy left
/// behind by growing would not be wiped.
fn read(file: File, stat: &Stat, limit: usize) -> Result<Secret, Refusal> {
    let size = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
    if size > limit {
        return Err(Refusal::Bad(format!("it is larger than {limit} bytes")));
    }
    let most = size.saturating_add(1);
    // With less than 32 bytes of room, read_to_end reads into a buffer on the stack.
    let mut bytes = Vec::with_capacity(most.saturating_add(32));
    let result = file.take(most as u64).read_to_end(&mut bytes);
    let bytes = Secret::new(bytes);
    match result {
        Err(error) => Err(Refusal::Bad(format!("it cannot be read: {error}"))),
        Ok(length) if length != size => Err(Refusal::Bad(
            "it changed while it was read: try again".to_owned(),
        )),
        Ok(_) => Ok(bytes),
    }
}

/// A refusal that ends in a command, which needs the file's name.
fn bad(path: &Path, text: &str) -> Refusal {
    Refusal::Bad(format!("{text} {}", path.display()))
}
