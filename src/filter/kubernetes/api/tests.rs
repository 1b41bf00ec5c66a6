//! The side of the API against an API of a few lines, over a network in memory, on a clock that stands still while there
//! is nothing to do: what waits for minutes takes no time, and every run is the same.

use super::call::Caller;
use super::*;
use crate::config::{NetOptions, TlsOptions};
use crate::filter::kubernetes::directory::{Known, PodKey};
use crate::filter::kubernetes::options::{Server, Token};
use crate::net::{Client, Doubts, Endpoint, Line};
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// What a request gets.
#[derive(Clone)]
enum Answer {
    /// A status and a body.
    Reply(u16, String),
    /// The beginning of a watch: these lines, then it stays open.
    Watch(Vec<String>),
    /// The same, and the end.
    Ended(Vec<String>),
    /// Nothing, ever.
    Silence,
}

/// What answers: by the token and the path, and how often that was asked before.
type Script = dyn Fn(&str, &str, usize) -> Answer + Send + Sync;

struct Rig {
    directory: Directory,
    metrics: Arc<FilterMetrics>,
    /// When which path was asked for.
    asked: Arc<Mutex<Vec<(Instant, String)>>>,
    folder: TempDir,
    task: JoinHandle<()>,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Rig {
    fn start(
        node: Option<&str>,
        script: impl Fn(&str, &str, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(node, script, |_| {})
    }

    fn start_with(
        node: Option<&str>,
        script: impl Fn(&str, &str, usize) -> Answer + Send + Sync + 'static,
        change: impl FnOnce(&mut ApiOptions),
    ) -> Self {
        // Waits are drawn at random: here each run draws the same.
        fastrand::seed(7);
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        std::fs::write(&token, "one").unwrap();
        let server = Server { tls: false, host: "api".to_owned(), port: 80 };
        let mut options = ApiOptions {
            server: server.clone(),
            kubelet: None,
            tls: TlsOptions::default(),
            token: Token::File(token),
            token_ttl: Duration::from_mins(10),
            pod_ttl: None,
            namespace_ttl: Some(Duration::from_mins(15)),
            node_name: node.map(str::to_owned),
            namespace_file: PathBuf::from("/nowhere"),
            wants_pods: true,
            wants_namespaces: true,
        };
        change(&mut options);
        let metrics = Arc::<FilterMetrics>::default();
        let mut apis = Apis::default();
        let directory = apis.directory(options, &metrics, &|_| None);
        let asked = Arc::<Mutex<Vec<_>>>::default();
        let client = client(server, Arc::new(script), Arc::clone(&asked));
        let api = apis.0.pop().unwrap();
        let task = tokio::spawn(api.run_over(move |caller: Caller| Caller {
            client: Mutex::new(Some(client.clone())),
            ..caller
        }));
        Self { directory, metrics, asked, folder, task }
    }

    /// Lets so much time pass.
    async fn pass(&self, seconds: f64) {
        sleep(Duration::from_secs_f64(seconds)).await;
    }

    fn pod(&self, name: &str) -> Known<String> {
        let key = PodKey { namespace: "ns", name, uid: None, container_id: None };
        match self.directory.pod(&key) {
            Known::Yes(pod) => Known::Yes(Arc::new(pod.metadata.uid.clone())),
            Known::NotYet => Known::NotYet,
            Known::No => Known::No,
        }
    }

    #[track_caller]
    fn expect(&self, name: &str, uid: &str) {
        assert_eq!(self.pod(name), Known::Yes(Arc::new(uid.to_owned())));
    }

    /// The requests so far, their queries cut to what tells them apart.
    fn requests(&self) -> Vec<String> {
        let short = |(_, path): &(Instant, String)| {
            let (path, query) = path.split_once('?').unwrap_or((path, ""));
            let kept = query.split('&').filter(|part| {
                ["watch=", "resourceVersion=", "continue=", "limit="]
                    .iter()
                    .any(|start| part.starts_with(start))
            });
            let kept: Vec<_> = kept.collect();
            format!("{} {}", path.trim_start_matches("/api/v1/"), kept.join("&"))
        };
        self.asked.lock().unwrap().iter().map(short).collect()
    }

    /// No second saw more than it may.
    fn check_pace(&self) {
        let asked = self.asked.lock().unwrap();
        for window in asked.windows(pace::REQUESTS_MAX + 1) {
            let span = window[pace::REQUESTS_MAX].0 - window[0].0;
            assert!(span >= Duration::from_millis(999), "{span:?}");
        }
    }
}

fn client(
    server: Server,
    script: Arc<Script>,
    asked: Arc<Mutex<Vec<(Instant, String)>>>,
) -> Client {
    let net = NetOptions { io_timeout: call::SILENCE_MAX, ..NetOptions::default() };
    let Server { host, port, .. } = server;
    let endpoint = Endpoint { host, port };
    let client = Client::new(endpoint, &net, &TlsOptions::default(), None, &mut Doubts::new());
    client.unwrap().over(Line(Arc::new(move || {
        let (ours, theirs) = duplex(64 << 10);
        tokio::spawn(serve(theirs, Arc::clone(&script), Arc::clone(&asked)));
        Some(ours)
    })))
}

/// Answers requests until the other end goes away.
async fn serve(
    mut stream: DuplexStream,
    script: Arc<Script>,
    asked: Arc<Mutex<Vec<(Instant, String)>>>,
) -> Option<()> {
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?.into());
        }
        let path = head.split(' ').nth(1).unwrap();
        // A random part of it: without that, the same question has the same path.
        let path: Vec<_> = path.split('&').filter(|it| !it.starts_with("timeout")).collect();
        let path = path.join("&");
        let token = head.split("authorization: Bearer ").nth(1).unwrap_or_default();
        let token = token.lines().next().unwrap_or_default().to_owned();
        let before = {
            let mut asked = asked.lock().unwrap();
            asked.push((Instant::now(), path.clone()));
            asked.iter().filter(|(_, known)| *known == path).count() - 1
        };
        match script(&token, &path, before) {
            Answer::Reply(status, body) => {
                let head = format!("HTTP/1.1 {status} .\r\ncontent-length: {}\r\n\r\n", body.len());
                stream.write_all(head.as_bytes()).await.ok()?;
                stream.write_all(body.as_bytes()).await.ok()?;
            }
            Answer::Watch(lines) => {
                watch_lines(&mut stream, lines).await?;
                // Until the other end has enough.
                stream.read_u8().await.ok()?;
            }
            Answer::Ended(lines) => {
                watch_lines(&mut stream, lines).await?;
                stream.write_all(b"0\r\n\r\n").await.ok()?;
            }
            Answer::Silence => {
                stream.read_u8().await.ok()?;
            }
        }
    }
}

