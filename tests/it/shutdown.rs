//! The end that is asked for: what was read is sent, then the exit code is 0.

use crate::{LIMIT, Place, SERVICE, endpoints, es, tail, tally};
use std::time::{Duration, Instant};
use tailwater_testing::{BulkStore, Faults, Kind, Mix, Writer, free_port, until};

/// Less than a full chunk: they must lie in the agent when it is asked to end.
const LINES: u64 = 1_000;

#[test]
fn what_was_read_is_sent_before_the_end() {
    let store = BulkStore::start(Faults::default());
    // A flush that never comes by itself.
    let port = free_port();
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
    [SERVICE, &endpoints::http(port)].concat()
}

fn has_read(port: u16, lines: u64) -> bool {
    let counter = format!("fluentbit_input_records_total{{name=\"tail.0\"}} {lines}");
    endpoints::metrics(port).contains(&counter)
}

#[test]
fn a_store_that_is_away_does_not_hold_up_the_end_longer_than_grace() {
    let store = BulkStore::refusing(Kind::OpenSearch("3.9.0"), Faults::default());
    let port = free_port();
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
