//! A sealed chunk on its way to an output.

use super::Chunk;
use std::sync::Arc;

/// A sealed chunk as queues hold it: what one must know of it without its bytes, and the way to these.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// The chunk's number: ascends in the order in which chunks were opened.
    pub number: u64,
    /// How many records it holds.
    pub count: u32,
    chunk: Arc<Chunk>,
}

impl Parcel {
    /// A chunk that lies in memory until it is settled.
    pub fn in_memory(number: u64, chunk: Chunk) -> Self {
        Self { number, count: chunk.count, chunk: Arc::new(chunk) }
    }

    /// The chunk.
    pub fn chunk(&self) -> &Arc<Chunk> {
        &self.chunk
    }
}
