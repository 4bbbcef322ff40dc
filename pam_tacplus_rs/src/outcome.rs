//! How a phase ended, and the PAM code that says so: one table.

use std::ffi::c_int;

/// A phase of PAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// `pam_sm_authenticate`.
    Authenticate,
    /// `pam_sm_acct_mgmt`.
    Account,
    /// `pam_sm_open_session` and `pam_sm_close_session`.
    Session,
    /// `pam_sm_chauthtok`, first time.
    Prelim,
    /// `pam_sm_chauthtok`, second time.
    Update,
}

/// How a phase ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Approved, changed, or recorded (spooled counts).
    Pass,
    /// Refused, by the server or because nothing fit to be sent was typed.
    Refused,
    /// The application did not let the person answer.
    NoAnswer,
    /// The server asked too often.
    TooManyRounds,
    /// No server gave an answer that counts.
    Unreachable {
        /// What that means for this person.
        verdict: Verdict,
        /// The user is listed in /etc/passwd.
        local: bool,
    },
    /// A record could be neither sent nor spooled.
    Lost {
        /// `acct_required = yes`, or whoever started this program may be at fault.
        refused: bool,
    },
    /// Not a TACACS+ user, or not a service that is asked about.
    Ignored,
    /// The configuration is wrong.
    Misconfigured,
    /// A defect of this module, stopped at the edge.
    Panicked,
}

/// What it means for a person that no server answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// No way on.
    Refused,
    /// The host's own files decide, for `fallback_users` names the person.
    Named,
    /// They decide, as for everybody (`unreachable = ignore`).
    Ignored,
}

// The values of security/_pam_types.h.
const SUCCESS: c_int = 0;
const SERVICE_ERR: c_int = 3;
const SYSTEM_ERR: c_int = 4;
const PERM_DENIED: c_int = 6;
const AUTH_ERR: c_int = 7;
const AUTHINFO_UNAVAIL: c_int = 9;
const USER_UNKNOWN: c_int = 10;
const MAXTRIES: c_int = 11;
const CONV_ERR: c_int = 19;
const AUTHTOK_ERR: c_int = 20;
const TRY_AGAIN: c_int = 24;
const IGNORE: c_int = 25;

