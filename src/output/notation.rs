//! Fluent Bit's own notation of values, for people: text unescaped, `=>` between key and value.

use super::dates::write_fraction;
use crate::record::Nanos;
use tailwater_parsers::json::{self, Text};

/// Appends a value.
pub(super) fn write_value(value: json::Value<'_>, out: &mut Vec<u8>) {
    match value {
        json::Value::Null => out.extend_from_slice(b"nil"),
        json::Value::True => out.extend_from_slice(b"true"),
        json::Value::False => out.extend_from_slice(b"false"),
        json::Value::Number(text) => match text.parse::<f64>() {
            Ok(number) if text.contains(['.', 'e', 'E']) => {
                out.extend_from_slice(format!("{number:.6}").as_bytes());
            }
            _ => out.extend_from_slice(text.as_bytes()),
        },
        json::Value::String(text) => write_string(text, out),
        // The depth of what is nested is bounded where it was read.
        json::Value::Nested(text)
        | json::Value::SpacedNested(text)
        | json::Value::DirtyNested(text)
            if text.starts_with('[') =>
        {
            let mut before: &[u8] = b"[";
            let _read_before = json::array(text, |item| {
                out.extend_from_slice(before);
                write_value(item, out);
                before = b", ";
            });
            out.extend_from_slice(if before == b"[" { b"[]" } else { b"]" });
        }
        json::Value::Nested(text)
        | json::Value::SpacedNested(text)
        | json::Value::DirtyNested(text) => {
            let mut before: &[u8] = b"{";
            let _read_before = json::object(text, |key, item, _| {
                out.extend_from_slice(before);
                write_string(key, out);
                out.extend_from_slice(b"=>");
                write_value(item, out);
                before = b", ";
            });
            out.extend_from_slice(if before == b"{" { b"{}" } else { b"}" });
        }
    }
}

/// Appends a string with its quotes, decoded.
pub(super) fn write_string(text: Text<'_>, out: &mut Vec<u8>) {
    out.push(b'"');
    text.write_decoded(out);
    out.push(b'"');
}

/// Appends a time as seconds with nine digits behind the point.
pub(super) fn write_time(time: Nanos, out: &mut Vec<u8>) {
    write_number(time.div_euclid(1_000_000_000), out);
    out.push(b'.');
    write_fraction::<9>(time, out);
}

/// Appends a number in digits.
pub(super) fn write_number(number: impl std::fmt::Display, out: &mut Vec<u8>) {
    use std::io::Write;
    // Writing to memory does not fail.
    let _infallible = write!(out, "{number}");
}
