//! Arguments of authorization and accounting (RFC 8907 section 6.1): `name=value`
//! is mandatory, `name*value` optional, and the first separator decides.

use super::error::Error;
use super::wire;

/// One argument, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Argument<'a> {
    /// At least one byte, without a separator.
    pub name: &'a [u8],
    /// Whether a receiver that cannot act on it has to refuse.
    pub mandatory: bool,
    /// May be empty, may hold separators.
    pub value: &'a [u8],
}

impl<'a> Argument<'a> {
    /// Splits at the first `=` or `*`. `None` without a separator or a name.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let at = bytes.iter().position(|b| matches!(b, b'=' | b'*'))?;
        let (name, rest) = bytes.split_at_checked(at)?;
        let (separator, value) = rest.split_first()?;
        if name.is_empty() {
            return None;
        }
        Some(Self {
            name,
            mandatory: *separator == b'=',
            value,
        })
    }
}

/// The arguments of a packet in the order they came, as they are on the wire:
/// one length byte each, and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Arguments<'a> {
    lengths: &'a [u8],
    bytes: &'a [u8],
}

impl<'a> Arguments<'a> {
    /// The lengths must add up to the bytes: both callers have just checked it.
    pub(super) const fn from_parts(lengths: &'a [u8], bytes: &'a [u8]) -> Self {
        Self { lengths, bytes }
    }

    /// Their length bytes, for the encoder.
    pub(super) const fn lengths(&self) -> &'a [u8] {
        self.lengths
    }

    /// Their bytes one after another, for the encoder.
    pub(super) const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What the lengths add up to.
    pub(super) fn total(lengths: &[u8]) -> usize {
        lengths.iter().map(|len| usize::from(*len)).sum()
    }

    /// How many there are, at most 255.
    pub const fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Each as its bytes came, well formed or not.
    pub fn raw(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.bytes;
        self.lengths.iter().map_while(move |len| {
            let (argument, tail) = rest.split_at_checked(usize::from(*len))?;
            rest = tail;
            Some(argument)
        })
    }

    /// Each taken apart.
    ///
    /// # Errors
    /// [`Error::Arg`] in the place of one that is not well formed.
    pub fn parsed(&self) -> impl Iterator<Item = Result<Argument<'a>, Error>> + use<'a> {
        self.raw()
            .enumerate()
            .map(|(index, bytes)| Argument::parse(bytes).ok_or(Error::Arg { index }))
    }

    /// Whether every argument is well formed and printable, as a sender of
    /// authorization has to write them.
    ///
    /// # Errors
    /// [`Error::Arg`], [`Error::Text`].
    pub fn check(&self) -> Result<(), Error> {
        for argument in self.parsed() {
            argument?;
        }
        wire::printable("argument", self.bytes)
    }
}

/// Arguments being put together for a packet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArgumentsBuf {
    lengths: Vec<u8>,
    bytes: Vec<u8>,
}

impl ArgumentsBuf {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `name=value`.
    ///
    /// # Errors
    /// As [`ArgumentsBuf::push`].
    pub fn mandatory(&mut self, name: &str, value: &[u8]) -> Result<(), Error> {
        self.push(Argument {
            name: name.as_bytes(),
            mandatory: true,
            value,
        })
    }

    /// Adds `name*value`.
    ///
    /// # Errors
    /// As [`ArgumentsBuf::push`].
    pub fn optional(&mut self, name: &str, value: &[u8]) -> Result<(), Error> {
        self.push(Argument {
            name: name.as_bytes(),
            mandatory: false,
            value,
        })
    }

