//! A store as an output sees it: a bulk interface in memory that fails on purpose, and remembers all that it was sent.

use super::logs::{DIGITS, Line};
use super::weather::Chances;
use crate::net;
use fastrand::Rng;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::time::sleep;

/// Room in a connection for what was sent and not read.
const CONNECTION_BYTES: usize = 64 << 10;

/// All lines, which the world and the stores share.
pub(super) type Book = Arc<Mutex<Vec<Line>>>;

/// How a store is as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    /// Nothing connects.
    Away,
    /// Everything gets this status.
    Says(u16),
}

/// What the world's checks need of one run of the agent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Run {
    /// Its number.
    pub life: u32,
    /// Whether it found chunks on the disk: these go first.
    pub has_backlog: bool,
}

/// One store; clones are the same one.
#[derive(Clone)]
pub(super) struct Store(Arc<Mutex<State>>);

struct State {
    number: usize,
    rng: Rng,
    chances: Chances,
    mood: Mood,
    body_max: Option<usize>,
    book: Book,
    run: Run,
    /// Whether nothing but the agent decides in which order requests come.
    is_ordered: bool,
    /// The line behind each id.
    documents: HashMap<String, usize>,
    /// How many documents have a line.
    copies: HashMap<usize, usize>,
    /// Lines that were sent at least once.
    sent: HashSet<usize>,
    /// By content of a file: the last line that was sent for the first time.
    newest: HashMap<usize, usize>,
    /// What a correct agent does not do.
    complaints: Vec<String>,
    /// All that happened, in a number.
    trace: u64,
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Taken,
    Says(u16),
    /// The connection ends before anything was done.
    Reset,
    /// It ends after all was done.
    Lost,
    /// It ends within the answer.
    Cut,
    /// There is never an answer.
    Silence,
}

