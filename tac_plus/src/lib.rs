#![forbid(unsafe_code)]
//! The TACACS+ server.
