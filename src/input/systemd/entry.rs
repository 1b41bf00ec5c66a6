//! An entry's fields as a record's.

use super::library::Journal;
use crate::record::{Field, Fields, Value};
use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use std::borrow::Cow;
use std::io;
use tailwater_parsers::json;

/// A longer value is cut, so that a record fits into what stores take. Without a limit a core dump would come, of up
/// to 768 MiB; what programs log is far below.
pub(super) const VALUE_BYTES_MAX: usize = 4 << 20;

/// A field's name is no longer than this, says journald.
const NAME_BYTES_MAX: usize = 64;

/// What is to be unpacked of a field, to know whether its value is too long.
pub(super) const FIELD_BYTES_MAX: usize = NAME_BYTES_MAX + 1 + VALUE_BYTES_MAX + 1;

/// Fields that would make an entry larger are left out: a record is held in memory whole.
const ENTRY_BYTES_MAX: usize = 16 << 20;

/// What is done to fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub strip_underscores: bool,
    pub lowercase: bool,
    pub fields_max: usize,
}

/// What was found in entries.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Bytes of all fields.
    pub bytes: u64,
    /// Values that were cut, and fields that were left out.
    pub cut: u64,
    /// Values that are not all UTF-8.
    pub invalid_utf8: u64,
    /// Fields without a `=`, and those that the library could not read.
    pub broken: u64,
}

/// The fields of the entry that the journal is at, in its order, each name once: values of one name are an array, in
/// the place of the second of them, as in Fluent Bit.
pub(super) fn fields<'b>(
    journal: &mut Journal,
    shape: Shape,
    bump: &'b Bump,
    counts: &mut Counts,
) -> io::Result<Fields<'b>> {
    let mut pairs = BumpVec::new_in(bump);
    let mut bytes = 0;
    journal.rewind_fields();
    while pairs.len() < shape.fields_max {
        let data = match journal.field() {
            Ok(Some(data)) => data,
            Ok(None) => break,
            // Those behind it cannot be read either: the library stays where it is.
            Err(error) if is_of_the_field(&error) => {
                counts.broken += 1;
                break;
            }
            Err(error) => return Err(error),
        };
        bytes += data.len();
        if bytes > ENTRY_BYTES_MAX {
            counts.cut += 1;
            break;
        }
        match memchr::memchr(b'=', data).and_then(|at| data.split_at_checked(at)) {
            Some((name, [_, value @ ..])) => {
                pairs.push((shape.name(name, bump), text(value, bump, counts)));
            }
            _ => counts.broken += 1,
        }
    }
    counts.bytes += bytes as u64;
    Ok(gather(&pairs, bump))
}

/// Whether only this field is bad: it is packed in a way that this machine's library does not know, or damaged.
fn is_of_the_field(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let bad = [Errno::PROTONOSUPPORT, Errno::TOOBIG, Errno::NOBUFS, Errno::BADMSG, Errno::PROTO];
    error.raw_os_error().is_some_and(|code| bad.iter().any(|errno| errno.raw_os_error() == code))
}

impl Shape {
    fn name<'b>(self, name: &[u8], bump: &'b Bump) -> &'b str {
        let stripped = name.strip_prefix(b"_").filter(|_| self.strip_underscores);
        let name = String::from_utf8_lossy(stripped.unwrap_or(name));
        let name = bump.alloc_str(&name);
        if self.lowercase {
            name.make_ascii_lowercase();
        }
        name
    }
}

fn text<'b>(value: &[u8], bump: &'b Bump, counts: &mut Counts) -> &'b str {
    let mut value = value;
    if let Some(start) = value.get(..VALUE_BYTES_MAX).filter(|start| start.len() < value.len()) {
        counts.cut += 1;
        value = whole_characters(start);
    }
    if let Ok(text) = simdutf8::basic::from_utf8(value) {
        return bump.alloc_str(text);
    }
    counts.invalid_utf8 += 1;
    bump.alloc_str(&String::from_utf8_lossy(value))
}

