//! Real OpenSearch that takes some documents of a request, and not others: for now, for good, or by refusing the
//! whole request.

use crate::place::Place;
use crate::servers::Server;
use crate::{ARRIVAL_MAX, arrived, turn, write_out};
use opensearch::OpenSearch;
use opensearch::http::StatusCode;
use opensearch::indices::IndicesCreateParts;
use opensearch::ingest::IngestPutPipelineParts;
use opensearch::nodes::NodesStatsParts;
use serde_json::{Value, json};
use std::time::Duration;
use tailwater_testing::{Tally, pause, until};

/// One request writes to one shard at a time, one waits, and a third is answered 429.
const SETTINGS: &[&str] = &["thread_pool.write.size=1", "thread_pool.write.queue_size=1"];

/// Dead letters are kept.
const KEEPING: &str = "    storage.path storage\n    storage.keep.rejected On\n";

/// Every so-manieth document is a bad one.
const BAD_EVERY: u64 = 100;

/// They share a server, whose start takes longer than any of them.
#[test]
fn opensearch_refuses_some_and_gets_all_others_once() {
    let _turn = turn();
    let server = Server::start_with("opensearch", "/_cluster/health", SETTINGS);
    let store = Store { client: server.search_client(), port: server.port() };
    let cases = [
        partly_busy,
        mapping_conflicts,
        mapping_conflicts_without_a_place_for_dead_letters,
        requests_refused_for_one_record,
        every_request_refused,
        a_pipeline_that_is_missing_for_a_while,
    ];
    for case in cases {
        case(&store);
    }
}

/// Bulks go to eight shards, of which some are answered 429.
fn partly_busy(store: &Store) {
    const LINES: u64 = 8_000;
    let mut place = Place::new();
    store.create(&place, "busy", &json!({"settings": {"number_of_shards": 8}}));
    place.write(0..LINES, |_| "");
    place.start("", &store.output("busy", ""));
    store.wait_for(&place, "busy", LINES);
    let retried = place.counted("fluentbit_output_retried_records_total");
    let rejected = store.rejected(&place);
    place.end();
    let tally = store.tally(&place, "busy", LINES);
    write_out(&format!(
        "busy shards: {}, {rejected} shard requests answered 429, {retried} records sent again\n",
        tally.verdict()
    ));
    tally.assert_exactly_once();
    assert!(rejected > 0 && retried > 0, "the server refused nothing");
}

/// A number that is none; kept with the reason, and sent again to where it may be any text.
fn mapping_conflicts(store: &Store) {
    const LINES: u64 = 10_000;
    let mut place = Place::new();
    store.create(&place, "mapped", &mapping("integer"));
    place.write(0..LINES, took);
    place.start(KEEPING, &store.output("mapped", ""));
    let kept = || place.counted("tailwater_output_dead_letters_total");
    store.wait_for(&place, "mapped", LINES - LINES / BAD_EVERY);
    assert!(until(ARRIVAL_MAX, || kept() == LINES / BAD_EVERY), "{}", place.log());
    let retried = place.counted("fluentbit_output_retried_records_total");
    assert_eq!(place.waiting(), 0);
    let ended = place.end();
    assert!(!ended.stderr.contains("soon"), "the log quotes a record: {}", ended.stderr);
    let shown = place.dead_letters("show");
    assert_parted(&store.documents(&place, "mapped"), &shown, LINES, BAD_EVERY);
    for letter in &shown {
        assert_eq!(
            (&letter["kind"], &letter["output"]),
            (&json!("mapper_parsing_exception"), &json!("store"))
        );
        assert!(letter["reason"].as_str().unwrap().contains("[took]"), "{letter}");
    }

    store.create(&place, "mended", &mapping("keyword"));
    place.dead_letters("replay");
    place.start(KEEPING, &store.output("mended", ""));
    store.wait_for(&place, "mended", LINES / BAD_EVERY);
    place.end();
    let documents = store.documents(&place, "mended");
    assert_eq!(numbers(&documents), numbers(&shown));
    assert!(place.dead_letters("show").is_empty());
    write_out(&format!(
        "mapping conflicts: {} dead letters of {LINES} records, {} stored by replay, {retried} sent again\n",
        shown.len(),
        documents.len()
    ));
}

