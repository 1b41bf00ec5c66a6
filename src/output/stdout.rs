//! `stdout`: prints records, as Fluent Bit prints them.

use super::Format;
use super::dates::{Dates, write_fraction};
use super::notation::{write_number, write_time, write_value};
use crate::buffer::{Chunk, Encoded};
use crate::config::{ElseFirst, Kind, Reading, Value, choices, properties};
use crate::record::Nanos;
use memchr::memmem::Finder;
use tailwater_parsers::json;
use tailwater_parsers::time::Strftime;

choices! {
    /// How records are printed.
    pub enum Layout {
        /// Fluent Bit's own notation: `[0] tag: [[1700000000.000000000, {}], {"a"=>1}]`.
        Msgpack = "msgpack",
        /// One JSON array a chunk.
        Json = "json",
        /// JSON objects without anything between them.
        JsonStream = "json_stream",
        /// One JSON object a line.
        JsonLines = "json_lines",
    }
}

choices! {
    /// How the time of a record is written.
    pub enum DateFormat {
        /// Seconds with a fraction: `1700000000.123457`.
        Double = "double",
        /// `2023-11-14T22:13:20.123456Z`
        Iso8601 = "iso8601",
        /// Seconds.
        Epoch = "epoch",
        /// Milliseconds.
        EpochMs = "epoch_ms" | "epoch_millis" | "epoch_milliseconds",
        /// `2023-11-14 22:13:20.123456`
        JavaSqlTimestamp = "java_sql_timestamp",
    }
}

/// A layout, but for the two of Fluent Bit's that are not known here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Printed(pub Layout);

impl Value for Printed {
    const KIND: Kind = Layout::KIND;

    fn read(text: &str) -> Reading<Self> {
        if ["otlp_json", "otlp_json_pretty"].iter().any(|otlp| text.eq_ignore_ascii_case(otlp)) {
            return Reading::Bad("OTLP is not printed yet; write `json_lines`".to_owned());
        }
        ElseFirst::read(text).map(|ElseFirst(layout)| Self(layout))
    }
}

properties! {
    /// Prints records to the standard output.
    pub struct StdoutOptions for "stdout" {
        /// How records are printed: `msgpack`, `json`, `json_lines` or `json_stream`.
        format: Printed ["format" = "msgpack"],
        /// How the time of a record is written where the format is JSON.
        json_date_format: ElseFirst<DateFormat> ["json_date_format" = "double"],
        /// Name of the field that takes the time; `false` for none.
        json_date_key: String ["json_date_key" = "date"],
    }
}

/// The field that takes the time.
#[derive(Debug)]
struct DateKey {
    name: String,
    /// `"date":`
    written: Vec<u8>,
    /// Finds what is written, or else there is no such field.
    finder: Finder<'static>,
}

/// The output `stdout`.
#[derive(Debug)]
pub struct Stdout {
    layout: Layout,
    date_format: DateFormat,
    date_key: Option<DateKey>,
    /// The part of a date that `strftime` writes.
    dates: Dates,
}

impl Stdout {
    /// The output with these options.
    pub fn new(options: &StdoutOptions) -> Self {
        let is_off = |word: &&str| options.json_date_key.eq_ignore_ascii_case(word);
        let date_key = (!["false", "off", "no"].iter().any(is_off))
            .then(|| DateKey::new(&options.json_date_key));
        let pattern = match options.json_date_format.0 {
            DateFormat::JavaSqlTimestamp => "%Y-%m-%d %H:%M:%S",
            _ => "%Y-%m-%dT%H:%M:%S",
        };
        Self {
            layout: options.format.0,
            date_format: options.json_date_format.0,
            date_key,
            dates: Dates::new(Strftime::new(pattern)),
        }
    }

    /// Appends a record as one JSON object, its time before its fields.
    fn write_json(&mut self, record: &Encoded<'_>, out: &mut Vec<u8>) {
        let Some(key) = self.date_key.as_ref().filter(|key| !key.is_in(record)) else {
            return out.extend_from_slice(record.json);
        };
        out.push(b'{');
        out.extend_from_slice(&key.written);
        self.write_date(record.time, out);
        match record.json {
            [b'{', b'}'] => out.push(b'}'),
            [_, fields @ ..] => {
                out.push(b',');
                out.extend_from_slice(fields);
            }
            [] => {}
        }
    }

