//! Why a TLS handshake failed, in words that say what to do.

use std::io;

use jiff::Timestamp;
use tokio_rustls::rustls::pki_types::{ServerName, UnixTime};
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible,
};

/// Names of a certificate that are shown; a few stand for hundreds.
const NAMES_SHOWN_MAX: usize = 8;

/// Why there is no TLS connection. Nothing of a request was sent.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// No trusted authority has signed the certificate.
    #[error(
        "the certificate is signed by no authority that is trusted here; name the one that signed \
         it in `{prefix}.ca_file`"
    )]
    UnknownIssuer {
        /// What the names of the peer's properties begin with.
        prefix: &'static str,
    },
    /// The certificate is for others.
    #[error(
        "the certificate is for {presented}, not for `{expected}`; use a name that it has as `Host` \
         or `tls.vhost`, or set `{prefix}.verify_hostname off`"
    )]
    Name {
        /// What was connected to.
        expected: String,
        /// Whose it is.
        presented: String,
        /// What the names of the peer's properties begin with.
        prefix: &'static str,
    },
    /// The certificate's time is over.
    #[error(
        "the certificate expired at {not_after}, and here it is {now}; the server needs a new one"
    )]
    Expired {
        /// The end of its time.
        not_after: String,
        /// The time here.
        now: String,
    },
    /// The certificate's time has not come.
    #[error(
        "the certificate is valid from {not_before} on, and here it is {now}; compare the clocks"
    )]
    NotYetValid {
        /// The begin of its time.
        not_before: String,
        /// The time here.
        now: String,
    },
    /// The certificate, or its chain, is unusable in another way.
    #[error("the certificate is unusable: {0}")]
    Certificate(String),
    /// What came is no TLS.
    #[error("what answers does not speak TLS; set `tls off`, or the port that speaks it")]
    NotTls,
    /// The peer closed the connection in the middle.
    #[error("closed by the other side before it was done; does it speak TLS at this port?")]
    Closed,
    /// The server wants to know who we are, and was not told.
    #[error(
        "the server wants a client certificate ({alert}); set `tls.crt_file` and `tls.key_file`"
    )]
    Anonymous {
        /// What the server said.
        alert: String,
    },
    /// The server knows who we are, and does not want us.
    #[error(
        "the server refuses the client certificate ({alert}); is `tls.crt_file` signed by an \
         authority that the server trusts, and still valid?"
    )]
    Refused {
        /// What the server said.
        alert: String,
    },
    /// No version of TLS or cipher that both sides have.
    #[error(
        "no version of TLS or cipher that both sides have ({reason}); here there are TLS 1.2 and \
         1.3 within `tls.min_version`, `tls.max_version` and `tls.ciphers`"
    )]
    NothingInCommon {
        /// What the server said, or what it lacks.
        reason: String,
    },
    /// The host, or `tls.vhost`, is no name that a certificate could have.
    #[error("`{0}` is no valid server name; set `tls.vhost`")]
    ServerName(Box<str>),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// What a handshake's end is to be judged by.
#[derive(Debug)]
pub(super) struct Circumstances<'a> {
    /// What the names of the peer's properties begin with: `tls` or `tls.proxy`.
    pub(super) prefix: &'static str,
    /// The name asked for.
    pub(super) name: &'a str,
    /// Whether the peer asked for a client certificate.
    pub(super) is_asked: bool,
    /// Whether we have one.
    pub(super) has_identity: bool,
}

impl HandshakeError {
    /// What `error` of the stream means.
    pub(super) fn new(error: &io::Error, circumstances: &Circumstances<'_>) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(error) => Self::of_tls(error, circumstances),
            None if error.kind() == io::ErrorKind::UnexpectedEof
                || error.kind() == io::ErrorKind::ConnectionReset =>
            {
                Self::Closed
            }
            None => Self::Other(error.to_string()),
        }
    }

    /// What `error` of rustls means.
    pub(super) fn of_tls(error: &Error, circumstances: &Circumstances<'_>) -> Self {
        match error {
            Error::InvalidCertificate(error) => Self::of_certificate(error, circumstances.prefix),
            Error::AlertReceived(alert) => Self::of_alert(*alert, circumstances),
            Error::InvalidMessage(InvalidMessage::InvalidContentType) => Self::NotTls,
            Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            ) => Self::NothingInCommon { reason: error.to_string() },
            _ => Self::Other(error.to_string()),
        }
    }

    fn of_certificate(error: &CertificateError, prefix: &'static str) -> Self {
        match error {
            // The second is one that calls itself like a trusted one and has another key: an
            // authority that was made anew.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                Self::UnknownIssuer { prefix }
            }
            CertificateError::ExpiredContext { time, not_after } => {
                Self::Expired { not_after: date(*not_after), now: date(*time) }
            }
            CertificateError::NotValidYetContext { time, not_before } => {
                Self::NotYetValid { not_before: date(*not_before), now: date(*time) }
            }
            CertificateError::NotValidForNameContext { expected, presented } => {
                let expected = match expected {
                    ServerName::IpAddress(address) => std::net::IpAddr::from(*address).to_string(),
                    name => name.to_str().into_owned(),
                };
                Self::Name { expected, presented: names(presented), prefix }
            }
            _ => Self::Certificate(error.to_string()),
        }
    }

    fn of_alert(alert: AlertDescription, circumstances: &Circumstances<'_>) -> Self {
        use AlertDescription as Alert;
        let text = format!("alert {alert:?}");
        match alert {
            Alert::CertificateRequired | Alert::NoCertificate => Self::Anonymous { alert: text },
            // Before TLS 1.3 there is no better word for a missing certificate.
            Alert::HandshakeFailure | Alert::BadCertificate | Alert::CertificateUnknown
                if circumstances.is_asked && !circumstances.has_identity =>
            {
                Self::Anonymous { alert: text }
            }
            Alert::BadCertificate
            | Alert::CertificateUnknown
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
                if circumstances.has_identity =>
            {
                Self::Refused { alert: text }
            }
            Alert::HandshakeFailure | Alert::ProtocolVersion | Alert::InsufficientSecurity => {
                Self::NothingInCommon { reason: text }
            }
            Alert::UnrecognisedName => Self::Other(format!(
                "the server knows no `{}` ({text}); set `tls.vhost` to a name that it has",
                circumstances.name
            )),
            _ => Self::Other(format!("the server ends the handshake ({text})")),
        }
    }
}

/// A certificate's time, as one reads it.
fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(|| "an unknown time".to_owned(), |time| time.to_string())
}

/// The names of a certificate, which come as webpki prints them: `DnsName("a.example")`.
fn names(presented: &[String]) -> String {
    if presented.is_empty() {
        return "nobody (it has no subject alternative name; a common name does not count)"
            .to_owned();
    }
    let bare = |text: &String| {
        let inner = text.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
        format!("`{}`", inner.unwrap_or(text).trim_matches('"'))
    };
    let mut shown: Vec<_> = presented.iter().take(NAMES_SHOWN_MAX).map(bare).collect();
    if presented.len() > NAMES_SHOWN_MAX {
        shown.push("others".to_owned());
    }
    shown.join(", ")
}
