//! Pushes as requests: compressed, with their headers.

use super::options::{Encoding, LokiOptions};
use super::push::Push;
use crate::config::{Diagnostics, Section};
use crate::net::Gzip;
use crate::output::Request;
use crate::output::answer::basic;
use hyper::HeaderMap;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use hyper::http::uri::PathAndQuery;
use std::io;

/// Names the tenant of a push.
const TENANT: HeaderName = HeaderName::from_static("x-scope-orgid");

/// Makes requests of pushes.
#[derive(Debug)]
pub(super) struct Poster {
    packer: Packer,
    path: PathAndQuery,
    headers: HeaderMap,
}

impl Poster {
    /// A poster for these options; what they cannot mean is reported, with its place in `section`.
    pub(super) fn build(
        options: &LokiOptions,
        encoding: Encoding,
        gzip: bool,
        section: &Section,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let packer = match (encoding, gzip) {
            (Encoding::Protobuf, _) => {
                Packer::Snappy(Box::new(snap::raw::Encoder::new()), Vec::new())
            }
            (Encoding::Json, true) => Packer::Gzip(Gzip::default()),
            (Encoding::Json, false) => Packer::Plain,
        };
        let slash = if options.uri.starts_with('/') { "" } else { "/" };
        let Ok(path) = PathAndQuery::try_from(format!("{slash}{}", options.uri)) else {
            diagnostics.error(
                section.location_of("Uri"),
                "`Uri` is no path; write it like `/loki/api/v1/push`",
            );
            return None;
        };
        let headers = headers(options, &packer, section, diagnostics)?;
        Some(Self { packer, path, headers })
    }

    /// A request of a push that is complete; none if it cannot be packed, which is logged.
    pub(super) fn request(&mut self, mut push: Push) -> Option<Request> {
        push.end();
        let body_bytes = push.body.len();
        let body = self
            .packer
            .pack(std::mem::take(&mut push.body))
            .inspect_err(|error| tracing::error!(%error, "cannot compress a push to Loki"))
            .ok()?;
        let mut headers = self.headers.clone();
        if let Ok(tenant) = HeaderValue::from_str(&push.tenant)
            && !tenant.is_empty()
        {
            headers.insert(TENANT, tenant);
        }
        let Push { records, doubt, .. } = push;
        Some(Request { path: self.path.clone(), headers, body, body_bytes, records, doubt })
    }
}

/// Compresses pushes.
enum Packer {
    /// A snappy block; and the room it is written to.
    Snappy(Box<snap::raw::Encoder>, Vec<u8>),
    Gzip(Gzip),
    Plain,
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Snappy(..) => "Snappy",
            Self::Gzip(_) => "Gzip",
            Self::Plain => "Plain",
        })
    }
}

impl Packer {
    fn pack(&mut self, body: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::Snappy(encoder, room) => {
                let needed = snap::raw::max_compress_len(body.len());
                if room.len() < needed {
                    // New each time, and not written to before: what is never needed of it stays without memory.
                    *room = vec![0; needed.next_power_of_two()];
                }
                let packed_len = encoder.compress(&body, room)?;
                Ok(room.get(..packed_len).unwrap_or_default().to_vec())
            }
            Self::Gzip(gzip) => {
                let mut packed = Vec::new();
                gzip.compress(&body, &mut packed)?;
                Ok(packed)
            }
            Self::Plain => Ok(body),
        }
    }
}

/// The headers of every push; what cannot be one is reported.
fn headers(
    options: &LokiOptions,
    packer: &Packer,
    section: &Section,
    diagnostics: &mut Diagnostics,
) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static("tailwater"));
    let content_type = match packer {
        Packer::Snappy(..) => "application/x-protobuf",
        Packer::Gzip(_) | Packer::Plain => "application/json",
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Packer::Gzip(_) = packer {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let mut add = |name: &str, value: &str, property: &str| {
        let (Ok(name), Ok(mut value)) = (HeaderName::try_from(name), HeaderValue::from_str(value))
        else {
            let message = format!("`{property}` holds characters that no HTTP header can");
            diagnostics.error(section.location_of(property), message);
            return None;
        };
        value.set_sensitive(true);
        headers.append(name, value);
        Some(())
    };
    if let Some(user) = &options.http_user {
        add("authorization", &basic(user, options.http_passwd.reveal()), "HTTP_User")?;
    } else if let Some(token) = &options.bearer_token {
        add("authorization", &format!("Bearer {}", token.reveal()), "Bearer_Token")?;
    }
    if let Some(tenant) = &options.tenant_id {
        add("x-scope-orgid", tenant, "Tenant_ID")?;
    }
    for header in options.header.iter() {
        // A name alone is its own value, as in Fluent Bit.
        let (name, value) = header.split_once(char::is_whitespace).unwrap_or((header, header));
        add(name, value.trim(), "Header")?;
    }
    Some(headers)
}
