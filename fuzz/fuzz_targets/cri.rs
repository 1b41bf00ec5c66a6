//! Fuzz target: `cri::fuzz_cri`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tailwater_parsers::cri::fuzz_cri(data));
