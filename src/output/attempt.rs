//! One try at one chunk: encode, send, judge.

use super::aside::aside;
use super::suspicion::{Suspicion, Taken, samples};
use super::{GREETING_BYTES_MAX, Health, Output, Request, Requests, Verdict, retry_after};
use crate::buffer::{Chunk, DiskError, Open, Parcel, Rejects};
use crate::clock;
use crate::net::{self, Client, Response, SendError};
use hyper::Method;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
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
    /// Records that were refused for good, if there is a place for dead letters.
    pub(super) rejects: Rejects,
    /// Whether what is refused as a whole is so for a record in it.
    pub(super) suspicion: Suspicion,
    /// Not to be tried before.
    pub(super) due: Instant,
}

impl Pending {
    /// A chunk that was not tried yet.
    pub(super) fn new(parcel: Parcel, place: u64, due: Instant) -> Self {
        Self {
            open: Open::all(parcel.count),
            parcel,
            place,
            failures: 0,
            tries: 0,
            rejects: Rejects::default(),
            suspicion: Suspicion::default(),
            due,
        }
    }
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
    /// The chunk cannot be read from the disk.
    Unreadable(DiskError),
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
    /// The wait that the last answer asked for.
    pub(super) retry_after: Option<Duration>,
    /// How long it takes until there is room for it, if the last answer told.
    pub(super) room_after: Option<Duration>,
    /// Whether the destination has been greeted.
    pub(super) greeted: bool,
    /// What became of the records.
    pub(super) tally: Tally,
    /// The record that was refused alone, as a whole request, and has not been given up for it.
    pub(super) blamed: Option<Blamed>,
    /// Whether reasons of refusals are wanted.
    keeps_rejects: bool,
}

/// A record that may be what a request was refused for.
#[derive(Debug)]
pub(super) struct Blamed {
    record: u32,
    /// The type of the error.
    pub(super) kind: String,
    reason: String,
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
    /// Gone with a damaged chunk.
    pub(super) damaged: u32,
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
    /// Whether reasons of refusals are wanted: there is a place for dead letters.
    pub(super) keeps_rejects: bool,
    /// How many requests it has taken, whatever it did with their records.
    pub(super) taken: Taken,
    /// Whether chunks go one by one, so that nothing else is sent before this one is settled.
    pub(super) is_ordered: bool,
}

/// The parcel's chunk, from the disk if it must be.
async fn load(parcel: &Parcel) -> Result<Arc<Chunk>, DiskError> {
    if let Some(chunk) = parcel.chunk_in_memory() {
        return Ok(chunk);
    }
    let parcel = parcel.clone();
    let room = parcel.room();
    let loaded = aside(move || parcel.chunk_into(room)).await;
    // A panic has ended the process; without a thread to read in, the agent is at its end.
    loaded.unwrap_or_else(|_| Ok(Arc::default()))
}

/// What is left to do of a try, in its order.
enum Step {
    /// To be sent.
    Send(Request),
    /// Records to be encoded anew, by themselves.
    Encode(Vec<u32>),
}

impl Destination {
    /// Tries to deliver what is open of the chunk; says hello first, if that has not been done.
    pub(super) async fn attempt(self, pending: Pending, greeted: bool) -> Outcome {
        let mut outcome = Outcome {
            pending,
            end: End::Answered(Health::Good),
            status: None,
            retry_after: None,
            room_after: None,
            greeted,
            tally: Tally::default(),
            blamed: None,
            keeps_rejects: self.keeps_rejects,
        };
        if !greeted {
            match self.greet(&mut outcome.retry_after).await {
                Ok(()) => outcome.greeted = true,
                Err(end) => {
                    outcome.end = end;
                    return outcome;
                }
            }
        }
        let chunk = match load(&outcome.pending.parcel).await {
            Ok(chunk) => chunk,
            Err(error) => {
                outcome.end = End::Unreadable(error);
                return outcome;
            }
        };
        outcome.tally.damaged = outcome.pending.open.truncate(chunk.count);
        let mut steps = VecDeque::new();
        let all = outcome.pending.open.clone();
        self.encode(&chunk, &all, &mut outcome, &mut steps);
        while let Some(step) = steps.pop_front() {
            let mut request = match step {
                Step::Send(request) => request,
                Step::Encode(records) => {
                    let part = outcome.pending.open.only(&records);
                    self.encode(&chunk, &part, &mut outcome, &mut steps);
                    continue;
                }
            };
            outcome.end = self.send(&mut request, &mut outcome).await;
            match outcome.end {
                End::Answered(Health::Good) => {}
                End::Answered(Health::Divide) => divide(request.records, &mut steps),
                End::Answered(Health::Refused) => {
                    if !self.takes_others(&chunk, &request.records, &mut outcome).await {
                        return outcome;
                    }
                    outcome.give_up_blamed(&self.taken);
                    divide(request.records, &mut steps);
                }
                _ => return outcome,
            }
        }
        outcome.end = End::Answered(Health::Good);
        outcome
    }

    /// Encodes `part`, to be sent before all that is left to do.
    fn encode(
        &self,
        chunk: &Chunk,
        part: &Open,
        outcome: &mut Outcome,
        steps: &mut VecDeque<Step>,
    ) {
        let mut requests = Requests::default();
        self.lock().encode(chunk, part, &mut requests);
        for (record, kind) in requests.unfit {
            outcome.refuse(record, kind.to_owned(), "found before it was sent");
        }
        requests.to_send.into_iter().rev().for_each(|one| steps.push_front(Step::Send(one)));
    }

