#![forbid(unsafe_code)]
//! The stage of the whole-system tests.
