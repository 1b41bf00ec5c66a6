//! End to end, through the real program, against stores that fail on purpose.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code: a panic is how a check fails"
)]

mod backlog;
mod bad_input;
mod bench;
mod command_line;
mod corpus;
mod counters;
mod dead_letters;
mod delivery;
mod disk;
mod docs;
mod endpoints;
mod fairness;
mod journal;
mod kubernetes;
mod long_lines;
mod manifests;
mod never_acts;
mod once;
mod pipes;
mod readme;
mod reload;
mod resume;
mod rights;
mod rotate;
mod shutdown;
mod stock_parsers;
mod supervisor;
mod tail_properties;
mod tidy;
mod tls;
mod vm;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tailwater_testing::{Agent, BulkStore, Document, Ended, PARSERS, Tally, until};
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine; only a failure waits so long.
const LIMIT: Duration = Duration::from_mins(1);

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_tailwater");

/// A folder with a configuration, and the agents that run there one after another.
struct Place {
    folder: TempDir,
}

impl Place {
    /// `@DIR@` in the configuration stands for the folder.
    fn new(conf: &str) -> Self {
        let place = Self { folder: tailwater_testing::folder() };
        place.configure(conf);
        place
    }

    fn configure(&self, conf: &str) {
        let conf = conf.replace("@DIR@", self.dir().to_str().unwrap());
        self.write("fluent-bit.conf", conf.as_bytes());
        self.write("parsers.conf", PARSERS.as_bytes());
    }

    fn dir(&self) -> &Path {
        self.folder.path()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn start(&self) -> Agent {
        self.run(&["-c", "fluent-bit.conf"])
    }

    /// Starts it without the right to read what is closed to it: root has that right, and drops it here.
    fn start_humbly(&self) -> Agent {
        if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
            return self.start();
        }
        let without = "--bounding-set=-dac_override,-dac_read_search";
        let arguments = [without, PROGRAM, "-c", "fluent-bit.conf"];
        Agent::start(Path::new("setpriv"), self.dir(), &arguments)
    }

    fn run(&self, arguments: &[&str]) -> Agent {
        Agent::start(Path::new(PROGRAM), self.dir(), arguments)
    }

    /// Runs until the agent ends by itself.
    fn finish(&self, arguments: &[&str]) -> Ended {
        self.run(arguments).wait(LIMIT)
    }
}

const SERVICE: &str = "
[SERVICE]
    Flush           0.2
    Grace           5
    Parsers_File    parsers.conf
    Scheduler.Base  1
    Scheduler.Cap   2
";

/// A `tail` input over `path`, with a database unless `more` names none.
fn tail(path: &str, more: &str) -> String {
    format!(
        "\n[INPUT]\n    Name tail\n    Path {path}\n    Tag kube.*\n    Read_from_Head On\n    \
         Refresh_Interval 1\n    DB @DIR@/positions.db\n{more}\n"
    )
}

/// An `es` output.
fn es(port: u16, more: &str) -> String {
    format!(
        "\n[OUTPUT]\n    Name es\n    Match *\n    Host 127.0.0.1\n    Port {port}\n    Index lines\n    \
         Suppress_Type_Name On\n{more}\n"
    )
}

/// A `stdout` output.
const STDOUT: &str = "\n[OUTPUT]\n    Name stdout\n    Match *\n    Format json_lines\n";

/// Turns the numbers in what is stored into a tally of `0..expected`.
fn tally(documents: &[Document], expected: u64) -> Tally {
    let mut tally = Tally::new(expected);
    for document in documents {
        tally.count(&document.source);
    }
    tally
}

/// Waits until so many documents are stored, and shows the agent's log if they do not come.
#[track_caller]
fn wait_for(store: &BulkStore, count: u64, agent: &Agent) {
    let arrived = until(LIMIT, || store.count() as u64 >= count);
    assert!(arrived, "{} of {count} arrived; the agent said:\n{}", store.count(), agent.stderr());
}
