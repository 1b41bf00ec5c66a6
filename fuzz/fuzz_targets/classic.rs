//! Fuzz target: `config::classic::fuzz_classic`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tailwater::config::classic::fuzz_classic(data));
