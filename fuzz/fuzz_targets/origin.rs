//! Fuzz target: `filter::kubernetes::fuzz_origin`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tailwater::filter::kubernetes::fuzz_origin(data));
