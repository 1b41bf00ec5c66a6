//! A courier between an output whose answers are plain text and a server that answers as a test says.
//!
//! The clock stands still unless a test moves it: all waiting here is by yielding, so that the runtime is
//! never idle, which is what would move it.

use super::samples;
use super::{Courier, Health, Judge, Output, Policy, Request, Requests, Verdict};
use crate::buffer::{
    Chunk, DeadLetters, Letter, Open, OutputName, Parcel, Rejected, Settled, Settler, Shelf,
    ShelfOptions, Simulated,
};
use crate::config::{NetOptions, TlsOptions};
use crate::mailbox;
use crate::metrics::{Counter, OutputMetrics, Registry};
use crate::net::{Backoff, Client, Endpoint};
use hyper::HeaderMap;
use hyper::http::uri::PathAndQuery;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, yield_now};

/// Of the real clock; only a failure takes so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Turns of the runtime after which nothing more is expected to come.
const QUIET_TURNS: usize = 2_000;

/// Name of the records that the output finds unfit, before their number.
pub(super) const UNFIT: &str = "unfit";

/// How the server answers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reply {
    /// A status and a body.
    Full(u16, &'static str),
    /// A status, with a `Retry-After`.
    Wait(u16, &'static str),
    /// Status 200 and the beginning of a body, then the end of the connection.
    Cut(&'static str),
    /// The end of the connection.
    Close,
}

/// What the output's folder is called, where chunks lie on a disk.
const ALIAS: &str = "text";

/// Bytes that each chunk is said to have there.
pub(super) const CHUNK_BYTES: u64 = 100;

/// Everything is taken.
pub(super) const OK: Reply = Reply::Full(200, "");

/// A request that waits for its answer.
#[derive(Debug)]
pub(super) struct Waiting {
    /// `GET` for the greeting, else the names of the records.
    pub(super) what: String,
    reply: oneshot::Sender<Reply>,
}

impl Waiting {
    pub(super) fn reply(self, reply: Reply) {
        self.reply.send(reply).unwrap();
    }
}

/// A courier at work.
pub(super) struct Rig {
    pub(super) metrics: Arc<OutputMetrics>,
    pub(super) letters: Arc<Letters>,
    stop: watch::Sender<bool>,
    pub(super) courier: JoinHandle<()>,
    chunks: Option<UnboundedSender<Parcel>>,
    /// The name of each chunk's first record, by the chunk's number.
    sent: Vec<String>,
    settled: mailbox::Receiver<Settled>,
    requests: UnboundedReceiver<Waiting>,
    /// While it is here, connections are refused.
    socket: Option<TcpSocket>,
    server: UnboundedSender<Waiting>,
    /// Where chunks lie.
    disk: Option<Arc<Shelf>>,
}

/// What differs from test to test.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup {
    pub(super) concurrency: usize,
    pub(super) retry_limit: Option<u32>,
    pub(super) greets: bool,
    pub(super) records_per_request: usize,
    pub(super) is_listening: bool,
    pub(super) keeps: bool,
    /// Chunks lie on a disk, and so many bytes may wait there.
    pub(super) disk_bytes_max: Option<u64>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            concurrency: 2,
            retry_limit: Some(0),
            greets: false,
            records_per_request: usize::MAX,
            is_listening: true,
            keeps: false,
            disk_bytes_max: None,
        }
    }
}

