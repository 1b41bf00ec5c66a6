//! tailwater: a log shipper that takes Fluent Bit's place. The same configuration, the same documents at
//! the other end; nothing lost, nothing doubled, for a fraction of the CPU.
//!
//! # The way of a record
//!
//! ```text
//! input ──lines──▶ parser ──▶ Batch ──▶ filters ──▶ routes ──▶ Chunk ──▶ output: encode → send → judge
//!   ▲                                                           │  ▲                              │
//!   └──────────────── position (safe up to here) ◀──────────────┘  └─────────── settled ◀─────────┘
//! ```
//!
//! One direction; two arrows point back, and each carries one small value. An input learns how far it is
//! safe, nothing else of delivery. An output never sees a file or a position.
//!
//! # The map
//!
//! Leaves, which all may use:
//!
//! * [`record`]: a record and its values, tags, ids, accessors, and the [`record::Batch`] that they travel in.
//! * [`metrics`]: one table of everything that is counted.
//! * [`clock`]: what time it is, behind one seam.
//! * [`mailbox`]: a channel that `poll` can wait for.
//! * [`supervisor`]: what systemd is told of the process.
//!
//! Stages, none of which imports a later one:
//!
//! * [`config`]: files and arguments become one checked model; every property is a row in one table.
//! * [`net`]: HTTP/1.1 and TLS, for the outputs and the Kubernetes API.
//! * [`parser`]: what a `[PARSER]` section became; the parsing itself is the crate `tailwater_parsers`.
//! * [`input`]: read lines, make batches. [`input::tail`] holds identity and positions; [`input::systemd`] reads the
//!   journal by libsystemd, with all that is `unsafe` in one file.
//! * [`filter`]: change or drop records, a batch at a time, never waiting. What asks the Kubernetes API for
//!   [`filter::kubernetes`] runs beside it and fills a directory.
//! * [`buffer`]: encoded records in frames, frames in chunks; a chunk is the unit of delivery and retry. On the disk
//!   it is a file, and [`buffer::Shelf`] all that is done to one.
//! * [`output`]: pure encoders and judges; one courier sends, waits and tries again for all of them.
//! * [`admin`]: the HTTP server for probes and scrapers.
//! * [`pipeline`]: wires all of the above, and runs the one thread that touches records. It knows which
//!   plugins there are, what of a source is settled, and how to stop.
//! * [`cli`]: the command line, the log.
//!
//! # Invariants
//!
//! * **A position never passes a byte that is not settled** with every output it was routed to
//!   (`pipeline/ledger.rs`), so a crash at any moment re-reads and never skips.
//! * **A record read again has the same id** ([`record::IdStream`]), so what was delivered already is absorbed.
//! * **Records are touched by one thread**; everything that waits for the network runs on one other.
//! * **Nothing is allocated per record** between the read buffer and the request body.
//! * **Everything that grows has a named limit.** When the buffer is full, inputs stop reading.
//! * **Parsers, filters, encoders and judges do no I/O.**

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
pub mod supervisor;
