//! Which chunks in memory one output is done with and another is not, and for how long that is waited for.

use crate::buffer::RouteSet;
use crate::clock;
use std::time::{Duration, Instant};

/// How much later than another an output may be done with a chunk before that is moved to the disk, and how long it
/// may be done with none at all. To write a chunk and to read it again costs more than to let the faster output wait a
/// moment; that is all the time for which the slower one holds it up.
const PATIENCE: Duration = Duration::from_millis(250);

/// The chunks that an output lags with.
#[derive(Debug)]
pub(super) struct Lags {
    /// Their numbers, oldest first, and since when. Never more than there are chunks in memory.
    since: Vec<(u64, Instant)>,
    /// When each output was done with a chunk last.
    done: Vec<Instant>,
    /// The disk took none, and is not asked before.
    not_before: Instant,
}

impl Lags {
    /// None yet, with so many outputs.
    pub(super) fn new(outputs: usize) -> Self {
        let now = clock::instant();
        Self { since: Vec::new(), done: vec![now; outputs], not_before: now }
    }

    /// An output is done with a chunk, whichever.
    pub(super) fn note(&mut self, output: usize) {
        if let Some(done) = self.done.get_mut(output) {
            *done = clock::instant();
        }
    }

    /// An output is done with this chunk, which lies in memory for others.
    pub(super) fn begin(&mut self, number: u64) {
        if !self.since.iter().any(|(known, _)| *known == number) {
            self.since.push((number, clock::instant()));
        }
    }

    /// All outputs are done with it, or it lies on the disk.
    pub(super) fn end(&mut self, number: u64) {
        self.since.retain(|(known, _)| *known != number);
    }

    /// The disk took none of them.
    pub(super) fn put_off(&mut self) {
        self.not_before = clock::instant() + PATIENCE;
    }

    /// The chunks in their order, and since when one output is done with each.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, Instant)> {
        self.since.iter().copied()
    }

    /// When a chunk is to be moved, of which these outputs are left since that time.
    pub(super) fn due(&self, since: Instant, left: RouteSet) -> Instant {
        let done = left.outputs().filter_map(|output| self.done.get(output).copied());
        (done.fold(since, Instant::min) + PATIENCE).max(self.not_before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The output that lags with all chunks here.
    const SLOW: usize = 1;

    fn left() -> RouteSet {
        RouteSet::default().with(SLOW)
    }

    #[test]
    fn an_output_that_keeps_up_is_waited_for() {
        let mut lags = Lags::new(2);
        let since = clock::instant() + PATIENCE;
        lags.done = vec![since, since + PATIENCE / 2];
        assert_eq!(lags.due(since, left()), since + PATIENCE);
    }

    #[test]
    fn one_that_was_done_with_nothing_for_long_is_not() {
        let mut lags = Lags::new(2);
        let since = clock::instant() + PATIENCE * 4;
        lags.note(0);
        assert_eq!(lags.due(since, left()), lags.done[SLOW] + PATIENCE);
        assert!(lags.due(since, left()) < since);
    }

    #[test]
    fn a_disk_that_takes_nothing_is_left_alone() {
        let mut lags = Lags::new(2);
        let since = clock::instant();
        lags.put_off();
        assert_eq!(lags.due(since, left()), lags.not_before);
        assert!(lags.not_before >= since + PATIENCE);
    }

    #[test]
    fn a_chunk_lags_since_the_first_output_was_done_with_it() {
        let mut lags = Lags::new(3);
        lags.begin(7);
        let first = lags.iter().next();
        lags.begin(8);
        lags.begin(7);
        assert_eq!(lags.iter().map(|(number, _)| number).collect::<Vec<_>>(), [7, 8]);
        assert_eq!(lags.iter().next(), first);
        lags.end(7);
        assert_eq!(lags.iter().map(|(number, _)| number).collect::<Vec<_>>(), [8]);
    }
}
