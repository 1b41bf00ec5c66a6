//! A store that only counts, so that it is never what a bench waits for; its answers are as long as
//! a real store's.

use crate::filter_path::FilterPath;
use crate::loki::count_lines;
use crate::{Answer, Request, Server, Service};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Takes `_bulk`, Loki's pushes and anything else.
#[derive(Debug)]
pub struct Counting {
    server: Server,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    lines: AtomicU64,
    bytes: AtomicU64,
    requests: AtomicU64,
}

impl Counting {
    /// A store that listens.
    #[must_use]
    pub fn start() -> Self {
        let store = Self::refusing();
        store.listen();
        store
    }

    /// A store that refuses connections until [`Counting::listen`].
    #[must_use]
    pub fn refusing() -> Self {
        let counts = Arc::new(Counts::default());
        let service: Arc<dyn Service> = Arc::clone(&counts) as _;
        Self { server: Server::refusing(service), counts }
    }

    /// Takes connections from now on.
    pub fn listen(&self) {
        self.server.listen();
    }

    /// Where it listens on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// Documents and lines that came.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.counts.lines.load(Ordering::Relaxed)
    }

    /// Bytes of bodies on the wire.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.counts.bytes.load(Ordering::Relaxed)
    }

    /// Requests that came.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.counts.requests.load(Ordering::Relaxed)
    }
}

impl Service for Counts {
    fn answer(&self, request: &Request) -> Answer {
        if request.method == "GET" {
            let body = br#"{"version":{"distribution":"opensearch","number":"3.9.0"}}"#;
            return Answer::Reply(200, body.to_vec());
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(request.wire_bytes as u64, Ordering::Relaxed);
        let (lines, answer) = if request.path.contains("/_bulk") {
            let lines = memchr::memchr_iter(b'\n', &request.body).count() as u64 / 2;
            (lines, Answer::Reply(200, bulk_answer(lines, &FilterPath::of(&request.path))))
        } else {
            (count_lines(request), Answer::Reply(204, Vec::new()))
        };
        self.lines.fetch_add(lines, Ordering::Relaxed);
        answer
    }
}

/// What OpenSearch 3 answers when everything was created.
fn bulk_answer(count: u64, filter: &FilterPath<'_>) -> Vec<u8> {
    let members = [
        ("_index", r#""kubernetes-2026.11.21""#),
        ("_id", r#""AZqx3kP2dWfH0m9bQ1uVtGxY""#),
        ("_version", "1"),
        ("result", r#""created""#),
        ("_shards", r#"{"total":2,"successful":1,"failed":0}"#),
        ("_seq_no", "1000"),
        ("_primary_term", "1"),
        ("status", "201"),
    ];
    let members: Vec<_> = members
        .iter()
        .filter(|(name, _)| filter.item(name))
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    let item = format!("{{\"create\":{{{}}}}}", members.join(","));
    let mut body = b"{\"took\":30,\"errors\":false".to_vec();
    if !members.is_empty() {
        body.extend_from_slice(b",\"items\":[");
        for _ in 0..count {
            body.extend_from_slice(item.as_bytes());
            body.push(b',');
        }
        if count > 0 {
            body.pop();
        }
        body.push(b']');
    }
    body.push(b'}');
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_as_long_as_asked_for() {
        let answer = |path: &str| {
            let body = bulk_answer(2, &FilterPath::of(path));
            serde_json::from_slice::<serde_json::Value>(&body).unwrap()
        };
        assert_eq!(answer("/_bulk")["items"][1]["create"]["status"], 201);
        assert_eq!(
            answer("/_bulk?filter_path=errors,items.*.error"),
            serde_json::json!({"took": 30, "errors": false})
        );
    }
}
