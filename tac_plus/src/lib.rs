//! The TACACS+ server.
//!
//! | module | owns |
//! |---|---|
//! | [`conf`] | tac_plus.conf(5), a front end of the policy |
//! | `escape` | text from the network, harmless in a line |
//! | [`policy`] | who may do what: pure, asks for effects instead of performing them |
#![forbid(unsafe_code)]

pub mod conf;
mod escape;
pub mod policy;
