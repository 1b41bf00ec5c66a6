//! A field's value, and its JSON.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use tailwater_parsers::json;

/// The ordered fields of a record. Keys may repeat, as they may in the msgpack maps of Fluent Bit.
pub type Fields<'a> = BumpVec<'a, Field<'a>>;

/// One key with its value.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    key: &'a str,
    value: Value<'a>,
    /// Where the field came from JSON that says just this.
    run: Option<json::Run<'a>>,
}

impl<'a> Field<'a> {
    /// A field of this key, decoded.
    #[inline]
    pub fn new(key: &'a str, value: Value<'a>) -> Self {
        Self { key, value, run: None }
    }

    /// Takes over a field that the JSON scanner found; only text that is not clean JSON, and a key with escapes,
    /// is copied. `scratch` is overwritten.
    #[expect(
        clippy::inline_always,
        reason = "moving values through memory took longer than reading them"
    )]
    #[inline(always)]
    pub fn from_json(
        key: json::Text<'a>,
        value: json::Value<'a>,
        run: Option<json::Run<'a>>,
        bump: &'a Bump,
        scratch: &mut String,
    ) -> Self {
        let key = match key {
            json::Text::Plain(key) => key,
            key => bump.alloc_str(key.decode(scratch)),
        };
        Self { key, value: Value::from_json(value, bump), run }
    }

    /// The key, decoded.
    #[inline]
    pub fn key(&self) -> &'a str {
        self.key
    }

    /// The value.
    #[inline]
    pub fn value(&self) -> Value<'a> {
        self.value
    }

    /// Whether `next` is written behind this by going on in the same text.
    #[inline]
    fn is_followed_by(&self, next: &Self) -> bool {
        match (&self.run, &next.run) {
            (Some(run), Some(next)) => run.is_followed_by(next),
            _ => false,
        }
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
    /// `true`. (Not one variant with a `bool`, see [`json::Value::True`].)
    True,
    /// `false`.
    False,
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
    /// An object or an array as valid JSON text without white space between its parts.
    Json(&'a str),
    /// An object that was taken apart before, since many records have the same one.
    Map(&'a Map<'a>),
}

/// An object as JSON text, and as the fields that it says: what looks into it parses nothing.
#[derive(Debug)]
pub struct Map<'a> {
    json: &'a str,
    fields: &'a [Field<'a>],
}

impl<'a> Value<'a> {
    /// Takes over what the JSON scanner found; only text that is not clean JSON is copied, mended.
    #[expect(
        clippy::inline_always,
        reason = "moving values through memory took longer than reading them"
    )]
    #[inline(always)]
    pub fn from_json(value: json::Value<'a>, bump: &'a Bump) -> Self {
        match value {
            json::Value::Null => Self::Null,
            json::Value::True => Self::True,
            json::Value::False => Self::False,
            json::Value::Number(text) => Self::Number(text),
            json::Value::String(json::Text::Plain(text)) => Self::Plain(text),
            json::Value::String(json::Text::Escaped(body)) => Self::Escaped(body),
            json::Value::String(json::Text::Dirty(body)) => Self::Str(unescape(body, bump)),
            json::Value::Nested(text) => Self::Json(text),
            json::Value::SpacedNested(text) | json::Value::DirtyNested(text) => {
                Self::Json(repair(text, bump))
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

    /// The text of a string value, decoded by way of `scratch` into the arena if it holds escapes: where many do.
    pub fn text_by(&self, scratch: &mut String, bump: &'a Bump) -> Option<&'a str> {
        match *self {
            Self::Escaped(_) => self.read_str(scratch).map(|text| &*bump.alloc_str(text)),
            Self::Str(text) | Self::Plain(text) => Some(text),
            _ => None,
        }
    }

    /// The text of a string value, decoded into the arena if it holds escapes.
    pub fn text_in(&self, bump: &'a Bump) -> Option<&'a str> {
        match *self {
            Self::Str(text) | Self::Plain(text) => Some(text),
            Self::Escaped(body) => Some(unescape(body, bump)),
            _ => None,
        }
    }

    /// Appends the fields of an object; false if it is none.
    pub fn append_fields(&self, fields: &mut Fields<'a>, bump: &'a Bump) -> bool {
        match *self {
            Self::Map(map) => {
                fields.extend_from_slice(map.fields);
                true
            }
            Self::Json(text) => {
                let mut scratch = String::new();
                json::object(text, |key, value, run| {
                    fields.push(Field::from_json(key, value, run, bump, &mut scratch));
                })
                .is_ok()
            }
            _ => false,
        }
    }

    /// Appends the value as JSON.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match *self {
            Self::True => out.extend_from_slice(b"true"),
            Self::False => out.extend_from_slice(b"false"),
            Self::Int(number) => write_display(number, out),
            // A whole one with `.0`: stores guess a field's type from its first value.
            Self::Float(number) if number.is_finite() => {
                write_display(format_args!("{number:?}"), out);
            }
            Self::Null | Self::Float(_) => out.extend_from_slice(b"null"),
            Self::Number(text) | Self::Json(text) => out.extend_from_slice(text.as_bytes()),
            Self::Map(map) => out.extend_from_slice(map.json.as_bytes()),
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

impl<'a> Map<'a> {
    /// Takes an object apart whose keys do not repeat, and the objects in it, into the arena. `None` if it is none.
    ///
    /// The text is valid JSON without white space between its parts, not nested deeper than JSON is read.
    pub fn read(json: &'a str, bump: &'a Bump) -> Option<&'a Self> {
        let mut fields = Fields::new_in(bump);
        let mut scratch = String::new();
        json::object(json, |key, value, run| {
            let mut field = Field::from_json(key, value, run, bump, &mut scratch);
            if let Value::Json(text) = field.value
                && let Some(map) = Self::read(text, bump)
            {
                field.value = Value::Map(map);
            }
            fields.push(field);
        })
        .ok()?;
        Some(bump.alloc(Self { json, fields: fields.into_bump_slice() }))
    }

    /// The value of a field.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.fields.iter().find(|field| field.key == key).map(Field::value)
    }
}

/// The text says all.
impl PartialEq for Map<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.json == other.json
    }
}

/// Decodes a string body into the arena.
#[cold]
fn unescape<'a>(body: &str, bump: &'a Bump) -> &'a str {
    let mut text = String::with_capacity(body.len());
    json::unescape(body, &mut text);
    bump.alloc_str(&text)
}

