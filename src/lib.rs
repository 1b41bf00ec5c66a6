//! tailwater: a log shipper that takes Fluent Bit's place.

pub mod admin;
pub mod buffer;
pub mod cli;
pub mod clock;
pub mod config;
pub mod filter;
pub mod input;
pub mod mailbox;
pub mod metrics;
pub mod net;
pub mod output;
pub mod parser;
pub mod pipeline;
pub mod record;
