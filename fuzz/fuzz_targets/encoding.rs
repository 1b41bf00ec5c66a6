//! Fuzz target: `input::fuzz_encoding`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tailwater::input::fuzz_encoding(data));
