//! From bytes to records: splits a read into lines and each line into fields. Does no I/O.
//!
//! What Fluent Bit does with a line, and what we do beside it:
//!
//! | line | becomes |
//! |---|---|
//! | ends with `\r\n` | loses both; a lone `\r` stays, and so does one before which nothing could be parsed |
//! | begins with NULs (a file cut in place by a writer that does not append leaves them) | loses them |
//! | empty | an empty record, or nothing with `Skip_Empty_Lines` |
//! | the parser cannot read it | whole under `Key`, counted |
//! | as long as `Buffer_Max_Size` or longer, its newline counted | skipped or cut, see [`LongLines`] |
//! | not UTF-8, or not what its encoding has | mended with U+FFFD, counted |

use super::encoding::Encoding;
use super::join::{self, Joiner, Joining, Spare};
use crate::clock;
use crate::metrics::InputMetrics;
use crate::parser::{Parser, Scratch};
use crate::record::{Batch, Field, Fields, Nanos, Record, Value};
use bumpalo::Bump;
use std::sync::Arc;
use std::time::Instant;

/// Room for fields that a record begins with: those of a container's line and `Path_Key`. As the last thing in the
/// arena it grows in place.
const FIELDS_GUESS: usize = 4;

/// What becomes of a line that does not fit `Buffer_Max_Size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LongLines {
    /// `Skip_Long_Lines`: it is left out.
    Skip,
    /// `Truncate_Long_Lines`: it is cut and, as in Fluent Bit, not parsed.
    Truncate,
    /// Neither: Fluent Bit would follow the file no more. It is cut, parsed, and flagged with [`CUT_KEY`].
    Flag,
}

/// The field that says that its line was cut.
pub(super) const CUT_KEY: &str = "log_truncated";

/// Makes records of lines.
#[derive(Debug)]
pub(super) struct Lines {
    pub parser: Option<Arc<Parser>>,
    /// How lines become records of several lines, if they do.
    pub joining: Option<Arc<Joining>>,
    pub spare: Spare,
    pub scratch: Scratch,
    /// That of what is split next.
    pub encoding: Encoding,
    pub skips_empty: bool,
    /// Whether the `\r` of `\r\n` is no part of a line. As in Fluent Bit, it is one on standard input.
    pub strips_return: bool,
    pub long: LongLines,
    /// `Buffer_Max_Size` less the byte that Fluent Bit keeps free: a line with its newline must fit, and
    /// one that does not is cut to it.
    pub bytes_max: usize,
}

/// What a record says beside what its line says. Lives as long as the batch, so that nothing is copied.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    /// `Key`: holds a line that no parser read.
    pub key: &'a str,
    /// `Path_Key`.
    pub path_key: Option<&'a str>,
    /// `Offset_Key`.
    pub offset_key: Option<&'a str>,
    /// The file's path.
    pub path: &'a str,
}

impl<'a> Origin<'a> {
    /// A line that is not parsed: where it came from, then the line.
    fn push_raw(&self, text: &'a str, from: u64, fields: &mut Fields<'a>) {
        self.push(from, fields);
        fields.push(Field::new(self.key, Value::Str(text)));
    }

    /// `Path_Key` and `Offset_Key`.
    pub(super) fn push(&self, from: u64, fields: &mut Fields<'a>) {
        if let Some(key) = self.path_key {
            fields.push(Field::new(key, Value::Str(self.path)));
        }
        if let Some(key) = self.offset_key {
            fields.push(Field::new(key, Value::Int(from.cast_signed())));
        }
    }
}

/// What happened to lines on the way: added to the metrics once a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub unparsed: u64,
    pub invalid_utf8: u64,
    pub repaired: u64,
    pub long_skipped: u64,
    pub long_cut: u64,
    pub multiline_cut: u64,
}

impl std::ops::Add for Counts {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self {
            unparsed: self.unparsed + more.unparsed,
            invalid_utf8: self.invalid_utf8 + more.invalid_utf8,
            repaired: self.repaired + more.repaired,
            long_skipped: self.long_skipped + more.long_skipped,
            long_cut: self.long_cut + more.long_cut,
            multiline_cut: self.multiline_cut + more.multiline_cut,
        }
    }
}

