//! The admin server under Fluent Bit's paths and metric names.

use crate::{LIMIT, Place, STDOUT, es, tail, wait_for};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use tailwater_testing::{BulkStore, Faults, Kind, Mix, Writer, free_port, until};

/// Status and body; `None` while nothing answers.
pub(crate) fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    write!(connection, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

/// The page that Prometheus reads; empty while nothing answers.
pub(crate) fn metrics(port: u16) -> String {
    get(port, "/api/v1/metrics/prometheus").map(|(_, page)| page).unwrap_or_default()
}

/// The admin server on this port, for a `[SERVICE]`.
pub(crate) fn http(port: u16) -> String {
    format!("    HTTP_Server On\n    HTTP_Listen 127.0.0.1\n    HTTP_Port {port}\n")
}

pub(crate) fn service(port: u16) -> String {
    format!(
        "[SERVICE]\n    Flush 0.2\n    Scheduler.Base 1\n    Scheduler.Cap 1\n    Parsers_File parsers.conf\n{}    \
         Health_Check On\n",
        http(port)
    )
}

#[test]
fn every_path_answers() {
    let port = free_port();
    let place = Place::new(&[&service(port), &tail("@DIR@/app.log", ""), STDOUT].concat());
    place.write("app.log", b"one\ntwo\n");
    let agent = place.start();
    let counted = || {
        get(port, "/api/v1/metrics/prometheus").is_some_and(|(_, body)| {
            body.contains("fluentbit_output_proc_records_total{name=\"stdout.0\"} 2")
        })
    };
    assert!(until(LIMIT, counted), "{}", agent.stderr());
    let check = |path: &str, status: u16, expected: &str| {
        let (found, body) = get(port, path).unwrap();
        assert_eq!(found, status, "{path}: {body}");
        assert!(body.contains(expected), "{path}: `{expected}` is not in {body}");
    };
    check("/", 200, "version");
    check("/api/v1/uptime", 200, "uptime_sec");
    check("/api/v1/metrics", 200, "\"tail.0\"");
    check("/api/v1/metrics/prometheus", 200, "fluentbit_input_records_total{name=\"tail.0\"} 2");
    check("/api/v1/metrics/prometheus", 200, "fluentbit_input_bytes_total{name=\"tail.0\"}");
    check("/api/v1/metrics/prometheus", 200, "# TYPE fluentbit_uptime counter");
    check("/api/v1/health", 200, "ok");
    check("/nowhere", 404, "");
}

#[test]
fn failures_are_counted() {
    let port = free_port();
    let store = BulkStore::start(Faults { unavailable: 0.5, seed: 1, ..Faults::default() });
    let conf = [&service(port), &tail("@DIR@/app.log", ""), &es(store.port(), "")];
    let place = Place::new(&conf.map(String::as_str).concat());
    let mut writer = Writer::open(&place.path("app.log"), Mix::default());
    let agent = place.start();
    for step in 1..=10 {
        writer.write(10);
        wait_for(&store, step * 10, &agent);
    }
    let metrics = || get(port, "/api/v1/metrics").unwrap().1;
    let read = |name: &str| {
        let metrics: serde_json::Value = serde_json::from_str(&metrics()).unwrap();
        metrics["output"]["es.0"][name].as_u64().unwrap()
    };
    assert!(until(LIMIT, || read("proc_records") == 100), "{}", metrics());
    assert!(read("retries") > 0, "{}", metrics());
    assert_eq!(read("dropped_records"), 0, "{}", metrics());
}

#[test]
fn a_full_buffer_shows() {
    let port = free_port();
    let store = BulkStore::refusing(Kind::OpenSearch("3.9.0"), Faults::default());
    let input = tail("@DIR@/app.log", "    Mem_Buf_Limit 64k");
    let place = Place::new(&[service(port), input, es(store.port(), "")].concat());
    Writer::open(&place.path("app.log"), Mix::default()).write(1_000);
    let agent = place.start();
    let metrics = || metrics(port);
    let shows = |name: &str, value: u64| {
        metrics().contains(&format!("fluentbit_input_{name}{{name=\"tail.0\"}} {value} "))
    };
    let is_full = || {
        shows("ingestion_paused", 1) && shows("storage_overlimit", 1) && !shows("storage_chunks", 0)
    };
    assert!(until(LIMIT, is_full), "{}", metrics());
    store.listen();
    wait_for(&store, 1_000, &agent);
    let is_empty = || {
        shows("ingestion_paused", 0)
            && shows("storage_overlimit", 0)
            && shows("storage_chunks", 0)
            && shows("storage_memory_bytes", 0)
    };
    assert!(until(LIMIT, is_empty), "{}", metrics());
}
