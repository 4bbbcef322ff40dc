//! Any bytes as a session record, and as a value in one: no panic, what is written is
//! read the same, and no value is read as another field.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tacacs_common::session_record::SessionRecord;

const SOUND: &str = "user=alice\npriv_lvl=7\nrem_addr=192.0.2.7\nport=ssh\ntask_id=0123456789abcdef\n\
                     start=1700000000\nstart_boot_ms=5500\nservice=shell\nprotocol=\n\
                     authen_method=6\nauthen_type=2\n";

fuzz_target!(|data: &[u8]| {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Some(record) = SessionRecord::parse(text)
        && let Some(written) = record.text()
    {
        assert_eq!(SessionRecord::parse(&written), Some(record));
    }
    let sound = SessionRecord::parse(SOUND).expect("a sound record");
    let value = || text.to_owned();
    for changed in [
        SessionRecord { port: value(), ..sound.clone() },
        SessionRecord { rem_addr: value(), ..sound.clone() },
        SessionRecord { service: value(), ..sound.clone() },
        SessionRecord { protocol: Some(value()), ..sound.clone() },
        SessionRecord { task_id: value(), ..sound.clone() },
    ] {
        let Some(written) = changed.text() else { continue };
        let read = SessionRecord::parse(&written).expect("what was written");
        assert_eq!((read.user.as_str(), read.priv_lvl, read.closed), ("alice", sound.priv_lvl, None));
    }
});
