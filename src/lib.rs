//! tailwater: a log shipper that takes Fluent Bit's place.

pub mod admin;
pub mod metrics;
pub mod net;
pub mod config;
