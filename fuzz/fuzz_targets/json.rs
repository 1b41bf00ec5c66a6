//! Fuzz target: `json::fuzz_json`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tailwater_parsers::json::fuzz_json(data));
