//! The client against servers that behave, and against those that do not.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::HeaderMap;
use hyper::http::uri::PathAndQuery;
use hyper::{Method, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing::Level;

use super::*;

/// What the server does with a connection once a request has been read from it.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Answers 200 with a body that names the connection, and keeps it.
    Answer,
    /// The same, and closes it afterwards.
    AnswerAndClose,
    /// Closes it without an answer.
    Hang,
    /// Sends half an answer and closes it.
    Half,
    /// Says nothing and keeps it.
    Silence,
    /// Answers with a body of this many bytes, chunked.
    Big(usize),
}

/// A server that counts its connections and does one [`Act`] per request, the last one for ever.
struct Server {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start(bind: &str, acts: &'static [Act]) -> Self {
        let listener = TcpListener::bind(bind).await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&accepted);
        let task = tokio::spawn(async move {
            let served = Arc::new(AtomicUsize::new(0));
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, number, acts, Arc::clone(&served)));
            }
        });
        Self { address, accepted, task }
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    fn client(&self, net: &NetOptions) -> Client {
        client(&self.address.ip().to_string(), self.address.port(), net, &TlsOptions::default())
    }
}

/// Reads requests and acts, until the act ends the connection.
async fn serve<S>(mut stream: S, number: usize, acts: &[Act], served: Arc<AtomicUsize>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while read_request(&mut stream).await {
        let turn = served.fetch_add(1, Ordering::SeqCst).min(acts.len() - 1);
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n#{number}");
        match acts[turn] {
            Act::Answer => stream.write_all(answer.as_bytes()).await.unwrap(),
            Act::AnswerAndClose => return stream.write_all(answer.as_bytes()).await.unwrap(),
            Act::Half => return stream.write_all(&answer.as_bytes()[..39]).await.unwrap(),
            Act::Hang => return,
            Act::Silence => sleep(Duration::from_hours(1)).await,
            Act::Big(size) => {
                let head = "HTTP/1.1 413 Too Large\r\ntransfer-encoding: chunked\r\n\r\n";
                let body = format!("{head}{size:x}\r\n{}\r\n0\r\n\r\n", "b".repeat(size));
                // The client may have given up on the rest.
                if stream.write_all(body.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Reads one request with its body; false when the client has closed.
async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> bool {
    let mut bytes = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return false,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
        let Some(end) = memchr::memmem::find(&bytes, b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if bytes.len() >= end + 4 + length.map_or(0, |length| length.parse::<usize>().unwrap()) {
            return true;
        }
    }
}

fn client(host: &str, port: u16, net: &NetOptions, tls: &TlsOptions) -> Client {
    let endpoint = Endpoint { host: host.to_owned(), port };
    Client::new(endpoint, net, tls, None, &mut Vec::new()).unwrap()
}

fn request(body: impl Into<Bytes>) -> Request {
    Request {
        method: Method::POST,
        path: PathAndQuery::from_static("/_bulk?x=1"),
        headers: HeaderMap::new(),
        body: body.into(),
    }
}

/// Sends one small request; the body of its answer.
async fn ask(client: &Client) -> Result<String, SendError> {
    let response = client.send(request("one line\n")).await?;
    Ok(String::from_utf8(response.prefix(100).await?).unwrap())
}

/// The answers, in order; an error as its kind and text, without the port.
async fn check(net: &NetOptions, acts: &'static [Act], expected: &[&str]) {
    let server = Server::start("127.0.0.1:0", acts).await;
    let client = server.client(net);
    for (index, expected) in expected.iter().enumerate() {
        let answer = match ask(&client).await {
            Ok(body) => body,
            Err(error) => error.to_string().replace(&server.address.to_string(), "HOST"),
        };
        assert_eq!(&answer, expected, "request {index} of {acts:?}");
        // Lets the close of the server arrive.
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn connections_are_kept_and_replaced() {
    let net = NetOptions::default();
    check(&net, &[Act::Answer], &["#0", "#0", "#0"]).await;
    check(&net, &[Act::AnswerAndClose], &["#0", "#1", "#2"]).await;
    check(&net, &[Act::Answer, Act::AnswerAndClose, Act::Answer], &["#0", "#0", "#1", "#1"]).await;
    let one_use = NetOptions { keepalive: false, ..net.clone() };
    check(&one_use, &[Act::Answer], &["#0", "#1", "#2"]).await;
    let two_uses = NetOptions { keepalive_max_recycle: 2, ..net.clone() };
    check(&two_uses, &[Act::Answer], &["#0", "#0", "#1", "#1", "#2"]).await;
    let unbounded =
        NetOptions { keepalive_max_recycle: -1, max_worker_connections: -1, ..net.clone() };
    check(&unbounded, &[Act::Answer], &["#0", "#0", "#0"]).await;
    let brief = NetOptions { keepalive_idle_timeout: Duration::from_millis(5), ..net };
    check(&brief, &[Act::Answer], &["#0", "#1"]).await;
}

#[tokio::test]
async fn what_was_sent_and_not_answered_is_lost() {
    let net = NetOptions { io_timeout: Duration::from_millis(300), ..NetOptions::default() };
    let closed = "answer of HOST lost: connection closed before message completed";
    let fresh = &*format!("{closed}; if the server speaks TLS, set `tls on`");
    check(&net, &[Act::Hang, Act::Answer], &[fresh, "#1"]).await;
    let half = "answer of HOST lost: error reading a body from connection: \
                end of file before message length reached";
    check(&net, &[Act::Half, Act::Answer], &[half, "#1"]).await;
    let silent = "answer of HOST lost: nothing moved for 300ms (`net.io_timeout`)";
    check(&net, &[Act::Silence, Act::Answer], &[silent, "#1"]).await;
    // A kept connection that is cut after it took the request is not retried unasked.
    check(&net, &[Act::Answer, Act::Hang, Act::Answer], &["#0", closed, "#1"]).await;
}

#[tokio::test]
async fn a_reset_in_the_middle_of_a_request_is_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = client("127.0.0.1", port, &NetOptions::default(), &TlsOptions::default());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // Closing with bytes unread resets the connection.
        stream.read_exact(&mut [0; 1000]).await.unwrap();
    });
    let error = client.send(request(vec![b'x'; 32 << 20])).await.unwrap_err();
    assert!(matches!(error, SendError::Lost { .. }), "{error}");
    server.await.unwrap();
}

#[tokio::test]
async fn extreme_times_do_not_overflow() {
    let [most, none] = [Duration::MAX, Duration::ZERO].map(|time| NetOptions {
        connect_timeout: time,
        io_timeout: time,
        keepalive_idle_timeout: time,
        ..NetOptions::default()
    });
    check(&most, &[Act::Answer], &["#0", "#0"]).await;
    check(&none, &[Act::Answer], &["#0", "#1"]).await;
}

#[test]
fn a_request_is_shown_without_its_secrets() {
    let mut request = request("secret body");
    request.headers.insert("authorization", "Basic secret".parse().unwrap());
    assert_eq!(format!("{request:?}"), "POST /_bulk?x=1 of 11 bytes");
}

#[tokio::test]
async fn idle_connections_are_closed_on_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let idle = Duration::from_millis(30);
    let net = NetOptions { keepalive_idle_timeout: idle, ..NetOptions::default() };
    let client = client("127.0.0.1", port, &net, &TlsOptions::default());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(read_request(&mut stream).await);
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    });
    assert_eq!(ask(&client).await.unwrap(), "");
    tokio::time::timeout(Duration::from_secs(5), server).await.unwrap().unwrap();
}

#[tokio::test]
async fn nobody_listens() {
    // A port that was just free: nothing listens there.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    for (host, net, expected) in [
        ("127.0.0.1", NetOptions::default(), "Connection refused"),
        ("no.such.host.invalid", NetOptions::default(), "cannot resolve the name"),
        ("", NetOptions::default(), "no connection to :"),
    ] {
        let error = ask(&client(host, port, &net, &TlsOptions::default())).await.unwrap_err();
        assert!(matches!(error, SendError::NotConnected { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connect_timeout = Duration::from_millis(30);
    let net = NetOptions { connect_timeout, ..NetOptions::default() };
    let tls = TlsOptions { tls: true, verify: false, ..TlsOptions::default() };
    let error = ask(&client("127.0.0.1", port, &net, &tls)).await.unwrap_err();
    assert!(matches!(error, SendError::NotConnected { .. }), "{error}");
    assert!(
        error
            .to_string()
            .ends_with("the TLS handshake was not done within 30ms (`net.connect_timeout`)"),
        "{error}"
    );
}

/// A server that listens and never takes a connection is as one behind a firewall that says nothing.
#[tokio::test]
async fn connect_timeouts_are_logged_as_asked() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tls = TlsOptions { tls: true, verify: false, ..TlsOptions::default() };
    for (log, expected) in [(true, Level::WARN), (false, Level::DEBUG)] {
        let net = NetOptions {
            connect_timeout: Duration::from_millis(30),
            connect_timeout_log_error: log,
            ..NetOptions::default()
        };
        let slow = client("127.0.0.1", address.port(), &net, &tls);
        assert_eq!(slow.log_level(&ask(&slow).await.unwrap_err()), expected);
        // Another failure is none of its business.
        let nameless = client(
            "no.such.host.invalid",
            80,
            &NetOptions { connect_timeout: Duration::from_mins(1), ..net },
            &tls,
        );
        assert_eq!(nameless.log_level(&ask(&nameless).await.unwrap_err()), Level::WARN);
    }
}

#[tokio::test]
async fn an_endless_head_is_given_up() {
    for line in ["x: y\r\n", "x"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
            let lines = line.repeat(10_000);
            while stream.write_all(lines.as_bytes()).await.is_ok() {}
        });
        let client = client("127.0.0.1", port, &NetOptions::default(), &TlsOptions::default());
        let error = ask(&client).await.unwrap_err();
        assert!(matches!(error, SendError::Lost { .. }), "{error}");
    }
}

#[tokio::test]
async fn ipv6_and_source_address() {
    let net = NetOptions::default();
    let six = Server::start("[::1]:0", &[Act::Answer]).await;
    for host in ["::1", "[::1]"] {
        let client = client(host, six.address.port(), &net, &TlsOptions::default());
        assert!(ask(&client).await.is_ok());
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for (source, expected) in [("127.0.0.7", "127.0.0.7"), ("nonsense", "127.0.0.1")] {
        let net = NetOptions {
            source_address: Some(source.to_owned()),
            tcp_keepalive: true,
            tcp_keepalive_time: 7,
            tcp_keepalive_interval: 3,
            tcp_keepalive_probes: 2,
            ..net.clone()
        };
        let client = client("127.0.0.1", port, &net, &TlsOptions::default());
        let asked = tokio::spawn(async move { ask(&client).await });
        let (_stream, peer) = listener.accept().await.unwrap();
        assert_eq!(peer.ip().to_string(), expected);
        asked.abort();
    }
}

#[tokio::test]
async fn max_worker_connections_holds() {
    let net = NetOptions { max_worker_connections: 2, ..NetOptions::default() };
    let server = Server::start("127.0.0.1:0", &[Act::Answer]).await;
    let client = server.client(&net);
    let first = client.send(request("a")).await.unwrap();
    let second = client.send(request("b")).await.unwrap();
    let mut third = Box::pin(client.send(request("c")));
    let early = poll_fn(|cx| Poll::Ready(third.as_mut().poll(cx).is_ready())).await;
    assert!(!early, "a third request went out beside two");
    first.prefix(10).await.unwrap();
    third.await.unwrap().prefix(10).await.unwrap();
    second.prefix(10).await.unwrap();
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn long_answers_are_read_in_pieces_and_given_up_in_time() {
    for (size, connections) in [(500_000, 1), (20_000_000, 2)] {
        let acts: &'static [Act] = vec![Act::Big(size), Act::Answer].leak();
        let server = Server::start("127.0.0.1:0", acts).await;
        let client = server.client(&NetOptions::default());
        let response = client.send(request("a")).await.unwrap();
        assert_eq!(response.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(response.prefix(1000).await.unwrap(), [b'b'; 1000]);
        ask(&client).await.unwrap();
        assert_eq!(server.accepted(), connections, "after an answer of {size} bytes");

        let server = Server::start("127.0.0.1:0", acts).await;
        let mut response = server.client(&NetOptions::default()).send(request("a")).await.unwrap();
        let mut total = 0;
        while let Some(piece) = response.next().await {
            let piece = piece.unwrap();
            assert!(piece.len() <= 128 * 1024, "{}", piece.len());
            total += piece.len();
        }
        assert_eq!(total, size);
        assert!(response.next().await.is_none());
    }
}

#[tokio::test]
async fn a_slow_server_that_moves_is_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let net = NetOptions { io_timeout: Duration::from_millis(500), ..NetOptions::default() };
    let client = client("127.0.0.1", port, &net, &TlsOptions::default());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // Reads so slowly that the whole request takes several times the timeout.
        let (mut total, mut buffer) = (0, vec![0; 1 << 20]);
        while total < 24 << 20 {
            sleep(Duration::from_millis(40)).await;
            total += stream.read(&mut buffer).await.unwrap();
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    });
    let response = client.send(request(vec![b'x'; 24 << 20])).await.unwrap();
    assert_eq!(response.status, StatusCode::NO_CONTENT);
}

mod proxy;
mod tls;
