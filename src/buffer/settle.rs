//! The way back: an output tells that it is done with a chunk.

use super::Chunk;
use crate::mailbox;
use std::sync::Arc;

/// One output is done with a chunk: each record was accepted, dead-lettered or dropped by policy.
#[derive(Debug)]
pub struct Settled {
    /// The chunk.
    pub chunk: Arc<Chunk>,
    /// Number of the output.
    pub output: usize,
}

/// An output's end of the way back.
#[derive(Clone, Debug)]
pub struct Settler {
    /// Number of the output.
    output: usize,
    sender: mailbox::Sender<Settled>,
}

impl Settler {
    /// For the output of this number.
    pub fn new(output: usize, sender: mailbox::Sender<Settled>) -> Self {
        Self { output, sender }
    }

    /// Ends the chunk's life as far as this output is concerned.
    pub fn settle(&self, chunk: Arc<Chunk>) {
        self.sender.send(Settled { chunk, output: self.output });
    }
}
