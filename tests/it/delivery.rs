//! Outputs that are away do not harm others, and get everything once they are back.

use crate::{LIMIT, Place, SERVICE, es, tail, tally, wait_for};
use std::fs::{create_dir, read_to_string};
use std::time::Duration;
use tailwater_testing::{BulkStore, Faults, Kind, Mix, Tally, Writer, pause, until};

fn store_away() -> BulkStore {
    BulkStore::refusing(Kind::OpenSearch("3.9.0"), Faults::default())
}

#[test]
fn one_output_that_refuses_connections_does_not_stall_the_other() {
    let (here, away) = (BulkStore::start(Faults::default()), store_away());
    let input = tail("@DIR@/app.log", "    Parser cri\n    Mem_Buf_Limit 5MB");
    let place = Place::new(&[SERVICE, &input, &es(here.port(), ""), &es(away.port(), "")].concat());
    let mut writer = Writer::open(&place.path("app.log"), Mix::default());
    // Half of what Mem_Buf_Limit holds: all of it must reach the store that is here.
    writer.write(6_000);
    let agent = place.start();
    wait_for(&here, 6_000, &agent);
    assert_eq!(away.count(), 0);
    // Four times what it holds: more than can be kept for the one that is away.
    writer.write(48_000);
    pause(Duration::from_secs(2));
    away.listen();
    wait_for(&away, writer.next(), &agent);
    wait_for(&here, writer.next(), &agent);
    assert_eq!(agent.terminate(LIMIT).code, Some(0));
    tally(&here.documents(), writer.next()).assert_exactly_once();
    tally(&away.documents(), writer.next()).assert_exactly_once();
}

#[test]
fn a_store_that_is_away_at_the_start_is_waited_for() {
    let store = store_away();
    let place = Place::new(
        &[
            SERVICE,
            &tail("@DIR@/app.log", "    Parser cri"),
            &es(store.port(), "    Retry_Limit 1"),
        ]
        .concat(),
    );
    let mut writer = Writer::open(&place.path("app.log"), Mix::default());
    writer.write(100);
    let mut agent = place.start();
    // Longer than one retry takes: while nothing connects, none is counted.
    pause(Duration::from_secs(4));
    assert!(agent.is_running(), "{}", agent.stderr());
    store.listen();
    wait_for(&store, 100, &agent);
    tally(&store.documents(), 100).assert_exactly_once();
}

#[test]
fn a_store_that_says_nothing_or_is_older_gets_what_it_can_read() {
    let check = |kind: Kind, more: &str, expected_type: bool| {
        let store = BulkStore::refusing(kind, Faults::default());
        store.listen();
        let output = es(store.port(), more).replace("Suppress_Type_Name On", "Type _doc");
        let place = Place::new(&[SERVICE, &tail("@DIR@/app.log", ""), &output].concat());
        Writer::open(&place.path("app.log"), Mix::default()).write(10);
        let agent = place.start();
        wait_for(&store, 10, &agent);
        assert_eq!(store.types() > 0, expected_type, "{kind:?}");
    };
    check(Kind::OpenSearch("3.9.0"), "", false);
    check(Kind::Elasticsearch("8.15.0"), "", false);
    check(Kind::Elasticsearch("6.8.0"), "", true);
    check(Kind::Silent, "", true);
    check(Kind::Mute, "", true);
    // Not every user may ask; then what the store refuses tells, and counts as no failure.
    check(Kind::Shy("3.9.0"), "    Retry_Limit no_retries", false);
}

/// The password is wrong until the operator mends it: nothing is lost, one line says what to do, and no
/// log at any level holds the password.
#[test]
fn a_wrong_password_is_said_once_and_loses_nothing() {
    let store = BulkStore::start(Faults::default());
    store.demand("Basic Ym9iOnJpZ2h0");
    let output = |password: &str| {
        es(
            store.port(),
            &format!("    HTTP_User bob\n    HTTP_Passwd {password}\n    Retry_Limit 1"),
        )
    };
    let input = tail("@DIR@/app.log", "    Parser cri");
    let place = Place::new(&[SERVICE, &input, &output("wr0ng-secret")].concat());
    Writer::open(&place.path("app.log"), Mix::default()).write(100);
    let agent = place.run(&["-vv", "-c", "fluent-bit.conf"]);
    assert!(until(LIMIT, || store.requests() >= 3), "{}", agent.stderr());
    let ended = agent.terminate(LIMIT);
    let told = |line: &&str| line.contains("ERROR") && line.contains("401");
    assert_eq!(ended.stderr.lines().filter(told).count(), 1, "{}", ended.stderr);
    // Neither as it is written nor as it is sent.
    for secret in ["wr0ng-secret", "Ym9iOndyMG5nLXNlY3JldA"] {
        assert!(!ended.stderr.contains(secret), "a secret in:\n{}", ended.stderr);
    }
    place.configure(&[SERVICE, &input, &output("right")].concat());
    let agent = place.start();
    wait_for(&store, 100, &agent);
    tally(&store.documents(), 100).assert_exactly_once();
}

