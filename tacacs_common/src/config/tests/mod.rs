//! Tests of the configuration as a whole.

mod access;
mod keys;
mod old;
mod pages;
mod rules;
mod secrecy;

use super::{Config, Error, HostFacts};

/// Sixteen characters, the fewest a secret may have.
const SECRET: &str = "0123456789abcdef";

/// A server that is complete, for tests of other things.
const SERVER: &str = "[server a]\naddress = 192.0.2.1\nsecret = 0123456789abcdef\n";

fn parse(text: &str) -> Result<Config, Error> {
    Config::parse(text.as_bytes(), &HostFacts::default())
}

/// `SERVER` behind `text`.
fn with_server(text: &str) -> Result<Config, Error> {
    parse(&format!("{text}\n{SERVER}"))
}

#[track_caller]
fn good(text: &str) -> Config {
    parse(text).unwrap_or_else(|error| panic!("refused: {error}\n{text}"))
}

/// Every problem of a text that must be refused, one a line.
#[track_caller]
fn problems(text: &str) -> String {
    listed(parse(text).expect_err("accepted"))
}

fn listed(error: Error) -> String {
    error
        .problems()
        .iter()
        .map(|problem| format!("{problem}\n"))
        .collect()
}
