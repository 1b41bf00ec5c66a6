//! What can be the matter with a question to the API.

use super::token::TokenError;
use crate::net::{ConnectError, ProxyUrlError, SendError, TlsError};
use hyper::StatusCode;
use kube_core::Status;
use std::time::Duration;

/// More of what the API says is not shown.
const TEXT_CHARS_MAX: usize = 400;

/// Why a question has no answer. None of these holds anything of a token or of an answer's contents but what a `Status`
/// says.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// There is nothing to show.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The authorities cannot be read.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The proxy of the environment.
    #[error(transparent)]
    Proxy(#[from] ProxyUrlError),
    /// No connection, or it broke.
    #[error(transparent)]
    Send(#[from] SendError),
    /// It took too long.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// The API says no.
    #[error("{status}{}", told(.text))]
    Refused {
        /// The status of the answer.
        status: StatusCode,
        /// What a `Status` object says beside it; empty if there was none.
        text: String,
    },
    /// Longer than it may be.
    #[error("an answer of more than {0} bytes")]
    TooLarge(usize),
    /// Nothing that the API says.
    #[error("an answer that is none of a Kubernetes API (line {line}, column {column})")]
    Garbage {
        /// Where in it.
        line: usize,
        /// Where in the line.
        column: usize,
    },
    /// The request cannot be made.
    #[error("cannot make the request: {0}")]
    Request(#[from] kube_core::request::Error),
}

impl CallError {
    /// A refusal, from what came with it.
    pub(super) fn refused(status: StatusCode, body: &[u8]) -> Self {
        let said: Status = serde_json::from_slice(body).unwrap_or_default();
        let text =
            said.message.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
        Self::Refused { status, text: text.take(TEXT_CHARS_MAX).collect() }
    }

    /// An answer that cannot be read. What stands in it stays unsaid.
    pub(super) fn garbage(error: &serde_json::Error) -> Self {
        Self::Garbage { line: error.line(), column: error.column() }
    }

    /// In a word, for the counter.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Tls(_)
            | Self::Send(SendError::NotConnected { reason: ConnectError::Tls(_), .. }) => "tls",
            Self::Proxy(_) => "proxy",
            Self::Send(SendError::NotConnected { .. }) => "not_connected",
            Self::Send(SendError::Lost { .. }) => "lost",
            Self::Late(_) => "late",
            Self::Refused { status, .. } => match status.as_u16() {
                401 => "unauthorized",
                403 => "forbidden",
                404 => "not_found",
                410 => "gone",
                429 => "busy",
                _ => "status",
            },
            Self::TooLarge(_) => "too_large",
            Self::Garbage { .. } => "garbage",
            Self::Request(_) => "request",
        }
    }

    /// The status of a refusal.
    pub(super) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the same question may well be answered later.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Token(_) | Self::Tls(_) | Self::Proxy(_) | Self::Send(_) | Self::Late(_) => true,
            Self::Refused { status, .. } => {
                let passing = [StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS];
                status.is_server_error() || passing.contains(status)
            }
            Self::TooLarge(_) | Self::Garbage { .. } | Self::Request(_) => false,
        }
    }

    /// Whether the API did answer: it works, and the answer is one about what was asked.
    pub(super) fn is_answer(&self) -> bool {
        let answers = [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND, StatusCode::GONE];
        self.status().is_some_and(|status| answers.contains(&status))
    }
}

fn told(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}
