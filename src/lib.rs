//! tailwater: a log shipper that takes Fluent Bit's place.

pub mod cli;
pub mod config;
