//! Filters: synchronous work on whole batches, in the order of the configuration.

#[cfg(test)]
mod fixture;
pub mod grep;
pub mod kubernetes;
pub mod modify;
pub mod nest;
pub mod outlook;
pub mod parser;
pub mod record_modifier;

use crate::record::{Batch, Tag};

/// Changes, adds to or thins out the records of a batch. Never waits.
pub trait Filter: Send {
    /// Works on all records; only called if the filter's `Match` selects the batch's tag.
    fn apply(&mut self, batch: &mut Batch<'_>);

    /// Whether it waits for something that it wants to know of this tag, and that may come at any moment. Whoever reads the
    /// tag's source does well to wait as well, for a bounded time; it is read without otherwise.
    fn awaits(&mut self, _tag: &Tag) -> bool {
        false
    }
}
