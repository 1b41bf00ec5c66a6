//! tailwater: a log shipper that takes Fluent Bit's place.

pub mod buffer;
pub mod filter;
pub mod input;
pub mod output;
pub mod record;
pub mod config;
pub mod metrics;
pub mod net;