impl Counts {
    pub(super) fn add_to(self, metrics: &InputMetrics) {
        for (cell, count) in [
            (&metrics.unparsed_lines, self.unparsed),
            (&metrics.invalid_utf8, self.invalid_utf8),
            (&metrics.repaired_json, self.repaired),
            (&metrics.long_line_skipped, self.long_skipped),
            (&metrics.long_line_truncated, self.long_cut),
            (&metrics.multiline_truncated, self.multiline_cut),
        ] {
            if count > 0 {
                cell.add(count);
            }
        }
    }
}

/// Where lines that are joined come from.
#[derive(Debug)]
pub(super) struct Seat<'s> {
    pub joiner: &'s mut Joiner,
    /// What the files have whose place this one took, the last one first.
    pub before: &'s mut [Joiner],
    /// Where the next line begins.
    pub offset: u64,
    /// When it is read.
    pub since: Instant,
}

/// One line of a read.
#[derive(Clone, Copy)]
struct Line<'a> {
    /// Without its newline.
    bytes: &'a [u8],
    /// The same, if the read was checked and found to be UTF-8.
    text: Option<&'a str>,
    /// Absolute offset of `bytes`.
    from: u64,
    /// Absolute offset behind the newline.
    to: u64,
}

impl Lines {
    /// Without a parser; `long` says what becomes of lines of `bytes_max` or more.
    pub(super) fn new(long: LongLines, bytes_max: usize) -> Self {
        Self {
            parser: None,
            joining: None,
            spare: Spare::default(),
            scratch: Scratch::default(),
            encoding: Encoding::Utf8,
            skips_empty: false,
            strips_return: true,
            long,
            bytes_max,
        }
    }

