//! End to end, through the real program, against stores that fail on purpose.
#![expect(clippy::unwrap_used, reason = "test code: a panic is how a check fails")]

mod tidy;
