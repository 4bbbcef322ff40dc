//! POSIX extended regular expressions, searched for anywhere in a text.
//!
//! Owns the translation of that dialect into the `regex` crate's, which matches
//! in linear time. Where the two disagree the expression means here what it means
//! to the C library's regcomp(3), or is an error; never something else.

use regex::bytes::{Regex, RegexBuilder};

/// Bound on one compiled expression: a larger one is an error at load.
const SIZE_LIMIT: usize = 1 << 20;

/// A compiled expression. Plain words, most of what files hold, need no machine.
#[derive(Debug)]
pub(super) struct Pattern(Matcher);

#[derive(Debug)]
enum Matcher {
    Anything,
    Contains {
        word: Vec<u8>,
        at_start: bool,
        at_end: bool,
    },
    Search(Regex),
}

impl Pattern {
    /// Compiles an expression.
    ///
    /// # Errors
    ///
    /// What is wrong with it, for a person.
    pub(super) fn new(posix: &[u8]) -> Result<Self, String> {
        let translated = Translator::new(posix).translate()?;
        if let Some(matcher) = plain(posix) {
            return Ok(Self(matcher));
        }
        let regex = RegexBuilder::new(&translated)
            .unicode(false)
            .dot_matches_new_line(true)
            .size_limit(SIZE_LIMIT)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
                other => other
                    .to_string()
                    .lines()
                    .last()
                    .unwrap_or("syntax")
                    .trim_start_matches("error: ")
                    .to_owned(),
            })?;
        Ok(Self(Matcher::Search(regex)))
    }

    /// Whether the expression matches anywhere in `text`.
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        match &self.0 {
            Matcher::Anything => true,
            Matcher::Contains {
                word,
                at_start: true,
                at_end: true,
            } => text == word.as_slice(),
            Matcher::Contains {
                word,
                at_start: true,
                ..
            } => text.starts_with(word),
            Matcher::Contains {
                word, at_end: true, ..
            } => text.ends_with(word),
            Matcher::Contains { word, .. } => text
                .windows(word.len())
                .any(|window| window == word.as_slice()),
            Matcher::Search(regex) => regex.is_match(text),
        }
    }
}

/// The expression without a machine, if it is `.*` or plain words between anchors.
fn plain(posix: &[u8]) -> Option<Matcher> {
    if posix.is_empty() || posix == b".*" {
        return Some(Matcher::Anything);
    }
    let (at_start, rest) = match posix {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, posix),
    };
    let (at_end, rest) = match rest {
        [rest @ .., b'$'] => (true, rest),
        _ => (false, rest),
    };
    let is_plain = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'-' | b'_' | b'/' | b':' | b',')
    };
    let plain = !rest.is_empty() && rest.iter().all(is_plain);
    plain.then(|| Matcher::Contains {
        word: rest.to_vec(),
        at_start,
        at_end,
    })
}

/// Where the last thing that a repetition can apply to begins in the output.
#[derive(Clone, Copy)]
enum Last {
    /// Nothing: a repetition here is an error.
    Nothing,
    /// Something, at this offset.
    Atom(usize),
    /// Something already repeated, so that another repetition needs a group around it:
    /// `a+?` means `(a+)?` here and "lazy" to the `regex` crate.
    Repeated(usize),
}

struct Translator<'a> {
    input: &'a [u8],
    at: usize,
    out: String,
    last: Last,
    /// Offsets where open groups begin.
    groups: Vec<usize>,
}

impl<'a> Translator<'a> {
    fn new(input: &'a [u8]) -> Self {
        Self {
            input,
            at: 0,
            out: String::with_capacity(input.len() + 8),
            last: Last::Nothing,
            groups: Vec::new(),
        }
    }

