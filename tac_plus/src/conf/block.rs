//! Blocks that are open, and what a message says of one that should not be any more.
//!
//! Owns the guess that a word means a brace is missing before it. A name that may be
//! part of a secret is never repeated.

use super::lexer::{Expect, Kind, Token};
use super::parser::Parser;
use super::profile;
use super::top::{LIMITS, TLS, TOP_LEVEL, WITHOUT_EFFECT};
use crate::policy::draft::Place;

/// The open blocks, the innermost last.
#[derive(Default)]
pub(super) struct Blocks {
    open: Vec<Block>,
    /// Where the last secret stands that kept a brace at its end.
    braced: Option<usize>,
}

/// Only places: a file may have a hundred thousand blocks, and one message.
struct Block {
    what: &'static str,
    name: Place,
    /// The word that its last statement begins with.
    statement: Option<Place>,
}

impl Parser<'_> {
    pub(super) fn enter(&mut self, what: &'static str, name: Place) {
        self.blocks.open.push(Block {
            what,
            name,
            statement: None,
        });
    }

    pub(super) fn leave(&mut self) {
        self.blocks.open.pop();
    }

    /// A statement begins with this.
    pub(super) fn begun(&mut self, token: &Token) {
        if let Some(block) = self.blocks.open.last_mut() {
            block.statement = (token.kind == Kind::Word).then_some(token.place);
        }
    }

    /// A secret keeps the brace at its end.
    pub(super) fn kept_brace(&mut self, place: Place) {
        self.blocks.braced = Some(place.start);
    }

    /// The hint about a word that belongs outside the innermost block, by itself and by
    /// what follows it.
    pub(super) fn missing_brace(&self, token: &Token) -> Option<String> {
        let is_outer = token.kind == Kind::Word
            && is_outer(&token.text, self.blocks.open.len() > 1)
            && self.goes_on_as_outside(token);
        is_outer.then(|| self.unclosed(&format!("'{}'", String::from_utf8_lossy(&token.text))))?
    }

    /// Whether the words behind one that may stand outside are those that it needs there.
    fn goes_on_as_outside(&self, token: &Token) -> bool {
        let mut at = token.place.end;
        let mut next = || {
            let token = self.token_at(at, Expect::Name)?;
            at = token.place.end;
            Some(token)
        };
        let second: &[&str] = match token.text.as_slice() {
            // Users and groups have one that is no block.
            b"acl" => {
                return [Kind::Equals, Kind::Word, Kind::Open]
                    .iter()
                    .all(|expected| {
                        next().is_some_and(|found| match found.kind {
                            Kind::Quoted => *expected == Kind::Word,
                            kind => kind == *expected,
                        })
                    });
            }
            b"accounting" => &["file", "format", "sync", "syslog", "syslog;"],
            b"callout" => &["shell", "timeout"],
            b"default" => &["authentication", "service"],
            b"limit" => LIMITS,
            b"log" => &["format"],
            b"pam" => &["service"],
            b"password" => &["change"],
            b"tls" => TLS,
            b"weak" => &["keys"],
            _ => return true,
        };
        next().is_some_and(|found| second.iter().any(|word| word.as_bytes() == found.text))
    }

    /// The hint about a brace that opens a block where none can be, if the words before
    /// it belong outside the innermost one.
    pub(super) fn missing_brace_before_block(&self) -> Option<String> {
        let block = self.blocks.open.last()?;
        let Place { start, end } = block.statement?;
        let word = self.source.text().get(start..end)?;
        let opens = matches!(word, b"user" | b"group" | b"host" | b"acl");
        opens.then(|| self.unclosed(&format!("'{}'", String::from_utf8_lossy(word))))?
    }

    /// That the innermost block is still open where this follows, and why that may be.
    pub(super) fn unclosed(&self, before: &str) -> Option<String> {
        let block = self.blocks.open.last()?;
        let Place { start, end } = block.name;
        let line = self.source.line_number(start);
        let label = match self.source.text().get(start..end) {
            Some(name) if !self.source.follows_secret(start) => {
                let name = String::from_utf8_lossy(name);
                format!("{} '{}'", block.what, name.trim_matches('"').escape_debug())
            }
            _ => block.what.to_owned(),
        };
        let mut hint = format!(
            "the block of {label}, opened at line {line}, is not closed before {before}: add '}}' there"
        );
        if let Some(at) = self.blocks.braced.filter(|at| *at > start) {
            let line = self.source.line_number(at);
            hint.push_str(&format!(
                "; the '}}' that ends the value in line {line} was read as part of it: write a \
                 blank before it, or put the value in double quotes"
            ));
        }
        Some(hint)
    }
}

/// Whether a word is one of the language, wherever it may stand.
pub(super) fn is_known(word: &[u8]) -> bool {
    is_outer(word, true)
}

/// Whether a word is a directive of the top level, or of the block around an inner one.
fn is_outer(word: &[u8], is_inner: bool) -> bool {
    let around = if is_inner { profile::BODY } else { &[] };
    let mut known = TOP_LEVEL.iter().chain(WITHOUT_EFFECT).chain(around);
    known.any(|known| known.as_bytes() == word)
}
