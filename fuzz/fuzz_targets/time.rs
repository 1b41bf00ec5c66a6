//! Fuzz target: `time::fuzz_time`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tailwater_parsers::time::fuzz_time(data));
