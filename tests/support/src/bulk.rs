//! A store that speaks `_bulk` as OpenSearch and Elasticsearch do, remembers what it was given by
//! index and id, and fails on purpose.

use crate::faults::{Dice, Fault};
use crate::filter_path::FilterPath;
use crate::{Answer, Faults, Request, Server, Service};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// What the store says it is at `GET /`.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// No `distribution`; `_type` is refused from version 8 on.
    Elasticsearch(&'static str),
    /// `distribution: opensearch`; `_type` is refused from version 2 on.
    OpenSearch(&'static str),
    /// An OpenSearch that tells this user nothing: 403.
    Shy(&'static str),
    /// 404: it does not say.
    Silent,
    /// The connection ends without an answer.
    Mute,
}

/// A store in this process, on a port of its own.
#[derive(Debug)]
pub struct BulkStore {
    server: Server,
    state: Arc<State>,
}

/// One stored document.
#[derive(Debug, Clone)]
pub struct Document {
    /// The index it lies in.
    pub index: String,
    /// Given by the client or made by the store.
    pub id: String,
    /// Its JSON as it came.
    pub source: String,
}

impl Document {
    /// Its fields.
    #[must_use]
    pub fn fields(&self) -> Value {
        serde_json::from_str(&self.source).unwrap()
    }
}

#[derive(Debug)]
struct State {
    kind: Kind,
    dice: Dice,
    documents: Mutex<Documents>,
    requests: AtomicU64,
    repeats: AtomicU64,
    bytes: AtomicU64,
    types: AtomicU64,
    poison: Mutex<Option<String>>,
    credentials: Mutex<Option<String>>,
}

#[derive(Debug, Default)]
struct Documents {
    stored: Vec<Document>,
    by_id: HashMap<(String, String), usize>,
}

impl BulkStore {
    /// A store that listens.
    #[must_use]
    pub fn start(faults: Faults) -> Self {
        let store = Self::refusing(Kind::OpenSearch("3.9.0"), faults);
        store.listen();
        store
    }

    /// A store that refuses connections until [`BulkStore::listen`].
    #[must_use]
    pub fn refusing(kind: Kind, faults: Faults) -> Self {
        let state = Arc::new(State {
            kind,
            dice: Dice::new(faults),
            documents: Mutex::default(),
            requests: AtomicU64::new(0),
            repeats: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            types: AtomicU64::new(0),
            poison: Mutex::default(),
            credentials: Mutex::default(),
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

    /// Goes wrong in other ways from now on.
    pub fn change(&self, faults: Faults) {
        self.state.dice.change(faults);
    }

    /// Refuses for good, with a 400, every document whose source holds `text`.
    pub fn refuse_documents_with(&self, text: &str) {
        *self.state.poison.lock().unwrap() = Some(text.to_owned());
    }

    /// Answers every `_bulk` with 401 whose `Authorization` is another.
    pub fn demand(&self, authorization: &str) {
        *self.state.credentials.lock().unwrap() = Some(authorization.to_owned());
    }

    /// How many stored actions named a `_type`.
    #[must_use]
    pub fn types(&self) -> u64 {
        self.state.types.load(Ordering::Relaxed)
    }

    /// Where it listens on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// A copy of everything stored, in order of arrival.
    #[must_use]
    pub fn documents(&self) -> Vec<Document> {
        self.state.documents.lock().unwrap().stored.clone()
    }

    /// How many documents are stored.
    #[must_use]
    pub fn count(&self) -> usize {
        self.state.documents.lock().unwrap().stored.len()
    }

    /// How many bulk requests came, also those that failed on purpose.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::Relaxed)
    }

    /// How many documents were refused with 409 because their id was stored already.
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
        let path = request.path.split('?').next().unwrap_or_default();
        if path.ends_with("/_bulk") {
            self.bulk(request)
        } else if path == "/" && matches!(self.kind, Kind::Mute) {
            Answer::Lost
        } else if path == "/" {
            self.say_what_it_is()
        } else {
            reply(404, &json!({"error": format!("no handler for {path}"), "status": 404}))
        }
    }
}

impl State {
    fn say_what_it_is(&self) -> Answer {
        match self.kind {
            Kind::Elasticsearch(number) => reply(
                200,
                &json!({"name": "fake", "version": {"number": number, "build_flavor": "default", "lucene_version": "9.11.1"},
                        "tagline": "You Know, for Search"}),
            ),
            Kind::OpenSearch(number) => reply(
                200,
                &json!({"name": "fake", "version": {"distribution": "opensearch", "number": number, "lucene_version": "10.1.0"}}),
            ),
            Kind::Shy(_) => refusal(403, "security_exception"),
            Kind::Silent | Kind::Mute => reply(404, &json!({"error": "not here"})),
        }
    }

    fn refuses_type(&self) -> bool {
        let (number, last) = match self.kind {
            Kind::Elasticsearch(number) => (number, 7),
            Kind::OpenSearch(number) | Kind::Shy(number) => (number, 1),
            Kind::Silent | Kind::Mute => return false,
        };
        let major: u32 = number.split('.').next().unwrap().parse().unwrap();
        major > last
    }

    fn bulk(&self, request: &Request) -> Answer {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let demanded = self.credentials.lock().unwrap();
        if demanded.is_some() && request.header("authorization") != demanded.as_deref() {
            return refusal(401, "security_exception");
        }
        drop(demanded);
        self.bytes.fetch_add(request.wire_bytes as u64, Ordering::Relaxed);
        let fault = self.dice.roll();
        befall(fault, || match self.read(request) {
            Ok(actions) => reply(200, &self.store(&actions, fault, &FilterPath::of(&request.path))),
            Err(reason) => bad_request(&reason),
        })
    }

    /// The pairs of a body; anything wrong in one refuses the whole request, as the real stores do.
    fn read<'a>(&self, request: &'a Request) -> Result<Vec<Action<'a>>, String> {
        if !request.body.ends_with(b"\n") {
            return Err("The bulk request must be terminated by a newline [\\n]".to_owned());
        }
        let default_index = request.path.trim_start_matches('/').split('/').next();
        let default_index = default_index.filter(|name| !name.starts_with("_bulk"));
        let mut actions = Vec::new();
        let mut lines =
            request.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate();
        while let Some((number, line)) = lines.next() {
            let action: Map<String, Value> = serde_json::from_slice(line)
                .map_err(|error| format!("Malformed action/metadata line [{number}]: {error}"))?;
            let (operation, meta) = action.into_iter().next().ok_or("empty action")?;
            if meta.get("_type").is_some() {
                if self.refuses_type() {
                    let line = number + 1;
                    return Err(format!(
                        "Action/metadata line [{line}] contains an unknown parameter [_type]"
                    ));
                }
                self.types.fetch_add(1, Ordering::Relaxed);
            }
            let text = |name: &str| meta.get(name).and_then(Value::as_str).map(str::to_owned);
            let index = text("_index").or_else(|| default_index.map(str::to_owned));
            let (_, source) = lines.next().ok_or("an action without its document")?;
            let index = index.ok_or("index is missing")?;
            actions.push(Action { operation, index, id: text("_id"), source });
        }
        Ok(actions)
    }

    fn store(&self, actions: &[Action<'_>], fault: Fault, filter: &FilterPath<'_>) -> Value {
        let mut documents = self.documents.lock().unwrap();
        let poison = self.poison.lock().unwrap();
        let poison = poison.as_ref().map(|text| memchr::memmem::Finder::new(text.as_bytes()));
        let mut errors = false;
        let mut items = Vec::new();
        for action in actions {
            let refused = fault == Fault::RefuseSome && self.dice.refuses_item();
            let poisoned = poison.as_ref().is_some_and(|text| text.find(action.source).is_some());
            let (id, status) = if refused || poisoned {
                (action.id.clone().unwrap_or_default(), if refused { 429 } else { 400 })
            } else {
                documents.apply(action)
            };
            self.repeats.fetch_add(u64::from(status == 409), Ordering::Relaxed);
            errors |= status >= 300;
            items.push(item(action, &id, status, filter));
        }
        let mut answer = Map::new();
        for (name, value) in [("took", json!(1)), ("errors", json!(errors))] {
            if filter.top(name) {
                answer.insert(name.to_owned(), value);
            }
        }
        if items.iter().any(|item| *item != json!({})) {
            answer.insert("items".to_owned(), Value::Array(items));
        }
        Value::Object(answer)
    }
}

/// One pair of lines of a bulk body.
struct Action<'a> {
    operation: String,
    index: String,
    id: Option<String>,
    source: &'a [u8],
}

impl Documents {
    /// Stores one document; its id and the status it gets.
    fn apply(&mut self, action: &Action<'_>) -> (String, u16) {
        let id = action.id.clone().unwrap_or_else(|| format!("made-{}", self.stored.len()));
        let Ok(source) = std::str::from_utf8(action.source) else { return (id, 400) };
        if !serde_json::from_str::<Value>(source).is_ok_and(|source| source.is_object()) {
            return (id, 400);
        }
        let (index, source) = (action.index.clone(), source.to_owned());
        let key = (index.clone(), id.clone());
        match self.by_id.get(&key) {
            Some(_) if action.operation == "create" => (id, 409),
            Some(&at) => {
                self.stored[at].source = source;
                (id, 200)
            }
            None => {
                self.by_id.insert(key, self.stored.len());
                self.stored.push(Document { index, id: id.clone(), source });
                (id, 201)
            }
        }
    }
}

/// What a `_bulk` gets that `fault` befalls; `store` does what it asks for.
pub(crate) fn befall(fault: Fault, store: impl FnOnce() -> Answer) -> Answer {
    match fault {
        Fault::Reset => Answer::Reset,
        Fault::Unavailable => refusal(503, "service_unavailable"),
        Fault::RefuseAll => refusal(429, BUSY),
        Fault::LoseAnswer => {
            store();
            Answer::Lost
        }
        Fault::None | Fault::RefuseSome => store(),
    }
}

/// The error type of a 429.
pub(crate) const BUSY: &str = "rejected_execution_exception";

/// One item of an answer, with the members a real store sends.
fn item(action: &Action<'_>, id: &str, status: u16, filter: &FilterPath<'_>) -> Value {
    let error = match status {
        400 => Some(("mapper_parsing_exception", "failed to parse")),
        409 => Some(("version_conflict_engine_exception", "document already exists")),
        429 => Some((BUSY, "rejected execution of primary operation")),
        _ => None,
    };
    let mut members = vec![("_index", json!(action.index)), ("_id", json!(id))];
    if let Some((kind, reason)) = error {
        members.push(("error", json!({"type": kind, "reason": reason})));
    } else {
        members.push(("_version", json!(1)));
        members.push(("result", json!("created")));
        members.push(("_shards", json!({"total": 2, "successful": 1, "failed": 0})));
    }
    members.push(("status", json!(status)));
    let members: Map<_, _> = members
        .into_iter()
        .filter(|(name, _)| filter.item(name))
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    // An object that was filtered empty is left out, and what holds it with it.
    if members.is_empty() { json!({}) } else { json!({&action.operation: members}) }
}

fn bad_request(reason: &str) -> Answer {
    let error = json!({"type": "illegal_argument_exception", "reason": reason});
    reply(400, &json!({"error": error, "status": 400}))
}

fn refusal(status: u16, kind: &str) -> Answer {
    reply(status, &json!({"error": {"type": kind, "reason": "on purpose"}, "status": status}))
}

pub(crate) fn reply(status: u16, body: &Value) -> Answer {
    Answer::Reply(status, serde_json::to_vec(body).unwrap())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    fn post(store: &BulkStore, path: &str, body: &str) -> String {
        let mut connection = TcpStream::connect(("127.0.0.1", store.port())).unwrap();
        write!(connection, "POST {path} HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}", body.len())
            .unwrap();
        connection.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        match connection.read_to_string(&mut answer) {
            Ok(_) => answer,
            Err(error) => error.to_string(),
        }
    }

    const PAIR: &str = "{\"create\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{\"seq\":1}\n";

    #[test]
    fn an_id_is_stored_once_and_the_repeat_is_a_409() {
        let store = BulkStore::start(Faults::default());
        assert!(post(&store, "/_bulk", PAIR).contains("\"status\":201"));
        assert!(post(&store, "/_bulk", PAIR).contains("\"status\":409"));
        assert!(post(&store, "/a/_bulk", "{\"index\":{}}\n{\"seq\":2}\n").contains("201"));
        assert_eq!((store.count(), store.repeats(), store.requests()), (2, 1, 3));
    }

    #[test]
    fn a_lost_answer_was_stored_and_a_reset_or_503_was_not() {
        let store = BulkStore::start(Faults { lost_answers: 1.0, ..Faults::default() });
        assert_eq!(post(&store, "/_bulk", PAIR), "");
        assert_eq!(store.count(), 1);
        store.change(Faults { resets: 1.0, ..Faults::default() });
        let other = PAIR.replace("\"1\"", "\"2\"");
        assert!(post(&store, "/_bulk", &other).contains("reset"));
        store.change(Faults { unavailable: 1.0, ..Faults::default() });
        assert!(post(&store, "/_bulk", &other).starts_with("HTTP/1.1 503"));
        assert_eq!(store.count(), 1);
    }

    #[test]
    fn a_store_refuses_what_the_real_one_refuses() {
        let store = BulkStore::start(Faults::default());
        let check = |body: &str, expected: &str| {
            let answer = post(&store, "/_bulk", body);
            assert!(answer.contains(expected), "{body}: {answer}");
        };
        check(PAIR.trim_end(), "terminated by a newline");
        check(&PAIR.replace("_id", "_type"), "unknown parameter [_type]");
        check("nonsense\n{}\n", "Malformed action/metadata line");
        check("{\"create\":{\"_index\":\"a\"}}\nnonsense\n", "mapper_parsing_exception");
    }

    #[test]
    fn a_port_that_refuses_listens_again_as_often_as_asked() {
        let store = BulkStore::refusing(Kind::Silent, Faults::default());
        for _ in 0..3 {
            assert!(TcpStream::connect(("127.0.0.1", store.port())).is_err());
            store.listen();
            assert!(post(&store, "/_bulk", PAIR).starts_with("HTTP/1.1 200"));
            store.refuse();
        }
    }
}
