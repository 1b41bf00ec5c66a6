//! Fuzz target: `parser::fuzz_decoders`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tailwater::parser::fuzz_decoders(data));
