//! Fuzz target: `buffer::fuzz_recover`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tailwater::buffer::fuzz_recover(data));
