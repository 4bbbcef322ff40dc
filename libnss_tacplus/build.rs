//! The name that the host's loader knows the module by, and the unwinder that becomes a
//! part of it: see "Size" in docs/decisions.md.

use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CC");
    println!("cargo::rerun-if-env-changed=OBJCOPY");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libnss_tacplus.so.2");
    let folder = PathBuf::from(env::var("OUT_DIR")?);
    let tool = |variable, usual: &str| env::var(variable).unwrap_or_else(|_| usual.to_owned());

    let compiler = tool("CC", "cc");
    let asked = Command::new(&compiler)
        .arg("-print-file-name=libgcc_eh.a")
        .output()?;
    let archive = PathBuf::from(String::from_utf8(asked.stdout)?.trim());
    // A compiler that does not know it repeats the name.
    if !archive.is_absolute() {
        return Err(format!("{compiler} has no libgcc_eh.a: set CC to a gcc").into());
    }
    // The module brings a walk through frames of its own, which finds none.
    let weakened = Command::new(tool("OBJCOPY", "objcopy"))
        .arg("--weaken-symbol=_Unwind_Backtrace")
        .args([archive, folder.join("libgcc_eh.a")])
        .status()?;
    if !weakened.success() {
        return Err("objcopy (package binutils) failed".into());
    }
    println!("cargo::rustc-link-search=native={}", folder.display());
    Ok(())
}
