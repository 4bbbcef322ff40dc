use tacacs_common::config::HostFacts;
use tempfile::TempDir;

use super::*;

const PASSWD: &str = "root:x:0:0::/root:/bin/sh\ndaemon:x:1:1::/:/usr/sbin/nologin\n\
    agent:x:300:300::/home/agent:/bin/sh\nalice:x:1001:1001::/home/alice:/bin/sh\n\
    bob:x:1002:1002::/home/bob:/usr/sbin/nologin\nold:$6$x:1003:1003::/home/old:/bin/sh\n";

const NEAR: &str = "[server a]\naddress = 127.0.0.1\nsecret = 0123456789abcdef\n";

fn config(global: &str, rest: &str) -> Config {
    let text = format!("[global]\n{global}\n{rest}\n");
    Config::parse(text.as_bytes(), &HostFacts::default()).unwrap()
}

/// A host on which these have a password, and these a key.
fn host(with_password: &[&str], with_key: &[&str]) -> (TempDir, Host) {
    let folder = tempfile::tempdir().unwrap();
    let shadow: String = ["root", "daemon", "agent", "alice", "bob"]
        .iter()
        .map(|name| {
            let hash = if with_password.contains(name) {
                "$6$salt$hash"
            } else {
                "!*"
            };
            format!("{name}:{hash}:19000:0:99999:7:::\n")
        })
        .collect();
    for name in ["root", "home/alice"] {
        let ssh = folder.path().join(name).join(".ssh");
        fs::create_dir_all(&ssh).unwrap();
        let key = if with_key.contains(&name) {
            "ssh-ed25519 AAAA"
        } else {
            "# none"
        };
        fs::write(ssh.join("authorized_keys"), key).unwrap();
    }
    let group = folder.path().join("group");
    fs::write(&group, "ops:x:10:alice\nempty:x:11:\n").unwrap();
    let host = Host {
        passwd: PASSWD.into(),
        shadow: Some(shadow.into()),
        group,
        root: folder.path().into(),
    };
    (folder, host)
}

const LOCKED: &str = "nobody can log in but at the console";

#[test]
fn a_host_that_an_outage_would_close_to_everybody_is_warned_of() {
    for (global, passwords, keys, is_warned) in [
        ("", &[][..], &[][..], true),
        ("unreachable = deny", &[], &[], true),
        ("unreachable = ignore", &[], &[], false),
        ("", &["root"], &[], false),
        ("", &[], &["root"], false),
        // alice is a TACACS+ user: only who is named goes on without a server.
        ("", &["alice"], &["home/alice"], true),
        ("fallback_users = alice", &["alice"], &[], false),
        ("fallback_users = @ops", &[], &["home/alice"], false),
        ("fallback_users = alice", &[], &[], true),
        ("fallback_users = @empty", &["alice"], &[], true),
        (
            "unreachable = deny\nfallback_users = alice",
            &["alice"],
            &[],
            true,
        ),
        // No shell, and none that servers are asked about.
        ("fallback_users = bob", &["bob", "daemon"], &[], true),
        ("", &["agent"], &[], false),
        ("exclude_users = alice", &["alice"], &[], false),
        ("exclude_users = old", &[], &[], false),
    ] {
        let (_folder, host) = host(passwords, keys);
        let config = config(global, &format!("{NEAR}[mapping]\nmode = local"));
        let warnings = warnings(&config, &host).join("\n");
        assert_eq!(
            warnings.contains(LOCKED),
            is_warned,
            "{global} {passwords:?}: {warnings}"
        );
    }
}

#[test]
fn what_a_user_puts_in_the_place_of_keys_is_not_waited_for() {
    let (_folder, host) = host(&[], &[]);
    let keys = host.root.join("home/alice/.ssh/authorized_keys");
    fs::remove_file(&keys).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(&keys).status();
    assert!(pipe.unwrap().success());
    let config = config(
        "fallback_users = alice",
        &format!("{NEAR}[mapping]\nmode = local"),
    );
    let is_warned = || warnings(&config, &host).concat().contains(LOCKED);
    assert!(is_warned());
    fs::remove_file(&keys).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &keys).unwrap();
    assert!(is_warned());
}

#[test]
fn where_servers_have_users_of_their_own_local_ones_get_in() {
    let (_folder, host) = host(&[], &[]);
    assert_eq!(warnings(&config("", NEAR), &host), [""; 0]);
}

