//! Filters: synchronous work on whole batches, in the order of the configuration.

#[cfg(test)]
mod fixture;
pub mod grep;
pub mod kubernetes;
pub mod modify;
pub mod outlook;
pub mod parser;
pub mod record_modifier;

use crate::record::Batch;

/// Changes, adds to or thins out the records of a batch. Never waits.
pub trait Filter: Send {
    /// Works on all records; only called if the filter's `Match` selects the batch's tag.
    fn apply(&mut self, batch: &mut Batch<'_>);
}
