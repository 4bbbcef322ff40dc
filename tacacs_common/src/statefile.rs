//! Small files that root's processes share: hold-down, session records, the
//! accounting spool.
//!
//! Owns how such a file is trusted, read, replaced and locked. Must never follow
//! a symbolic link at a name it was given, wait without a limit (the caller may
//! be sshd), or leave a half-written file behind a valid name.
//!
//! A file or folder is trusted when nobody but root could have written it. A
//! process that is not root also trusts what it owns itself.

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;
use rustix::process::{Resource, geteuid, getrlimit};

/// Reads a whole file of at most `max_bytes`; `None` if it does not exist.
///
/// A link, a file of the wrong kind, owner, mode or size is an error of kind
/// [`io::ErrorKind::InvalidData`] that says why; most callers take it for absent.
pub fn read(path: &Path, max_bytes: usize) -> io::Result<Option<Vec<u8>>> {
    let (folder, name) = split(path)?;
    let bytes = match Folder::open(folder) {
        Ok(folder) => folder
            .read(name, max_bytes)
            .map_err(|error| at(path, &error))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    Ok(bytes)
}

/// Opens a trusted regular file for reading, with this one descriptor.
pub fn open(path: &Path) -> io::Result<File> {
    open_file(rustix::fs::CWD, path.as_os_str(), OFlags::RDONLY).map_err(|error| at(path, &error))
}

/// Puts a file with these bytes and this mode at `path`: readers see the old file or
/// the new one, also after a power cut. Leaves nothing behind when it fails.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let (folder, name) = split(path)?;
    Folder::open(folder)?
        .replace(name, bytes, mode)
        .map_err(|error| at(path, &error))
}

/// Takes the exclusive lock on the file at `path`, made with mode 0600 if missing.
/// After `wait` it gives up with [`io::ErrorKind::TimedOut`].
pub fn lock(path: &Path, wait: Duration) -> io::Result<Lock> {
    let (folder, name) = split(path)?;
    Folder::open(folder)?
        .lock(name, wait)
        .map_err(|error| at(path, &error))
}

