//! Parsers, batches and sections from text, for the tests of parsers and filters.

use super::{Parsers, Scratch};
use crate::config::{Diagnostics, Location, ParserDefinition, ParserOptions, Section, SectionKind};
use crate::record::{Batch, Field, Nanos, Record, Source, SourceId, Tag, Value, write_json};
use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

/// When all test records were read: 2026-11-21 00:00:00 UTC.
pub(crate) const NOW: Nanos = 1_795_219_200_000_000_000;

/// How the records of most recorded cases come in: JSON with a time.
pub(crate) const JSON_WITH_TIME: &str = "\
    Name        jt
    Format      json
    Time_Key    t
    Time_Format %Y-%m-%dT%H:%M:%S%z";

/// A section with a `key value` on each line.
pub(crate) fn section(kind: SectionKind, lines: &str) -> Section {
    let mut section = Section::new(kind, Location::command_line());
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        section.push(key, value.trim(), Location::command_line());
    }
    section
}

/// The parsers of these sections' lines; what there is to say about them is reported.
pub(crate) fn parsers(sections: &[&str], diagnostics: &mut Diagnostics) -> Parsers {
    let mut definitions = Vec::new();
    for lines in sections {
        let mut section = section(SectionKind::Parser, lines);
        let options = ParserOptions::read(&mut section, diagnostics);
        section.finish(diagnostics);
        definitions.push(ParserDefinition::new(options, &Location::command_line()).unwrap());
    }
    Parsers::build(&definitions, diagnostics)
}

/// What an input makes of the lines: those that the parser cannot read whole under `log`.
pub(crate) fn batch<'a>(
    parsers: &Parsers,
    name: &str,
    lines: &'a str,
    bump: &'a Bump,
) -> Batch<'a> {
    let source = Source {
        id: SourceId { input: 0, number: 0 },
        key: [0; crate::record::SOURCE_KEY_LEN],
        first_seen: NOW,
    };
    let mut batch = Batch::new(bump, Tag::new("test"), source, 0);
    let mut scratch = Scratch::default();
    for line in lines.lines() {
        let mut fields = BumpVec::new_in(bump);
        let parsed = parsers.get(name).unwrap().parse(&mut scratch, line, bump, NOW, &mut fields);
        if parsed.is_none() {
            assert!(fields.is_empty(), "no match, but fields");
            fields.push(Field::new("log", Value::Str(line)));
        }
        let time = parsed.and_then(|parsed| parsed.time);
        batch.records.push(Record {
            time: time.unwrap_or(NOW),
            own_time: time.is_some(),
            from: 0,
            to: 0,
            ordinal: 0,
            fields,
        });
    }
    batch
}

/// The records as lines: `time {fields}`, with `now` for records without a time of their own.
pub(crate) fn show(batch: &Batch<'_>) -> String {
    let mut shown = String::new();
    for record in &batch.records {
        if record.own_time {
            let time = jiff::Timestamp::from_nanosecond(record.time.into()).unwrap();
            shown.push_str(&time.to_string());
        } else {
            assert_eq!(record.time, NOW);
            shown.push_str("now");
        }
        let mut json = vec![b' '];
        write_json(&record.fields, &mut json);
        shown.push_str(str::from_utf8(&json).unwrap());
        shown.push('\n');
    }
    shown
}
