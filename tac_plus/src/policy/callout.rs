//! Command lines of programs that take part in an authorization.
//!
//! Owns their words and what stands for a field of the request. Must never hand a
//! field to a shell: each word is an argument, whatever its fields hold.

/// A field of a request that a command line may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// Who asks.
    User,
    /// The client's name, its address if it has none.
    Name,
    /// The client's address.
    Ip,
    /// The client's port.
    Port,
    /// Where the user is.
    Address,
    /// The privilege level, a number.
    Priv,
    /// `authen_method`, a number.
    Method,
    /// `authen_type`, a number.
    Type,
    /// `authen_service`, a number.
    Service,
    /// `pass` or `fail`.
    Status,
}

/// Variables by the names that command lines, and a shell's environment, know them by.
pub const VARIABLES: [(&str, Variable); 10] = [
    ("user", Variable::User),
    ("name", Variable::Name),
    ("ip", Variable::Ip),
    ("port", Variable::Port),
    ("address", Variable::Address),
    ("priv", Variable::Priv),
    ("method", Variable::Method),
    ("type", Variable::Type),
    ("service", Variable::Service),
    ("status", Variable::Status),
];

/// What an unknown variable stands for.
pub const UNKNOWN: &[u8] = b"unknown";

/// A command line that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callout {
    /// A program and its arguments.
    Words(Vec<Vec<Part>>),
    /// A line for `/bin/sh -c`, which finds the fields in its environment, so that it
    /// never reads them as part of the line.
    Shell(Vec<u8>),
}

/// A piece of a word. A word with quotes begins with a text, of no bytes if need be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// These bytes.
    Text(Vec<u8>),
    /// A field; `None` is one that there is not.
    Field(Option<Variable>),
}

/// How a program ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Its exit code; `None` if it never ran, did not end in time or was killed.
    pub code: Option<i32>,
    /// What it wrote, one argument a line.
    pub stdout: Vec<u8>,
    /// What it wrote for the user.
    pub stderr: Vec<u8>,
}

impl Callout {
    /// Reads a line that no shell will see.
    ///
    /// # Errors
    ///
    /// What in it only a shell understands, for a person.
    pub(super) fn words(line: &[u8]) -> Result<Self, String> {
        let words = Splitter::new(line).split()?;
        match words.first().map(Vec::as_slice) {
            None | Some([]) => Err("no program is named".to_owned()),
            Some([Part::Text(program)]) if program.is_empty() => {
                Err("no program is named".to_owned())
            }
            Some(program) if program.iter().any(|part| matches!(part, Part::Field(_))) => {
                Err("the program itself would be chosen by who asks".to_owned())
            }
            Some(_) if gives_a_field_to_a_shell(&words) => Err(
                "a shell is told to run a line with a field in it, which whoever asks could write"
                    .to_owned(),
            ),
            Some(_) => Ok(Self::Words(words)),
        }
    }

    /// The program and its arguments, fields filled in. A word of nothing but fields
    /// without a value is none, as to a shell, unless it stands in quotes.
    pub fn fill<'v>(words: &[Vec<Part>], value: impl Fn(Variable) -> &'v [u8]) -> Vec<Vec<u8>> {
        let fill_part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Field(field) => field.map_or(UNKNOWN, &value).to_vec(),
        };
        let is_bare = |word: &&Vec<Part>| word.iter().all(|part| matches!(part, Part::Field(_)));
        words
            .iter()
            .map(|word| (word, word.iter().flat_map(fill_part).collect()))
            .filter(|(word, filled): &(_, Vec<u8>)| !(filled.is_empty() && is_bare(word)))
            .map(|(_, filled)| filled)
            .collect()
    }
}

/// Whether a word behind a shell and its `-c`, in any spelling of both, holds a field.
fn gives_a_field_to_a_shell(words: &[Vec<Part>]) -> bool {
    const SHELLS: [&[u8]; 8] = [
        b"sh", b"ash", b"bash", b"dash", b"ksh", b"mksh", b"zsh", b"busybox",
    ];
    let text = |word: &[Part]| match word {
        [Part::Text(text)] => text.clone(),
        _ => Vec::new(),
    };
    let is_shell = |word: &Vec<Part>| {
        let text = text(word);
        let name = text.rsplit(|byte| *byte == b'/').next();
        name.is_some_and(|name| SHELLS.contains(&name))
    };
    let is_line = |word: &Vec<Part>| {
        let text = text(word);
        text.starts_with(b"-") && text.contains(&b'c')
    };
    let has_field = |word: &Vec<Part>| word.iter().any(|part| matches!(part, Part::Field(_)));
    let behind_shell = words.iter().skip_while(|word| !is_shell(word));
    let mut behind_line = behind_shell.skip_while(|word| !is_line(word));
    // The first that is no flag is the line; those behind it are its arguments.
    let line = behind_line.find(|word| !matches!(text(word).first(), Some(b'-' | b'+')));
    line.is_some_and(has_field)
}

struct Splitter<'a> {
    line: &'a [u8],
    at: usize,
    words: Vec<Vec<Part>>,
    /// The word being read; `None` between words.
    word: Option<Vec<Part>>,
}

impl<'a> Splitter<'a> {
    fn new(line: &'a [u8]) -> Self {
        Self {
            line,
            at: 0,
            words: Vec::new(),
            word: None,
        }
    }

