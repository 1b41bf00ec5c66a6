//! How a record is written into a file.

use super::{FileFormat, msgpack};
use crate::buffer::Encoded;
use crate::output::Letters;
use crate::output::notation::{write_string, write_time, write_value};
use crate::record::Nanos;
use std::io::Write as _;
use std::time::Duration;
use tailwater_parsers::json::{self, Text, Value};

/// Turns records into lines.
#[derive(Debug)]
pub(super) enum Layout {
    /// `tag: [1700000000.000000000, {"a":1}]`
    Tagged(Letters),
    /// `{"a":1}`
    Plain(Letters),
    /// `1700000000.000000000,1`
    Csv {
        /// What stands between two values.
        delimiter: &'static str,
    },
    /// `"time":1700000000.000000 "a":1`, with a tab between
    Ltsv {
        /// What stands between two fields.
        delimiter: &'static str,
        /// What stands between a name and its value.
        label_delimiter: &'static str,
    },
    /// As `Template` says.
    Template(Vec<Part>),
    /// Events as Fluent Bit keeps them, without anything between them.
    Msgpack,
}

/// A part of a template.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// As it stands.
    Text(String),
    /// `{time}`, in seconds. As in Fluent Bit, any beginning of this word stands for it, too.
    Time,
    /// `{key}`: the value of a field; as it stands where there is none of that name.
    Field(String),
}

impl Layout {
    /// The layout of that name. The delimiters are those the user asked for.
    pub(super) fn new(
        format: FileFormat,
        letters: Letters,
        delimiter: Option<&'static str>,
        label_delimiter: Option<&'static str>,
        template: &str,
    ) -> Self {
        match format {
            FileFormat::OutFile => Self::Tagged(letters),
            FileFormat::Plain => Self::Plain(letters),
            FileFormat::Csv => Self::Csv { delimiter: delimiter.unwrap_or(",") },
            FileFormat::Ltsv => Self::Ltsv {
                delimiter: delimiter.unwrap_or("\t"),
                label_delimiter: label_delimiter.unwrap_or(":"),
            },
            FileFormat::Template => Self::Template(read_template(template)),
            FileFormat::Msgpack => Self::Msgpack,
        }
    }

    /// Appends the names of the columns, which is the first line of a file.
    pub(super) fn write_names(&self, record: &Encoded<'_>, out: &mut Vec<u8>) {
        let Self::Csv { delimiter } = self else { return };
        out.extend_from_slice(b"timestamp");
        each_field(record, |key, _| {
            out.extend_from_slice(delimiter.as_bytes());
            write_string(key, out);
        });
        out.push(b'\n');
    }

    /// Appends a record as a line; in columns, a record without fields is none.
    pub(super) fn write(&self, tag: &str, record: &Encoded<'_>, out: &mut Vec<u8>) {
        let is_empty = record.json == b"{}";
        match self {
            Self::Tagged(letters) => {
                out.extend_from_slice(tag.as_bytes());
                out.extend_from_slice(b": [");
                write_time(record.time, out);
                out.extend_from_slice(b", ");
                letters.write(Value::Nested(text(record)), out);
                out.push(b']');
            }
            Self::Plain(letters) => letters.write(Value::Nested(text(record)), out),
            Self::Csv { .. } | Self::Ltsv { .. } if is_empty => return,
            Self::Csv { delimiter } => {
                write_time(record.time, out);
                each_field(record, |_, value| {
                    out.extend_from_slice(delimiter.as_bytes());
                    write_value(value, out);
                });
            }
            Self::Ltsv { delimiter, label_delimiter } => {
                out.extend_from_slice(b"\"time\"");
                out.extend_from_slice(label_delimiter.as_bytes());
                write_seconds(record.time, out);
                each_field(record, |key, value| {
                    out.extend_from_slice(delimiter.as_bytes());
                    write_string(key, out);
                    out.extend_from_slice(label_delimiter.as_bytes());
                    write_value(value, out);
                });
            }
            Self::Template(parts) => parts.iter().for_each(|part| part.write(record, out)),
            Self::Msgpack => return msgpack::write_event(record.time, text(record), out),
        }
        out.push(b'\n');
    }
}

impl Part {
    fn write(&self, record: &Encoded<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => out.extend_from_slice(text.as_bytes()),
            Self::Time => write_seconds(record.time, out),
            Self::Field(key) => match json::get(text(record), key) {
                Some(Value::String(text)) => text.write_decoded(out),
                Some(value) => write_value(value, out),
                None => {
                    out.push(b'{');
                    out.extend_from_slice(key.as_bytes());
                    out.push(b'}');
                }
            },
        }
    }
}

