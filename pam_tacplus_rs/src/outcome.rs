//! How a phase ended, and the PAM code that says so: one table.

use std::ffi::c_int;

use tacacs_common::config::UnreachablePolicy;

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
        /// What the configuration says about that.
        policy: UnreachablePolicy,
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

// The values of security/_pam_types.h.
const SUCCESS: c_int = 0;
const SERVICE_ERR: c_int = 3;
const SYSTEM_ERR: c_int = 4;
const PERM_DENIED: c_int = 6;
const AUTH_ERR: c_int = 7;
const AUTHINFO_UNAVAIL: c_int = 9;
const MAXTRIES: c_int = 11;
const CONV_ERR: c_int = 19;
const AUTHTOK_ERR: c_int = 20;
const TRY_AGAIN: c_int = 24;
const IGNORE: c_int = 25;

/// The code that tells libpam how a phase ended.
pub(crate) const fn code(phase: Phase, end: End) -> c_int {
    match (end, phase) {
        (End::Pass, _) => SUCCESS,
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
        (End::Unreachable { policy, local }, phase) => match (policy, phase, local) {
            (UnreachablePolicy::Deny, Phase::Account, _) => PERM_DENIED,
            (UnreachablePolicy::Deny, _, _) => AUTH_ERR,
            (UnreachablePolicy::Ignore, Phase::Account, true) => IGNORE,
            (UnreachablePolicy::Ignore, _, _) => AUTHINFO_UNAVAIL,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Phase::{Account, Authenticate, Prelim, Session, Update};

    const fn unreachable(policy: UnreachablePolicy, local: bool) -> End {
        End::Unreachable { policy, local }
    }

    /// Every row of the outcome table in docs/architecture.md.
    #[test]
    fn every_row_of_the_outcome_table_holds() {
        const IG: UnreachablePolicy = UnreachablePolicy::Ignore;
        const DE: UnreachablePolicy = UnreachablePolicy::Deny;
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

            (Authenticate, unreachable(DE, true), AUTH_ERR),
            (Account, unreachable(DE, true), PERM_DENIED), (Account, unreachable(DE, false), PERM_DENIED),
            (Prelim, unreachable(DE, true), TRY_AGAIN), (Update, unreachable(DE, true), AUTHTOK_ERR),

            (Session, End::Lost { refused: false }, SUCCESS),
            (Session, End::Lost { refused: true }, SYSTEM_ERR),
        ];
        for (phase, end, expected) in table {
            assert_eq!(code(*phase, *end), *expected, "{phase:?} {end:?}");
        }
        for phase in [Authenticate, Account, Session, Prelim, Update] {
            assert_eq!(code(phase, End::Ignored), IGNORE);
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
            unreachable(UnreachablePolicy::Deny, true),
            unreachable(UnreachablePolicy::Ignore, false),
        ] {
            let code = code(Session, end);
            assert!(![SUCCESS, IGNORE, SESSION_ERR].contains(&code), "{end:?}");
        }
    }

    /// What a stack takes for an approval must come from an approval only.
    #[test]
    fn nothing_but_a_pass_succeeds_in_authenticate_and_acct_mgmt() {
        use UnreachablePolicy::{Deny, Ignore};
        for phase in [Authenticate, Account, Update] {
            for end in [
                End::Refused,
                End::NoAnswer,
                End::TooManyRounds,
                End::Ignored,
                End::Misconfigured,
                End::Panicked,
                unreachable(Ignore, true),
                unreachable(Deny, true),
                unreachable(Ignore, false),
                unreachable(Deny, false),
            ] {
                assert_ne!(code(phase, end), SUCCESS, "{phase:?} {end:?}");
            }
        }
    }
}