    fn translate(mut self) -> Result<String, String> {
        while let Some(byte) = self.take() {
            match byte {
                b'\\' => self.escape()?,
                b'[' => self.bracket()?,
                b'(' => {
                    self.groups.push(self.out.len());
                    self.out.push_str("(?:");
                    self.last = Last::Nothing;
                }
                b')' => match self.groups.pop() {
                    Some(start) => {
                        self.out.push(')');
                        self.last = Last::Atom(start);
                    }
                    // An unmatched one stands for itself.
                    None => self.literal(b')'),
                },
                b'|' => {
                    self.out.push('|');
                    self.last = Last::Nothing;
                }
                b'^' | b'$' => {
                    self.edge(&char::from(byte).to_string());
                }
                b'.' => self.atom("."),
                b'*' | b'+' | b'?' => self.repeat(&char::from(byte).to_string())?,
                b'{' => {
                    let interval = self.interval().ok_or("a '{' that begins no '{2,3}'")?;
                    self.repeat(&interval)?;
                }
                other => self.literal(other),
            }
        }
        if self.groups.is_empty() {
            Ok(self.out)
        } else {
            Err("'(' without ')'".to_owned())
        }
    }

    fn take(&mut self) -> Option<u8> {
        let byte = self.input.get(self.at).copied();
        self.at += usize::from(byte.is_some());
        byte
    }

    fn atom(&mut self, text: &str) {
        self.last = Last::Atom(self.out.len());
        self.out.push_str(text);
    }

    /// A place between characters, which cannot be repeated.
    fn edge(&mut self, text: &str) {
        self.last = Last::Nothing;
        self.out.push_str(text);
    }

    fn literal(&mut self, byte: u8) {
        self.last = Last::Atom(self.out.len());
        push_literal(&mut self.out, byte);
    }

    fn repeat(&mut self, operator: &str) -> Result<(), String> {
        match self.last {
            Last::Nothing => return Err(format!("nothing before '{operator}' to repeat")),
            Last::Atom(start) => self.last = Last::Repeated(start),
            Last::Repeated(start) => {
                self.out.insert_str(start, "(?:");
                self.out.push(')');
            }
        }
        self.out.push_str(operator);
        Ok(())
    }

    /// `{2}`, `{2,}`, `{,3}`, `{2,3}` after the brace.
    fn interval(&mut self) -> Option<String> {
        let rest = self.input.get(self.at..)?;
        let end = rest.iter().position(|byte| *byte == b'}')?;
        let inside = std::str::from_utf8(rest.get(..end)?).ok()?;
        let (low, high) = inside.split_once(',').unwrap_or((inside, inside));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if inside.is_empty() || !is_number(low) || !is_number(high) {
            return None;
        }
        self.at += end + 1;
        let low = if low.is_empty() { "0" } else { low };
        Some(if inside.contains(',') {
            format!("{{{low},{high}}}")
        } else {
            format!("{{{low}}}")
        })
    }

    fn escape(&mut self) -> Result<(), String> {
        match self.take() {
            None => Err("a backslash at its end".to_owned()),
            Some(b'1'..=b'9') => Err("back references are not supported".to_owned()),
            // GNU's names for classes and edges.
            Some(class @ (b'w' | b'W' | b's' | b'S')) => {
                self.atom(&format!("\\{}", char::from(class)));
                Ok(())
            }
            Some(edge @ (b'b' | b'B' | b'<' | b'>')) => {
                self.edge(&format!("\\{}", char::from(edge)));
                Ok(())
            }
            Some(b'`') => {
                self.edge("\\A");
                Ok(())
            }
            Some(b'\'') => {
                self.edge("\\z");
                Ok(())
            }
            Some(other) => {
                self.literal(other);
                Ok(())
            }
        }
    }

