//! The checked-in documents are what the key table makes.

use std::path::Path;

use super::super::keys::{HELP, KEYS};
use super::super::pages;
use super::good;

#[track_caller]
fn is_checked_in(path: &str, made: String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, made).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    if kept != made {
        let line = kept
            .lines()
            .zip(made.lines())
            .position(|(a, b)| a != b)
            .map_or(0, |at| at.saturating_add(1));
        panic!(
            "{} differs from the key table (line {line}); make it anew with:\n\
             UPDATE=1 cargo test -p tacacs_common config::tests::pages",
            path.display()
        );
    }
}

#[test]
fn the_example_file_is_made_from_the_table() {
    is_checked_in("packaging/tacplus.conf", pages::example());
}

#[test]
fn the_manual_page_is_made_from_the_table() {
    is_checked_in("packaging/man/tacplus.conf.5", pages::man_page());
}

#[test]
fn the_reference_is_made_from_the_table() {
    is_checked_in("docs/configuration.md", pages::reference());
}

#[test]
fn every_key_has_help_and_a_value_to_show() {
    assert_eq!(KEYS.len(), HELP.len());
    for (key, help) in KEYS.iter().zip(HELP) {
        assert_ne!(
            format!("{}{}", key.default, help.example),
            "",
            "{}",
            key.name
        );
        assert!(
            !help.brief.ends_with('.') && help.more.ends_with('.'),
            "{}",
            key.name
        );
        assert!(help.brief.len() < 78, "{}: too long for a line", key.name);
    }
}

#[test]
fn the_example_file_is_a_good_configuration_when_its_keys_are_switched_on() {
    let active: String = pages::example()
        .lines()
        .map(|line| match line.strip_prefix(';') {
            // Two that exclude others: secret_file stands beside the secret.
            Some(key) if key.starts_with("secret =") => line,
            Some("allow_mixed = no") => "allow_mixed = yes",
            Some(key) if !key.is_empty() && !key.starts_with(' ') => key,
            _ => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let config = good(&active);
    assert_eq!(config.servers.len(), 2, "{active}");
    assert_eq!(config.mapping.groups, [(15, vec!["sudo".to_owned()])]);
}
