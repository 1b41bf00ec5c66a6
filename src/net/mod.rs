//! HTTP/1.1 over TCP and TLS: requests with whole bodies out, answers as streams.
//!
//! The outputs use it, and what asks the Kubernetes API. One [`Client`] per destination keeps its own
//! small pool of connections, so that `net.*` and `tls.*` mean what Fluent Bit's manual says.
//! Everything here runs on the one current-thread tokio runtime; nothing blocks but the system's
//! resolver, which tokio moves to a thread, and a look at certificate files when a connection is
//! made.

mod backoff;
mod client;
mod connect;
mod error;
mod gzip;
mod handshake;
mod identity;
mod options;
mod pem;
mod pool;
mod proxy;
mod pulse;
#[cfg(test)]
mod tests;
mod tls;
mod trust;
mod zstd;

use crate::config::{NetOptions, TlsOptions};

#[cfg(test)]
pub(crate) use connect::Line;

pub use backoff::Backoff;
pub use client::{ANSWER_WAIT_MAX, Client, Endpoint, Request, Response};
pub use error::{ConnectError, LostError, ProxyError, ProxyUrlError, SendError, TlsError};
pub use gzip::Gzip;
pub use handshake::HandshakeError;
pub use proxy::Proxy;

/// What is usable but hardly meant: warnings for whoever starts the agent.
pub type Doubts = Vec<String>;
pub use zstd::Zstd;
