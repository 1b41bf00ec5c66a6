//! What the end-to-end tests and the bench share: log writers, stores that fail on purpose, and the
//! agent as a child process.
//!
//! - [`Agent`] runs the real program; [`until`] waits for what it does, always with a deadline.
//! - [`Mix`] says what a log line looks like, [`Writer`] appends them to a file and rotates it.
//! - [`BulkStore`] and [`LokiStore`] take what is shipped and can lose answers, refuse and reset; [`Proxy`] does so before
//!   a real store.
//! - [`Kubernetes`] lists and watches pods as an API server does, and has faults of its own.
//! - [`Chaos`] writes, rotates and kills.
//! - [`Tally`] says which lines are missing and which came twice.
//! - [`Numbered`] remembers the numbers of lines alone, so that gigabytes can be sent to it.
//! - [`configure_machine`] lays out what a machine without Kubernetes has, with the configurations of `config/vm`.
//! - [`Counting`] only counts, as fast as it can; [`measure()`] runs an agent against it.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code: a panic is how a check fails"
)]

mod agent;
mod bulk;
mod chaos;
mod counting;
mod faults;
mod filter_path;
mod http;
mod idle;
mod kubernetes;
mod line;
mod loki;
mod machine;
mod measure;
mod node;
mod numbered;
mod proxy;
mod readme;
mod tally;
mod wait;
mod workload;
mod writer;

pub use agent::{Agent, Ended, ask_to_stop};
pub use bulk::{BulkStore, Document, Kind};
pub use chaos::Chaos;
pub use counting::Counting;
pub use faults::Faults;
pub use http::{Answer, Request, Server, Service};
pub use idle::{Idle, IdleReport};
pub use kubernetes::{Fault, Kubernetes};
pub use line::Mix;
pub use loki::{Entry, LokiStore};
pub use machine::{configure_machine, machine_configurations};
pub use measure::{Cost, Plan, Report, floor, measure, memory_peak};
pub use numbered::{Numbered, Seen};
pub use proxy::Proxy;
pub use readme::readme_commands;
pub use tally::{Tally, Verdict};
pub use wait::{pause, until};
pub use workload::{Case, PARSERS};
pub use writer::Writer;

/// A temporary folder, removed when dropped.
#[must_use]
pub fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("tailwater-").tempdir().unwrap()
}

/// A port that nothing listens on.
#[must_use]
pub fn free_port() -> u16 {
    let free = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
    free.local_addr().unwrap().port()
}

/// Says something past the test harness, which keeps the output of tests that pass to itself.
pub fn write_out(text: &str) {
    std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes()).unwrap();
}
