//! Reads what Loki says when it refuses a push: which kind of entry it does not take.

use crate::output::{Health, Judge, Verdict};

/// More of the text is not kept: Loki quotes entries, and lists up to ten of them.
const TEXT_BYTES_MAX: usize = 4 << 10;

/// Words of Loki's messages, and the name under which its own metrics count them
/// (<https://grafana.com/docs/loki/latest/operations/request-validation-rate-limits/>).
const KINDS: &[(&str, &str)] = &[
    ("entry too far behind", "too_far_behind"),
    ("entry out of order", "out_of_order"),
    ("has timestamp too old", "greater_than_max_sample_age"),
    ("has timestamp too new", "too_far_in_future"),
    ("Max entry size", "line_too_long"),
    ("at least one label pair is required", "missing_labels"),
    ("Error parsing labels", "invalid_labels"),
    ("label names; limit", "max_label_names_per_series"),
    ("has label name too long", "label_name_too_long"),
    ("has label value too long", "label_value_too_long"),
    ("has duplicate label name", "duplicate_label_names"),
    ("includes structured metadata", "disallowed_structured_metadata"),
    ("has structured metadata too large", "structured_metadata_too_large"),
    ("has too many structured metadata labels", "structured_metadata_too_many"),
];

/// Judges a push that was answered 400. Loki stores what it takes of a push and refuses the rest, but does
/// not say which is which; so the push is settled as a whole, as refused.
#[derive(Debug)]
pub(super) struct Refusal {
    count: u32,
    text: Vec<u8>,
}

impl Refusal {
    /// For a push of `count` records.
    pub(super) fn new(count: u32) -> Self {
        Self { count, text: Vec::new() }
    }
}

impl Judge for Refusal {
    fn feed(&mut self, bytes: &[u8], _verdict: &mut dyn FnMut(u32, Verdict)) {
        let room = TEXT_BYTES_MAX - self.text.len();
        self.text.extend(bytes.iter().take(room));
    }

    fn finish(&mut self, verdict: &mut dyn FnMut(u32, Verdict)) -> Health {
        let reason = String::from_utf8_lossy(&self.text);
        let kind = kind(&self.text);
        for index in 0..self.count {
            verdict(
                index,
                Verdict::Refused { kind: kind.clone(), reason: reason.clone().into_owned() },
            );
        }
        Health::Good
    }
}

/// The kind of refusal that Loki's text tells of.
pub(super) fn kind(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let known = KINDS.iter().find(|(words, _)| text.contains(words));
    known.map_or("bad_request", |(_, kind)| kind).to_owned()
}
