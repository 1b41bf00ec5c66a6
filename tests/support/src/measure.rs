//! Runs a whole agent over a file of log lines and measures what that costs, beside *the floor*: what
//! reading the same file and sending as many bytes over loopback HTTP costs at least.

use crate::workload::{Case, PARSERS};
use crate::{Counting, pause};
use rustix::process::{Pid, Signal, kill_process};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use wait4::Wait4;

/// How often the agent's memory is looked at and the stores' counts with it.
const LOOK: Duration = Duration::from_millis(10);

/// An agent that ships less than this in a second does not work.
const LINES_PER_SECOND_MIN: u64 = 500;

/// As large as an agent's own reads should be.
pub(crate) const READ_BYTES: usize = 256 << 10;

/// What is measured.
#[derive(Debug)]
pub struct Plan<'a> {
    /// Which lines, and what is done with them.
    pub case: Case,
    /// How many lines the file has.
    pub lines: u64,
    /// The program and its arguments; `{conf}` stands for the configuration's path.
    pub agent: &'a [String],
    /// A program that calls [`floor`] with the three arguments after `--floor`; without it there is none.
    pub floor: Option<&'a Path>,
}

/// What one process took.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// User and system time.
    pub cpu: Duration,
    /// From its start until everything had arrived.
    pub wall: Duration,
    /// Its largest resident set, in KiB.
    pub peak_kib: u64,
}

/// What came of a [`Plan`]; printed, it is the bench's output.
#[derive(Debug)]
pub struct Report {
    /// The plan's.
    pub case: Case,
    /// Lines in the file.
    pub lines: u64,
    /// Lines that arrived, in all stores together.
    pub arrived: u64,
    /// Bytes in the file.
    pub bytes_in: u64,
    /// Bytes of request bodies.
    pub bytes_out: u64,
    /// Requests.
    pub requests: u64,
    /// Of the agent.
    pub agent: Cost,
    /// Of the floor.
    pub floor: Option<Cost>,
}

/// Runs of the agent and of the floor, in turn, of which the medians by CPU time count: they are short, and a
/// shared machine's speed drifts, so that what is compared must be measured side by side.
const RUNS: usize = 5;

/// Writes the file, then runs the agent over it and the floor, in turn.
#[must_use]
pub fn measure(plan: &Plan<'_>) -> Report {
    let folder = crate::folder();
    let log = folder.path().join("bench.log");
    let bytes_in = plan.case.write_log(&log, plan.lines);
    plan.case.lay_out(folder.path());
    std::fs::write(folder.path().join("parsers.conf"), PARSERS).unwrap();
    let (mut agents, mut floors) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let (cost, sent) = run_agent(plan, folder.path());
        floors.extend(plan.floor.map(|program| run_floor(plan, program, folder.path(), &sent)));
        agents.push((cost, sent));
    }
    agents.sort_by_key(|(cost, _)| cost.cpu);
    floors.sort_by_key(|cost| cost.cpu);
    let (agent, sent) = agents.swap_remove(RUNS / 2);
    let floor = floors.get(RUNS / 2).copied();
    let Plan { case, lines, .. } = *plan;
    let Sent { lines: arrived, bytes: bytes_out, requests } = sent;
    Report { case, lines, arrived, bytes_in, bytes_out, requests, agent, floor }
}

/// Runs the floor: as much as the agent read and sent.
fn run_floor(plan: &Plan<'_>, program: &Path, folder: &Path, sent: &Sent) -> Cost {
    let store = Counting::start();
    let arguments = [
        program.to_str().unwrap().to_owned(),
        "--floor".to_owned(),
        folder.join("bench.log").to_str().unwrap().to_owned(),
        store.port().to_string(),
        format!("{}/{}", sent.bytes, sent.requests),
    ];
    let child = spawn(&arguments, folder);
    run(child, Instant::now(), plan.limit(), || false).expect("the floor ends")
}

/// Runs the agent from the start of the file, with stores of its own.
fn run_agent(plan: &Plan<'_>, folder: &Path) -> (Cost, Sent) {
    let run_folder = folder.join("run");
    std::fs::create_dir_all(&run_folder).unwrap();
    let stores = Stores { bulk: Counting::start(), loki: Counting::refusing() };
    if plan.case != Case::OneAway {
        stores.loki.listen();
    }
    let conf = folder.join("bench.conf");
    let ports = (stores.bulk.port(), stores.loki.port());
    std::fs::write(&conf, plan.case.configuration(ports, folder, &run_folder)).unwrap();
    let arguments: Vec<_> =
        plan.agent.iter().map(|part| part.replace("{conf}", conf.to_str().unwrap())).collect();
    let began = Instant::now();
    let child = spawn(&arguments, folder);
    let limit = plan.limit();
    let cost =
        run(child, began, limit, || stores.have(plan.case, plan.lines)).unwrap_or_else(|| {
            let log = std::fs::read_to_string(folder.join("stderr")).unwrap();
            panic!("{} lines did not arrive within {limit:?}; the agent said:\n{log}", plan.lines)
        });
    std::fs::remove_dir_all(&run_folder).unwrap();
    (cost, stores.totals())
}

impl Plan<'_> {
    fn limit(&self) -> Duration {
        Duration::from_secs(10 + self.lines / LINES_PER_SECOND_MIN)
    }
}

/// What arrived, in all stores together.
struct Sent {
    lines: u64,
    bytes: u64,
    requests: u64,
}

