//! Expressions of access lists and commands, searched for anywhere in a text.
//!
//! Owns how they are matched: in linear time, and where a comparison of bytes does,
//! without a machine. A usual expression has a small automaton, which takes a step of a
//! nanosecond or two for each byte; one whose automaton would be large is gone through
//! state by state. A file may hold a hundred thousand; most of them never see a text, so
//! a machine is built when its expression is first looked for, unless it is among the
//! first.

use std::sync::OnceLock;

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::{Input, meta};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::posix::Translator;

/// Bound on the states of one machine: a larger expression is an error at load. With
/// a text of a packet's size the worst of them still answers within a second or two.
const SIZE_LIMIT: usize = 10_000;
/// An automaton over this many bytes is not worth its memory.
const AUTOMATON: usize = 32 * 1024;
/// Nor is one that takes more than this to be made.
const MAKING: usize = 128 * 1024;
/// Steps that building a machine takes, and for each of its states.
const BUILDING: usize = 10_000;
const BUILDING_STATE: usize = 100;

/// An expression that is known to have a meaning.
#[derive(Debug)]
pub(super) struct Pattern(Matcher);

#[derive(Debug)]
enum Matcher {
    /// Matches every text.
    Anything,
    Contains {
        word: Box<[u8]>,
        at_start: bool,
        at_end: bool,
    },
    Search(Box<Machine>),
}

impl Pattern {
    /// Reads an expression.
    ///
    /// # Errors
    ///
    /// What is wrong with it, for a person.
    pub(super) fn new(posix: &[u8]) -> Result<Self, String> {
        let text = Translator::new(posix).translate()?;
        let hir = parse(&text)?;
        if size(&hir) > SIZE_LIMIT {
            return Err("it is too large".to_owned());
        }
        let machine = || {
            Matcher::Search(Box::new(Machine {
                text: text.into(),
                size: size(&hir),
                built: OnceLock::new(),
            }))
        };
        Ok(Self(plain(&hir).unwrap_or_else(machine)))
    }

    /// An upper bound of the work that `text` makes, in states of a machine times bytes.
    pub(super) fn work(&self, text: &[u8]) -> u64 {
        let steps = match &self.0 {
            Matcher::Anything => 1,
            Matcher::Contains {
                at_start: false,
                at_end: false,
                word,
            } => text.len().saturating_mul(1 + word.len() / 16),
            Matcher::Contains { word, .. } => 1 + word.len() / 16,
            Matcher::Search(machine) => machine.work(text),
        };
        u64::try_from(steps).unwrap_or(u64::MAX)
    }

    /// Has its machine built, if it needs one, before anybody waits for it. Tells whether
    /// it does.
    pub(super) fn prepare(&self) -> bool {
        match &self.0 {
            Matcher::Search(machine) => {
                machine.built();
                true
            }
            _ => false,
        }
    }

    /// Whether the expression matches anywhere in `text`; `None` if that cannot be told,
    /// which [`size`] rules out.
    pub(super) fn matches(&self, text: &[u8]) -> Option<bool> {
        Some(match &self.0 {
            Matcher::Anything => true,
            Matcher::Contains {
                word,
                at_start,
                at_end,
            } => match (at_start, at_end) {
                (true, true) => text == &**word,
                (true, false) => text.starts_with(word),
                (false, true) => text.ends_with(word),
                (false, false) => text.windows(word.len()).any(|window| window == &**word),
            },
            Matcher::Search(machine) => return machine.is_match(text),
        })
    }
}

/// An expression in the crate's dialect, and its machine once somebody asked.
#[derive(Debug)]
struct Machine {
    text: Box<str>,
    /// No fewer states than it has.
    size: usize,
    built: OnceLock<Option<Built>>,
}

#[derive(Debug)]
enum Built {
    /// A step for each byte.
    Automaton(Box<dense::DFA<Vec<u32>>>),
    /// As many as it has states, at worst.
    States(meta::Regex),
}

impl Machine {
    fn work(&self, text: &[u8]) -> usize {
        let by_states = self.size.saturating_mul(text.len());
        match self.built.get() {
            Some(Some(Built::Automaton(_))) => text.len() + 1,
            Some(_) => by_states,
            None => (self.size.saturating_mul(BUILDING_STATE))
                .saturating_add(BUILDING)
                .saturating_add(by_states),
        }
    }

    fn built(&self) -> Option<&Built> {
        let built = self.built.get_or_init(|| build(&self.text));
        built.as_ref()
    }

    fn is_match(&self, text: &[u8]) -> Option<bool> {
        match self.built()? {
            Built::Automaton(automaton) => {
                let found = automaton.try_search_fwd(&Input::new(text).earliest(true));
                found.ok().map(|end| end.is_some())
            }
            Built::States(machine) => Some(machine.is_match(text)),
        }
    }
}

