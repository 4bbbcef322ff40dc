//! A decoded packet as named values: one description for text and for JSON.
//!
//! Owns both forms. Must never be given a secret in a [`Value`] that is shown.

use serde::ser::{Serialize, SerializeMap, Serializer};
use tacacs_common::escape;

/// Named values, in the order of the wire.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Fields(Vec<(&'static str, Value)>);

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// A count or a level.
    Number(u32),
    /// A flag.
    Flag(bool),
    /// A name of the RFC, or a number in hex.
    Word(String),
    /// Text from the packet, escaped.
    Text(String),
    /// Bytes without a meaning as text, in hex.
    Hex(String),
    /// A password or a response that was not asked for: its length alone.
    Hidden(usize),
    /// Arguments, escaped.
    List(Vec<String>),
}

impl Value {
    /// Text of the packet.
    pub(crate) fn text(bytes: &[u8]) -> Self {
        Self::Text(escape::line(bytes))
    }

    /// Bytes as they are.
    pub(crate) fn hex(bytes: &[u8]) -> Self {
        use std::fmt::Write;
        let mut text = String::with_capacity(bytes.len().saturating_mul(2));
        for byte in bytes {
            let _ = write!(text, "{byte:02x}");
        }
        Self::Hex(text)
    }

    /// A name, or what stands for an unknown one.
    pub(crate) fn word(value: impl std::fmt::Display) -> Self {
        Self::Word(value.to_string())
    }
}

impl Fields {
    /// Adds a value.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: Value) -> Self {
        self.0.push((name, value));
        self
    }

    /// One value as it is shown; nothing if there is none of this name.
    pub(crate) fn shown(&self, name: &str) -> String {
        let value = self.0.iter().find(|(found, _)| *found == name);
        value.map_or_else(String::new, |(_, value)| Shown(value).to_string())
    }

    /// One line a value, indented, with the values in one column.
    pub(crate) fn write_text(&self, indent: &str, out: &mut String) {
        use std::fmt::Write;
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in &self.0 {
            match value {
                Value::List(items) => {
                    let _ = writeln!(out, "{indent}{name:<width$}  {}", items.len());
                    for item in items {
                        let _ = writeln!(out, "{indent}    {item}");
                    }
                }
                _ => {
                    let line = format!("{indent}{name:<width$}  {}", Shown(value));
                    let _ = writeln!(out, "{}", line.trim_end());
                }
            }
        }
    }
}

/// A value on one line.
struct Shown<'v>(&'v Value);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Value::Number(number) => write!(f, "{number}"),
            Value::Flag(flag) => f.write_str(if *flag { "yes" } else { "no" }),
            Value::Word(word) => f.write_str(word),
            Value::Text(text) => write!(f, "\"{text}\""),
            Value::Hex(hex) => f.write_str(hex),
            Value::Hidden(len) => write!(f, "<hidden, {len} bytes>"),
            Value::List(items) => f.write_str(&items.join(" ")),
        }
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_u32(*number),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Word(text) | Self::Text(text) | Self::Hex(text) => serializer.serialize_str(text),
            Self::Hidden(_) => serializer.serialize_str(&Shown(self).to_string()),
            Self::List(items) => items.serialize(serializer),
        }
    }
}