#[test]
fn who_may_not_read_passwords_is_told_that_they_were_not_looked_at() {
    let (_folder, mut host) = host(&["root"], &[]);
    host.shadow = None;
    let config = config("", &format!("{NEAR}[mapping]\nmode = local"));
    let warnings = warnings(&config, &host);
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].ends_with("which takes root"), "{warnings:?}");
}

#[test]
fn ignore_is_warned_of_with_what_it_means() {
    let (_folder, host) = host(&["root"], &[]);
    let warnings = warnings(&config("unreachable = ignore", NEAR), &host);
    assert_eq!(warnings.len(), 1);
    for words in [
        "whoever can make a server slow, full or silent",
        "any local user, anybody who can reach sshd",
        "an old local password counts",
    ] {
        assert!(warnings[0].contains(words), "{warnings:?}");
    }
}

#[test]
fn plain_servers_that_are_not_on_this_host_are_warned_of() {
    for (address, is_warned) in [
        ("192.0.2.1", true),
        ("[2001:db8::1]:4949", true),
        ("aaa1.example.net", true),
        ("localhost.example.net", true),
        ("[::ffff:192.0.2.1]:49", true),
        ("127.0.0.1", false),
        ("127.3.2.1:4949", false),
        ("[::1]:49", false),
        ("[::ffff:127.0.0.1]:49", false),
        ("localhost", false),
        ("unix:/run/tacacs.sock", false),
    ] {
        let (_folder, host) = host(&["root"], &[]);
        let server = format!("[server a]\naddress = {address}\nsecret = 0123456789abcdef\n");
        let warnings = warnings(&config("", &server), &host);
        let text = warnings.join("\n");
        assert_eq!(
            text.contains("turn a FAIL into a PASS"),
            is_warned,
            "{address}: {text}"
        );
    }
    let (_folder, host) = host(&["root"], &[]);
    let tls = "[server a]\naddress = 192.0.2.1\ntls = yes\n";
    assert_eq!(warnings(&config("", tls), &host), [""; 0]);
}

#[test]
fn names_that_name_nobody_are_warned_of() {
    for (mode, listed, said) in [
        ("local", "alice @ops", &[][..]),
        ("local", "carol", &["'carol' has no line in /etc/passwd"]),
        (
            "local",
            "root",
            &["'root' is nobody a server is asked about"],
        ),
        (
            "local",
            "agent",
            &["'agent' is nobody a server is asked about"],
        ),
        ("unique", "carol", &[]),
        (
            "unique",
            "alice",
            &["'alice' is nobody a server is asked about"],
        ),
        (
            "local",
            "alice @empty @nosuch",
            &[
                "nobody is named by '@empty'",
                "nobody is named by '@nosuch'",
            ],
        ),
    ] {
        let (_folder, host) = host(&["root"], &[]);
        let config = config(
            &format!("fallback_users = {listed}"),
            &format!("{NEAR}[mapping]\nmode = {mode}"),
        );
        let warnings = warnings(&config, &host);
        assert_eq!(warnings.len(), said.len(), "{mode} {listed}: {warnings:?}");
        for (warning, words) in warnings.iter().zip(said) {
            assert!(warning.contains(words), "{warning}");
        }
    }
    let (_folder, mut host) = host(&["root"], &[]);
    host.group = "/nonexistent/group".into();
    let warnings = warnings(&config("fallback_users = @ops", NEAR), &host);
    assert!(
        warnings[0].contains("no group names anybody"),
        "{warnings:?}"
    );
}

#[test]
fn questions_that_no_server_is_configured_for_are_warned_of() {
    for (global, roles, said) in [
        ("", "authentication authorization accounting", &[][..]),
        (
            "",
            "authentication accounting",
            &["no server has the role authorization"],
        ),
        (
            "",
            "accounting",
            &[
                "no server has the role authentication",
                "no server has the role authorization",
            ],
        ),
        ("agent = /run/tacacs/tacacs-proxy.sock", "accounting", &[]),
    ] {
        let (_folder, host) = host(&["root"], &[]);
        let warnings = warnings(&config(global, &format!("{NEAR}roles = {roles}")), &host);
        assert_eq!(warnings.len(), said.len(), "{roles}: {warnings:?}");
        for (warning, words) in warnings.iter().zip(said) {
            assert!(warning.starts_with(words), "{warning}");
        }
    }
}
