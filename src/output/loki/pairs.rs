//! Names with values, as streams' labels and entries' metadata are written.

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

/// Pairs on the way to being written.
#[derive(Debug)]
pub(super) struct Pairs {
    syntax: Syntax,
    bytes: Vec<u8>,
    count: usize,
}

impl Pairs {
    /// None yet.
    pub(super) fn new(syntax: Syntax) -> Self {
        Self { syntax, bytes: Vec::new(), count: 0 }
    }

    /// Forgets all pairs.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Adds a pair. The name is one already, see [`write_name`].
    pub(super) fn add(&mut self, name: &str, value: &str) {
        let opening: &[u8] = if self.count == 0 { b"{" } else { b", " };
        match self.syntax {
            Syntax::Selector => {
                self.bytes.extend_from_slice(opening);
                self.bytes.extend_from_slice(name.as_bytes());
                // What JSON escapes, Go reads in the same way.
                self.bytes.extend_from_slice(b"=\"");
                json::escape(value, &mut self.bytes);
                self.bytes.push(b'"');
            }
            Syntax::Json => {
                self.bytes.extend_from_slice(opening);
                self.bytes.push(b'"');
                self.bytes.extend_from_slice(name.as_bytes());
                self.bytes.extend_from_slice(b"\":\"");
                json::escape(value, &mut self.bytes);
                self.bytes.push(b'"');
            }
            Syntax::Protobuf => {
                encode_key(3, WireType::LengthDelimited, &mut self.bytes);
                encode_varint(
                    (field_len(1, name.len()) + field_len(2, value.len())) as u64,
                    &mut self.bytes,
                );
                write_field(1, name.as_bytes(), &mut self.bytes);
                write_field(2, value.as_bytes(), &mut self.bytes);
            }
        }
        self.count += 1;
    }

    /// Ends the list of pairs.
    pub(super) fn end(&mut self) {
        match (self.syntax, self.count) {
            (Syntax::Protobuf, _) => {}
            (_, 0) => self.bytes.extend_from_slice(b"{}"),
            _ => self.bytes.push(b'}'),
        }
    }

    /// The pairs as they are written.
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
/// other byte becomes `_`.
pub(super) fn write_name(name: &str, out: &mut String) {
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        out.push('_');
    }
    out.extend(
        name.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte) } else { '_' }),
    );
}
