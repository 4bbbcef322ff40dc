//! POSIX extended regular expressions in the dialect of the `regex-syntax` crate.
//!
//! Owns the translation. Where the two disagree the expression means here what it
//! means to the C library's regcomp(3), or is an error; never something else.

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

pub(super) struct Translator<'a> {
    input: &'a [u8],
    at: usize,
    out: String,
    last: Last,
    /// Offsets where open groups begin.
    groups: Vec<usize>,
}

impl<'a> Translator<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self {
            input,
            at: 0,
            out: String::with_capacity(input.len() + 8),
            last: Last::Nothing,
            groups: Vec::new(),
        }
    }

    /// The expression in the other dialect.
    ///
    /// # Errors
    ///
    /// What has no meaning in POSIX, or none here, for a person.
    pub(super) fn translate(mut self) -> Result<String, String> {
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
    use std::fmt::Write;
    if byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'/' | b':' | b'_' | b',') {
        out.push(char::from(byte));
    } else {
        // Writing to a String cannot fail.
        let _ = write!(out, "\\x{byte:02x}");
    }
}