    /// Whether a request that was refused as a whole was so for one of its records: whether others are taken.
    /// If none has been lately, sends some of its records by themselves, until one is.
    async fn takes_others(&self, chunk: &Chunk, records: &[u32], outcome: &mut Outcome) -> bool {
        if outcome.pending.suspicion.is_confirmed(&self.taken) {
            return true;
        }
        if self.is_ordered && outcome.pending.open.len() == 1 {
            // No other will ever be taken while this one waits: those from before have to do.
            return self.taken.is_any();
        }
        for record in samples(records) {
            let mut steps = VecDeque::new();
            let part = outcome.pending.open.only(&[record]);
            self.encode(chunk, &part, outcome, &mut steps);
            let Some(Step::Send(mut request)) = steps.pop_front() else { continue };
            outcome.end = self.send(&mut request, outcome).await;
            if outcome.pending.suspicion.is_confirmed(&self.taken) {
                // It is for the search to find out about those that were not taken.
                outcome.blamed = None;
                return true;
            }
            match outcome.end {
                // Not taken, if only because it is too large by itself: it says nothing of the next.
                End::Answered(Health::Good | Health::Divide | Health::Refused) => {}
                _ => return false,
            }
        }
        outcome.end = End::Answered(Health::Refused);
        false
    }

    /// Asks the destination what it is, if its output wants to know. One that takes the question and says
    /// nothing has answered, too: what it is then is for the output to guess.
    async fn greet(&self, retry_after: &mut Option<Duration>) -> Result<(), End> {
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
        *retry_after = wait_asked(&answer);
        // Overload, or a proxy that does not reach what is behind it: not the destination's own word.
        if let 429 | 502..=504 = status {
            return Err(End::Answered(Health::Busy));
        }
        let body = answer.prefix(GREETING_BYTES_MAX).await.ok();
        self.lock().greeted(body.as_deref().map(|body| (status, body)));
        Ok(())
    }

    /// Sends one request and applies the verdicts of its answer.
    async fn send(&self, request: &mut Request, outcome: &mut Outcome) -> End {
        let before = outcome.tally.accepted;
        let end = self.exchange(request, outcome).await;
        let accepted = u64::from(outcome.tally.accepted - before);
        // A 413 settles a single record, too, but nobody has looked into it.
        if matches!(end, End::Answered(Health::Good)) && outcome.status != Some(413) {
            self.taken.add();
        }
        let count = request.records.len().max(1) as u64;
        outcome.tally.bytes += request.body_bytes as u64 * accepted / count;
        end
    }

    async fn exchange(&self, request: &mut Request, outcome: &mut Outcome) -> End {
        let mut answer = match self.client.send(to_net(Method::POST, request)).await {
            Ok(answer) => answer,
            Err(error) => return End::without_answer(error),
        };
        let status = answer.status.as_u16();
        outcome.status = Some(status);
        outcome.retry_after = wait_asked(&answer);
        let mut judge = self.lock().judge(request, status);
        while let Some(read) = answer.next().await {
            match read {
                Ok(bytes) => {
                    judge.feed(&bytes, &mut |n, verdict| outcome.apply(request, n, verdict));
                }
                Err(error) => return End::without_answer(error),
            }
        }
        let health = judge.finish(&mut |n, verdict| outcome.apply(request, n, verdict));
        outcome.room_after = judge.wait();
        End::Answered(health)
    }

    fn lock(&self) -> MutexGuard<'_, Box<dyn Output>> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The halves of what was refused, to be encoded and sent next. One record has none: it is for the output
/// to judge, and is sent again if that does not.
fn divide(mut records: Vec<u32>, steps: &mut VecDeque<Step>) {
    if records.len() > 1 {
        let second = records.split_off(records.len() / 2);
        steps.push_front(Step::Encode(second));
        steps.push_front(Step::Encode(records));
    }
}

/// How long an overloaded destination asks to be left alone.
fn wait_asked(answer: &Response) -> Option<Duration> {
    matches!(answer.status.as_u16(), 429 | 503)
        .then(|| retry_after::read(&answer.headers, clock::system_time()))
        .flatten()
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
    /// Gives a record up, unless it is settled.
    fn refuse(&mut self, record: u32, kind: String, reason: &str) {
        if self.pending.open.remove(record) {
            if self.keeps_rejects {
                self.pending.rejects.add(record, &kind, reason);
            }
            self.tally.refuse(kind);
        }
    }

    /// Gives up the record that was refused alone, if one was.
    fn give_up_blamed(&mut self, taken: &Taken) {
        if let Some(Blamed { record, kind, reason }) = self.blamed.take() {
            self.refuse(record, kind, &reason);
            self.pending.suspicion.blame(taken);
        }
    }

    /// Applies the verdict on the `n`th record of `request`. Only the first one that settles a record counts.
    fn apply(&mut self, request: &Request, n: u32, verdict: Verdict) {
        let Some(&record) = request.records.get(n as usize) else { return };
        match verdict {
            Verdict::Retry => return,
            Verdict::Refused { kind, reason } => return self.refuse(record, kind, &reason),
            Verdict::Blamed { kind, reason } => {
                self.blamed = Some(Blamed { record, kind, reason });
                return;
            }
            Verdict::Accepted | Verdict::Repeated | Verdict::Conflict => {}
        }
        if self.pending.open.remove(record) {
            let is_conflict = verdict == Verdict::Conflict;
            self.tally.conflicts += u32::from(is_conflict);
            self.tally.accepted += u32::from(!is_conflict);
            self.tally.repeated += u32::from(verdict == Verdict::Repeated);
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
