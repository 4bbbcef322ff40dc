//! What only C libraries know: local time, users, password hashes, PAM.
//!
//! Owns every `unsafe` block of this crate. Must never panic inside a call from C,
//! and never keep a pointer longer than its owner lives.
//!
//! | file | owns |
//! |---|---|
//! | [`process`] | user, group, descriptors from the start |
//! | `time` | the local time |
//! | [`crypt`] | password hashes, by the system's libcrypt |
//! | [`pam`] | PAM, as an application |
#![allow(unsafe_code, reason = "calls into C libraries")]

pub mod crypt;
pub(crate) mod pam;
pub(crate) mod process;
mod time;

pub(crate) use time::{LocalTime, local_time};
