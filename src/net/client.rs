//! One destination: send a request, read the answer as a stream.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderMap, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::sync::OwnedSemaphorePermit;
use tracing::Level;

use super::connect::{Deadline, Stream, connect};
use super::error::tls_beneath;
use super::pool::{Connection, Pool};
use super::proxy::Proxy;
use super::pulse::{Pulse, Pulsing};
use super::tls::{Settings, Tls};
use super::{ConnectError, Doubts, LostError, NetOptions, SendError, TlsError, TlsOptions};

/// Longest silence of a connection that is being made or has a request under way, where the
/// properties say 0, for none. Longer than the stores themselves wait, so that only a dead peer
/// reaches it.
pub const ANSWER_WAIT_MAX: Duration = Duration::from_mins(5);
/// No wait is longer, whatever is configured: as good as forever, and safe to add to a clock.
const WAIT_MAX: Duration = Duration::from_hours(24 * 30);
/// What hyper buffers of an answer at once, its head included.
const READ_BYTES_MAX: usize = 64 * 1024;
/// The first byte of what a TLS server says to plain HTTP (RFC 8446, 5.1).
const TLS_ALERT: u8 = 21;
/// An answer is read on for this many bytes to keep its connection; beyond, closing is cheaper.
const DRAIN_BYTES_MAX: usize = 1 << 20;

/// Sends requests to one host and port. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// A name or an IP address, without brackets.
    host: Box<str>,
    port: u16,
    host_header: Option<HeaderValue>,
    /// `host:port` for errors.
    endpoint: Box<str>,
    net: NetOptions,
    tls: Option<Tls>,
    /// Who connects us, if we do not do so ourselves.
    proxy: Option<Proxy>,
    pool: Arc<Pool>,
    /// Stands in for the network, in a test.
    #[cfg(test)]
    line: Option<super::connect::Line>,
}

/// Where to connect to.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// A host name or IP address; an IPv6 address with or without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// One request. `Host` and `Content-Length` are added to the headers.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path and query as they go on the wire.
    pub path: PathAndQuery,
    /// The headers, credentials included; their names go on the wire in lower case.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// Without the headers, which hold credentials, and without the body.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} of {} bytes", self.method, self.path, self.body.len())
    }
}

type Message = hyper::Request<Full<Bytes>>;

/// How an attempt on one connection failed.
enum Failure {
    /// The connection was closed before the first byte: the message is whole and may go elsewhere.
    Unsent(Box<Message>),
    Lost(LostError),
    /// The other side took it for something else than a request, and so took nothing of it.
    Misread(ConnectError),
}

impl Client {
    /// A client without a connection yet. Reads the certificates when `tls.tls` is on, and the
    /// system's authorities only when they are needed. What is usable but hardly meant goes to
    /// `doubts`.
    pub fn new(
        endpoint: Endpoint,
        net: &NetOptions,
        tls: &TlsOptions,
        proxy: Option<Proxy>,
        doubts: &mut Doubts,
    ) -> Result<Self, TlsError> {
        let Endpoint { host, port } = endpoint;
        let host: Box<str> = bare(&host).into();
        let tls = if tls.tls {
            let name = tls.vhost.as_deref().unwrap_or(&host);
            Some(Tls::new(name, Settings::new(tls)?, doubts)?)
        } else {
            None
        };
        let net = NetOptions {
            connect_timeout: bounded(net.connect_timeout),
            io_timeout: bounded(net.io_timeout),
            keepalive_idle_timeout: net.keepalive_idle_timeout.min(WAIT_MAX),
            ..net.clone()
        };
        let endpoint = authority(&host, port, false);
        let header = authority(&host, port, tls.is_some());
        Ok(Self {
            shared: Arc::new(Shared {
                host_header: HeaderValue::from_str(&header).ok(),
                endpoint: endpoint.into(),
                pool: Pool::new(&net),
                net,
                tls,
                proxy,
                host,
                port,
                #[cfg(test)]
                line: None,
            }),
        })
    }

    /// The same client, of which nothing is used yet, with `line` for its network.
    #[cfg(test)]
    pub(crate) fn over(mut self, line: super::connect::Line) -> Self {
        Arc::get_mut(&mut self.shared).unwrap().line = Some(line);
        self
    }

