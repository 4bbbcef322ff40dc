//! TACACS+ (RFC 8907) for every program of tacplus-rs: one protocol, one
//! blocking client, one configuration file.
//!
//! | module | owns |
//! |---|---|
//! | [`packet`] | header and bodies of RFC 8907, decode and encode |
//! | [`obfuscate`] | the MD5 pad |
//! | [`chap`] | CHAP and MS-CHAP responses |
//! | [`exchange`] | state machines of a session, without sockets |
//! | [`secret`] | memory of secrets and passwords |
#![forbid(unsafe_code)]

pub mod chap;
pub mod exchange;
pub mod obfuscate;
pub mod packet;
pub mod secret;