impl Store {
    pub(super) fn new(
        number: usize,
        rng: Rng,
        chances: Chances,
        body_max: Option<usize>,
        is_ordered: bool,
        book: &Book,
    ) -> Self {
        Self(Arc::new(Mutex::new(State {
            number,
            rng,
            chances,
            mood: Mood::Well,
            body_max,
            book: Arc::clone(book),
            run: Run::default(),
            is_ordered,
            documents: HashMap::new(),
            copies: HashMap::new(),
            sent: HashSet::new(),
            newest: HashMap::new(),
            complaints: Vec::new(),
            trace: 0,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The network between it and a client.
    pub(super) fn line(&self) -> net::Line {
        let store = self.clone();
        net::Line(Arc::new(move || store.connect()))
    }

    fn connect(&self) -> Option<DuplexStream> {
        let mut state = self.state();
        let refuse = state.chances.refuse;
        if state.mood == Mood::Away || state.chance(refuse) {
            return None;
        }
        let (client, server) = tokio::io::duplex(CONNECTION_BYTES);
        tokio::spawn(self.clone().serve(server));
        Some(client)
    }

    /// From now on the agent is this run of it.
    pub(super) fn begin(&self, run: Run) {
        self.state().run = run;
    }

    pub(super) fn set_mood(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// From now on nothing goes wrong.
    pub(super) fn heal(&self) {
        let mut state = self.state();
        (state.mood, state.chances) = (Mood::Well, Chances::default());
    }

    /// How many documents hold a line.
    pub(super) fn copies(&self, line: usize) -> usize {
        self.state().copies.get(&line).copied().unwrap_or_default()
    }

    /// What the agent did wrong so far.
    pub(super) fn complaints(&self) -> Vec<String> {
        self.state().complaints.clone()
    }

    /// All that happened so far, in a number.
    pub(super) fn trace(&self) -> u64 {
        self.state().trace
    }

    /// Answers the requests of one connection.
    async fn serve(self, mut stream: DuplexStream) {
        let mut bytes = Vec::new();
        while let Some((is_greeting, body)) = read(&mut stream, &mut bytes).await {
            let (fate, before, after) = self.state().receive(&body);
            sleep(before).await;
            let (status, answer) = match fate {
                Fate::Reset => return,
                Fate::Silence => return std::future::pending().await,
                Fate::Says(status) => (status, "{}".to_owned()),
                Fate::Taken | Fate::Lost | Fate::Cut if is_greeting => (200, GREETING.to_owned()),
                Fate::Taken | Fate::Lost | Fate::Cut => (200, self.state().store(&body)),
            };
            sleep(after).await;
            let len = answer.len();
            let sent = match fate {
                Fate::Lost => return,
                Fate::Cut => answer.split_at(self.state().rng.usize(..len)).0,
                _ => &answer,
            };
            let head = format!("HTTP/1.1 {status} \r\ncontent-length: {len}\r\n\r\n{sent}");
            // The agent may be gone.
            if stream.write_all(head.as_bytes()).await.is_err() || fate == Fate::Cut {
                return;
            }
        }
    }
}

const GREETING: &str =
    r#"{"version":{"distribution":"opensearch","number":"3.1.0","lucene_version":"10"}}"#;

impl State {
    fn chance(&mut self, of_thousand: u32) -> bool {
        self.rng.u32(..1_000) < of_thousand
    }

    fn complain(&mut self, what: &str) {
        self.complaints.push(format!("store {}: {what}", self.number));
    }

    /// Notes what was sent, and decides what becomes of it: also how long it takes until it is done, and
    /// then until it is answered.
    fn receive(&mut self, body: &str) -> (Fate, Duration, Duration) {
        let numbers: Vec<_> = documents(body).map(|(_, text)| number_of(text)).collect();
        for number in numbers {
            self.check_order(number);
        }
        let [before, after] = [(); 2].map(|()| {
            let longest = if self.chance(50) { 3_000 } else { 30 };
            Duration::from_millis(self.rng.u64(0..longest))
        });
        (self.fate(body.len()), before, after)
    }

    fn fate(&mut self, len: usize) -> Fate {
        if let Mood::Says(status) = self.mood {
            return Fate::Says(status);
        }
        if self.body_max.is_some_and(|max| max < len) {
            return Fate::Says(413);
        }
        let Chances { busy, fail, reset, lose, cut, silence, .. } = self.chances;
        let fates = [
            (busy, Fate::Says(429)),
            (fail, Fate::Says(500)),
            (reset, Fate::Reset),
            (lose, Fate::Lost),
            (cut, Fate::Cut),
            (silence, Fate::Silence),
        ];
        fates
            .into_iter()
            .find(|(of_thousand, _)| self.chance(*of_thousand))
            .map_or(Fate::Taken, |it| it.1)
    }

    /// Lines of one file come in its order when they come for the first time. What an earlier run left on the
    /// disk goes before what lies between.
    fn check_order(&mut self, number: usize) {
        self.note(&(number, "sent"));
        if !self.sent.insert(number) {
            return;
        }
        let book = Arc::clone(&self.book);
        let book = book.lock().unwrap();
        let Some(line) = book.get(number) else {
            return self.complain(&format!("line {number} was never written"));
        };
        let counts = self.is_ordered && (!self.run.has_backlog || line.life >= self.run.life);
        if !counts {
            return;
        }
        let newest = self.newest.entry(line.content).or_insert(number);
        if *newest > number {
            let newest = *newest;
            self.complain(&format!("line {number} was first sent after line {newest}"));
        } else {
            *newest = number;
        }
    }

    /// Stores what is new; the answer.
    fn store(&mut self, body: &str) -> String {
        let mut items = Vec::new();
        for (id, text) in documents(body) {
            let number = number_of(text);
            let status = self.store_one(id, number, text);
            self.note(&(number, status));
            items.push(match status {
                201 => r#"{"create":{"status":201}}"#.to_owned(),
                _ => format!(
                    r#"{{"create":{{"status":{status},"error":{{"type":"{}","reason":"line {number}"}}}}}}"#,
                    match status {
                        400 => "mapper_parsing_exception",
                        409 => "version_conflict_engine_exception",
                        _ => "rejected_execution_exception",
                    }
                ),
            });
        }
        let has_errors = items.iter().any(|item| item.contains("error"));
        format!(r#"{{"errors":{has_errors},"items":[{}]}}"#, items.join(","))
    }

    fn store_one(&mut self, id: &str, number: usize, text: &str) -> u16 {
        let book = Arc::clone(&self.book);
        let book = book.lock().unwrap();
        let Some(line) = book.get(number) else { return 400 };
        if line.refused_by == Some(self.number) {
            return 400;
        }
        let item_busy = self.chances.item_busy;
        if self.chance(item_busy) {
            return 429;
        }
        if line.text != text {
            self.complain(&format!("line {number} came as `{text}`, not as `{}`", line.text));
        }
        if let Some(other) = self.documents.insert(id.to_owned(), number) {
            if other != number {
                self.complain(&format!("lines {other} and {number} have one id"));
            }
            return 409;
        }
        *self.copies.entry(number).or_default() += 1;
        201
    }

    fn note(&mut self, what: &impl Hash) {
        let mut hasher = DefaultHasher::new();
        (self.trace, what).hash(&mut hasher);
        self.trace = hasher.finish();
    }
}

/// The ids and lines in a body.
fn documents(body: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rows = body.lines();
    std::iter::from_fn(move || {
        let (action, document) = (rows.next()?, rows.next()?);
        Some((member(action, "_id"), member(document, "log")))
    })
}

/// A text without escapes.
fn member<'a>(object: &'a str, name: &str) -> &'a str {
    let (_, rest) = object.split_once(&format!("\"{name}\":\"")).unwrap();
    rest.split_once('"').unwrap().0
}

/// The number that a line begins with.
pub(super) fn number_of(text: &str) -> usize {
    text.get(..DIGITS).and_then(|digits| digits.parse().ok()).unwrap_or(usize::MAX)
}

/// Reads one request: whether it is a greeting, and its body. `None` at the end of the connection.
async fn read(stream: &mut DuplexStream, bytes: &mut Vec<u8>) -> Option<(bool, String)> {
    loop {
        if let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") {
            let head = str::from_utf8(&bytes[..end]).unwrap();
            let len = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let len = len.map_or(0, |len| len.parse().unwrap());
            let (start, is_greeting) = (end + 4, head.starts_with("GET"));
            if bytes.len() >= start + len {
                let body = String::from_utf8(bytes[start..start + len].to_vec()).unwrap();
                bytes.drain(..start + len);
                return Some((is_greeting, body));
            }
        }
        if stream.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
}
