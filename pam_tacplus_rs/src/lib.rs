//! `pam_tacplus.so`: TACACS+ authentication, authorization and accounting for
//! every program that logs people in through PAM.
//!
//! | module | owns |
//! |---|---|
//! | `ffi` | the C edge: exports, guard, libpam; the only unsafe code |
//! | `handle` | what the phases see of a PAM handle, and remember in it |
//! | `call` | what every phase does first: who, where, which configuration |
//! | `standing` | who is a TACACS+ user of this host |
//! | `talk` | passwords, prompts and messages |
//! | `login` | authenticate |
//! | `account` | acct_mgmt |
//! | `entry` | the user's entry in the identity store |
//! | `limits` | how long a session may last |
//! | `stack` | which modules the session lines of a service ask |
//! | `session` | open_session, close_session |
//! | `process` | since when the program runs, and whose it is to stop |
//! | `record` | the session record under `/run/tacplus/sessions` |
//! | `passwd` | chauthtok |
//! | `outage` | what it means for a person that no server answered |
//! | `outcome` | the table from how a phase ended to its PAM code |

#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

#[cfg(not(test))]
use no_backtrace as _;

mod account;
mod call;
mod entry;
mod ffi;
mod handle;
mod limits;
mod login;
mod outage;
mod outcome;
mod passwd;
mod process;
mod record;
mod session;
mod stack;
mod standing;
mod talk;

#[cfg(test)]
mod testing;