thread_local! {
    /// What is left of the time that this thread may wait for locks; `None`: no limit.
    static PATIENCE: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// From now on this thread waits for locks no longer than this, for all of them together.
///
/// There are several that a login takes, one after the other, and somebody may hold each
/// of them.
pub fn wait_at_most(all: Duration) {
    PATIENCE.set(Some(all));
}

/// An exclusive lock, given back when dropped.
///
/// The lock file is readable by its owner alone: whoever may open it may hold it.
pub struct Lock(File);

impl Lock {
    /// The locked file, for an owner that keeps its data in it.
    pub fn file(&self) -> &File {
        &self.0
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Said aloud, because a copy of the descriptor in a forked child would keep it.
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

/// An open, trusted folder. What happens in it cannot be led astray by a rename of
/// the folders above it.
pub struct Folder(OwnedFd);

impl Folder {
    /// Opens a folder that must be a folder itself, not a link to one.
    pub fn open(path: &Path) -> io::Result<Self> {
        // Without its trailing slash, behind which O_NOFOLLOW would follow a link.
        let path: PathBuf = path.components().collect();
        open_folder(rustix::fs::CWD, path.as_os_str()).map_err(|error| at(&path, &error))
    }

    /// Opens a folder, and makes it first, with exactly this mode, if it is missing.
    pub fn create(path: &Path, mode: u32) -> io::Result<Self> {
        let path: PathBuf = path.components().collect();
        create_folder(rustix::fs::CWD, path.as_os_str(), mode).map_err(|error| at(&path, &error))
    }

    /// Opens the folder `name` in this one.
    pub fn sub(&self, name: &OsStr) -> io::Result<Self> {
        open_folder(&self.0, name)
    }

    /// Opens the folder `name` in this one, and makes it first if it is missing.
    pub fn create_sub(&self, name: &OsStr, mode: u32) -> io::Result<Self> {
        create_folder(&self.0, name, mode)
    }

    /// Whether the folder belongs to this very process's effective user.
    pub fn is_own(&self) -> io::Result<bool> {
        Ok(rustix::fs::fstat(&self.0)?.st_uid == geteuid().as_raw())
    }

    /// As the function [`read`], for a file in this folder.
    pub fn read(&self, name: &OsStr, max_bytes: usize) -> io::Result<Option<Vec<u8>>> {
        let file = match self.open_file(name, OFlags::RDONLY) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        // One byte more than allowed tells a file that is too long from one that fits.
        let bound = u64::try_from(max_bytes).map_or(u64::MAX, |max| max.saturating_add(1));
        file.take(bound).read_to_end(&mut bytes)?;
        if bytes.len() > max_bytes {
            return Err(untrusted(format!("is longer than {max_bytes} bytes")));
        }
        Ok(Some(bytes))
    }

    /// As the function [`replace`], for a file in this folder.
    pub fn replace(&self, name: &OsStr, bytes: &[u8], mode: u32) -> io::Result<()> {
        let (temporary, mut file) = self.temporary(name, mode)?;
        let done = write_durably(&mut file, bytes).and_then(|()| self.publish(&temporary, name));
        if done.is_err() {
            let _ = self.remove(&temporary);
        }
        // Nothing depends on it, and there is a next time.
        let _ = self.sweep(&is_temporary);
        done
    }

    /// Puts a file with these bytes and this mode at a name that must not exist yet:
    /// readers see all of it or nothing. Leaves nothing behind when it fails.
    pub fn put_new(&self, name: &OsStr, bytes: &[u8], mode: u32) -> io::Result<()> {
        let (temporary, mut file) = self.temporary(name, mode)?;
        let done = write_durably(&mut file, bytes)
            .and_then(|()| self.move_to(&temporary, self, name))
            .and_then(|()| self.sync());
        if done.is_err() {
            let _ = self.remove(&temporary);
        }
        let _ = self.sweep(&is_temporary);
        done
    }

    /// As the function [`lock`], for a file in this folder.
    pub fn lock(&self, name: &OsStr, wait: Duration) -> io::Result<Lock> {
        let file = self.open_file(name, OFlags::RDWR | OFlags::CREATE)?;
        let patience = PATIENCE.get();
        let wait = patience.map_or(wait, |left| wait.min(left));
        let start = Instant::now();
        let taken = loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) if start.elapsed() < wait => sleep(Duration::from_millis(1)),
                Err(Errno::WOULDBLOCK) => {
                    break Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        "is locked by another process",
                    ));
                }
                Err(errno) => break Err(errno.into()),
            }
        };
        PATIENCE.set(patience.map(|left| left.saturating_sub(start.elapsed())));
        taken.map(|()| Lock(file))
    }

    /// Makes an empty file that must not exist yet, with exactly this mode.
    pub fn create_file(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.0, name, flags, Mode::from_raw_mode(0o600))?;
        if let Err(errno) = rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)) {
            let _ = self.remove(name);
            return Err(errno.into());
        }
        Ok(file.into())
    }

    /// Makes an empty file that must not exist yet, for a writer that may be killed: it
    /// is locked for as long as the result is open, which tells [`sweep`](Self::sweep)
    /// that its writer lives.
    pub fn create_temporary(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        let file = self.create_file(name, mode)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if rustix::fs::fstat(&file)?.st_nlink > 0 => Ok(file),
            // Somebody who swept was here first, before the lock was taken.
            Ok(()) | Err(Errno::WOULDBLOCK) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(errno) => {
                let _ = self.remove(name);
                Err(errno.into())
            }
        }
    }

    /// A temporary file for what will be `name`, and its own name.
    fn temporary(&self, name: &OsStr, mode: u32) -> io::Result<(OsString, File)> {
        let mut tries = 8;
        loop {
            let temporary = temporary_name(name)?;
            match self.create_temporary(&temporary, mode) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries > 0 => {
                    tries -= 1;
                }
                made => return made.map(|file| (temporary, file)),
            }
        }
    }

    /// Removes the [temporary files](Self::create_temporary) that writers left which
    /// were killed: those with such a name that nobody has locked. Looks at a bounded
    /// number of them, takes no lock that is waited for, and answers how many it removed.
    pub fn sweep(&self, is_temporary: &dyn Fn(&[u8]) -> bool) -> io::Result<usize> {
        let mut found: Vec<OsString> = Vec::new();
        self.names(&mut |name| {
            if found.len() < SWEPT && is_temporary(name) {
                found.push(OsStr::from_bytes(name).to_owned());
            }
        })?;
        let dead = found.iter().filter(|name| {
            let file = self.open_file(name, OFlags::RDONLY);
            file.is_ok_and(|file| {
                // Kept until the name is gone: a writer that has just made it must not
                // take it for its own.
                rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
                    // Else somebody has swept it, and the name may be a living writer's.
                    && rustix::fs::fstat(&file).is_ok_and(|stat| stat.st_nlink > 0)
                    && self.remove(name).is_ok()
            })
        });
        Ok(dead.count())
    }

    /// Opens a trusted regular file.
    pub fn open_file(&self, name: &OsStr, flags: OFlags) -> io::Result<File> {
        open_file(&self.0, name, flags)
    }

    /// Gives a finished file its name and waits until the name is on the disk.
    pub fn publish(&self, temporary: &OsStr, name: &OsStr) -> io::Result<()> {
        rustix::fs::renameat(&self.0, temporary, &self.0, name)?;
        self.sync()
    }

    /// Moves a file to a name, in this folder or another one of its file system, which
    /// must not exist yet.
    pub fn move_to(&self, name: &OsStr, target: &Self, new: &OsStr) -> io::Result<()> {
        let flags = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(&self.0, name, &target.0, new, flags) {
            // A file system without it.
            Err(Errno::INVAL | Errno::NOSYS) => {
                rustix::fs::linkat(&self.0, name, &target.0, new, AtFlags::empty())?;
                self.remove(name)
            }
            done => Ok(done?),
        }
    }

    /// Waits until the names in the folder are on the disk.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.0)?)
    }

    /// Removes a file.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Calls `each` with every name in the folder, in no order.
    pub fn names(&self, each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let mut entries = rustix::fs::Dir::read_from(&self.0)?;
        while let Some(entry) = entries.read() {
            each(entry?.file_name().to_bytes());
        }
        Ok(())
    }
}

