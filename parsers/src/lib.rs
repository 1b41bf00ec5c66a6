//! Parsers: pure functions on bytes, no I/O.
