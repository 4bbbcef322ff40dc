//! Owners, modes, kinds and sizes of files, and includes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::super::*;
use super::{SECRET, SERVER, listed};

pub(super) fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A folder with `tacplus.conf` and other files of these modes.
fn folder(files: &[(&str, &str, u32)]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text, mode) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write(&path, text, *mode);
    }
    let main = folder.path().join("tacplus.conf");
    (folder, main)
}

/// The problems of a refused file, without the temporary folder's name.
#[track_caller]
fn refused(folder: &TempDir) -> String {
    let error = Config::load(&folder.path().join("tacplus.conf")).expect_err("accepted");
    listed(error).replace(&format!("{}/", folder.path().display()), "")
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn a_file_that_others_can_write_is_refused() {
    let plain = "[global]\nagent = /a\n";
    for mode in [0o600, 0o640, 0o644, 0o444, 0o755] {
        let (_folder, main) = folder(&[("tacplus.conf", plain, mode)]);
        Config::load(&main).unwrap();
    }
    for mode in [0o664, 0o646, 0o620, 0o602, 0o666] {
        let (folder, _) = folder(&[("tacplus.conf", plain, mode)]);
        let said = format!(
            "tacplus.conf: others can write to it (mode {mode:04o}): chmod go-w tacplus.conf\n"
        );
        assert_eq!(refused(&folder), said);
    }
}

#[test]
fn a_file_of_another_user_is_refused() {
    if !is_root() {
        return; // Only root can give files away.
    }
    let (folder, main) = folder(&[("tacplus.conf", "[global]\nagent = /a\n", 0o644)]);
    chown(&main, Some(12345), None).unwrap();
    assert_eq!(
        refused(&folder),
        "tacplus.conf: it belongs to uid 12345: chown root tacplus.conf\n"
    );
}

#[test]
fn an_inline_secret_in_a_readable_file_is_refused() {
    for mode in [0o640, 0o604, 0o644] {
        let (folder, _) = folder(&[("tacplus.conf", SERVER, mode)]);
        let said = format!(
            "tacplus.conf:3: others can read this secret (mode {mode:04o}): chmod 0600 tacplus.conf, or use secret_file\n"
        );
        assert_eq!(refused(&folder), said);
    }
    let (_folder, main) = folder(&[("tacplus.conf", SERVER, 0o600)]);
    assert_eq!(Config::load(&main).unwrap().servers.len(), 1);
}

#[test]
fn what_is_no_file_of_sensible_size_is_refused() {
    let (folder, main) = folder(&[("tacplus.conf", &" ".repeat((1 << 20) + 1), 0o600)]);
    assert_eq!(
        refused(&folder),
        "tacplus.conf: it is larger than 1048576 bytes\n"
    );
    fs::remove_file(&main).unwrap();
    assert_eq!(refused(&folder), "tacplus.conf: does not exist\n");
    fs::create_dir(&main).unwrap();
    assert_eq!(
        refused(&folder),
        "tacplus.conf: this is not a regular file\n"
    );
    fs::remove_dir(&main).unwrap();
    // Nobody writes into this FIFO: opening it must not wait for them.
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &main,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    assert_eq!(
        refused(&folder),
        "tacplus.conf: this is not a regular file\n"
    );
}

#[test]
fn a_file_that_is_not_as_long_as_it_says_is_refused() {
    // The kernel calls this one empty; so does a file look that is being written.
    let error = Config::load("/proc/self/status".as_ref()).unwrap_err();
    let said = "/proc/self/status: it changed while it was read: try again";
    assert_eq!(error.to_string(), said);
}

#[test]
fn included_files_are_read_at_their_place_and_from_their_folder() {
    let (_folder, main) = folder(&[
        (
            "tacplus.conf",
            "include = sub/one.conf\n[server z]\ninclude = sub/secret\naddress = 192.0.2.9\n",
            0o644,
        ),
        (
            "sub/one.conf",
            "timeout = 9\ninclude = old\n[server a]\naddress = 192.0.2.1\ninclude = secret\n",
            0o644,
        ),
        (
            "sub/old",
            "server=192.0.2.5\nsecret=0123456789abcdef\n",
            0o600,
        ),
        ("sub/secret", "secret = fedcba9876543210\n", 0o600),
    ]);
    let config = Config::load(&main).unwrap();
    let names: Vec<&str> = config
        .servers
        .iter()
        .map(|server| server.name.as_str())
        .collect();
    assert_eq!(names, ["192.0.2.5", "a", "z"]);
    assert_eq!(config.global.timeout.as_secs(), 9);
}

#[test]
fn errors_of_included_files_name_them() {
    let (folder, _) = folder(&[
        (
            "tacplus.conf",
            "include = sub/one.conf\ninclude = absent\ninclude = open.conf\n",
            0o644,
        ),
        ("sub/one.conf", "\ntiemout = 9\n", 0o644),
        ("open.conf", "timeout = 9\n", 0o666),
    ]);
    assert_eq!(
        refused(&folder),
        "sub/one.conf:2: unknown key 'tiemout', did you mean 'timeout'?\n\
         tacplus.conf:2: the included file does not exist\n\
         open.conf: others can write to it (mode 0666): chmod go-w open.conf\n"
    );
}

#[test]
fn includes_that_never_end_are_stopped() {
    let (cycle, _) = folder(&[
        ("tacplus.conf", "include = b\n", 0o644),
        ("b", "include = ./tacplus.conf\n", 0o644),
    ]);
    assert_eq!(
        refused(&cycle),
        "b:1: this file is being read already: remove the include\n"
    );
    let names: Vec<String> = (0..12)
        .map(|n| {
            if n == 0 {
                "tacplus.conf".into()
            } else {
                n.to_string()
            }
        })
        .collect();
    // Each file includes the next one twice: 4095 readings if none is refused.
    let texts: Vec<String> = (1..=12)
        .map(|n| format!("include = {n}\ninclude = {n}\n"))
        .collect();
    let files: Vec<_> = names
        .iter()
        .zip(&texts)
        .map(|(name, text)| (name.as_str(), text.as_str(), 0o644))
        .collect();
    let (tree, _) = folder(&files);
    let said = refused(&tree);
    assert!(
        said.starts_with("7:1: too many includes: at most 8 within each other and 64 in all\n"),
        "{said}"
    );
}

/// A server whose secret is in `tacplus.secret`.
fn secret_file(text: &[u8], mode: u32, more: &str) -> (TempDir, PathBuf, Server) {
    let (folder, main) = folder(&[]);
    let path = folder.path().join("tacplus.secret");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    let text = format!(
        "[server a]\naddress = 192.0.2.1\nsecret_file = {}\n{more}",
        path.display()
    );
    write(&main, &text, 0o644);
    let server = Config::load(&main).unwrap().servers.remove(0);
    (folder, path, server)
}

fn refusal(folder: &TempDir, server: &Server) -> String {
    let error = server.secret().err().expect("accepted").to_string();
    error.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn a_secret_file_gives_its_one_line() {
    let line = |end: &str| format!("{SECRET} ; # {end}");
    for (text, mode) in [
        (line(""), 0o600),
        (line("\n"), 0o640),
        (line("\r\n"), 0o400),
    ] {
        let (_folder, _, server) = secret_file(text.as_bytes(), mode, "");
        assert_eq!(
            server.secret().unwrap().unwrap().expose(),
            line("").as_bytes()
        );
    }
    let (_folder, _, server) = secret_file(b"short\n", 0o600, "weak_secret = yes");
    assert_eq!(server.secret().unwrap().unwrap().expose(), b"short");
}

#[test]
fn a_secret_file_that_too_many_can_use_is_refused() {
    for mode in [0o644, 0o604, 0o660, 0o620, 0o602, 0o700, 0o666] {
        let (folder, _, server) = secret_file(SECRET.as_bytes(), mode, "");
        let said = format!(
            "tacplus.secret: too many can use this secret_file (mode {mode:04o}): chmod 0600, or 0640 for a group, \
             tacplus.secret"
        );
        assert_eq!(refusal(&folder, &server), said);
    }
    if is_root() {
        let (folder, path, server) = secret_file(SECRET.as_bytes(), 0o600, "");
        chown(&path, Some(12345), None).unwrap();
        assert_eq!(
            refusal(&folder, &server),
            "tacplus.secret: it belongs to uid 12345: chown root tacplus.secret"
        );
    }
}

#[test]
fn a_secret_file_of_the_wrong_kind_or_content_is_refused() {
    for (text, said) in [
        (
            &b""[..],
            "tacplus.secret: the secret_file is empty: write the secret into it, on one line",
        ),
        (
            b"\n",
            "tacplus.secret: the secret_file is empty: write the secret into it, on one line",
        ),
        (
            b"0123456789abcdef\nmore\n",
            "tacplus.secret: the secret_file holds more than one line: write the secret alone",
        ),
        (
            b"0123456789abcde\n",
            "tacplus.secret: the secret has 15 characters and can be guessed from one packet: use at least 16 here \
             and on the server, or write weak_secret = yes",
        ),
        (
            &[b'x'; 5000],
            "tacplus.secret: it is larger than 4096 bytes",
        ),
    ] {
        let (folder, _, server) = secret_file(text, 0o600, "");
        assert_eq!(refusal(&folder, &server), said);
    }
    let (folder, path, server) = secret_file(b"", 0o600, "");
    fs::remove_file(&path).unwrap();
    assert_eq!(
        refusal(&folder, &server),
        "tacplus.conf:3: the secret_file tacplus.secret does not exist"
    );
    let real = folder.path().join("real");
    write(&real, SECRET, 0o600);
    symlink(&real, &path).unwrap();
    assert_eq!(
        refusal(&folder, &server),
        "tacplus.conf:3: the secret_file tacplus.secret is a symbolic link: name the file itself"
    );
}
