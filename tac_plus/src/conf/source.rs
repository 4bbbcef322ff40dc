//! The text of a configuration file and how problems in it are shown.
//!
//! Owns line and column arithmetic and the masking of secrets. Must never put a
//! byte of a secret into a message: source lines are shown only up to the word
//! that is wrong, and spans marked secret are starred out.

use std::fmt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::policy::draft::{Place, Problem};

/// A file's text, wiped on drop, with the spans in it that nothing may print.
pub(crate) struct Source {
    path: PathBuf,
    text: Zeroizing<Vec<u8>>,
    line_starts: Vec<usize>,
    /// In the order of the text.
    secrets: Vec<Place>,
}

impl Source {
    pub(crate) fn new(path: &Path, text: Vec<u8>) -> Self {
        let mut line_starts = vec![0];
        line_starts.extend(
            text.iter()
                .enumerate()
                .filter(|(_, byte)| **byte == b'\n')
                .map(|(at, _)| at + 1),
        );
        Self {
            path: path.to_owned(),
            text: Zeroizing::new(text),
            line_starts,
            secrets: Vec::new(),
        }
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(crate) fn line_starts(&self) -> &[usize] {
        &self.line_starts
    }

    /// Line of a byte, counted from 0.
    fn line_of(&self, at: usize) -> usize {
        self.line_starts
            .partition_point(|start| *start <= at)
            .saturating_sub(1)
    }

    /// As [`Source::line_of`], as people count.
    pub(crate) fn line_number(&self, at: usize) -> usize {
        self.line_of(at) + 1
    }

    pub(crate) fn same_line(&self, a: usize, b: usize) -> bool {
        self.line_of(a) == self.line_of(b)
    }

    /// From now on nothing of `place` is shown.
    pub(crate) fn hide(&mut self, place: Place) {
        let at = self
            .secrets
            .partition_point(|secret| secret.start <= place.start);
        self.secrets.insert(at, place);
    }

    /// Nothing is hidden any more: the text is read anew. Gives back what was.
    pub(crate) fn show_all(&mut self) -> Vec<Place> {
        std::mem::take(&mut self.secrets)
    }

    /// Hides what [`Source::show_all`] gave back, and nothing else.
    pub(crate) fn hide_again(&mut self, secrets: Vec<Place>) {
        self.secrets = secrets;
    }

    fn is_secret(&self, at: usize) -> bool {
        let behind = self.secrets.partition_point(|secret| secret.start <= at);
        let last = behind
            .checked_sub(1)
            .and_then(|last| self.secrets.get(last));
        last.is_some_and(|secret| at < secret.end)
    }

    /// Whether a word at `at` may be a secret or the rest of one: the line so far
    /// holds a secret, or a word that a secret goes with.
    pub(crate) fn follows_secret(&self, at: usize) -> bool {
        let line_start = self.line_starts.get(self.line_of(at)).copied().unwrap_or(0);
        let before = self.text.get(line_start..at).unwrap_or_default();
        let mut words = before.split(|byte| !byte.is_ascii_alphanumeric());
        words.any(|word| matches!(word, b"cleartext" | b"des" | b"key"))
            || self
                .secrets
                .iter()
                .rev()
                .any(|secret| (line_start + 1..=at).contains(&secret.end))
    }

    /// Whether the secret that a word follows on its line stood in quotes, so that the
    /// word is no part of it.
    pub(crate) fn follows_quoted_secret(&self, at: usize) -> bool {
        let before = self.secrets.iter().rev().find(|secret| secret.end <= at);
        before.is_some_and(|secret| {
            self.text.get(secret.start) == Some(&b'"') && self.same_line(secret.start, at)
        })
    }

    /// The problem as an error that can be shown without the source.
    pub(crate) fn error(&self, problem: Problem) -> Error {
        let Place { start, end } = problem.place;
        let line = self.line_of(start);
        let line_start = self.line_starts.get(line).copied().unwrap_or(0);
        let end = end.max(start + 1).min(self.text.len());
        let shown = self
            .text
            .get(line_start..end.max(line_start))
            .unwrap_or_default();
        let mut masked = shown.to_vec();
        // What stands behind a secret may be the rest of it: who writes one with blanks
        // and without quotes may have it read as other words.
        let mut behind = false;
        for (at, byte) in masked.iter_mut().enumerate() {
            let is_secret = self.is_secret(line_start + at);
            behind |= is_secret;
            if is_secret || behind && !byte.is_ascii_whitespace() {
                *byte = b'*';
            }
        }
        // A span over several lines shows its first; the caret needs one column a character.
        let first_line = masked
            .split(|byte| matches!(byte, b'\n' | b'\r'))
            .next()
            .unwrap_or_default();
        let excerpt: String = String::from_utf8_lossy(first_line)
            .chars()
            .map(|c| {
                if c == '\t' {
                    ' '
                } else if c.is_control() {
                    '\u{fffd}'
                } else {
                    c
                }
            })
            .collect();
        let before = masked
            .get(..start.saturating_sub(line_start))
            .unwrap_or_default();
        let column = String::from_utf8_lossy(before).chars().count();
        Error {
            path: self.path.clone(),
            line: line + 1,
            column: column + 1,
            message: problem.message,
            excerpt,
            hint: problem.hint,
        }
    }

    /// The problem as one line.
    pub(crate) fn warning(&self, problem: Problem) -> String {
        let error = self.error(problem);
        let hint = error
            .hint
            .map(|hint| format!(" ({hint})"))
            .unwrap_or_default();
        format!(
            "{}:{}:{}: warning: {}{hint}",
            error.path.display(),
            error.line,
            error.column,
            error.message
        )
    }
}

/// Why a configuration file was not loaded, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The file.
    pub path: PathBuf,
    /// Counted from 1; 0 if the file could not be read at all.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// The line up to the place, secrets starred out.
    pub excerpt: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            return write!(f, "{}: {}", self.path.display(), self.message);
        }
        writeln!(
            f,
            "{}:{}:{}: {}",
            self.path.display(),
            self.line,
            self.column,
            self.message
        )?;
        let number = self.line.to_string();
        writeln!(f, "{number} | {}", self.excerpt)?;
        write!(
            f,
            "{:width$} | {:caret$}^",
            "",
            "",
            width = number.len(),
            caret = self.column - 1
        )?;
        match &self.hint {
            Some(hint) => write!(f, "\n{:width$} = {hint}", "", width = number.len()),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
