//! Old `/etc/tacplus_servers` files and PAM lines.

use std::path::Path;

use super::super::old::PAM_WORDS;
use super::super::*;
use super::{good, listed, problems};

const OTHER: &str = "fedcba9876543210";

/// Each server's address and secret.
fn pairs(config: &Config) -> Vec<(String, String)> {
    let secret = |server: &Server| {
        let secret = server.secret().unwrap().unwrap();
        String::from_utf8(secret.expose().to_vec()).unwrap()
    };
    config
        .servers
        .iter()
        .map(|server| (server.address.to_string(), secret(server)))
        .collect()
}

fn paired(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(a, b)| (a.to_string(), b.to_string()))
        .collect()
}

#[test]
fn a_shipped_file_of_the_old_client_is_read() {
    let config = good(
        "# comment\ndebug=2\nsecret=tacacskey0123456\nserver=192.168.0.30\nserver=[2001:db8::1]:4949\n\
         timeout=10\nlogin=login\nacct_all=1\nuser_homedir=1\nprefer_ip_version=4\nvrf=mgmt\nservice=shell\n\
         protocol=ssh\nsource_ip=192.168.1.40\n",
    );
    let key = "tacacskey0123456";
    assert_eq!(
        pairs(&config),
        paired(&[("192.168.0.30:49", key), ("[2001:db8::1]:4949", key)])
    );
    let global = &config.global;
    assert!(global.debug && global.acct_all && global.login == LoginKind::Ascii);
    assert_eq!(
        (global.timeout.as_secs(), global.protocol.as_deref()),
        (10, Some("ssh"))
    );
    assert_eq!(config.servers[1].vrf.as_deref(), Some("mgmt"));
    assert_eq!(config.warnings.len(), 2);
    assert!(
        config.warnings[0].starts_with("tacplus.conf:9: 'user_homedir' is accepted without effect")
    );
}

#[test]
fn a_secret_is_for_servers_before_it_without_one_and_those_after_it() {
    let config = good(&format!(
        "server=192.0.2.1\nserver=192.0.2.2\nsecret=0123456789abcdef\nserver=192.0.2.3\nsecret={OTHER}\nserver=192.0.2.4\n"
    ));
    let first = "0123456789abcdef";
    assert_eq!(
        pairs(&config),
        paired(&[
            ("192.0.2.1:49", first),
            ("192.0.2.2:49", first),
            ("192.0.2.3:49", first),
            ("192.0.2.4:49", OTHER)
        ])
    );
}

#[test]
fn an_old_server_without_a_secret_is_refused_and_never_plain() {
    let said = problems("server=192.0.2.1\n");
    assert!(
        said.starts_with("tacplus.conf:1: server '192.0.2.1' has no secret"),
        "{said}"
    );
    assert!(problems("server=192.0.2.1\nsecret=\n").contains("has no secret"));
}

#[test]
fn an_old_secret_keeps_its_length_rule_and_its_blanks() {
    assert!(
        problems("server=192.0.2.1\nsecret=short\n")
            .starts_with("tacplus.conf:2: the secret has 5 characters")
    );
    assert_eq!(
        pairs(&good("server=192.0.2.1\nsecret=short\nweak_secret=yes\n")),
        paired(&[("192.0.2.1:49", "short")])
    );
    let config = good("server=192.0.2.1\nsecret=two words of a secret\n");
    assert_eq!(
        pairs(&config),
        paired(&[("192.0.2.1:49", "two words of a secret")])
    );
    assert_eq!(
        config.warnings,
        [
            "tacplus.conf:2: the secret holds a blank: it is used whole, where the old client cut it at the blank"
        ]
    );
}

#[test]
fn old_keys_are_good_above_the_first_heading_only() {
    let config = good(
        "server=192.0.2.1\nsecret=0123456789abcdef\n[server b]\naddress=192.0.2.2\nsecret=fedcba9876543210\n",
    );
    assert_eq!(config.servers.len(), 2);
    assert_eq!(
        problems("[global]\nserver = 192.0.2.1\nprefer_ip_version = 4"),
        "tacplus.conf:2: unknown key: tacplus.conf(5) lists those of [global]\n\
         tacplus.conf:3: unknown key: tacplus.conf(5) lists those of [global]\n"
    );
    assert_eq!(
        problems("sever = x"),
        "tacplus.conf:1: unknown key 'sever', did you mean 'server'?\n"
    );
}

/// A file with one server, and what a PAM line makes of it.
fn pam_line(words: &[&str]) -> Result<Config, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tacplus.conf");
    let text = format!("[global]\nagent = /a\ntimeout = 7\n{}", super::SERVER);
    super::access::write(&path, &text, 0o600);
    Config::load_with_pam_line(&path, words)
}

