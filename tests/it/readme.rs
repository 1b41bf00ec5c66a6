//! The commands of the README do what it says.

use std::path::Path;
use std::process::{Command, Output};
use tailwater_testing::readme_commands;

fn run(command: &str) -> Output {
    let program = Path::new(crate::PROGRAM);
    // Built already: the README builds for speed, a test tests what is there.
    let command = command.replace("cargo run --release --", "tailwater");
    let path = std::env::var("PATH").unwrap();
    Command::new("sh")
        .args(["-c", &command])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("PATH", format!("{}:{path}", program.parent().unwrap().display()))
        .output()
        .unwrap()
}

#[test]
fn every_command_ends_well_and_says_something() {
    let commands = readme_commands(include_str!("../../README.md"), "sh");
    assert!(commands.len() >= 4, "{commands:?}");
    // This very command runs this test.
    for command in commands.iter().filter(|command| *command != "cargo test") {
        let output = run(command);
        let text = String::from_utf8_lossy(&output.stdout);
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {log}");
        assert!(!text.is_empty() || !log.is_empty(), "{command} says nothing");
    }
}

/// Nine of eleven lines: two health checks are dropped.
#[test]
fn the_quickstart_prints_what_would_be_shipped() {
    let output = run("cargo run --release -- -c config/quickstart.conf");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut records: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), 9, "{text}");
    assert!(!text.contains("healthcheck"), "{text}");
    assert!(records.iter().all(|record| record["cluster_name"] == "quickstart"));
    assert!(records.iter().all(|record| record.get("stream").is_none()));
    records.retain(|record| record["order"] == 10417);
    assert_eq!(records[0]["message"], "order placed");
    assert_eq!(records[0]["user"]["plan"], "pro");
    assert_eq!(records[0]["date"], 1_795_252_507.9);
}
