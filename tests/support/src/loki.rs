//! A store that takes Loki's pushes, protobuf in snappy or JSON, and fails on purpose.

use crate::faults::{Dice, Fault};
use crate::{Answer, Faults, Request, Server, Service};
use prost::Message;
use serde_json::Value;
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// A store in this process, on a port of its own.
#[derive(Debug)]
pub struct LokiStore {
    server: Server,
    state: Arc<State>,
}

/// One stored line.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entry {
    /// `{a="b", c="d"}`, by name.
    pub labels: String,
    /// Nanoseconds since the epoch.
    pub time: i64,
    /// The line.
    pub line: String,
}

#[derive(Debug)]
struct State {
    dice: Dice,
    entries: Mutex<HashSet<Entry>>,
    requests: AtomicU64,
    repeats: AtomicU64,
    bytes: AtomicU64,
    poison: Mutex<Option<String>>,
}

impl LokiStore {
    /// A store that listens.
    #[must_use]
    pub fn start(faults: Faults) -> Self {
        let store = Self::refusing(faults);
        store.listen();
        store
    }

    /// A store that refuses connections until [`LokiStore::listen`].
    #[must_use]
    pub fn refusing(faults: Faults) -> Self {
        let state = Arc::new(State {
            dice: Dice::new(faults),
            entries: Mutex::default(),
            requests: AtomicU64::new(0),
            repeats: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            poison: Mutex::default(),
        });
        let service: Arc<dyn Service> = Arc::clone(&state) as _;
        Self { server: Server::refusing(service), state }
    }

    /// Takes connections from now on.
    pub fn listen(&self) {
        self.server.listen();
    }

    /// Refuses connections from now on.
    pub fn refuse(&self) {
        self.server.refuse();
    }

    /// Refuses entries whose line holds `text`, as Loki does: it stores the others and answers 400.
    pub fn refuse_lines_with(&self, text: &str) {
        *self.state.poison.lock().unwrap() = Some(text.to_owned());
    }

    /// Where it listens on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// A copy of everything stored, sorted by stream and time.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries: Vec<_> = self.state.entries.lock().unwrap().iter().cloned().collect();
        entries.sort();
        entries
    }

    /// How many lines are stored.
    #[must_use]
    pub fn count(&self) -> usize {
        self.state.entries.lock().unwrap().len()
    }

    /// How many pushes came, also those that failed on purpose.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::Relaxed)
    }

    /// How many lines came again with the same labels and time.
    #[must_use]
    pub fn repeats(&self) -> u64 {
        self.state.repeats.load(Ordering::Relaxed)
    }

    /// How many bytes the bodies had on the wire.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.state.bytes.load(Ordering::Relaxed)
    }
}

