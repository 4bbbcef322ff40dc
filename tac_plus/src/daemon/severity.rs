//! How much a line of the log matters.
//!
//! Owns the severity of lines about requests, which is told from their outcome: that
//! stands before anything from outside.

/// How much a line matters, by its number in syslog(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    /// Something does not work.
    Err = 3,
    /// Somebody was not let in.
    Notice = 5,
    /// Anything else.
    Info = 6,
}

impl Severity {
    /// Of a line about a request: its outcome stands before anything from outside.
    pub(super) fn of(line: &str) -> Self {
        let outcome = line.split_once(": ").map_or("", |(outcome, _)| outcome);
        if outcome.ends_with(" error") || line.contains(" result=error") {
            Self::Err
        } else if outcome.ends_with(" failure") {
            Self::Notice
        } else {
            Self::Info
        }
    }

    /// Before a line on its way to the writer.
    pub(super) fn digit(self) -> char {
        match self {
            Self::Err => '3',
            Self::Notice => '5',
            Self::Info => '6',
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lines_severity_is_that_of_its_outcome_whatever_names_it_holds() {
        for (line, expected) in [
            ("login success: user=alice", Severity::Info),
            ("login failure: user=alice reason='x'", Severity::Notice),
            ("enable 15 failure: user=alice", Severity::Notice),
            ("login error: user=alice", Severity::Err),
            (
                "authorization user=a cmd=exec result=rejected",
                Severity::Info,
            ),
            ("authorization user=a cmd=exec result=error", Severity::Err),
            ("login success: user=failure:\\040", Severity::Info),
            ("listening on 127.0.0.1:49", Severity::Info),
        ] {
            assert_eq!(Severity::of(line), expected, "{line}");
        }
    }
}
