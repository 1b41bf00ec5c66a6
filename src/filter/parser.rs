//! `parser`: parses the text of one field into fields.

use super::Filter;
use crate::config::{Diagnostics, Located, Location, Repeated, properties};
use crate::parser::{Parser, Parsers, Scratch};
use crate::record::{Accessor, Batch, Fields, Record, Value};
use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use std::sync::Arc;

properties! {
    /// Parses the text of one field into fields of the record.
    pub struct ParserFilterOptions for "parser" {
        /// The field to parse: a name, or an accessor such as `$a['b']`.
        key_name: Option<Located<String>> ["Key_Name"],
        /// Parsers to try; the first one that can read the text does.
        parser: Repeated<String> ["Parser"],
        /// Keep the parsed field too.
        preserve_key: bool ["Preserve_Key" = "false"],
        /// Keep the record's other fields, behind the new ones.
        reserve_data: bool ["Reserve_Data" = "false"],
        @accepted { "Unescape_key": "Fluent Bit no longer reads it either" }
    }
}

/// Replaces the fields of a record by what a parser reads in one of them.
///
/// A record that no parser can read stays as it is.
#[derive(Debug)]
pub struct ParserFilter {
    key: Key,
    parsers: Vec<Arc<Parser>>,
    preserve_key: bool,
    reserve_data: bool,
    scratch: Scratch,
    /// The decoded text of a field that holds escapes.
    text: String,
}

#[derive(Debug)]
enum Key {
    /// A top-level field; the field itself gives way to what is read in it.
    Name(String),
    /// A value somewhere inside; its field stays whatever `Preserve_Key` says, as in Fluent Bit.
    Accessor(Accessor),
}

impl ParserFilter {
    /// Builds the filter of the section at `location`; `None` when it cannot work, which is reported.
    pub fn build(
        options: &ParserFilterOptions,
        location: &Location,
        parsers: &Parsers,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let Some(key_name) = &options.key_name else {
            diagnostics.error(location, "`parser` needs `Key_Name`, the field to parse");
            return None;
        };
        let key = Key::build(key_name, diagnostics)?;
        let looked_up = || options.parser.iter().map(|name| (name, parsers.get(name)));
        let found: Vec<Arc<Parser>> =
            looked_up().filter_map(|(_, parser)| parser.ok().cloned()).collect();
        for (name, parser) in looked_up() {
            match parser {
                Ok(_) => {}
                Err(why) if found.is_empty() => diagnostics.error(&name.location, why),
                // Fluent Bit starts as long as there is one.
                Err(why) => diagnostics.warning(&name.location, why),
            }
        }
        if options.parser.is_empty() {
            diagnostics.error(location, "`parser` needs `Parser`, the name of a `[PARSER]`");
        }
        (!found.is_empty()).then(|| Self {
            key,
            parsers: found,
            preserve_key: options.preserve_key,
            reserve_data: options.reserve_data,
            scratch: Scratch::default(),
            text: String::new(),
        })
    }

    /// Works on one record. `expected_count` is how many fields the last one had.
    fn apply_to<'a>(&mut self, record: &mut Record<'a>, bump: &'a Bump, expected_count: usize) {
        let Some((at, value)) = self.key.find(&record.fields, bump) else { return };
        let text = match value {
            Value::Str(text) => text,
            Value::Escaped(_) => match value.read_str(&mut self.text) {
                Some(text) => bump.alloc_str(text),
                None => return,
            },
            _ => return,
        };
        let mut fields = BumpVec::with_capacity_in(expected_count, bump);
        // Where the format lacks the year, it is that of the record so far.
        let now = record.time;
        let scratch = &mut self.scratch;
        let parsed = self
            .parsers
            .iter()
            .find_map(|parser| parser.parse(scratch, text, bump, now, &mut fields));
        let Some(parsed) = parsed else { return };
        if let Some(time) = parsed.time {
            record.time = time;
            record.own_time = true;
        }
        let kept = record.fields.iter().enumerate().filter(|(index, _)| {
            if Some(*index) == at { self.preserve_key } else { self.reserve_data }
        });
        fields.extend(kept.map(|(_, field)| *field));
        record.fields = fields;
    }
}

impl Filter for ParserFilter {
    fn apply(&mut self, batch: &mut Batch<'_>) {
        let mut expected_count = 0;
        for record in &mut batch.records {
            self.apply_to(record, batch.bump, expected_count);
            expected_count = record.fields.len();
        }
    }
}

impl Key {
    fn build(name: &Located<String>, diagnostics: &mut Diagnostics) -> Option<Self> {
        if !name.starts_with('$') {
            return Some(Self::Name(name.value.clone()));
        }
        match Accessor::read(name) {
            Ok((accessor, rest)) => {
                if !rest.is_empty() {
                    let message = format!(
                        "`{rest}` is not read as a part of the accessor; a step down is `['name']`"
                    );
                    diagnostics.warning(&name.location, message);
                }
                Some(Self::Accessor(accessor))
            }
            Err(error) => {
                diagnostics.error(&name.location, format!("`{}`: {error}", name.value));
                None
            }
        }
    }

    /// The value, and the index of its field if that is the value's own.
    fn find<'a>(&self, fields: &Fields<'a>, bump: &'a Bump) -> Option<(Option<usize>, Value<'a>)> {
        match self {
            Self::Name(name) => {
                let is_text = |value| matches!(value, Value::Str(_) | Value::Escaped(_));
                let at =
                    fields.iter().rposition(|field| field.key == name && is_text(field.value))?;
                fields.get(at).map(|field| (Some(at), field.value))
            }
            Self::Accessor(accessor) => accessor.on_fields(fields, bump).map(|value| (None, value)),
        }
    }
}
