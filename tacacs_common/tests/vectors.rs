//! Known-answer packets: every valid one is decoded to the listed values and
//! built again byte for byte; every invalid one gets the listed error.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use serde_json::Value;
use tacacs_common::obfuscate::Protection;
use tacacs_common::packet::{
    AcctReply, AcctRequest, Action, Arguments, ArgumentsBuf, AuthenContinue, AuthenMethod,
    AuthenReply, AuthenService, AuthenStart, AuthenStatus, AuthenType, AuthorReply, AuthorRequest,
    AuthorStatus, Body, DEFAULT_MAX_BODY, Error, HEADER_LEN, Header, PacketType, PrivLvl,
};
use tacacs_common::secret::Secret;

fn file() -> Value {
    serde_json::from_str(include_str!("vectors/packets.json")).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

fn bytes(decoded: &Value, name: &str) -> Vec<u8> {
    match &decoded[format!("{name}_hex")] {
        Value::String(text) => hex(text),
        _ => decoded[name]
            .as_str()
            .unwrap_or_else(|| panic!("{name} in {decoded}"))
            .into(),
    }
}

fn number(decoded: &Value, name: &str) -> u8 {
    decoded[name].as_u64().unwrap().try_into().unwrap()
}

fn arguments(decoded: &Value) -> ArgumentsBuf {
    let mut args = ArgumentsBuf::new();
    for arg in decoded["args"].as_array().unwrap() {
        args.push_raw(arg.as_str().unwrap().as_bytes()).unwrap();
    }
    args
}

/// Builds the body that the vector's decoded values describe, and hands it to
/// `with`, encoded.
fn build(kind: &str, d: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    let args = if d["args"].is_array() {
        arguments(d)
    } else {
        ArgumentsBuf::new()
    };
    let field = |name: &str| bytes(d, name);
    match kind {
        "authen_start" => AuthenStart {
            action: Action::from_wire(number(d, "action")),
            priv_lvl: PrivLvl::new(number(d, "priv_lvl")).unwrap(),
            authen_type: AuthenType::from_wire(number(d, "authen_type")),
            authen_service: AuthenService::from_wire(number(d, "authen_service")),
            user: &field("user"),
            port: &field("port"),
            rem_addr: &field("rem_addr"),
            data: &field("data"),
        }
        .encode(&mut out),
        "authen_reply" => AuthenReply {
            status: AuthenStatus::from_wire(number(d, "status")),
            no_echo: number(d, "flags") & 1 != 0,
            server_msg: &field("server_msg"),
            data: &field("data"),
        }
        .encode(&mut out),
        "authen_continue" => AuthenContinue {
            user_msg: &field("user_msg"),
            data: &field("data"),
            abort: number(d, "flags") & 1 != 0,
        }
        .encode(&mut out),
        "author_request" => about(d, &field, args.as_arguments(), |about| {
            about.encode(&mut out)
        }),
        "author_response" => AuthorReply {
            status: AuthorStatus::from_wire(number(d, "status")),
            server_msg: &field("server_msg"),
            data: &field("data"),
            args: args.as_arguments(),
        }
        .encode(&mut out),
        "acct_request" => about(d, &field, args.as_arguments(), |about| {
            AcctRequest {
                flags: number(d, "flags"),
                about,
            }
            .encode(&mut out)
        }),
        "acct_reply" => AcctReply {
            status: tacacs_common::packet::AcctStatus::from_wire(number(d, "status")),
            server_msg: &field("server_msg"),
            data: &field("data"),
        }
        .encode(&mut out),
        other => panic!("kind {other}"),
    }
    .unwrap();
    out
}

fn about<T>(
    d: &Value,
    field: &dyn Fn(&str) -> Vec<u8>,
    args: Arguments<'_>,
    with: impl FnOnce(AuthorRequest<'_>) -> T,
) -> T {
    with(AuthorRequest {
        authen_method: AuthenMethod::from_wire(number(d, "authen_method")),
        priv_lvl: PrivLvl::new(number(d, "priv_lvl")).unwrap(),
        authen_type: AuthenType::from_wire(number(d, "authen_type")),
        authen_service: AuthenService::from_wire(number(d, "authen_service")),
        user: &field("user"),
        port: &field("port"),
        rem_addr: &field("rem_addr"),
        args,
    })
}

fn decode_and_encode(kind: &str, body: &[u8]) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    match kind {
        "authen_start" => AuthenStart::decode(body)?.encode(&mut out)?,
        "authen_reply" => AuthenReply::decode(body)?.encode(&mut out)?,
        "authen_continue" => AuthenContinue::decode(body)?.encode(&mut out)?,
        "author_request" => AuthorRequest::decode(body)?.encode(&mut out)?,
        "author_response" => AuthorReply::decode(body)?.encode(&mut out)?,
        "acct_request" => AcctRequest::decode(body)?.encode(&mut out)?,
        "acct_reply" => AcctReply::decode(body)?.encode(&mut out)?,
        other => panic!("kind {other}"),
    }
    Ok(out)
}

#[test]
fn every_known_packet_is_decoded_and_built_again_byte_for_byte() {
    let file = file();
    let vectors = file["vectors"].as_array().unwrap();
    assert!(vectors.len() >= 60);
    for vector in vectors {
        let name = vector["name"].as_str().unwrap();
        let kind = vector["kind"].as_str().unwrap();
        let packet = hex(vector["packet_hex"].as_str().unwrap());
        let clear = hex(vector["body_hex"].as_str().unwrap());
        let header = Header::decode(&packet).unwrap();
        header.check(DEFAULT_MAX_BODY).unwrap();
        let listed = &vector["header"];
        assert_eq!(
            u64::from(header.session_id),
            listed["session_id"].as_u64().unwrap(),
            "{name}"
        );
        assert_eq!(
            u64::from(header.seq_no),
            listed["seq_no"].as_u64().unwrap(),
            "{name}"
        );
        assert_eq!(
            usize::try_from(header.length).unwrap(),
            packet.len() - HEADER_LEN,
            "{name}"
        );

        let secret = Secret::from_slice(vector["secret"].as_str().unwrap_or_default().as_bytes());
        let clear_transport = vector["transport"] == "tls" || vector["secret"].is_null();
        let protection = if clear_transport {
            Protection::Clear
        } else {
            Protection::Obfuscated(&secret)
        };
        let mut body = packet[HEADER_LEN..].to_vec();
        protection.apply(&header, &mut body);
        assert_eq!(body, clear, "{name}: made clear");
        assert_eq!(
            build(kind, &vector["decoded"]),
            clear,
            "{name}: built from values"
        );
        assert_eq!(
            decode_and_encode(kind, &clear).unwrap(),
            clear,
            "{name}: there and back"
        );
        protection.apply(&header, &mut body);
        let mut again = header.encode().to_vec();
        // Reserved flag bits are never written: compare without them.
        again[3] = packet[3];
        again.extend_from_slice(&body);
        assert_eq!(again, packet, "{name}: whole packet");
    }
}

/// What a receiver of this packet finds wrong first.
fn verdict(entry: &Value) -> Result<(), Error> {
    let packet = hex(entry["packet_hex"].as_str().unwrap());
    let header = Header::decode(&packet)?;
    header.check(DEFAULT_MAX_BODY)?;
    let tls = entry["transport"] == "tls";
    match (tls, header.flags.unencrypted) {
        (false, true) => return Err(Error::FlagUnencrypted),
        (true, false) => return Err(Error::FlagTlsClear),
        _ => {}
    }
    let need = usize::try_from(header.length).unwrap();
    let have = packet.len() - HEADER_LEN;
    if have < need {
        return Err(Error::Truncated { have, need });
    }
    let mut body = packet[HEADER_LEN..].to_vec();
    let secret = Secret::from_slice(entry["secret"].as_str().unwrap_or_default().as_bytes());
    let protection = if tls {
        Protection::Clear
    } else {
        Protection::Obfuscated(&secret)
    };
    protection.apply(&header, &mut body);
    let from_server = header.seq_no % 2 == 0;
    match (header.packet_type, from_server) {
        (PacketType::Authen, true) => AuthenReply::decode(&body)?.check(),
        (PacketType::Authen, false) if header.seq_no > 1 => {
            AuthenContinue::decode(&body).map(|_| ())
        }
        (PacketType::Authen, false) => AuthenStart::decode(&body)?.check(header.version),
        (PacketType::Author, true) => AuthorReply::decode(&body)?.check(),
        (PacketType::Author, false) => AuthorRequest::decode(&body)?.check(header.version),
        (PacketType::Acct, true) => AcctReply::decode(&body)?.check(),
        (PacketType::Acct, false) => AcctRequest::decode(&body)?.check(header.version),
        (PacketType::Unknown(_), _) => unreachable!("checked with the header"),
    }
}

#[test]
fn every_invalid_packet_gets_its_error() {
    let file = file();
    let entries = file["invalid"].as_array().unwrap();
    assert!(entries.len() >= 50);
    for entry in entries {
        let name = entry["name"].as_str().unwrap();
        let listed = entry["error"].as_str().unwrap();
        let code = listed
            .trim_start_matches("E_")
            .to_lowercase()
            .replace('_', "-");
        let error = verdict(entry).expect_err(name);
        assert_eq!(error.code(), code, "{name}: {error}");
        assert!(!error.to_string().is_empty());
    }
}

mod any_bytes {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn never_panic_a_decoder_and_what_decodes_encodes_the_same(
            kind in prop::sample::select(vec![
                "authen_start", "authen_reply", "authen_continue", "author_request",
                "author_response", "acct_request", "acct_reply",
            ]),
            body in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            // An encoder may refuse text that a decoder lets through; what it
            // accepts differs from the input in undefined flag bits alone.
            if let Ok(again) = decode_and_encode(kind, &body) {
                prop_assert_eq!(again.len(), body.len());
                prop_assert_eq!(decode_and_encode(kind, &again), Ok(again));
            }
        }

        #[test]
        fn obfuscated_twice_are_clear_and_match_the_plain_chain_of_md5(
            secret in prop::collection::vec(any::<u8>(), 0..200),
            session_id in any::<u32>(),
            seq_no in any::<u8>(),
            body in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut raw = [0xC1, 1, seq_no, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            raw[4..8].copy_from_slice(&session_id.to_be_bytes());
            let header = Header::decode(&raw).unwrap();
            let mut pad = Vec::new();
            while pad.len() < body.len() {
                let mut hasher = <md5::Md5 as md5::Digest>::new();
                md5::Digest::update(&mut hasher, session_id.to_be_bytes());
                md5::Digest::update(&mut hasher, &secret);
                md5::Digest::update(&mut hasher, [0xC1, seq_no]);
                let from = pad.len().saturating_sub(16);
                md5::Digest::update(&mut hasher, &pad[from..]);
                pad.extend_from_slice(&md5::Digest::finalize(hasher));
            }
            let expected: Vec<u8> = body.iter().zip(&pad).map(|(a, b)| a ^ b).collect();
            let key = Secret::from_slice(&secret);
            let mut wire = body.clone();
            Protection::Obfuscated(&key).apply(&header, &mut wire);
            prop_assert_eq!(&wire, &expected);
            Protection::Obfuscated(&key).apply(&header, &mut wire);
            prop_assert_eq!(wire, body);
        }

        #[test]
        fn a_wrong_secret_is_never_read_as_a_pass(wrong in any::<[u8; 16]>(), id in any::<u32>()) {
            let mut packet = vec![0xC0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 6];
            packet[4..8].copy_from_slice(&id.to_be_bytes());
            let header = Header::decode(&packet).unwrap();
            let right = Secret::from_slice(b"Kat-Secret-0123456789-abcdefghij");
            let wrong = Secret::from_slice(&wrong);
            let mut body = vec![AuthenStatus::Pass.to_wire(), 0, 0, 0, 0, 0];
            Protection::Obfuscated(&right).apply(&header, &mut body);
            Protection::Obfuscated(&wrong).apply(&header, &mut body);
            if let Ok(reply) = AuthenReply::decode(&body) {
                prop_assert!(reply.status != AuthenStatus::Pass);
            }
        }
    }
}

#[test]
fn every_known_challenge_gets_the_known_response() {
    use tacacs_common::chap::{chap_response, mschap_response, mschapv2_response};
    let file = file();
    let mut seen = 0;
    for vector in file["vectors"].as_array().unwrap() {
        let Some(password) = vector["password"].as_str().map(str::as_bytes) else {
            continue;
        };
        let body = hex(vector["body_hex"].as_str().unwrap());
        let start = AuthenStart::decode(&body).unwrap();
        let Some(parts) = start.challenge().unwrap() else {
            continue;
        };
        let response = match start.authen_type {
            AuthenType::Chap => chap_response(parts.id, password, parts.challenge).to_vec(),
            AuthenType::MsChap => mschap_response(password, parts.challenge.try_into().unwrap())
                .unwrap()
                .to_vec(),
            AuthenType::MsChapV2 => mschapv2_response(
                start.user,
                password,
                parts.challenge.try_into().unwrap(),
                parts.response[..16].try_into().unwrap(),
            )
            .unwrap()
            .to_vec(),
            other => panic!("{other}"),
        };
        // The LAN Manager part of MS-CHAP v1 is optional: we leave it out.
        let from = if start.authen_type == AuthenType::MsChap {
            24
        } else {
            0
        };
        assert_eq!(
            response[from..],
            parts.response[from..],
            "{}",
            vector["name"]
        );
        seen += 1;
    }
    assert_eq!(seen, 3);
}
