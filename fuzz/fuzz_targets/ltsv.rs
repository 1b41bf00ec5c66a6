//! Fuzz target: `ltsv::fuzz_ltsv`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tailwater_parsers::ltsv::fuzz_ltsv(data));