/// Mends and compacts an object or array into the arena.
#[cold]
fn repair<'a>(text: &str, bump: &'a Bump) -> &'a str {
    let mut clean = String::with_capacity(text.len());
    json::repair(text, &mut clean);
    bump.alloc_str(&clean)
}

fn write_display(number: impl std::fmt::Display, out: &mut Vec<u8>) {
    use std::io::Write;
    // Writing to memory does not fail.
    let _infallible = write!(out, "{number}");
}

/// Copies `fields` into the arena as one JSON object, as [`write_json`] writes it. `scratch` is overwritten.
pub fn nest<'a>(fields: &[Field<'_>], scratch: &mut Vec<u8>, bump: &'a Bump) -> Value<'a> {
    scratch.clear();
    write_json(fields, scratch);
    // Only text went in.
    Value::Json(str::from_utf8(scratch).map_or("{}", |text| bump.alloc_str(text)))
}

/// Appends `fields` as one JSON object. Of a repeated key the last field counts, as in Fluent Bit: stores
/// refuse an object that has it twice.
pub fn write_json(fields: &[Field<'_>], out: &mut Vec<u8>) {
    out.push(b'{');
    let mut separator: &[u8] = b"";
    let repeats = repeats(fields);
    let stretches = fields.chunk_by(|one, next| !repeats && one.is_followed_by(next));
    for (index, stretch) in stretches.enumerate() {
        let (Some(first), Some(last)) = (stretch.first(), stretch.last()) else { continue };
        // With repeats, each stretch is one field.
        if repeats && fields.iter().skip(index + 1).any(|later| later.key == first.key) {
            continue;
        }
        out.extend_from_slice(separator);
        separator = b",";
        if let (Some(run), Some(last)) = (&first.run, &last.run) {
            out.extend_from_slice(run.to_end_of(last).as_bytes());
            continue;
        }
        out.push(b'"');
        json::escape(first.key, out);
        out.extend_from_slice(b"\":");
        first.value.write_json(out);
    }
    out.push(b'}');
}

/// Whether a key stands twice. By its length, first and last byte each key has one of 64 bits; only keys
/// that share one are compared.
fn repeats(fields: &[Field<'_>]) -> bool {
    let mut seen = 0_u64;
    for (index, field) in fields.iter().enumerate() {
        let mixed = match field.key.as_bytes() {
            [first, .., last] => usize::from(*first) + 5 * usize::from(*last),
            _ => 0,
        };
        let bit = 1 << ((mixed + 11 * field.key.len()) % 64);
        if seen & bit != 0 && fields.iter().take(index).any(|earlier| earlier.key == field.key) {
            return true;
        }
        seen |= bit;
    }
    false
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
        Field::new(key, value)
    }

    #[test]
    fn every_kind_of_value_is_json() {
        check(
            &[
                field("n", Value::Null),
                field("b", Value::True),
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

    /// What becomes of an object's fields that are written out again.
    fn check_again(text: &str, expected: &str) {
        let (bump, mut scratch) = (Bump::new(), String::new());
        let mut fields = Fields::new_in(&bump);
        json::object(text, |key, value, run| {
            fields.push(Field::from_json(key, value, run, &bump, &mut scratch));
        })
        .unwrap();
        let mut out = Vec::new();
        write_json(&fields, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{text}");
    }

    #[test]
    fn an_object_is_written_in_one_line_without_blanks() {
        check_again(r#"{"a":1,"b":{"c":[1,2]},"d":"e"}"#, r#"{"a":1,"b":{"c":[1,2]},"d":"e"}"#);
        check_again(
            "{ \"a\" : 1,\n\"b\":2,\"c\":{\r\n\t\"d\": [1,\n2], \"e f\": \"g\\n h\"}, \"i\":\"\n\"}",
            r#"{"a":1,"b":2,"c":{"d":[1,2],"e f":"g\n h"},"i":"\n"}"#,
        );
    }

    #[test]
    fn of_a_repeated_key_the_last_field_counts() {
        check_again(r#"{"a":1,"b":2,"a":{"a":3},"c":4,"b":5}"#, r#"{"a":{"a":3},"c":4,"b":5}"#);
        check_again(r#"{"":1,"x":2,"":3}"#, r#"{"x":2,"":3}"#);
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
