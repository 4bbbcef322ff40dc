//! What the C library's regcomp(3) makes of an expression, to compare with.
//!
//! Owns the calls, for tests only.
#![allow(unsafe_code, reason = "calls into the C library")]

use std::ffi::CString;
use std::mem::MaybeUninit;

use proptest::prelude::*;

use super::pattern::Pattern;

/// Whether the C library finds `pattern` in `text`; `None` if it is no expression to it.
fn found_by_the_c_library(pattern: &[u8], text: &[u8]) -> Option<bool> {
    let (pattern, text) = (CString::new(pattern).unwrap(), CString::new(text).unwrap());
    let mut machine = MaybeUninit::<libc::regex_t>::uninit();
    let flags = libc::REG_EXTENDED | libc::REG_NOSUB;
    // SAFETY: the machine is valid to be written to and the pattern is a C string; both
    // outlive the call.
    let compiled = unsafe { libc::regcomp(machine.as_mut_ptr(), pattern.as_ptr(), flags) };
    if compiled != 0 {
        return None;
    }
    // SAFETY: a result of zero says that regcomp filled the machine; the text is a C
    // string, and no matches are to be stored.
    let found =
        unsafe { libc::regexec(machine.as_ptr(), text.as_ptr(), 0, std::ptr::null_mut(), 0) };
    // SAFETY: regcomp filled the machine, and nobody uses it any more.
    unsafe { libc::regfree(machine.as_mut_ptr()) };
    Some(found == 0)
}

/// Patterns made of what the dialects may disagree about.
fn patterns() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "a",
        "b",
        "ab",
        ".",
        "*",
        "+",
        "?",
        "^",
        "$",
        "|",
        "(",
        ")",
        "(a",
        "b)",
        "[ab]",
        "[^a]",
        "[]a]",
        "[a-b]",
        "[a-]",
        "[[:alpha:]]",
        "[^[:space:]]",
        "{2}",
        "{1,2}",
        "{,1}",
        "{0}",
        "\\.",
        "\\a",
        "\\w",
        "\\W",
        "\\s",
        "\\S",
        "\\b",
        "\\B",
        "\\<",
        "\\>",
        "\\`",
        "\\'",
        "\\[",
        "\\\\",
        "\\(",
        "\\$",
        " ",
        "-",
        "[\\]",
        "[\\a]",
        "()",
        "a*",
        "(a|b)",
        "]",
        "}",
        "\u{e9}",
    ]);
    prop::collection::vec(pieces, 0..7).prop_map(|pieces| pieces.concat().into_bytes())
}

/// No line breaks: no checked argument holds one, and beside one the C library finds
/// `^` and `$` though nobody told it that lines count.
fn texts() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "a", "b", "ab", ".", " ", "-", "\\", "]", "[", "(", "}", "$", "^", "\u{e9}", "_", "*",
    ]);
    prop::collection::vec(pieces, 0..6).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn an_expression_finds_what_the_c_library_finds(
        pattern in patterns(),
        list in prop::collection::vec(texts(), 6),
    ) {
        let theirs: Vec<_> = list.iter().map(|text| found_by_the_c_library(&pattern, text)).collect();
        match Pattern::new(&pattern) {
            Ok(ours) => {
                for (text, theirs) in list.iter().zip(theirs) {
                    let shown = (pattern.escape_ascii().to_string(), text.escape_ascii().to_string());
                    prop_assert_eq!(ours.matches(text), theirs, "{:?}", shown);
                }
            }
            // None of the pieces is among what is refused here and has a meaning there.
            Err(error) => prop_assert_eq!(theirs.first(), Some(&None), "{}: {}", pattern.escape_ascii(), error),
        }
    }
}
