//! tailwater: a log shipper that takes Fluent Bit's place.

pub mod metrics;
pub mod net;
