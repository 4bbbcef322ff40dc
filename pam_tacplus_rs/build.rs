//! The module goes to hosts without its local symbols. Said here, because Cargo
//! forgets the profile's `strip = "symbols"` for a package with settings of its own.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("PROFILE").as_deref() == Ok("release") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,--strip-all");
    }
}
