//! The TACACS+ server.
//!
//! | module | owns |
//! |---|---|
//! | [`conf`] | tac_plus.conf(5), a front end of the policy |
//! | [`policy`] | who may do what: pure, asks for effects instead of performing them |
//! | [`daemon`] | sockets, files, clocks and signals |
//! | `effects` | what the policy asks for, performed: threads, files, processes |
//! | `escape` | text from the network, harmless in a line |
//! | `trust` | what a connection has shown, and what a first packet may cost |
//! | `sys` | the C library, and all `unsafe` of this crate |

pub mod conf;
pub mod daemon;
mod effects;
mod escape;
pub mod policy;
mod sys;
mod trust;

pub use sys::crypt;
