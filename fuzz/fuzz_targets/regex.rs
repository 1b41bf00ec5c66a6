//! Fuzz target: `regex::fuzz_regex`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tailwater_parsers::regex::fuzz_regex(data));
