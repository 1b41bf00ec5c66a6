//! Values of records as JSON: as they stand, or, where they are read letter by letter in files and in lines, as Fluent
//! Bit writes them.

use super::number::shortest;
use tailwater_parsers::json::{self, Text, Value};

/// How letters beyond ASCII are written in it (`json.escape_unicode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letters {
    /// `\u00e9`
    Escaped,
    /// `é`
    Plain,
}

/// Escaped in any case, as in Fluent Bit.
const DELETE: char = '\x7f';

impl Letters {
    /// Whether JSON reads differently once it is written anew because of letters in it.
    pub(super) fn change(self, json: &[u8]) -> bool {
        self == Self::Escaped && !json.is_ascii()
    }

    /// Appends a value. How deep it nests was bounded when it was read.
    pub(super) fn write(self, value: Value<'_>, out: &mut Vec<u8>) {
        match value {
            Value::Null => out.extend_from_slice(b"null"),
            Value::True => out.extend_from_slice(b"true"),
            Value::False => out.extend_from_slice(b"false"),
            Value::Number(text) => out.extend_from_slice(shortest(text).as_bytes()),
            Value::String(text) => self.write_string(text, out),
            Value::Nested(text) | Value::SpacedNested(text) | Value::DirtyNested(text)
                if text.starts_with('[') =>
            {
                let mut separator: &[u8] = b"";
                out.push(b'[');
                let _read_before = json::array(text, |item| {
                    out.extend_from_slice(separator);
                    separator = b",";
                    self.write(item, out);
                });
                out.push(b']');
            }
            Value::Nested(text) | Value::SpacedNested(text) | Value::DirtyNested(text) => {
                let mut separator: &[u8] = b"";
                out.push(b'{');
                let _read_before = json::object(text, |key, item, _| {
                    out.extend_from_slice(separator);
                    separator = b",";
                    self.write_string(key, out);
                    out.push(b':');
                    self.write(item, out);
                });
                out.push(b'}');
            }
        }
    }

    /// The same, to a text.
    pub(super) fn write_text(self, value: Value<'_>, out: &mut String) {
        let mut bytes = std::mem::take(out).into_bytes();
        self.write(value, &mut bytes);
        // What is made of text is text.
        *out = String::from_utf8(bytes).unwrap_or_default();
    }

    fn write_string(self, text: Text<'_>, out: &mut Vec<u8>) {
        out.push(b'"');
        text.write_escaped(
            match self {
                Self::Escaped => |character| !character.is_ascii() || character == DELETE,
                Self::Plain => |character| character == DELETE,
            },
            out,
        );
        out.push(b'"');
    }
}

/// Appends a value of a record as it stands there, where it is clean.
pub(super) fn copy(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::True => out.extend_from_slice(b"true"),
        Value::False => out.extend_from_slice(b"false"),
        Value::Number(text)
        | Value::Nested(text)
        | Value::SpacedNested(text)
        | Value::DirtyNested(text) => {
            out.extend_from_slice(text.as_bytes());
        }
        Value::String(text) => {
            out.push(b'"');
            text.write(out);
            out.push(b'"');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, escaped: &str, plain: &str) {
        for (letters, expected) in [(Letters::Escaped, escaped), (Letters::Plain, plain)] {
            let mut out = Vec::new();
            letters.write(json::value(json).unwrap().0, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{json}");
        }
    }

    #[test]
    fn letters_and_numbers() {
        check(
            r#"{"é":"日😀","a":["é\n\"",1.50,1e16,null,true,false,{}],"b":[]}"#,
            r#"{"\u00e9":"\u65e5\ud83d\ude00","a":["\u00e9\n\"",1.5,10000000000000000.0,null,true,false,{}],"b":[]}"#,
            r#"{"é":"日😀","a":["é\n\"",1.5,10000000000000000.0,null,true,false,{}],"b":[]}"#,
        );
        check("\"\u{7f}\\/\"", r#""\u007f/""#, r#""\u007f/""#);
    }
}
