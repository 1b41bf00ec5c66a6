//! Parsers: pure functions on text, no I/O and no allocation per line.
//!
//! | module | reads or writes |
//! |---|---|
//! | [`cri`] | lines of the container runtimes, by hand |
//! | [`json`] | JSON objects, field by field, as slices of the line |
//! | [`regex`] | patterns in Ruby's dialect, run by the `regex` crate |
//! | [`time`] | times by strptime formats with `%L`; by strftime formats |
//!
//! Every parser takes `&str`: a whole read is checked for UTF-8 at once before it is cut in lines.
#![cfg_attr(
    test,
    expect(clippy::string_slice, reason = "a test that cuts text at a wrong place may panic")
)]

pub mod cri;
pub mod json;
pub mod regex;
pub mod time;
mod word;
