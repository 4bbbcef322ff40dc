//! `libnss_tacplus.so.2`: TACACS+ users and their groups for every program that asks
//! the C library who somebody is.
//!
//! It is loaded into all of them: nothing here starts a thread, keeps a descriptor,
//! touches a signal or writes a file, and only root's login and lookup programs get
//! as far as a socket.
//!
//! | module | owns |
//! |---|---|
//! | `ffi` | the C edge: exports, guard, the caller's buffer; the only unsafe code |
//! | `answer` | how a lookup ends, and what glibc is told |
//! | `lookup` | one name, one uid, one group |
//! | `walk` | all of them, one after the other |
//! | `newcomer` | names that are not stored |
//! | `ask` | the one question to a server |
//! | `program` | which program this is |
//! | `local` | who is a user of the host itself |
//! | `audit` | whose login the caller belongs to |
//! | `site` | where things are |

#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

#[cfg(not(test))]
use no_backtrace as _;

mod answer;
mod ask;
mod audit;
mod ffi;
mod local;
mod lookup;
mod newcomer;
mod program;
mod site;
mod walk;
