//! The courier: carries chunks to one destination until each is settled. The same code for all outputs.

use super::Health;
use super::Output;
use super::attempt::{Destination, End, Outcome, Pending, Tally};
use super::backoff::Backoff;
use crate::buffer::{Chunk, Open, Settler};
use crate::metrics::OutputMetrics;
use crate::net::Client;
use std::collections::VecDeque;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use tracing::{info, warn};

/// How a courier goes about its work.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Chunks under way at once. One means that chunks arrive in order, a failing one holding up the
    /// next: what Loki needs, which refuses older lines once it has newer ones.
    pub concurrency: usize,
    /// `Retry_Limit`: failures of a chunk that are tried again; `None`: without limit.
    pub retry_limit: Option<u32>,
    /// The waits between tries.
    pub backoff: Backoff,
}

/// Takes chunks in order and delivers them: sends, reads the verdicts, tries again what is still open,
/// settles. Its queue is bounded by the buffer, which holds every chunk in it.
pub struct Courier {
    /// Name of the output instance, for the log.
    name: String,
    destination: Destination,
    policy: Policy,
    metrics: Arc<OutputMetrics>,
    settler: Settler,
    /// Chunks that are not under way, oldest first.
    queue: VecDeque<Pending>,
    road: Road,
    /// Whether the destination was asked what it is.
    greeted: bool,
}

/// Whether chunks can be sent at all.
#[derive(Debug)]
enum Road {
    /// The last word from the destination was an answer.
    Clear,
    /// Nothing connects, or everything is answered "busy": one probe at a time, and no chunk's failures count.
    Blocked {
        /// Probes so far.
        tries: u32,
        /// When to probe next.
        until: Instant,
    },
}

impl std::fmt::Debug for Courier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Courier")
            .field("name", &self.name)
            .field("road", &self.road)
            .finish_non_exhaustive()
    }
}

impl Courier {
    /// A courier of `output`, which is reached by `client`.
    pub fn new(
        name: String,
        output: Box<dyn Output>,
        client: Client,
        policy: Policy,
        metrics: Arc<OutputMetrics>,
        settler: Settler,
    ) -> Self {
        let destination =
            Destination { output: Arc::new(Mutex::new(output)), client: Arc::new(client) };
        let queue = VecDeque::new();
        Self {
            name,
            destination,
            policy,
            metrics,
            settler,
            queue,
            road: Road::Clear,
            greeted: false,
        }
    }

    /// Works until the other end of `chunks` is gone.
    pub async fn run(mut self, mut chunks: UnboundedReceiver<Arc<Chunk>>) {
        let mut under_way = JoinSet::new();
        loop {
            while let Some(pending) = self.next(Instant::now(), under_way.len()) {
                under_way.spawn(self.destination.clone().attempt(pending, self.greeted));
            }
            let due = self.next_due(under_way.len());
            tokio::select! {
                chunk = chunks.recv() => match chunk {
                    Some(chunk) => self.enqueue(chunk),
                    None => return,
                },
                Some(Ok(outcome)) = under_way.join_next() => self.conclude(outcome),
                () = wait_until(due) => {}
            }
        }
    }

    fn enqueue(&mut self, chunk: Arc<Chunk>) {
        let open = Open::all(chunk.count);
        self.queue.push_back(Pending { chunk, open, failures: 0, tries: 0, due: Instant::now() });
    }

    /// The oldest chunk that may be sent now.
    fn next(&mut self, now: Instant, under_way: usize) -> Option<Pending> {
        if under_way >= self.room()
            || matches!(self.road, Road::Blocked { until, .. } if now < until)
        {
            return None;
        }
        let candidates = if self.policy.concurrency == 1 { 1 } else { self.queue.len() };
        let index = self.queue.iter().take(candidates).position(|pending| pending.due <= now)?;
        self.queue.remove(index)
    }

    /// When [`Self::next`] may have something that it has not now; `None`: only after another event.
    fn next_due(&self, under_way: usize) -> Option<Instant> {
        if under_way >= self.room() {
            return None;
        }
        let candidates = if self.policy.concurrency == 1 { 1 } else { self.queue.len() };
        let due = self.queue.iter().take(candidates).map(|pending| pending.due).min()?;
        match self.road {
            Road::Clear => Some(due),
            Road::Blocked { until, .. } => Some(due.max(until)),
        }
    }

    /// How many chunks may be under way.
    fn room(&self) -> usize {
        match self.road {
            Road::Clear if self.greeted => self.policy.concurrency,
            _ => 1,
        }
    }

