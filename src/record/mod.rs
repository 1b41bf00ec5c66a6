//! The record and what surrounds it: values, tags, positions, batches, ids and accessors.

mod accessor;
mod batch;
mod id;
mod name;
mod source;
mod tag;
mod value;

pub use accessor::{Accessor, AccessorError, Name};
pub use batch::{Batch, Record};
pub use id::{ID_LEN, Id, IdStream};
pub use name::keep_name;
pub use source::{SOURCE_KEY_LEN, Source, SourceId, SourceKey};
pub use tag::{Match, Tag};
pub use value::{Field, Fields, Map, Value, nest, write_json};

/// Nanoseconds since the Unix epoch, UTC. Reaches from the year 1677 to 2262.
pub type Nanos = i64;
