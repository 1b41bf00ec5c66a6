//! Names with values, as streams' labels and entries' metadata are written.

use std::fmt::Write as _;

use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use tailwater_parsers::json;

/// How pairs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    /// `{name="value", other="…"}`: Loki's own, in protobuf.
    Selector,
    /// `{"name":"value","other":"…"}`
    Json,
    /// One field 3 (`LabelPair`) a pair: metadata of a protobuf entry.
    Protobuf,
}

/// Pairs on the way to being written. Of a repeated name the last value counts, as in Fluent Bit, whose
/// JSON has it so: what is added later may stand in for what was added before.
#[derive(Debug)]
pub(super) struct Pairs {
    syntax: Syntax,
    /// Names and values, one behind the other.
    text: String,
    /// Where they lie in `text`.
    spans: Vec<Span>,
    /// What [`Pairs::end`] wrote.
    bytes: Vec<u8>,
}

/// One pair in `text`: its name from `start` to `middle`, its value from there to `end`.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    middle: usize,
    end: usize,
}

impl Pairs {
    /// None yet.
    pub(super) fn new(syntax: Syntax) -> Self {
        Self { syntax, text: String::new(), spans: Vec::new(), bytes: Vec::new() }
    }

    /// Forgets all pairs.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.spans.clear();
        self.bytes.clear();
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// Bytes of all names and values.
    pub(super) fn text_len(&self) -> usize {
        self.spans.iter().map(|span| span.end - span.start).sum()
    }

    /// Names and values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.spans.iter().map(|span| {
            let name = self.text.get(span.start..span.middle).unwrap_or_default();
            (name, self.text.get(span.middle..span.end).unwrap_or_default())
        })
    }

    /// Adds a pair, in place of one of the same name. The name is one already, see [`write_name`].
    pub(super) fn add(&mut self, name: &str, value: &str) {
        let text = &self.text;
        self.spans.retain(|span| text.get(span.start..span.middle) != Some(name));
        let start = self.text.len();
        self.text.push_str(name);
        let middle = self.text.len();
        self.text.push_str(value);
        self.spans.push(Span { start, middle, end: self.text.len() });
    }

    /// Ends the list of pairs: writes it.
    pub(super) fn end(&mut self) {
        let out = &mut self.bytes;
        let mut opening: &[u8] = b"{";
        for span in &self.spans {
            let name = self.text.get(span.start..span.middle).unwrap_or_default();
            let value = self.text.get(span.middle..span.end).unwrap_or_default();
            match self.syntax {
                Syntax::Selector => {
                    out.extend_from_slice(opening);
                    out.extend_from_slice(name.as_bytes());
                    // What JSON escapes, Go reads in the same way.
                    out.extend_from_slice(b"=\"");
                    json::escape(value, out);
                    out.push(b'"');
                }
                Syntax::Json => {
                    out.extend_from_slice(opening);
                    out.push(b'"');
                    out.extend_from_slice(name.as_bytes());
                    out.extend_from_slice(b"\":\"");
                    json::escape(value, out);
                    out.push(b'"');
                }
                Syntax::Protobuf => {
                    let len = field_len(1, name.len()) + field_len(2, value.len());
                    encode_key(3, WireType::LengthDelimited, out);
                    encode_varint(len as u64, out);
                    write_field(1, name.as_bytes(), out);
                    write_field(2, value.as_bytes(), out);
                }
            }
            opening = b", ";
        }
        match (self.syntax, self.spans.len()) {
            (Syntax::Protobuf, _) => {}
            (_, 0) => out.extend_from_slice(b"{}"),
            _ => out.push(b'}'),
        }
    }

    /// The pairs as [`Pairs::end`] wrote them.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Appends a field of bytes or text, as protocol buffers have it.
pub(super) fn write_field(tag: u32, bytes: &[u8], out: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// How long such a field is.
pub(super) fn field_len(tag: u32, len: usize) -> usize {
    key_len(tag) + encoded_len_varint(len as u64) + len
}

/// Appends a name as Loki takes it: letters, digits and `_`, no digit first. As in Fluent Bit, every
/// other byte becomes `_`; so does a name of no byte, which Loki takes for nothing.
pub(super) fn write_name(name: &str, out: &mut String) {
    if name.starts_with(|first: char| first.is_ascii_digit()) || name.is_empty() {
        out.push('_');
    }
    out.extend(
        name.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte) } else { '_' }),
    );
}

/// Appends a name of metadata. One of `_` alone Loki answers with a 500 for ever, and everything beside it in the
/// push; so what would be one, such as a name in another script, is told by its bytes.
pub(super) fn write_metadata_name(name: &str, out: &mut String) {
    if name.bytes().any(|byte| byte.is_ascii_alphanumeric()) {
        return write_name(name, out);
    }
    out.push_str("key_");
    for byte in name.bytes() {
        // Writing to memory does not fail.
        let _infallible = write!(out, "{byte:02x}");
    }
}
