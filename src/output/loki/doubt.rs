//! What Loki, as it comes, does not take: entries that break one of its limits.
//!
//! An operator may have raised each of them, so that breaking one is no reason to give an entry up, but to
//! send it apart, in its place in the order: in a push of its own stream, whose answer is about nothing else
//! (<https://grafana.com/docs/loki/latest/configure/#limits_config>). A limit that such a push has shown to be
//! wider is none from then on, until an answer names it.
//!
//! Where entries lie too far behind their streams' newest, this is more than sparing work: of the streams of a
//! push Loki's ingester tells only what became of the last, and the others' losses hide behind a 204. Those
//! newest may be another agent's. So every entry goes apart that is old enough to be refused in any stream.

use super::pairs::Pairs;
use crate::record::Nanos;

/// Nanoseconds of a second.
const SECOND: Nanos = 1_000_000_000;

/// Half of `ingester.max_chunk_age`: an entry that lies further behind its stream's newest is refused.
pub(super) const BEHIND_MAX: Nanos = 3_600 * SECOND;

/// `creation_grace_period`.
const AHEAD_MAX: Nanos = 600 * SECOND;

/// An older entry may be too far behind, wherever its stream is: no stream is further than `AHEAD_MAX`.
const AGE_MAX: Nanos = BEHIND_MAX - AHEAD_MAX;

/// Clocks differ by less: then an entry that Loki takes for one of the future is not taken for a good one.
const SKEW_MAX: Nanos = 60 * SECOND;

/// `max_line_size`, in bytes.
const LINE_LEN_MAX: usize = 256 << 10;

/// `max_label_names_per_series`.
const LABELS_MAX: usize = 15;

/// `max_label_name_length`, in bytes.
const LABEL_NAME_LEN_MAX: usize = 1_024;

/// `max_label_value_length`, in bytes.
const LABEL_VALUE_LEN_MAX: usize = 2_048;

/// `max_structured_metadata_entries_count`.
const METADATA_MAX: usize = 128;

/// `max_structured_metadata_size`: bytes of names and values.
const METADATA_LEN_MAX: usize = 64 << 10;

/// Why an entry may be refused, by the name under which Loki counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubt(pub &'static str);

const TOO_FAR_BEHIND: Doubt = Doubt("too_far_behind");
const TOO_FAR_IN_FUTURE: Doubt = Doubt("too_far_in_future");
const LINE_TOO_LONG: Doubt = Doubt("line_too_long");
const TOO_MANY_LABELS: Doubt = Doubt("max_label_names_per_series");
const LABEL_NAME_TOO_LONG: Doubt = Doubt("label_name_too_long");
const LABEL_VALUE_TOO_LONG: Doubt = Doubt("label_value_too_long");
const METADATA_TOO_LARGE: Doubt = Doubt("structured_metadata_too_large");
const METADATA_TOO_MANY: Doubt = Doubt("structured_metadata_too_many");

/// What the labels of a stream break.
pub(super) fn of_labels(labels: &Pairs) -> Option<Doubt> {
    if labels.len() > LABELS_MAX {
        return Some(TOO_MANY_LABELS);
    }
    labels.iter().find_map(|(name, value)| {
        if name.len() > LABEL_NAME_LEN_MAX {
            return Some(LABEL_NAME_TOO_LONG);
        }
        (value.len() > LABEL_VALUE_LEN_MAX).then_some(LABEL_VALUE_TOO_LONG)
    })
}

/// The limits, but for those that an answer has shown to be wider here.
#[derive(Debug, Default)]
pub(super) struct Limits {
    wider: Vec<Doubt>,
}

impl Limits {
    /// Whether there is the limit, as far as we know.
    pub(super) fn has(&self, doubt: Doubt) -> bool {
        !self.wider.contains(&doubt)
    }

