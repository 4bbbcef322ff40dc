//! The policy's replies as packets.
//!
//! Owns which field of a reply goes where. Must never change what a reply says.

use tacacs_common::exchange::server::Connection;
use tacacs_common::packet::{AcctReply, AuthenReply, AuthorReply, Error};

use crate::policy::Reply;

/// Answers the request that a session waits for.
///
/// # Errors
/// What the encoder refuses; the session has then ended with ERROR.
pub(super) fn send<S>(
    connection: &mut Connection<'_, S>,
    session_id: u32,
    reply: &Reply,
) -> Result<(), Error> {
    let last = reply.is_last();
    let (msg, data): (&[u8], &[u8]) = (b"", b"");
    match reply {
        Reply::Authen(answer) => {
            let (status, no_echo, server_msg) =
                (answer.status, answer.no_echo, answer.server_msg.as_slice());
            connection.reply(
                session_id,
                &AuthenReply {
                    status,
                    no_echo,
                    server_msg,
                    data,
                },
                last,
            )
        }
        Reply::Author(decision) => {
            let (status, args) = (decision.status, decision.args.as_arguments());
            let server_msg = decision.server_msg.as_bytes();
            let data = decision.data.as_bytes();
            connection.reply(
                session_id,
                &AuthorReply {
                    status,
                    server_msg,
                    data,
                    args,
                },
                last,
            )
        }
        Reply::Acct(status) => connection.reply(
            session_id,
            &AcctReply {
                status: *status,
                server_msg: msg,
                data,
            },
            last,
        ),
    }
}