#[test]
fn an_item_refused_for_good_does_not_hold_up_the_others() {
    let store = BulkStore::start(Faults::default());
    let place = Place::new(&[SERVICE, &tail("@DIR@/app.log", ""), &es(store.port(), "")].concat());
    store.refuse_documents_with("poison");
    place.write("app.log", b"seq=0\nseq=1 poison\nseq=2\n");
    let agent = place.start();
    wait_for(&store, 2, &agent);
    let mut writer = Writer::open(&place.path("app.log"), Mix::default()).numbered_from(3);
    writer.write(10);
    wait_for(&store, 12, &agent);
    let verdict = tally(&store.documents(), 13).verdict();
    assert_eq!((verdict.missing, verdict.doubled), (vec![1], vec![]));
    assert!(until(LIMIT, || agent.stderr().contains("mapper_parsing_exception")));
    assert!(!agent.stderr().contains("poison"), "a record's content in the log");
}

/// The buffer is full and the store away while files are rotated and cut; then the agent is killed.
#[test]
fn files_rotated_and_cut_while_the_store_is_away_arrive_once() {
    let store = store_away();
    let input = tail("@DIR@/*.log", "    Parser cri\n    Mem_Buf_Limit 64k");
    let place = Place::new(&[SERVICE, &input, &es(store.port(), "")].concat());
    let mut rotated = Writer::open(&place.path("rotated.log"), Mix::default());
    rotated.write(1_000);
    let agent = place.start();
    // Time to fill the buffer: much less than what is there fits.
    pause(Duration::from_secs(1));
    rotated.rotate();
    rotated.write(1_000);
    // Long enough for the agent to take hold of the new file.
    pause(Duration::from_secs(1));
    rotated.rotate();
    rotated.write(1_000);
    pause(Duration::from_secs(1));
    agent.kill9();
    let agent = place.start();
    rotated.rotate();
    rotated.write(1_000);
    store.listen();
    wait_for(&store, 4_000, &agent);
    // All of it is read: what is written anew in place are other lines.
    for round in 1..=2 {
        for name in ["one.log", "two.log"] {
            let next = rotated.next();
            std::fs::write(place.path(name), b"").unwrap();
            rotated = Writer::open(&place.path(name), Mix::default()).numbered_from(next);
            rotated.write(100);
        }
        wait_for(&store, 4_000 + round * 200, &agent);
    }
    assert_eq!(agent.terminate(LIMIT).code, Some(0));
    tally(&store.documents(), rotated.next()).assert_exactly_once();
}

/// What cannot be written waits, is said once, and goes on where it stood.
#[test]
fn a_file_that_cannot_be_written_gets_everything_once_it_can() {
    let output = "
[OUTPUT]
    Name file
    Match *
    Path @DIR@/out
    File all.log
    Format template
    Template {log}
";
    let place = Place::new(&[SERVICE, &tail("@DIR@/app.log", "    Parser cri"), output].concat());
    let mut writer = Writer::open(&place.path("app.log"), Mix::default());
    writer.write(1_000);
    let agent = place.start();
    let told = || agent.stderr().matches("cannot write; records are kept").count();
    assert!(until(LIMIT, || told() == 1), "{}", agent.stderr());
    writer.write(1_000);
    // Longer than the pause between two tries.
    pause(Duration::from_secs(2));
    assert_eq!(told(), 1, "{}", agent.stderr());
    create_dir(place.path("out")).unwrap();
    let lines = || read_to_string(place.path("out/all.log")).unwrap_or_default();
    assert!(until(LIMIT, || lines().lines().count() as u64 >= writer.next()), "{}", agent.stderr());
    assert_eq!(agent.terminate(LIMIT).code, Some(0));
    let mut tally = Tally::new(writer.next());
    lines().lines().for_each(|line| tally.count(line));
    tally.assert_exactly_once();
}