/// Without the part of a character that was cut.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    let is_start = |byte: &u8| byte & 0xC0 != 0x80;
    let back = bytes.iter().rev().take(4).position(is_start).map_or(0, |at| at + 1);
    let Some((head, last)) = bytes.split_at_checked(bytes.len() - back) else { return bytes };
    if str::from_utf8(last).is_ok() { bytes } else { head }
}

/// Makes one field of those with the same name.
fn gather<'b>(pairs: &[(&'b str, &'b str)], bump: &'b Bump) -> Fields<'b> {
    let mut fields = Fields::with_capacity_in(pairs.len(), bump);
    for (index, (name, value)) in pairs.iter().enumerate() {
        let is_it = |(other, _): &&(&str, &str)| other == name;
        let before = pairs.iter().take(index).filter(is_it).count();
        let value = match before {
            0 if pairs.iter().skip(index + 1).any(|pair| is_it(&pair)) => continue,
            0 => Value::Str(value),
            1 => Value::Json(bump.alloc_str(&array(pairs.iter().filter(is_it).map(|(_, it)| *it)))),
            _ => continue,
        };
        fields.push(Field::new(name, value));
    }
    fields
}

fn array<'v>(values: impl Iterator<Item = &'v str>) -> Cow<'static, str> {
    let mut out = vec![b'['];
    for value in values {
        if out.len() > 1 {
            out.push(b',');
        }
        out.push(b'"');
        json::escape(value, &mut out);
        out.push(b'"');
    }
    out.push(b']');
    // Only text went in.
    String::from_utf8(out).map_or(Cow::Borrowed("[]"), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::write_json;
    use expect_test::{Expect, expect};

    fn check(pairs: &[(&str, &str)], expected: &Expect) {
        let bump = Bump::new();
        let mut out = Vec::new();
        write_json(&gather(pairs, &bump), &mut out);
        expected.assert_eq(&String::from_utf8(out).unwrap());
    }

    #[test]
    fn values_of_one_name_are_an_array() {
        check(&[("A", "1"), ("B", "2")], &expect![[r#"{"A":"1","B":"2"}"#]]);
        check(
            &[("M", "a"), ("B", "2"), ("M", "\"\0"), ("C", ""), ("M", "c")],
            &expect![[r#"{"B":"2","M":["a","\"\u0000","c"],"C":""}"#]],
        );
        check(&[], &expect!["{}"]);
    }

    #[test]
    fn names_are_changed_as_asked() {
        let check = |strip_underscores, lowercase, name: &str, expected: &str| {
            let shape = Shape { strip_underscores, lowercase, fields_max: 1 };
            assert_eq!(shape.name(name.as_bytes(), &Bump::new()), expected);
        };
        check(false, false, "_PID", "_PID");
        check(true, false, "_PID", "PID");
        check(true, false, "__PID", "_PID");
        check(false, true, "_PID", "_pid");
        check(true, true, "_PID", "pid");
        check(true, true, "", "");
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let bump = Bump::new();
        let mut counts = Counts::default();
        let long = format!("{}é", "x".repeat(VALUE_BYTES_MAX - 1));
        assert_eq!(text(long.as_bytes(), &bump, &mut counts).len(), VALUE_BYTES_MAX - 1);
        let whole = format!("{}é", "x".repeat(VALUE_BYTES_MAX - 2));
        assert_eq!(text(whole.as_bytes(), &bump, &mut counts), whole);
        assert_eq!((counts.cut, counts.invalid_utf8), (1, 0));
        assert_eq!(text(b"a\xFFb\xE2\x82", &bump, &mut counts), "a\u{FFFD}b\u{FFFD}");
        assert_eq!((counts.cut, counts.invalid_utf8), (1, 1));
        assert_eq!(whole_characters(&[0x80; 9]), [0x80; 9]);
        assert_eq!(whole_characters(b""), b"");
    }
}
