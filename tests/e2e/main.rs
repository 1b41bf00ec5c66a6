//! The reference configuration against real OpenSearch, Loki and kube-apiserver: every line once, in the right
//! place, with what is known of its pod, also when the agent is killed on the way.
//!
//! `cargo test --release --test e2e` starts the servers itself; see `tests/servers`.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code: a panic is how a check fails"
)]

mod api_proxy;
mod arrived;
mod chaos;
mod cluster;
mod journal;
mod kubernetes;
mod manifests;
mod outage;
mod place;
mod refusals;
mod servers;

use cluster::{Cluster, NODE, Pod};
use jiff::Timestamp;
use serde_json::{Value, json};
use servers::Server;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tailwater_testing::{Agent, Mix, Tally, Writer, pause, readme_commands, until, write_out};
use tempfile::TempDir;

const FILES: u64 = 10;
const LINES: u64 = 100_000;
const INDEXES: &str = "kubernetes-*";

/// The configuration reads the journal and sends it nowhere: whether its records arrive is seen by one more output.
const JOURNAL_OUTPUT: &str = "
[OUTPUT]
    Name                es
    Match               systemd.*
    Host                127.0.0.1
    Port                @ES_PORT@
    Index               journal
    Suppress_Type_Name  On
";
const JOURNAL_INDEX: &str = "journal";

/// What of `kubernetes` becomes labels in Loki.
const LABEL_KEYS: [&str; 3] = ["namespace_name", "pod_name", "container_name"];

/// Reading, sending and the stores' own work on a busy machine of two cores.
const ARRIVAL_MAX: Duration = Duration::from_mins(3);

#[test]
fn everything_arrives_once_in_both_stores() {
    let mut run = Run::start();
    run.write_all(Duration::ZERO, &[]);
    run.check();
}

#[test]
fn everything_arrives_once_in_both_stores_when_killed_three_times() {
    let seed = fastrand::u64(..);
    write_out(&format!("seed {seed}\n"));
    let mut random = fastrand::Rng::with_seed(seed);
    let mut run = Run::start();
    let mut kills: Vec<u64> = (0..3).map(|_| random.u64(1..STEPS)).collect();
    kills.sort_unstable();
    run.write_all(Duration::from_millis(80), &kills);
    run.check();
}

/// As a reader of the README will do it, on other ports.
#[test]
fn the_readme_ships_a_line_into_both() {
    let turn = turn();
    let search = Server::start("opensearch", "/_cluster/health");
    let loki = Server::start("loki", "/ready");
    let program = Path::new(env!("CARGO_BIN_EXE_tailwater"));
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", program.parent().unwrap().display());
    let commands = readme_commands(include_str!("../../README.md"), "sh stores");
    assert_eq!(commands.len(), 4, "{commands:?}");
    let said: Vec<_> = commands
        .iter()
        .map(|command| {
            let command = command
                .replace("9200", &search.port().to_string())
                .replace("3100", &loki.port().to_string());
            let output =
                Command::new("sh").args(["-c", &command]).env("PATH", &path).output().unwrap();
            let log = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{command}: {log}");
            String::from_utf8(output.stdout).unwrap()
        })
        .collect();
    for answer in &said[2..] {
        assert!(answer.contains("hello\"") && !answer.contains("\"result\":[]"), "{answer}");
    }
    drop(turn);
}

/// The files are written in so many steps, each a part of every file.
const STEPS: u64 = 100;

/// One test at a time: two of each server would starve one another.
static TURN: Mutex<()> = Mutex::new(());

/// Waits until it is one's turn, also behind a test that failed.
fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The servers, the agent, and the files it follows.
struct Run {
    _turn: MutexGuard<'static, ()>,
    cluster: Cluster,
    /// Each with a log of its own.
    pods: Vec<Pod>,
    search: Server,
    loki: Server,
    runtime: tokio::runtime::Runtime,
    folder: TempDir,
    agent: Option<Agent>,
    writers: Vec<Writer>,
    mix: Mix,
}

