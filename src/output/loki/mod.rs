//! `loki`: records to streams, in their order. Loki itself drops an entry that it has already, by stream,
//! time and line, so that sending again is safe.
//!
//! What Loki may refuse goes apart (`doubt.rs`), and of what it refuses it is found out which entries
//! (`judge.rs`). What stays hidden: of several streams in a push that exceed their own rate or the number of streams
//! that there may be, Loki tells only when the last one does.

mod doubt;
mod entry;
mod judge;
mod label_map;
mod labels;
mod line;
mod options;
mod pairs;
mod post;
mod push;
mod rate;
#[cfg(test)]
mod tests;

pub use doubt::Doubt;
pub use options::{DropSingleKey, Encoding, LineFormat, LokiOptions, TenantErrors};

use super::answer::{BodyLimit, Complaints, Whole};
use super::template::write_text;
use super::{Judge, Letters, Output, Request, Requests};
use crate::buffer::{Chunk, Encoded, Open};
use crate::clock;
use crate::config::{Diagnostics, Section};
use crate::record::{Accessor, Nanos};
use doubt::Limits;
use entry::{ENTRY_BYTES, Entries};
use hyper::header::HeaderValue;
use judge::{BLOCKED_STATUS, Refusal, Taking};
use post::Poster;
use push::Push;
use rate::RateLimited;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tailwater_parsers::json::Value;

/// A push before compression is at most about this. Loki's parts send it on to each other in messages of
/// at most 4 MiB by default.
const BODY_BYTES_MAX: usize = 3 << 20;

/// Pushes that grow at the same time. With more tenants in one chunk the first one's push is ended: a
/// field that names a user or a request must not make one of each record's buffers.
const TENANTS_MAX: usize = 64;

/// Pushes that a chunk is parted into for what Loki may refuse of it; the rest goes as it comes. A chunk whose
/// lines jump to and fro by hours must not become a push a line.
const PARTS_MAX: usize = 256;

/// What is said of a record whose tenant holds characters that no HTTP header can: to send it without
/// would give it to another tenant.
const TENANT_UNFIT: &str = "tenant_no_header";

/// The output `loki`.
#[derive(Debug)]
pub struct Loki {
    entries: Entries,
    tenant_key: Option<Accessor>,
    /// The tenant of the record at hand.
    tenant: String,
    encoding: Encoding,
    poster: Poster,
    limit: BodyLimit,
    complaints: Arc<Complaints>,
    /// Between the one who encodes and those who judge.
    limits: Arc<Mutex<Limits>>,
    now: fn() -> Nanos,
}

impl Loki {
    /// The output `name`; what its options cannot mean is reported, with its place in `section`.
    pub fn build(
        name: &str,
        options: &LokiOptions,
        letters: Letters,
        section: &Section,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let gzip =
            options.compress.as_deref().is_some_and(|word| word.eq_ignore_ascii_case("gzip"));
        if options.compress.as_deref().is_some_and(|word| word.eq_ignore_ascii_case("zstd")) {
            let message = "Loki takes no zstd and refuses it for good: `Compress` changes nothing";
            diagnostics.warning(section.location_of("Compress"), message);
        }
        let encoding = encoding(options, gzip, section, diagnostics);
        let tenant_key = options.tenant_id_key.as_deref().and_then(|key| {
            let unread = |error: &_| {
                let message = format!("`Tenant_ID_Key`: {error}; every record goes to `Tenant_ID`");
                diagnostics.warning(section.location_of("Tenant_ID_Key"), message);
            };
            Accessor::parse(key).inspect_err(unread).ok()
        });
        Some(Self {
            entries: Entries::build(options, encoding, letters, section, diagnostics)?,
            tenant_key,
            tenant: String::new(),
            encoding,
            poster: Poster::build(options, encoding, gzip, section, diagnostics)?,
            limit: BodyLimit::new(BODY_BYTES_MAX),
            complaints: Arc::new(Complaints::new(name.into())),
            limits: Arc::default(),
            now: clock::now,
        })
    }