struct Stores {
    bulk: Counting,
    loki: Counting,
}

impl Stores {
    fn have(&self, case: Case, expected: u64) -> bool {
        match case {
            Case::Both | Case::Reference => {
                self.bulk.lines() >= expected && self.loki.lines() >= expected
            }
            Case::Es | Case::EsDisk | Case::OneAway => self.bulk.lines() >= expected,
            Case::Loki => self.loki.lines() >= expected,
            // Its end is the end of the run.
            _ => false,
        }
    }

    fn totals(&self) -> Sent {
        let sum = |of: fn(&Counting) -> u64| of(&self.bulk) + of(&self.loki);
        Sent {
            lines: sum(Counting::lines),
            bytes: sum(Counting::bytes),
            requests: sum(Counting::requests),
        }
    }
}

pub(crate) fn spawn(arguments: &[String], folder: &Path) -> Child {
    let (program, arguments) = arguments.split_first().expect("a program");
    Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(folder.join("stderr")).unwrap())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} does not start: {error}"))
}

/// Waits until `done` or the process ends by itself, then ends it; `None` after `limit`.
fn run(
    mut child: Child,
    began: Instant,
    limit: Duration,
    mut done: impl FnMut() -> bool,
) -> Option<Cost> {
    let mut peak_kib = 0;
    // `wait4` must be the one that reaps the process, so its end is seen as its memory going away.
    while let Some(kib) = memory_peak(child.id()) {
        peak_kib = kib;
        if done() {
            break;
        }
        if began.elapsed() > limit {
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        pause(LOOK);
    }
    let wall = began.elapsed();
    let id = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(id, Signal::TERM).unwrap();
    let usage = child.wait4().unwrap().rusage;
    Some(Cost { cpu: usage.utime + usage.stime, wall, peak_kib })
}

/// The largest resident set so far, in KiB; `None` once the process ended. `ru_maxrss` would not do:
/// a child starts it at the value of the process it was forked from.
#[must_use]
pub fn memory_peak(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// Reads `file` once and sends `BYTES/REQUESTS` of `amount` to `port`: nothing else, as no agent can do less.
pub fn floor(file: &Path, port: u16, amount: &str) -> io::Result<()> {
    let (bytes, requests) = amount.split_once('/').expect("BYTES/REQUESTS");
    let (mut left, requests): (u64, u64) = (bytes.parse().unwrap(), requests.parse().unwrap());
    let mut file = File::open(file)?;
    let mut buffer = vec![0; READ_BYTES];
    if requests > 0 {
        let each = left.div_ceil(requests);
        let mut connection = TcpStream::connect(("127.0.0.1", port))?;
        connection.set_nodelay(true)?;
        while left > 0 {
            let body = each.min(left);
            write!(connection, "POST /floor HTTP/1.1\r\ncontent-length: {body}\r\n\r\n")?;
            send(&mut file, &mut connection, &mut buffer, body)?;
            let answered = connection.read(&mut buffer)?;
            assert!(answered > 0, "no answer");
            left -= body;
        }
    }
    while file.read(&mut buffer)? > 0 {}
    Ok(())
}

/// Sends `body` bytes of what is read; past the end of the file, of what was read last.
fn send(
    file: &mut File,
    connection: &mut TcpStream,
    buffer: &mut [u8],
    body: u64,
) -> io::Result<()> {
    let mut left = usize::try_from(body).unwrap();
    while left > 0 {
        let most = left.min(buffer.len());
        let read = file.read(&mut buffer[..most])?;
        let part = if read == 0 { most } else { read };
        connection.write_all(&buffer[..part])?;
        left -= part;
    }
    Ok(())
}

impl fmt::Display for Report {
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = self.bytes_in as f64 / 1e6;
        let cpu = self.agent.cpu.as_secs_f64().max(0.001);
        writeln!(
            out,
            "{}: {} lines, {megabytes:.1} MB in, {:.1} MB out in {} requests",
            self.case,
            self.lines,
            self.bytes_out as f64 / 1e6,
            self.requests,
        )?;
        writeln!(
            out,
            "  {:.0} lines/cpu s, {:.1} MB/cpu s, cpu {cpu:.2} s, wall {:.2} s, peak RSS {:.1} MiB",
            self.lines as f64 / cpu,
            megabytes / cpu,
            self.agent.wall.as_secs_f64(),
            self.agent.peak_kib as f64 / 1024.0,
        )?;
        let Some(floor) = self.floor else { return Ok(()) };
        let least = floor.cpu.as_secs_f64().max(0.001);
        write!(out, "  {:.1} x the floor (cpu {least:.2} s)", cpu / least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_sends_what_it_was_told_to() {
        let folder = crate::folder();
        let log = folder.path().join("log");
        let bytes = Case::Null.write_log(&log, 100);
        let store = Counting::start();
        floor(&log, store.port(), &format!("{}/7", bytes * 2)).unwrap();
        assert_eq!((store.bytes(), store.requests()), (bytes * 2, 7));
    }

    #[test]
    fn a_run_that_ends_by_itself_is_measured() {
        let agent = ["sleep".to_owned(), "0.2".to_owned()];
        let plan = Plan { case: Case::Null, lines: 10, agent: &agent, floor: None };
        let report = measure(&plan);
        assert!(report.agent.wall >= Duration::from_millis(190));
        assert!(report.agent.peak_kib > 100);
        assert!(report.to_string().starts_with("null: 10 lines, 0.0 MB in"), "{report}");
    }
}
