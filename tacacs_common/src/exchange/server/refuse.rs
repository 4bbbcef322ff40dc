//! The answer to what is no request.
//!
//! Owns what is said then, which is as little as can be, and what becomes of the
//! connection. Must never answer under the number of a client's packet.

use super::{Closing, Connection, Event, Refusal};
use crate::packet::{
    AcctReply, AcctStatus, ArgumentsBuf, AuthenReply, AuthenStatus, AuthorReply, AuthorStatus,
    Error, Flags, HEADER_LEN, Header, PacketType,
};

impl<S> Connection<'_, S> {
    /// The body makes no sense: most often it was obfuscated with another secret.
    /// Then the client is told once, gets no new sessions, and running ones may
    /// finish (sections 4.4, 4.5 and 10.5.1).
    pub(super) fn undecodable(&mut self, header: &Header, error: Error) -> Event<'_, S> {
        if self.is_obfuscated() || error.suggests_wrong_secret() {
            self.drain();
        }
        self.error_reply(header);
        self.end(header.session_id);
        Event::Refused(self.doubt(error))
    }

    /// Gives up a session whose first packet can be decoded and makes no sense all the
    /// same: answered like one of another secret.
    pub fn deny(&mut self, session_id: u32) {
        let Some(session) = self.find(session_id) else {
            return;
        };
        let header = Header {
            version: session.version,
            packet_type: session.packet_type,
            seq_no: session.received,
            flags: Flags::default(),
            session_id,
            length: 0,
        };
        if self.is_obfuscated() {
            self.drain();
        }
        self.error_reply(&header);
        self.end(session_id);
    }

    /// A header that does not fit: an ERROR, and the connection ends.
    pub(super) fn refuse(
        &mut self,
        header: &Header,
        head: [u8; HEADER_LEN],
        error: Error,
    ) -> Event<'_, S> {
        if header.seq_no.is_multiple_of(2) {
            // The answer would have the number of a client's packet, and with it the pad.
            return self.close(error);
        }
        if let Error::Type(_) = error {
            // Section 3.6: what the packet is cannot be told, so its own header goes back.
            let mut echo = head;
            let [_, _, seq_no, _, _, _, _, _, length @ ..] = &mut echo;
            *length = [0; 4];
            if let Some(next) = seq_no.checked_add(1) {
                *seq_no = next;
                self.output.extend_from_slice(&echo);
            }
        } else {
            self.drain();
            self.error_reply(header);
            if let Error::Seq { .. } = error
                && self.find(header.session_id).is_none()
            {
                // The answer to a question that was given up: the others go on.
                return Event::Refused(Refusal::Packet(error));
            }
        }
        self.close(error)
    }

    pub(super) fn close(&mut self, error: Error) -> Event<'_, S> {
        self.closing = Closing::Now;
        self.sessions.clear();
        Event::Refused(Refusal::Packet(error))
    }

    /// An ERROR of the packet's own type, without a word that would help to guess
    /// the secret.
    pub(super) fn error_reply(&mut self, header: &Header) {
        let nothing = ArgumentsBuf::new();
        let (version, id, received) = (header.version, header.session_id, header.seq_no);
        // An empty body always fits, and a number that would wrap is not sent.
        let _ = match header.packet_type {
            PacketType::Authen => {
                let body = AuthenReply {
                    status: AuthenStatus::Error,
                    no_echo: false,
                    server_msg: b"",
                    data: b"",
                };
                self.seal(version, id, received, &body)
            }
            PacketType::Author => {
                let args = nothing.as_arguments();
                let body = AuthorReply {
                    status: AuthorStatus::Error,
                    server_msg: b"",
                    data: b"",
                    args,
                };
                self.seal(version, id, received, &body)
            }
            PacketType::Acct => {
                let body = AcctReply {
                    status: AcctStatus::Error,
                    server_msg: b"",
                    data: b"",
                };
                self.seal(version, id, received, &body)
            }
            PacketType::Unknown(_) => Ok(()),
        };
    }

    fn doubt(&self, error: Error) -> Refusal {
        if self.is_obfuscated() {
            Refusal::Secret(error)
        } else {
            Refusal::Packet(error)
        }
    }
}
