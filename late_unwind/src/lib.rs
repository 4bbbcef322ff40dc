//! The unwinder of a module, for the day when it panics.
//!
//! A module that catches panics at its C edge needs libgcc's unwinder for that and
//! for nothing else. Loading `libgcc_s.so.1` with the module costs every process that
//! looks up a user more than the module itself: its constructor asks the processor
//! what it can do, which a virtual machine answers slowly. So the functions that the
//! standard library calls are these here, which load the library when they are called
//! first, as glibc itself does for `pthread_exit`.
//!
//! And there are no backtraces: a panic in a module says where it was and nothing
//! else. The standard library's own hook would print one, and brings a DWARF reader
//! for it, a third of a module. Where a backtrace has no frames, the compiler finds
//! that nothing reads them and leaves the reader out.
//!
//! A module takes all this by `use late_unwind as _`. Every function is hidden: the
//! host process and its other libraries keep their own. A process that cannot load the
//! library when a module panics is aborted, as it would be without unwinding.

#[allow(unsafe_code, reason = "this stands in for a C library")]
mod sys;
