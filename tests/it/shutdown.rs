//! The end that is asked for: what was read is sent, then the exit code is 0.

use crate::{LIMIT, Place, SERVICE, endpoints, es, tail, tally};
use std::time::{Duration, Instant};
use tailwater_testing::{BulkStore, Faults, Kind, Mix, Writer, until};

/// Less than a full chunk: they must lie in the agent when it is asked to end.
const LINES: u64 = 1_000;

#[test]
fn what_was_read_is_sent_before_the_end() {
    let store = BulkStore::start(Faults::default());
    // A flush that never comes by itself.
    let port = endpoints::free_port();
    let service = service(port).replace("0.2", "3600");
    let input = tail("@DIR@/app.log", "    Parser cri");
    let place = Place::new(&[service, input, es(store.port(), "")].concat());
    let mut writer = Writer::open(&place.path("app.log"), Mix::default());
    let agent = place.start();
    writer.write(LINES);
    assert!(until(LIMIT, || has_read(port, LINES)), "{}", agent.stderr());
    let ended = agent.terminate(LIMIT);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    tally(&store.documents(), LINES).assert_exactly_once();
}

/// `SERVICE` with the admin server, which says how many lines were read.
fn service(port: u16) -> String {
    format!("{SERVICE}    HTTP_Server On\n    HTTP_Listen 127.0.0.1\n    HTTP_Port {port}\n")
}

fn has_read(port: u16, lines: u64) -> bool {
    let counter = format!("fluentbit_input_records_total{{name=\"tail.0\"}} {lines}");
    let answer = endpoints::get(port, "/api/v1/metrics/prometheus");
    answer.is_some_and(|(_, metrics)| metrics.contains(&counter))
}

#[test]
fn a_store_that_is_away_does_not_hold_up_the_end_longer_than_grace() {
    let store = BulkStore::refusing(Kind::OpenSearch("3.9.0"), Faults::default());
    let port = endpoints::free_port();
    let service = service(port).replace("Grace           5", "Grace           1");
    let input = tail("@DIR@/app.log", "    Parser cri");
    let place = Place::new(&[service, input, es(store.port(), "")].concat());
    let mut writer = Writer::open(&place.path("app.log"), Mix::default());
    writer.write(LINES);
    let agent = place.start();
    assert!(until(LIMIT, || has_read(port, LINES)), "{}", agent.stderr());
    let began = Instant::now();
    let ended = agent.terminate(LIMIT);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(began.elapsed() < Duration::from_secs(5), "took {:?}", began.elapsed());
    // The next one sends what this one could not.
    store.listen();
    let agent = place.start();
    assert!(until(LIMIT, || store.count() as u64 == LINES), "{}", agent.stderr());
    assert_eq!(agent.terminate(LIMIT).code, Some(0));
    tally(&store.documents(), LINES).assert_exactly_once();
}
