//! The buffer: frames of encoded records, gathered into chunks, which outputs deliver and settle.
//!
//! In memory a chunk is [`Chunk`]; on the disk it is a file, which a [`Shelf`] keeps.

mod chunk;
mod folder;
mod frame;
mod fuzz;
mod layout;
mod open;
mod reader;
mod recover;
mod settle;
mod shelf;
mod simulated;
mod storage;
mod survey;
mod survivors;
#[cfg(test)]
mod tests;

pub use chunk::{CHUNK_BYTES_MAX, Chunk, ChunkBuilder, Covered, RouteSet};
pub use folder::{Folder, OutputName, REJECTED};
pub use frame::{Encoded, Frame, FrameHeader, Frames, append, append_some};
pub use fuzz::{fuzz_chunk, fuzz_recover};
pub use layout::{Checksum, Damage, Header, Purpose};
pub use open::Open;
pub use reader::{ChunkReader, Entry, Head, ReadError};
pub use recover::Recovered;
pub use settle::{Settled, Settler};
pub use shelf::{
    ChunkFile, Damaged, DiskError, Loaded, Refused, Shelf, ShelfOptions, Size, Stored, Unsynced,
};
pub use simulated::{Fault, Simulated};
pub use storage::{Access, Disk, Kind, Space, Storage, StoredFile};
pub use survey::{Found, Place, survey};
pub use survivors::{Ranges, RouteKey, Survivors};
