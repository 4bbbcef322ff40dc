//! TACACS+ (RFC 8907) for every program of tacplus-rs: one protocol, one
//! blocking client, one configuration file.
//!
//! | module | owns |
//! |---|---|
//! | [`packet`] | header and bodies of RFC 8907, decode and encode |
//! | [`obfuscate`] | the MD5 pad |
//! | [`chap`] | CHAP and MS-CHAP responses |
//! | [`client`] | the blocking edge: sockets, time limits, failover |
//! | [`outcome`] | pass, deny, unreachable: never two |
//! | [`escape`] | text from outside, made safe for terminals and logs |
//! | [`exchange`] | state machines of a session, without sockets |
//! | [`config`] | /etc/tacplus.conf, old files and the PAM line |
//! | [`dialogues`] | how many dialogues wait at a server, shared by all processes |
//! | [`hold_down`] | servers that did not answer a moment ago, shared by all processes |
//! | [`hostfile`] | /etc/passwd and its like, read in pieces |
//! | [`identity`] | who TACACS+ users are on this host: mapping and store |
//! | [`secret`] | memory of secrets and passwords |
//! | [`session_record`] | the text by which programs tell whose session it is |
//! | [`spool`] | accounting records that no server has taken yet |
//! | [`statefile`] | small files under root's folders: trust, replace, lock |
//! | [`terminal`] | questions of programs to the person at the terminal |
#![forbid(unsafe_code)]

pub mod chap;
pub mod client;
pub mod config;
pub mod dialogues;
pub mod escape;
pub mod exchange;
pub mod hold_down;
pub mod hostfile;
pub mod identity;
pub mod obfuscate;
pub mod outcome;
pub mod packet;
pub mod secret;
pub mod session_record;
pub mod spool;
pub mod statefile;
pub mod terminal;
