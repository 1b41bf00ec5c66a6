//! An event as Fluent Bit keeps it: `[[time, {}], {fields}]` in MessagePack
//! (<https://github.com/msgpack/msgpack/blob/master/spec.md>), the time as the Forward protocol's `EventTime`.
#![expect(clippy::big_endian_bytes, reason = "MessagePack is big endian")]

use crate::record::Nanos;
use tailwater_parsers::json::{self, Text, Value};

/// Appends the event of a record.
pub(super) fn write_event(time: Nanos, record: &str, out: &mut Vec<u8>) {
    let seconds = u32::try_from(time.div_euclid(1_000_000_000)).unwrap_or_default();
    let nanos = u32::try_from(time.rem_euclid(1_000_000_000)).unwrap_or_default();
    // Two arrays of two; eight bytes of the extension 0; a map of nothing.
    out.extend_from_slice(&[0x92, 0x92, 0xd7, 0x00]);
    out.extend_from_slice(&seconds.to_be_bytes());
    out.extend_from_slice(&nanos.to_be_bytes());
    out.push(0x80);
    write_map(record, out);
}

fn write_value(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0xc0),
        Value::False => out.push(0xc2),
        Value::True => out.push(0xc3),
        Value::Number(text) => write_number(text, out),
        Value::String(text) => write_text(text, out),
        // The depth of what is nested is bounded where it was read.
        Value::Nested(text) | Value::SpacedNested(text) | Value::DirtyNested(text)
            if text.starts_with('[') =>
        {
            let at = start(0xdd, out);
            let mut count = 0;
            let _read_before = json::array(text, |item| {
                write_value(item, out);
                count += 1;
            });
            patch(at, count, out);
        }
        Value::Nested(text) | Value::SpacedNested(text) | Value::DirtyNested(text) => {
            write_map(text, out);
        }
    }
}

fn write_map(object: &str, out: &mut Vec<u8>) {
    let at = start(0xdf, out);
    let mut count = 0;
    let _read_before = json::object(object, |key, value, _| {
        write_text(key, out);
        write_value(value, out);
        count += 1;
    });
    patch(at, count, out);
}

/// A whole number if it is one that fits, else a double.
fn write_number(text: &str, out: &mut Vec<u8>) {
    if let Ok(number) = text.parse::<u64>() {
        out.push(0xcf);
        out.extend_from_slice(&number.to_be_bytes());
    } else if let Ok(number) = text.parse::<i64>() {
        out.push(0xd3);
        out.extend_from_slice(&number.to_be_bytes());
    } else {
        out.push(0xcb);
        out.extend_from_slice(&text.parse::<f64>().unwrap_or_default().to_be_bytes());
    }
}

fn write_text(text: Text<'_>, out: &mut Vec<u8>) {
    let at = start(0xdb, out);
    text.write_decoded(out);
    let length = u32::try_from(out.len() - at - 4).unwrap_or(u32::MAX);
    patch(at, length, out);
}

/// Begins something whose size is known in the end; returns where that is to stand.
fn start(kind: u8, out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(&[kind, 0, 0, 0, 0]);
    out.len() - 4
}

fn patch(at: usize, size: u32, out: &mut [u8]) {
    if let Some(room) = out.get_mut(at..at + 4) {
        room.copy_from_slice(&size.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_value() {
        let mut out = Vec::new();
        let record = r#"{"a":null,"b":[true,false],"n":[1,-1,300,0.5],"s":"\u00e4"}"#;
        write_event(1_000_000_002, record, &mut out);
        let mut expected = vec![0x92, 0x92, 0xd7, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0x80];
        expected.extend(b"\xdf\0\0\0\x04");
        expected.extend(b"\xdb\0\0\0\x01a\xc0");
        expected.extend(b"\xdb\0\0\0\x01b\xdd\0\0\0\x02\xc3\xc2");
        expected.extend(b"\xdb\0\0\0\x01n\xdd\0\0\0\x04\xcf\0\0\0\0\0\0\0\x01");
        expected.extend(b"\xd3\xff\xff\xff\xff\xff\xff\xff\xff");
        expected.extend(b"\xcf\0\0\0\0\0\0\x01\x2c");
        expected.extend(b"\xcb\x3f\xe0\0\0\0\0\0\0");
        expected.extend(b"\xdb\0\0\0\x01s\xdb\0\0\0\x02\xc3\xa4");
        assert_eq!(out, expected);
    }
}
