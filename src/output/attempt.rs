//! One try at one chunk: encode, send, judge.

use super::{GREETING_BYTES_MAX, Health, Output, Request, Requests, Verdict};
use crate::buffer::{Open, Parcel};
use crate::net::{self, Client, SendError};
use hyper::Method;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// Kinds of refusal that one try tells apart; the rest count as `other`. Stores have a few dozen.
const REFUSAL_KINDS_MAX: usize = 16;

/// A chunk that one output owes.
#[derive(Debug)]
pub(super) struct Pending {
    /// The chunk.
    pub(super) parcel: Parcel,
    /// Its place in the order in which chunks came.
    pub(super) place: u64,
    /// Its records that are not settled.
    pub(super) open: Open,
    /// Failures that `Retry_Limit` counts.
    pub(super) failures: u32,
    /// Tries so far that left something to do, for the backoff.
    pub(super) tries: u32,
    /// Tries that were answered "body too large".
    pub(super) splits: u32,
    /// Not to be tried before.
    pub(super) due: Instant,
}

/// How the try ended, for the destination and the chunk as a whole.
#[derive(Debug)]
pub(super) enum End {
    /// Answered.
    Answered(Health),
    /// Nothing of the chunk was sent.
    Unreachable(SendError),
    /// Sent, but the answer is missing.
    Lost(SendError),
}

/// What a try brought, beside the records that it took out of `open`.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The chunk, with what is still open.
    pub(super) pending: Pending,
    /// How it ended.
    pub(super) end: End,
    /// The last status of an answer.
    pub(super) status: Option<u16>,
    /// Whether the destination has been greeted.
    pub(super) greeted: bool,
    /// What became of the records.
    pub(super) tally: Tally,
}

/// How many records got which verdict.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Accepted, repeats of our own included.
    pub(super) accepted: u32,
    /// Of these, repeats that the store absorbed.
    pub(super) repeated: u32,
    /// Not stored, since the user's own id is taken.
    pub(super) conflicts: u32,
    /// Refused for good, by kind.
    pub(super) refused: Vec<(String, u32)>,
    /// Their share of the bodies' bytes, before compression.
    pub(super) bytes: u64,
}

/// What all tries of an output share.
#[derive(Clone)]
pub(super) struct Destination {
    /// The output; locked for a moment each, never across a wait.
    pub(super) output: Arc<Mutex<Box<dyn Output>>>,
    /// The way to it.
    pub(super) client: Arc<Client>,
}

impl Destination {
    /// Tries to deliver what is open of the chunk; says hello first, if that has not been done.
    pub(super) async fn attempt(self, pending: Pending, greeted: bool) -> Outcome {
        let tally = Tally::default();
        let mut outcome =
            Outcome { pending, end: End::Answered(Health::Good), status: None, greeted, tally };
        if !greeted {
            match self.greet().await {
                Ok(()) => outcome.greeted = true,
                Err(end) => {
                    outcome.end = end;
                    return outcome;
                }
            }
        }
        let mut requests = Requests::default();
        self.lock().encode(outcome.pending.parcel.chunk(), &outcome.pending.open, &mut requests);
        for (record, kind) in requests.unfit {
            outcome.refuse(record, kind);
        }
        for request in requests.to_send {
            let (body_bytes, count) = (request.body_bytes as u64, request.records.len() as u64);
            let before = outcome.tally.accepted;
            outcome.end = self.send(request, &mut outcome).await;
            let accepted = u64::from(outcome.tally.accepted - before);
            outcome.tally.bytes += body_bytes * accepted / count.max(1);
            if !matches!(outcome.end, End::Answered(Health::Good)) {
                break;
            }
        }
        outcome
    }

    /// Asks the destination what it is, if its output wants to know. One that takes the question and says
    /// nothing has answered, too: what it is then is for the output to guess.
    async fn greet(&self) -> Result<(), End> {
        let Some(mut request) = self.lock().greeting() else { return Ok(()) };
        let answer = match self.client.send(to_net(Method::GET, &mut request)).await {
            Ok(answer) => answer,
            Err(error @ SendError::NotConnected { .. }) => return Err(End::Unreachable(error)),
            Err(SendError::Lost { .. }) => {
                self.lock().greeted(None);
                return Ok(());
            }
        };
        let status = answer.status.as_u16();
        // Overload, or a proxy that does not reach what is behind it: not the destination's own word.
        if let 429 | 502..=504 = status {
            return Err(End::Answered(Health::Busy));
        }
        let body = answer.prefix(GREETING_BYTES_MAX).await.ok();
        self.lock().greeted(body.as_deref().map(|body| (status, body)));
        Ok(())
    }

    /// Sends one request and applies the verdicts of its answer.
    async fn send(&self, mut request: Request, outcome: &mut Outcome) -> End {
        let mut answer = match self.client.send(to_net(Method::POST, &mut request)).await {
            Ok(answer) => answer,
            Err(error) => return End::without_answer(error),
        };
        let status = answer.status.as_u16();
        outcome.status = Some(status);
        let mut judge = self.lock().judge(&request, status);
        while let Some(read) = answer.next().await {
            match read {
                Ok(bytes) => {
                    judge.feed(&bytes, &mut |n, verdict| outcome.apply(&request, n, verdict));
                }
                Err(error) => return End::without_answer(error),
            }
        }
        End::Answered(judge.finish(&mut |n, verdict| outcome.apply(&request, n, verdict)))
    }

    fn lock(&self) -> MutexGuard<'_, Box<dyn Output>> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Moves what the client needs out of `request`; its list of records stays for the judge.
fn to_net(method: Method, request: &mut Request) -> net::Request {
    net::Request {
        method,
        path: request.path.clone(),
        headers: std::mem::take(&mut request.headers),
        body: std::mem::take(&mut request.body).into(),
    }
}

impl End {
    fn without_answer(error: SendError) -> Self {
        match error {
            SendError::NotConnected { .. } => Self::Unreachable(error),
            SendError::Lost { .. } => Self::Lost(error),
        }
    }
}

impl Outcome {
    /// Gives a record up that no request can carry.
    fn refuse(&mut self, record: u32, kind: &str) {
        if self.pending.open.remove(record) {
            self.tally.refuse(kind.to_owned());
        }
    }

    /// Applies the verdict on the `n`th record of `request`. Only the first one that settles a record counts.
    fn apply(&mut self, request: &Request, n: u32, verdict: Verdict) {
        let Some(&record) = request.records.get(n as usize) else { return };
        if verdict == Verdict::Retry || !self.pending.open.remove(record) {
            return;
        }
        match verdict {
            Verdict::Accepted => self.tally.accepted += 1,
            Verdict::Repeated => {
                self.tally.accepted += 1;
                self.tally.repeated += 1;
            }
            Verdict::Conflict => self.tally.conflicts += 1,
            Verdict::Refused { kind, .. } => self.tally.refuse(kind),
            Verdict::Retry => {}
        }
    }
}

impl Tally {
    /// Counts one refusal under its kind.
    fn refuse(&mut self, kind: String) {
        let full = self.refused.len() >= REFUSAL_KINDS_MAX;
        match self.refused.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None if full => self.refuse_other(),
            None => self.refused.push((kind, 1)),
        }
    }

    /// Counts one refusal of a kind too many.
    fn refuse_other(&mut self) {
        match self.refused.iter_mut().find(|(known, _)| known == "other") {
            Some((_, count)) => *count += 1,
            None => self.refused.push(("other".to_owned(), 1)),
        }
    }
}
