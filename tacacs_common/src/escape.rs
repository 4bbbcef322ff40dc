//! Text from outside, made safe for a terminal and for a log.

/// Makes text from a packet safe to show: printable characters, line breaks and
/// tabs stay, everything else becomes `\xNN`, so no terminal obeys it. For a log,
/// where one record is one line, see [`line`].
pub fn text(bytes: &[u8]) -> String {
    escape(bytes, |c| matches!(c, '\n' | '\t')).replace("\\x0d\n", "\n")
}

/// Makes text safe for one line of a log: line breaks and tabs are escaped too.
pub fn line(bytes: &[u8]) -> String {
    escape(bytes, |_| false)
}

fn escape(bytes: &[u8], keep: impl Fn(char) -> bool) -> String {
    use core::fmt::Write;
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if keep(c) || !is_unsafe(c) {
                out.push(c);
            } else {
                let mut utf8 = [0; 4];
                for byte in c.encode_utf8(&mut utf8).bytes() {
                    let _ = write!(out, "\\x{byte:02x}");
                }
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// Control characters, and the marks that turn the direction of writing: they
/// make a line read as what it does not say.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_do_not_reach_a_terminal() {
        assert_eq!(text(b"\x1b[2JPassword:\r\n\tok"), "\\x1b[2JPassword:\n\tok");
        assert_eq!(text(b"over\rwritten"), "over\\x0dwritten");
        assert_eq!(
            text("caf\u{e9} \u{9b}2J \u{202e}x".as_bytes()),
            "café \\xc2\\x9b2J \\xe2\\x80\\xaex"
        );
        assert_eq!(line("a\u{61c}b".as_bytes()), "a\\xd8\\x9cb");
        assert_eq!(text(b"\xff\xfe"), "\\xff\\xfe");
        assert_eq!(line(b"a\nb\tc"), "a\\x0ab\\x09c");
    }
}
