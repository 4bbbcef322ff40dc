//! TACACS+ (RFC 8907) for every program of tacplus-rs: one protocol, one
//! blocking client, one configuration file.
//!
//! | module | owns |
//! |---|---|
//! | [`secret`] | memory of secrets and passwords |
#![forbid(unsafe_code)]

pub mod secret;
