//! One agent with a configuration of its own, the file that it follows, and what it says of itself.

use jiff::Timestamp;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tailwater_testing::{Agent, Ended, free_port};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_tailwater");

/// An agent that is asked to end has sent what it may by then.
const END_MAX: Duration = Duration::from_secs(30);

/// A folder with `app.log`, whose lines are JSON with a time and a number.
pub(crate) struct Place {
    // Before the folder: its end writes there.
    agent: Option<Agent>,
    folder: TempDir,
    /// Of the agent's own pages.
    port: u16,
    runtime: tokio::runtime::Runtime,
    /// Time of the line with number 0, in nanoseconds since the epoch; each further line is a millisecond
    /// later.
    start: i64,
}

impl Place {
    /// With no line yet, and no agent.
    pub(crate) fn new() -> Self {
        let folder = tailwater_testing::folder();
        let parser = "[PARSER]\n    Name app\n    Format json\n    Time_Key time\n    \
                      Time_Format %Y-%m-%dT%H:%M:%S.%L%z\n";
        std::fs::write(folder.path().join("parsers.conf"), parser).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let start = Timestamp::now().as_second() * 1_000_000_000;
        Self { folder, port: free_port(), agent: None, runtime, start }
    }

    /// Starts an agent with these lines of `[SERVICE]` and these of `[OUTPUT]`. It tries again every two or three
    /// seconds.
    pub(crate) fn start(&mut self, service: &str, output: &str) {
        let port = self.port;
        let conf = format!(
            "[SERVICE]\n    Flush 1\n    Grace 1\n    Parsers_File parsers.conf\n    HTTP_Server On\n    \
             HTTP_Listen 127.0.0.1\n    HTTP_Port {port}\n    scheduler.base 1\n    scheduler.cap 2\n{service}\n\
             [INPUT]\n    Name tail\n    Path app.log\n    Parser app\n    Tag app\n    Read_from_Head On\n    \
             DB app.db\n    Refresh_Interval 1\n\
             [OUTPUT]\n    Match *\n    Host 127.0.0.1\n    Alias store\n{output}"
        );
        std::fs::write(self.folder.path().join("agent.conf"), conf).unwrap();
        let arguments = ["-c", "agent.conf"];
        self.agent = Some(Agent::start(Path::new(PROGRAM), self.folder.path(), &arguments));
    }

    /// Appends the lines with these numbers; `more(number)` is what they have beside it.
    pub(crate) fn write(&self, numbers: std::ops::Range<u64>, more: impl Fn(u64) -> &'static str) {
        let mut lines = String::new();
        for number in numbers {
            let time = Timestamp::from_nanosecond(i128::from(self.time(number))).unwrap();
            let more = more(number);
            writeln!(lines, r#"{{"time":"{time:.3}","seq":{number}{more}}}"#).unwrap();
        }
        let path = self.folder.path().join("app.log");
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(lines.as_bytes()).unwrap();
    }

    /// Time of a line, in nanoseconds since the epoch.
    pub(crate) fn time(&self, number: u64) -> i64 {
        self.start + i64::try_from(number).unwrap() * 1_000_000
    }

    /// What the output has counted; 0 if there is no such counter yet. `counter` is a name and, if it has any, the
    /// labels behind that of the output.
    pub(crate) fn counted(&self, counter: &str) -> u64 {
        let (name, labels) = counter.split_once(' ').unwrap_or((counter, ""));
        let begin = format!("{name}{{name=\"store\"{labels}}} ");
        let url = format!("http://127.0.0.1:{}/api/v1/metrics/prometheus", self.port);
        let page = self.block_on(async { reqwest::get(url).await.ok()?.text().await.ok() });
        let page = page.unwrap_or_default();
        let value = page.lines().find_map(|line| line.strip_prefix(&*begin)?.split(' ').next());
        value.map_or(0, |value| value.parse().unwrap())
    }

    /// How many chunks wait on the disk for the output.
    pub(crate) fn waiting(&self) -> usize {
        let files = std::fs::read_dir(self.folder.path().join("storage/out/store"));
        files.map_or(0, Iterator::count)
    }

    /// Runs `tailwater dead-letter`: the lines that it prints.
    pub(crate) fn dead_letters(&self, action: &str) -> Vec<Value> {
        let mut command = Command::new(PROGRAM);
        command.args(["dead-letter", action, "storage"]).current_dir(self.folder.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What the agent has said so far.
    pub(crate) fn log(&self) -> String {
        self.agent.as_ref().map(Agent::stderr).unwrap_or_default()
    }

    /// Ends the agent, as it is meant to be.
    pub(crate) fn end(&mut self) -> Ended {
        let ended = self.agent.take().unwrap().terminate(END_MAX);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    }

    /// For what is asked of stores.
    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}
