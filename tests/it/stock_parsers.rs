//! The parsers of `config/parsers.conf`, through the program: samples of each, with the records they become.

use crate::{LIMIT, PROGRAM};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use tailwater_testing::Agent;

/// `[parser]`, then a line after `< ` and its record after `> `, with the `date` where the line has one
/// that does not depend on today.
const SAMPLES: &str = include_str!("stock_parsers.txt");

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/parsers.conf");

#[test]
fn samples_become_the_records_that_dashboards_know() {
    let sections: Vec<_> = SAMPLES.split("\n\n").map(read).collect();
    for (parser, samples) in &sections {
        assert!(samples.len() >= 2, "{parser} has too few samples");
        let lines: String = samples.iter().flat_map(|(line, _)| [*line, "\n"]).collect();
        let records = parse(parser, &lines);
        assert_eq!(records.len(), samples.len(), "{parser}: {records:?}");
        for ((line, expected), mut record) in samples.iter().zip(records) {
            let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
            if expected.get("date").is_none() {
                record.as_object_mut().unwrap().remove("date");
            }
            assert_eq!(record, expected, "{parser}: {line}");
        }
    }
    let file = std::fs::read_to_string(FILE).unwrap();
    let names = file.lines().filter_map(|line| line.trim().strip_prefix("Name "));
    let without: Vec<_> =
        names.map(str::trim).filter(|name| sections.iter().all(|(it, _)| it != name)).collect();
    assert!(without.is_empty(), "parsers without samples: {without:?}");
}

/// A section: the parser, and its lines with their records.
fn read(section: &'static str) -> (&'static str, Vec<(&'static str, &'static str)>) {
    let (head, body) = section.split_once('\n').unwrap();
    let parser = head.strip_prefix('[').and_then(|head| head.strip_suffix(']')).unwrap();
    let lines: Vec<_> = body.lines().collect();
    let sample = |pair: &[&'static str]| {
        (pair[0].strip_prefix("< ").unwrap(), pair[1].strip_prefix("> ").unwrap())
    };
    (parser, lines.chunks(2).map(sample).collect())
}

/// The records of lines on standard input.
fn parse(parser: &str, lines: &str) -> Vec<serde_json::Value> {
    let input = ["-q", "-R", FILE, "-i", "stdin", "-p", &format!("parser={parser}")];
    let output = ["-o", "stdout", "-p", "format=json_lines"];
    let folder = tailwater_testing::folder();
    let arguments = [&input[..], &output].concat();
    let mut agent =
        Agent::start_with(Path::new(PROGRAM), folder.path(), &arguments, Stdio::piped());
    agent.stdin().write_all(lines.as_bytes()).unwrap();
    let ended = agent.wait(LIMIT);
    assert_eq!(ended.code, Some(0), "{parser}: {}", ended.stderr);
    ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