    /// Makes records of all complete lines in `bytes`, which begin at `batch.to`, and moves `batch.to` behind
    /// the last one. With an `end`, they are one line, which ends there, or as much of it as is wanted: one that is longer
    /// than the buffer, or a file's last that has no newline.
    pub(super) fn split<'a>(
        &mut self,
        bytes: &'a [u8],
        end: Option<u64>,
        origin: &Origin<'a>,
        batch: &mut Batch<'a>,
    ) -> Counts {
        let mut counts = Counts::default();
        let now = clock::now();
        let newlines = memchr::memchr_iter(b'\n', bytes).count();
        batch.records.reserve(newlines);
        let from = batch.to;
        batch.to = self.each_line(bytes, from, end, |lines, line| {
            lines.push(line, origin, now, batch, &mut counts);
        });
        counts
    }

    /// Joins all complete lines in `bytes`, which begin at `seat.offset`; that moves behind the last one, and
    /// `batch.to` to where a position may stand. With an `end`, they are one line.
    pub(super) fn split_joined<'a>(
        &mut self,
        bytes: &'a [u8],
        end: Option<u64>,
        origin: &Origin<'a>,
        batch: &mut Batch<'a>,
        seat: &mut Seat<'_>,
    ) -> Counts {
        let mut counts = Counts::default();
        let now = clock::now();
        seat.offset = self.each_line(bytes, seat.offset, end, |lines, line| {
            lines.push_joined(line, origin, now, batch, seat, &mut counts);
        });
        batch.to = seat.joiner.hold(seat.offset);
        counts
    }

    /// Calls `push` for all complete lines in `bytes`, which begin at `from`, or for the one that has this `end`; returns
    /// where the next one begins.
    fn each_line<'a>(
        &mut self,
        bytes: &'a [u8],
        from: u64,
        end: Option<u64>,
        mut push: impl FnMut(&mut Self, Line<'a>),
    ) -> u64 {
        let encoding = self.encoding;
        let (bytes, base) = begin_unit(encoding, bytes, from);
        if let Some(to) = end {
            push(self, Line { bytes, text: None, from: base, to });
            return to;
        }
        let complete = encoding.last_end(bytes);
        let (whole, rest) = bytes.split_at_checked(complete).unwrap_or_default();
        let text = encoding.as_text(whole);
        let unit = encoding.unit();
        let mut start = 0;
        for end in encoding.newlines(whole) {
            let line = Line {
                bytes: whole.get(start..end).unwrap_or_default(),
                text: text.and_then(|text| text.get(start..end)),
                from: base + start as u64,
                to: base + (end + unit) as u64,
            };
            push(self, line);
            start = end + unit;
        }
        // What stands before the next line belongs to no line.
        base + (complete + encoding.padding(rest)) as u64
    }

    /// Hands over what became whole without another line.
    pub(super) fn release<'a>(
        &mut self,
        origin: &Origin<'a>,
        batch: &mut Batch<'a>,
        seat: &mut Seat<'_>,
    ) -> Counts {
        let mut counts = Counts::default();
        if let Some(joining) = self.joining.clone() {
            let Seat { joiner, since, .. } = seat;
            joiner.release(&mut join::Desk {
                joining: &joining,
                parser: self.parser.as_deref(),
                scratch: &mut self.scratch,
                spare: &mut self.spare,
                origin,
                before: &mut [],
                batch,
                counts: &mut counts,
                now: clock::now(),
                since: *since,
            });
        }
        batch.to = seat.joiner.hold(seat.offset);
        counts
    }

    fn push<'a>(
        &mut self,
        line: Line<'a>,
        origin: &Origin<'a>,
        now: Nanos,
        batch: &mut Batch<'a>,
        counts: &mut Counts,
    ) {
        let bump = batch.bump;
        let Some((line, raw, is_long)) = self.read(line, bump, counts) else { return };
        let stripped = if self.strips_return { without_return(raw) } else { raw };
        let mut fields = room(bump);
        let parser =
            self.parser.as_deref().filter(|_| !is_long || self.long != LongLines::Truncate);
        let parsed = parser
            .and_then(|parser| parser.parse(&mut self.scratch, stripped, bump, now, &mut fields));
        let time = if let Some(parsed) = parsed {
            origin.push(line.from, &mut fields);
            counts.repaired += u64::from(parsed.is_repaired);
            parsed.time
        } else {
            counts.unparsed += u64::from(parser.is_some());
            let is_whole = is_long || parser.is_some();
            let text = if is_whole { raw } else { stripped };
            origin.push_raw(text, line.from, &mut fields);
            None
        };
        if is_long && self.long == LongLines::Flag {
            flag_cut(&mut fields);
        }
        batch.records.push(Record {
            time: time.unwrap_or(now),
            own_time: time.is_some(),
            from: line.from,
            to: line.to,
            ordinal: 0,
            fields,
        });
    }

    /// The line without what stands before it, its text, cut if it is longer than it may be, and whether it is.
    /// `None`: it is left out.
    #[inline]
    fn read<'a>(
        &self,
        line: Line<'a>,
        bump: &'a Bump,
        counts: &mut Counts,
    ) -> Option<(Line<'a>, &'a str, bool)> {
        let line = without_padding(self.encoding, line);
        let is_long = line.bytes.len() >= self.bytes_max;
        if is_long && self.long == LongLines::Skip {
            counts.long_skipped += 1;
            return None;
        }
        let raw = match line.text {
            Some(text) if !is_long => text,
            Some(_) | None => self.text_of(line, is_long, bump, counts),
        };
        (!self.skips_empty || !matches!(raw, "" | "\r")).then_some((line, raw, is_long))
    }

    fn push_joined<'a>(
        &mut self,
        line: Line<'a>,
        origin: &Origin<'a>,
        now: Nanos,
        batch: &mut Batch<'a>,
        seat: &mut Seat<'_>,
        counts: &mut Counts,
    ) {
        let Some((line, raw, is_long)) = self.read(line, batch.bump, counts) else { return };
        let Some(joining) = self.joining.as_deref() else { return };
        let Line { from, to, .. } = line;
        let is_flagged = is_long && self.long == LongLines::Flag;
        let line = join::Line { text: without_return(raw), from, to, is_cut: is_flagged };
        let desk = &mut join::Desk {
            joining,
            parser: self.parser.as_deref(),
            scratch: &mut self.scratch,
            spare: &mut self.spare,
            origin,
            before: seat.before,
            batch,
            counts,
            now,
            since: seat.since,
        };
        if is_long && self.long == LongLines::Truncate {
            seat.joiner.take_alone(line, desk);
        } else {
            seat.joiner.take(line, desk);
        }
    }

    /// The text of a line that does not stand there as it is wanted: it has to be cut, or decoded.
    fn text_of<'a>(
        &self,
        line: Line<'a>,
        is_long: bool,
        bump: &'a Bump,
        counts: &mut Counts,
    ) -> &'a str {
        let bytes = if is_long { line.bytes.get(..self.bytes_max) } else { None };
        let decoded = self.encoding.decode(bytes.unwrap_or(line.bytes), is_long, bump);
        counts.invalid_utf8 += u64::from(decoded.is_mended);
        counts.long_cut += u64::from(is_long);
        if !is_long {
            return decoded.text;
        }
        let end = decoded.text.floor_char_boundary(self.bytes_max);
        decoded.text.get(..end).unwrap_or(decoded.text)
    }
}

