//! Outputs: turn chunks into requests and answers into verdicts. Sending is the courier's.

mod answer;
mod aside;
mod attempt;
mod courier;
mod dates;
pub mod file;
mod keeper;
mod letters;
pub mod loki;
mod notation;
pub mod null;
mod number;
pub mod opensearch;
mod retry_after;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod samples;
pub mod stdout;
mod suspicion;
mod template;
pub mod writer;

pub use courier::{Courier, Policy};
pub use letters::Letters;
pub use writer::{Format, Local, Print, Taken};

use crate::buffer::{Chunk, Open};
use hyper::HeaderMap;
use hyper::http::uri::PathAndQuery;
use std::time::Duration;

/// One request that an output wants sent.
#[derive(Debug)]
pub struct Request {
    /// Path and query.
    pub path: PathAndQuery,
    /// Headers beside `Host` and `Content-Length`.
    pub headers: HeaderMap,
    /// The whole body. Gone to the client by the time an answer is judged.
    pub body: Vec<u8>,
    /// Bytes of the body before it was compressed.
    pub body_bytes: usize,
    /// The chunk's records in the body, in its order.
    pub records: Vec<u32>,
    /// The limit that all of its records break, where the destination may have set a wider one: Loki. Then
    /// they are of one stream.
    pub doubt: Option<loki::Doubt>,
}

/// What an output makes of a chunk.
#[derive(Debug, Default)]
pub struct Requests {
    /// To be sent, one after the other.
    pub to_send: Vec<Request>,
    /// Records of the chunk that no request can carry, and what is wrong with each, in a word: refused
    /// for good before they are sent.
    pub unfit: Vec<(u32, &'static str)>,
}

/// What the destination did with one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has it.
    Accepted,
    /// It had it already under our own id: a repeat that was absorbed. Counts as accepted.
    Repeated,
    /// It has another document under the user's own id (`Id_Key`): not stored, not sent again.
    Conflict,
    /// It is to be sent again.
    Retry,
    /// It will never be accepted, for a reason of this type (such as `mapper_parsing_exception`) …
    Refused {
        /// A short name from the store's own vocabulary; logged and counted.
        kind: String,
        /// The store's text, which may quote the record: for dead letters only, never logged.
        reason: String,
    },
    /// It was alone in a request that was refused as a whole: for what it is, if the destination takes others; else
    /// for what every request is like, and it is to be sent again.
    Blamed {
        /// As of a refusal.
        kind: String,
        /// As of a refusal.
        reason: String,
    },
}

/// What an answer as a whole says of the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It works.
    Good,
    /// It is overloaded or not up (429, 503): no fault of the chunk.
    Busy,
    /// It failed on this chunk (5xx, an answer that makes no sense): counts against `Retry_Limit`.
    Failed,
    /// It takes none of what the request still has open, or does not say what of it: too large (413), or
    /// refused for some of its records. Its halves are to be encoded and sent by themselves, down to single
    /// records, of which the output knows what to make.
    Divide,
    /// It refuses the request as a whole (400), for one of its records or for what every request is like. Which of
    /// the two it is, and which record, is to be found out.
    Refused,
}

/// Reads one answer as it streams in. Records that never get a verdict are sent again.
pub trait Judge {
    /// The next bytes of the body. `verdict(n, …)` judges the `n`th record of the request.
    fn feed(&mut self, bytes: &[u8], verdict: &mut dyn FnMut(u32, Verdict));

    /// The body is complete.
    fn finish(&mut self, verdict: &mut dyn FnMut(u32, Verdict)) -> Health;

    /// Where that is [`Health::Busy`]: how long it takes until there is room, if the answer tells. Then this is
    /// the first wait, in place of `scheduler.base`.
    fn wait(&self) -> Option<Duration> {
        None
    }
}

/// A destination that is spoken to by HTTP. Never does I/O.
pub trait Output: Send {
    /// What to ask the destination, once, before the first chunk; its answer's status and body (at most
    /// [`GREETING_BYTES_MAX`]) come back through [`Output::greeted`].
    fn greeting(&self) -> Option<Request> {
        None
    }

    /// The answer to the greeting, or `None` if there was one that could not be read.
    fn greeted(&mut self, _answer: Option<(u16, &[u8])>) {}

    /// Builds requests that carry exactly the records of `chunk` that are still open, but for those that
    /// it finds unfit.
    fn encode(&mut self, chunk: &Chunk, open: &Open, requests: &mut Requests);

    /// Begins to read the answer to `request`, by its status.
    fn judge(&self, request: &Request, status: u16) -> Box<dyn Judge + Send>;
}

/// More of the answer to a greeting is not read: it names a product and a version.
pub const GREETING_BYTES_MAX: usize = 64 << 10;
