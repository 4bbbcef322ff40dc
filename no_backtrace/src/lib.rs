//! No backtraces in a module: a panic there says where it was and nothing else.
//!
//! The standard library's own panic hook would print one, and brings a DWARF reader for
//! it, a third of a module. Where a backtrace has no frames, the compiler finds that
//! nothing reads them and leaves the reader out.
//!
//! A module takes this by `use no_backtrace as _`. The function is hidden: the host process
//! and its other libraries keep their own. All else that unwinding takes is libgcc's, which
//! is loaded with the module and never later: what a process finds on its path when it has
//! panicked may be anybody's, where it has locked itself into a folder.

#[allow(unsafe_code, reason = "this stands in for a C library")]
mod sys;