    /// Sends one request and returns the answer's head and its body as a stream.
    ///
    /// With `net.max_worker_connections`, waits for a connection to come free; a [`Response`] holds
    /// its own until it is read to the end or dropped. A kept connection that the server closed in
    /// the meantime is replaced without a word. Dropping the future closes the connection.
    pub async fn send(&self, request: Request) -> Result<Response, SendError> {
        let shared = &self.shared;
        let mut message = shared.message(request);
        let permit = shared.pool.permit().await;
        if let Some(connection) = shared.pool.take().await {
            match self.exchange(connection, message).await {
                Ok(response) => return Ok(Response { permit, ..response }),
                Err(Failure::Unsent(unsent)) => message = *unsent,
                Err(Failure::Lost(reason)) => return Err(shared.lost(reason)),
                Err(Failure::Misread(reason)) => return Err(shared.not_connected(reason)),
            }
        }
        let opened = Box::pin(shared.open()).await;
        let connection = opened.map_err(|reason| shared.not_connected(reason))?;
        match self.exchange(connection, message).await {
            Ok(response) => Ok(Response { permit, ..response }),
            Err(Failure::Unsent(_)) => Err(shared.not_connected(ConnectError::Closed)),
            Err(Failure::Lost(reason)) => Err(shared.lost(reason)),
            Err(Failure::Misread(reason)) => Err(shared.not_connected(reason)),
        }
    }

    /// How loud an error is to be logged: `net.connect_timeout_log_error off` keeps one kind quiet.
    pub fn log_level(&self, error: &SendError) -> Level {
        let is_quiet = !self.shared.net.connect_timeout_log_error && error.is_connect_timeout();
        if is_quiet { Level::DEBUG } else { Level::WARN }
    }

    /// One request and the head of its answer on one connection.
    async fn exchange(
        &self,
        mut connection: Connection,
        message: Message,
    ) -> Result<Response, Failure> {
        connection.uses += 1;
        let limit = self.shared.net.io_timeout;
        let pulse = connection.pulse.clone();
        let answer = pulse.wait(limit, connection.sender.try_send_request(message)).await;
        let answer = answer.ok_or(Failure::Lost(LostError::Timeout(limit)))?;
        let (head, body) = match answer {
            Ok(answer) => answer.into_parts(),
            Err(mut error) => {
                return Err(match error.take_message() {
                    Some(message) => Failure::Unsent(Box::new(message)),
                    None => self.shared.failure(&connection, error.into_error()),
                });
            }
        };
        Ok(Response {
            status: head.status,
            headers: head.headers,
            body,
            connection: Some(connection),
            permit: None,
            shared: Arc::clone(&self.shared),
        })
    }
}

impl Shared {
    fn message(&self, request: Request) -> Message {
        let mut message = hyper::Request::new(Full::new(request.body));
        *message.method_mut() = request.method;
        *message.uri_mut() = Uri::from(request.path);
        *message.headers_mut() = request.headers;
        if let Some(host) = &self.host_header {
            message.headers_mut().insert(HOST, host.clone());
        }
        message
    }

    /// A fresh connection, ready for its first request.
    async fn open(&self) -> Result<Connection, ConnectError> {
        let deadline = Deadline::new(self.net.connect_timeout);
        let stream: Stream = match &self.proxy {
            Some(proxy) => proxy.connect(&self.host, self.port, &self.net, deadline).await?,
            None => self.connect(deadline).await?,
        };
        let Some(tls) = &self.tls else { return handshake(stream).await };
        let secure = async { tls.connect(stream).await.map_err(ConnectError::Tls) };
        handshake(deadline.hold("the TLS handshake", secure).await?).await
    }

    async fn connect(&self, deadline: Deadline) -> Result<Stream, ConnectError> {
        #[cfg(test)]
        if let Some(line) = &self.line {
            return line.connect();
        }
        Ok(Box::new(connect(&self.host, self.port, &self.net, deadline).await?))
    }