    /// Acts on how a try ended.
    fn conclude(&mut self, outcome: Outcome) {
        let Outcome { mut pending, end, status, greeted, tally } = outcome;
        self.greeted |= greeted;
        self.count(&tally);
        let got_somewhere = tally.accepted > 0 || !tally.refused.is_empty() || tally.conflicts > 0;
        match end {
            End::Answered(Health::Good) if pending.open.is_empty() => {
                self.clear_road();
                self.settler.settle(pending.chunk);
            }
            End::Answered(Health::Good) if got_somewhere => {
                self.clear_road();
                self.retry(pending, "some records are to be sent again");
            }
            // An answer that takes nothing and refuses nothing is "busy" in other words.
            End::Answered(Health::Good | Health::Busy) => {
                let reason = format!("busy (status {})", status.unwrap_or_default());
                self.block_road(pending, &reason);
            }
            End::Unreachable(error) => self.block_road(pending, &error.to_string()),
            End::Answered(Health::Failed) => {
                pending.failures += 1;
                let reason = format!("status {}", status.unwrap_or_default());
                self.retry_or_give_up(pending, &reason);
            }
            End::Lost(error) => {
                pending.failures += 1;
                self.retry_or_give_up(pending, &error.to_string());
            }
        }
    }

    /// Counts what became of the records of one try.
    fn count(&self, tally: &Tally) {
        self.metrics.proc_records.add(tally.accepted.into());
        self.metrics.proc_bytes.add(tally.bytes);
        self.metrics.duplicates.add(tally.repeated.into());
        self.metrics.conflicts.add(tally.conflicts.into());
        for (kind, count) in &tally.refused {
            self.metrics.refused_records.add(kind, (*count).into());
            self.metrics.dropped_records.add((*count).into());
            warn!(
                output = self.name,
                kind,
                records = count,
                "records refused for good and dropped"
            );
        }
    }

    fn clear_road(&mut self) {
        if let Road::Blocked { tries, .. } = self.road {
            info!(output = self.name, tries, "destination is back");
        }
        self.road = Road::Clear;
    }

    /// The destination as a whole is away: waits before the next probe.
    fn block_road(&mut self, pending: Pending, reason: &str) {
        let now = Instant::now();
        let tries = match self.road {
            Road::Clear => 0,
            // Several were under way when it went away: they are one failed probe.
            Road::Blocked { tries, until } if now < until => {
                self.requeue(pending);
                debug_assert!(tries < u32::MAX);
                return;
            }
            Road::Blocked { tries, .. } => tries.saturating_add(1),
        };
        let delay = self.policy.backoff.delay(tries);
        self.road = Road::Blocked { tries, until: now + delay };
        warn!(output = self.name, reason, retry_in = ?delay, "destination is away; its chunks wait");
        self.requeue(pending);
    }

    /// Tries a chunk again that failed, if `Retry_Limit` allows.
    fn retry_or_give_up(&mut self, pending: Pending, reason: &str) {
        self.metrics.errors.add(1);
        if self.policy.retry_limit.is_some_and(|limit| pending.failures > limit) {
            self.give_up(pending, reason);
        } else {
            self.retry(pending, reason);
        }
    }

    fn retry(&mut self, mut pending: Pending, reason: &str) {
        let delay = self.policy.backoff.delay(pending.tries);
        pending.tries = pending.tries.saturating_add(1);
        pending.due = Instant::now() + delay;
        let records = pending.open.len();
        warn!(output = self.name, reason, records, retry_in = ?delay, "chunk will be sent again");
        self.requeue(pending);
    }

    /// `Retry_Limit` is reached: the records are dropped, counted.
    fn give_up(&self, pending: Pending, reason: &str) {
        let records = pending.open.len();
        self.metrics.retries_failed.add(1);
        self.metrics.dropped_records.add(records.into());
        warn!(output = self.name, reason, records, "chunk dropped: `Retry_Limit` is reached");
        self.settler.settle(pending.chunk);
    }

    /// Back to its place: in front, since it is older than all that was not sent yet.
    fn requeue(&mut self, pending: Pending) {
        self.metrics.retries.add(1);
        self.metrics.retried_records.add(pending.open.len().into());
        self.queue.push_front(pending);
    }
}

/// Waits for a moment; without one, for ever.
async fn wait_until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due.into()).await,
        None => pending().await,
    }
}