    fn write_date(&mut self, time: Nanos, out: &mut Vec<u8>) {
        match self.date_format {
            DateFormat::Double => write_double(time, out),
            DateFormat::Epoch => write_number(time.div_euclid(1_000_000_000), out),
            DateFormat::EpochMs => write_number(time.div_euclid(1_000_000), out),
            DateFormat::Iso8601 | DateFormat::JavaSqlTimestamp => {
                out.push(b'"');
                out.extend_from_slice(self.dates.at(time).0);
                out.push(b'.');
                write_fraction::<6>(time, out);
                out.extend_from_slice(if self.date_format == DateFormat::Iso8601 {
                    b"Z\""
                } else {
                    b"\""
                });
            }
        }
    }

    fn write_array(&mut self, chunk: &Chunk, out: &mut Vec<u8>) {
        let mut before = b"[";
        for (_, record) in chunk.records() {
            out.extend_from_slice(before);
            self.write_json(&record, out);
            before = b",";
        }
        if chunk.count > 0 {
            out.extend_from_slice(b"]\n");
        }
    }

    fn write_stream(&mut self, chunk: &Chunk, out: &mut Vec<u8>) {
        for (_, record) in chunk.records() {
            self.write_json(&record, out);
        }
        if chunk.count > 0 {
            out.push(b'\n');
        }
    }

    fn write_lines(&mut self, chunk: &Chunk, out: &mut Vec<u8>) {
        for (_, record) in chunk.records() {
            self.write_json(&record, out);
            out.push(b'\n');
        }
    }
}

impl DateKey {
    fn new(name: &str) -> Self {
        let mut written = b"\"".to_vec();
        json::escape(name, &mut written);
        written.extend_from_slice(b"\":");
        Self { name: name.to_owned(), finder: Finder::new(&written).into_owned(), written }
    }

    /// Whether the record has a field of this name, which stands in for the time: as in Fluent Bit, the
    /// last one of a name is written.
    fn is_in(&self, record: &Encoded<'_>) -> bool {
        let text = || str::from_utf8(record.json).unwrap_or("{}");
        self.finder.find(record.json).is_some() && json::get(text(), &self.name).is_some()
    }
}

impl Format for Stdout {
    fn format(&mut self, chunk: &Chunk, out: &mut Vec<u8>) {
        match self.layout {
            Layout::Msgpack => write_notation(chunk, out),
            Layout::Json => self.write_array(chunk, out),
            Layout::JsonStream => self.write_stream(chunk, out),
            Layout::JsonLines => self.write_lines(chunk, out),
        }
    }
}

/// Appends the records in Fluent Bit's own notation. The numbers count from 0 under each tag.
fn write_notation(chunk: &Chunk, out: &mut Vec<u8>) {
    for frame in chunk.frames() {
        let tag = frame.header.tag;
        for (index, record) in frame.enumerate() {
            out.push(b'[');
            write_number(index, out);
            out.extend_from_slice(b"] ");
            out.extend_from_slice(tag.as_bytes());
            out.extend_from_slice(b": [[");
            write_time(record.time, out);
            out.extend_from_slice(b", {}], ");
            write_value(json::Value::Nested(str::from_utf8(record.json).unwrap_or("{}")), out);
            out.extend_from_slice(b"]\n");
        }
    }
}

