use std::fs;
use std::path::Path;

use super::Weight::{self, LetsIn, LocksOut, Warning};
use super::findings;

/// What is said about a host with these files, without the host's root.
fn said(files: &[(&str, &str)]) -> Vec<(Weight, String)> {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let prefix = format!("{}/", root.path().display());
    let found = findings(root.path()).into_iter();
    found
        .map(|finding| (finding.weight, finding.text.replace(&prefix, "/")))
        .collect()
}

/// The same, with no more of each text than its place.
fn places(files: &[(&str, &str)]) -> Vec<(Weight, String)> {
    let said = said(files).into_iter();
    said.map(|(weight, text)| {
        let place = text.split(": ").next().unwrap().to_owned();
        (weight, place)
    })
    .collect()
}

const OLD: &str = "auth [success=done authinfo_unavail=ignore service_err=ignore ignore=ignore default=die] pam_tacplus.so\n";
const NEW: &str = "auth [success=done user_unknown=ignore authinfo_unavail=ignore service_err=ignore ignore=ignore default=die] pam_tacplus.so\n";
const UNIX: &str = "auth required pam_unix.so try_first_pass\n";

#[test]
fn a_line_that_locks_root_out_is_named_with_its_file_and_its_line() {
    let found = said(&[("etc/pam.d/sshd", &format!("# ours\n{OLD}{UNIX}"))]);
    assert_eq!(
        found,
        [(
            LocksOut,
            "/etc/pam.d/sshd:2: this line refuses root and every local user, to whom the module answers user_unknown: write user_unknown=ignore into its brackets".to_owned()
        )]
    );
    for line in [
        "auth [success=ok default=bad] pam_tacplus.so",
        "auth [success=ok] pam_tacplus.so",
        "-AUTH [success=done default=die] /lib/security/pam_tacplus.so debug",
        "auth [success=done \\\n default=die] \\\n pam_tacplus.so",
        "auth [default=die ignore=ignore] pam_tacplus.so # user_unknown=ignore",
    ] {
        let found = places(&[("etc/pam.d/su", &format!("{line}\n{UNIX}"))]);
        assert_eq!(found, [(LocksOut, "/etc/pam.d/su:1".to_owned())], "{line}");
    }
}

#[test]
fn lines_that_do_not_lock_out_pass() {
    for line in [
        NEW,
        "# auth [default=die] pam_tacplus.so",
        "auth [success=done user_unknown=die default=die] pam_tacplus.so",
        "auth [success=2 default=ignore] pam_tacplus.so",
        "account [success=ok ignore=ignore default=die] pam_tacplus.so",
        "auth [success=done default=die] pam_other.so",
        "auth sufficient pam_tacplus.so",
    ] {
        let stack = format!("{line}\n{UNIX}");
        let stack = stack.replace("=2 ", "=1 ");
        assert_eq!(places(&[("etc/pam.d/su", &stack)]), [], "{line}");
    }
}

#[test]
fn required_and_requisite_lock_out_unless_the_line_says_that_it_is_meant() {
    let found = |control: &str| {
        let stack = format!("auth {control} pam_tacplus.so\nauth required pam_unix.so\n");
        places(&[("etc/pam.d/su", &stack)])
    };
    for control in ["required", "requisite"] {
        let locks_out = (LocksOut, "/etc/pam.d/su:1".to_owned());
        assert_eq!(found(control), [locks_out], "{control}");
    }
    assert_eq!(found("[success=ok user_unknown=die default=die]"), []);
}

#[test]
fn a_line_is_looked_at_wherever_libpam_would_find_it() {
    let found = places(&[
        ("etc/pam.d/sshd", "@include common-auth\n"),
        ("etc/pam.d/common-auth", OLD),
        ("etc/pam.d/su", "auth substack /opt/pam/tacplus\n"),
        ("opt/pam/tacplus", OLD),
        ("usr/lib/pam.d/login", OLD),
        // Not what libpam reads.
        ("usr/lib/pam.d/sshd", OLD),
        ("etc/pam.d/sshd.dpkg-old", OLD),
        ("etc/pam.conf", &format!("sshd {OLD}")),
    ]);
    let expected = [
        "/etc/pam.d/common-auth:1",
        "/opt/pam/tacplus:1",
        "/usr/lib/pam.d/login:1",
    ];
    assert_eq!(found, expected.map(|place| (LocksOut, place.to_owned())));

    let conf = format!("other auth required pam_deny.so\nsshd {OLD}");
    let found = places(&[("etc/pam.conf", &conf)]);
    assert_eq!(found, [(LocksOut, "/etc/pam.conf:2".to_owned())]);
    assert_eq!(places(&[]), []);
}

