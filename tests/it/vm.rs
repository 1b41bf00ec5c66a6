//! What `config/vm` ships from a machine: every kind of line that its logs have, with the fields and the time that it
//! has in OpenSearch and in Loki.

use crate::{LIMIT, PROGRAM, Place, journal};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::path::Path;
use tailwater_testing::{
    Agent, BulkStore, Faults, LokiStore, configure_machine, machine_configurations, until,
};

/// `[file below /var/log]`, then the lines of a record after `< ` and what it becomes after `> `, with its time where
/// it has one of its own. The machine is two hours ahead of UTC.
const SAMPLES: &str = include_str!("vm.txt");

/// Not even a warning.
#[test]
fn the_configurations_say_what_they_mean() {
    for conf in ["opensearch.conf", "loki.conf"] {
        let path = machine_configurations().join(conf);
        let ended = Place::new("").finish(&["check", path.to_str().unwrap(), "--strict"]);
        assert_eq!(ended.code, Some(0), "{conf}: {}", ended.stderr);
        assert_eq!(ended.stderr, "configuration test is successful\n", "{conf}");
    }
}

#[test]
fn opensearch_has_every_line_with_its_fields_and_time() {
    let store = BulkStore::start(Faults::default());
    let machine = Machine::start("opensearch.conf", store.port());
    machine.wait_for(|| store.count());
    let stored = store.documents().into_iter().map(|document| {
        let mut fields = document.fields();
        let (day, _) = fields["@timestamp"].as_str().unwrap().split_once('T').unwrap();
        let day = day.replace('-', ".");
        assert_eq!(document.index, format!("logs-{day}"));
        assert_eq!(fields.as_object_mut().unwrap().remove("hostname").unwrap(), "web-1");
        fields
    });
    machine.check(stored.collect());
}

#[test]
fn loki_has_every_line_with_its_labels_and_time() {
    let store = LokiStore::start(Faults::default());
    let machine = Machine::start("loki.conf", store.port());
    machine.wait_for(|| store.count());
    let stored = store.entries().into_iter().map(|entry| {
        let mut fields: Map<String, Value> = serde_json::from_str(&entry.line).unwrap();
        let labels = entry.labels.strip_prefix(r#"{job="tailwater", hostname="web-1", source=""#);
        let source = labels.unwrap().strip_suffix(r#""}"#).unwrap();
        let time = Timestamp::from_millisecond(entry.time.div_euclid(1_000_000)).unwrap();
        fields.insert("source".to_owned(), json!(source));
        fields.insert("@timestamp".to_owned(), json!(format!("{time:.3}")));
        Value::Object(fields)
    });
    machine.check(stored.collect());
}

#[test]
fn of_the_journal_the_fields_that_are_asked_for() {
    let store = BulkStore::start(Faults::default());
    let place = Place::new("");
    let conf = configure_machine(place.dir(), "opensearch.conf", &["journal"], store.port());
    journal::put(&place, "boots");
    let arguments = ["HOSTNAME=web-1", PROGRAM, "-c", conf.to_str().unwrap()];
    let agent = Agent::start(Path::new("env"), place.dir(), &arguments);
    if !journal::has_library() {
        return journal::check_without_library(agent);
    }
    assert!(until(LIMIT, || store.count() >= 5), "{}", agent.stderr());
    let documents = store.documents();
    let first = documents.iter().find(|it| it.source.contains("first")).unwrap().fields();
    let expected = json!({
        "@timestamp": "2023-11-14T22:13:20.000Z", "hostname": "web-1", "message": "first", "pid": "42",
        "priority": "6", "source": "journal", "systemd_unit": "sshd.service",
    });
    assert_eq!(first, expected);
    assert_eq!(documents.len(), 5);
}

/// A machine with the logs of the samples, and the agent that ships them.
struct Machine {
    // Before the folder: its end writes there.
    agent: Agent,
    _place: Place,
    expected: Vec<Value>,
}

impl Machine {
    fn start(conf: &str, port: u16) -> Self {
        let place = Place::new("");
        let conf = configure_machine(place.dir(), conf, &["nginx", "syslog"], port);
        let mut expected = Vec::new();
        let year = Timestamp::now().strftime("%Y").to_string();
        for section in SAMPLES.replace("@YEAR@", &year).split("\n\n") {
            let (file, lines) = section.split_once('\n').unwrap();
            let file = file.strip_prefix('[').and_then(|file| file.strip_suffix(']')).unwrap();
            let logged = lines.lines().filter_map(|line| line.strip_prefix("< "));
            let logged: String = logged.flat_map(|line| [line, "\n"]).collect();
            place.write(&format!("log/{file}"), logged.as_bytes());
            let records = lines.lines().filter_map(|line| line.strip_prefix("> "));
            expected.extend(records.map(|record| serde_json::from_str::<Value>(record).unwrap()));
        }
        let conf = conf.to_str().unwrap();
        let arguments = ["TZ=EET-2", "HOSTNAME=web-1", PROGRAM, "-c", conf];
        let agent = Agent::start(Path::new("env"), place.dir(), &arguments);
        Self { agent, _place: place, expected }
    }

    fn wait_for(&self, count: impl Fn() -> usize) {
        let arrived = until(LIMIT, || count() >= self.expected.len());
        assert!(arrived, "{} of {}: {}", count(), self.expected.len(), self.agent.stderr());
    }

    /// That these records are what was expected, in any order. A time that a line does not have is not compared.
    fn check(self, mut stored: Vec<Value>) {
        let ended = self.agent.terminate(LIMIT);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        for expected in &self.expected {
            let is_it = |record: &Value| {
                let mut record = record.clone();
                if expected.get("@timestamp").is_none() {
                    record.as_object_mut().unwrap().remove("@timestamp");
                }
                record == *expected
            };
            let found = stored.iter().position(is_it);
            assert!(found.is_some(), "{expected} is not in {stored:#?}");
            stored.swap_remove(found.unwrap());
        }
        assert_eq!(stored, [] as [Value; 0]);
    }
}
