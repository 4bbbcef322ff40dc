//! The manual page of tac_plus.conf(5) against the language.

use super::super::{host, profile, top};
use super::*;

const PAGE: &str = include_str!("../../../../packaging/man/tac_plus.conf.5");

/// The page without its markup.
fn words() -> Vec<String> {
    let text = PAGE.replace(['{', '}', '|', ',', ';', '.', '='], " ");
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

#[test]
fn every_directive_has_its_place_in_the_manual_page() {
    let words = words();
    let lists = [
        top::TOP_LEVEL,
        top::WITHOUT_EFFECT,
        top::LIMITS,
        top::TLS,
        host::BODY,
        profile::BODY,
    ];
    for directive in lists.concat() {
        assert!(words.iter().any(|word| word == directive), "{directive}");
    }
}

#[test]
fn the_example_of_the_manual_page_loads() {
    let (_, example) = PAGE.split_once(".Sh EXAMPLES\n.Bd -literal\n").unwrap();
    let (example, _) = example.split_once(".Ed\n").unwrap();
    let warnings = loaded(&example.replace("\\e", "\\")).warnings;
    assert_eq!(warnings, [""; 0]);
}
