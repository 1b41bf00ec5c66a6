//! Fuzz target: `input::fuzz_joiner`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tailwater::input::fuzz_joiner(data));
