//! Readers of one value each.
//!
//! Owns what a well-formed number, name, path or address is. Every reader
//! answers `None` for anything else; `keys.rs` says what was expected.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::types::{Roles, Source};

/// Decimal digits only: neither sign nor blank.
pub(super) fn number<T: FromStr>(text: &str) -> Option<T> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

pub(super) fn seconds(text: &str) -> Option<Duration> {
    number(text).map(Duration::from_secs)
}

pub(super) fn switch(text: &str) -> Option<bool> {
    match text {
        "yes" | "1" => Some(true),
        "no" | "0" => Some(false),
        _ => None,
    }
}

/// The words of a list, apart by commas or blanks.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ', '\t']).filter(|word| !word.is_empty())
}

pub(super) fn names(text: &str) -> Option<Vec<String>> {
    words(text).map(token).collect()
}

/// One word of printable ASCII, short enough for any argument of a packet.
pub(super) fn token(text: &str) -> Option<String> {
    let good = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    good.then(|| text.to_owned())
}

/// The start of an account name; a level of at most two digits follows.
pub(super) fn user_prefix(text: &str) -> Option<String> {
    let first = text.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
    let rest = text
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte));
    (first && rest && text.len() <= 30).then(|| text.to_owned())
}

pub(super) fn path(text: &str) -> Option<PathBuf> {
    let good = text.starts_with('/') && text.len() < 4096 && !text.contains(char::is_control);
    good.then(|| PathBuf::from(text))
}

/// A path that fits `sun_path`, with its final zero byte.
pub(super) fn socket(text: &str) -> Option<PathBuf> {
    path(text).filter(|_| text.len() < 108)
}

/// A path of a passwd entry, in which `:` would start the next field.
pub(super) fn passwd_path(text: &str) -> Option<PathBuf> {
    path(text).filter(|_| !text.contains(':'))
}

/// A device name: IFNAMSIZ with its final zero byte.
pub(super) fn device(text: &str) -> Option<String> {
    token(text).filter(|name| name.len() < 16 && !name.contains('/') && name != "." && name != "..")
}

pub(super) fn host_name(text: &str) -> Option<String> {
    let letters = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let label = |label: &str| !label.is_empty() && label.len() <= 63 && !label.starts_with('-');
    let labels = text.strip_suffix('.').unwrap_or(text).split('.').all(label);
    // 192.0.2.300 is an address gone wrong and must not go to a resolver.
    let name = text.bytes().any(|byte| byte.is_ascii_alphabetic());
    (letters && labels && name && text.len() <= 253).then(|| text.to_owned())
}

/// A name or an address, without a port.
pub(super) fn host(text: &str) -> Option<String> {
    let ip = text.parse::<IpAddr>().is_ok();
    if ip {
        Some(text.to_owned())
    } else {
        host_name(text)
    }
}

/// One IPv4 and one IPv6 address at most.
pub(super) fn source(text: &str) -> Option<Source> {
    let mut source = Source::default();
    for word in words(text) {
        let another = match word.parse().ok()? {
            IpAddr::V4(ip) => source.v4.replace(ip).is_some(),
            IpAddr::V6(ip) => source.v6.replace(ip).is_some(),
        };
        if another {
            return None;
        }
    }
    Some(source)
}

/// `FIRST-LAST`. The largest uid means "none" to the kernel.
pub(super) fn uid_range(text: &str) -> Option<RangeInclusive<u32>> {
    let (first, last) = text.split_once('-')?;
    let (first, last) = (
        number::<u32>(first.trim_end())?,
        number::<u32>(last.trim_start())?,
    );
    (first <= last && last < u32::MAX).then_some(first..=last)
}

/// A privilege level, RFC 8907 section 9: 0 to 15, written one way.
pub(super) fn level(text: &str) -> Option<u8> {
    number::<u8>(text).filter(|level| *level <= 15 && level.to_string() == text)
}

pub(super) fn roles(text: &str) -> Option<Roles> {
    let mut roles = Roles::NONE;
    for word in words(text) {
        match word {
            "authentication" => roles.authentication = true,
            "authorization" => roles.authorization = true,
            "accounting" => roles.accounting = true,
            _ => return None,
        }
    }
    Some(roles)
}
