//! Fuzz target: `logfmt::fuzz_logfmt`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tailwater_parsers::logfmt::fuzz_logfmt(data));
