//! The whole process over a file of container logs: lines and megabytes per CPU second, peak memory,
//! and the CPU's ratio to *the floor*, which only reads the file and sends as many bytes.
//!
//! ```text
//! cargo bench --bench whole -- [--case NAME] [--lines N] [--peer 'COMMAND {conf}']
//! ```
//!
//! The cases are in `tests/support/src/workload.rs`; the lines of all have about 400 bytes.
//! `idle-200`, `idle-1000-busy` and `idle-10000` measure for a minute what an agent takes that has (nearly) nothing to do.
//! `--peer` runs any other command over the same work, with a configuration that Fluent Bit reads.
#![expect(clippy::print_stdout, reason = "the figures are what a bench is for")]
#![expect(clippy::expect_used, clippy::panic, reason = "a bench that cannot run says so and ends")]

use std::path::Path;
use std::time::Duration;
use tailwater_testing::{Case, Idle, Plan, floor, measure};

/// Long enough that start and end do not count.
const LINES: u64 = 1_000_000;

/// How long an agent is measured that has nothing to do.
const IDLE_TIME: Duration = Duration::from_mins(1);

fn main() {
    let mut case = Case::Es;
    let mut idle = None;
    let mut lines = LINES;
    let mut agent = vec![env!("CARGO_BIN_EXE_tailwater").to_owned()];
    agent.extend(["-q", "-c", "{conf}"].map(str::to_owned));

    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_else(|| panic!("{argument} needs a value"));
        match argument.as_str() {
            // Cargo says so to every bench.
            "--bench" => {}
            "--case" => {
                let name = value();
                idle = Idle::named(&name);
                if idle.is_some() {
                    continue;
                }
                case = Case::named(&name).unwrap_or_else(|| panic!("no case `{name}`"));
            }
            "--floor" => {
                let (file, port, amount) = (value(), value(), value());
                let port = port.parse().expect("a port");
                return floor(Path::new(&file), port, &amount).expect("the floor runs");
            }
            "--lines" => lines = value().parse().expect("a number of lines"),
            "--peer" => agent = value().split_whitespace().map(str::to_owned).collect(),
            other => panic!("no option `{other}`"),
        }
    }
    if let Some(idle) = idle {
        return println!("{}", idle.measure(&agent, IDLE_TIME));
    }
    let program = std::env::current_exe().expect("the path of this bench");
    println!("{}", measure(&Plan { case, lines, agent: &agent, floor: Some(&program) }));
}
