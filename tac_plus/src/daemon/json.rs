//! JSON lines.
//!
//! Owns their shape and their escaping. Must never be handed text that is not escaped
//! for a line already: what comes out is one line too, whatever comes in.

use std::fmt::Write;

/// One flat object, written field by field.
pub(super) struct Object<'a> {
    out: &'a mut String,
    empty: bool,
}

impl<'a> Object<'a> {
    /// Begins an object at the end of `out`.
    pub(super) fn begin(out: &'a mut String) -> Self {
        out.push('{');
        Self { out, empty: true }
    }

    /// Adds a text.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        quote(self.out, value);
    }

    /// Adds an array of texts.
    pub(super) fn texts<'b>(&mut self, name: &str, values: impl Iterator<Item = &'b str>) {
        self.name(name);
        self.out.push('[');
        for (index, value) in values.enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            quote(self.out, value);
        }
        self.out.push(']');
    }

    /// Ends the object and its line.
    pub(super) fn end(self) {
        self.out.push_str("}\n");
    }

    fn name(&mut self, name: &str) {
        if !std::mem::take(&mut self.empty) {
            self.out.push(',');
        }
        quote(self.out, name);
        self.out.push(':');
    }
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            // U+2028 and U+2029 end a line in some readers.
            '\0'..='\x1f' | '\x7f' | '\u{2028}' | '\u{2029}' => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_in_a_text_the_object_is_one_line_and_can_be_read_back() {
        let mut out = String::new();
        let nasty = "a\"b\\c\nd\u{2028}e\u{7f}f\u{e9}";
        let mut object = Object::begin(&mut out);
        object.text("message", nasty);
        object.texts("args", ["x", nasty].into_iter());
        object.end();
        assert_eq!(out.lines().count(), 1);
        let read: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(read["message"], nasty);
        assert_eq!(read["args"][1], nasty);
    }
}
