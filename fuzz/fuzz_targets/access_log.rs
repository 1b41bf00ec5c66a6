//! Fuzz target: `regex::fuzz_access_log`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tailwater_parsers::regex::fuzz_access_log(data));
