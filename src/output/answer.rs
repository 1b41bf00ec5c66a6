//! Answers that speak of a request as a whole, whatever the store: overload, failure, misconfiguration.

use super::{Health, Judge, Request, Verdict};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is kept of an answer that is not read item by item: enough for an error's type and text, which may
/// quote a field, and which OpenSearch says three times.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// The kind of a 400 that names none which is known: it may be of a proxy, or of a server that expects TLS.
pub(super) const BAD_REQUEST: &str = "bad_request";

/// No 413 makes all later bodies smaller than this: a server that takes less refuses log lines, not bodies,
/// and what it refuses is divided by itself.
const BODY_BYTES_MIN: usize = 16 << 10;

/// What a status outside 2xx says of the destination. Nothing is ever refused for good by these but a single
/// record, by 413, or by 400 where others are taken: a wrong password or path is the operator's to mend, not the
/// records' fault.
pub(super) fn health(status: u16) -> Health {
    match status {
        500..=502 | 504..=599 => Health::Failed,
        200..=299 => Health::Good,
        400 => Health::Refused,
        413 => Health::Divide,
        // 429 and 503 say it themselves; 401, 403, 404, a redirect and their like hold for every chunk.
        _ => Health::Busy,
    }
}

/// A body that is answered 429 so often in a row is halved: the first may have come at the wrong moment.
const PUT_OFF_MAX: u32 = 2;

/// So many bodies are to be taken in a row before twice as much is tried again.
const TAKEN_MIN: u32 = 32;

/// How large a request's body may be before compression. Shrinks when the destination says 413; and for a while when
/// it says nothing but 429, since what takes so many bytes a second, or has so many in work, never takes more
/// of them at once, however long one waits (Loki's `ingestion_burst_size_mb`, OpenSearch's
/// `indexing_pressure.memory.limit`).
#[derive(Debug)]
pub(super) struct BodyLimit(Mutex<Sizes>);

#[derive(Debug)]
struct Sizes {
    /// As 413 left it, in bytes.
    max: usize,
    /// For now; at most `max`.
    now: usize,
    /// Answers 429 in a row.
    put_off: u32,
    /// Bodies taken in a row, while less is sent than may be.
    taken: u32,
}

impl BodyLimit {
    /// At most `bytes`.
    pub(super) fn new(bytes: usize) -> Self {
        Self(Mutex::new(Sizes { max: bytes, now: bytes, put_off: 0, taken: 0 }))
    }

