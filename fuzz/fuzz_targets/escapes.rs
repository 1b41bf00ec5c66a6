//! Fuzz target: `escapes::fuzz_escapes`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tailwater_parsers::escapes::fuzz_escapes(data));