impl Rig {
    pub(super) fn start(setup: Setup) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let endpoint =
            Endpoint { host: "127.0.0.1".to_owned(), port: socket.local_addr().unwrap().port() };
        let (net, tls) = (NetOptions::default(), TlsOptions::default());
        let client = Client::new(endpoint, &net, &tls, None, &mut Vec::new()).unwrap();
        let output = Text { greets: setup.greets, records_max: setup.records_per_request };
        let policy = Policy {
            concurrency: setup.concurrency,
            retry_limit: setup.retry_limit,
            disk_bytes_max: setup.disk_bytes_max,
            backoff: Backoff { base: Duration::from_secs(5), cap: Duration::from_secs(2_000) },
        };
        let metrics = Registry::new(SystemTime::UNIX_EPOCH).output("text.0", "text");
        let (sender, settled) = mailbox::channel().unwrap();
        let (chunks, queue) = unbounded_channel();
        let (server, requests) = unbounded_channel();
        let courier = Courier::new(
            "text.0".to_owned(),
            Box::new(output),
            client,
            policy,
            Arc::clone(&metrics),
            Settler::new(0, sender),
        );
        let letters = Arc::new(Letters::default());
        let courier = if setup.keeps {
            courier.with_dead_letters(Arc::clone(&letters) as _)
        } else {
            courier
        };
        let (stop, stopping) = watch::channel(false);
        let mut rig = Self {
            metrics,
            letters,
            stop,
            courier: tokio::spawn(courier.run(queue, stopping)),
            chunks: Some(chunks),
            sent: Vec::new(),
            settled,
            requests,
            socket: Some(socket),
            server,
            disk: setup.disk_bytes_max.map(|_| disk()),
        };
        if setup.is_listening {
            rig.listen();
        }
        rig
    }

    /// Takes connections from now on.
    pub(super) fn listen(&mut self) {
        let listener = self.socket.take().unwrap().listen(16).unwrap();
        let requests = self.server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, requests.clone()));
            }
        });
    }

    /// Gives the courier a chunk of `count` records, which are called `a0`, `a1` and so on.
    pub(super) fn send(&mut self, name: &str, count: usize) {
        let bodies: Vec<_> =
            (0..count).map(|index| format!("{{\"i\":\"{name}{index}\"}}")).collect();
        let records: Vec<_> = bodies.iter().map(|body| ("t", 0, body.as_str())).collect();
        let mut parcel = samples::parcel(self.sent.len() as u64, &records);
        if let Some(shelf) = &self.disk {
            let name = OutputName::from_alias(ALIAS);
            let chunk = parcel.chunk_in_memory().unwrap();
            shelf.spill(parcel.number, Arc::new([name.clone()]), 0, chunk.frames()).unwrap();
            parcel.move_to_disk(shelf, CHUNK_BYTES);
            parcel = parcel.of(Some(&name));
        }
        self.sent.push(format!("{name}0"));
        self.chunks.as_ref().unwrap().send(parcel).unwrap();
    }

    /// The end of the pipeline.
    pub(super) fn hang_up(&mut self) {
        self.chunks = None;
    }

    /// Asks the agent to end.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// The next request.
    pub(super) async fn request(&mut self) -> Waiting {
        let began = Instant::now();
        loop {
            if let Ok(waiting) = self.requests.try_recv() {
                return waiting;
            }
            assert!(began.elapsed() < PATIENCE, "no request comes");
            yield_now().await;
        }
    }

    /// Answers the next request, which must be for these records.
    pub(super) async fn answer(&mut self, expected: &str, reply: Reply) {
        let waiting = self.request().await;
        assert_eq!(waiting.what, expected);
        waiting.reply(reply);
    }

    /// Lets time pass, in which no request must come.
    pub(super) async fn silence(&mut self, time: Duration) {
        tokio::time::advance(time).await;
        for _ in 0..QUIET_TURNS {
            yield_now().await;
        }
        let came = self.requests.try_recv().map(|waiting| waiting.what);
        assert!(came.is_err(), "{came:?} came too early");
    }

    /// Lets time pass after the courier has put something off for the `count`th time.
    pub(super) async fn pass(&self, count: u64, time: Duration) {
        self.until(|rig| rig.metrics.retries.value() == count).await;
        tokio::time::advance(time).await;
    }

    /// Waits for the next chunk that is settled: its first record's name.
    pub(super) async fn settled(&self) -> String {
        let began = Instant::now();
        loop {
            if let Some(settled) = self.settled.drain().next() {
                return self.sent[usize::try_from(settled.number).unwrap()].clone();
            }
            assert!(began.elapsed() < PATIENCE, "nothing is settled");
            yield_now().await;
        }
    }

    pub(super) async fn until(&self, is_true: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !is_true(self) {
            assert!(began.elapsed() < PATIENCE, "it never comes true");
            yield_now().await;
        }
    }

    /// The same, while time passes.
    pub(super) async fn until_later(&self, is_true: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !is_true(self) {
            assert!(began.elapsed() < PATIENCE, "it never comes true");
            tokio::time::advance(Duration::from_secs(1)).await;
            yield_now().await;
        }
    }

    /// Counters by name, those that are not zero.
    pub(super) fn counts(&self) -> String {
        let OutputMetrics {
            proc_records,
            errors,
            retries_failed,
            dropped_records,
            duplicates,
            conflicts,
            retried_records,
            dead_letters,
            ..
        } = &*self.metrics;
        let counters: [(&str, &Counter); 8] = [
            ("taken", proc_records),
            ("repeated", duplicates),
            ("conflicts", conflicts),
            ("dropped", dropped_records),
            ("errors", errors),
            ("failed", retries_failed),
            ("retried", retried_records),
            ("letters", dead_letters),
        ];
        let refused = self.metrics.refused_records.value();
        let counters = counters.map(|(name, counter)| (name, counter.value()));
        let counters = counters.into_iter().chain([("refused", refused)]);
        let shown = counters.filter(|(_, value)| *value > 0);
        shown.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
    }
}

/// Dead letters as lines, and writes that fail.
#[derive(Debug, Default)]
pub(super) struct Letters {
    /// Writes that still fail.
    pub(super) failures: AtomicUsize,
    pub(super) kept: Mutex<Vec<String>>,
}

impl DeadLetters for Letters {
    fn keep(&self, letter: &Letter<'_>) -> io::Result<u64> {
        let take = |left: usize| left.checked_sub(1);
        if self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let names = names(letter.chunk, &Open::all(letter.chunk.count));
        let mut kept = self.kept.lock().unwrap();
        kept.extend(letter.rejects.as_slice().iter().map(|Rejected { record, kind, reason }| {
            format!("{}: {kind} ({reason})", names[*record as usize].1)
        }));
        Ok(0)
    }
}

