//! One line of a configuration file, cut into its parts.
//!
//! Owns where a comment starts and what belongs to a value.

/// What a line is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Blank, or a comment.
    Empty,
    /// `[...]`, without the brackets.
    Section(&'a str),
    /// `key = value`.
    #[allow(missing_docs)]
    Entry { key: &'a str, value: &'a str },
    /// Anything else.
    Other,
}

const BLANKS: [char; 2] = [' ', '\t'];

/// Cuts `line`, which has no line end any more.
///
/// The value of `secret` is the rest of the line without the blanks around
/// it: no comment, no quotes, no escapes.
pub(super) fn cut(line: &str) -> Line<'_> {
    let line = line.trim_matches(BLANKS);
    if line.is_empty() || line.starts_with([';', '#']) {
        return Line::Empty;
    }
    if let Some(rest) = line.strip_prefix('[') {
        return match without_comment(rest).strip_suffix(']') {
            Some(inside) => Line::Section(inside.trim_matches(BLANKS)),
            None => Line::Other,
        };
    }
    let Some((key, value)) = line.split_once('=') else {
        return Line::Other;
    };
    let (key, value) = (key.trim_matches(BLANKS), value.trim_matches(BLANKS));
    let value = if key == "secret" {
        value
    } else {
        without_comment(value)
    };
    Line::Entry { key, value }
}

/// `text` up to a `;` or `#` at its start or after a blank.
fn without_comment(text: &str) -> &str {
    let mut after_blank = true;
    for (at, letter) in text.char_indices() {
        if after_blank && matches!(letter, ';' | '#') {
            return text.get(..at).unwrap_or_default().trim_end_matches(BLANKS);
        }
        after_blank = BLANKS.contains(&letter);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_at_its_comment_unless_it_is_a_secret() {
        let entry = |key, value| Line::Entry { key, value };
        for (line, parts) in [
            ("", Line::Empty),
            ("  \t", Line::Empty),
            ("; timeout = 5", Line::Empty),
            ("  # timeout = 5", Line::Empty),
            ("timeout=5", entry("timeout", "5")),
            ("  timeout\t= 5 ; seconds", entry("timeout", "5")),
            ("timeout = 5;6", entry("timeout", "5;6")),
            ("vrf = ; none", entry("vrf", "")),
            ("vrf =# none", entry("vrf", "")),
            ("home = /home/#%u", entry("home", "/home/#%u")),
            ("secret =  a;b #c = [d] ", entry("secret", "a;b #c = [d]")),
            ("secret = # is a secret", entry("secret", "# is a secret")),
            ("[global]", Line::Section("global")),
            ("[ server a ] ; first", Line::Section("server a")),
            ("[global", Line::Other),
            ("[global] timeout = 5", Line::Other),
            ("timeout", Line::Other),
        ] {
            assert_eq!(cut(line), parts, "{line:?}");
        }
    }
}
