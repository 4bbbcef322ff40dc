//! The program `tacplus`: see the library.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    tacacs_client::admin()
}
