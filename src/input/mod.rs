//! Inputs: read lines and make batches of records, as far as the buffer has room.

pub mod dummy;
mod encoding;
mod join;
mod lines;
mod objects;
pub mod sqlite;
pub mod stdin;
pub mod systemd;
pub mod tail;

pub use encoding::fuzz_encoding;
pub use join::fuzz_joiner;

use crate::record::{Batch, SourceId, Tag};
use std::os::fd::BorrowedFd;
use std::time::Instant;

/// Where batches go: filters, routing and the buffer lie behind it.
pub trait Intake {
    /// Takes one batch. The batches of a source come in its order and leave no gap between them.
    fn take(&mut self, batch: Batch<'_>);

    /// Whether this input's share of the buffer is full: nothing more is read before it has room again.
    fn is_full(&self) -> bool;

    /// Whether a filter waits for what it wants to know of this tag. An input that can leave its source alone for a
    /// while asks this before it reads the first of it.
    fn awaits(&mut self, _tag: &Tag) -> bool {
        false
    }
}

/// What a turn left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// There is more to read at once. Comes again when the input's share of the buffer has room.
    More,
    /// Nothing to do before this moment, unless the input's descriptor becomes readable.
    Wait(Instant),
    /// Nothing will ever come again.
    Done,
}

/// Reads a source's lines as batches of records.
///
/// All calls come from one pipeline thread. Turns are short, so that inputs share the thread fairly:
/// an input reads a bounded amount and returns. It never blocks. While its share of the buffer is full, an
/// input still has turns when its time is up or its descriptor is readable: it reads nothing, but it can
/// take hold of files before they are rotated away.
pub trait Input: Send {
    /// Reads what is there, within bounds.
    fn turn(&mut self, now: Instant, intake: &mut dyn Intake) -> Turn;

    /// Everything of the source before `to` is settled: its position may be committed. Comes in ascending order.
    fn safe(&mut self, source: SourceId, to: u64);

    /// What the pipeline's poll watches for this input, beside its time limit. `full`: its share of the
    /// buffer is full, so what only means "there is something to read" must not be named.
    fn wake_on(&self, full: bool) -> Option<BorrowedFd<'_>>;
}
