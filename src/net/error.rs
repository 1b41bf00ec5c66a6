//! Why a request got no answer. Never holds a body, a header or a credential.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

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
    Tls(#[source] io::Error),
    /// All of it took too long.
    #[error("not ready within {0:?} (`net.connect_timeout`)")]
    Timeout(Duration),
    /// The server closed each connection before it took the request.
    #[error("the server closes connections before a request")]
    Closed,
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
}

/// What makes the TLS settings of an output unusable; all of it is known before the start.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate or key file is missing or not PEM.
    #[error("cannot read `{property}` {}: {reason}", path.display())]
    File {
        /// The property that names the file.
        property: &'static str,
        /// The file.
        path: PathBuf,
        /// What the reader says.
        reason: String,
    },
    /// The folder or file holds no certificate.
    #[error("`{property}` {} holds no certificate", path.display())]
    NoCertificate {
        /// The property that names the file.
        property: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The system has no certificate authorities.
    #[error(
        "no certificate authorities found on this system; set `tls.ca_file`, or `tls.verify off`"
    )]
    NoSystemRoots,
    /// `tls.crt_file` without `tls.key_file` or the other way.
    #[error("`tls.crt_file` and `tls.key_file` go together")]
    HalfIdentity,
    /// rustls reads no encrypted keys.
    #[error("`tls.key_passwd` is not supported; store the key without a password")]
    KeyPassword,
    /// Certificate and key do not fit each other, or are of a kind that is not supported.
    #[error("unusable client certificate or key: {0}")]
    Identity(#[source] tokio_rustls::rustls::Error),
    /// A version that is unknown, or none between the two bounds.
    #[error("`{property}` {value}: supported are TLSv1.2 and TLSv1.3")]
    Version {
        /// The property.
        property: &'static str,
        /// Its value.
        value: String,
    },
    /// The host, or `tls.vhost`, is no name a certificate could have.
    #[error("`{0}` is no valid server name")]
    ServerName(String),
}