impl Run {
    fn start() -> Self {
        let turn = turn();
        let search = Server::start("opensearch", "/_cluster/health");
        let loki = Server::start("loki", "/ready");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let folder = tailwater_testing::folder();
        let dir = folder.path();
        for name in ["containers", "journal", "pods"] {
            std::fs::create_dir(dir.join(name)).unwrap();
        }
        let cluster = Cluster::start();
        std::fs::write(dir.join("token"), cluster.token()).unwrap();
        let tag = dir.to_str().unwrap().trim_start_matches('/').replace('/', ".");
        let conf = [include_str!("fluent-bit.conf"), JOURNAL_OUTPUT].concat();
        let conf = conf
            .replace("@DIR@", dir.to_str().unwrap())
            .replace("@TAG@", &tag)
            .replace("@KUBE_URL@", &cluster.url())
            .replace("@KUBE_CA@", cluster.authority().to_str().unwrap())
            .replace("@ES_PORT@", &search.port().to_string())
            .replace("@LOKI_PORT@", &loki.port().to_string());
        std::fs::write(dir.join("fluent-bit.conf"), conf).unwrap();
        std::fs::write(dir.join("parsers.conf"), include_str!("parsers.conf")).unwrap();
        let mix = Mix { start: Some(before_midnight()), ..Mix::default() };
        let agent = Some(start_agent(dir));
        let run = Self {
            _turn: turn,
            cluster,
            pods: Vec::new(),
            search,
            loki,
            runtime,
            folder,
            agent,
            writers: Vec::new(),
            mix,
        };
        run.wait_until_following();
        run
    }

    /// Without `Read_from_Head`, only files that appear after the first look into the folder are read
    /// from their first line. The first line to arrive from some new file says that this look is over.
    fn wait_until_following(&self) {
        let mut canaries = 0;
        let arrived = until(ARRIVAL_MAX, || {
            let mut line = Vec::new();
            // A time like the others': Loki takes nothing that lies far behind a stream's newest line.
            Mix { plain_every: 1, ..self.mix }.write(0, &mut line);
            let line = String::from_utf8(line).unwrap().replace("seq=0", "canary");
            std::fs::write(self.log(&format!("canary-{canaries}")), line).unwrap();
            canaries += 1;
            pause(Duration::from_secs(1));
            self.count() > 0
        });
        assert!(arrived, "nothing arrives; the agent said:\n{}", self.agent_log());
    }

    /// Writes every line; a health check, which the configuration drops, after each step of each file.
    fn write_all(&mut self, pace: Duration, kills: &[u64]) {
        let per_file = LINES / FILES;
        for file in 0..FILES {
            let pod = Pod::run(&self.cluster, NODE, &format!("checkout-{file}"), file);
            let path = self.log(&pod.log_name());
            self.pods.push(pod);
            let writer = Writer::open(&path, self.mix).numbered_from(file * per_file);
            self.writers.push(writer);
        }
        for step in 0..STEPS {
            for file in 0..self.writers.len() {
                self.writers[file].write(per_file / STEPS);
                self.writers[file].write_line("2026-01-01T00:00:00Z stdout F GET /healthcheck 200");
            }
            if step == 0 && !kills.is_empty() {
                // A file not followed yet when the agent ends would be read from its end by the next.
                let first = LINES / STEPS;
                assert!(until(ARRIVAL_MAX, || self.count() >= first), "{}", self.agent_log());
            }
            if kills.contains(&step) {
                self.agent.take().unwrap().kill9();
                self.agent = Some(start_agent(self.folder.path()));
            }
            pause(pace);
        }
        // Without a `DB`, each agent reads what comes after its own start.
        let has_begun = || self.agent_log().contains("there is no journal in");
        assert!(until(ARRIVAL_MAX, has_begun), "{}", self.agent_log());
        let entries = include_bytes!("../fixtures/journal/later.journal.zst");
        let folder = self.folder.path();
        std::fs::write(folder.join("new"), zstd::decode_all(&entries[..]).unwrap()).unwrap();
        std::fs::rename(folder.join("new"), folder.join("journal/system.journal")).unwrap();
    }

    fn check(mut self) {
        let from = self.mix.time(0) - 1_000_000_000;
        let to = self.mix.runtime_time(LINES) + 1_000_000_000;
        let port = self.loki.port();
        let lines = || {
            let query = "%7Bjob%3D%22fluentbit%22%7D";
            let mut lines = self.runtime.block_on(arrived::lines(port, query, from, to));
            lines.retain(|line| !line.text.contains("canary"));
            lines
        };
        let all = until(ARRIVAL_MAX, || {
            let arrived = self.count() >= LINES && lines().len() as u64 >= LINES;
            if !arrived {
                pause(Duration::from_secs(1));
            }
            arrived
        });
        if !all {
            write_out(&self.agent_log());
        }
        let lines = lines();
        self.check_journal();
        let ended = self.agent.take().unwrap().terminate(Duration::from_secs(10));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        self.check_documents();
        self.check_lines(&lines);
    }

