//! Fuzz target: `output::opensearch::fuzz_judge`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tailwater::output::opensearch::fuzz_judge(data));
