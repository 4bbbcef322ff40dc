//! The name that the host's loader knows the module by, and no local symbols.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libnss_tacplus.so.2");
    // Cargo forgets the profile's `strip = "symbols"` for a package with settings of
    // its own.
    if std::env::var("PROFILE").as_deref() == Ok("release") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,--strip-all");
    }
}
