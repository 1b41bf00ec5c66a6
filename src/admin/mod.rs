//! The HTTP server for those who watch the agent: liveness, health, metrics.
//!
//! It has Fluent Bit 5.1's paths and answers. As there, every method is answered on every path but
//! an unknown one, which is an empty 404; none of these pages has a 405.

mod health;
mod pages;

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::metrics::Registry;

pub use health::HealthOptions;
use pages::Pages;

/// Connections at once: probes and scrapers are a handful, and each costs a buffer. More wait in
/// the kernel's queue.
const CONNECTION_COUNT_MAX: usize = 64;
/// What a request's head may take, which is the least that hyper allows.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Time for a request's head, and for the next request on a kept connection to begin. Longer than
/// the usual scrape interval.
const HEAD_TIME_MAX: Duration = Duration::from_mins(2);
/// A connection in use for longer than this is closed after its current answer.
const CONNECTION_TIME_MAX: Duration = Duration::from_hours(1);
/// Time for that last answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
/// After a failed `accept`, most often for want of file descriptors, the next waits this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Fluent Bit takes the failures of the outputs once a second, and `HC_Period` counts these.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// The address cannot be listened on; the agent does not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {listen}:{port} (`HTTP_Listen`, `HTTP_Port`): {error}")]
pub struct BindError {
    listen: Box<str>,
    port: u16,
    #[source]
    error: io::Error,
}

/// A server that is bound and does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
}

impl Server {
    /// Binds `HTTP_Listen` and `HTTP_Port`, so that a start with a taken port fails.
    pub fn bind(listen: &str, port: u16) -> Result<Self, BindError> {
        let bare = listen.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let addresses = (bare.unwrap_or(listen), port).to_socket_addrs();
        let bound = addresses.and_then(|addresses| {
            let listener = TcpListener::bind(&*addresses.collect::<Vec<_>>())?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        match bound {
            Ok(listener) => Ok(Self { listener }),
            Err(error) => Err(BindError { listen: listen.into(), port, error }),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `shutdown` is done; then drops what is still open. Fails only when called outside a tokio runtime.
    pub async fn serve(
        self,
        registry: Arc<Registry>,
        health: HealthOptions,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let pages = Arc::new(Pages::new(registry, health));
        let mut connections = JoinSet::new();
        let mut sample = interval(SAMPLE_INTERVAL);
        sample.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => return Ok(()),
                _ = sample.tick(), if health.check => pages.sample(),
                Some(_) = connections.join_next() => {}
                accepted = listener.accept(), if connections.len() < CONNECTION_COUNT_MAX => {
                    match accepted {
                        Ok((stream, _)) => {
                            connections.spawn(converse(stream, Arc::clone(&pages)));
                        }
                        Err(error) => {
                            tracing::warn!(%error, "cannot accept a connection of the HTTP server");
                            sleep(ACCEPT_PAUSE).await;
                        }
                    }
                }
            }
        }
    }
}

/// Answers the requests of one connection until it is closed, by whom ever.
async fn converse(stream: TcpStream, pages: Arc<Pages>) {
    let answer = service_fn(|request: hyper::Request<_>| {
        let answer = pages.answer(request.uri().path());
        async { Ok::<_, std::convert::Infallible>(answer) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME_MAX)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), answer)
    );
    let ended = match timeout(CONNECTION_TIME_MAX, &mut connection).await {
        Ok(ended) => ended,
        Err(_elapsed) => {
            connection.as_mut().graceful_shutdown();
            timeout(ANSWER_TIME_MAX, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection of the HTTP server ended");
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::oneshot;

    use super::*;

    /// A running server; dropping the sender ends it.
    fn start() -> (SocketAddr, oneshot::Sender<()>) {
        let mut registry = Registry::new(SystemTime::now());
        registry.input("tail.0", "tail").records.add(2);
        let server = Server::bind("127.0.0.1", 0).unwrap();
        let address = server.address().unwrap();
        let (sender, ended) = oneshot::channel();
        let shutdown = async { ended.await.unwrap_or_default() };
        tokio::spawn(server.serve(Arc::new(registry), HealthOptions::default(), shutdown));
        (address, sender)
    }

    /// Sends `request` and reads until the server closes.
    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A server that closes before it has read everything resets the connection.
        let _end = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn requests_are_answered_over_a_socket() {
        let (address, _running) = start();
        let tail = "host: x\r\nconnection: close\r\n\r\n";
        for (request, status, part) in [
            ("GET / HTTP/1.1\r\n", "200 OK", "\"version\":\"5.1.1\""),
            ("GET /api/v1/uptime?x=1 HTTP/1.1\r\n", "200 OK", "uptime_sec"),
            ("GET /api/v1/metrics HTTP/1.1\r\n", "200 OK", "\"tail.0\":{"),
            (
                "GET /api/v1/metrics/prometheus HTTP/1.1\r\n",
                "200 OK",
                "\nfluentbit_input_records_total{name=\"tail.0\"} 2 ",
            ),
            ("GET /api/v1/health HTTP/1.1\r\n", "404 Not Found", "content-length: 0\r\n"),
            ("POST / HTTP/1.1\r\ncontent-length: 3\r\n", "200 OK", "fluent-bit"),
            ("HEAD / HTTP/1.1\r\n", "200 OK", "content-type: application/json\r\n"),
            ("nonsense\r\n", "400 Bad Request", ""),
        ] {
            let answer = ask(address, &format!("{request}{tail}")).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}: {answer}");
            assert!(answer.contains(part), "{request}: {answer}");
        }
        let long = format!("GET / HTTP/1.1\r\nx: {}\r\n{tail}", "y".repeat(HEAD_BYTES_MAX));
        let answer = ask(address, &long).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_wait() {
        let (address, _running) = start();
        let mut held = Vec::new();
        for _ in 0..CONNECTION_COUNT_MAX {
            held.push(TcpStream::connect(address).await.unwrap());
        }
        let request = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let mut waiting = Box::pin(ask(address, request));
        let early = timeout(Duration::from_millis(100), &mut waiting).await;
        assert!(early.is_err(), "{early:?}");
        held.pop();
        let answer = timeout(Duration::from_secs(5), waiting).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }

    #[tokio::test]
    async fn shutdown_frees_the_port_and_a_taken_one_is_an_error() {
        let (address, running) = start();
        let error = Server::bind("127.0.0.1", address.port()).unwrap_err().to_string();
        assert!(error.contains("`HTTP_Port`): Address already in use"), "{error}");
        let mut held = TcpStream::connect(address).await.unwrap();
        drop(running);
        assert_eq!(held.read(&mut [0]).await.unwrap_or(0), 0);
        Server::bind("[::1]", 0).unwrap();
        assert!(Server::bind("no.such.host.invalid", 0).is_err());
        assert!(Server::bind("127.0.0.1", address.port()).is_ok());
    }
}
