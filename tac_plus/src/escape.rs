//! Text from the network, made harmless for one line of a log or an accounting file.
//!
//! Owns the one escaping used everywhere: control characters, DEL, bytes that are
//! not UTF-8 and the backslash itself become `\ooo` or `\\`, so a line can be read
//! back exactly and nothing from outside can begin a new one.

use std::fmt;
use std::net::IpAddr;

/// Shows bytes escaped; an empty field is `unknown`, as in the original's lines.
pub(crate) struct Field<'a>(pub(crate) &'a [u8]);

/// As [`Field`], with every kind of blank and quotes escaped too: one word of a
/// `key=value` line.
pub(crate) struct Word<'a>(pub(crate) &'a [u8]);

/// As [`Field`], to stand between single quotes in such a line.
pub(crate) struct Quoted<'a>(pub(crate) &'a [u8]);

impl Field<'_> {
    /// As [`ToString`], at the end of a line and without the cost of formatting: most
    /// text needs nothing.
    pub(crate) fn append_to(&self, line: &mut Vec<u8>) {
        append(self, self.0, is_plain(self.0, |_| false), line);
    }
}

impl Word<'_> {
    /// As [`Field::append_to`].
    pub(crate) fn append_to(&self, line: &mut Vec<u8>) {
        append(self, self.0, is_plain(self.0, is_special_in_a_word), line);
    }
}

/// A field that is escaped already, for a line with four blanks between fields: in it
/// no blank stands at an end or beside another, so it is one field to every reader.
pub(crate) fn lone_blanks(field: &str) -> String {
    let mut out = String::with_capacity(field.len());
    let mut before = ' ';
    let mut chars = field.chars().peekable();
    while let Some(c) = chars.next() {
        let after = chars.peek().copied().unwrap_or(' ');
        let is_lone = c == ' ' && !before.is_whitespace() && !after.is_whitespace();
        if c.is_whitespace() && !is_lone {
            let escaped = Word(c.encode_utf8(&mut [0; 4]).as_bytes()).to_string();
            out.push_str(&escaped);
        } else {
            out.push(c);
        }
        before = c;
    }
    out
}

fn append(text: &impl fmt::Display, bytes: &[u8], plain: bool, line: &mut Vec<u8>) {
    if plain {
        line.extend_from_slice(bytes);
    } else {
        line.extend_from_slice(text.to_string().as_bytes());
    }
}

/// An address at the end of a line, without the cost of formatting for the usual kind.
pub(crate) fn append_address(address: IpAddr, line: &mut Vec<u8>) {
    let IpAddr::V4(address) = address else {
        line.extend_from_slice(address.to_string().as_bytes());
        return;
    };
    for (number, octet) in address.octets().into_iter().enumerate() {
        if number > 0 {
            line.push(b'.');
        }
        if octet >= 100 {
            line.push(b'0' + octet / 100);
        }
        if octet >= 10 {
            line.push(b'0' + octet / 10 % 10);
        }
        line.push(b'0' + octet % 10);
    }
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0, |_| false)
    }
}

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0, is_special_in_a_word)
    }
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0, |c| c == '\'')
    }
}

fn is_special_in_a_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\'' | '"')
}

/// Whether nothing in it is escaped, for what is nearly all there is.
fn is_plain(bytes: &[u8], more: impl Fn(char) -> bool) -> bool {
    let is_plain = |c: u8| matches!(c, b' '..=b'~') && c != b'\\' && !more(char::from(c));
    !bytes.is_empty() && bytes.iter().all(|byte| is_plain(*byte))
}

fn write(f: &mut fmt::Formatter<'_>, bytes: &[u8], more: fn(char) -> bool) -> fmt::Result {
    if bytes.is_empty() {
        return f.write_str("unknown");
    }
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' {
                f.write_str("\\\\")?;
            } else if c.is_control() || is_line_break_elsewhere(c) || more(c) {
                octal(f, c.encode_utf8(&mut [0; 4]).as_bytes())?;
            } else {
                fmt::Write::write_char(f, c)?;
            }
        }
        octal(f, chunk.invalid())?;
    }
    Ok(())
}

/// LINE SEPARATOR, PARAGRAPH SEPARATOR and the marks that turn text around: what a
/// viewer shows must be what is in the file.
fn is_line_break_elsewhere(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn octal(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "\\{byte:03o}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_can_begin_a_new_line_or_field() {
        for (bytes, expected) in [
            (&b"show version <cr>"[..], "show version <cr>"),
            (b"", "unknown"),
            (b"a\nNov 22 forged\tb\r", "a\\012Nov 22 forged\\011b\\015"),
            (b"\x1b[2Jx\x7f", "\\033[2Jx\\177"),
            (
                "Zoë \u{85}\u{2028}".as_bytes(),
                "Zoë \\302\\205\\342\\200\\250",
            ),
            (b"\xff\\n", "\\377\\\\n"),
        ] {
            assert_eq!(Field(bytes).to_string(), expected);
            let mut line = b"before ".to_vec();
            Field(bytes).append_to(&mut line);
            assert_eq!(line, format!("before {expected}").into_bytes());
        }
        assert_eq!(
            Word(b"a port=x 'y'").to_string(),
            "a\\040port=x\\040\\047y\\047"
        );
        assert_eq!(
            Word("a\u{a0}b\u{3000}c\u{61c}".as_bytes()).to_string(),
            "a\\302\\240b\\343\\200\\200c\\330\\234",
            "blanks to whoever matches lines with \\s, and a mark that turns text around"
        );
        assert_eq!(Quoted(b"bye' x=y").to_string(), "bye\\047 x=y");
    }

    #[test]
    fn an_address_looks_as_everywhere() {
        for text in [
            "0.0.0.0",
            "192.0.2.1",
            "10.200.30.255",
            "100.7.70.99",
            "2001:db8::1",
        ] {
            let parsed: IpAddr = text.parse().unwrap();
            let mut line = Vec::new();
            append_address(parsed, &mut line);
            assert_eq!(line, text.as_bytes());
        }
    }

    #[test]
    fn blanks_of_a_field_cannot_be_taken_for_those_between_fields() {
        for (field, expected) in [
            ("show ip route <cr>", "show ip route <cr>"),
            ("x    stop", "x\\040\\040\\040\\040stop"),
            (" a  b ", "\\040a\\040\\040b\\040"),
            ("a \u{a0} b\\\\", "a\\040\\302\\240\\040b\\\\"),
            (" ", "\\040"),
        ] {
            assert_eq!(lone_blanks(field), expected);
        }
    }
}
