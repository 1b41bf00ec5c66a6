//! Lines of any length, in any number of files, cost bounded memory, and no work once they were looked at.

use crate::{LIMIT, Place};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::time::Duration;
use tailwater_testing::{Agent, memory_peak, pause, until};

/// More bytes than the process may weigh.
const LONG: u64 = 96 << 20;

/// KiB that it may weigh: half of that.
const PEAK: u64 = 48 << 10;

/// `x`, a hole of so many bytes, which costs no disk, and what is behind it.
fn write_long(file: &File, len: u64, behind: &[u8]) {
    let start = file.metadata().unwrap().len();
    file.write_all_at(b"x", start).unwrap();
    file.write_all_at(behind, start + len).unwrap();
}

fn input(name: &str, property: &str) -> String {
    format!(
        "[INPUT]\n    Name tail\n    Tag {name}\n    Path @DIR@/{name}*.log\n    Read_from_Head on\n    {property}\n"
    )
}

const OUTPUT: &str =
    "[OUTPUT]\n    Name file\n    Match *\n    Path @DIR@/out\n    Mkdir on\n    Format plain\n";

fn wait(place: &Place, name: &str, expected: &[&str], agent: &Agent) {
    let records = || fs::read_to_string(place.path("out").join(name)).unwrap_or_default();
    let lines = || records().lines().map(|line| line.replace("\\u0000", "")).collect::<Vec<_>>();
    let arrived = until(LIMIT, || lines().len() >= expected.len());
    assert!(arrived, "{name}: {} came\n{}", lines().len(), agent.stderr());
    assert_eq!(lines(), expected);
}

/// Hundredths of a second that a process has worked.
fn cpu_ticks(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let fields = status.rsplit_once(") ").unwrap().1.split(' ');
    // utime and stime, the 14th and the 15th of all.
    fields.skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
}

#[test]
fn a_long_line_stops_no_file_and_fills_no_memory() {
    let place = Place::new(
        &[
            &*input("skip", "Skip_Long_Lines on"),
            &input("cut", "Truncate_Long_Lines on"),
            &input("flag", ""),
            OUTPUT,
        ]
        .concat(),
    );
    for name in ["skip", "cut", "flag"] {
        let mut file = File::create(place.path(&format!("{name}.log"))).unwrap();
        file.write_all(b"before\n").unwrap();
        write_long(&file, LONG, b"\nafter\n");
    }
    let agent = place.start();
    let (before, after) = (r#"{"log":"before"}"#, r#"{"log":"after"}"#);
    wait(&place, "skip", &[before, after], &agent);
    wait(&place, "cut", &[before, r#"{"log":"x"}"#, after], &agent);
    wait(&place, "flag", &[before, r#"{"log":"x","log_truncated":true}"#, after], &agent);
    let peak = memory_peak(agent.id()).unwrap();
    assert!(peak < PEAK, "{peak} KiB");
}

#[test]
fn unfinished_lines_of_many_files_fill_no_memory_and_cost_nothing() {
    const FILES: u64 = 1000;
    let place = Place::new(&[&*input("many", ""), &input("quiet", ""), OUTPUT].concat());
    for number in 0..FILES {
        // Shorter and longer than a line may be.
        let len = if number % 2 == 0 { 20_000 } else { 2 * LONG / FILES };
        let file = File::create(place.path(&format!("many{number}.log"))).unwrap();
        write_long(&file, len, b"x");
    }
    let mut quiet = File::create(place.path("quiet.log")).unwrap();
    let agent = place.start();
    quiet.write_all(b"one\n").unwrap();
    wait(&place, "quiet", &[r#"{"log":"one"}"#], &agent);
    // Everything is looked at after some time, and then there is nothing more to do.
    let is_idle = || {
        let before = cpu_ticks(agent.id());
        pause(Duration::from_secs(1));
        cpu_ticks(agent.id()) - before < 20
    };
    assert!(until(LIMIT, is_idle), "busy without progress\n{}", agent.stderr());
    let peak = memory_peak(agent.id()).unwrap();
    assert!(peak < PEAK, "{peak} KiB");
}
