//! Any bytes as a packet: no panic, and a body that is read is written the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tacacs_common::exchange::author::grant;
use tacacs_common::obfuscate::obfuscate;
use tacacs_common::packet::{
    AcctReply, AcctRequest, AuthenContinue, AuthenReply, AuthenStart, AuthorReply, AuthorRequest,
    Body, DEFAULT_MAX_BODY, HEADER_LEN, Header,
};

/// Undefined bits of the one flags byte a body may have are not kept.
fn there_and_back<'a, B: Body<'a>>(body: &'a [u8], flags_at: Option<usize>) -> Option<B> {
    let read = B::decode(body).ok()?;
    let mut out = Vec::new();
    if read.encode(&mut out).is_ok() {
        assert_eq!(out.len(), body.len());
        for (at, (a, b)) in out.iter().zip(body).enumerate() {
            assert!(a == b || Some(at) == flags_at, "byte {at}");
        }
    }
    Some(read)
}

fuzz_target!(|data: &[u8]| {
    let Ok(header) = Header::decode(data) else { return };
    let _ = header.check(DEFAULT_MAX_BODY);
    let body = &data[HEADER_LEN..];
    if let Some(start) = there_and_back::<AuthenStart<'_>>(body, None) {
        let _ = start.check(header.version);
        let _ = start.challenge();
    }
    if let Some(reply) = there_and_back::<AuthenReply<'_>>(body, Some(1)) {
        let _ = reply.check();
    }
    there_and_back::<AuthenContinue<'_>>(body, Some(4));
    let request = there_and_back::<AuthorRequest<'_>>(body, None);
    if let Some(request) = &request {
        let _ = request.check(header.version);
    }
    if let Some(reply) = there_and_back::<AuthorReply<'_>>(body, None) {
        let _ = reply.check();
        for args in [request.map(|request| request.args).unwrap_or_default(), reply.args] {
            let _ = grant(args, reply.status, reply.args, &[]);
        }
    }
    if let Some(request) = there_and_back::<AcctRequest<'_>>(body, None) {
        let _ = request.check(header.version);
    }
    if let Some(reply) = there_and_back::<AcctReply<'_>>(body, None) {
        let _ = reply.check();
    }
    let mut twice = body.to_vec();
    let secret = &data[..data.len().min(80)];
    obfuscate(secret, &header, &mut twice);
    obfuscate(secret, &header, &mut twice);
    assert_eq!(twice, body);
});