fn build(text: &str) -> Option<Built> {
    let hir = parse(text).ok()?;
    if let Some(automaton) = automaton(&hir) {
        return Some(Built::Automaton(Box::new(automaton)));
    }
    // Without automata that are made while matching: they take more memory than texts of
    // a line are worth, and a second machine that reads backwards.
    let config = meta::Config::new()
        .hybrid(false)
        .dfa(false)
        .utf8_empty(false);
    let states = meta::Builder::new().configure(config).build_from_hir(&hir);
    states.ok().map(Built::States)
}

/// One that only tells whether there is a match, if it is small.
fn automaton(hir: &Hir) -> Option<dense::DFA<Vec<u32>>> {
    let config = thompson::Config::new()
        .utf8(false)
        .nfa_size_limit(Some(MAKING));
    let mut compiler = thompson::Compiler::new();
    let nfa = compiler.configure(config).build_from_hir(hir).ok()?;
    let config = dense::Config::new()
        .start_kind(StartKind::Unanchored)
        .dfa_size_limit(Some(AUTOMATON))
        .determinize_size_limit(Some(MAKING));
    let automaton = dense::Builder::new().configure(config).build_from_nfa(&nfa);
    automaton.ok()
}

fn parse(text: &str) -> Result<Hir, String> {
    ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .dot_matches_new_line(true)
        .build()
        .parse(text)
        .map_err(|error| match error {
            regex_syntax::Error::Parse(error) => error.kind().to_string(),
            regex_syntax::Error::Translate(error) => error.kind().to_string(),
            other => other.to_string(),
        })
}

/// No fewer states than its machine has.
fn size(hir: &Hir) -> usize {
    let sum = |parts: &[Hir]| {
        let sizes = parts.iter().map(size);
        sizes.fold(1, usize::saturating_add)
    };
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(Class::Bytes(class)) => class.ranges().len() + 1,
        HirKind::Class(Class::Unicode(class)) => class.ranges().len().saturating_mul(8),
        HirKind::Capture(capture) => size(&capture.sub).saturating_add(2),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => sum(parts),
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min).max(repetition.min);
            let times = usize::try_from(times).unwrap_or(usize::MAX).max(1);
            let once = size(&repetition.sub).saturating_add(2);
            once.saturating_mul(times)
        }
    }
}

/// The expression without a machine, if it is words between anchors, or matches
/// whatever it is given.
fn plain(hir: &Hir) -> Option<Matcher> {
    let mut parts = match hir.kind() {
        HirKind::Concat(parts) => parts.as_slice(),
        _ => std::slice::from_ref(hir),
    };
    let mut at_start = false;
    let mut at_end = false;
    if let [first, rest @ ..] = parts
        && is_look(first, Look::Start)
    {
        at_start = true;
        parts = rest;
    }
    if let [rest @ .., last] = parts
        && is_look(last, Look::End)
    {
        at_end = true;
        parts = rest;
    }
    // `.*` at an end takes whatever there is, up to the anchor if there is one.
    if let [rest @ .., last] = parts
        && is_anything(last)
    {
        at_end = false;
        parts = rest;
    }
    if let [first, rest @ ..] = parts
        && is_anything(first)
    {
        at_start = false;
        parts = rest;
    }
    match parts {
        [] if !(at_start && at_end) => Some(Matcher::Anything),
        [only] => match only.kind() {
            HirKind::Literal(literal) => Some(Matcher::Contains {
                word: literal.0.clone(),
                at_start,
                at_end,
            }),
            // What may match nothing does so somewhere, wherever it has to begin.
            _ if !(at_start && at_end) && may_be_empty(only) => Some(Matcher::Anything),
            _ => None,
        },
        _ => None,
    }
}

fn is_look(hir: &Hir, look: Look) -> bool {
    matches!(hir.kind(), HirKind::Look(found) if *found == look)
}

/// `.*`.
fn is_anything(hir: &Hir) -> bool {
    let HirKind::Repetition(repetition) = hir.kind() else {
        return false;
    };
    let every_byte = match repetition.sub.kind() {
        HirKind::Class(Class::Bytes(class)) => {
            matches!(class.ranges(), [range] if (range.start(), range.end()) == (0, 255))
        }
        _ => false,
    };
    every_byte && repetition.min == 0 && repetition.max.is_none()
}

fn may_be_empty(hir: &Hir) -> bool {
    let properties = hir.properties();
    properties.minimum_len() == Some(0) && properties.look_set().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::new(pattern.as_bytes())
            .unwrap()
            .matches(text.as_bytes())
            .unwrap()
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
