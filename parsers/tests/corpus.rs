//! Runs the committed fuzz corpus through the fuzz entry points.
#![expect(clippy::unwrap_used, reason = "a corpus that cannot be read fails the test")]
#![expect(clippy::print_stdout, reason = "names the input that fails")]

use std::fs;
use std::path::Path;

use tailwater_parsers::{cri, escapes, json, logfmt, ltsv, multiline, regex, time};

fn check(target: &str, entry: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut count = 0;
    for file in fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        println!("{}", path.display());
        entry(&fs::read(path).unwrap());
        count += 1;
    }
    assert!(count > 0, "no corpus in {}", folder.display());
}

#[test]
fn access_log_corpus() {
    check("access_log", regex::fuzz_access_log);
}

#[test]
fn cri_corpus() {
    check("cri", cri::fuzz_cri);
}

#[test]
fn escapes_corpus() {
    check("escapes", escapes::fuzz_escapes);
}

#[test]
fn json_corpus() {
    check("json", json::fuzz_json);
}

#[test]
fn logfmt_corpus() {
    check("logfmt", logfmt::fuzz_logfmt);
}

#[test]
fn ltsv_corpus() {
    check("ltsv", ltsv::fuzz_ltsv);
}

#[test]
fn multiline_corpus() {
    check("multiline", multiline::fuzz_multiline);
}

#[test]
fn regex_corpus() {
    check("regex", regex::fuzz_regex);
}

#[test]
fn time_corpus() {
    check("time", time::fuzz_time);
}
