//! The function of the Itanium C++ ABI's exception handling that walks through frames.
//!
//! Owns all unsafe code of the crate. Must never be called by anything but the
//! standard library.

use std::ffi::{c_int, c_void};

/// `_URC_END_OF_STACK`.
const END_OF_STACK: c_int = 5;

#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(_each: *const c_void, _argument: *mut c_void) -> c_int {
    END_OF_STACK
}
std::arch::global_asm!(".hidden _Unwind_Backtrace");
