//! Fuzz target: `multiline::fuzz_multiline`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tailwater_parsers::multiline::fuzz_multiline(data));
