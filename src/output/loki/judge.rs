//! Reads what Loki says of a push, and finds out of which entries.
//!
//! Loki stores what it takes of a push and refuses the rest with a 400 whose text says how many, not which:
//!
//! ```text
//! 2 errors like: entry for stream '{…}' has timestamp too old: …; 1 errors like: …
//! entry with timestamp … ignored, reason: '…',
//! user '…', total ignored: 3 out of 3 for stream: {…}
//! ```
//!
//! Where these are all entries of the push, all are refused. Else its halves are sent again, which changes
//! nothing for those that are stored, and so on down to single entries. A text of another kind may be about no
//! entry at all, and so none is given up for it before others are taken.

use super::doubt::{Doubt, Limits};
use super::lock;
use crate::output::answer::{BAD_REQUEST, Fault, Whole};
use crate::output::{Health, Judge, Request, Verdict};
use std::sync::{Arc, Mutex};

/// More of the text is not read; then all of the push is sent again in halves.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// More of it is not kept as the reason for a refusal.
const REASON_BYTES_MAX: usize = 512;

/// Words of Loki's messages, and the name under which its own metrics count them
/// (<https://grafana.com/docs/loki/latest/operations/request-validation-rate-limits/>).
const KINDS: &[(&str, &str)] = &[
    ("entry too far behind", "too_far_behind"),
    ("entry out of order", "out_of_order"),
    ("has timestamp too old", "greater_than_max_sample_age"),
    ("has timestamp too new", "too_far_in_future"),
    ("entry size '", "line_too_long"),
    ("includes structured metadata", "disallowed_structured_metadata"),
    ("has structured metadata too large", "structured_metadata_too_large"),
    ("has too many structured metadata labels", "structured_metadata_too_many"),
];

/// The same, of a stream as a whole.
const STREAM_KINDS: &[(&str, &str)] = &[
    ("at least one label pair is required", "missing_labels"),
    ("parsing labels '", "invalid_labels"),
    ("label names; limit", "max_label_names_per_series"),
    ("has label name too long", "label_name_too_long"),
    ("has label value too long", "label_value_too_long"),
    ("has duplicate label name", "duplicate_label_names"),
    ("missing required labels", "missing_enforced_labels"),
];

/// Loki's words where an operator blocks a tenant, or some streams of it by a policy.
const BLOCKED: &str = "ingestion blocked for user";
const BLOCKED_BY_POLICY: &str = "(policy: ";

/// The status for that, unless the operator chooses another: chosen so that clients take it for success
/// (`block_ingestion_status_code`).
pub(super) const BLOCKED_STATUS: u16 = 260;

/// Judges a push that was taken whose entries break a limit.
#[derive(Debug)]
pub(super) struct Taking {
    whole: Whole,
    doubt: Doubt,
    limits: Arc<Mutex<Limits>>,
}

impl Taking {
    /// Beside `whole`, which judges the records.
    pub(super) fn new(whole: Whole, doubt: Doubt, limits: &Arc<Mutex<Limits>>) -> Self {
        Self { whole, doubt, limits: Arc::clone(limits) }
    }
}

impl Judge for Taking {
    fn feed(&mut self, bytes: &[u8], verdict: &mut dyn FnMut(u32, Verdict)) {
        self.whole.feed(bytes, verdict);
    }

    fn finish(&mut self, verdict: &mut dyn FnMut(u32, Verdict)) -> Health {
        lock(&self.limits).took(self.doubt);
        self.whole.finish(verdict)
    }
}

/// Judges a push of which some is refused, or all.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Records in it.
    count: u32,
    /// Whether it is known to have one stream only.
    is_one_stream: bool,
    text: Vec<u8>,
    limits: Arc<Mutex<Limits>>,
}

impl Refusal {
    /// For a push.
    pub(super) fn new(request: &Request, limits: &Arc<Mutex<Limits>>) -> Self {
        let count = u32::try_from(request.records.len()).unwrap_or(u32::MAX);
        let is_one_stream = request.doubt.is_some();
        Self { count, is_one_stream, text: Vec::new(), limits: Arc::clone(limits) }
    }

    /// Whether the text is about all entries of the push.
    fn is_about_all(&self, text: &str) -> bool {
        if self.count == 1 {
            return true;
        }
        if self.text.len() > TEXT_BYTES_MAX {
            return false;
        }
        if text.contains(BLOCKED) {
            return !text.contains(BLOCKED_BY_POLICY);
        }
        if let Some((_, totals)) = text.rsplit_once("total ignored: ") {
            let total = format!("{0} out of {0} for stream", self.count);
            return self.is_one_stream && totals.starts_with(&total);
        }
        let is_of_streams = find(STREAM_KINDS, text).is_some();
        let is_of_entries = find(KINDS, text).is_some();
        match (is_of_streams, is_of_entries) {
            (true, false) => self.is_one_stream,
            (false, true) => errors(text) == u64::from(self.count),
            _ => false,
        }
    }
}

