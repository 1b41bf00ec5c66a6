//! Runs the committed fuzz corpus through the entry points of the readers of foreign bytes, so that what a
//! fuzzer once found stays found. The corpora of the parsers run in their own crate.

use std::path::Path;
use tailwater::buffer::{fuzz_chunk, fuzz_recover};
use tailwater::config::classic::fuzz_classic;
use tailwater::config::yaml::fuzz_yaml;
use tailwater::filter::kubernetes::fuzz_origin;
use tailwater::input::{fuzz_encoding, fuzz_joiner};
use tailwater::output::opensearch::fuzz_judge;
use tailwater::parser::fuzz_decoders;

fn check(target: &str, entry: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files: Vec<_> = folder.read_dir().unwrap().map(|file| file.unwrap().path()).collect();
    assert!(!files.is_empty(), "no corpus in {}", folder.display());
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let outcome = std::panic::catch_unwind(|| entry(&bytes));
        assert!(outcome.is_ok(), "{} breaks its reader", file.display());
    }
}

#[test]
fn configurations() {
    check("classic", fuzz_classic);
    check("yaml", fuzz_yaml);
}

#[test]
fn encodings() {
    check("encoding", fuzz_encoding);
}

#[test]
fn joined_lines() {
    check("joiner", fuzz_joiner);
}

#[test]
fn decoded_fields() {
    check("decoders", fuzz_decoders);
}

#[test]
fn tags_of_containers() {
    check("origin", fuzz_origin);
}

#[test]
fn bulk_answers() {
    check("judge", fuzz_judge);
}

#[test]
fn chunk_files() {
    check("chunk", fuzz_chunk);
    check("recover", fuzz_recover);
}
