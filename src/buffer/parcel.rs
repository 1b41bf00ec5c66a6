//! A sealed chunk on its way to an output.

use super::{Chunk, DiskError, Folder, OutputName, Shelf};
use std::sync::{Arc, Weak};
use tracing::error;

/// A sealed chunk as an output's queue holds it: what one must know of it without its bytes, and the way to these.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// The chunk's number: ascends in the order in which chunks were opened.
    pub number: u64,
    /// How many records it holds.
    pub count: u32,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    /// It lies in memory until it is settled.
    Memory(Arc<Chunk>),
    /// It lies in the output's folder, and maybe still in memory.
    Disk { memory: Weak<Chunk>, shelf: Arc<Shelf>, output: OutputName, bytes: u64 },
}

impl Parcel {
    /// A chunk that lies in memory until it is settled.
    pub fn in_memory(number: u64, chunk: &Arc<Chunk>) -> Self {
        Self { number, count: chunk.count, place: Place::Memory(Arc::clone(chunk)) }
    }

    /// A chunk of so many records and bytes that lies in the folder of `output`, and in memory for as long as
    /// `memory` does.
    pub fn on_disk(
        number: u64,
        count: u32,
        bytes: u64,
        memory: Weak<Chunk>,
        shelf: &Arc<Shelf>,
        output: &OutputName,
    ) -> Self {
        let (shelf, output) = (Arc::clone(shelf), output.clone());
        Self { number, count, place: Place::Disk { memory, shelf, output, bytes } }
    }

    /// The chunk, if it need not be read from the disk.
    pub fn chunk_in_memory(&self) -> Option<Arc<Chunk>> {
        match &self.place {
            Place::Memory(chunk) => Some(Arc::clone(chunk)),
            Place::Disk { memory, .. } => memory.upgrade(),
        }
    }

    /// The chunk; reads it from the disk if it must. Of a damaged one it holds what is whole, and of one that
    /// is gone nothing: fewer than `count` records.
    pub fn chunk(&self) -> Result<Arc<Chunk>, DiskError> {
        if let Some(chunk) = self.chunk_in_memory() {
            return Ok(chunk);
        }
        let Place::Disk { shelf, output, .. } = &self.place else { return Ok(Arc::default()) };
        let Some(loaded) = shelf.load(&Folder::Output(output.clone()), self.number)? else {
            error!(chunk = self.number, %output, "a chunk is gone from the disk, and its records with it");
            return Ok(Arc::default());
        };
        Ok(Arc::new(Chunk::from_frames(loaded.frames, loaded.count)))
    }

    /// Bytes that it takes on the disk; 0 if it lies in memory alone.
    pub fn disk_bytes(&self) -> u64 {
        match &self.place {
            Place::Memory(_) => 0,
            Place::Disk { bytes, .. } => *bytes,
        }
    }
}