    /// `[...]`: a backslash in it is a backslash, a first `]` is a `]`.
    fn bracket(&mut self) -> Result<(), String> {
        const OPEN: &str = "'[' without ']'";
        let start = self.out.len();
        self.out.push('[');
        if self.input.get(self.at) == Some(&b'^') {
            self.at += 1;
            self.out.push('^');
        }
        let first = self.at;
        // Whether a range can begin with what was read last.
        let mut after_one = false;
        loop {
            match self.take().ok_or(OPEN)? {
                b']' if self.at - 1 > first => break,
                b'[' if matches!(self.input.get(self.at), Some(b':')) => {
                    let rest = self.input.get(self.at..).unwrap_or_default();
                    let end = rest.windows(2).position(|pair| pair == b":]").ok_or(OPEN)?;
                    let class = rest
                        .get(..end + 2)
                        .and_then(|class| std::str::from_utf8(class).ok())
                        .ok_or(OPEN)?;
                    self.out.push('[');
                    self.out.push_str(class);
                    self.at += end + 2;
                    after_one = false;
                    continue;
                }
                b'[' if matches!(self.input.get(self.at), Some(b'.' | b'=')) => {
                    return Err("collating elements are not supported".to_owned());
                }
                // A range, unless it stands first or last. Its end is taken here: the
                // `regex` crate gives `--` in a set a meaning of its own.
                b'-' if self.at - 1 > first && self.input.get(self.at) != Some(&b']') => {
                    let end = self.take().ok_or(OPEN)?;
                    let is_name =
                        end == b'[' && matches!(self.input.get(self.at), Some(b':' | b'.' | b'='));
                    if !after_one || is_name {
                        return Err("a '-' in '[...]' that is between no two characters".to_owned());
                    }
                    self.out.push('-');
                    push_literal(&mut self.out, end);
                    after_one = false;
                    continue;
                }
                other => push_literal(&mut self.out, other),
            }
            after_one = true;
        }
        self.out.push(']');
        self.last = Last::Atom(start);
        Ok(())
    }
}

fn push_literal(out: &mut String, byte: u8) {
    if byte.is_ascii_alphanumeric() {
        out.push(char::from(byte));
    } else {
        out.push_str(&format!("\\x{byte:02x}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::new(pattern.as_bytes())
            .unwrap()
            .matches(text.as_bytes())
    }

    #[test]
    fn a_search_is_not_anchored() {
        assert!(matches("diag", "show diag 3"));
        assert!(matches(r"131\.108\.13\.[0-9]+", "131.108.13.7 /stream"));
        assert!(!matches(r"131\.108\.13\.[0-9]+", "131x108x13x7"));
    }

    #[test]
    fn plain_words_mean_what_the_machine_would_find() {
        for (pattern, text, expected) in [
            ("^version", "version <cr>", true),
            ("^version", "a version", false),
            ("version$", "a version", true),
            ("version$", "version <cr>", false),
            ("^version$", "version", true),
            ("^version$", "versions", false),
            (".*", "", true),
            ("", "anything", true),
            ("long words", "short", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn the_posix_dialect_keeps_its_meaning() {
        for (pattern, text, expected) in [
            (r"^\d$", "d", true),
            (r"^\d$", "5", false),
            (r"^a+?$", "", true),
            (r"^a**$", "aaa", true),
            (r"^[]x]$", "]", true),
            (r"^[^]x]$", "]", false),
            (r"^[\d]$", "\\", true),
            (r"^[a-c&&b]$", "&", true),
            (r"^[[:digit:]]+$", "123", true),
            (r"^[a-]$", "-", true),
            (r"^[+--]$", ",", true),
            (r"^[ --/]$", "&", true),
            (r"^[^ --/]$", "&", false),
            (r"^[ --/]$", ".", false),
            (r"^[--/]$", ".", true),
            (r"^a{2}$", "aa", true),
            (r"^a{,2}$", "", true),
            (r"^a)$", "a)", true),
            (r"^(a|b)*c$", "abac", true),
            (r"\<show\>", "do show x", true),
            (r"^.$", "\n", true),
            ("a$", "a\n", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern:?} on {text:?}");
        }
    }

    #[test]
    fn what_has_no_meaning_is_an_error() {
        for pattern in [
            "*",
            "+a",
            "(a",
            "[a",
            r"a\",
            r"(a)\1",
            "a|*",
            "(?i)a",
            "[[.x.]]",
            "[b-a]",
            "[a-c-e]",
            "[[:alpha:]-z]",
            "[a-[:digit:]]",
            r"a\`*",
            "a{x}",
            "a{",
        ] {
            assert!(Pattern::new(pattern.as_bytes()).is_err(), "{pattern}");
        }
    }

    #[test]
    fn an_expression_that_explodes_elsewhere_takes_linear_time() {
        let text = "a".repeat(50_000);
        assert!(!matches("^(a*)*b$", &text));
    }
}
