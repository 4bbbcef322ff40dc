//! Files as large as any operator's, and larger. The bounds are wide: these run
//! without optimisation. What it takes really is in docs/performance.md.

use rustix::time::{ClockId, clock_gettime};
use std::fmt::Write;

use super::*;

/// Loads a text and holds it to a time of this thread on a processor, which what
/// else runs here does not lengthen.
fn load_within(seconds: i64, text: &str) -> Loaded {
    let start = clock_gettime(ClockId::ThreadCPUTime);
    let loaded = loaded(text);
    let took = clock_gettime(ClockId::ThreadCPUTime).tv_sec - start.tv_sec;
    assert!(took < seconds, "{took} s");
    loaded
}

#[test]
fn users_of_a_very_deep_group_load_in_linear_time() {
    let mut text = KEY.to_owned();
    for depth in 0..20_000 {
        let _ = writeln!(text, "group = g{depth} {{ member = g{} }}", depth + 1);
    }
    text.push_str("group = g20000 { default service = permit }\n");
    for user in 0..20_000 {
        let _ = writeln!(text, "user = u{user} {{ member = g0 login = cleartext x }}");
    }
    load_within(10, &text);
}

#[test]
fn a_hundred_thousand_users_in_twenty_groups_load_at_once() {
    let mut text = KEY.to_owned();
    for group in 0..20 {
        let _ = writeln!(
            text,
            "group = g{group} {{ service = exec {{ priv-lvl = 15 }} cmd = show {{ permit ^version permit run.* deny .* }} }}"
        );
    }
    for user in 0..100_000 {
        let group = user % 20;
        let _ = writeln!(
            text,
            "user = u{user} {{ member = g{group} pap = cleartext x opap = cleartext y }}"
        );
    }
    let warnings = load_within(20, &text).warnings.len();
    // Each of them is told, in a time that does not grow with the square of the rest.
    assert!(warnings > 100_000, "{warnings}");
}

#[test]
fn twenty_thousand_expressions_load_at_once() {
    let mut text = KEY.to_owned();
    for user in 0..200 {
        let _ = writeln!(text, "user = u{user} {{ cmd = show {{");
        for rule in 0..100 {
            let number = user * 100 + rule;
            let _ = writeln!(text, "permit \"^(ip|ipv6) route vrf v{number}( .*)?$\"");
        }
        text.push_str("} }\n");
    }
    load_within(30, &text);
}
