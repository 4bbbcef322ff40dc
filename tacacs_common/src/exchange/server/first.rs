//! The look at a packet of which not all has come.
//!
//! Owns what can be told before the rest is there: whether a session_id may be used, which
//! of a client's secrets a first packet is obfuscated with, and that none is. What is
//! refused is read to its end and kept nowhere.

use zeroize::Zeroizing;

use super::{Closing, Connection, Event, Mode, Refusal};
use crate::obfuscate::Protection;
use crate::packet::{Error, HEADER_LEN, Header, LENGTHS, check_lengths};

/// One block of the pad.
const BLOCK: usize = 16;

/// What is known of the packet that comes.
#[derive(Default)]
pub(super) enum Coming<'k> {
    /// Nothing yet.
    #[default]
    Unseen,
    /// Nothing speaks against it. A first packet's lengths add up under this.
    Fits(Protection<'k>),
    /// It is refused, when so many more bytes have come.
    Refused {
        head: [u8; HEADER_LEN],
        why: Refusal,
        left: usize,
    },
}

impl Coming<'_> {
    pub(super) const fn is_refused(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}

impl<'k, S> Connection<'k, S> {
    /// Bytes of a packet that has to be kept until all of it has come.
    pub fn is_waiting_for(&self) -> usize {
        match self.coming {
            Coming::Fits(_) => Header::decode(self.unread())
                .ok()
                .and_then(|header| usize::try_from(header.length).ok())
                .unwrap_or_default(),
            _ => 0,
        }
    }

    /// Looks at what is there of a packet.
    pub(super) fn look(
        &self,
        header: &Header,
        body_len: usize,
        admits: impl FnOnce(u32) -> bool,
    ) -> Coming<'k> {
        let refused = |why| Coming::Refused {
            head: self.head(),
            why,
            left: HEADER_LEN.saturating_add(body_len),
        };
        let opens = header.seq_no == 1;
        if !opens || header.check(self.limits.max_body).is_err() {
            // Nothing that still comes makes a session of it.
            let is_lost = self.find(header.session_id).is_none();
            return match self.admit(header) {
                Err(error) if is_lost => refused(Refusal::Packet(error)),
                _ => Coming::Fits(self.protection),
            };
        }
        if !self.is_obfuscated() {
            return Coming::Fits(self.protection);
        }
        if self.closing != Closing::No || self.mode == Mode::Plain {
            return refused(Refusal::NoNewSession);
        }
        let body = self.unread().get(HEADER_LEN..).unwrap_or_default();
        if body.len() < body_len.min(LENGTHS) {
            return Coming::Unseen;
        }
        if !admits(header.session_id) {
            return refused(Refusal::Replayed);
        }
        // A short one under the only secret is made clear at once.
        if body_len <= LENGTHS && self.others.is_empty() {
            return Coming::Fits(self.protection);
        }
        let first = match lengths_fit(self.protection, header, body, body_len) {
            Ok(()) => return Coming::Fits(self.protection),
            Err(error) => error,
        };
        let mut others = self.others.iter().map(|one| Protection::Obfuscated(one));
        let fits = others.find(|other| lengths_fit(*other, header, body, body_len).is_ok());
        fits.map_or_else(|| refused(Refusal::Secret(first)), Coming::Fits)
    }

    /// Takes what has come of a packet that is refused; the event, once that is all of it.
    pub(super) fn refused_in_full(&mut self) -> Option<Event<'_, S>> {
        let have = self.unread().len();
        let Coming::Refused { head, why, left } = &mut self.coming else {
            return None;
        };
        let (head, why) = (*head, *why);
        let taken = have.min(*left);
        *left = left.saturating_sub(taken);
        let is_all = *left == 0;
        self.done = self.start.saturating_add(taken);
        self.forget_done();
        if !is_all {
            return None;
        }
        self.coming = Coming::Unseen;
        let header = Header::decode(&head).ok()?;
        if let Refusal::Packet(error) = why {
            return Some(self.refuse(&header, head, error));
        }
        self.drain();
        if let Refusal::Secret(_) = why {
            self.error_reply(&header);
        }
        Some(Event::Refused(why))
    }

    /// The header of the packet that is looked at.
    pub(super) fn head(&self) -> [u8; HEADER_LEN] {
        let head = self.unread().first_chunk::<HEADER_LEN>();
        head.copied().unwrap_or_default()
    }
}

/// Whether the lengths in a body add up, of which no more is made clear than that needs:
/// one block for most.
fn lengths_fit(
    protection: Protection<'_>,
    header: &Header,
    body: &[u8],
    body_len: usize,
) -> Result<(), Error> {
    let mut need = BLOCK;
    loop {
        let mut clear = Zeroizing::new([0; LENGTHS]);
        let part = body.get(..need.min(body.len())).unwrap_or(body);
        let Some(clear) = clear.get_mut(..part.len()) else {
            return Err(Error::ShortHeader { have: part.len() });
        };
        clear.copy_from_slice(part);
        protection.apply(header, clear);
        match check_lengths(header.packet_type, clear, body_len) {
            Err(Error::Truncated { need: more, .. }) if more > need && part.len() >= need => {
                need = more;
            }
            told => return told,
        }
    }
}
