//! `null`: takes everything and keeps nothing.

use super::Format;
use crate::buffer::Chunk;
use crate::config::properties;

properties! {
    /// Throws records away; for measuring what comes before an output.
    pub struct NullOptions for "null" {
        /// Accepted, as what Fluent Bit formats before it throws it away.
        format: Option<String> ["format"],
        @accepted {
            "json_date_format": "nothing is formatted",
            "json_date_key": "nothing is formatted",
        }
    }
}

/// The output `null`.
#[derive(Debug)]
pub struct Null;

impl Format for Null {
    fn format(&mut self, _chunk: &Chunk, _out: &mut Vec<u8>) {}
}