fn mapping_conflicts_without_a_place_for_dead_letters(store: &Store) {
    const LINES: u64 = 2_000;
    let mut place = Place::new();
    store.create(&place, "counted", &mapping("integer"));
    place.write(0..LINES, took);
    place.start("", &store.output("counted", ""));
    let refused = "tailwater_output_refused_records_total ,type=\"mapper_parsing_exception\"";
    let all = || place.counted(refused) == LINES / BAD_EVERY;
    assert!(until(ARRIVAL_MAX, all), "{}", place.log());
    assert_eq!(place.counted("fluentbit_output_dropped_records_total"), LINES / BAD_EVERY);
    store.wait_for(&place, "counted", LINES - LINES / BAD_EVERY);
    place.end();
    let good = numbers(&store.documents(&place, "counted"));
    assert_eq!(good, (0..LINES).filter(|number| number % BAD_EVERY > 0).collect::<Vec<_>>());
}

/// OpenSearch reads the documents of updates before it does anything: one that it cannot read, since a name stands
/// twice in an object, has the whole request refused.
fn requests_refused_for_one_record(store: &Store) {
    const LINES: u64 = 5_000;
    const BAD_EVERY: u64 = 1_000;
    let mut place = Place::new();
    store.create(&place, "upserted", &json!({}));
    place.write(0..LINES, |number| {
        let is_bad = number.is_multiple_of(BAD_EVERY);
        if is_bad { r#","user":{"id":1,"id":2}"# } else { r#","user":{"id":1}"# }
    });
    let upsert = "    Write_Operation upsert\n    Generate_ID On\n";
    place.start(KEEPING, &store.output("upserted", upsert));
    let kept = || place.counted("tailwater_output_dead_letters_total");
    store.wait_for(&place, "upserted", LINES - LINES / BAD_EVERY);
    assert!(until(ARRIVAL_MAX, || kept() == LINES / BAD_EVERY), "{}", place.log());
    let retried = place.counted("fluentbit_output_retried_records_total");
    assert_eq!(place.waiting(), 0);
    place.end();
    let shown = place.dead_letters("show");
    let documents = store.documents(&place, "upserted");
    assert_parted(&documents, &shown, LINES, BAD_EVERY);
    for letter in &shown {
        assert_eq!(letter["kind"], "x_content_parse_exception");
        assert!(
            letter["reason"].as_str().unwrap().contains("failed to parse field [doc]"),
            "{letter}"
        );
    }
    write_out(&format!(
        "requests refused for one record: {} dead letters, {} documents stored once, {retried} records sent again\n",
        shown.len(),
        documents.len()
    ));
}

/// A path that is none: the store answers 400, whatever is sent. Nothing is given up, and what is wrong is said.
fn every_request_refused(store: &Store) {
    const LINES: u64 = 2_000;
    let mut place = Place::new();
    store.create(&place, "late", &json!({}));
    place.write(0..LINES, |_| "");
    place.start(KEEPING, &store.output("late", "    Path no/such\n"));
    let retries = || place.counted("fluentbit_output_retries_total");
    assert!(until(ARRIVAL_MAX, || retries() > 0), "{}", place.log());
    assert_eq!(place.counted("fluentbit_output_dropped_records_total"), 0);
    let ended = place.end();
    assert!(ended.stderr.contains("refused as a whole (status 400"), "{}", ended.stderr);
    assert!(place.dead_letters("show").is_empty());
    place.start(KEEPING, &store.output("late", ""));
    store.wait_for(&place, "late", LINES);
    place.end();
    store.tally(&place, "late", LINES).assert_exactly_once();
}

/// OpenSearch refuses each document by itself for it, with 400.
fn a_pipeline_that_is_missing_for_a_while(store: &Store) {
    const LINES: u64 = 1_000;
    let mut place = Place::new();
    store.create(&place, "piped", &json!({}));
    place.write(0..LINES, |_| "");
    place.start(KEEPING, &store.output("piped", "    Pipeline tidy\n"));
    let retries = || place.counted("fluentbit_output_retries_total");
    assert!(until(ARRIVAL_MAX, || retries() > 0), "{}", place.log());
    let ingest = store.client.ingest();
    let put = ingest.put_pipeline(IngestPutPipelineParts::Id("tidy"));
    let answer = place.block_on(put.body(json!({"processors": []})).send()).unwrap();
    assert_eq!(answer.status_code(), StatusCode::OK);
    store.wait_for(&place, "piped", LINES);
    assert_eq!(place.counted("fluentbit_output_dropped_records_total"), 0);
    let ended = place.end();
    assert!(ended.stderr.contains("kind=\"illegal_argument_exception\""), "{}", ended.stderr);
    store.tally(&place, "piped", LINES).assert_exactly_once();
}

/// OpenSearch, and what is asked of it.
struct Store {
    client: OpenSearch,
    port: u16,
}

impl Store {
    fn create(&self, place: &Place, index: &str, body: &Value) {
        let indices = self.client.indices();
        let create = indices.create(IndicesCreateParts::Index(index)).body(body);
        let answer = place.block_on(create.send()).unwrap();
        assert_eq!(answer.status_code(), StatusCode::OK);
    }

    /// Lines of an `[OUTPUT]`.
    fn output(&self, index: &str, more: &str) -> String {
        format!(
            "    Name opensearch\n    Port {}\n    Index {index}\n    Suppress_Type_Name On\n{more}",
            self.port
        )
    }

    fn wait_for(&self, place: &Place, index: &str, count: u64) {
        let arrived = || {
            pause(Duration::from_millis(200));
            place.block_on(arrived::count(&self.client, index)) >= count
        };
        assert!(until(ARRIVAL_MAX, arrived), "not all arrives; the agent said:\n{}", place.log());
    }

    /// Requests to a shard that found the queue full.
    fn rejected(&self, place: &Place) -> u64 {
        let stats = self.client.nodes();
        let stats = stats.stats(NodesStatsParts::Metric(&["thread_pool"]));
        let answer: Value =
            place.block_on(async { stats.send().await.unwrap().json().await.unwrap() });
        let nodes = answer["nodes"].as_object().unwrap().values();
        nodes.map(|node| node["thread_pool"]["write"]["rejected"].as_u64().unwrap()).sum()
    }

    fn documents(&self, place: &Place, index: &str) -> Vec<Value> {
        let documents = place.block_on(arrived::documents(&self.client, index));
        documents.into_iter().map(|document| document.fields).collect()
    }

    fn tally(&self, place: &Place, index: &str, lines: u64) -> Tally {
        let mut tally = Tally::new(lines);
        for fields in self.documents(place, index) {
            tally.count(&fields.to_string());
        }
        tally
    }
}

/// Every document that is to be stored is there once, and every other one is a dead letter, once.
#[track_caller]
fn assert_parted(documents: &[Value], letters: &[Value], lines: u64, bad_every: u64) {
    let (bad, good): (Vec<_>, Vec<_>) =
        (0..lines).partition(|number| number.is_multiple_of(bad_every));
    assert_eq!(numbers(letters), bad);
    assert_eq!(numbers(documents), good);
}

/// The numbers of the lines that these came from, in order.
fn numbers(values: &[Value]) -> Vec<u64> {
    let number = |value: &Value| Tally::number(&value.to_string()).unwrap();
    let mut numbers: Vec<_> = values.iter().map(number).collect();
    numbers.sort_unstable();
    numbers
}

fn mapping(took: &str) -> Value {
    json!({"mappings": {"properties": {"took": {"type": took}}}})
}

fn took(number: u64) -> &'static str {
    if number.is_multiple_of(BAD_EVERY) { r#","took":"soon""# } else { r#","took":12"# }
}
