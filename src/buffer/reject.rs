//! Records that a destination will never take, on their way to where dead letters lie.

use super::Chunk;
use crate::record::Nanos;
use std::fmt;
use std::io;
use std::sync::OnceLock;

/// More of a store's reason is not kept: it names the field and quotes the value in the first of it.
const REASON_BYTES_MAX: usize = 512;

/// More reasons are not kept for the records of one chunk, only their kinds: a chunk has some ten thousand
/// records, and what waits for them in memory must stay less than the chunk.
const REASONS_BYTES_MAX: usize = 1 << 20;

/// A record that was refused for good, or given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its index in the chunk.
    pub record: u32,
    /// A short name from the store's own vocabulary, such as `mapper_parsing_exception`.
    pub kind: Box<str>,
    /// The store's text, which may quote the record; cut, and empty where too many are kept already.
    pub reason: Box<str>,
}

/// The records of one chunk that one output gives up.
#[derive(Clone, Debug, Default)]
pub struct Rejects {
    list: Vec<Rejected>,
    /// Bytes of all reasons.
    reasons_len: usize,
}

impl Rejects {
    /// Adds a record.
    pub fn add(&mut self, record: u32, kind: &str, reason: &str) {
        let reason = reason.get(..reason.floor_char_boundary(REASON_BYTES_MAX)).unwrap_or_default();
        let is_full = self.reasons_len + reason.len() > REASONS_BYTES_MAX;
        let reason = if is_full { "" } else { reason };
        self.reasons_len += reason.len();
        self.list.push(Rejected { record, kind: kind.into(), reason: reason.into() });
    }

    /// In the order in which they were added.
    pub fn as_slice(&self) -> &[Rejected] {
        &self.list
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// What is to be kept: some records of a chunk, and why.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'a> {
    /// The number under which it is kept. The first try sets it, so that the next one takes its place.
    pub number: &'a OnceLock<u64>,
    /// When they were given up.
    pub time: Nanos,
    /// The chunk that they are in.
    pub chunk: &'a Chunk,
    /// Which of its records.
    pub rejects: &'a Rejects,
}

/// Where the dead letters of one output lie. Called from threads that may wait for a disk.
pub trait DeadLetters: Send + Sync + fmt::Debug {
    /// Keeps the records: when this returns, they survive a power cut. Returns how many older ones made room
    /// for them. After an error nothing of them is kept, and it is to be called again.
    fn keep(&self, letter: &Letter<'_>) -> io::Result<u64>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_bounded() {
        let mut rejects = Rejects::default();
        let long = "ä".repeat(REASON_BYTES_MAX);
        let fit = REASONS_BYTES_MAX / REASON_BYTES_MAX;
        for record in 0..u32::try_from(fit).unwrap() + 10 {
            rejects.add(record, "kind", &long);
        }
        let (with, without) = rejects.as_slice().split_at(fit);
        assert!(with.iter().all(|one| one.reason.len() == REASON_BYTES_MAX));
        assert!(without.iter().all(|one| one.reason.is_empty() && &*one.kind == "kind"));
    }
}
