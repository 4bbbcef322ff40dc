//! Reading tac_plus.conf(5) word by word.
//!
//! Owns what every part of the grammar is made of: words, assignments, blocks, and
//! how a word that does not belong is reported. A word that may be a secret is never
//! repeated in an error.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;

use tacacs_common::secret::Secret;

use super::block::{self, Blocks};
use super::lexer::{self, Braces, Expect, Kind, Token};
use super::source::Source;
use crate::policy::draft::{At, Permission, Place, Problem};

pub(super) struct Parser<'a> {
    pub(super) source: &'a mut Source,
    pub(super) at: usize,
    pub(super) braces: Braces,
    pub(super) blocks: Blocks,
    pub(super) warnings: Vec<Problem>,
}

impl Parser<'_> {
    /// `= S` where S is a secret.
    pub(super) fn secret_assignment(&mut self) -> Result<At<Arc<Secret>>, Problem> {
        self.secret_equals()?;
        let token = self.next(Expect::Secret)?;
        let place = token.place;
        let secret = self.secret(token, "a secret")?;
        if secret.is_empty() {
            return Err(Problem::new(place, "a secret cannot be empty"));
        }
        Ok(At {
            value: Arc::new(secret),
            place,
        })
    }

    /// `=` before a secret: whoever forgets it has the secret here.
    pub(super) fn secret_equals(&mut self) -> Result<(), Problem> {
        let token = self.next(Expect::Name)?;
        if token.kind == Kind::Equals {
            return Ok(());
        }
        self.source.hide(token.place);
        Err(Problem::new(token.place, "'=' expected"))
    }

    pub(super) fn secret(&mut self, token: Token, what: &str) -> Result<Secret, Problem> {
        if !matches!(token.kind, Kind::Word | Kind::Quoted) {
            return Err(self.unexpected(&token, what));
        }
        self.source.hide(token.place);
        if token.kind == Kind::Word && self.source.text().get(token.place.end) == Some(&b'=') {
            return Err(
                Problem::new(token.place, "this word ends where its '=' stands")
                    .hint("put the whole of it in double quotes"),
            );
        }
        if token.kind == Kind::Word && token.text.ends_with(b"}") {
            self.kept_brace(token.place);
            self.warnings.push(
                Problem::new(token.place, "the brace at its end is part of this word").hint(
                    "put it in double quotes to show that it is meant, or a blank before the brace",
                ),
            );
        }
        Ok(Secret::new(token.text))
    }

    /// `= S`.
    pub(super) fn assignment(&mut self, what: &str) -> Result<At<Vec<u8>>, Problem> {
        self.equals()?;
        self.string(what)
    }

    /// `S` or `= S`: the manual page writes both.
    pub(super) fn optional_assignment(&mut self, what: &str) -> Result<At<Vec<u8>>, Problem> {
        if self.peek(Expect::Name)?.kind == Kind::Equals {
            self.equals()?;
        }
        self.string(what)
    }

    /// A word or a string.
    pub(super) fn string(&mut self, what: &str) -> Result<At<Vec<u8>>, Problem> {
        let token = self.next(Expect::Value)?;
        match token.kind {
            Kind::Word | Kind::Quoted => Ok(At {
                value: token.text,
                place: token.place,
            }),
            _ => Err(self.unexpected(&token, what)),
        }
    }

    /// `= NAME {` after the word for what it is.
    pub(super) fn named_block(&mut self, what: &'static str) -> Result<At<Vec<u8>>, Problem> {
        self.equals()?;
        let name = self.next(Expect::Name)?;
        if !matches!(name.kind, Kind::Word | Kind::Quoted) || name.text.is_empty() {
            return Err(self.unexpected(&name, "a name"));
        }
        self.open()?;
        self.enter(what, name.place);
        Ok(At {
            value: name.text,
            place: name.place,
        })
    }

    /// The first word of a statement inside a block, or nothing where the block closes.
    pub(super) fn statement(&mut self) -> Result<Option<Token>, Problem> {
        let token = self.next(Expect::Name)?;
        match token.kind {
            Kind::Close => {
                self.leave();
                Ok(None)
            }
            Kind::Word | Kind::Quoted => {
                self.begun(&token);
                Ok(Some(token))
            }
            Kind::End => {
                let problem = self.unexpected(&token, "'}'");
                Err(with_hint(problem, self.unclosed("the end of the file")))
            }
            Kind::Open => {
                let problem = self.unexpected(&token, "a directive or '}'");
                Err(with_hint(problem, self.missing_brace_before_block()))
            }
            Kind::Equals => Err(self.unexpected(&token, "a directive or '}'")),
        }
    }

    pub(super) fn equals(&mut self) -> Result<(), Problem> {
        self.one(Kind::Equals, "'='")
    }

    pub(super) fn open(&mut self) -> Result<(), Problem> {
        self.one(Kind::Open, "'{'")
    }

    fn one(&mut self, kind: Kind, what: &str) -> Result<(), Problem> {
        let token = self.next(Expect::Name)?;
        if token.kind == kind {
            Ok(())
        } else {
            Err(self.unexpected(&token, what))
        }
    }

    pub(super) fn next(&mut self, expect: Expect) -> Result<Token, Problem> {
        let token = self.peek(expect)?;
        self.at = token.place.end;
        self.mind_odd_ends(&token);
        Ok(token)
    }

    /// Warns of what came with a word from elsewhere and is now part of it.
    fn mind_odd_ends(&mut self, token: &Token) {
        let text = token.text.as_slice();
        let is_marked = |text: &[u8]| {
            let text = String::from_utf8_lossy(text);
            let quotes = ['\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}', '\u{201e}'];
            text.starts_with(quotes) || text.ends_with(quotes)
        };
        let (what, hint) = match token.kind {
            // The original's own manual page ends this one so.
            Kind::Word if text == b"syslog;" => return,
            Kind::Word if text.ends_with(b";") => (
                "the semicolon at its end is part of this word",
                "nothing ends a line here; if it is meant, put the word in double quotes",
            ),
            Kind::Word if is_marked(text) => (
                "the quotation marks are part of this word",
                "only \" quotes here",
            ),
            _ => return,
        };
        let problem = Problem::new(token.place, what).hint(hint);
        self.warnings.push(problem);
    }

    /// The token at some place, if there is one.
    pub(super) fn token_at(&self, at: usize, expect: Expect) -> Option<Token> {
        lexer::token(self.source.text(), at, expect, self.braces).ok()
    }

    pub(super) fn peek(&mut self, expect: Expect) -> Result<Token, Problem> {
        match lexer::token(self.source.text(), self.at, expect, self.braces) {
            Ok(token) => Ok(token),
            Err(lexer::Unterminated(start)) => Err(Problem::new(
                Place {
                    start,
                    end: start + 1,
                },
                "this string is never closed",
            )
            .hint("'\"' is missing")),
        }
    }

    pub(super) fn unexpected(&mut self, token: &Token, expected: &str) -> Problem {
        match self.shown(token) {
            Some(found) => Problem::new(token.place, format!("{expected} expected, found {found}")),
            None => after_secret(token.place),
        }
    }

    pub(super) fn unknown(&mut self, token: &Token, what: &str, known: &[&str]) -> Problem {
        let Some(found) = self.shown(token) else {
            return after_secret(token.place);
        };
        let word = String::from_utf8_lossy(&token.text).into_owned();
        let hint = self
            .missing_brace(token)
            .or_else(|| elsewhere(&word).map(str::to_owned))
            .unwrap_or_else(|| match nearest(&word, known) {
                Some(near) => format!("did you mean '{near}'?"),
                None => format!("known here: {}", known.join(" ")),
            });
        Problem::new(token.place, format!("unknown {what} {found}")).hint(hint)
    }

    /// The token as a message may show it: not at all where it may be a secret. A
    /// string out of place always may.
    fn shown(&mut self, token: &Token) -> Option<String> {
        let is_text = matches!(token.kind, Kind::Word | Kind::Quoted);
        if token.kind == Kind::Quoted {
            self.source.hide(token.place);
        }
        let is_keyword = || block::is_known(&token.text);
        if is_text
            && self.source.follows_secret(token.place.start)
            && !(self.source.follows_quoted_secret(token.place.start) && is_keyword())
        {
            self.source.hide(token.place);
            return None;
        }
        Some(match token.kind {
            Kind::Word => format!("'{}'", String::from_utf8_lossy(&token.text).escape_debug()),
            Kind::Quoted => "a string".to_owned(),
            Kind::Equals => "'='".to_owned(),
            Kind::Open => "'{'".to_owned(),
            Kind::Close => "'}'".to_owned(),
            Kind::End => "the end of the file".to_owned(),
        })
    }
}