    /// What it means that a request got no answer.
    fn failure(&self, connection: &Connection, error: hyper::Error) -> Failure {
        let is_fresh = connection.uses == 1;
        match &self.tls {
            Some(tls) if is_fresh => {
                match tls_beneath(&error).and_then(|error| tls.refusal(error)) {
                    Some(refusal) => Failure::Misread(ConnectError::Tls(refusal)),
                    None => Failure::Lost(LostError::Http(error)),
                }
            }
            None if is_fresh => match connection.pulse.first_byte() {
                Some(TLS_ALERT) => Failure::Misread(ConnectError::SpeaksTls),
                None => Failure::Lost(LostError::Silent(error)),
                Some(_) => Failure::Lost(LostError::Http(error)),
            },
            _ => Failure::Lost(LostError::Http(error)),
        }
    }

    fn not_connected(&self, reason: ConnectError) -> SendError {
        SendError::NotConnected { endpoint: self.endpoint.clone(), reason }
    }

    fn lost(&self, reason: LostError) -> SendError {
        SendError::Lost { endpoint: self.endpoint.clone(), reason }
    }
}

/// A timeout as configured, where 0 stands for none.
fn bounded(timeout: Duration) -> Duration {
    if timeout.is_zero() { ANSWER_WAIT_MAX } else { timeout.min(WAIT_MAX) }
}

/// Makes `stream` speak HTTP/1.1. The connection lives in a task of its own, which ends when the
/// server closes it or the [`Connection`] is dropped.
async fn handshake(stream: Stream) -> Result<Connection, ConnectError> {
    let pulse = Pulse::new();
    let io = TokioIo::new(Pulsing { stream, pulse: pulse.clone() });
    let handshake = http1::Builder::new().max_buf_size(READ_BYTES_MAX).handshake(io);
    let (sender, driver) = handshake.await.map_err(|_error| ConnectError::Closed)?;
    tokio::spawn(async move {
        // What fails under a request is reported to that request.
        if let Err(error) = driver.await {
            tracing::debug!(%error, "connection ended");
        }
    });
    Ok(Connection { sender, pulse, uses: 0 })
}

/// A host without the brackets of an IPv6 address.
pub(super) fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

/// `host:port` as the `Host` header has it: IPv6 in brackets and without its zone, and like Fluent
/// Bit without the port only for `https` on 443.
pub(super) fn authority(host: &str, port: u16, tls: bool) -> String {
    let (bare, _zone) = host.split_once('%').unwrap_or((host, ""));
    let host = match bare.parse() {
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => host.to_owned(),
    };
    if tls && port == 443 { host } else { format!("{host}:{port}") }
}

/// The answer to one request: its head, and its body to be read piece by piece.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    body: Incoming,
    /// Goes back to the pool when the body is read to its end.
    connection: Option<Connection>,
    permit: Option<OwnedSemaphorePermit>,
    shared: Arc<Shared>,
}

impl Response {
    /// The next piece of the body, of some ten KiB; `None` at its end.
    pub async fn next(&mut self) -> Option<Result<Bytes, SendError>> {
        let limit = self.shared.net.io_timeout;
        loop {
            let pulse = self.connection.as_ref()?.pulse.clone();
            let reason = match pulse.wait(limit, self.body.frame()).await {
                Some(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) => return Some(Ok(bytes)),
                    Err(_trailers) => continue,
                },
                Some(None) => {
                    self.shared.pool.put(self.connection.take()?);
                    self.permit = None;
                    return None;
                }
                Some(Some(Err(error))) => LostError::Http(error),
                None => LostError::Timeout(limit),
            };
            self.connection = None;
            self.permit = None;
            return Some(Err(self.shared.lost(reason)));
        }
    }

    /// The first `limit` bytes of the body; what follows is read to keep the connection, within
    /// reason, and dropped.
    pub async fn prefix(mut self, limit: usize) -> Result<Vec<u8>, SendError> {
        let mut prefix = Vec::new();
        let mut dropped = 0_usize;
        while let Some(piece) = self.next().await {
            let piece = piece?;
            let room = limit.saturating_sub(prefix.len()).min(piece.len());
            let (kept, rest) = piece.split_at(room);
            prefix.extend_from_slice(kept);
            dropped = dropped.saturating_add(rest.len());
            if dropped > DRAIN_BYTES_MAX {
                break;
            }
        }
        Ok(prefix)
    }
}
