//! The records of one tag from one read.

use super::{Fields, Nanos, Source, Tag};
use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

/// One log line, parsed.
#[derive(Debug)]
pub struct Record<'a> {
    /// When it happened, or, if the line did not say, when it was read.
    pub time: Nanos,
    /// Whether `time` came from the line, so that reading it again gives the same.
    pub own_time: bool,
    /// Where its first line starts in the source.
    pub from: u64,
    /// Where its last line ends in the source, newline included.
    pub to: u64,
    /// Which of the records that these lines became it is.
    pub ordinal: u32,
    /// The body, in order.
    pub fields: Fields<'a>,
}

/// The records of one tag from one read, in the arena that holds their fields.
///
/// A batch covers `[from, to)` of its source without a gap, whatever the filters leave of it.
#[derive(Debug)]
pub struct Batch<'a> {
    /// The arena; reset by the input when the batch is gone.
    pub bump: &'a Bump,
    /// The tag of all records.
    pub tag: Tag,
    /// Where they came from.
    pub source: Source,
    /// Start of what this batch covers of the source.
    pub from: u64,
    /// End of what it covers: a position may come to stand here when all of it is settled.
    pub to: u64,
    /// Bytes read for it, for the metrics.
    pub bytes: u64,
    /// The records, in the order of the source.
    pub records: BumpVec<'a, Record<'a>>,
}

impl<'a> Batch<'a> {
    /// A batch without records that covers nothing yet, at `from`.
    pub fn new(bump: &'a Bump, tag: Tag, source: Source, from: u64) -> Self {
        Self { bump, tag, source, from, to: from, bytes: 0, records: BumpVec::new_in(bump) }
    }
}