    /// The limit as it is now, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.lock().now
    }

    /// A body of `bytes` was too large: from now on at most half of it.
    pub(super) fn was_exceeded_by(&self, bytes: usize) {
        let mut sizes = self.lock();
        sizes.max = sizes.max.min((bytes / 2).max(BODY_BYTES_MIN));
        sizes.now = sizes.now.min(sizes.max);
    }

    /// A body of `bytes` was answered 429.
    pub(super) fn was_put_off(&self, bytes: usize) {
        let mut sizes = self.lock();
        (sizes.put_off, sizes.taken) = (sizes.put_off + 1, 0);
        if sizes.put_off == PUT_OFF_MAX {
            sizes.put_off = 0;
            sizes.now = sizes.now.min((bytes / 2).max(BODY_BYTES_MIN));
        }
    }

    /// A body was taken.
    pub(super) fn was_taken(&self) {
        let mut sizes = self.lock();
        (sizes.put_off, sizes.taken) = (0, sizes.taken + 1);
        if sizes.taken >= TAKEN_MIN {
            sizes.taken = 0;
            sizes.now = sizes.max.min(sizes.now.saturating_mul(2));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Sizes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets a lasting misconfiguration be told once, not once a request.
#[derive(Debug)]
pub(super) struct Complaints {
    /// The output's name in the log.
    name: Arc<str>,
    /// The status that was told last; 0 for none.
    told: AtomicU16,
}

impl Complaints {
    /// Nothing told yet.
    pub(super) fn new(name: Arc<str>) -> Self {
        Self { name, told: AtomicU16::new(0) }
    }

    /// The output's name in the log.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Requests are taken: the next complaint is news.
    pub(super) fn clear(&self) {
        self.told.store(0, Ordering::Relaxed);
    }

    /// Logs why a store that takes a request puts each of its records off, if an operator has to act on it.
    pub(super) fn tell_of_items(&self, status: u16, kind: &str) {
        if !matches!(status, 429 | 503) && self.is_news(status) {
            tracing::error!(
                output = &*self.name,
                status,
                kind,
                "every record is refused for now, all are kept; check the index, its pipeline and the rights to it"
            );
        }
    }

    fn is_news(&self, status: u16) -> bool {
        self.told.swap(status, Ordering::Relaxed) != status
    }

    /// Logs a status that an operator has to act on. Overload, failure and what may be a record's fault are the
    /// courier's to log.
    fn tell(&self, status: u16, kind: &str) {
        if matches!(status, 400 | 413 | 429 | 500..) || !self.is_news(status) {
            return;
        }
        let hint = match status {
            300..=399 => "the server redirects: check host, port, `tls` and path",
            401 | 403 => "check user, password, token and the rights behind them",
            404 | 405 => "check the path of the destination",
            _ => "check the configuration of this output",
        };
        tracing::error!(
            output = &*self.name,
            status,
            kind,
            "every request is refused, records are kept; {hint}"
        );
    }
}

/// What an answer says is wrong.
#[derive(Debug, Default)]
pub(super) struct Fault {
    /// The error's type; empty if it names none.
    pub(super) kind: String,
    /// Its text, which may quote a record.
    pub(super) reason: String,
}

/// Judges an answer by its status alone.
#[derive(Debug)]
pub(super) struct Whole {
    status: u16,
    /// Verdict on each record, if the status settles them.
    verdict: Option<Verdict>,
    count: u32,
    text: Vec<u8>,
    fault: fn(&[u8]) -> Fault,
    complaints: Arc<Complaints>,
}

impl Whole {
    /// For the answer `status` to `request`.
    pub(super) fn new(
        request: &Request,
        status: u16,
        limit: &BodyLimit,
        complaints: &Arc<Complaints>,
        fault: fn(&[u8]) -> Fault,
    ) -> Self {
        let verdict = match (status, request.records.len()) {
            (200..=299, _) => {
                limit.was_taken();
                Some(Verdict::Accepted)
            }
            (429, 2..) => {
                limit.was_put_off(request.body_bytes);
                None
            }
            (413, 0..=1) => {
                let reason = format!("the server takes no body of {} bytes", request.body_bytes);
                Some(Verdict::Refused { kind: "request_too_large".to_owned(), reason })
            }
            (413, _) => {
                limit.was_exceeded_by(request.body_bytes);
                None
            }
            _ => None,
        };
        let count = u32::try_from(request.records.len()).unwrap_or(u32::MAX);
        Self { status, verdict, count, text: Vec::new(), fault, complaints: Arc::clone(complaints) }
    }
}

impl Judge for Whole {
    fn feed(&mut self, bytes: &[u8], _verdict: &mut dyn FnMut(u32, Verdict)) {
        let room = TEXT_BYTES_MAX - self.text.len();
        self.text.extend(bytes.iter().take(room));
    }

    fn finish(&mut self, verdict: &mut dyn FnMut(u32, Verdict)) -> Health {
        if let Some(same) = &self.verdict {
            (0..self.count).for_each(|index| verdict(index, same.clone()));
        }
        if matches!(self.status, 200..=299) {
            self.complaints.clear();
        } else {
            let Fault { kind, reason } = (self.fault)(&self.text);
            self.complaints.tell(self.status, &kind);
            if (self.status, self.count) == (400, 1) {
                let kind = if kind.is_empty() { BAD_REQUEST.to_owned() } else { kind };
                verdict(0, Verdict::Blamed { kind, reason });
            }
        }
        // A record that is too large by itself is refused, which says nothing of the destination.
        if self.verdict.is_some() { Health::Good } else { health(self.status) }
    }
}

/// The value of `Authorization` for a user and a password (RFC 7617).
pub(super) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_is_put_off_again_is_halved_until_many_are_taken() {
        let limit = BodyLimit::new(1 << 20);
        limit.was_put_off(400_000);
        limit.was_taken();
        limit.was_put_off(400_000);
        assert_eq!(limit.bytes(), 1 << 20, "not twice in a row");
        limit.was_put_off(400_000);
        assert_eq!(limit.bytes(), 200_000);
        (0..2).for_each(|_| limit.was_put_off(200_000));
        assert_eq!(limit.bytes(), 100_000);
        (0..TAKEN_MIN).for_each(|_| limit.was_taken());
        assert_eq!(limit.bytes(), 200_000);
        limit.was_exceeded_by(300_000);
        (0..TAKEN_MIN).for_each(|_| limit.was_taken());
        assert_eq!(limit.bytes(), 150_000);
        (0..99).for_each(|_| limit.was_put_off(1));
        assert_eq!(limit.bytes(), BODY_BYTES_MIN);
    }
}
