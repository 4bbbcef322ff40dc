//! A server's response, as words and as JSON.
//!
//! Owns the one table from an outcome to status word and exit code.

use serde::Serialize;
use tacacs_common::client::{Accepted, Authorized, Trouble};
use tacacs_common::escape;
use tacacs_common::outcome::{Denial, DenyReason, Outcome, Unreachable};
use tacacs_common::packet::AuthorStatus;

use crate::exit::Exit;

/// What is printed. Text is escaped.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub(crate) struct Report {
    server: String,
    status: &'static str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    data: String,
    message: String,
    #[serde(rename = "av-pairs")]
    av_pairs: Vec<String>,
    /// What went wrong, other than a plain refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip)]
    exit: Exit,
}

impl Report {
    /// An authentication; a pass of an accounting record is called SUCCESS.
    pub(crate) fn of_accepted(outcome: Outcome<Accepted>, pass: &'static str) -> Self {
        match outcome {
            Outcome::Pass(accepted) => Self {
                message: escape::line(&accepted.server_msg),
                ..Self::new(accepted.server, pass, "pass", Exit::Pass)
            },
            Outcome::Deny(denial) => Self::of_denial(&denial),
            Outcome::Unreachable(unreachable) => Self::of_unreachable(&unreachable),
        }
    }

    /// An authorization.
    pub(crate) fn of_authorized(outcome: Outcome<Authorized>) -> Self {
        match outcome {
            Outcome::Pass(granted) => Self {
                data: escape::line(&granted.data),
                message: escape::line(&granted.server_msg),
                av_pairs: granted
                    .args
                    .as_arguments()
                    .raw()
                    .map(escape::line)
                    .collect(),
                ..Self::new(
                    granted.server,
                    match granted.status {
                        AuthorStatus::PassRepl => "REPL",
                        _ => "PASS",
                    },
                    "pass",
                    Exit::Pass,
                )
            },
            Outcome::Deny(denial) => Self::of_denial(&denial),
            Outcome::Unreachable(unreachable) => Self::of_unreachable(&unreachable),
        }
    }

    fn of_denial(denial: &Denial) -> Self {
        let (status, exit, is_plain) = match denial.reason {
            DenyReason::Fail => ("FAIL", Exit::Denied, true),
            DenyReason::Follow => ("FOLLOW", Exit::Denied, true),
            DenyReason::Restart => ("RESTART", Exit::Denied, true),
            // Nothing was sent: the command line asks for what cannot be said.
            DenyReason::Unsendable(_) => ("FAIL", Exit::Usage, false),
            _ => ("FAIL", Exit::Denied, false),
        };
        Self {
            message: escape::line(&denial.server_msg),
            error: (!is_plain).then(|| denial.reason.to_string()),
            ..Self::new(denial.server.clone(), status, "deny", exit)
        }
    }

    fn of_unreachable(unreachable: &Unreachable) -> Self {
        let last = unreachable.tried.last();
        let status = match last {
            Some((_, Trouble::ServerError(_))) => "ERROR",
            _ => "UNREACHABLE",
        };
        let only_configuration = !unreachable.tried.is_empty()
            && unreachable
                .tried
                .iter()
                .all(|(_, trouble)| matches!(trouble, Trouble::Config(_)));
        let exit = if only_configuration {
            Exit::Usage
        } else {
            Exit::Unreachable
        };
        let server = last.map(|(server, _)| server.clone()).unwrap_or_default();
        Self {
            error: Some(unreachable.to_string()),
            ..Self::new(server, status, "unreachable", exit)
        }
    }

    fn new(server: String, status: &'static str, outcome: &'static str, exit: Exit) -> Self {
        Self {
            server,
            status,
            outcome,
            data: String::new(),
            message: String::new(),
            av_pairs: Vec::new(),
            error: None,
            exit,
        }
    }

    /// Turns a pass into a refusal of this client.
    pub(crate) fn refuse(mut self, reason: String) -> Self {
        self.status = "FAIL";
        self.outcome = "deny";
        self.exit = Exit::Denied;
        self.error = Some(reason);
        self
    }

    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }

    pub(crate) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// The words of `-v`.
    pub(crate) fn text(&self) -> String {
        let mut out = format!("status: {}\n", self.status);
        for (name, value) in [("data", &self.data), ("server_msg", &self.message)] {
            if !value.is_empty() {
                out.push_str(&format!("{name}: {value}\n"));
            }
        }
        if !self.av_pairs.is_empty() {
            out.push_str("av-pairs:\n");
            for pair in &self.av_pairs {
                out.push_str(&format!("    {pair}\n"));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacacs_common::exchange::author::Refusal;
    use tacacs_common::packet::Error;

    #[test]
    fn every_refusal_has_its_status_and_exit_code() {
        let rows = [
            (DenyReason::Fail, "FAIL", Exit::Denied, false),
            (DenyReason::Follow, "FOLLOW", Exit::Denied, false),
            (DenyReason::Restart, "RESTART", Exit::Denied, false),
            (DenyReason::FlagMismatch, "FAIL", Exit::Denied, true),
            (DenyReason::TooManyRounds, "FAIL", Exit::Denied, true),
            (DenyReason::Aborted, "FAIL", Exit::Denied, true),
            (
                DenyReason::BrokenOff("no reply in time".to_owned()),
                "FAIL",
                Exit::Denied,
                true,
            ),
            (
                DenyReason::Refusal(Refusal::NotAPass),
                "FAIL",
                Exit::Denied,
                true,
            ),
            (
                DenyReason::Unsendable(Error::Text { field: "user" }),
                "FAIL",
                Exit::Usage,
                true,
            ),
        ];
        for (reason, status, exit, says_why) in rows {
            let report = Report::of_denial(&Denial {
                server: "aaa1".to_owned(),
                reason,
                server_msg: b"no\x1b[2J".to_vec(),
            });
            assert_eq!((report.status, report.exit), (status, exit));
            assert_eq!(report.outcome, "deny");
            assert_eq!(report.error.is_some(), says_why);
            assert_eq!(report.message, "no\\x1b[2J");
        }
    }

    #[test]
    fn an_error_of_the_server_is_unreachable_and_has_its_own_word() {
        let rows = [
            (Trouble::ServerError("full".to_owned()), "ERROR"),
            (Trouble::NoReply { late: false }, "UNREACHABLE"),
        ];
        for (trouble, status) in rows {
            let report = Report::of_unreachable(&Unreachable {
                tried: vec![("aaa1".to_owned(), trouble)],
                ..Unreachable::default()
            });
            assert_eq!(
                (report.status, report.outcome, report.exit),
                (status, "unreachable", Exit::Unreachable)
            );
        }
    }
}
