//! Fuzz target: `buffer::fuzz_chunk`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tailwater::buffer::fuzz_chunk(data));
