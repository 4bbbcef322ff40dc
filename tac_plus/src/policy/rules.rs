//! Rules with expressions: the first that matches decides, no match denies.
//!
//! Owns how much of that happens on the thread that answers everybody. Expressions are
//! the operator's, but the text is the client's: rules that take no time for a command
//! of a line can take seconds for one that fills a packet. What is more than a request
//! may cost is handed back as a [`Search`], for a thread that holds up nobody. Must
//! never permit what was not searched for.

use std::sync::Arc;

use super::draft::Permission;
use super::pattern::Pattern;

/// What a request may cost at once, in steps of [`Pattern::work`]: 2 to 5 ns each with
/// the worst expressions, so at most a quarter of a millisecond, and next to nothing
/// with words that can be looked for as such. A usual expression takes a step for each
/// byte, so that two hundred of them fit with a command of a line.
const AT_ONCE: u64 = 50_000;

/// Rules in order.
pub(super) struct Rules {
    name: Box<[u8]>,
    rules: Vec<Rule>,
}

/// A permission, and where it is written.
pub(super) struct Rule {
    pub(super) permission: Permission,
    pub(super) pattern: Arc<Pattern>,
    /// Counted from 1; 0 if nobody knows.
    pub(super) line: u32,
}

/// What rules say about a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// Whether they permit it.
    pub permitted: bool,
    /// The line of the rule that says so; none where no rule matched.
    pub line: Option<u32>,
}

impl Ruling {
    const NO_RULE: Self = Self {
        permitted: false,
        line: None,
    };
}

impl Rules {
    pub(super) fn new(name: &[u8], rules: Vec<Rule>) -> Self {
        Self {
            name: name.into(),
            rules,
        }
    }

    /// What they are called.
    pub(super) fn name(&self) -> &[u8] {
        &self.name
    }

    /// What they say of a text that is short whoever asks.
    pub(super) fn judge(&self, text: &[u8]) -> Ruling {
        self.decide(0, text, |_| true).unwrap_or(Ruling::NO_RULE)
    }

    /// Goes on from one of the rules as long as `go_on` allows the next one's work;
    /// else tells which one that is.
    fn decide(
        &self,
        from: usize,
        text: &[u8],
        mut go_on: impl FnMut(u64) -> bool,
    ) -> Result<Ruling, usize> {
        for (number, rule) in self.rules.iter().enumerate().skip(from) {
            if !go_on(rule.pattern.work(text)) {
                return Err(number);
            }
            let matches = rule.pattern.matches(text);
            if matches == Some(false) {
                continue;
            }
            return Ok(Ruling {
                // What nobody can tell is no permission.
                permitted: matches.is_some() && rule.permission == Permission::Permit,
                line: Some(rule.line),
            });
        }
        Ok(Ruling::NO_RULE)
    }
}

/// The rest of a decision that takes too long to be made at once.
pub struct Search {
    rules: Arc<Rules>,
    /// Those before it do not match.
    from: usize,
    text: Vec<u8>,
}

impl Search {
    /// What the rules say of this text, or what it takes to find out.
    pub(super) fn begin(rules: &Arc<Rules>, text: Vec<u8>) -> Result<Ruling, Self> {
        let mut left = AT_ONCE;
        let decided = rules.decide(0, &text, |work| {
            let rest = left.checked_sub(work);
            left = rest.unwrap_or(0);
            rest.is_some()
        });
        decided.map_err(|from| Self {
            rules: Arc::clone(rules),
            from,
            text,
        })
    }

    /// What the rules say of the text; `None` once `go_on` says that nobody waits any
    /// more. It is asked before each expression.
    pub(crate) fn finish(&self, go_on: impl Fn() -> bool) -> Option<Ruling> {
        let decided = self.rules.decide(self.from, &self.text, |_| go_on());
        decided.ok()
    }

    /// How long the text is.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(patterns: &[(Permission, &str)]) -> Arc<Rules> {
        let rule = |(line, (permission, pattern)): (u32, &(Permission, &str))| Rule {
            permission: *permission,
            pattern: Arc::new(Pattern::new(pattern.as_bytes()).unwrap()),
            line,
        };
        Arc::new(Rules::new(b"", (1..).zip(patterns).map(rule).collect()))
    }

    fn usual() -> Arc<Rules> {
        let mut patterns = vec![(Permission::Deny, "^(reload|write erase)( .*)?$"); 5];
        patterns.push((Permission::Permit, "(ip|ipv6) route$"));
        rules(&patterns)
    }

    #[test]
    fn a_command_of_a_line_is_decided_at_once() {
        let usual = usual();
        let line = b"configuration of interface GigabitEthernet0/0/0 ip route".to_vec();
        // The first time machines are built, and that may be left to somebody else.
        let _ = Search::begin(&usual, line.clone()).map_err(|rest| rest.finish(|| true));
        assert!(Search::begin(&usual, line).is_ok_and(|ruling| ruling.permitted));
    }

    #[test]
    fn a_command_that_fills_a_packet_is_left_to_somebody_else_who_decides_the_same() {
        for (end, expected) in [("ip route", true), ("show", false)] {
            let text = [vec![b'a'; 60_000], end.as_bytes().to_vec()].concat();
            let rest = Search::begin(&usual(), text).err().unwrap();
            let ruling = rest.finish(|| true).unwrap();
            assert_eq!(ruling.permitted, expected, "{end}");
        }
    }

    #[test]
    fn rules_before_the_rest_are_not_asked_again_and_one_that_matches_early_decides() {
        let rules = rules(&[
            (Permission::Permit, "^short"),
            (Permission::Deny, "(a|b)*c$"),
            (Permission::Permit, ".*"),
        ]);
        let text = |start: &str| [start.as_bytes().to_vec(), vec![b'a'; 60_000]].concat();
        assert!(Search::begin(&rules, text("short")).is_ok_and(|ruling| ruling.permitted));
        let rest = Search::begin(&rules, text("long")).err().unwrap();
        assert_eq!(rest.from, 1);
        let ruling = rest.finish(|| true).unwrap();
        assert_eq!((ruling.permitted, ruling.line), (true, Some(3)));
    }

    #[test]
    fn a_search_that_nobody_waits_for_decides_nothing() {
        let rest = Search::begin(&usual(), vec![b'a'; 60_000]).err().unwrap();
        assert_eq!(rest.finish(|| false), None);
    }
}
