//! The buffer: frames of encoded records, gathered into chunks, which outputs deliver and settle.

mod chunk;
mod frame;
mod open;
mod parcel;
mod reject;
mod settle;

pub use chunk::{CHUNK_BYTES_MAX, Chunk, ChunkBuilder, Covered, RouteSet, Stakes};
pub use frame::{Encoded, Frame, FrameHeader, Frames, append};
pub use open::Open;
pub use parcel::Parcel;
pub use reject::{DeadLetters, Letter, Rejected, Rejects};
pub use settle::{Settled, Settler};