/// Parts a template at its braces. An opening brace without its closing one before the next is text.
fn read_template(template: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, from)) = rest.find('{').and_then(|at| rest.split_at_checked(at)) {
        text.push_str(before);
        let inner = from.strip_prefix('{').unwrap_or(from);
        match inner.find(['{', '}']).and_then(|at| inner.split_at_checked(at)) {
            Some((key, behind)) if behind.starts_with('}') => {
                if !text.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut text)));
                }
                let is_time = "time".starts_with(key);
                parts.push(if is_time { Part::Time } else { Part::Field(key.to_owned()) });
                rest = behind.strip_prefix('}').unwrap_or(behind);
            }
            _ => {
                text.push('{');
                rest = inner;
            }
        }
    }
    text.push_str(rest);
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    parts
}

fn text<'a>(record: &Encoded<'a>) -> &'a str {
    str::from_utf8(record.json).unwrap_or("{}")
}

fn each_field<'a>(record: &Encoded<'a>, mut field: impl FnMut(Text<'a>, Value<'a>)) {
    // It was written by this program: there is nothing in it that cannot be read.
    let _fields = json::object(text(record), |key, value, _| field(key, value));
}

/// Appends a time in seconds as C prints a double.
fn write_seconds(time: Nanos, out: &mut Vec<u8>) {
    let seconds = Duration::from_nanos(time.unsigned_abs()).as_secs_f64();
    // Writing to memory does not fail.
    let _infallible = write!(out, "{:.6}", if time < 0 { -seconds } else { seconds });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;
    use expect_test::{Expect, expect};

    fn check(layout: &Layout, expected: &Expect) {
        let chunk = samples::chunk(&[
            (
                "a.b",
                samples::TIME,
                r#"{"log":"x \"y\"","n":5,"f":1.5,"m":{"k" : [1, "v w"]},"z":null}"#,
            ),
            ("a.b", samples::TIME + 876_543_211, "{}"),
        ]);
        let mut out = Vec::new();
        if let Some((_, first)) = chunk.records().next() {
            layout.write_names(&first, &mut out);
        }
        for (header, record) in chunk.records() {
            layout.write(header.tag, &record, &mut out);
        }
        expected.assert_eq(&String::from_utf8(out).unwrap());
    }

    fn layout(format: FileFormat, template: &str) -> Layout {
        Layout::new(format, Letters::Escaped, None, None, template)
    }

    #[test]
    fn json() {
        check(
            &layout(FileFormat::OutFile, ""),
            &expect![[r#"
            a.b: [1448403340.123456789, {"log":"x \"y\"","n":5,"f":1.5,"m":{"k":[1,"v w"]},"z":null}]
            a.b: [1448403341.000000000, {}]
        "#]],
        );
        check(
            &layout(FileFormat::Plain, ""),
            &expect![[r#"
            {"log":"x \"y\"","n":5,"f":1.5,"m":{"k":[1,"v w"]},"z":null}
            {}
        "#]],
        );
    }

    #[test]
    fn columns() {
        check(
            &layout(FileFormat::Csv, ""),
            &expect![[r#"
            timestamp,"log","n","f","m","z"
            1448403340.123456789,"x "y"",5,1.500000,{"k"=>[1, "v w"]},nil
        "#]],
        );
        check(
            &Layout::new(FileFormat::Csv, Letters::Escaped, Some(" "), None, ""),
            &expect![[r#"
            timestamp "log" "n" "f" "m" "z"
            1448403340.123456789 "x "y"" 5 1.500000 {"k"=>[1, "v w"]} nil
        "#]],
        );
        check(
            &layout(FileFormat::Ltsv, ""),
            &expect![[r#"
            "time":1448403340.123457	"log":"x "y""	"n":5	"f":1.500000	"m":{"k"=>[1, "v w"]}	"z":nil
        "#]],
        );
        check(
            &Layout::new(FileFormat::Ltsv, Letters::Escaped, Some(","), Some(" "), ""),
            &expect![[r#"
            "time" 1448403340.123457,"log" "x "y"","n" 5,"f" 1.500000,"m" {"k"=>[1, "v w"]},"z" nil
        "#]],
        );
    }

    #[test]
    fn templates() {
        check(
            &layout(FileFormat::Template, "{time} {log}|{n}|{m}|{missing}"),
            &expect![[r#"
            1448403340.123457 x "y"|5|{"k"=>[1, "v w"]}|{missing}
            1448403341.000000 {log}|{n}|{m}|{missing}
        "#]],
        );
        check(
            &layout(FileFormat::Template, "{a{n}}b} {log {z"),
            &expect![[r#"
            {a5}b} {log {z
            {a{n}}b} {log {z
        "#]],
        );
        check(
            &layout(FileFormat::Template, "{}{t}{times}"),
            &expect![[r#"
            1448403340.1234571448403340.123457{times}
            1448403341.0000001448403341.000000{times}
        "#]],
        );
    }
}