pub(super) fn file_name(name: At<Vec<u8>>) -> PathBuf {
    OsString::from_vec(name.value).into()
}

/// Stores what may be given once.
pub(super) fn set<T>(
    slot: &mut Option<T>,
    value: T,
    keyword: &Token,
    what: &str,
) -> Result<(), Problem> {
    if slot.is_some() {
        return Err(Problem::new(
            keyword.place,
            format!("'{what}' is given twice"),
        ));
    }
    *slot = Some(value);
    Ok(())
}

pub(super) fn permission(word: &[u8]) -> Option<Permission> {
    match word {
        b"permit" => Some(Permission::Permit),
        b"deny" => Some(Permission::Deny),
        _ => None,
    }
}

pub(super) fn with_hint(problem: Problem, hint: Option<String>) -> Problem {
    match hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

fn after_secret(place: Place) -> Problem {
    Problem::new(place, "unexpected word on the line of a secret")
        .hint("a secret with blanks, '=' or '#' must stand in double quotes")
}

/// What a word means that other servers' files have.
fn elsewhere(word: &str) -> Option<&'static str> {
    match word {
        "id" | "spawnd" | "mavis" | "device" | "profile" | "ruleset" | "realm" | "net" => Some(
            "this looks like a file of tac_plus-ng, which is another language: see tac_plus.conf(5) \
             for this one",
        ),
        "password" => {
            Some("passwords are called login, pap, chap, ms-chap, global and enable here")
        }
        _ => None,
    }
}

/// The known word at most two edits away.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known
        .iter()
        .map(|candidate| (edits(word, candidate), *candidate))
        .min()?;
    (near.0 <= 2 && near.0 < word.chars().count()).then_some(near.1)
}

/// Levenshtein distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.chars().take(64).enumerate() {
        let mut next = vec![i + 1];
        for ((above, pair), b) in row.iter().skip(1).zip(row.windows(2)).zip(&b) {
            let diagonal = pair.first().copied().unwrap_or_default() + usize::from(a != *b);
            let left = next.last().copied().unwrap_or_default() + 1;
            next.push(diagonal.min(left).min(above + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
