//! A chunk: the unit of delivery, retry and dead letter.

use super::frame::{self, Encoded, FrameHeader, Frames};
use super::shelf::Loaded;
use super::spares::Spares;
use crate::record::{Batch, SourceId};
use std::sync::Arc;
use std::time::Instant;

/// A chunk is sealed once it holds this much: large enough that a request's overhead vanishes, small
/// enough for every store's request limit.
pub const CHUNK_BYTES_MAX: usize = 2 << 20;

/// What a chunk takes beside its bytes, about: itself, its lists, and its place in the queues of some outputs.
/// Counted, because chunks of a line each would otherwise outgrow `Mem_Buf_Limit` while an output is away.
const CHUNK_BYTES_ASIDE: usize = 512;

/// The outputs that a record goes to: bit `n` is output `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RouteSet(u128);

impl RouteSet {
    /// Outputs that one configuration may have.
    pub const OUTPUTS_MAX: usize = 128;

    /// The set without `output`.
    #[must_use]
    pub fn without(self, output: usize) -> Self {
        Self(self.0 & !(1 << output))
    }

    /// The set with `output` in it as well.
    #[must_use]
    pub fn with(self, output: usize) -> Self {
        debug_assert!(output < Self::OUTPUTS_MAX);
        Self(self.0 | 1 << output)
    }

    /// Whether no output is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many outputs are in it.
    pub fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// The outputs in it, ascending.
    pub fn outputs(self) -> impl Iterator<Item = usize> {
        (0..Self::OUTPUTS_MAX).filter(move |output| self.0 >> output & 1 == 1)
    }
}

/// One read that a chunk holds records of: what its source's ledger counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Covered {
    /// The source.
    pub source: SourceId,
    /// The number of the read among the source's reads.
    pub read: u64,
}

/// A sealed chunk: frames of one route set, never changed again.
#[derive(Debug, Default)]
pub struct Chunk {
    /// How many records it holds.
    pub count: u32,
    bytes: Vec<u8>,
    /// Where its memory goes when nobody reads it any more.
    spares: Option<Spares>,
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if let Some(spares) = &self.spares {
            spares.give(std::mem::take(&mut self.bytes));
        }
    }
}

/// What a chunk's end settles.
#[derive(Debug, Default)]
pub struct Stakes {
    /// The outputs it is for.
    pub routes: RouteSet,
    /// The reads whose records it holds, once each.
    pub covered: Vec<Covered>,
    /// Bytes of memory per input instance, which its `Mem_Buf_Limit` counts.
    pub held: Vec<(u32, usize)>,
}

impl Chunk {
    /// A chunk that was read from the disk.
    pub fn loaded(content: Loaded) -> Self {
        let Loaded { frames: bytes, count, .. } = content;
        Self { count, bytes, spares: None }
    }

    /// All frames.
    pub fn frames(&self) -> Frames<'_> {
        Frames::new(&self.bytes)
    }

    /// All records with their frame's header, in order: the `n`th is record `n`.
    pub fn records(&self) -> impl Iterator<Item = (FrameHeader<'_>, Encoded<'_>)> {
        self.frames().flat_map(|frame| {
            let header = frame.header;
            frame.map(move |record| (header, record))
        })
    }

    /// Bytes of all frames.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it holds no frame.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// A frame at the end of a chunk.
#[derive(Clone, Copy, Debug)]
pub struct Appended {
    /// Where in the chunk it begins.
    start: usize,
    /// Records in it.
    pub count: u32,
    /// Bytes of memory that it takes.
    pub memory: usize,
}

/// A chunk that is still appended to.
#[derive(Debug)]
pub struct ChunkBuilder {
    number: u64,
    chunk: Chunk,
    stakes: Stakes,
    opened: Instant,
}

impl ChunkBuilder {
    /// An empty chunk for `routes` that is expected to grow to `bytes_expected`: memory that it does
    /// not come to write is never made resident.
    pub fn new(number: u64, routes: RouteSet, bytes_expected: usize, now: Instant) -> Self {
        let bytes = Vec::with_capacity(bytes_expected);
        let chunk = Chunk { count: 0, bytes, spares: None };
        Self { number, chunk, stakes: Stakes { routes, ..Stakes::default() }, opened: now }
    }

    /// The same, in memory of chunks that are done with.
    pub fn reusing(
        spares: &Spares,
        number: u64,
        routes: RouteSet,
        bytes_expected: usize,
        now: Instant,
    ) -> Self {
        let mut builder = Self::new(number, routes, 0, now);
        builder.chunk.bytes = spares.take(bytes_expected);
        builder.chunk.spares = Some(spares.clone());
        builder
    }

    /// The outputs it is for.
    pub fn routes(&self) -> RouteSet {
        self.stakes.routes
    }

    /// When it was opened: it is sealed one `Flush` interval later at the latest.
    pub fn opened(&self) -> Instant {
        self.opened
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.chunk.len()
    }

    /// Whether nothing was appended yet.
    pub fn is_empty(&self) -> bool {
        self.chunk.is_empty()
    }

    /// Whether it holds records of this input.
    pub fn holds(&self, input: u32) -> bool {
        self.stakes.held.iter().any(|(held, _)| *held == input)
    }

    /// Appends the batch, which is `read` of its source, as one frame.
    pub fn append(&mut self, batch: &Batch<'_>, read: u64) -> Appended {
        let before = self.chunk.bytes.len();
        let count = frame::append(batch, &mut self.chunk.bytes);
        self.chunk.count += count;
        self.stakes.covered.push(Covered { source: batch.source.id, read });
        let aside = if before == 0 { CHUNK_BYTES_ASIDE } else { 0 };
        Appended { start: before, count, memory: self.chunk.bytes.len() - before + aside }
    }

    /// The bytes of the frame that was appended last.
    pub fn last_frame(&self, appended: Appended) -> &[u8] {
        self.chunk.bytes.get(appended.start..).unwrap_or_default()
    }

    /// Takes the frame back that was appended last.
    pub fn take_back(&mut self, appended: Appended) {
        self.chunk.bytes.truncate(appended.start);
        self.chunk.count -= appended.count;
        self.stakes.covered.pop();
    }

    /// Counts so many bytes of memory as held by the input.
    pub fn hold(&mut self, input: u32, added: usize) {
        match self.stakes.held.iter_mut().find(|(held, _)| *held == input) {
            Some((_, bytes)) => *bytes += added,
            None => self.stakes.held.push((input, added)),
        }
    }

    /// The chunk's number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Ends it: from here on it is only read.
    pub fn seal(self) -> (Arc<Chunk>, Stakes) {
        let Self { mut chunk, stakes, .. } = self;
        // What is left over of a small chunk would be held for as long as an output is away. A full one keeps
        // its size, so that its memory, which is resident already, does for another one.
        if chunk.bytes.len() < chunk.bytes.capacity() / 2 {
            chunk.bytes.shrink_to_fit();
        }
        (Arc::new(chunk), stakes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_set_lists_its_outputs() {
        let set = RouteSet::default().with(0).with(127).with(0);
        assert_eq!(set.outputs().collect::<Vec<_>>(), [0, 127]);
        assert_eq!(set.len(), 2);
        assert!(!set.is_empty() && RouteSet::default().is_empty());
    }
}
