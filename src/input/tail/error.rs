//! Why a `tail` cannot start.

use std::path::PathBuf;

/// Why a `tail` cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TailError {
    /// `Buffer_Max_Size` is smaller than `Buffer_Chunk_Size`: Fluent Bit does not start either.
    #[error("`Buffer_Max_Size` must not be smaller than `Buffer_Chunk_Size`")]
    BufferSizes,
    /// The position database cannot be used.
    #[error("position database {}: {what}; {remedy}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// `Unicode.Encoding` and `Generic.Encoding`: Fluent Bit does not start either.
    #[error(
        "`Unicode.Encoding` and `Generic.Encoding` cannot both be set: a file is written in one of them"
    )]
    Encodings,
    /// Something that every process needs was refused by the system.
    #[error("cannot set up {what}: {source}")]
    Setup {
        /// What was asked for.
        what: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A time that is too short, and how long it must be: Fluent Bit does not start either.
    #[error("`{0}` must be {1}")]
    Interval(&'static str, &'static str),
    /// No `Path`.
    #[error("`Path` is not set: it names the files to follow")]
    PathMissing,
    /// A pattern that cannot be read.
    #[error("`{pattern}` is not a path pattern: {reason}")]
    Pattern {
        /// The pattern as written.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
}
