//! Words of tac_plus.conf(5).
//!
//! Owns where a word begins and ends. The original ends a word at a blank, a
//! tab, a newline or `=` only, so a password may hold braces but `fred{` is one
//! word. A file that makes sense so is read so. In any other a brace separates
//! wherever a name or keyword is expected; in a value only a brace without its
//! partner at the end does, so that `^[0-9]{2}` stays whole and `priv-lvl = 15}`
//! closes the block. A secret is what it is in the original, braces and all.

use crate::policy::draft::Place;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A bare word, possibly a keyword.
    Word,
    /// A string in double quotes, never a keyword.
    Quoted,
    Equals,
    Open,
    Close,
    End,
}

pub(super) struct Token {
    pub(super) kind: Kind,
    /// The word or string, escapes resolved; empty for the others.
    pub(super) text: Vec<u8>,
    pub(super) place: Place,
}

/// What the parser expects, which decides about braces inside a word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    /// A brace separates.
    Name,
    /// A brace without its partner at the end separates.
    Value,
    /// No brace separates: the word is what it is in the original.
    Secret,
}

/// Whether braces are parts of the words that they touch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Braces {
    /// Behind the first byte they are, as in the original.
    Within,
    /// They stand apart, as far as [`Expect`] lets them.
    Apart,
}

/// A string that never ends; holds where it began.
#[derive(Debug)]
pub(super) struct Unterminated(pub(super) usize);

/// Reads the token at or after `at`. Its place's end is where the next one begins.
pub(super) fn token(
    text: &[u8],
    at: usize,
    expect: Expect,
    braces: Braces,
) -> Result<Token, Unterminated> {
    let start = skip_blanks(text, at);
    let single = |kind| Token {
        kind,
        text: Vec::new(),
        place: Place {
            start,
            end: start + 1,
        },
    };
    match text.get(start) {
        // Its place is behind the last word, not behind a comment that nobody should see.
        None => Ok(Token {
            kind: Kind::End,
            text: Vec::new(),
            place: Place { start: at, end: at },
        }),
        Some(b'=') => Ok(single(Kind::Equals)),
        Some(b'"') => string(text, start),
        Some(b'{') if braces == Braces::Within => Ok(single(Kind::Open)),
        Some(b'}') if braces == Braces::Within => Ok(single(Kind::Close)),
        Some(first) => {
            let expect = match braces {
                Braces::Within => Expect::Secret,
                Braces::Apart => expect,
            };
            let word = bare_word(text, start, expect);
            match (first, word.len()) {
                (b'{', 0) => Ok(single(Kind::Open)),
                (_, 0) => Ok(single(Kind::Close)),
                (_, len) => Ok(Token {
                    kind: Kind::Word,
                    text: word.to_vec(),
                    place: Place {
                        start,
                        end: start + len,
                    },
                }),
            }
        }
    }
}

/// Skips white space and comments. CR is white space: the original fails on CRLF files.
fn skip_blanks(text: &[u8], mut at: usize) -> usize {
    loop {
        match text.get(at) {
            Some(b' ' | b'\t' | b'\n' | b'\r') => at += 1,
            Some(b'#') => {
                let rest = text.get(at..).unwrap_or_default();
                at += rest
                    .iter()
                    .position(|byte| *byte == b'\n')
                    .unwrap_or(rest.len());
            }
            _ => return at,
        }
    }
}

/// The word at `start`, empty if a brace stands there on its own.
fn bare_word(text: &[u8], start: usize, expect: Expect) -> &[u8] {
    let rest = text.get(start..).unwrap_or_default();
    let len = rest
        .iter()
        .position(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'='))
        .unwrap_or(rest.len());
    let word = rest.get(..len).unwrap_or_default();
    let is_brace = |byte: &u8| matches!(byte, b'{' | b'}');
    if expect == Expect::Secret {
        return word;
    }
    if expect == Expect::Name || word.iter().all(is_brace) {
        let len = word.iter().position(is_brace).unwrap_or(word.len());
        return word.get(..len).unwrap_or_default();
    }
    without_unpaired_end(word)
}

/// Cuts closing braces that have no opening one, and an opening one, off the end.
fn without_unpaired_end(mut word: &[u8]) -> &[u8] {
    loop {
        let opened = word.iter().filter(|byte| **byte == b'{').count();
        let closed = word.iter().filter(|byte| **byte == b'}').count();
        match word {
            [rest @ .., b'}'] if closed > opened => word = rest,
            [rest @ .., b'{'] if opened > closed => word = rest,
            _ => return word,
        }
    }
}

/// `"..."`: `\"` and `\\` are one character, any other backslash stays, as in the original.
fn string(text: &[u8], start: usize) -> Result<Token, Unterminated> {
    // Of the whole length at once: a secret that grows leaves pieces of itself behind.
    let rest = text.get(start + 1..).unwrap_or_default();
    let length = rest
        .windows(2)
        .position(|pair| matches!(pair, [before, b'"'] if *before != b'\\'));
    let mut value = Vec::with_capacity(length.map_or(rest.len(), |length| length + 1));
    let mut at = start + 1;
    loop {
        match (text.get(at), text.get(at + 1)) {
            (None, _) => return Err(Unterminated(start)),
            (Some(b'"'), _) => {
                return Ok(Token {
                    kind: Kind::Quoted,
                    text: value,
                    place: Place { start, end: at + 1 },
                });
            }
            (Some(b'\\'), Some(escaped @ (b'"' | b'\\'))) => {
                value.push(*escaped);
                at += 2;
            }
            (Some(byte), _) => {
                value.push(*byte);
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, expect: Expect) -> Vec<String> {
        let mut at = 0;
        let mut words = Vec::new();
        loop {
            let token = token(text.as_bytes(), at, expect, Braces::Apart).unwrap();
            at = token.place.end;
            words.push(match token.kind {
                Kind::End => return words,
                Kind::Equals => "=".to_owned(),
                Kind::Open => "{".to_owned(),
                Kind::Close => "}".to_owned(),
                Kind::Word => String::from_utf8(token.text).unwrap(),
                Kind::Quoted => format!("\"{}\"", String::from_utf8(token.text).unwrap()),
            });
        }
    }

    #[test]
    fn words_end_at_blanks_newlines_equals_and_braces() {
        assert_eq!(
            words("user=fred{\r\n\tlogin = x}", Expect::Name),
            ["user", "=", "fred", "{", "login", "=", "x", "}"]
        );
    }

    #[test]
    fn a_value_keeps_paired_braces_and_gives_back_the_one_that_closes_the_block() {
        assert_eq!(words("15}", Expect::Value), ["15", "}"]);
        assert_eq!(words("^a{2}$", Expect::Value), ["^a{2}$"]);
        assert_eq!(words("^a{2}}", Expect::Value), ["^a{2}", "}"]);
        assert_eq!(words("{}", Expect::Value), ["{", "}"]);
        assert_eq!(words("fred{", Expect::Value), ["fred", "{"]);
    }

    #[test]
    fn a_comment_starts_only_where_a_word_could() {
        assert_eq!(words("a#b # c\nd", Expect::Name), ["a#b", "d"]);
    }

    #[test]
    fn strings_know_two_escapes_and_keep_every_other_backslash() {
        assert_eq!(
            words(r#""a \"b\" \\ \n \. {=#""#, Expect::Value),
            [r#""a "b" \ \n \. {=#""#]
        );
    }

    #[test]
    fn a_string_without_its_end_says_where_it_began() {
        assert_eq!(
            token(b"  \"abc", 0, Expect::Value, Braces::Apart)
                .err()
                .map(|error| error.0),
            Some(2)
        );
    }
}