impl Judge for Refusal {
    fn feed(&mut self, bytes: &[u8], _verdict: &mut dyn FnMut(u32, Verdict)) {
        // One byte over says that there was more.
        let room = (TEXT_BYTES_MAX + 1).saturating_sub(self.text.len());
        self.text.extend(bytes.iter().take(room));
    }

    fn finish(&mut self, verdict: &mut dyn FnMut(u32, Verdict)) -> Health {
        let text = String::from_utf8_lossy(&self.text);
        let kind = kind(&self.text);
        lock(&self.limits).refused(&kind);
        let reason = text.get(..text.floor_char_boundary(REASON_BYTES_MAX)).unwrap_or_default();
        if kind == BAD_REQUEST {
            if self.count == 1 {
                verdict(0, Verdict::Blamed { kind, reason: reason.to_owned() });
            }
            return Health::Refused;
        }
        if !self.is_about_all(&text) {
            return Health::Divide;
        }
        for index in 0..self.count {
            verdict(index, Verdict::Refused { kind: kind.clone(), reason: reason.to_owned() });
        }
        Health::Good
    }
}

/// What Loki's text says is wrong with a whole request.
pub(super) fn fault(text: &[u8]) -> Fault {
    Fault { kind: kind(text), reason: String::from_utf8_lossy(text).into_owned() }
}

/// The kind of refusal that Loki's text tells of.
fn kind(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    if text.contains(BLOCKED) {
        return "blocked_ingestion".to_owned();
    }
    find(KINDS, &text).or_else(|| find(STREAM_KINDS, &text)).unwrap_or(BAD_REQUEST).to_owned()
}

fn find(kinds: &[(&str, &'static str)], text: &str) -> Option<&'static str> {
    kinds.iter().find(|(words, _)| text.contains(words)).map(|(_, kind)| *kind)
}

/// How many errors a text lists that groups equal ones; one by itself has no number.
fn errors(text: &str) -> u64 {
    let counts = text.match_indices(" errors like: ").map(|(at, _)| {
        let before = text.get(..at).unwrap_or_default();
        let number = before.rsplit(|char: char| !char.is_ascii_digit()).next();
        number.and_then(|number| number.parse().ok()).unwrap_or(0)
    });
    counts.fold(0, u64::saturating_add).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a text is about all of so many entries.
    #[track_caller]
    fn check(count: u32, streams: usize, text: &str, expected: bool) {
        let refusal = Refusal {
            count,
            is_one_stream: streams == 1,
            text: text.as_bytes().to_vec(),
            limits: Arc::default(),
        };
        assert_eq!(refusal.is_about_all(text), expected, "{count} in {streams}: {text}");
    }

    #[test]
    fn a_text_tells_of_how_many_entries_it_is() {
        let old = |n: u32| format!("entry for stream '{{a=\"{n}\"}}' has timestamp too old: 1");
        check(1, 1, "whatever", true);
        check(2, 1, "whatever", false);
        check(2, 1, &old(1), false);
        check(3, 2, &format!("2 errors like: {}; 1 errors like: {}", old(2), old(7)), true);
        check(3, 2, &format!("3 errors like: {}", old(1)), true);
        check(4, 2, &format!("3 errors like: {}", old(1)), false);
        let total = |n: u32| {
            format!(
                "entry with timestamp 1 ignored, reason: 'entry too far behind, entry timestamp is: 1',\n\
                 user 'fake', total ignored: {n} out of 12 for stream: {{a=\"b\"}}"
            )
        };
        check(12, 1, &total(12), true);
        check(12, 2, &total(12), false);
        check(13, 1, &total(12), false);
        check(12, 1, &total(11), false);
        let labels = "stream '{a=\"b\"}' has label value too long: 'b'";
        check(9, 1, labels, true);
        check(9, 2, labels, false);
        check(2, 1, &format!("1 errors like: {labels}; 1 errors like: {}", old(1)), false);
        check(9, 3, "ingestion blocked for user 'a' until 'b' with status code '260'", true);
        check(9, 3, "ingestion blocked for user 'a' (policy: 'p') until 'b'", false);
        check(3, 1, &format!("3 errors like: {}{}", old(1), " ".repeat(TEXT_BYTES_MAX)), false);
    }
}
