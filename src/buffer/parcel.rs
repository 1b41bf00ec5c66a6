//! A sealed chunk on its way to an output.

use super::shelf::CHUNK_BYTES_EXPECTED;
use super::{Chunk, DiskError, Folder, OutputName, Shelf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use tracing::error;

/// A sealed chunk as an output's queue holds it: what one must know of it without its bytes, and the way to these.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// The chunk's number: ascends in the order in which chunks were opened.
    pub number: u64,
    /// How many records it holds.
    pub count: u32,
    /// Whose folder it lies in, if it lies on the disk.
    output: Option<OutputName>,
    body: Arc<Body>,
}

/// What the parcels of one chunk share.
#[derive(Debug)]
struct Body {
    memory: Mutex<Memory>,
    disk: OnceLock<OnDisk>,
}

#[derive(Debug)]
enum Memory {
    /// The chunk lies in memory until it is settled or moved to the disk.
    Held(Arc<Chunk>),
    /// It may still lie in memory.
    Passing(Weak<Chunk>),
}

#[derive(Debug)]
struct OnDisk {
    shelf: Arc<Shelf>,
    bytes: u64,
}

impl Parcel {
    /// A chunk that lies in memory until it is settled, or moved to the disk.
    pub fn in_memory(number: u64, chunk: &Arc<Chunk>) -> Self {
        let memory = Mutex::new(Memory::Held(Arc::clone(chunk)));
        let body = Arc::new(Body { memory, disk: OnceLock::new() });
        Self { number, count: chunk.count, output: None, body }
    }

    /// A chunk of so many records and bytes that lies in the folders of its outputs, and in memory for as long as
    /// `memory` does.
    pub fn on_disk(
        number: u64,
        count: u32,
        bytes: u64,
        memory: Weak<Chunk>,
        shelf: &Arc<Shelf>,
    ) -> Self {
        let memory = Mutex::new(Memory::Passing(memory));
        let body = Arc::new(Body { memory, disk: OnceLock::new() });
        let parcel = Self { number, count, output: None, body };
        parcel.move_to_disk(shelf, bytes);
        parcel
    }

    /// The parcel of the output whose folder is called so.
    #[must_use]
    pub fn of(&self, output: Option<&OutputName>) -> Self {
        Self { output: output.cloned(), ..self.clone() }
    }

    /// The chunk lies on the disk from now on, and in memory only as long as somebody reads it.
    pub fn move_to_disk(&self, to: &Arc<Shelf>, bytes: u64) {
        let on_disk = OnDisk { shelf: Arc::clone(to), bytes };
        // It is moved once.
        let _already = self.body.disk.set(on_disk);
        let mut memory = self.memory();
        if let Memory::Held(chunk) = &*memory {
            *memory = Memory::Passing(Arc::downgrade(chunk));
        }
    }

    /// The chunk, if it need not be read from the disk.
    pub fn chunk_in_memory(&self) -> Option<Arc<Chunk>> {
        match &*self.memory() {
            Memory::Held(chunk) => Some(Arc::clone(chunk)),
            Memory::Passing(chunk) => chunk.upgrade(),
        }
    }

    /// The chunk; reads it from the disk if it must. Of a damaged one it holds what is whole, and of one that
    /// is gone nothing: fewer than `count` records.
    pub fn chunk(&self) -> Result<Arc<Chunk>, DiskError> {
        self.chunk_into(Vec::new())
    }

    /// Like [`Parcel::chunk`], in memory that [`Parcel::room`] took.
    pub fn chunk_into(&self, memory: Vec<u8>) -> Result<Arc<Chunk>, DiskError> {
        if let Some(chunk) = self.chunk_in_memory() {
            return Ok(chunk);
        }
        let (Some(disk), Some(output)) = (self.body.disk.get(), &self.output) else {
            return Ok(Arc::default());
        };
        let folder = Folder::Output(output.clone());
        let Some(loaded) = disk.shelf.load_into(memory, &folder, self.number)? else {
            error!(chunk = self.number, %output, "a chunk is gone from the disk, and its records with it");
            return Ok(Arc::default());
        };
        Ok(Arc::new(Chunk::loaded(loaded)))
    }

    /// Memory for the chunk, to be taken by the thread that uses it: an allocator gives each thread its own, and those
    /// that read would each keep a chunk's room to themselves.
    pub fn room(&self) -> Vec<u8> {
        let bytes = usize::try_from(self.disk_bytes()).unwrap_or(usize::MAX);
        Vec::with_capacity(bytes.min(CHUNK_BYTES_EXPECTED))
    }

    /// Bytes that it takes on the disk; 0 if it lies in memory alone.
    pub fn disk_bytes(&self) -> u64 {
        self.body.disk.get().map_or(0, |disk| disk.bytes)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // A panic ends the process, so there is nothing half done to be seen.
        self.body.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
