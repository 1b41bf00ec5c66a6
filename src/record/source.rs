//! Sources: what has an order and a position, such as one file.

use super::Nanos;

/// Bytes of a [`SourceKey`].
pub const SOURCE_KEY_LEN: usize = 16;

/// A source's number within this process; never used again for another source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId {
    /// Index of the input instance.
    pub input: u32,
    /// The input's own number for the source.
    pub number: u64,
}

/// A source's name across restarts, renames and machines: a hash of the node's random id and what
/// identifies the source there (a file's inode and fingerprint; a pipe's random run id).
pub type SourceKey = [u8; SOURCE_KEY_LEN];

/// What every record of a source shares.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Number within this process.
    pub id: SourceId,
    /// Name across restarts.
    pub key: SourceKey,
    /// When the source was first seen: leads the ids of records that have no time of their own.
    pub first_seen: Nanos,
}
