//! A filter at its place in the configuration, and what it counts.

use crate::filter::Filter;
use crate::metrics::FilterMetrics;
use crate::record::{Batch, Match};
use std::fmt;
use std::sync::Arc;

/// A filter, the tags it is for, and its counters.
pub(super) struct FilterSlot {
    pub(super) matches: Match,
    pub(super) filter: Box<dyn Filter>,
    pub(super) metrics: Arc<FilterMetrics>,
}

impl fmt::Debug for FilterSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilterSlot").field("matches", &self.matches).finish_non_exhaustive()
    }
}

impl FilterSlot {
    /// Filters a batch that is not empty. Its bytes go down with its records: to measure each record would
    /// cost more than most filters do.
    pub(super) fn apply(&mut self, batch: &mut Batch<'_>) {
        let before = batch.records.len() as u64;
        if before == 0 {
            return;
        }
        self.filter.apply(batch);
        let after = batch.records.len() as u64;
        let dropped = before.saturating_sub(after);
        let dropped_bytes = batch.bytes.saturating_mul(dropped) / before;
        self.metrics.records.add(before);
        self.metrics.bytes.add(batch.bytes);
        self.metrics.drop_records.add(dropped);
        self.metrics.drop_bytes.add(dropped_bytes);
        self.metrics.add_records.add(after.saturating_sub(before));
        batch.bytes -= dropped_bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Counter;
    use crate::record::{Fields, Record, Source, SourceId, Tag};
    use bumpalo::Bump;

    /// Leaves so many records.
    struct Leave(usize);

    impl Filter for Leave {
        fn apply(&mut self, batch: &mut Batch<'_>) {
            batch.records.truncate(self.0);
            while batch.records.len() < self.0 {
                let fields = Fields::new_in(batch.bump);
                let record = Record { time: 0, own_time: true, from: 0, to: 0, ordinal: 0, fields };
                batch.records.push(record);
            }
        }
    }

    /// What a filter counts that makes `after` records of four with 400 bytes: records, bytes, then what it
    /// dropped of both, and what it added.
    fn check(after: usize, expected: [u64; 5]) {
        let bump = Bump::new();
        let source = Source { id: SourceId { input: 0, number: 0 }, key: [0; 16], first_seen: 0 };
        let mut batch = Batch::new(&bump, Tag::new("t"), source, 0);
        Leave(4).apply(&mut batch);
        batch.bytes = 400;
        let metrics = Arc::<FilterMetrics>::default();
        let filter = Box::new(Leave(after));
        let matches = Match::Wildcard("*".to_owned());
        FilterSlot { matches, filter, metrics: Arc::clone(&metrics) }.apply(&mut batch);
        let FilterMetrics { records, bytes, drop_records, drop_bytes, add_records, .. } = &*metrics;
        let found = [records, bytes, drop_records, drop_bytes, add_records].map(Counter::value);
        assert_eq!(found, expected);
        assert_eq!(batch.bytes, 400 - expected[3]);
    }

    #[test]
    fn what_comes_goes_and_is_added_is_counted() {
        check(4, [4, 400, 0, 0, 0]);
        check(1, [4, 400, 3, 300, 0]);
        check(0, [4, 400, 4, 400, 0]);
        check(6, [4, 400, 0, 0, 2]);
    }
}
