//! The buffer: frames of encoded records, gathered into chunks, which outputs deliver and settle.
//!
//! In memory a chunk is [`Chunk`]; on the disk it is a file, which a [`Shelf`] keeps. Outputs get [`Parcel`]s and
//! cannot tell the two apart.

mod chunk;
mod folder;
mod frame;
mod fuzz;
mod layout;
mod open;
mod parcel;
mod reader;
mod recover;
mod reject;
mod rejected;
mod settle;
mod shelf;
mod simulated;
mod spares;
mod storage;
mod survey;
mod survivors;
#[cfg(test)]
mod tests;

pub use chunk::{Appended, CHUNK_BYTES_MAX, Chunk, ChunkBuilder, Covered, RouteSet, Stakes};
pub use folder::{Folder, OutputName, REJECTED};
pub use frame::{Encoded, Frame, FrameHeader, Frames, append, append_some};
pub use fuzz::{fuzz_chunk, fuzz_recover};
pub use layout::{Checksum, Damage, Header, Purpose};
pub use open::Open;
pub use parcel::Parcel;
pub use reader::{ChunkReader, Entry, Head, ReadError};
pub use recover::Recovered;
pub use reject::{DeadLetters, Letter, Rejected, Rejects};
pub use rejected::{RejectedFolder, split_reason};
pub use settle::{Settled, Settler};
pub use shelf::{
    ChunkFile, Damaged, DiskError, Loaded, Refused, Shelf, ShelfOptions, Size, Stored, Unsynced,
};
pub use simulated::{Fault, Simulated};
pub use spares::Spares;
pub use storage::{Access, Disk, Kind, RESERVE_PERCENT, Space, Storage, StoredFile};
pub use survey::{Found, Place, survey};
pub use survivors::{Ranges, RouteKey, Survivors};