    fn split(mut self) -> Result<Vec<Vec<Part>>, String> {
        let mut quote = None;
        while let Some(byte) = self.take() {
            match (byte, quote) {
                (b'\'' | b'"', None) => {
                    self.push(b"");
                    quote = Some(byte);
                }
                (_, Some(open)) if byte == open => quote = None,
                (b' ' | b'\t', None) => self.words.extend(self.word.take()),
                (b'$', _) => self.field()?,
                (b'`' | b'\\', Some(b'"')) => return Err(only_a_shell(byte)),
                (_, None) if self.is_syntax(byte) => return Err(only_a_shell(byte)),
                (other, _) => self.push(&[other]),
            }
        }
        if quote.is_some() {
            return Err("a quote is not closed".to_owned());
        }
        self.words.extend(self.word.take());
        Ok(self.words)
    }

    fn take(&mut self) -> Option<u8> {
        let byte = self.line.get(self.at).copied();
        self.at += usize::from(byte.is_some());
        byte
    }

    /// Whether a byte outside quotes means something to a shell.
    fn is_syntax(&self, byte: u8) -> bool {
        match byte {
            b'#' | b'~' => self.word.is_none(),
            b'=' => self.words.is_empty(),
            _ => b"|&;<>()`\\*?[]{}!\n\r".contains(&byte),
        }
    }

    /// `$name` or `${name}`.
    fn field(&mut self) -> Result<(), String> {
        let rest = self.line.get(self.at..).unwrap_or_default();
        let (rest, braced) = match rest {
            [b'{', rest @ ..] => (rest, true),
            rest => (rest, false),
        };
        let is_letter = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
        let len = rest
            .iter()
            .position(|byte| !is_letter(byte))
            .unwrap_or(rest.len());
        let closed = !braced || rest.get(len) == Some(&b'}');
        if len == 0 || !closed {
            return Err(only_a_shell(b'$'));
        }
        let name = rest.get(..len).unwrap_or_default();
        let known = VARIABLES.iter().find(|known| known.0.as_bytes() == name);
        self.at += len + if braced { 2 } else { 0 };
        let part = Part::Field(known.map(|known| known.1));
        self.word.get_or_insert_default().push(part);
        Ok(())
    }

    fn push(&mut self, more: &[u8]) {
        let word = self.word.get_or_insert_default();
        match word.last_mut() {
            Some(Part::Text(text)) => text.extend_from_slice(more),
            _ => word.push(Part::Text(more.to_vec())),
        }
    }
}

fn only_a_shell(byte: u8) -> String {
    format!(
        "'{}' means something to a shell only, and none reads this line",
        char::from(byte).escape_debug()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(line: &str) -> Result<Vec<String>, String> {
        let Callout::Words(words) = Callout::words(line.as_bytes())? else {
            return Err("a shell".to_owned());
        };
        let value = |variable| match variable {
            Variable::User => b"x; touch /tmp/owned #".as_slice(),
            Variable::Port => b"tty 1".as_slice(),
            Variable::Address => b"".as_slice(),
            _ => UNKNOWN,
        };
        let words = Callout::fill(&words, value).into_iter();
        Ok(words.map(|word| String::from_utf8(word).unwrap()).collect())
    }

    #[test]
    fn a_field_is_one_argument_whatever_it_holds() {
        let words = filled("/path/pre $user  ${port}x $address $nothing\tend").unwrap();
        let expected = [
            "/path/pre",
            "x; touch /tmp/owned #",
            "tty 1x",
            "unknown",
            "end",
        ];
        assert_eq!(words, expected);
    }

    #[test]
    fn a_field_without_a_value_leaves_no_word_behind_unless_quotes_keep_it() {
        for (line, expected) in [
            ("/bin/x -i $address -fix", &["/bin/x", "-i", "-fix"][..]),
            ("/bin/x $address${address}", &["/bin/x"]),
            ("/bin/x \"$address\" end", &["/bin/x", "", "end"]),
            ("/bin/x '' \"\"", &["/bin/x", "", ""]),
            ("/bin/x ''$address", &["/bin/x", ""]),
            ("/bin/x $address'' end", &["/bin/x", "", "end"]),
            ("/bin/x --from=$address", &["/bin/x", "--from="]),
        ] {
            assert_eq!(filled(line).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn quotes_keep_a_word_together_and_fields_in_them_are_filled_in() {
        let words = filled(r#"/bin/x "a  $port" '$port' b'c d'e """#).unwrap();
        assert_eq!(words, ["/bin/x", "a  tty 1", "tty 1", "bc de", ""]);
    }

    #[test]
    fn what_only_a_shell_understands_is_refused() {
        for line in [
            "/bin/x | /bin/y",
            "/bin/x > /tmp/y",
            "/bin/x; /bin/y",
            "/bin/x && y",
            "/bin/x `id`",
            "/bin/x $(id)",
            "/bin/x $1",
            "/bin/x ${user:-a}",
            "/bin/x ${user",
            "/bin/x a$",
            r"/bin/x a\ b",
            r#"/bin/x "`id`""#,
            "/bin/x *.txt",
            "/bin/x ~/a",
            "/bin/x # note",
            "A=b /bin/x",
            "/bin/x 'a",
            "/bin/x\n/bin/y",
            "",
            "\"\"",
            "$user /bin/x",
            "/bin/$user",
            "/bin/sh -c 'logger $user'",
            "/usr/bin/env bash -euc \"logger $user\" x",
            "busybox sh -c $user",
            "/bin/sh -c -- 'logger $user'",
            "/bin/sh -c -x +u \"logger $user\"",
        ] {
            assert!(filled(line).is_err(), "{line}");
        }
        for line in [
            "/bin/x a#b c=d --e=~",
            "/bin/sh -c 'logger \"a b\"' $user",
            "/bin/sh /etc/script $user",
            "/bin/x -c $user",
        ] {
            assert!(filled(line).is_ok(), "{line}");
        }
    }
}