impl Service for State {
    fn answer(&self, request: &Request) -> Answer {
        if request.path != "/loki/api/v1/push" {
            return Answer::Reply(404, b"404 page not found\n".to_vec());
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(request.wire_bytes as u64, Ordering::Relaxed);
        let fault = self.dice.roll();
        match fault {
            Fault::Reset => return Answer::Reset,
            Fault::Unavailable => return Answer::Reply(503, b"on purpose\n".to_vec()),
            // Loki refuses for a rate whole pushes only.
            Fault::RefuseAll | Fault::RefuseSome => {
                return Answer::Reply(429, b"Ingestion rate limit exceeded\n".to_vec());
            }
            Fault::LoseAnswer | Fault::None => {}
        }
        let entries = match read_push(request) {
            Ok(entries) => entries,
            Err(reason) => return Answer::Reply(400, reason.into_bytes()),
        };
        let poison = self.poison.lock().unwrap().clone();
        let is_bad = |entry: &Entry| poison.as_ref().is_some_and(|text| entry.line.contains(text));
        let mut refused = 0;
        let mut stored = self.entries.lock().unwrap();
        for entry in entries {
            if is_bad(&entry) {
                refused += 1;
                continue;
            }
            let new = stored.insert(entry);
            self.repeats.fetch_add(u64::from(!new), Ordering::Relaxed);
        }
        if refused > 0 {
            let text = format!("{refused} errors like: max entry size '1' bytes exceeded");
            return Answer::Reply(400, text.into_bytes());
        }
        if fault == Fault::LoseAnswer { Answer::Lost } else { Answer::Reply(204, Vec::new()) }
    }
}

/// <https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs>.
pub(crate) fn read_push(request: &Request) -> Result<Vec<Entry>, String> {
    let kind = request.header("content-type").unwrap_or_default();
    if kind.starts_with("application/json") {
        let push = serde_json::from_slice(&request.body).map_err(|error| error.to_string())?;
        read_json(&push).ok_or_else(|| "not a push".to_owned())
    } else if kind == "application/x-protobuf" {
        let raw = snap::raw::Decoder::new()
            .decompress_vec(&request.body)
            .map_err(|error| error.to_string())?;
        let push = Push::decode(&*raw).map_err(|error| error.to_string())?;
        Ok(push.streams.into_iter().flat_map(Stream::entries).collect())
    } else {
        Err(format!("content type `{kind}`"))
    }
}

/// How many entries a push has, without looking into them; none if it cannot be read.
pub(crate) fn count_lines(request: &Request) -> u64 {
    if request.header("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
        return read_push(request).map_or(0, |entries| entries.len() as u64);
    }
    let Ok(raw) = snap::raw::Decoder::new().decompress_vec(&request.body) else { return 0 };
    let Ok(push) = CountedPush::decode(&*raw) else { return 0 };
    push.streams.iter().map(|stream| stream.entries.len() as u64).sum()
}

fn read_json(push: &Value) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    for stream in push.get("streams")?.as_array()? {
        let labels: Option<Vec<_>> = stream
            .get("stream")?
            .as_object()?
            .iter()
            .map(|(name, value)| value.as_str().map(|value| format!("{name}={value:?}")))
            .collect();
        let labels = format!("{{{}}}", labels?.join(", "));
        for value in stream.get("values")?.as_array()? {
            let time = value.get(0)?.as_str()?.parse().ok()?;
            let line = value.get(1)?.as_str()?.to_owned();
            entries.push(Entry { labels: labels.clone(), time, line });
        }
    }
    Some(entries)
}

#[derive(Clone, PartialEq, Eq, Message)]
struct Push {
    #[prost(message, repeated, tag = "1")]
    streams: Vec<Stream>,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct Stream {
    #[prost(string, tag = "1")]
    labels: String,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<PushEntry>,
}

/// A push whose entries have no fields that need decoding.
#[derive(Clone, PartialEq, Eq, Message)]
struct CountedPush {
    #[prost(message, repeated, tag = "1")]
    streams: Vec<CountedStream>,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct CountedStream {
    #[prost(message, repeated, tag = "2")]
    entries: Vec<CountedEntry>,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct CountedEntry {}

#[derive(Clone, PartialEq, Eq, Message)]
struct PushEntry {
    #[prost(message, optional, tag = "1")]
    time: Option<Time>,
    #[prost(string, tag = "2")]
    line: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct Time {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanoseconds: i32,
}

impl Stream {
    fn entries(self) -> impl Iterator<Item = Entry> {
        let labels = self.labels;
        self.entries.into_iter().map(move |entry| {
            let time = entry.time.unwrap_or_default();
            let time = time.seconds * 1_000_000_000 + i64::from(time.nanoseconds);
            Entry { labels: labels.clone(), time, line: entry.line }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: &str, body: Vec<u8>) -> Request {
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        Request { headers, body, ..Request::default() }
    }

    #[test]
    fn both_forms_of_a_push_mean_the_same() {
        let json = br#"{"streams":[{"stream":{"a":"b"},"values":[["1700000000000000007","x"]]}]}"#;
        let time = Some(Time { seconds: 1_700_000_000, nanoseconds: 7 });
        let entries = vec![PushEntry { time, line: "x".to_owned() }];
        let stream = Stream { labels: "{a=\"b\"}".to_owned(), entries };
        let push = Push { streams: vec![stream] }.encode_to_vec();
        let push = snap::raw::Encoder::new().compress_vec(&push).unwrap();
        let from_json = read_push(&request("application/json", json.to_vec())).unwrap();
        let from_protobuf = read_push(&request("application/x-protobuf", push)).unwrap();
        assert_eq!(from_json, from_protobuf);
        assert_eq!(from_json[0].time, 1_700_000_000_000_000_007);
    }

    #[test]
    fn what_is_no_push_is_refused() {
        assert!(read_push(&request("application/json", b"{}".to_vec())).is_err());
        assert!(read_push(&request("application/x-protobuf", b"no".to_vec())).is_err());
        assert!(read_push(&request("text/plain", Vec::new())).is_err());
    }
}
