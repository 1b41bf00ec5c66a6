//! One question to the API server or the kubelet: the token, the pace, the answer.

use super::error::CallError;
use super::pace::Pace;
use super::standing::Standing;
use super::token::Credential;
use crate::config::{NetOptions, TlsOptions};
use crate::filter::kubernetes::options::Server;
use crate::metrics::FilterMetrics;
use crate::net::{Client, Doubts, Endpoint, Proxy, Request, Response};
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, USER_AGENT};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, StatusCode};
use serde::de::DeserializeOwned;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Time for a whole answer, but a watch's.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);

/// Time for a connection, with name look-up and TLS.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(5);

/// Silence that ends a watch: the API server sends a bookmark every minute.
pub(super) const SILENCE_MAX: Duration = Duration::from_mins(2);

/// No answer is longer. Five hundred pods take some MiB; an object in etcd 1.5 MiB at most.
const ANSWER_BYTES_MAX: usize = 32 << 20;

/// A refusal is not read on: it is a `Status`.
const REFUSAL_BYTES_MAX: usize = 64 << 10;

/// Asks one server.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) server: Server,
    pub(super) tls: TlsOptions,
    pub(super) credential: Arc<Credential>,
    pub(super) pace: Arc<Pace>,
    pub(super) standing: Arc<Standing>,
    pub(super) metrics: Arc<FilterMetrics>,
    /// Made when it is first needed: the authorities may not be there at the start.
    pub(super) client: Mutex<Option<Client>>,
}

impl Caller {
    /// Asks, and reads the whole answer.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        request: &hyper::Request<Vec<u8>>,
    ) -> Result<T, CallError> {
        let asked = Instant::now();
        let answer = async {
            let response = self.send(request).await?;
            let body = read(response).await?;
            serde_json::from_slice(&body).map_err(|error| CallError::garbage(&error))
        };
        let answer = timeout(ANSWER_WAIT_MAX, answer).await;
        self.note(answer.unwrap_or(Err(CallError::Late(ANSWER_WAIT_MAX))), asked)
    }

    /// Asks, for an answer that goes on: what becomes of it then is to be noted with [`Caller::note`].
    pub(super) async fn watch(
        &self,
        request: &hyper::Request<Vec<u8>>,
    ) -> Result<Response, CallError> {
        let asked = Instant::now();
        let answer = timeout(ANSWER_WAIT_MAX, self.send(request)).await;
        self.note(answer.unwrap_or(Err(CallError::Late(ANSWER_WAIT_MAX))), asked)
    }

    /// Notes what came of a question that was asked at `asked`.
    pub(super) fn note<T>(
        &self,
        answer: Result<T, CallError>,
        asked: Instant,
    ) -> Result<T, CallError> {
        match &answer {
            Ok(_) => self.standing.note_answer(),
            Err(error) => self.standing.note_failure(error, asked),
        }
        answer
    }

    /// Asks; once more if the token was refused and there is another by now.
    async fn send(&self, request: &hyper::Request<Vec<u8>>) -> Result<Response, CallError> {
        let client = self.client()?;
        let token = self.credential.header().await?;
        let mut response = self.send_as(&client, request, token.clone()).await?;
        if response.status == StatusCode::UNAUTHORIZED
            && let Some(token) = self.credential.other_than(&token).await
        {
            response = self.send_as(&client, request, token).await?;
        }
        let status = response.status;
        if status.is_success() {
            return Ok(response);
        }
        let body = response.prefix(REFUSAL_BYTES_MAX).await.unwrap_or_default();
        Err(CallError::refused(status, &body))
    }

    async fn send_as(
        &self,
        client: &Client,
        request: &hyper::Request<Vec<u8>>,
        token: HeaderValue,
    ) -> Result<Response, CallError> {
        let path = request.uri().path_and_query().cloned();
        let mut headers = HeaderMap::with_capacity(3);
        headers.insert(AUTHORIZATION, token);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static("tailwater"));
        let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
        self.pace.wait().await;
        self.metrics.api_requests.add(1);
        let request =
            Request { method: Method::GET, path, headers, body: hyper::body::Bytes::new() };
        Ok(client.send(request).await?)
    }

    /// The way to the server: directly, or through the proxy of the environment.
    fn client(&self) -> Result<Client, CallError> {
        let mut known = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*known {
            return Ok(client.clone());
        }
        let net = NetOptions {
            connect_timeout: CONNECT_WAIT_MAX,
            io_timeout: SILENCE_MAX,
            ..NetOptions::default()
        };
        let Server { tls, host, port } = self.server.clone();
        let tls = TlsOptions { tls, ..self.tls.clone() };
        let mut doubts = Doubts::new();
        let variable = |name: &str| std::env::var(name).ok();
        let proxy = Proxy::of_environment(&variable, &host, &net, &tls, &mut doubts)?;
        let client = Client::new(Endpoint { host, port }, &net, &tls, proxy, &mut doubts)?;
        for doubt in doubts {
            tracing::warn!("{doubt}");
        }
        *known = Some(client.clone());
        Ok(client)
    }
}

/// A whole answer.
async fn read(mut response: Response) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    while let Some(piece) = response.next().await {
        let piece = piece?;
        if body.len() + piece.len() > ANSWER_BYTES_MAX {
            return Err(CallError::TooLarge(ANSWER_BYTES_MAX));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}