/// No fields yet, and room for what most records have.
#[inline]
pub(super) fn room(bump: &Bump) -> Fields<'_> {
    Fields::with_capacity_in(FIELDS_GUESS, bump)
}

/// Says of a record that its line was cut.
pub(super) fn flag_cut(fields: &mut Fields<'_>) {
    fields.push(Field::new(CUT_KEY, Value::True));
}

/// `bytes`, which begin at `from`, without what is left of a unit at their start, and where they begin then.
fn begin_unit(encoding: Encoding, bytes: &[u8], from: u64) -> (&[u8], u64) {
    let rest = encoding.rest_of_unit(from).min(bytes.len());
    (bytes.get(rest..).unwrap_or_default(), from + rest as u64)
}

fn without_padding(encoding: Encoding, line: Line<'_>) -> Line<'_> {
    let padding = encoding.padding(line.bytes);
    if padding == 0 {
        return line;
    }
    Line {
        bytes: line.bytes.get(padding..).unwrap_or_default(),
        text: line.text.and_then(|text| text.get(padding..)),
        from: line.from + padding as u64,
        to: line.to,
    }
}

/// Without the `\r` of `\r\n`. A `\r` alone stays, as in Fluent Bit.
fn without_return(text: &str) -> &str {
    text.strip_suffix('\r').filter(|text| !text.is_empty()).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Source, SourceId, Tag, write_json};
    use expect_test::{Expect, expect};
    use std::fmt::Write;

    /// Splits `bytes`, which begin at offset 100, and shows the records, what is covered and what was counted.
    fn check_with(mut lines: Lines, bytes: &[u8], expected: &Expect) {
        let bump = Bump::new();
        let source = Source { id: SourceId { input: 0, number: 0 }, key: [0; 16], first_seen: 0 };
        let mut batch = Batch::new(&bump, Tag::new("t"), source, 100);
        let origin = Origin { key: "log", path_key: None, offset_key: Some("at"), path: "/a" };
        let counts = lines.split(bytes, None, &origin, &mut batch);
        let mut text = String::new();
        for record in &batch.records {
            let mut json = Vec::new();
            write_json(&record.fields, &mut json);
            let json = String::from_utf8(json).unwrap();
            writeln!(text, "{}-{} {json}", record.from, record.to).unwrap();
        }
        write!(text, "to {}", batch.to).unwrap();
        if counts != Counts::default() {
            write!(text, " {counts:?}").unwrap();
        }
        expected.assert_eq(&text);
    }

    fn check(bytes: &[u8], expected: &Expect) {
        check_with(Lines::new(LongLines::Flag, 1000), bytes, expected);
    }

    #[test]
    fn only_complete_lines_are_records() {
        check(
            b"one\ntwo\nthr",
            &expect![[r#"
                100-104 {"at":100,"log":"one"}
                104-108 {"at":104,"log":"two"}
                to 108"#]],
        );
        check(b"", &expect!["to 100"]);
        check(b"no newline", &expect!["to 100"]);
    }

    #[test]
    fn line_ends_are_as_fluent_bit_reads_them() {
        check(
            b"a\r\n\r\n\nb\r\r\n",
            &expect![[r#"
                100-103 {"at":100,"log":"a"}
                103-105 {"at":103,"log":"\r"}
                105-106 {"at":105,"log":""}
                106-110 {"at":106,"log":"b\r"}
                to 110"#]],
        );
        let mut skipping = Lines::new(LongLines::Flag, 1000);
        skipping.skips_empty = true;
        check_with(
            skipping,
            b"a\r\n\r\n\nb\n",
            &expect![[r#"
                100-103 {"at":100,"log":"a"}
                106-108 {"at":106,"log":"b"}
                to 108"#]],
        );
        let mut keeping = Lines::new(LongLines::Flag, 1000);
        keeping.strips_return = false;
        check_with(
            keeping,
            b"a\r\n",
            &expect![[r#"
                100-103 {"at":100,"log":"a\r"}
                to 103"#]],
        );
    }

    #[test]
    fn nulls_before_a_line_are_no_part_of_it() {
        check(
            b"\0\0a\n\0\n\0b\0c\n\0\0",
            &expect![[r#"
                102-104 {"at":102,"log":"a"}
                105-106 {"at":105,"log":""}
                107-111 {"at":107,"log":"b\u0000c"}
                to 113"#]],
        );
    }

    #[test]
    fn only_lines_that_are_not_utf8_are_mended() {
        check(
            b"caf\xC3\xA9\n\xFFx\xE2\x82\n\xE2\x82\xAC\n",
            &expect![[r#"
                100-106 {"at":100,"log":"café"}
                106-111 {"at":106,"log":"�x�"}
                111-115 {"at":111,"log":"€"}
                to 115 Counts { unparsed: 0, invalid_utf8: 1, repaired: 0, long_skipped: 0, long_cut: 0, multiline_cut: 0 }"#]],
        );
    }

    #[test]
    fn long_lines_are_skipped_or_cut() {
        let bytes = "ok\n123456\n12345é\n1234567890\nok\n".as_bytes();
        check_with(
            Lines::new(LongLines::Skip, 6),
            bytes,
            &expect![[r#"
                100-103 {"at":100,"log":"ok"}
                129-132 {"at":129,"log":"ok"}
                to 132 Counts { unparsed: 0, invalid_utf8: 0, repaired: 0, long_skipped: 3, long_cut: 0, multiline_cut: 0 }"#]],
        );
        check_with(
            Lines::new(LongLines::Truncate, 6),
            bytes,
            &expect![[r#"
                100-103 {"at":100,"log":"ok"}
                103-110 {"at":103,"log":"123456"}
                110-118 {"at":110,"log":"12345"}
                118-129 {"at":118,"log":"123456"}
                129-132 {"at":129,"log":"ok"}
                to 132 Counts { unparsed: 0, invalid_utf8: 0, repaired: 0, long_skipped: 0, long_cut: 3, multiline_cut: 0 }"#]],
        );
        check_with(
            Lines::new(LongLines::Flag, 7),
            bytes,
            &expect![[r#"
                100-103 {"at":100,"log":"ok"}
                103-110 {"at":103,"log":"123456"}
                110-118 {"at":110,"log":"12345é","log_truncated":true}
                118-129 {"at":118,"log":"1234567","log_truncated":true}
                129-132 {"at":129,"log":"ok"}
                to 132 Counts { unparsed: 0, invalid_utf8: 0, repaired: 0, long_skipped: 0, long_cut: 2, multiline_cut: 0 }"#]],
        );
    }
}
