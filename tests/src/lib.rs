#![forbid(unsafe_code)]
//! The stage of the whole-system tests: a private copy of this host in which
//! real programs (sshd, su, sudo, passwd) meet the PAM module, the server and
//! hostile peers.
//!
//! * [`stage`]: the private host, its users, files, addresses and logs.
//! * [`artefacts`]: where the built module and programs are found.
//! * [`capture`]: what went over the wire.
//! * [`command`]: running a program on the stage, and daemons kept there.
//! * [`dialog`]: a program that asks questions on a terminal, and the answers.
//! * [`failure`]: why something failed.
//! * [`interop`]: other people's clients.
//! * `leaks`: what no test may leave behind.
//! * [`logins`]: many logins through libpam itself.
//! * [`memory`]: what a process keeps in its memory.
//! * [`peer`]: a scripted, mostly hostile TACACS+ server.
//! * [`scene`]: the usual users, stacks and configurations.
//! * [`ssh`]: the three ways to log in with the real `ssh`.
//! * [`users`]: users that only servers and the identity store know.
//! * [`wait`]: waiting for events, never for time.
//!
//! Every test needs root, and says so by failing.

pub mod artefacts;
pub mod capture;
pub mod command;
pub mod dialog;
pub mod failure;
pub mod interop;
mod leaks;
pub mod logins;
pub mod memory;
pub mod peer;
pub mod provoke;
pub mod scene;
pub mod ssh;
pub mod stage;
pub mod users;
pub mod wait;

pub use capture::Capture;
pub use command::{Daemon, Output};
pub use dialog::Dialog;
pub use failure::Failure;
pub use peer::{Forged, Peer, Script, Seen, Step};
pub use ssh::Ssh;
pub use stage::{Builder, Stage};

/// What a test and the stage's own functions return.
pub type Result<T = ()> = std::result::Result<T, Failure>;