async fn watch_lines(stream: &mut DuplexStream, lines: Vec<String>) -> Option<()> {
    stream.write_all(b"HTTP/1.1 200 .\r\ntransfer-encoding: chunked\r\n\r\n").await.ok()?;
    for line in lines {
        let piece = format!("{:x}\r\n{line}\n\r\n", line.len() + 1);
        stream.write_all(piece.as_bytes()).await.ok()?;
    }
    Some(())
}

fn pod(name: &str, uid: &str, version: u32) -> String {
    format!(
        r#"{{"metadata":{{"name":"{name}","namespace":"ns","uid":"{uid}","resourceVersion":"{version}"}}}}"#
    )
}

fn list(version: u32, pods: &[String]) -> Answer {
    let pods = pods.join(",");
    Answer::Reply(
        200,
        format!(r#"{{"metadata":{{"resourceVersion":"{version}"}},"items":[{pods}]}}"#),
    )
}

fn event(kind: &str, object: &str) -> String {
    format!(r#"{{"type":"{kind}","object":{object}}}"#)
}

fn refusal(code: u16, message: &str) -> Answer {
    Answer::Reply(code, format!(r#"{{"kind":"Status","code":{code},"message":"{message}"}}"#))
}

fn is_watch(path: &str) -> bool {
    path.contains("watch=true")
}

#[tokio::test(start_paused = true)]
async fn a_node_costs_one_list_and_one_watch() {
    let rig = Rig::start(Some("n"), |_, path, _| {
        assert!(path.contains("fieldSelector=spec.nodeName%3Dn"), "{path}");
        if is_watch(path) {
            Answer::Watch(vec![
                event("ADDED", &pod("b", "2", 11)),
                event("DELETED", &pod("a", "1", 12)),
                event("ADDED", &pod("a", "3", 13)),
            ])
        } else {
            list(10, &[pod("a", "1", 5)])
        }
    });
    rig.pass(1.0).await;
    rig.expect("b", "2");
    rig.expect("a", "3");
    let requests = rig.requests();
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert_eq!(requests[0], "pods resourceVersion=0");
    assert!(requests[1].ends_with("resourceVersion=10"), "{requests:?}");
    assert_eq!(rig.metrics.api_requests.value(), 2);
    assert_eq!(rig.metrics.pods_known.value(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_list_comes_in_pages() {
    let rig = Rig::start(Some("n"), |_, path, _| {
        if is_watch(path) {
            Answer::Watch(Vec::new())
        } else if path.contains("continue=more") {
            list(10, &[pod("b", "2", 6)])
        } else {
            let pod = pod("a", "1", 5);
            let body = format!(
                r#"{{"metadata":{{"resourceVersion":"10","continue":"more"}},"items":[{pod}]}}"#
            );
            Answer::Reply(200, body)
        }
    });
    rig.pass(1.0).await;
    rig.expect("a", "1");
    rig.expect("b", "2");
    assert_eq!(rig.requests()[1], "pods continue=more");
}

#[tokio::test(start_paused = true)]
async fn a_watch_goes_on_where_it_ended_and_lists_again_when_that_is_gone() {
    let gone = r#"{"code":410,"reason":"Expired","message":"too old"}"#;
    let rig = Rig::start(Some("n"), move |_, path, before| match (is_watch(path), before) {
        (false, 0) if path.contains("resourceVersion=0") => list(10, &[pod("a", "1", 5)]),
        // It was deleted while nobody watched.
        (false, _) => list(30, &[pod("b", "2", 25)]),
        (true, _) if path.contains("resourceVersion=10") => {
            let bookmark =
                r#"{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"20"}}"#;
            Answer::Ended(vec![event("BOOKMARK", bookmark)])
        }
        (true, _) if path.contains("resourceVersion=20") => {
            Answer::Watch(vec![event("ERROR", gone)])
        }
        (true, _) => Answer::Watch(Vec::new()),
    });
    rig.pass(20.0).await;
    rig.expect("b", "2");
    rig.expect("a", "1");
    let requests = rig.requests();
    let versions: Vec<_> =
        requests.iter().map(|it| it.rsplit(['&', ' ']).next().unwrap()).collect();
    let expected = [
        "resourceVersion=0",
        "resourceVersion=10",
        "resourceVersion=20",
        "limit=500",
        "resourceVersion=30",
    ];
    assert_eq!(versions, expected);
    assert_eq!(rig.metrics.api_errors.value(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_silent_watch_is_given_up() {
    let rig = Rig::start(Some("n"), |_, path, before| match (is_watch(path), before) {
        _ if path.contains("resourceVersion=11") => {
            Answer::Watch(vec![event("ADDED", &pod("b", "2", 12))])
        }
        (true, 0) => Answer::Silence,
        (true, _) => Answer::Watch(vec![event("ADDED", &pod("a", "1", 11))]),
        (false, _) => list(10, &[]),
    });
    // No head within ten seconds; then no line within two minutes.
    rig.pass(20.0).await;
    rig.expect("a", "1");
    rig.pass(125.0).await;
    rig.expect("b", "2");
    assert_eq!(rig.requests().iter().filter(|it| !it.contains("watch")).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn garbage_is_left_behind() {
    let rig = Rig::start(Some("n"), |_, path, before| match (is_watch(path), before) {
        (false, 0) => Answer::Reply(200, "<html>not today, secret</html>".to_owned()),
        (false, _) => list(10, &[pod("a", "1", 5)]),
        (true, 0) => Answer::Watch(vec![r#"{"type":"ADDED","object":[3]}"#.to_owned()]),
        (true, _) => Answer::Watch(vec![
            event("ADDED", &format!("\"{}\"", "x".repeat(5 << 20))),
            event("ADDED", &pod("b", "2", 11)),
        ]),
    });
    rig.pass(20.0).await;
    rig.expect("a", "1");
    rig.expect("b", "2");
    assert_eq!(rig.metrics.api_errors.value(), 2);
    assert_eq!(rig.metrics.pods_skipped.value(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_tried_again_at_a_pace_and_nobody_waits_for_it() {
    let rig = Rig::start(Some("n"), |_, _, _| refusal(503, "starting"));
    assert_eq!(rig.pod("a"), Known::NotYet);
    rig.pass(8.0).await;
    assert_eq!(rig.pod("a"), Known::No);
    rig.pass(600.0).await;
    let count = rig.requests().len();
    assert!((20..=200).contains(&count), "{count}");
    rig.check_pace();
}

#[tokio::test(start_paused = true)]
async fn a_right_that_is_missing_costs_one_question_a_pod() {
    let rig = Rig::start(Some("n"), |_, path, _| match path {
        "/api/v1/namespaces/ns/pods/a" => Answer::Reply(200, pod("a", "1", 5)),
        path if path.contains("/pods/") => refusal(404, "no such pod"),
        _ => refusal(403, "cannot list resource pods in API group"),
    });
    for name in ["a", "b"] {
        assert_eq!(rig.pod(name), Known::NotYet);
    }
    rig.pass(1.0).await;
    rig.expect("a", "1");
    assert_eq!(rig.pod("b"), Known::No);
    assert_eq!(rig.requests().len(), 3);
    // What was not there is looked for again, but not often; the right is, too.
    for _ in 0..600 {
        rig.pass(1.0).await;
        rig.pod("b");
    }
    let requests = rig.requests();
    let of_b = requests.iter().filter(|it| it.contains("/b")).count();
    assert!((3..=12).contains(&of_b), "{requests:?}");
    assert_eq!(requests.iter().filter(|it| it.starts_with("pods ")).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_right_that_is_taken_away_leaves_what_was_known() {
    let rig = Rig::start(Some("n"), |_, path, _| match path {
        "/api/v1/namespaces/ns/pods/b" => Answer::Reply(200, pod("b", "2", 5)),
        path if is_watch(path) => refusal(403, "cannot watch resource pods"),
        _ => list(10, &[pod("a", "1", 5)]),
    });
    rig.pod("b");
    rig.pass(3.0).await;
    rig.expect("a", "1");
    rig.expect("b", "2");
    assert!(rig.directory.is_loose(&Want::pod("ns", "a")), "kept for ever");
}

#[tokio::test(start_paused = true)]
async fn pods_that_may_not_be_asked_for_are_not() {
    let rig = Rig::start(None, |_, _, _| refusal(403, "cannot get resource pods"));
    for number in 0..100 {
        assert_eq!(rig.pod(&format!("p-{number}")), Known::NotYet);
    }
    rig.pass(1.0).await;
    assert_eq!(rig.pod("p-99"), Known::No);
    assert_eq!(rig.requests().len(), 1, "one refusal tells it of the namespace");
}

#[tokio::test(start_paused = true)]
async fn many_pods_of_an_unknown_node_are_asked_for_at_a_pace() {
    let rig = Rig::start(None, |_, path, _| {
        let name = path.rsplit('/').next().unwrap();
        Answer::Reply(200, pod(name, name, 1))
    });
    for number in 0..110 {
        assert_eq!(rig.pod(&format!("p-{number}")), Known::NotYet);
    }
    rig.pass(25.0).await;
    for number in 0..110 {
        let name = format!("p-{number}");
        rig.expect(&name, &name);
    }
    assert_eq!(rig.requests().len(), 110);
    rig.check_pace();
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_the_watch_tells_of_soon_is_not_asked_for() {
    let rig = Rig::start(Some("n"), |_, path, _| {
        if is_watch(path) {
            Answer::Watch(Vec::new())
        } else if path.contains("/pods/") {
            Answer::Reply(200, pod("elsewhere", "9", 1))
        } else {
            list(10, &[])
        }
    });
    rig.pass(1.0).await;
    assert_eq!((rig.pod("soon"), rig.pod("elsewhere")), (Known::NotYet, Known::NotYet));
    rig.pass(0.5).await;
    let soon = serde_json::from_str(&pod("soon", "1", 11)).unwrap();
    rig.directory.put_watched(soon);
    rig.pass(1.0).await;
    rig.expect("soon", "1");
    rig.expect("elsewhere", "9");
    assert_eq!(rig.requests().len(), 3, "{:?}", rig.requests());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_refused_is_read_again_at_once() {
    let rig = Rig::start(None, |token, path, _| {
        let name = path.rsplit('/').next().unwrap();
        if token == "one" && name == "b" {
            return refusal(401, "expired");
        }
        Answer::Reply(200, pod(name, token, 1))
    });
    rig.pod("a");
    rig.pass(1.0).await;
    rig.expect("a", "one");
    std::fs::write(rig.folder.path().join("token"), "two\n").unwrap();
    rig.pod("b");
    rig.pass(0.1).await;
    rig.expect("b", "two");
    assert_eq!(rig.metrics.api_errors.value(), 0);
}

#[tokio::test(start_paused = true)]
async fn namespaces_are_asked_for_again_when_their_time_is_over() {
    let rig = Rig::start(None, |_, path, before| {
        assert_eq!(path, "/api/v1/namespaces/ns");
        Answer::Reply(200, format!(r#"{{"metadata":{{"name":"ns","uid":"{before}"}}}}"#))
    });
    let uid = || match rig.directory.namespace("ns") {
        Known::Yes(namespace) => namespace.metadata.uid.clone(),
        other => format!("{other:?}"),
    };
    assert_eq!(uid(), "NotYet");
    rig.pass(1.0).await;
    assert_eq!(uid(), "0");
    rig.pass(14.0 * 60.0).await;
    assert_eq!(uid(), "0");
    rig.pass(62.0).await;
    assert_eq!(uid(), "1");
}

#[tokio::test(start_paused = true)]
async fn the_kubelet_is_asked_for_all_its_pods_and_not_for_each() {
    let kubelet = Server { tls: false, host: "kubelet".to_owned(), port: 80 };
    let change = |options: &mut ApiOptions| options.kubelet = Some(kubelet);
    let script = |_: &str, path: &str, before: usize| {
        assert!(path.starts_with("/pods"), "{path}");
        let all: Vec<_> =
            (0..=before).map(|it| pod(&format!("p-{it}"), &it.to_string(), 1)).collect();
        list(1, &all)
    };
    let rig = Rig::start_with(None, script, change);
    rig.pass(0.1).await;
    rig.expect("p-0", "0");
    for number in 1..50 {
        assert_eq!(rig.pod(&format!("p-{number}")), Known::NotYet);
    }
    rig.pass(2.5).await;
    rig.expect("p-1", "1");
    assert_eq!(rig.pod("p-49"), Known::No);
    assert_eq!(rig.requests().len(), 2);
    rig.pass(60.0).await;
    rig.expect("p-2", "2");
    assert_eq!(rig.requests().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_node_is_found_by_the_own_pod() {
    let namespace = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(namespace.path(), "ns\n").unwrap();
    let node = Node::new(None, namespace.path().to_owned(), &|name| {
        (name == "HOSTNAME").then(|| "own".to_owned())
    });
    let rig = Rig::start(None, |_, _, _| Answer::Silence);
    let check = async |status: u16, body: &'static str, expected: Option<&str>| {
        let script = move |_: &str, path: &str, before: usize| {
            assert_eq!(path, "/api/v1/namespaces/ns/pods/own");
            if before == 0 { refusal(500, "") } else { Answer::Reply(status, body.to_owned()) }
        };
        let server = Server { tls: false, host: "api".to_owned(), port: 80 };
        let client = client(server.clone(), Arc::new(script), Arc::default());
        let token = Token::File(rig.folder.path().join("token"));
        let caller = Caller {
            server,
            tls: TlsOptions::default(),
            credential: Arc::new(Credential::new(token, Duration::from_mins(1))),
            pace: Arc::default(),
            standing: Arc::new(Standing::new(Directory::default(), Arc::default())),
            metrics: Arc::default(),
            client: Mutex::new(Some(client)),
        };
        assert_eq!(node.clone().find(&caller, BACKOFF).await.as_deref(), expected);
    };
    let pod = r#"{"metadata":{"name":"own"},"spec":{"nodeName":"n"}}"#;
    check(200, pod, Some("n")).await;
    check(404, "{}", None).await;
    check(403, "", None).await;
}
