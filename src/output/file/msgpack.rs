//! An event as Fluent Bit keeps it: `[[time, {}], {fields}]` in MessagePack
//! (<https://github.com/msgpack/msgpack/blob/master/spec.md>), the time as the Forward protocol's `EventTime`.
#![expect(clippy::big_endian_bytes, reason = "MessagePack is big endian")]

use crate::record::Nanos;
use tailwater_parsers::json::{self, Text, Value};

/// Appends the event of a record.
pub(super) fn write_event(time: Nanos, record: &str, out: &mut Vec<u8>) {
    let seconds = u32::try_from(time.div_euclid(1_000_000_000)).unwrap_or_default();
    let nanos = u32::try_from(time.rem_euclid(1_000_000_000)).unwrap_or_default();
    // Two arrays of two; eight bytes of the extension 0; a map of nothing. That map and the one of the fields have four
    // bytes of size, whatever it is.
    out.extend_from_slice(&[0x92, 0x92, 0xd7, 0x00]);
    out.extend_from_slice(&seconds.to_be_bytes());
    out.extend_from_slice(&nanos.to_be_bytes());
    out.extend_from_slice(&[0xdf, 0, 0, 0, 0, 0xdf]);
    out.extend_from_slice(&count_of_fields(record).to_be_bytes());
    write_fields(record, out);
}

/// The first bytes of what has a size.
struct Head {
    /// With a size up to `short_max` in it.
    short: u8,
    short_max: u8,
    /// Before one byte of size, if there is such a thing.
    byte: Option<u8>,
    /// Before two bytes of size; the next one is for four.
    two_bytes: u8,
}

const TEXT: Head = Head { short: 0xa0, short_max: 31, byte: Some(0xd9), two_bytes: 0xda };
const ARRAY: Head = Head { short: 0x90, short_max: 15, byte: None, two_bytes: 0xdc };
const MAP: Head = Head { short: 0x80, short_max: 15, byte: None, two_bytes: 0xde };

impl Head {
    /// Appends the shortest one for this size.
    fn write(&self, size: u32, out: &mut Vec<u8>) {
        match (u8::try_from(size), u16::try_from(size), self.byte) {
            (Ok(size), _, _) if size <= self.short_max => out.push(self.short | size),
            (Ok(size), _, Some(byte)) => out.extend_from_slice(&[byte, size]),
            (_, Ok(size), _) => write_number_as(self.two_bytes, &size.to_be_bytes(), out),
            _ => write_number_as(self.two_bytes + 1, &size.to_be_bytes(), out),
        }
    }
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
            let mut count = 0;
            let _read_before = json::array(text, |_| count += 1);
            ARRAY.write(count, out);
            let _read_before = json::array(text, |item| write_value(item, out));
        }
        Value::Nested(text) | Value::SpacedNested(text) | Value::DirtyNested(text) => {
            MAP.write(count_of_fields(text), out);
            write_fields(text, out);
        }
    }
}

fn count_of_fields(object: &str) -> u32 {
    let mut count = 0;
    let _read_before = json::object(object, |_, _, _| count += 1);
    count
}

fn write_fields(object: &str, out: &mut Vec<u8>) {
    let _read_before = json::object(object, |key, value, _| {
        write_text(key, out);
        write_value(value, out);
    });
}

/// The shortest whole number if it is one that fits, else a double.
fn write_number(text: &str, out: &mut Vec<u8>) {
    if let Ok(number) = text.parse::<u64>() {
        match (u8::try_from(number), u16::try_from(number), u32::try_from(number)) {
            (Ok(number), _, _) if number < 0x80 => out.push(number),
            (Ok(number), _, _) => write_number_as(0xcc, &[number], out),
            (_, Ok(number), _) => write_number_as(0xcd, &number.to_be_bytes(), out),
            (_, _, Ok(number)) => write_number_as(0xce, &number.to_be_bytes(), out),
            _ => write_number_as(0xcf, &number.to_be_bytes(), out),
        }
    } else if let Ok(number) = text.parse::<i64>() {
        match (i8::try_from(number), i16::try_from(number), i32::try_from(number)) {
            (Ok(number), _, _) if number >= -0x20 => out.extend_from_slice(&number.to_be_bytes()),
            (Ok(number), _, _) => write_number_as(0xd0, &number.to_be_bytes(), out),
            (_, Ok(number), _) => write_number_as(0xd1, &number.to_be_bytes(), out),
            (_, _, Ok(number)) => write_number_as(0xd2, &number.to_be_bytes(), out),
            _ => write_number_as(0xd3, &number.to_be_bytes(), out),
        }
    } else {
        write_number_as(0xcb, &text.parse::<f64>().unwrap_or_default().to_be_bytes(), out);
    }
}

fn write_number_as(kind: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(bytes);
}

fn write_text(text: Text<'_>, out: &mut Vec<u8>) {
    let mut scratch = String::new();
    let text = text.decode(&mut scratch);
    TEXT.write(u32::try_from(text.len()).unwrap_or(u32::MAX), out);
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(record: &str, fields: &[u8]) {
        let mut out = Vec::new();
        write_event(1_000_000_002, record, &mut out);
        let mut expected = vec![0x92, 0x92, 0xd7, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0xdf, 0, 0, 0, 0];
        expected.extend(fields);
        assert_eq!(out, expected, "{record}");
    }

    #[test]
    fn every_kind_of_value() {
        check(
            r#"{"a":null,"b":[true,false],"s":"\u00e4","m":{"f":0.5}}"#,
            b"\xdf\0\0\0\x04\xa1a\xc0\xa1b\x92\xc3\xc2\xa1s\xa2\xc3\xa4\xa1m\x81\xa1f\xcb\x3f\xe0\0\0\0\0\0\0",
        );
    }

    #[test]
    fn numbers_are_as_short_as_can_be() {
        check(
            r#"{"n":[127,128,256,65536,4294967296,-1,-33,-129,-32769,-2147483649]}"#,
            b"\xdf\0\0\0\x01\xa1n\x9a\x7f\xcc\x80\xcd\x01\0\xce\0\x01\0\0\xcf\0\0\0\x01\0\0\0\0\
              \xff\xd0\xdf\xd1\xff\x7f\xd2\xff\xff\x7f\xff\xd3\xff\xff\xff\xff\x7f\xff\xff\xff",
        );
    }

    #[test]
    fn heads_grow_with_the_size() {
        for (head, size, expected) in [
            (TEXT, 31, &[0xbf_u8][..]),
            (TEXT, 32, &[0xd9, 32]),
            (TEXT, 256, &[0xda, 1, 0]),
            (TEXT, 65_536, &[0xdb, 0, 1, 0, 0]),
            (ARRAY, 15, &[0x9f]),
            (ARRAY, 16, &[0xdc, 0, 16]),
            (MAP, 15, &[0x8f]),
            (MAP, 65_536, &[0xdf, 0, 1, 0, 0]),
        ] {
            let mut out = Vec::new();
            head.write(size, &mut out);
            assert_eq!(out, expected);
        }
    }
}