#[test]
fn the_pam_line_overrides_the_file() {
    let config = pam_line(&[
        "debug",
        "acct_all",
        "timeout=3",
        "login=chap",
        "service=ppp",
        "protocol=ip",
        "source_ip=192.0.2.80",
        "vrf=mgmt",
        "prompt=Token_code:_",
        "try_first_pass",
        "nodelay",
    ])
    .unwrap();
    let global = &config.global;
    assert!(global.debug && global.acct_all && global.agent.is_some());
    assert_eq!(
        (global.login, global.pass),
        (LoginKind::Chap, FirstPass::Try)
    );
    assert_eq!(
        (global.service.as_str(), global.protocol.as_deref()),
        ("ppp", Some("ip"))
    );
    assert_eq!(global.prompt.as_deref(), Some("Token code: "));
    let server = &config.servers[0];
    assert_eq!(
        (server.timeout.as_secs(), server.vrf.as_deref()),
        (3, Some("mgmt"))
    );
    assert_eq!(server.source.v4, "192.0.2.80".parse().ok());
    assert!(config.warnings.is_empty());
    for words in [
        ["use_first_pass", "try_first_pass"],
        ["try_first_pass", "use_first_pass"],
    ] {
        assert_eq!(pam_line(&words).unwrap().global.pass, FirstPass::Use);
    }
}

#[test]
fn servers_on_the_pam_line_replace_those_of_the_file_and_the_agent() {
    let config = pam_line(&[
        "server=192.0.2.7",
        "server=192.0.2.8:4949",
        &format!("secret={OTHER}"),
    ])
    .unwrap();
    assert_eq!(
        pairs(&config),
        paired(&[("192.0.2.7:49", OTHER), ("192.0.2.8:4949", OTHER)])
    );
    assert_eq!(config.global.agent, None);
    assert_eq!(
        config.warnings,
        [
            "PAM line: everybody who can read the PAM line can read its secret=: move it to a secret_file"
        ]
    );
    let error = pam_line(&["server=192.0.2.7"]).unwrap_err().to_string();
    assert!(
        error.starts_with("PAM line: server '192.0.2.7' has no secret"),
        "{error}"
    );
}

#[test]
fn a_secret_alone_on_the_pam_line_is_for_the_servers_of_the_file() {
    let config = pam_line(&[&format!("secret={OTHER}")]).unwrap();
    assert_eq!(pairs(&config), paired(&[("192.0.2.1:49", OTHER)]));
    assert!(pam_line(&["secret=short"]).is_err());
    assert_eq!(
        pairs(&pam_line(&["secret=short", "weak_secret"]).unwrap()),
        paired(&[("192.0.2.1:49", "short")])
    );
}

#[test]
fn the_pam_line_names_other_files() {
    let folder = tempfile::tempdir().unwrap();
    let (other, absent) = (
        folder.path().join("tacplus_servers"),
        folder.path().join("absent"),
    );
    super::access::write(&other, "server=192.0.2.5\nsecret=0123456789abcdef\n", 0o600);
    for word in ["conf", "include"] {
        let config =
            Config::load_with_pam_line(&absent, &[&format!("{word}={}", other.display())]).unwrap();
        assert_eq!(
            pairs(&config),
            paired(&[("192.0.2.5:49", "0123456789abcdef")])
        );
    }
    let whole = ["server=192.0.2.6", "secret=0123456789abcdef"];
    assert_eq!(
        Config::load_with_pam_line(&absent, &whole)
            .unwrap()
            .servers
            .len(),
        1
    );
    let named = format!("conf={}", absent.display());
    let error =
        Config::load_with_pam_line(Path::new(PATH), &[&named, whole[0], whole[1]]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{}: does not exist", absent.display())
    );
}

#[test]
fn a_wrong_word_of_the_pam_line_is_named() {
    for (word, said) in [
        (
            "tiemout=5",
            "unknown word 'tiemout', did you mean 'timeout'?",
        ),
        (
            "secert=0123456789abcdef",
            "unknown word 'secert', did you mean 'secret'?",
        ),
        (
            "timeout=abc",
            "bad value for 'timeout': expected a number of seconds from 1 to 600",
        ),
        ("timeout", "'timeout' needs a value: timeout=VALUE"),
        ("try_first_pass=1", "'try_first_pass' takes no value"),
        (
            "no_warn_at_all",
            "unknown word: tacplus.conf(5) lists those of a PAM line",
        ),
    ] {
        assert_eq!(
            listed(pam_line(&[word]).unwrap_err()),
            format!("PAM line: {said}\n"),
            "{word}"
        );
    }
}

#[test]
fn every_documented_word_of_the_pam_line_is_known() {
    for (word, _) in PAM_WORDS {
        if let Err(error) = pam_line(&[word]) {
            assert!(
                !error.to_string().contains("unknown word"),
                "{word}: {error}"
            );
        }
    }
}

#[test]
fn an_old_file_names_nobody_for_an_outage_unless_it_has_the_key() {
    let old = "server=192.0.2.1\nsecret=0123456789abcdef\n";
    let global = good(old).global;
    assert_eq!(global.unreachable, UnreachablePolicy::Users);
    assert!(global.fallback_users.is_empty());
    let global = good(&format!("{old}fallback_users=alice,@ops\n")).global;
    assert_eq!(global.fallback_users.to_string(), "alice @ops");
    for word in ["unreachable=ignore", "fallback_users=alice"] {
        let error = Config::load_with_pam_line(
            Path::new("/nonexistent"),
            &["server=192.0.2.1", "secret=0123456789abcdef", word],
        );
        assert!(
            listed(error.unwrap_err()).contains("unknown word"),
            "{word}"
        );
    }
}