    /// What an entry breaks by itself.
    pub(super) fn of_entry(
        &self,
        time: Nanos,
        line: &[u8],
        metadata: Option<&Pairs>,
        now: Nanos,
    ) -> Option<Doubt> {
        let (metadata_len, metadata_count) =
            metadata.map_or((0, 0), |pairs| (pairs.text_len(), pairs.len()));
        let broken = [
            (TOO_FAR_BEHIND, time < now.saturating_sub(AGE_MAX - SKEW_MAX)),
            (TOO_FAR_IN_FUTURE, time > now.saturating_add(AHEAD_MAX - SKEW_MAX)),
            (LINE_TOO_LONG, line.len() > LINE_LEN_MAX),
            (METADATA_TOO_LARGE, metadata_len > METADATA_LEN_MAX),
            (METADATA_TOO_MANY, metadata_count > METADATA_MAX),
        ];
        let doubts = broken.into_iter().filter(|(_, is_broken)| *is_broken).map(|(doubt, _)| doubt);
        doubts.into_iter().find(|doubt| self.has(*doubt))
    }

    /// Entries that break it were taken.
    pub(super) fn took(&mut self, doubt: Doubt) {
        // That one came in time says nothing of the next.
        if doubt != TOO_FAR_BEHIND && self.has(doubt) {
            self.wider.push(doubt);
        }
    }

    /// An entry was refused for this.
    pub(super) fn refused(&mut self, kind: &str) {
        self.wider.retain(|doubt| doubt.0 != kind);
    }
}

#[cfg(test)]
mod tests {
    use super::super::pairs::Syntax;
    use super::*;

    const NOW: Nanos = 1_000 * BEHIND_MAX;

    fn pairs(count: usize, name_len: usize, value_len: usize) -> Pairs {
        let mut pairs = Pairs::new(Syntax::Json);
        for number in 0..count {
            pairs.add(&format!("{number:a>name_len$}"), &"v".repeat(value_len));
        }
        pairs
    }

    #[test]
    fn each_limit_is_met_at_its_last_byte() {
        let labels = |count, name_len, value_len| {
            of_labels(&pairs(count, name_len, value_len)).map(|doubt| doubt.0)
        };
        assert_eq!(labels(15, 1_024, 2_048), None);
        assert_eq!(labels(16, 9, 9), Some("max_label_names_per_series"));
        assert_eq!(labels(1, 1_025, 9), Some("label_name_too_long"));
        assert_eq!(labels(1, 9, 2_049), Some("label_value_too_long"));
        let entry = |minutes: Nanos, line_len, metadata: &Pairs| {
            let (time, line) = (NOW + minutes * 60 * SECOND, vec![b'x'; line_len]);
            let doubt = Limits::default().of_entry(time, &line, Some(metadata), NOW);
            doubt.map(|doubt| doubt.0)
        };
        let (few, many) = (pairs(128, 500, 12), pairs(129, 9, 9));
        assert_eq!(entry(-49, 256 << 10, &few), None);
        assert_eq!(entry(9, 0, &few), None);
        assert_eq!(entry(-50, 0, &few), Some("too_far_behind"));
        assert_eq!(entry(10, 0, &few), Some("too_far_in_future"));
        assert_eq!(entry(0, (256 << 10) + 1, &few), Some("line_too_long"));
        assert_eq!(entry(0, 0, &many), Some("structured_metadata_too_many"));
        assert_eq!(entry(0, 0, &pairs(128, 500, 13)), Some("structured_metadata_too_large"));
    }

    #[test]
    fn a_limit_is_wider_from_when_it_is_passed_until_it_is_met() {
        let mut limits = Limits::default();
        let long = vec![b'x'; 1 << 20];
        for _ in 0..2 {
            assert_eq!(limits.of_entry(NOW, &long, None, NOW), Some(LINE_TOO_LONG));
            limits.took(LINE_TOO_LONG);
            limits.refused("label_value_too_long");
            assert_eq!(limits.of_entry(NOW, &long, None, NOW), None);
            assert_eq!(limits.of_entry(0, &long, None, NOW), Some(TOO_FAR_BEHIND));
            limits.refused("line_too_long");
        }
        limits.took(TOO_FAR_BEHIND);
        assert!(limits.has(TOO_FAR_BEHIND));
    }
}
