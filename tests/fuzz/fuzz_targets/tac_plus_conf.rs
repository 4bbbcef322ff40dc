//! Any bytes as tac_plus.conf: no panic, and a key never comes back out.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;

const MARK: &str = "Marked-Secret-0123456789";

fuzz_target!(|data: &[u8]| {
    // What the input itself says may come back.
    if data.windows(MARK.len()).any(|window| window == MARK.as_bytes()) {
        return;
    }
    let path = Path::new("tac_plus.conf");
    let _ = tac_plus::conf::compile(path, data.to_vec());
    let mut text = format!("key = \"{MARK}\"\n").into_bytes();
    text.extend_from_slice(data);
    if let Err(error) = tac_plus::conf::compile(path, text) {
        assert!(!error.to_string().contains(MARK));
    }
});
