//! The seven bodies as named values.
//!
//! Owns which body a packet holds and which of its values are secrets: a PAP
//! password, an answer in a CONTINUE, a CHAP or MS-CHAP response.

use tacacs_common::packet::{
    AcctRecord, AcctReply, AcctRequest, Arguments, AuthenContinue, AuthenReply, AuthenStart,
    AuthorReply, AuthorRequest, Body, Error, Header, PacketType,
};

use super::fields::{Fields, Value};

/// A body that could be taken apart, and what is wrong with its values.
pub(crate) struct Opened {
    /// Its values.
    pub(crate) fields: Fields,
    /// The first rule that they break.
    pub(crate) verdict: Result<(), Error>,
}

/// The RFC's name for the body that goes with a header: a client's packets have
/// odd numbers, and its first authentication packet is the START.
pub(crate) fn kind(header: &Header) -> &'static str {
    let from_server = header.seq_no.is_multiple_of(2);
    match (header.packet_type, from_server) {
        (PacketType::Authen, true) => "AuthenReply",
        (PacketType::Authen, false) if header.seq_no == 1 => "AuthenStart",
        (PacketType::Authen, false) => "AuthenContinue",
        (PacketType::Author, true) => "AuthorReply",
        (PacketType::Author, false) => "AuthorRequest",
        (PacketType::Acct, true) => "AcctReply",
        (PacketType::Acct, false) => "AcctRequest",
        (PacketType::Unknown(_), _) => "unknown",
    }
}

/// Reads a clear body.
pub(crate) fn open(header: &Header, body: &[u8], show_secrets: bool) -> Result<Opened, Error> {
    let secret = |bytes: &[u8]| {
        if show_secrets {
            Value::text(bytes)
        } else {
            hidden(bytes)
        }
    };
    let (fields, verdict) = match kind(header) {
        "AuthenStart" => {
            let start = AuthenStart::decode(body)?;
            (
                authen_start(&start, show_secrets),
                start.check(header.version),
            )
        }
        "AuthenReply" => {
            let reply = AuthenReply::decode(body)?;
            let fields = Fields::default()
                .with("status", Value::word(reply.status))
                .with("no_echo", Value::Flag(reply.no_echo))
                .with("server_msg", Value::text(reply.server_msg))
                .with("data", Value::text(reply.data));
            (fields, reply.check())
        }
        "AuthenContinue" => {
            let next = AuthenContinue::decode(body)?;
            let fields = Fields::default()
                .with("abort", Value::Flag(next.abort))
                .with("user_msg", secret(next.user_msg))
                .with("data", Value::text(next.data));
            (fields, Ok(()))
        }
        "AuthorRequest" => {
            let request = AuthorRequest::decode(body)?;
            (
                about(Fields::default(), &request),
                request.check(header.version),
            )
        }
        "AuthorReply" => {
            let reply = AuthorReply::decode(body)?;
            let fields = Fields::default()
                .with("status", Value::word(reply.status))
                .with("server_msg", Value::text(reply.server_msg))
                .with("data", Value::text(reply.data))
                .with("args", arguments(reply.args));
            (fields, reply.check())
        }
        "AcctRequest" => {
            let request = AcctRequest::decode(body)?;
            (acct_request(&request), request.check(header.version))
        }
        _ => {
            let reply = AcctReply::decode(body)?;
            let fields = Fields::default()
                .with("status", Value::word(reply.status))
                .with("server_msg", Value::text(reply.server_msg))
                .with("data", Value::text(reply.data));
            (fields, reply.check())
        }
    };
    Ok(Opened { fields, verdict })
}

/// An accounting record, which has no secret in it.
pub(crate) fn acct_request(request: &AcctRequest<'_>) -> Fields {
    let fields = Fields::default().with("flags", record(request.flags));
    about(fields, &request.about)
}

fn hidden(bytes: &[u8]) -> Value {
    match bytes {
        [] => Value::text(b""),
        _ => Value::Hidden(bytes.len()),
    }
}

fn authen_start(start: &AuthenStart<'_>, show_secrets: bool) -> Fields {
    let fields = Fields::default()
        .with("action", Value::word(start.action))
        .with("priv_lvl", Value::Number(start.priv_lvl.level().into()))
        .with("authen_type", Value::word(start.authen_type))
        .with("authen_service", Value::word(start.authen_service))
        .with("user", Value::text(start.user))
        .with("port", Value::text(start.port))
        .with("rem_addr", Value::text(start.rem_addr));
    match start.challenge() {
        Ok(Some(parts)) => fields
            .with("chap_id", Value::Number(parts.id.into()))
            .with("challenge", Value::hex(parts.challenge))
            .with(
                "response",
                if show_secrets {
                    Value::hex(parts.response)
                } else {
                    hidden(parts.response)
                },
            ),
        // A password, or what should have been a challenge and its response.
        _ => fields.with(
            "data",
            if show_secrets {
                Value::text(start.data)
            } else {
                hidden(start.data)
            },
        ),
    }
}

/// What authorization and accounting requests have in common.
fn about(fields: Fields, request: &AuthorRequest<'_>) -> Fields {
    fields
        .with("authen_method", Value::word(request.authen_method))
        .with("priv_lvl", Value::Number(request.priv_lvl.level().into()))
        .with("authen_type", Value::word(request.authen_type))
        .with("authen_service", Value::word(request.authen_service))
        .with("user", Value::text(request.user))
        .with("port", Value::text(request.port))
        .with("rem_addr", Value::text(request.rem_addr))
        .with("args", arguments(request.args))
}

fn arguments(arguments: Arguments<'_>) -> Value {
    Value::List(arguments.raw().map(tacacs_common::escape::line).collect())
}

fn record(flags: u8) -> Value {
    let name = match AcctRecord::from_wire(flags) {
        Some(AcctRecord::Start) => "START",
        Some(AcctRecord::Stop) => "STOP",
        Some(AcctRecord::Watchdog) => "WATCHDOG",
        Some(AcctRecord::Update) => "WATCHDOG with update",
        None => return Value::Word(format!("{flags:#04x}")),
    };
    Value::word(name)
}
