//! tailwater: a log shipper that takes Fluent Bit's place.

pub mod admin;
pub mod config;
pub mod metrics;
pub mod net;
