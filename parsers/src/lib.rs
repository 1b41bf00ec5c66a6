//! Parsers: pure functions on text, no I/O and no allocation per line.
//!
//! | module | reads or writes |
//! |---|---|
//! | [`cri`] | lines of the container runtimes, by hand |
//! | [`escapes`] | escapes with a backslash: of the field decoders, and of logfmt |
//! | [`json`] | JSON objects, field by field, as slices of the line |
//! | [`logfmt`] | `key=value` pairs, by hand |
//! | [`ltsv`] | `label:value` fields, by hand |
//! | [`multiline`] | which lines belong together, by rules; those of stack traces by hand |
//! | [`regex`] | patterns in Ruby's dialect: by hand, in linear time, or going back, whatever they need |
//! | [`time`] | times by strptime formats with `%L`; by strftime formats |
//!
//! Every parser takes `&str`: a whole read is checked for UTF-8 at once before it is cut in lines.
#![cfg_attr(
    test,
    expect(clippy::string_slice, reason = "a test that cuts text at a wrong place may panic")
)]

pub mod cri;
pub mod escapes;
pub mod json;
pub mod logfmt;
pub mod ltsv;
pub mod multiline;
pub mod regex;
pub mod time;
mod word;

/// Splits before the first such byte. It must be ASCII or begin a character, so that this splits no
/// character.
fn split_before(text: &str, is: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(is).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}
