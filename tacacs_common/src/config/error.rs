//! What is wrong with a configuration, and where.
//!
//! Owns the error type and the "did you mean". Must never repeat text of a
//! file that is not close to a word of ours: what stands at a wrong place
//! may be a secret.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// After this many problems reading stops: a file of another kind has as many
/// as it has lines.
const LISTED: usize = 20;

/// A file and a line of it, or the PAM line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    file: Arc<str>,
    line: usize,
}

impl Place {
    pub(super) fn line(file: &Arc<str>, line: usize) -> Self {
        Self {
            file: file.clone(),
            line,
        }
    }

    pub(super) fn whole(file: &str) -> Self {
        Self {
            file: file.into(),
            line: 0,
        }
    }

    pub(super) fn path(path: &Path) -> Self {
        Self::whole(&path.to_string_lossy())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        Ok(())
    }
}

/// One thing that is wrong, printed as `tacplus.conf:14: what and what to do`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, and what to write instead.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// Why a configuration or a secret file is refused. Prints as one line, the
/// first problem.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Error {
    problems: Vec<Problem>,
}

impl Error {
    pub(super) fn one(place: Place, text: impl Into<String>) -> Self {
        let mut error = Self::default();
        error.add(place, text);
        error
    }

    pub(super) fn add(&mut self, place: Place, text: impl Into<String>) {
        if !self.is_full() {
            self.problems.push(Problem {
                place,
                text: text.into(),
            });
        }
    }

    /// Whether no other problem is listed.
    pub(super) fn is_full(&self) -> bool {
        self.problems.len() >= LISTED
    }

    /// `value`, if nothing is wrong.
    pub(super) fn or<T>(self, value: T) -> Result<T, Self> {
        if self.problems.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }

    /// The problems found, 20 at most, in the order of the file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(first) = self.problems.first() {
            write!(f, "{first}")?;
        }
        match self.problems.len().saturating_sub(1) {
            0 => Ok(()),
            more => write!(f, " (and {more} more)"),
        }
    }
}

impl std::error::Error for Error {}

/// The word of `known` that `word` was probably meant to be.
pub(super) fn nearest<'a>(word: &str, known: &mut dyn Iterator<Item = &'a str>) -> Option<&'a str> {
    // Nothing of ours is longer; without this a megabyte of key costs a square.
    if word.len() > 40 {
        return None;
    }
    let word: Vec<char> = word.to_ascii_lowercase().chars().collect();
    let limit = if word.len() <= 4 { 1 } else { 2 };
    known
        .map(|candidate| (distance(&word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= limit && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours from `a` to `b`.
fn distance(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX).saturating_add(1);
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous_x = None;
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i.saturating_add(1)];
        let mut previous_y = None;
        for (j, &y) in b.iter().enumerate() {
            let next = j.saturating_add(1);
            let replaced = if x == y {
                at(&last, j).saturating_sub(1)
            } else {
                at(&last, j)
            };
            let mut best = replaced.min(at(&last, next)).min(at(&row, j));
            if previous_x == Some(y) && previous_y == Some(x) {
                best = best.min(at(&before, j.saturating_sub(1)));
            }
            row.push(best);
            previous_y = Some(y);
        }
        before = std::mem::replace(&mut last, row);
        previous_x = Some(x);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_and_a_far_one_is_not() {
        let keys = ["timeout", "tls", "tls_ca", "secret", "secret_file"];
        for (word, meant) in [
            ("tiemout", Some("timeout")),
            ("Timeout", Some("timeout")),
            ("secert", Some("secret")),
            ("secretfile", Some("secret_file")),
            ("tsl", Some("tls")),
            ("retries", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, &mut keys.into_iter()), meant, "{word}");
        }
    }

    #[test]
    fn only_the_first_problems_are_kept() {
        let mut error = Error::default();
        for line in 1..=50 {
            error.add(Place::line(&"tacplus.conf".into(), line), "wrong");
        }
        assert_eq!(error.problems().len(), 20);
        assert_eq!(error.to_string(), "tacplus.conf:1: wrong (and 19 more)");
    }
}