/// Appends a time in seconds with the microseconds that a double of today can hold, at least one digit.
fn write_double(time: Nanos, out: &mut Vec<u8>) {
    if time < 0 {
        out.push(b'-');
    }
    let rounded = time.saturating_abs().saturating_add(500);
    write_number(rounded.div_euclid(1_000_000_000), out);
    out.push(b'.');
    let fraction = out.len();
    write_fraction::<6>(rounded, out);
    while out.len() > fraction + 1 && out.last() == Some(&b'0') {
        out.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{self, TIME};
    use super::*;
    use crate::config::Diagnostics;
    use expect_test::{Expect, expect};

    /// Prints three records under two tags.
    fn check(entries: &[(&str, &str)], expected: &Expect) {
        let chunk = samples::chunk(&[
            ("a.b", TIME, r#"{"log":"x\n\"y","n":5,"f":0.25,"l":[1,[],{}],"z":null,"t":true}"#),
            ("a.b", TIME + 876_543_211, "{}"),
            ("c", -500_000_000, r#"{"a":{"b":"ä"}}"#),
        ]);
        let mut section = samples::section(entries);
        let mut stdout = samples::built(|diagnostics| {
            let options = StdoutOptions::read(&mut section, diagnostics);
            Some(Stdout::new(&options))
        });
        let mut out = Vec::new();
        stdout.format(&chunk, &mut out);
        expected.assert_eq(&String::from_utf8(out).unwrap());
    }

    #[test]
    fn fluent_bits_own_notation() {
        check(
            &[],
            &expect![[r#"
            [0] a.b: [[1448403340.123456789, {}], {"log"=>"x
            "y", "n"=>5, "f"=>0.250000, "l"=>[1, [], {}], "z"=>nil, "t"=>true}]
            [1] a.b: [[1448403341.000000000, {}], {}]
            [0] c: [[-1.500000000, {}], {"a"=>{"b"=>"ä"}}]
        "#]],
        );
    }

    #[test]
    fn json_layouts() {
        check(
            &[("format", "json_lines")],
            &expect![[r#"
            {"date":1448403340.123457,"log":"x\n\"y","n":5,"f":0.25,"l":[1,[],{}],"z":null,"t":true}
            {"date":1448403341.0}
            {"date":-0.5,"a":{"b":"ä"}}
        "#]],
        );
        check(
            &[("format", "json"), ("json_date_key", "false")],
            &expect![[r#"
            [{"log":"x\n\"y","n":5,"f":0.25,"l":[1,[],{}],"z":null,"t":true},{},{"a":{"b":"ä"}}]
        "#]],
        );
        check(
            &[("format", "json_stream"), ("json_date_key", "a\"b")],
            &expect![[r#"
            {"a\"b":1448403340.123457,"log":"x\n\"y","n":5,"f":0.25,"l":[1,[],{}],"z":null,"t":true}{"a\"b":1448403341.0}{"a\"b":-0.5,"a":{"b":"ä"}}
        "#]],
        );
    }

    #[test]
    fn a_field_with_the_name_of_the_date() {
        check(
            &[("format", "json_lines"), ("json_date_key", "n")],
            &expect![[r#"
                {"log":"x\n\"y","n":5,"f":0.25,"l":[1,[],{}],"z":null,"t":true}
                {"n":1448403341.0}
                {"n":-0.5,"a":{"b":"ä"}}
            "#]],
        );
    }

    #[test]
    fn dates() {
        for (format, expected) in [
            (
                "epoch",
                expect![[r#"
                {"date":1448403340,"log":"x\n\"y","n":5,"f":0.25,"l":[1,[],{}],"z":null,"t":true}
                {"date":1448403341}
                {"date":-1,"a":{"b":"ä"}}
            "#]],
            ),
            (
                "epoch_ms",
                expect![[r#"
                {"date":1448403340123,"log":"x\n\"y","n":5,"f":0.25,"l":[1,[],{}],"z":null,"t":true}
                {"date":1448403341000}
                {"date":-500,"a":{"b":"ä"}}
            "#]],
            ),
            (
                "iso8601",
                expect![[r#"
                {"date":"2015-11-24T22:15:40.123456Z","log":"x\n\"y","n":5,"f":0.25,"l":[1,[],{}],"z":null,"t":true}
                {"date":"2015-11-24T22:15:41.000000Z"}
                {"date":"1969-12-31T23:59:59.500000Z","a":{"b":"ä"}}
            "#]],
            ),
            (
                "java_sql_timestamp",
                expect![[r#"
                {"date":"2015-11-24 22:15:40.123456","log":"x\n\"y","n":5,"f":0.25,"l":[1,[],{}],"z":null,"t":true}
                {"date":"2015-11-24 22:15:41.000000"}
                {"date":"1969-12-31 23:59:59.500000","a":{"b":"ä"}}
            "#]],
            ),
        ] {
            check(&[("format", "json_lines"), ("json_date_format", format)], &expected);
        }
    }

    #[test]
    fn words_that_cannot_be_meant() {
        let check = |entries: &[(&str, &str)], expected: &Expect| {
            let mut diagnostics = Diagnostics::new();
            StdoutOptions::read(&mut samples::section(entries), &mut diagnostics);
            expected.assert_eq(&diagnostics.to_string());
        };
        check(
            &[("format", "jsonl"), ("json_date_format", "iso")],
            &expect![[r#"
            command line: warning: `format`: taken as the first, none of msgpack, json, json_stream, json_lines; did you mean `json`?
                format jsonl
            command line: warning: `json_date_format`: taken as the first, none of double, iso8601, epoch, epoch_ms, java_sql_timestamp
                json_date_format iso
        "#]],
        );
        check(
            &[("format", "OTLP_json")],
            &expect![[r#"
            command line: `format`: OTLP is not printed yet; write `json_lines`
                format OTLP_json
        "#]],
        );
    }
}
