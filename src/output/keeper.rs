//! Brings the rejected records of a chunk to where dead letters lie.

use super::aside::aside;
use crate::buffer::{DeadLetters, Letter, Parcel, Rejects};
use crate::metrics::OutputMetrics;
use crate::net::Backoff;
use crate::record::Nanos;
use std::io;
use std::sync::{Arc, OnceLock};
use tokio::time::sleep;
use tracing::error;

/// The rejected records of one chunk, and all that is needed to keep them.
#[derive(Debug)]
pub(super) struct Keeper {
    /// Name of the output.
    pub(super) output: String,
    /// The chunk, of which nothing is open.
    pub(super) parcel: Parcel,
    /// Which of its records, and why.
    pub(super) rejects: Rejects,
    /// When the last of them was rejected.
    pub(super) time: Nanos,
    /// Set by the first try.
    pub(super) number: OnceLock<u64>,
    /// Where they go.
    pub(super) place: Arc<dyn DeadLetters>,
    /// What the output counts.
    pub(super) metrics: Arc<OutputMetrics>,
}

impl Keeper {
    /// Writes them, however often that fails; then the chunk may be settled.
    pub(super) async fn keep(self, backoff: Backoff) -> Parcel {
        let keeper = Arc::new(self);
        let mut tries = 0_u32;
        loop {
            let writer = Arc::clone(&keeper);
            let written = aside(move || writer.write()).await;
            match written.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
                Ok(made_room) => {
                    keeper.metrics.dead_letters.add(keeper.rejects.len() as u64);
                    keeper.metrics.dead_letters_dropped.add(made_room);
                    return keeper.parcel.clone();
                }
                Err(error) => {
                    let retry_in = backoff.delay(tries);
                    tries = tries.saturating_add(1);
                    let output = &*keeper.output;
                    error!(output, %error, ?retry_in, "cannot write dead letters; the records wait");
                    sleep(retry_in).await;
                }
            }
        }
    }

    fn write(&self) -> io::Result<u64> {
        let Self { number, parcel, rejects, time, .. } = self;
        let chunk = &*parcel.chunk().map_err(io::Error::other)?;
        self.place.keep(&Letter { number, time: *time, chunk, rejects })
    }
}
