//! HTTP/1.1 over TCP and TLS for the outputs: requests with whole bodies out, answers as streams.
//!
//! One [`Client`] per destination keeps its own small pool of connections, so that `net.*` and
//! `tls.*` mean what Fluent Bit's manual says. Everything here runs on the one current-thread
//! tokio runtime; nothing blocks but the system's resolver, which tokio moves to a thread.

mod client;
mod connect;
mod error;
mod gzip;
mod options;
mod pool;
mod pulse;
#[cfg(test)]
mod tests;
mod tls;
mod zstd;

use crate::config::{NetOptions, TlsOptions};

pub use client::{ANSWER_WAIT_MAX, Client, Endpoint, Request, Response};
pub use error::{ConnectError, LostError, SendError, TlsError};
pub use gzip::Gzip;
pub use zstd::Zstd;
