//! The functions of the Itanium C++ ABI's exception handling that Rust's standard
//! library calls.
//!
//! Owns all unsafe code of the crate. Must never be called by anything but the
//! standard library.

use std::ffi::{CStr, c_int, c_void};
use std::mem::transmute;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// `_URC_END_OF_STACK`.
const END_OF_STACK: c_int = 5;

/// Defines each function as a call of libgcc's own. The frame that this puts between
/// the two has nothing to clean up, so an exception passes through it.
macro_rules! late {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {$(
        #[unsafe(no_mangle)]
        unsafe extern "C-unwind" fn $name($($argument: $type),*) -> $result {
            static KNOWN: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
            type Real = unsafe extern "C-unwind" fn($($type),*) -> $result;
            let real = find(&KNOWN, concat!(stringify!($name), "\0"));
            // SAFETY: libgcc's function of this name has this type, and the arguments
            // are the caller's, who meant that very function.
            unsafe { transmute::<*mut c_void, Real>(real)($($argument),*) }
        }
        std::arch::global_asm!(concat!(".hidden ", stringify!($name)));
    )*};
}

late! {
    _Unwind_RaiseException(exception: *mut c_void) -> c_int;
    _Unwind_Resume(exception: *mut c_void) -> !;
    _Unwind_DeleteException(exception: *mut c_void) -> ();
    _Unwind_GetDataRelBase(context: *mut c_void) -> usize;
    _Unwind_GetTextRelBase(context: *mut c_void) -> usize;
    _Unwind_GetRegionStart(context: *mut c_void) -> usize;
    _Unwind_GetLanguageSpecificData(context: *mut c_void) -> *const u8;
    _Unwind_GetIPInfo(context: *mut c_void, before: *mut c_int) -> usize;
    _Unwind_SetGR(context: *mut c_void, register: c_int, value: usize) -> ();
    _Unwind_SetIP(context: *mut c_void, value: usize) -> ();
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(_each: *const c_void, _argument: *mut c_void) -> c_int {
    END_OF_STACK
}
std::arch::global_asm!(".hidden _Unwind_Backtrace");

/// libgcc's function of this name, which ends with a NUL.
fn find(known: &AtomicPtr<c_void>, name: &str) -> *mut c_void {
    let real = known.load(Ordering::Relaxed);
    if !real.is_null() {
        return real;
    }
    let real = CStr::from_bytes_with_nul(name.as_bytes()).map_or(ptr::null_mut(), |name| {
        // SAFETY: the file's name is a C string.
        let library = unsafe { libc::dlopen(c"libgcc_s.so.1".as_ptr(), libc::RTLD_NOW) };
        if library.is_null() {
            return ptr::null_mut();
        }
        // SAFETY: an open library, which is never closed, and a C string.
        unsafe { libc::dlsym(library, name.as_ptr()) }
    });
    if real.is_null() {
        // There is no way on from a panic that cannot unwind.
        std::process::abort();
    }
    known.store(real, Ordering::Relaxed);
    real
}
