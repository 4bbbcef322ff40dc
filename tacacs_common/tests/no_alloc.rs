//! Decoding borrows: it allocates nothing, whatever comes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use tacacs_common::packet::{
    AcctReply, AcctRequest, AuthenContinue, AuthenReply, AuthenStart, AuthorReply, AuthorRequest,
    Body, DEFAULT_MAX_BODY, Header,
};

#[test]
fn decoding_and_checking_allocates_nothing() {
    let file: serde_json::Value =
        serde_json::from_str(include_str!("vectors/packets.json")).unwrap();
    let bytes = |text: &str| -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
            .collect()
    };
    for vector in file["vectors"].as_array().unwrap() {
        let packet = bytes(vector["packet_hex"].as_str().unwrap());
        let body = bytes(vector["body_hex"].as_str().unwrap());
        let kind = vector["kind"].as_str().unwrap();
        let mut decoded = false;
        let count = allocation_counter::measure(|| {
            let header = Header::decode(&packet).unwrap();
            header.check(DEFAULT_MAX_BODY).unwrap();
            decoded = match kind {
                "authen_start" => {
                    AuthenStart::decode(&body).is_ok_and(|start| start.challenge().is_ok())
                }
                "authen_reply" => AuthenReply::decode(&body).is_ok_and(|r| r.check().is_ok()),
                "authen_continue" => AuthenContinue::decode(&body).is_ok(),
                "author_request" => AuthorRequest::decode(&body)
                    .is_ok_and(|request| request.check(header.version).is_ok()),
                "author_response" => AuthorReply::decode(&body).is_ok_and(|r| r.check().is_ok()),
                "acct_request" => AcctRequest::decode(&body)
                    .is_ok_and(|request| request.check(header.version).is_ok()),
                "acct_reply" => AcctReply::decode(&body).is_ok_and(|r| r.check().is_ok()),
                _ => false,
            };
        });
        assert!(decoded, "{}", vector["name"]);
        assert_eq!(count.count_total, 0, "{}", vector["name"]);
    }
}