/// Writes the bytes and waits until they are on the disk.
pub fn write_durably(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    check_size_limit(bytes.len())?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Whether this process may write files of `length` bytes at all.
///
/// A setuid program inherits its caller's limits, and writing past this one does not
/// fail: it kills the process (SIGXFSZ).
pub(crate) fn check_size_limit(length: usize) -> io::Result<()> {
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    match getrlimit(Resource::Fsize).current {
        Some(limit) if limit < length => Err(Errno::FBIG.into()),
        _ => Ok(()),
    }
}

/// Whether an error is a shortage that whoever started this program may have made: by
/// the limits that a setuid program inherits, or by a quota of its group.
pub fn is_shortage(error: &io::Error) -> bool {
    let place = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Place>());
    let errno = error
        .raw_os_error()
        .or_else(|| place.and_then(|place| place.errno));
    let shortages = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOMEM,
        Errno::NOBUFS,
        Errno::AGAIN,
        Errno::FBIG,
        Errno::DQUOT,
    ];
    errno.is_some_and(|errno| shortages.iter().any(|known| known.raw_os_error() == errno))
}

/// An error of the system with its place.
#[derive(Debug)]
struct Place {
    text: String,
    errno: Option<i32>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Place {}

/// The same error, saying where.
pub(crate) fn at(path: &Path, error: &io::Error) -> io::Error {
    let place = Place {
        text: format!("{}: {error}", path.display()),
        errno: error.raw_os_error(),
    };
    io::Error::new(error.kind(), place)
}

/// How many temporary files one [`Folder::sweep`] looks at.
const SWEPT: usize = 256;

/// The name of a file that will be `name`: `.NAME.` and 16 digits.
fn temporary_name(name: &OsStr) -> io::Result<OsString> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{:016x}", u64::from_ne_bytes(random)));
    Ok(temporary)
}

fn is_temporary(name: &[u8]) -> bool {
    let Some((head, digits)) = name.split_last_chunk::<16>() else {
        return false;
    };
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    head.len() > 2 && head.starts_with(b".") && head.ends_with(b".") && digits.iter().all(is_digit)
}

/// The folder and the name in it.
pub(crate) fn split(path: &Path) -> io::Result<(&Path, &OsStr)> {
    let name = path.file_name().ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{}: is not the path of a file", path.display()),
        )
    })?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => Ok((folder, name)),
        _ => Ok((Path::new("."), name)),
    }
}

fn open_file(parent: impl AsFd, name: &OsStr, flags: OFlags) -> io::Result<File> {
    // NONBLOCK: a FIFO put at this name must not stop the caller.
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    match rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o600)) {
        Ok(file) => {
            check(&rustix::fs::fstat(&file)?, FileType::RegularFile)?;
            Ok(file.into())
        }
        Err(Errno::LOOP) => Err(untrusted("is a symbolic link")),
        Err(Errno::NXIO | Errno::ISDIR) => Err(untrusted("is not a regular file")),
        Err(errno) => Err(errno.into()),
    }
}

fn open_folder(parent: impl AsFd, name: &OsStr) -> io::Result<Folder> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(parent, name, flags, Mode::empty()) {
        Ok(folder) => {
            check(&rustix::fs::fstat(&folder)?, FileType::Directory)?;
            Ok(Folder(folder))
        }
        Err(Errno::NOTDIR | Errno::LOOP) => Err(untrusted("is not a directory, or a link to one")),
        Err(errno) => Err(errno.into()),
    }
}

fn create_folder(parent: impl AsFd, name: &OsStr, mode: u32) -> io::Result<Folder> {
    match rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o700)) {
        Ok(()) => {
            let folder = open_folder(parent, name)?;
            // The umask had its say in mkdir; here it has none.
            rustix::fs::fchmod(&folder.0, Mode::from_raw_mode(mode))?;
            Ok(folder)
        }
        Err(Errno::EXIST) => open_folder(parent, name),
        Err(errno) => Err(errno.into()),
    }
}

fn check(stat: &Stat, kind: FileType) -> io::Result<()> {
    let euid = geteuid().as_raw();
    if FileType::from_raw_mode(stat.st_mode) != kind {
        return Err(untrusted("is not a regular file"));
    }
    if stat.st_uid != 0 && stat.st_uid != euid {
        let uid = stat.st_uid;
        return Err(untrusted(format!("belongs to uid {uid}; give it to root")));
    }
    if stat.st_mode & 0o022 != 0 {
        return Err(untrusted(
            "can be written by others; remove their write permission",
        ));
    }
    Ok(())
}

fn untrusted(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}