/// A disk in memory.
fn disk() -> Arc<Shelf> {
    let options = ShelfOptions::new("buffer");
    let names = [OutputName::from_alias(ALIAS)];
    Arc::new(Shelf::open(Arc::new(Simulated::new()), &options, &names).unwrap().0)
}

/// Reads requests and answers them as told.
async fn serve(mut stream: TcpStream, requests: UnboundedSender<Waiting>) {
    while let Some(what) = read(&mut stream).await {
        let (reply, told) = oneshot::channel();
        requests.send(Waiting { what, reply }).unwrap();
        // The test is over if there is none.
        let Ok(reply) = told.await else { return };
        let (status, length, body, wait) = match reply {
            Reply::Full(status, body) => (status, body.len(), body, ""),
            Reply::Wait(status, wait) => (status, 0, "", wait),
            Reply::Cut(body) => (200, body.len() + 1, body, ""),
            Reply::Close => return,
        };
        let answer = format!(
            "HTTP/1.1 {status} \r\nretry-after: {wait}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        if length != body.len() {
            return;
        }
    }
}

/// Reads one request; `None` at the end of the connection.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = str::from_utf8(&bytes).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        if head.starts_with("GET") {
            return Some("GET".to_owned());
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.unwrap().parse().unwrap() {
            return Some(body.to_owned());
        }
    }
}

/// An output whose requests are the names of records, and whose answers are lines of an index and a verdict.
/// An empty answer takes everything.
struct Text {
    greets: bool,
    records_max: usize,
}

impl Output for Text {
    fn greeting(&self) -> Option<Request> {
        self.greets.then(|| request(&[]))
    }

    fn encode(&mut self, chunk: &Chunk, open: &Open, requests: &mut Requests) {
        let mut names = names(chunk, open);
        let unfit = names.extract_if(.., |(_, name)| name.starts_with(UNFIT));
        requests.unfit.extend(unfit.map(|(index, _)| (index, "unfit")));
        requests.to_send.extend(names.chunks(self.records_max).map(request));
    }

    fn judge(&self, request: &Request, status: u16) -> Box<dyn Judge + Send> {
        Box::new(Lines { status, count: request.records.len(), text: String::new() })
    }
}

fn request(names: &[(u32, String)]) -> Request {
    let body: Vec<_> = names.iter().map(|(_, name)| name.as_str()).collect();
    let body = body.join(" ").into_bytes();
    Request {
        path: PathAndQuery::from_static("/"),
        headers: HeaderMap::new(),
        body_bytes: body.len(),
        body,
        records: names.iter().map(|(index, _)| *index).collect(),
        doubt: None,
    }
}

/// Indices and names of the records that are open.
fn names(chunk: &Chunk, open: &Open) -> Vec<(u32, String)> {
    let name = |json: &[u8]| String::from_utf8(json[6..json.len() - 2].to_vec()).unwrap();
    let records = (0..).zip(chunk.records()).filter(|(index, _)| open.contains(*index));
    records.map(|(index, (_, record))| (index, name(record.json))).collect()
}

struct Lines {
    status: u16,
    count: usize,
    text: String,
}

impl Judge for Lines {
    fn feed(&mut self, bytes: &[u8], verdict: &mut dyn FnMut(u32, Verdict)) {
        self.text.push_str(str::from_utf8(bytes).unwrap());
        if self.status == 429 {
            return;
        }
        for line in self.text.lines() {
            let (index, word) = line.split_once(' ').unwrap();
            let judged = match word {
                "ok" => Verdict::Accepted,
                "repeated" => Verdict::Repeated,
                "conflict" => Verdict::Conflict,
                "retry" => Verdict::Retry,
                kind => Verdict::Refused { kind: kind.to_owned(), reason: format!("it is {kind}") },
            };
            verdict(index.parse().unwrap(), judged);
        }
    }

    fn finish(&mut self, verdict: &mut dyn FnMut(u32, Verdict)) -> Health {
        match self.status {
            200 if self.text.is_empty() => {
                (0..).take(self.count).for_each(|index| verdict(index, Verdict::Accepted));
                Health::Good
            }
            200 => Health::Good,
            413 if self.count > 1 => Health::Divide,
            413 => {
                verdict(0, Verdict::Refused { kind: "large".to_owned(), reason: "why".to_owned() });
                Health::Good
            }
            400 => {
                if self.count == 1 {
                    let (kind, reason) = ("odd".to_owned(), "why".to_owned());
                    verdict(0, Verdict::Blamed { kind, reason });
                }
                Health::Refused
            }
            429 | 503 => Health::Busy,
            _ => Health::Failed,
        }
    }

    /// The text of a 429: seconds.
    fn wait(&self) -> Option<Duration> {
        self.text.parse().ok().filter(|_| self.status == 429).map(Duration::from_secs)
    }
}