    /// Adds an argument. One that does not fit is refused, never cut: a cut
    /// argument would authorize something else (RFC 8907 section 6.1).
    ///
    /// # Errors
    /// [`Error::Arg`] for a bad name, [`Error::Text`] for anything but printable
    /// US-ASCII, [`Error::FieldTooLong`] over 255 bytes or 255 arguments.
    pub fn push(&mut self, argument: Argument<'_>) -> Result<(), Error> {
        let index = self.lengths.len();
        if argument.name.is_empty() || argument.name.iter().any(|b| matches!(b, b'=' | b'*')) {
            return Err(Error::Arg { index });
        }
        wire::printable("argument", argument.name)?;
        wire::printable("argument", argument.value)?;
        let len = argument
            .name
            .len()
            .saturating_add(argument.value.len())
            .saturating_add(1);
        let too_long = Error::FieldTooLong {
            field: "argument",
            len,
            max: 255,
        };
        let length = u8::try_from(len).map_err(|_| too_long)?;
        self.make_room()?;
        self.lengths.push(length);
        self.bytes.extend_from_slice(argument.name);
        self.bytes
            .push(if argument.mandatory { b'=' } else { b'*' });
        self.bytes.extend_from_slice(argument.value);
        Ok(())
    }

    /// Adds an argument that is already in its wire form.
    ///
    /// # Errors
    /// As [`ArgumentsBuf::push`].
    pub fn push_raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let argument = Argument::parse(bytes).ok_or(Error::Arg {
            index: self.lengths.len(),
        })?;
        self.push(argument)
    }

    fn make_room(&self) -> Result<(), Error> {
        if self.lengths.len() >= 255 {
            let len = self.lengths.len().saturating_add(1);
            return Err(Error::FieldTooLong {
                field: "arg_cnt",
                len,
                max: 255,
            });
        }
        Ok(())
    }

    /// As a packet carries them.
    pub fn as_arguments(&self) -> Arguments<'_> {
        Arguments {
            lengths: &self.lengths,
            bytes: &self.bytes,
        }
    }
}

impl From<Arguments<'_>> for ArgumentsBuf {
    fn from(arguments: Arguments<'_>) -> Self {
        Self {
            lengths: arguments.lengths.to_vec(),
            bytes: arguments.bytes.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_separator_decides() {
        let parse = |text: &'static str| Argument::parse(text.as_bytes());
        let optional = parse("foo*a=b").unwrap();
        assert_eq!(
            (optional.name, optional.mandatory, optional.value),
            (&b"foo"[..], false, &b"a=b"[..])
        );
        let mandatory = parse("foo=a*b").unwrap();
        assert_eq!(
            (mandatory.name, mandatory.mandatory, mandatory.value),
            (&b"foo"[..], true, &b"a*b"[..])
        );
        assert_eq!(parse("cmd=").unwrap().value, b"");
        assert_eq!(parse("noseparator"), None);
        assert_eq!(parse("=value"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn an_argument_that_does_not_fit_is_refused_and_changes_nothing() {
        let mut buf = ArgumentsBuf::new();
        buf.mandatory("cmd-arg", &[b'x'; 247]).unwrap();
        let before = buf.clone();
        let error = buf.mandatory("cmd-arg", &[b'x'; 248]).unwrap_err();
        assert_eq!(
            error,
            Error::FieldTooLong {
                field: "argument",
                len: 256,
                max: 255
            }
        );
        assert_eq!(buf, before);
        for _ in 1..255 {
            buf.mandatory("cmd-arg", b"").unwrap();
        }
        let error = buf.mandatory("cmd-arg", b"").unwrap_err();
        assert_eq!(
            error,
            Error::FieldTooLong {
                field: "arg_cnt",
                len: 256,
                max: 255
            }
        );
        assert_eq!(buf.as_arguments().len(), 255);
    }

    #[test]
    fn a_sender_writes_printable_ascii_only() {
        let mut buf = ArgumentsBuf::new();
        assert_eq!(
            buf.mandatory("cmd", b"a\nb"),
            Err(Error::Text { field: "argument" })
        );
        assert_eq!(
            buf.mandatory("cmd", "é".as_bytes()),
            Err(Error::Text { field: "argument" })
        );
        assert_eq!(buf.mandatory("a=b", b"c"), Err(Error::Arg { index: 0 }));
        assert!(buf.as_arguments().is_empty());
    }
}