/// The code that tells libpam how a phase ended.
pub(crate) const fn code(phase: Phase, end: End) -> c_int {
    match (end, phase) {
        (End::Pass, _) => SUCCESS,
        // With IGNORE a line that must succeed leaves the password to whatever else
        // succeeds in the stack: pam_faillock, pam_permit.
        (End::Ignored, Phase::Authenticate) => USER_UNKNOWN,
        (End::Ignored, _) => IGNORE,
        (End::Misconfigured, _) => SERVICE_ERR,
        (End::Panicked, _) => SYSTEM_ERR,
        (End::Lost { refused: false }, _) => SUCCESS,
        // Never SESSION_ERR: sudo takes that for a warning and runs the command.
        (End::Lost { refused: true }, _) | (_, Phase::Session) => SYSTEM_ERR,
        (End::TooManyRounds, _) => MAXTRIES,
        (End::Unreachable { .. }, Phase::Prelim) => TRY_AGAIN,
        (_, Phase::Prelim | Phase::Update) => AUTHTOK_ERR,
        (End::NoAnswer, _) => CONV_ERR,
        (End::Refused, Phase::Authenticate) => AUTH_ERR,
        (End::Refused, Phase::Account) => PERM_DENIED,
        (End::Unreachable { verdict, local }, phase) => match (verdict, phase, local) {
            (Verdict::Refused, Phase::Account, _) => PERM_DENIED,
            (Verdict::Refused, _, _) => AUTH_ERR,
            // Not SUCCESS: behind a `sufficient` line nobody would look at the local account.
            (Verdict::Named | Verdict::Ignored, Phase::Account, true) => IGNORE,
            (Verdict::Named | Verdict::Ignored, _, _) => AUTHINFO_UNAVAIL,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Phase::{Account, Authenticate, Prelim, Session, Update};

    const fn unreachable(verdict: Verdict, local: bool) -> End {
        End::Unreachable { verdict, local }
    }

    /// Every row of the outcome table in docs/architecture.md.
    #[test]
    fn every_row_of_the_outcome_table_holds() {
        const IG: Verdict = Verdict::Ignored;
        const NA: Verdict = Verdict::Named;
        const RE: Verdict = Verdict::Refused;
        #[rustfmt::skip]
        let table: &[(Phase, End, c_int)] = &[
            (Authenticate, End::Pass, SUCCESS), (Account, End::Pass, SUCCESS),
            (Session, End::Pass, SUCCESS), (Prelim, End::Pass, SUCCESS), (Update, End::Pass, SUCCESS),

            (Authenticate, End::Refused, AUTH_ERR), (Account, End::Refused, PERM_DENIED),
            (Update, End::Refused, AUTHTOK_ERR),

            (Authenticate, End::NoAnswer, CONV_ERR), (Update, End::NoAnswer, AUTHTOK_ERR),
            (Authenticate, End::TooManyRounds, MAXTRIES), (Update, End::TooManyRounds, MAXTRIES),

            (Authenticate, unreachable(IG, true), AUTHINFO_UNAVAIL),
            (Authenticate, unreachable(IG, false), AUTHINFO_UNAVAIL),
            (Account, unreachable(IG, true), IGNORE),
            (Account, unreachable(IG, false), AUTHINFO_UNAVAIL),
            (Prelim, unreachable(IG, true), TRY_AGAIN), (Update, unreachable(IG, true), AUTHTOK_ERR),

            (Authenticate, unreachable(NA, true), AUTHINFO_UNAVAIL),
            (Authenticate, unreachable(NA, false), AUTHINFO_UNAVAIL),
            (Account, unreachable(NA, true), IGNORE),
            (Prelim, unreachable(NA, true), TRY_AGAIN), (Update, unreachable(NA, true), AUTHTOK_ERR),

            (Authenticate, unreachable(RE, true), AUTH_ERR), (Authenticate, unreachable(RE, false), AUTH_ERR),
            (Account, unreachable(RE, true), PERM_DENIED), (Account, unreachable(RE, false), PERM_DENIED),
            (Prelim, unreachable(RE, true), TRY_AGAIN), (Update, unreachable(RE, true), AUTHTOK_ERR),

            (Session, End::Lost { refused: false }, SUCCESS),
            (Session, End::Lost { refused: true }, SYSTEM_ERR),
        ];
        for (phase, end, expected) in table {
            assert_eq!(code(*phase, *end), *expected, "{phase:?} {end:?}");
        }
        assert_eq!(code(Authenticate, End::Ignored), USER_UNKNOWN);
        for phase in [Account, Session, Prelim, Update] {
            assert_eq!(code(phase, End::Ignored), IGNORE);
        }
        for phase in [Authenticate, Account, Session, Prelim, Update] {
            assert_eq!(code(phase, End::Misconfigured), SERVICE_ERR);
            assert_eq!(code(phase, End::Panicked), SYSTEM_ERR);
        }
    }

    #[test]
    fn no_refusal_of_a_session_is_a_warning_to_sudo() {
        const SESSION_ERR: c_int = 14;
        for end in [
            End::Refused,
            End::NoAnswer,
            End::TooManyRounds,
            End::Lost { refused: true },
            End::Misconfigured,
            End::Panicked,
            unreachable(Verdict::Refused, true),
            unreachable(Verdict::Ignored, false),
        ] {
            let code = code(Session, end);
            assert!(![SUCCESS, IGNORE, SESSION_ERR].contains(&code), "{end:?}");
        }
    }

    /// libpam decides without a line that answers IGNORE. A password that nobody checks
    /// must not be one of the things it then goes by.
    #[test]
    fn no_end_of_authenticate_leaves_the_password_to_the_other_lines_of_a_required_stack() {
        use Verdict::{Ignored, Named, Refused};
        for end in [
            End::Ignored,
            End::Refused,
            End::NoAnswer,
            End::TooManyRounds,
            End::Misconfigured,
            End::Panicked,
            unreachable(Ignored, true),
            unreachable(Named, true),
            unreachable(Refused, true),
            unreachable(Ignored, false),
            unreachable(Named, false),
            unreachable(Refused, false),
        ] {
            let code = code(Authenticate, end);
            assert!(![SUCCESS, IGNORE].contains(&code), "{end:?}: {code}");
        }
    }

    /// What a stack takes for an approval must come from an approval only.
    #[test]
    fn nothing_but_a_pass_succeeds_in_authenticate_and_acct_mgmt() {
        use Verdict::{Ignored, Named, Refused};
        for phase in [Authenticate, Account, Update] {
            for end in [
                End::Refused,
                End::NoAnswer,
                End::TooManyRounds,
                End::Ignored,
                End::Misconfigured,
                End::Panicked,
                unreachable(Ignored, true),
                unreachable(Named, true),
                unreachable(Refused, true),
                unreachable(Ignored, false),
                unreachable(Named, false),
                unreachable(Refused, false),
            ] {
                assert_ne!(code(phase, end), SUCCESS, "{phase:?} {end:?}");
            }
        }
    }
}
