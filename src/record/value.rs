//! A field's value, and its JSON.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use tailwater_parsers::json;

/// The ordered fields of a record. Keys may repeat, as they may in the msgpack maps of Fluent Bit.
pub type Fields<'a> = BumpVec<'a, Field<'a>>;

/// One key with its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field<'a> {
    /// The key, decoded.
    pub key: &'a str,
    /// The value.
    pub value: Value<'a>,
}

impl<'a> Field<'a> {
    /// Takes over a field that the JSON scanner found; only text that is not clean JSON, and a key with escapes,
    /// is copied. `scratch` is overwritten.
    pub fn from_json(
        key: json::Text<'a>,
        value: json::Value<'a>,
        bump: &'a Bump,
        scratch: &mut String,
    ) -> Self {
        let key = match key {
            json::Text::Plain(key) => key,
            key => bump.alloc_str(key.decode(scratch)),
        };
        Self { key, value: Value::from_json(value, bump) }
    }
}

/// A value that borrows from the read buffer or from the batch's arena, so that it is free to copy.
///
/// Text that came as JSON stays JSON for as long as nobody asks what it says: a nested value is one
/// slice of its source, a string with escapes keeps them, a number keeps its digits. It was
/// validated when it was read, so writing it out again is a copy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// JSON `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number made by a filter or a type cast.
    Int(i64),
    /// A number made by a filter or a type cast. Not finite is written as `null`.
    Float(f64),
    /// A number as its JSON text.
    Number(&'a str),
    /// Text.
    Str(&'a str),
    /// Text without quotes, backslashes and control characters: written as JSON by copying it.
    Plain(&'a str),
    /// Text as the body of a JSON string that holds at least one escape: well formed, surrogates paired.
    Escaped(&'a str),
    /// An object or an array as valid JSON text.
    Json(&'a str),
}

impl<'a> Value<'a> {
    /// Takes over what the JSON scanner found; only text that is not clean JSON is copied, mended.
    pub fn from_json(value: json::Value<'a>, bump: &'a Bump) -> Self {
        match value {
            json::Value::Null => Self::Null,
            json::Value::Bool(truth) => Self::Bool(truth),
            json::Value::Number(text) => Self::Number(text),
            json::Value::String(json::Text::Plain(text)) => Self::Plain(text),
            json::Value::String(json::Text::Escaped(body)) => Self::Escaped(body),
            json::Value::String(json::Text::Dirty(body)) => Self::Str(unescape(body, bump)),
            json::Value::Nested(text) => Self::Json(text),
            json::Value::DirtyNested(text) => {
                let mut clean = String::with_capacity(text.len());
                json::repair(text, &mut clean);
                Self::Json(bump.alloc_str(&clean))
            }
        }
    }

    /// The text of a string value, decoded into `scratch` if it holds escapes: for a look that
    /// leaves nothing behind in the arena.
    pub fn read_str<'s>(&self, scratch: &'s mut String) -> Option<&'s str>
    where
        'a: 's,
    {
        match *self {
            Self::Str(text) | Self::Plain(text) => Some(text),
            Self::Escaped(body) => {
                scratch.clear();
                json::unescape(body, scratch);
                Some(scratch)
            }
            _ => None,
        }
    }

    /// Appends the value as JSON.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Bool(true) => out.extend_from_slice(b"true"),
            Self::Bool(false) => out.extend_from_slice(b"false"),
            Self::Int(number) => write_display(number, out),
            // A whole one with `.0`: stores guess a field's type from its first value.
            Self::Float(number) if number.is_finite() => {
                write_display(format_args!("{number:?}"), out);
            }
            Self::Null | Self::Float(_) => out.extend_from_slice(b"null"),
            Self::Number(text) | Self::Json(text) => out.extend_from_slice(text.as_bytes()),
            Self::Str(text) => {
                out.push(b'"');
                json::escape(text, out);
                out.push(b'"');
            }
            Self::Plain(body) | Self::Escaped(body) => {
                out.push(b'"');
                out.extend_from_slice(body.as_bytes());
                out.push(b'"');
            }
        }
    }
}

/// Decodes a string body into the arena.
fn unescape<'a>(body: &str, bump: &'a Bump) -> &'a str {
    let mut text = String::with_capacity(body.len());
    json::unescape(body, &mut text);
    bump.alloc_str(&text)
}

fn write_display(number: impl std::fmt::Display, out: &mut Vec<u8>) {
    use std::io::Write;
    // Writing to memory does not fail.
    let _infallible = write!(out, "{number}");
}

/// Appends `fields` as one JSON object. Of a repeated key the last field counts, as in Fluent Bit: stores
/// refuse an object that has it twice.
pub fn write_json(fields: &[Field<'_>], out: &mut Vec<u8>) {
    out.push(b'{');
    let mut first = true;
    let may_repeat = may_repeat(fields);
    for (index, field) in fields.iter().enumerate() {
        if may_repeat && fields.iter().skip(index + 1).any(|later| later.key == field.key) {
            continue;
        }
        out.extend_from_slice(if first { b"\"" } else { b",\"" });
        first = false;
        json::escape(field.key, out);
        out.extend_from_slice(b"\":");
        field.value.write_json(out);
    }
    out.push(b'}');
}

/// Whether two keys look alike: by length, first and last byte, each set of which has one of 64 bits.
/// Most records need no closer look.
fn may_repeat(fields: &[Field<'_>]) -> bool {
    let mut seen = 0_u64;
    fields.iter().any(|field| {
        let key = field.key.as_bytes();
        let ends = key.first().zip(key.last());
        let (first, last) = ends.map_or((0, 0), |(first, last)| (*first, *last));
        let bit = 1 << ((key.len() + 5 * usize::from(first) + 11 * usize::from(last)) % 64);
        let is_alike = seen & bit != 0;
        seen |= bit;
        is_alike
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(fields: &[Field<'_>], expected: &Expect) {
        let mut out = Vec::new();
        write_json(fields, &mut out);
        expected.assert_eq(&String::from_utf8(out).unwrap());
    }

    fn field<'a>(key: &'a str, value: Value<'a>) -> Field<'a> {
        Field { key, value }
    }

    #[test]
    fn every_kind_of_value_is_json() {
        check(
            &[
                field("n", Value::Null),
                field("b", Value::Bool(true)),
                field("i", Value::Int(-3)),
                field("f", Value::Float(0.5)),
                field("w", Value::Float(2.0)),
                field("x", Value::Float(1e300)),
                field("nan", Value::Float(f64::NAN)),
                field("t", Value::Number("1e3")),
                field("s", Value::Str("a\"b\u{1}")),
                field("e", Value::Escaped("a\\nb")),
                field("j", Value::Json("[1,2]")),
            ],
            &expect![[
                r#"{"n":null,"b":true,"i":-3,"f":0.5,"w":2.0,"x":1e300,"nan":null,"t":1e3,"s":"a\"b\u0001","e":"a\nb","j":[1,2]}"#
            ]],
        );
    }

    #[test]
    fn keys_are_escaped_and_do_not_repeat() {
        check(
            &[field("a\"", Value::Int(1)), field("a\"", Value::Int(2))],
            &expect![[r#"{"a\"":2}"#]],
        );
        check(&[], &expect!["{}"]);
    }
}
