//! Any bytes as tacplus.conf: no panic, and a secret never comes back out.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tacacs_common::config::{Config, HostFacts};

const MARK: &str = "Marked-Secret-0123456789";

fuzz_target!(|data: &[u8]| {
    // What the input itself says may come back.
    if data.windows(MARK.len()).any(|window| window == MARK.as_bytes()) {
        return;
    }
    let facts = HostFacts::default();
    let _ = Config::parse(data, &facts);
    for key in ["secret", "secert"] {
        let mut text = format!("[server s]\naddress = 192.0.2.1\n{key} = {MARK}\n").into_bytes();
        text.extend_from_slice(data);
        match Config::parse(&text, &facts) {
            Ok(config) => {
                assert!(!config.show().contains(MARK));
                assert!(!format!("{config:?}").contains(MARK));
            }
            Err(error) => assert!(!error.to_string().contains(MARK)),
        }
    }
});