#[test]
fn a_stack_in_which_nobody_checks_the_password_of_a_user_who_is_passed_over_is_an_error() {
    let open = format!("auth required pam_faillock.so preauth\n{NEW}");
    let found = said(&[("etc/pam.d/sshd", &open)]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, LetsIn);
    assert!(
        found[0].1.starts_with("/etc/pam.d/sshd:2: this line passes root and local users over, and the stack lets them in with any password: "),
        "{found:?}"
    );
    let closed = format!("{open}{UNIX}");
    assert_eq!(places(&[("etc/pam.d/sshd", &closed)]), []);
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_read() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("etc/pam.d");
    fs::create_dir_all(folder.join("sshd.d")).unwrap();
    fs::write(folder.join("login"), format!("@include sshd.d\n{OLD}")).unwrap();
    let found = findings(root.path());
    let texts: Vec<&str> = found.iter().map(|finding| finding.text.as_str()).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(
        texts
            .iter()
            .any(|text| text.contains("sshd.d: Is a directory")),
        "{texts:?}"
    );
    assert!(
        texts.iter().any(|text| text.contains("login:2: ")),
        "{texts:?}"
    );
    assert!(found.iter().all(|finding| finding.weight == LocksOut));
}

#[test]
fn a_part_of_a_stack_is_looked_at_where_it_is_included() {
    let part = ("etc/pam.d/tacplus", NEW);
    let unix = ("etc/pam.d/common-auth", UNIX);
    let good = "auth include tacplus\n@include common-auth\n";
    assert_eq!(places(&[part, unix, ("etc/pam.d/sshd", good)]), []);
    let bad = "auth include tacplus\nauth required pam_permit.so\n";
    assert_eq!(
        places(&[part, unix, ("etc/pam.d/sshd", bad)]),
        [(LetsIn, "/etc/pam.d/tacplus:1".to_owned())]
    );
    // libpam refuses where a file is missing.
    let missing = "auth include tacplus\nauth include none\nauth required pam_permit.so\n";
    let found = places(&[part, ("etc/pam.d/sshd", missing)]);
    assert_eq!(found, [(Warning, "/etc/pam.d/tacplus:1".to_owned())]);
}

#[test]
fn what_is_not_known_to_check_passwords_is_a_warning() {
    for (behind, words) in [
        (
            "auth required pam_ourown.so\n",
            "checked by the module of /etc/pam.d/su:2, which is not known here",
        ),
        ("", "no other auth line checks a password"),
    ] {
        let found = said(&[("etc/pam.d/su", &format!("{NEW}{behind}"))]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].0 == Warning && found[0].1.contains(words),
            "{found:?}"
        );
    }
}

#[test]
fn a_finger_or_a_key_in_the_place_of_the_password_lets_nobody_in_without_it() {
    for (line, expected) in [
        ("auth sufficient pam_fprintd.so", None),
        ("auth sufficient pam_u2f.so cue", None),
        // Whoever has registered none gets in.
        ("auth sufficient pam_u2f.so cue nouserok", Some(LetsIn)),
    ] {
        let found = places(&[("etc/pam.d/sudo", &format!("{NEW}{line}\n{UNIX}"))]);
        let expected = expected.map(|weight| (weight, "/etc/pam.d/sudo:1".to_owned()));
        assert_eq!(found, Vec::from_iter(expected), "{line}");
    }
}

#[test]
fn files_that_include_themselves_and_one_another_end() {
    let twice = "auth include a\nauth substack b\nauth include a\n";
    let found = places(&[
        ("etc/pam.d/a", twice),
        ("etc/pam.d/b", twice),
        ("etc/pam.d/sshd", &format!("{NEW}auth include a\n{UNIX}")),
    ]);
    // libpam refuses everybody there.
    assert_eq!(found, [(Warning, "/etc/pam.d/sshd:1".to_owned())]);
}

#[test]
fn the_stacks_of_the_documentation_are_good_ones() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| fs::read_to_string(workspace.join(path)).unwrap();
    let examples = [
        "tacplus",
        "tacplus-sufficient",
        "tacplus-only",
        "tacplus-password",
    ];
    for example in examples {
        let stack = read(&format!("packaging/pam/{example}"));
        let stack = format!("{stack}\n@include common-auth\n");
        let unix = "auth required pam_unix.so try_first_pass\n";
        let found = said(&[("etc/pam.d/sshd", &stack), ("etc/pam.d/common-auth", unix)]);
        assert_eq!(found, [], "{example}");
    }
    for page in [
        "README.md",
        "docs/architecture.md",
        "packaging/man/pam_tacplus.8",
        "tests/src/stage.rs",
        "tests/src/scene.rs",
    ] {
        // The man page breaks the line; the tests do not wait for refusals.
        let text = read(page)
            .replace("\n          ", " ")
            .replace(" nodelay", "");
        let ours = |line: &&str| line.starts_with("auth ") && line.contains("pam_tacplus.so");
        let lines: Vec<&str> = text.lines().filter(ours).collect();
        assert_eq!(lines.len(), 1, "{page}: {lines:?}");
        let words = |line: &str| {
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(words(lines[0]), words(NEW), "{page}");
    }
}
