//! What an agent costs that has little or nothing to do: its CPU time, memory and descriptors.

use crate::measure::spawn;
use crate::workload::PARSERS;
use crate::{Mix, pause};
use rustix::process::{Pid, Signal, kill_process};
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

/// The agent has taken in the files when it was as quiet as this for as long: a thousandth of a core for a second.
const QUIET: Duration = Duration::from_millis(1);
const QUIET_FOR: Duration = Duration::from_secs(1);

/// It was quiet by then, or never is.
const SETTLING_MAX: Duration = Duration::from_secs(30);

/// Pause between two writes to the busy file, and lines of about 400 bytes that each brings.
const BUSY_PAUSE: Duration = Duration::from_millis(10);
const BUSY_LINES: u64 = 10;

/// Files that nobody writes to, and perhaps one that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idle {
    files: u32,
    is_one_busy: bool,
}

/// Every case and its name on the command line.
const CASES: [(Idle, &str); 3] = [
    (Idle { files: 200, is_one_busy: false }, "idle-200"),
    (Idle { files: 1_000, is_one_busy: true }, "idle-1000-busy"),
    (Idle { files: 10_000, is_one_busy: false }, "idle-10000"),
];

/// What came of it; printed, it is the bench's output.
#[derive(Debug)]
pub struct IdleReport {
    case: Idle,
    /// How long was measured.
    time: Duration,
    /// CPU time of all threads in it.
    cpu: Duration,
    /// CPU time before that.
    cpu_at_start: Duration,
    /// Resident set, in KiB.
    pub rss_kib: u64,
    /// Open descriptors.
    pub descriptors: usize,
}

impl Idle {
    /// By its name on the command line.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        CASES.iter().find(|(_, known)| *known == name).map(|(case, _)| *case)
    }

    /// Runs the agent beside the files, and measures it for `time` once it has taken them in. `{conf}` in its arguments
    /// stands for the configuration's path.
    #[must_use]
    pub fn measure(self, agent: &[String], time: Duration) -> IdleReport {
        let folder = crate::folder();
        let path = folder.path();
        self.prepare(path);
        let conf = path.join("bench.conf");
        let arguments: Vec<_> =
            agent.iter().map(|part| part.replace("{conf}", conf.to_str().unwrap())).collect();
        let mut child = spawn(&arguments, path);
        let cpu_at_start = settle(&child);
        let began = Instant::now();
        if self.is_one_busy {
            write_for(time, &path.join("logs/0.log"));
        } else {
            pause(time);
        }
        let report = IdleReport {
            case: self,
            time: began.elapsed(),
            cpu: cpu_time(&child).saturating_sub(cpu_at_start),
            cpu_at_start,
            rss_kib: resident(&child),
            descriptors: fs::read_dir(proc(&child, "fd")).unwrap().count(),
        };
        let id = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        kill_process(id, Signal::TERM).unwrap();
        child.wait().unwrap();
        report
    }

    fn prepare(self, folder: &Path) {
        fs::create_dir(folder.join("logs")).unwrap();
        let mut line = Vec::new();
        Mix::default().write(0, &mut line);
        for number in 0..self.files {
            fs::write(folder.join(format!("logs/{number}.log")), &line).unwrap();
        }
        fs::write(folder.join("parsers.conf"), PARSERS).unwrap();
        let conf = format!(
            "[SERVICE]\n    Flush 1\n    Log_Level error\n    Grace 1\n    Parsers_File {0}/parsers.conf\n\
             [INPUT]\n    Name tail\n    Path {0}/logs/*.log\n    Parser cri\n    Tag kube.*\n    \
             Read_from_Head On\n    Mem_Buf_Limit 5MB\n    DB {0}/positions.db\n\
             [OUTPUT]\n    Name null\n    Match *\n",
            folder.display(),
        );
        fs::write(folder.join("bench.conf"), conf).unwrap();
    }
}

/// Waits until the agent has nothing to do; the CPU time that it took until then.
fn settle(child: &Child) -> Duration {
    let began = Instant::now();
    let mut last = Duration::ZERO;
    loop {
        pause(QUIET_FOR);
        let cpu = cpu_time(child);
        let is_quiet = last > Duration::ZERO && cpu.saturating_sub(last) < QUIET;
        if is_quiet || began.elapsed() > SETTLING_MAX {
            return cpu;
        }
        last = cpu;
    }
}

fn write_for(time: Duration, path: &Path) {
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    let mut lines = Vec::new();
    let began = Instant::now();
    let mut next = 0;
    while began.elapsed() < time {
        lines.clear();
        for _ in 0..BUSY_LINES {
            Mix::default().write(next, &mut lines);
            next += 1;
        }
        file.write_all(&lines).unwrap();
        pause(BUSY_PAUSE);
    }
}

fn proc(child: &Child, name: &str) -> String {
    format!("/proc/{}/{name}", child.id())
}

/// CPU time of all threads so far: `schedstat` counts nanoseconds, where `stat` has hundredths of a second.
fn cpu_time(child: &Child) -> Duration {
    let threads = fs::read_dir(proc(child, "task")).unwrap().flatten();
    let nanos = threads.map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
    });
    Duration::from_nanos(nanos.sum())
}

fn resident(child: &Child) -> u64 {
    let status = fs::read_to_string(proc(child, "status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

impl IdleReport {
    /// Share of one core that it took.
    #[must_use]
    pub fn share(&self) -> f64 {
        self.cpu.as_secs_f64() / self.time.as_secs_f64()
    }
}

impl fmt::Display for IdleReport {
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name =
            CASES.iter().find(|(case, _)| *case == self.case).map_or("idle", |(_, name)| name);
        write!(
            out,
            "{name}: {} files, {:.3} % of a core over {:.0} s, RSS {:.1} MiB, {} descriptors, cpu {:.2} s to start",
            self.case.files,
            self.share() * 100.0,
            self.time.as_secs_f64(),
            self.rss_kib as f64 / 1024.0,
            self.descriptors,
            self.cpu_at_start.as_secs_f64(),
        )
    }
}
