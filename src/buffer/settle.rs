//! The way back: an output tells that it is done with a chunk.

use crate::mailbox;

/// One output is done with a chunk: each record was accepted, dead-lettered or dropped by policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The chunk's number.
    pub number: u64,
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

    /// Ends the life of the chunk of this number as far as this output is concerned.
    pub fn settle(&self, number: u64) {
        self.sender.send(Settled { number, output: self.output });
    }
}