    /// Finds out the tenant of a record; empty for the one of `Tenant_ID`.
    fn read_tenant(&mut self, record: &Encoded<'_>) {
        self.tenant.clear();
        if let Some(key) = &self.tenant_key
            && let Some(name @ Value::String(_)) = key.on_json(text(record))
        {
            write_text(name, &mut self.tenant);
        }
    }
}

impl Output for Loki {
    fn encode(&mut self, chunk: &Chunk, open: &Open, requests: &mut Requests) {
        let body_bytes_max = self.limit.bytes();
        let bytes_expected = (chunk.len() + chunk.count as usize * ENTRY_BYTES).min(body_bytes_max);
        let now = (self.now)();
        let limits = Arc::clone(&self.limits);
        let limits = lock(&limits);
        // One a tenant; nearly always one.
        let mut pushes: Vec<Push> = Vec::new();
        let owed = (0..).zip(chunk.records()).filter(|(index, _)| open.contains(*index));
        for (index, (frame, record)) in owed {
            self.read_tenant(&record);
            let known = pushes.iter().position(|push| push.tenant == self.tenant);
            if known.is_none() && HeaderValue::from_str(&self.tenant).is_err() {
                requests.unfit.push((index, TENANT_UNFIT));
                continue;
            }
            let at = known.unwrap_or_else(|| {
                if pushes.len() == TENANTS_MAX {
                    requests.to_send.extend(self.poster.request(pushes.remove(0)));
                }
                // Of many tenants, each has a small share.
                let bytes_expected = if pushes.is_empty() { bytes_expected } else { 0 };
                pushes.push(Push::new(self.encoding, &self.tenant, None, bytes_expected));
                pushes.len() - 1
            });
            let Some(push) = pushes.get_mut(at) else { continue };
            let entry = self.entries.read(frame.tag, &record);
            let has_parts_left = requests.to_send.len() < PARTS_MAX;
            let doubt = entry.doubt(&limits, now).filter(|_| has_parts_left);
            let is_full = push.body.len() + entry.bytes() > body_bytes_max;
            if push.is_empty() {
                push.doubt = doubt;
            } else if is_full || !entry.fits(push, doubt) {
                let bytes_expected = if doubt.is_some() { 0 } else { bytes_expected };
                let next = Push::new(self.encoding, &self.tenant, doubt, bytes_expected);
                let full = std::mem::replace(push, next);
                requests.to_send.extend(self.poster.request(full));
            }
            entry.add_to(push, index);
        }
        for push in pushes {
            requests.to_send.extend(self.poster.request(push));
        }
    }

    fn judge(&self, request: &Request, status: u16) -> Box<dyn Judge + Send> {
        if let 400 | BLOCKED_STATUS = status {
            return Box::new(Refusal::new(request, &self.limits));
        }
        let whole = Whole::new(request, status, &self.limit, &self.complaints, judge::fault);
        match (status, request.doubt) {
            (429, _) => Box::new(RateLimited::new(whole)),
            (200..=299, Some(doubt)) => Box::new(Taking::new(whole, doubt, &self.limits)),
            _ => Box::new(whole),
        }
    }
}

fn lock(limits: &Mutex<Limits>) -> MutexGuard<'_, Limits> {
    limits.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How pushes are written: as the user says, else as Fluent Bit writes what it compresses with gzip.
fn encoding(
    options: &LokiOptions,
    gzip: bool,
    section: &Section,
    diagnostics: &mut Diagnostics,
) -> Encoding {
    match (options.encoding, gzip) {
        (Some(Encoding::Protobuf), true) => {
            let message = "a push in protobuf is compressed with snappy, whatever `Compress` says";
            diagnostics.warning(section.location_of("Compress"), message);
            Encoding::Protobuf
        }
        (Some(encoding), _) => encoding,
        (None, true) => Encoding::Json,
        (None, false) => Encoding::Protobuf,
    }
}

/// The record as text. It was written from text.
fn text<'a>(record: &Encoded<'a>) -> &'a str {
    str::from_utf8(record.json).unwrap_or("{}")
}
