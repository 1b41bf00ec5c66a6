//! tailwater: a log shipper that takes Fluent Bit's place.

pub mod buffer;
pub mod config;
pub mod filter;
pub mod input;
pub mod output;
pub mod parser;
pub mod record;
pub mod admin;
pub mod config;
pub mod metrics;
pub mod net;
