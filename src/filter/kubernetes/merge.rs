//! `Merge_Log`: what the application wrote as `log` becomes fields of the record.

use super::options::KubernetesOptions;
use crate::metrics::FilterMetrics;
use crate::parser::{Parser, Scratch};
use crate::record::{Field, Fields, Record, Value, keep_name, nest};
use bumpalo::Bump;
use std::sync::Arc;

/// The field that is merged: where container logs have what the application wrote.
const LOG: &str = "log";

/// Room for what comes behind the merged fields: what is known of the pod, and what later filters add.
const FIELDS_SPARE: usize = 4;

/// Merges `log`.
#[derive(Debug)]
pub(super) struct Merge {
    /// `Merge_Log_Key`.
    key: Option<&'static str>,
    trim: bool,
    keep_log: bool,
    /// `Merge_Parser`, else what reads JSON objects.
    parser: Arc<Parser>,
    scratch: Scratch,
    /// The decoded text of a `log` that holds escapes.
    text: String,
    /// What one record's `Merge_Log_Key` holds.
    json: Vec<u8>,
    /// How many fields the last `log` had: the next one mostly has as many.
    expected_count: usize,
    counts: Counts,
}

/// What happened since it was last told.
#[derive(Debug, Default)]
struct Counts {
    unmerged: u64,
    repaired: u64,
}

/// What became of a record's `log`.
enum Outcome {
    /// Its fields stand behind those of the record from here on, and text in them may be trimmed.
    Parsed(usize),
    /// Its fields, which it held as they are, stand there.
    Lifted(usize),
    /// It is no object.
    Unmerged,
}

impl Merge {
    /// As the options say; `None` without `Merge_Log`.
    pub(super) fn new(options: &KubernetesOptions, parser: Option<Arc<Parser>>) -> Option<Self> {
        options.merge_log.then(|| Self {
            key: options.merge_log_key.as_deref().map(keep_name),
            trim: options.merge_log_trim,
            keep_log: options.keep_log,
            parser: parser.unwrap_or_else(|| Arc::new(Parser::json())),
            scratch: Scratch::default(),
            text: String::new(),
            json: Vec::new(),
            expected_count: 0,
            counts: Counts::default(),
        })
    }

    /// Merges the record's `log`, if it has one; the pod's own `parser` goes before others.
    pub(super) fn apply<'a>(
        &mut self,
        record: &mut Record<'a>,
        parser: Option<&Arc<Parser>>,
        bump: &'a Bump,
    ) {
        let Some((at, log)) =
            record.fields.iter().enumerate().find(|(_, field)| field.key() == LOG)
        else {
            return;
        };
        let value = log.value();
        let first = match self.merge(record, value, parser, bump) {
            Outcome::Parsed(first) => {
                if self.trim {
                    trim(&mut record.fields, first, bump);
                }
                first
            }
            Outcome::Lifted(first) => first,
            Outcome::Unmerged => {
                self.counts.unmerged += 1;
                return;
            }
        };
        if let Some(key) = self.key {
            self.nest(key, first, &mut record.fields, bump);
        }
        if !self.keep_log {
            record.fields.remove(at);
        }
    }

    /// Counts what happened since the last call.
    pub(super) fn count(&mut self, metrics: &FilterMetrics) {
        let Counts { unmerged, repaired } = std::mem::take(&mut self.counts);
        metrics.unmerged_records.add(unmerged);
        metrics.repaired_json.add(repaired);
    }

    /// Appends the fields of `log`.
    fn merge<'a>(
        &mut self,
        record: &mut Record<'a>,
        log: Value<'a>,
        parser: Option<&Arc<Parser>>,
        bump: &'a Bump,
    ) -> Outcome {
        let first = record.fields.len();
        if log.append_fields(&mut record.fields, bump) {
            return Outcome::Lifted(first);
        }
        let Some(text) = log.text_by(&mut self.text, bump) else { return Outcome::Unmerged };
        let parser = parser.unwrap_or(&self.parser);
        record.fields.reserve(self.expected_count + FIELDS_SPARE);
        // Where the format lacks the year, it is that of the record so far.
        let now = record.time;
        let Some(parsed) = parser.parse(&mut self.scratch, text, bump, now, &mut record.fields)
        else {
            self.expected_count = 0;
            return Outcome::Unmerged;
        };
        self.expected_count = record.fields.len() - first;
        self.counts.repaired += u64::from(parsed.is_repaired);
        if let Some(time) = parsed.time {
            record.time = time;
            record.own_time = true;
        }
        Outcome::Parsed(first)
    }

    /// Puts the fields from `first` on under one key; none is no key.
    fn nest<'a>(
        &mut self,
        key: &'static str,
        first: usize,
        fields: &mut Fields<'a>,
        bump: &'a Bump,
    ) {
        let Some(merged) = fields.get(first..).filter(|merged| !merged.is_empty()) else { return };
        let nested = nest(merged, &mut self.json, bump);
        fields.truncate(first);
        fields.push(Field::new(key, nested));
    }
}

/// Leaves out line breaks at the end of the texts from `first` on.
fn trim<'a>(fields: &mut Fields<'a>, first: usize, bump: &'a Bump) {
    for field in fields.iter_mut().skip(first) {
        let value = field.value();
        let may_end_so = match value {
            Value::Str(text) => text.ends_with(['\n', 'n', 'r']),
            // The last letters of a line break as JSON writes it, and of what looks like one.
            Value::Escaped(body) => body.ends_with(['n', 'r', 'a', 'A']),
            _ => false,
        };
        if may_end_so
            && let Some(text) = value.text_in(bump)
            && let trimmed = trimmed(text)
            && trimmed.len() < text.len()
        {
            *field = Field::new(field.key(), Value::Str(trimmed));
        }
    }
}

/// The text without line breaks at its end: real ones, and a backslash with `n` or `r`. As in Fluent Bit, one that is
/// all there is stays.
fn trimmed(text: &str) -> &str {
    let mut left = text;
    loop {
        let shorter = left
            .strip_suffix('\n')
            .filter(|rest| !rest.is_empty())
            .or_else(|| left.strip_suffix("\\n"))
            .or_else(|| left.strip_suffix("\\r"));
        match shorter {
            Some(shorter) => left = shorter,
            None => return left,
        }
    }
}
