//! What a store refuses for good is kept with its reason, shown, and sent again.

use crate::{LIMIT, PROGRAM, Place, SERVICE, endpoints, es, tail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;
use tailwater_testing::{Agent, BulkStore, Faults, LokiStore, free_port, until};

/// `SERVICE` with a place for dead letters.
fn service(more: &str) -> String {
    format!("{SERVICE}    storage.path @DIR@/storage\n    storage.keep.rejected On\n{more}")
}

/// Runs `dead-letter`: whether it went well, its lines, and what it says else.
fn dead_letter(place: &Place, arguments: &[&str]) -> (bool, Vec<Value>, String) {
    let output = Command::new(PROGRAM)
        .arg("dead-letter")
        .args(arguments)
        .current_dir(place.dir())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.success(), lines, String::from_utf8(output.stderr).unwrap())
}

/// Numbers of the lines whose `log` is one, in order.
fn numbers(logs: impl Iterator<Item = String>) -> Vec<u32> {
    let mut numbers: Vec<_> =
        logs.map(|log| log.split(' ').next().unwrap().parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

fn stored(store: &BulkStore) -> Vec<u32> {
    let log = |fields: Value| fields["log"].as_str().unwrap().to_owned();
    numbers(store.documents().into_iter().map(|document| log(document.fields())))
}

fn shown(lines: &[Value]) -> Vec<u32> {
    numbers(lines.iter().map(|line| line["record"]["log"].as_str().unwrap().to_owned()))
}

/// Every hundredth line cannot be mapped.
fn write(place: &Place, count: u32) {
    let poison = |number| if number % 100 == 0 { "poison" } else { "fine" };
    let lines = (0..count).map(|number| format!("{number} {}\n", poison(number)));
    place.write("app.log", lines.collect::<String>().as_bytes());
}

/// A store that refuses every hundredth line, and a place for what it refuses.
fn picky_store(lines: u32) -> (BulkStore, Place) {
    let store = BulkStore::start(Faults::default());
    store.refuse_documents_with("poison");
    let output = es(store.port(), "    Alias store\n");
    let place = Place::new(&[service(""), tail("@DIR@/app.log", ""), output].concat());
    write(&place, lines);
    (store, place)
}

#[track_caller]
fn await_records(agent: &Agent, what: impl Fn() -> bool) {
    assert!(until(LIMIT, what), "{}", agent.stderr());
}

#[test]
fn one_bad_document_in_a_hundred_is_kept_and_the_others_are_stored_once() {
    let (store, place) = picky_store(5_000);
    let agent = place.start();
    let kept = || shown(&dead_letter(&place, &["show", "storage"]).1);
    await_records(&agent, || store.count() == 4_950 && kept().len() == 50);
    let requests = store.requests();
    let ended = agent.terminate(LIMIT);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(store.requests(), requests, "nothing is sent again");
    assert_eq!(stored(&store), (0..5_000).filter(|n| n % 100 != 0).collect::<Vec<_>>());
    assert_eq!(kept(), (0..5_000).step_by(100).collect::<Vec<_>>());
    assert!(!ended.stderr.contains("poison"), "the log quotes a record: {}", ended.stderr);

    let (_, lines, _) = dead_letter(&place, &["show", "storage/rejected"]);
    let expected = [
        ("kind", "mapper_parsing_exception"),
        ("reason", "failed to parse"),
        ("output", "store"),
        (
            "tag",
            &format!(
                "kube.{}",
                place
                    .path("app.log")
                    .display()
                    .to_string()
                    .replace('/', ".")
                    .trim_start_matches('.')
            ),
        ),
    ];
    for (key, value) in expected {
        assert_eq!(lines[0][key], *value, "{}", lines[0]);
    }
    let (is_good, files, _) = dead_letter(&place, &["list", "storage"]);
    let records: u64 = files.iter().map(|file| file["records"].as_u64().unwrap()).sum();
    assert_eq!((is_good, records), (true, 50));
    assert_eq!(files[0]["reasons"]["mapper_parsing_exception"], files[0]["records"]);
}

#[test]
fn what_is_replayed_lies_with_its_output_and_not_with_the_dead_letters() {
    let (_store, place) = picky_store(500);
    let agent = place.start();
    let kept = || shown(&dead_letter(&place, &["show", "storage"]).1).len();
    await_records(&agent, || kept() == 5);
    let (is_good, _, said) = dead_letter(&place, &["replay", "storage"]);
    assert!(!is_good && said.contains("an agent is running on `storage`: stop it"), "{said}");
    assert_eq!(agent.terminate(LIMIT).code, Some(0));
    let (is_good, lines, said) = dead_letter(&place, &["replay", "storage"]);
    assert!(is_good, "{said}");
    let records: u64 = lines.iter().map(|line| line["records"].as_u64().unwrap()).sum();
    assert_eq!((records, kept()), (5, 0));
    let waiting = dead_letter(&place, &["show", "storage/out/store"]).1;
    assert_eq!(shown(&waiting), [0, 100, 200, 300, 400]);
}

#[test]
fn what_is_given_up_is_kept_and_the_oldest_makes_room() {
    let store = BulkStore::start(Faults { resets: 1.0, ..Faults::default() });
    let port = free_port();
    let more = format!("    storage.rejected.limit 300\n{}", endpoints::http(port));
    let output = es(store.port(), "    Retry_Limit no_retries\n");
    let place = Place::new(&[service(&more), tail("@DIR@/*.log", ""), output].concat());
    let agent = place.start();
    for number in 0..3 {
        place.write(&format!("{number}.log"), format!("{number} line\n").as_bytes());
        let counter =
            format!("tailwater_output_dead_letters_total{{name=\"es.0\"}} {}", number + 1);
        await_records(&agent, || endpoints::metrics(port).contains(&counter));
    }
    let dropped = "tailwater_output_dead_letters_dropped_total{name=\"es.0\"} 2";
    await_records(&agent, || endpoints::metrics(port).contains(dropped));
    let (_, lines, _) = dead_letter(&place, &["show", "storage"]);
    assert_eq!(shown(&lines), [2]);
    assert_eq!(lines[0]["kind"], "retry_limit");
}

#[test]
fn loki_refuses_some_entries_and_gets_the_others_once() {
    let store = LokiStore::start(Faults::default());
    store.refuse_lines_with("poison");
    let output = format!(
        "\n[OUTPUT]\n    Name loki\n    Match *\n    Host 127.0.0.1\n    Port {}\n    Labels job=test\n",
        store.port()
    );
    let place = Place::new(&[service(""), tail("@DIR@/app.log", ""), output].concat());
    write(&place, 1_000);
    let agent = place.start();
    let kept = || dead_letter(&place, &["show", "storage"]).1;
    await_records(&agent, || store.count() == 990 && kept().len() == 10);
    assert_eq!(agent.terminate(LIMIT).code, Some(0));
    assert_eq!(shown(&kept()), (0..1_000).step_by(100).collect::<Vec<_>>());
    let mut lines: BTreeMap<String, u32> = BTreeMap::new();
    store.entries().into_iter().for_each(|entry| *lines.entry(entry.line).or_default() += 1);
    assert_eq!(lines.len(), 990);
    assert!(lines.values().all(|count| *count == 1));
    // Each of ten is found in ten steps of two halves.
    assert!(store.requests() < 10 * 10 * 2 + 10, "{} requests", store.requests());
}

#[test]
fn what_cannot_be_done_is_said() {
    let place = Place::new("");
    place.write("text.chunk", b"a line\n");
    let check = |arguments: &[&str], expected: &str| {
        let (is_good, lines, said) = dead_letter(&place, arguments);
        assert!(!is_good && lines.is_empty(), "{arguments:?}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    };
    check(&[], "which dead letters? write `tailwater dead-letter");
    check(&["bury", "."], "`dead-letter` cannot `bury`");
    check(&["list", "nowhere"], "cannot read `nowhere`: No such file");
    check(&["list", "text.chunk"], "cannot read `text.chunk`: it is no chunk file");
    check(&["show", "."], "text.chunk`: it is no chunk file");
    check(&["replay", "."], "`.` lies in no `storage.path`");
    check(&["list", ".", "more"], "unexpected argument \"more\"");
}
