//! What of each source is settled, and so how far its position is safe (DESIGN §4.1).

use crate::buffer::Covered;
use crate::record::SourceId;
use std::collections::{HashMap, VecDeque};

/// Keeps the reads of every source in order, each with the (chunk, output) pairs it still has open. The
/// position of a source is the end of its last read before the first one that is not settled.
///
/// Bounded by the buffer: a read that is open holds bytes there, and settled reads that wait behind it
/// fold into one.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Only sources with a read that is not settled.
    sources: HashMap<SourceId, Reads>,
}

/// The reads of one source, from the first that is not settled.
#[derive(Debug, Default)]
struct Reads {
    /// Number of `reads[0]`.
    first: u64,
    reads: VecDeque<Read>,
}

#[derive(Debug)]
struct Read {
    /// Where in the source it ends.
    to: u64,
    /// (chunk, output) pairs that are not settled.
    open: u32,
}

impl Ledger {
    /// The number that the source's next read will have, for the chunks that hold its records.
    pub(super) fn next(&self, source: SourceId) -> u64 {
        self.sources.get(&source).map_or(0, |reads| reads.first + reads.reads.len() as u64)
    }

    /// Enters the source's next read, which ends at `to` and opened this many (chunk, output) pairs.
    /// Returns the source's new safe position, if this moved it.
    pub(super) fn enter(&mut self, source: SourceId, to: u64, open: u32) -> Option<u64> {
        let reads = self.sources.entry(source).or_default();
        match reads.reads.back_mut() {
            // No chunk holds anything of it, so it needs no number of its own.
            Some(last) if last.open == 0 && open == 0 => last.to = to,
            _ => reads.reads.push_back(Read { to, open }),
        }
        self.advance(source)
    }

    /// One output is done with what one chunk holds of this read. Returns the source's new safe
    /// position, if this moved it.
    pub(super) fn settle(&mut self, covered: Covered) -> Option<u64> {
        let reads = self.sources.get_mut(&covered.source)?;
        let index = usize::try_from(covered.read.checked_sub(reads.first)?).ok()?;
        let read = reads.reads.get_mut(index)?;
        debug_assert!(read.open > 0, "a pair is settled once");
        read.open = read.open.saturating_sub(1);
        self.advance(covered.source)
    }

    /// Whether everything that was entered is settled.
    pub(super) fn is_settled(&self) -> bool {
        self.sources.is_empty()
    }

    /// Takes out the settled reads at the front and returns the end of the last of them.
    fn advance(&mut self, source: SourceId) -> Option<u64> {
        let reads = self.sources.get_mut(&source)?;
        let mut safe = None;
        while let Some(read) = reads.reads.pop_front_if(|read| read.open == 0) {
            reads.first += 1;
            safe = Some(read.to);
        }
        if reads.reads.is_empty() {
            self.sources.remove(&source);
        }
        safe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: SourceId = SourceId { input: 0, number: 7 };

    fn enter(ledger: &mut Ledger, to: u64, open: u32) -> (Covered, Option<u64>) {
        let covered = Covered { source: FILE, read: ledger.next(FILE) };
        (covered, ledger.enter(FILE, to, open))
    }

    #[test]
    fn a_position_waits_for_the_first_open_read() {
        let mut ledger = Ledger::default();
        let (first, safe) = enter(&mut ledger, 10, 2);
        assert_eq!(safe, None);
        let (second, _) = enter(&mut ledger, 20, 1);
        assert_eq!(ledger.settle(second), None);
        assert_eq!(ledger.settle(first), None);
        assert_eq!(ledger.settle(first), Some(20));
        assert!(ledger.is_settled());
    }

    #[test]
    fn a_read_that_left_nothing_settles_in_its_turn() {
        let mut ledger = Ledger::default();
        assert_eq!(enter(&mut ledger, 5, 0).1, Some(5));
        let (open, _) = enter(&mut ledger, 10, 1);
        assert_eq!(enter(&mut ledger, 20, 0).1, None);
        assert_eq!(enter(&mut ledger, 30, 0).1, None);
        let (last, _) = enter(&mut ledger, 40, 1);
        assert_eq!(ledger.settle(open), Some(30));
        assert_eq!(ledger.settle(last), Some(40));
    }

    #[test]
    fn sources_do_not_wait_for_each_other() {
        let mut ledger = Ledger::default();
        enter(&mut ledger, 10, 1);
        let other = SourceId { input: 0, number: 8 };
        let covered = Covered { source: other, read: ledger.next(other) };
        ledger.enter(other, 99, 1);
        assert_eq!(ledger.settle(covered), Some(99));
        assert!(!ledger.is_settled());
    }
}
