//! Why a request got no answer. Never holds a body, a header or a credential.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use hyper::StatusCode;
use tokio_rustls::rustls;

use super::HandshakeError;

/// Why [`Client::send`](super::Client::send) has no answer. The kinds differ in what the store may
/// have seen, which is what a retry policy needs to know.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No byte of the request left this machine.
    #[error("no connection to {endpoint}: {reason}")]
    NotConnected {
        /// `host:port` as configured.
        endpoint: Box<str>,
        /// What failed.
        #[source]
        reason: ConnectError,
    },
    /// The request was sent in part or whole, and the answer is missing in part or whole: the
    /// store may or may not have taken it.
    #[error("answer of {endpoint} lost: {reason}")]
    Lost {
        /// `host:port` as configured.
        endpoint: Box<str>,
        /// What failed.
        #[source]
        reason: LostError,
    },
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address, or the resolver failed.
    #[error("cannot resolve the name: {0}")]
    Resolve(#[source] io::Error),
    /// The name resolves to nothing.
    #[error("the name has no address")]
    NoAddress,
    /// The last address tried did not accept.
    #[error("{address}: {error}")]
    Tcp {
        /// The address tried last.
        address: SocketAddr,
        /// Its answer.
        #[source]
        error: io::Error,
    },
    /// TLS failed: an unknown authority, a wrong name, a protocol version.
    #[error("tls: {0}")]
    Tls(#[source] HandshakeError),
    /// All of it took too long.
    #[error("{step} was not done within {limit:?} (`net.connect_timeout`)")]
    Timeout {
        /// The step that was under way.
        step: &'static str,
        /// The time for all steps together.
        limit: Duration,
    },
    /// The proxy of the environment did not connect us.
    #[error("proxy {proxy} of the environment: {reason}")]
    Proxy {
        /// `host:port` of the proxy, without user and password.
        proxy: Box<str>,
        /// What failed.
        #[source]
        reason: Box<ProxyError>,
    },
    /// The server closed each connection before it took the request.
    #[error("the server closes connections before a request")]
    Closed,
    /// The answer to plain HTTP was TLS.
    #[error("the server speaks TLS at this port; set `tls on`")]
    SpeaksTls,
}

/// Why a proxy gives no way to the destination.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// There is no connection to the proxy itself.
    #[error(transparent)]
    NotConnected(ConnectError),
    /// It was asked to connect, and said no.
    #[error("it answers CONNECT with {}", refused(*.0))]
    Refused(StatusCode),
    /// It was asked to connect, and gave no answer that is HTTP.
    #[error("no answer to CONNECT: {}", with_cause(.0))]
    Lost(#[source] hyper::Error),
}

/// The status of a proxy's refusal, with what to do where that is clear.
fn refused(status: StatusCode) -> String {
    match status {
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            format!("{status}; it wants a user and a password, or others, in `HTTP_PROXY`")
        }
        StatusCode::FORBIDDEN => {
            format!("{status}; allow the destination there, or name it in `NO_PROXY`")
        }
        _ => status.to_string(),
    }
}

/// Why the proxy of the environment is unusable; known before the start.
#[derive(Debug, thiserror::Error)]
pub enum ProxyUrlError {
    /// It is not written as Fluent Bit reads it. The text itself may hold a password.
    #[error("`HTTP_PROXY` of the environment {0}; write `http://USER:PASSWORD@HOST:PORT`")]
    Form(&'static str),
    /// `tls.proxy.*` is unusable.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// hyper names only the step that failed; the reason lies beneath.
fn with_cause(error: &hyper::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// Why an answer is missing.
#[derive(Debug, thiserror::Error)]
pub enum LostError {
    /// The connection broke, or what came is not HTTP/1.1.
    #[error("{}", with_cause(.0))]
    Http(#[source] hyper::Error),
    /// Nothing was sent or received for too long.
    #[error("nothing moved for {0:?} (`net.io_timeout`)")]
    Timeout(Duration),
    /// A fresh connection was closed without a byte, as some servers do that expect TLS.
    #[error("{}; if the server speaks TLS, set `tls on`", with_cause(.0))]
    Silent(#[source] hyper::Error),
}

impl SendError {
    /// Whether connecting took too long, which `net.connect_timeout_log_error off` keeps quiet.
    pub fn is_connect_timeout(&self) -> bool {
        let Self::NotConnected { reason, .. } = self else { return false };
        match reason {
            ConnectError::Timeout { .. } => true,
            ConnectError::Proxy { reason, .. } => {
                matches!(**reason, ProxyError::NotConnected(ConnectError::Timeout { .. }))
            }
            _ => false,
        }
    }
}

/// The error of rustls beneath one of hyper.
pub(super) fn tls_beneath(error: &hyper::Error) -> Option<&rustls::Error> {
    let error = error.source()?.downcast_ref::<io::Error>()?;
    error.get_ref()?.downcast_ref()
}

/// What makes the TLS settings of an output unusable; all of it is known before the start.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate or key file is missing or not PEM.
    #[error("cannot read `{property}` {}: {reason}", path.display())]
    File {
        /// The property that names the file.
        property: String,
        /// The file.
        path: PathBuf,
        /// What the reader says.
        reason: String,
    },
    /// The folder or file holds no certificate.
    #[error("`{property}` {} holds no certificate", path.display())]
    NoCertificate {
        /// The property that names the file.
        property: String,
        /// The file.
        path: PathBuf,
    },
    /// Certificate and key do not fit each other, or are of a kind that is not supported.
    #[error("unusable client certificate or key: {0}")]
    Identity(#[source] rustls::Error),
    /// No version between the two bounds.
    #[error(
        "no version of TLS from `tls.min_version` to `tls.max_version`; there are TLSv1.2 and TLSv1.3"
    )]
    Version,
}
