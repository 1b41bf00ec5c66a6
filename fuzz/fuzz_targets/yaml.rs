//! Fuzz target: `config::yaml::fuzz_yaml`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tailwater::config::yaml::fuzz_yaml(data));