    /// The entries of `later`, as the section of the configuration wants them.
    fn check_journal(&self) {
        let client = self.search.search_client();
        let count = || self.runtime.block_on(arrived::count(&client, JOURNAL_INDEX));
        assert!(until(ARRIVAL_MAX, || count() == 2), "{}: {}", count(), self.agent_log());
        let documents = self.runtime.block_on(arrived::documents(&client, JOURNAL_INDEX));
        let mut found: Vec<_> = documents.into_iter().map(|document| document.fields).collect();
        found.sort_by_key(Value::to_string);
        let expected = ["later one", "later two"].iter().zip(20..).map(|(message, second)| {
            json!({
                "@timestamp": format!("2023-11-14T22:14:{second}.000Z"),
                "BOOT_ID": "c".repeat(32),
                "SYSTEMD_UNIT": "later.service",
                "PRIORITY": "6",
                "MESSAGE": message,
            })
        });
        assert_eq!(found, expected.collect::<Vec<_>>());
    }

    fn check_documents(&self) {
        let client = self.search.search_client();
        self.count();
        let mut tally = Tally::new(LINES);
        for document in self.runtime.block_on(arrived::documents(&client, INDEXES)) {
            let text = document.fields.to_string();
            if text.contains("canary") {
                continue;
            }
            tally.count(&text);
            let Some(number) = Tally::number(&text) else { continue };
            let time = Timestamp::from_nanosecond(i128::from(self.record_time(number))).unwrap();
            assert_eq!(document.index, format!("kubernetes-{}", time.strftime("%Y.%m.%d")));
            let mut expected = self.expected(number);
            expected["@timestamp"] = json!(time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string());
            assert_eq!(document.fields, expected);
        }
        write_out(&format!("OpenSearch: {}\n", tally.verdict()));
        tally.assert_exactly_once();
    }

    fn check_lines(&self, lines: &[arrived::Line]) {
        let mut tally = Tally::new(LINES);
        for line in lines {
            tally.count(&line.text);
            let Some(number) = Tally::number(&line.text) else { continue };
            let labels = json!({
                "job": "fluentbit",
                "cluster": "production",
                "kubernetes_namespace_name": "shop",
                "kubernetes_pod_name": self.pod(number).name,
                "kubernetes_container_name": "app",
            });
            assert_eq!(line.labels, labels);
            assert_eq!(line.time, self.record_time(number), "{}", line.text);
            let fields: Value = serde_json::from_str(&line.text).unwrap();
            let mut expected = self.expected(number);
            // As in Fluent Bit, what became a label is not in the line.
            let in_map = expected["kubernetes"].as_object_mut().unwrap();
            in_map.retain(|key, _| !LABEL_KEYS.contains(&key.as_str()));
            assert_eq!(fields, expected);
        }
        write_out(&format!("Loki: {}\n", tally.verdict()));
        tally.assert_exactly_once();
    }

    /// The runtime's time: what `kubernetes` merges brings none, and the parser behind it finds nothing to read.
    fn record_time(&self, number: u64) -> i64 {
        self.mix.runtime_time(number)
    }

    /// The pod that wrote a line.
    fn pod(&self, number: u64) -> &Pod {
        &self.pods[usize::try_from(number / (LINES / FILES)).unwrap()]
    }

    /// What the filters make of a line.
    fn expected(&self, number: u64) -> Value {
        let mut line = Vec::new();
        self.mix.write(number, &mut line);
        let line = String::from_utf8(line).unwrap();
        let (_, message) = line.trim_end_matches('\n').split_once(" F ").unwrap();
        let mut fields: Value =
            serde_json::from_str(message).unwrap_or_else(|_| json!({"message": message}));
        fields["logtag"] = json!("F");
        fields["cluster_name"] = json!("production-eks");
        fields["kubernetes"] = self.pod(number).metadata();
        fields["kubernetes"]["labels"] = Pod::labels();
        fields
    }

    fn count(&self) -> u64 {
        let client = self.search.search_client();
        self.runtime.block_on(arrived::count(&client, INDEXES))
    }

    /// A new log file, reached through a link as the kubelet lays it.
    fn log(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join("pods").join(format!("{name}.log"));
        std::fs::File::create(&path).unwrap();
        let link = self.folder.path().join("containers").join(format!("{name}.log"));
        std::os::unix::fs::symlink(&path, link).unwrap();
        path
    }

    fn agent_log(&self) -> String {
        self.agent.as_ref().map(Agent::stderr).unwrap_or_default()
    }
}

fn start_agent(dir: &Path) -> Agent {
    Agent::start(Path::new(env!("CARGO_BIN_EXE_tailwater")), dir, &["-c", "fluent-bit.conf"])
}

/// 50 seconds before the last midnight in UTC: half of the lines belong into one index, half into the
/// next. In nanoseconds since the epoch.
fn before_midnight() -> i64 {
    const DAY: i64 = 86_400;
    let now = Timestamp::now().as_second();
    (now - now % DAY - 50) * 1_000_000_000 + 123_456_000
}
