//! The courier: carries chunks to one destination until each is settled. The same code for all outputs.

use super::Health;
use super::Output;
use super::attempt::{Blamed, Destination, End, Outcome, Pending, Tally};
use super::keeper::Keeper;
use super::suspicion::Taken;
use crate::buffer::{DeadLetters, Parcel, Settler};
use crate::clock;
use crate::metrics::OutputMetrics;
use crate::net::{Backoff, Client};
use std::collections::VecDeque;
use std::future::pending;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::{Level, debug, info, warn};

/// The longest wait where all chunks of an output wait for one try, whatever `scheduler.cap` says: a probe costs
/// next to nothing, and a destination that is back should not go unnoticed for half an hour. Fluent Bit
/// notices at once, by the chunks that came since.
const PROBE_WAIT_MAX: Duration = Duration::from_mins(1);

/// Chunks that are taken into the queue at once: a start may find very many on the disk.
const ARRIVALS_MAX: usize = 1 << 10;

/// The kind of the dead letters of a chunk that failed too often.
const GIVEN_UP: &str = "retry_limit";

/// How a courier goes about its work.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Chunks under way at once. One means that chunks arrive in order, a failing one holding up the
    /// next: what Loki needs, which refuses older lines once it has newer ones.
    pub concurrency: usize,
    /// `Retry_Limit`: failures of a chunk that are tried again; `None`: without limit.
    pub retry_limit: Option<u32>,
    /// `storage.total_limit_size`: bytes that may wait on the disk; beyond, the oldest chunks are dropped.
    pub disk_bytes_max: Option<u64>,
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
    /// Chunks that are not under way, in the order of their places.
    queue: VecDeque<Pending>,
    /// The place of the next chunk that comes.
    next_place: u64,
    road: Road,
    /// Whether the destination was asked what it is.
    greeted: bool,
    /// Where rejected records go; `None`: they are dropped.
    dead_letters: Option<Arc<dyn DeadLetters>>,
    /// Chunks that nothing is open of, whose dead letters are being written.
    keeping: JoinSet<Parcel>,
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
        let output = Arc::new(Mutex::new(output));
        let (client, taken) = (Arc::new(client), Taken::default());
        let is_ordered = policy.concurrency == 1;
        let destination = Destination { output, client, keeps_rejects: false, taken, is_ordered };
        Self {
            name,
            destination,
            policy,
            metrics,
            settler,
            queue: VecDeque::new(),
            next_place: 0,
            road: Road::Clear,
            greeted: false,
            dead_letters: None,
            keeping: JoinSet::new(),
        }
    }

    /// Keeps what is rejected there, before it is settled.
    #[must_use]
    pub fn with_dead_letters(mut self, dead_letters: Arc<dyn DeadLetters>) -> Self {
        self.dead_letters = Some(dead_letters);
        self.destination.keeps_rejects = true;
        self
    }

    /// Works until the other end of `chunks` is gone. Once `stopping` says so, nothing waits any longer for
    /// its next try: there may be no other.
    pub async fn run(
        mut self,
        mut chunks: UnboundedReceiver<Parcel>,
        mut stopping: watch::Receiver<bool>,
    ) {
        let mut under_way = JoinSet::new();
        let mut arrived = Vec::new();
        loop {
            while let Some(pending) = self.next(Instant::now(), under_way.len()) {
                under_way.spawn(self.destination.clone().attempt(pending, self.greeted));
            }
            let due = self.next_due(under_way.len());
            tokio::select! {
                // In this order and not by chance, so that a simulation can be repeated. Nothing starves: what ends
                // a try is rarer than a chunk.
                biased;
                // A try that panics has ended the process.
                Some(Ok(outcome)) = under_way.join_next() => self.conclude(outcome),
                Some(Ok(parcel)) = self.keeping.join_next() => self.settler.settle(parcel.number),
                Ok(()) = stopping.changed() => self.hurry(),
                count = chunks.recv_many(&mut arrived, ARRIVALS_MAX) => match count {
                    0 => return,
                    _ => self.enqueue(arrived.drain(..)),
                },
                () = wait_until(due) => {}
            }
        }
    }

    /// Nothing waits for its next try any longer.
    fn hurry(&mut self) {
        let now = Instant::now();
        self.queue.iter_mut().for_each(|pending| pending.due = now);
        if let Road::Blocked { until, .. } = &mut self.road {
            *until = now;
        }
    }

    fn enqueue(&mut self, parcels: impl Iterator<Item = Parcel>) {
        let due = Instant::now();
        for parcel in parcels {
            self.queue.push_back(Pending::new(parcel, self.next_place, due));
            self.next_place += 1;
        }
        self.drop_oldest();
    }

    /// Drops the oldest chunks that are not under way for as long as too much waits on the disk.
    fn drop_oldest(&mut self) {
        let Some(max) = self.policy.disk_bytes_max else { return };
        let mut waiting: u64 = self.queue.iter().map(|pending| pending.parcel.disk_bytes()).sum();
        while waiting > max
            && let Some(index) = self.queue.iter().position(|it| it.parcel.disk_bytes() > 0)
            && let Some(pending) = self.queue.remove(index)
        {
            // One that was moved to the disk since is not in the sum.
            waiting = waiting.saturating_sub(pending.parcel.disk_bytes());
            let records = pending.open.len();
            self.metrics.dropped_records.add(records.into());
            self.metrics.errors.add(1);
            let output = &*self.name;
            warn!(output, records, "oldest chunk dropped: `storage.total_limit_size` is reached");
            // What was refused of it before is kept all the same.
            self.finish(pending);
        }
    }

    /// The oldest chunk that may be sent now.
    fn next(&mut self, now: Instant, under_way: usize) -> Option<Pending> {
        if under_way >= self.room()
            || matches!(self.road, Road::Blocked { until, .. } if now < until)
        {
            return None;
        }
        let index = self.candidates().position(|pending| pending.due <= now)?;
        self.queue.remove(index)
    }

    /// When [`Self::next`] may have something that it has not now; `None`: only after another event.
    fn next_due(&self, under_way: usize) -> Option<Instant> {
        if under_way >= self.room() {
            return None;
        }
        let due = self.candidates().map(|pending| pending.due).min()?;
        match self.road {
            Road::Clear => Some(due),
            Road::Blocked { until, .. } => Some(due.max(until)),
        }
    }

    /// The chunks of which one may be sent next: only the oldest, where order counts.
    fn candidates(&self) -> impl Iterator<Item = &Pending> {
        let count = if self.is_ordered() { 1 } else { self.queue.len() };
        self.queue.iter().take(count)
    }

    fn is_ordered(&self) -> bool {
        self.destination.is_ordered
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
        let Outcome { mut pending, end, status, greeted, tally, blamed, .. } = outcome;
        let Outcome { retry_after, room_after, .. } = outcome;
        self.greeted |= greeted;
        self.count(&tally);
        if pending.open.is_empty() {
            // Whatever went wrong behind the last verdict.
            self.clear_road();
            return self.finish(pending);
        }
        match end {
            End::Answered(Health::Good | Health::Divide) => {
                self.clear_road();
                if tally.accepted > 0 {
                    // It gets on: no reason to wait longer each time.
                    pending.tries = 0;
                }
                self.retry(pending, "some records are to be sent again");
            }
            End::Answered(Health::Busy) => {
                let reason = format!("busy (status {})", status.unwrap_or_default());
                self.block_road(pending, &reason, Level::WARN, (retry_after, room_after));
            }
            End::Unreachable(error) => {
                let level = self.destination.client.log_level(&error);
                self.block_road(pending, &error.to_string(), level, (None, None));
            }
            End::Answered(Health::Failed) => {
                let reason = format!("status {}", status.unwrap_or_default());
                self.retry_or_give_up(pending, &reason);
            }
            End::Answered(Health::Refused) => {
                let reason = refusal(status.unwrap_or_default(), blamed.as_ref());
                self.retry_or_give_up(pending, &reason);
            }
            End::Lost(error) => self.retry_or_give_up(pending, &error.to_string()),
            End::Unreadable(error) => self.retry(pending, &error.to_string()),
        }
    }

    /// Counts what became of the records of one try.
    fn count(&self, tally: &Tally) {
        self.metrics.proc_records.add(tally.accepted.into());
        self.metrics.proc_bytes.add(tally.bytes);
        self.metrics.duplicates.add(tally.repeated.into());
        self.metrics.conflicts.add(tally.conflicts.into());
        self.metrics.damaged_records.add(tally.damaged.into());
        self.metrics.dropped_records.add(tally.damaged.into());
        self.metrics.errors.add(u64::from(!tally.refused.is_empty()));
        for (kind, count) in &tally.refused {
            self.metrics.refused_records.add(kind, (*count).into());
            self.metrics.dropped_records.add((*count).into());
            let name = &*self.name;
            if self.dead_letters.is_some() {
                warn!(
                    output = name,
                    kind,
                    records = count,
                    "records refused for good: dead letters"
                );
            } else {
                warn!(
                    output = name,
                    kind,
                    records = count,
                    "records refused for good and dropped; `storage.keep.rejected On` keeps them"
                );
            }
        }
    }

    /// Nothing of the chunk is open: settles it, once what was rejected of it is kept.
    fn finish(&mut self, pending: Pending) {
        let Pending { parcel, rejects, .. } = pending;
        let Some(place) = self.dead_letters.clone().filter(|_| !rejects.is_empty()) else {
            return self.settler.settle(parcel.number);
        };
        let (output, metrics) = (self.name.clone(), Arc::clone(&self.metrics));
        let (time, number) = (clock::now(), OnceLock::new());
        let keeper = Keeper { output, parcel, rejects, time, number, place, metrics };
        self.keeping.spawn(keeper.keep(self.probe_backoff()));
    }

    fn clear_road(&mut self) {
        if let Road::Blocked { tries, .. } = self.road {
            info!(output = self.name, tries, "destination is back");
        }
        self.road = Road::Clear;
    }

    /// The destination as a whole is away: waits before the next probe, as long as it asked for, or from as long on
    /// as it takes until there is room.
    fn block_road(
        &mut self,
        pending: Pending,
        reason: &str,
        level: Level,
        (asked, room_after): (Option<Duration>, Option<Duration>),
    ) {
        let now = Instant::now();
        let tries = match self.road {
            Road::Clear => 0,
            // Several were under way when it went away: they are one failed probe.
            Road::Blocked { until, .. } if now < until => {
                return self.requeue(pending);
            }
            Road::Blocked { tries, .. } => tries.saturating_add(1),
        };
        // What it asks for, and a little by chance, so that agents do not come back together.
        let spread = || Duration::from_secs(1).mul_f64(fastrand::f64());
        let Backoff { base, cap } = self.probe_backoff();
        let backoff = Backoff { base: room_after.map_or(base, |wait| wait.min(cap)), cap };
        let delay = asked.map_or_else(|| backoff.delay(tries), |wait| wait + spread());
        self.road = Road::Blocked { tries, until: now + delay };
        if level == Level::WARN {
            warn!(output = self.name, reason, retry_in = ?delay, "destination is away; its chunks wait");
        } else {
            debug!(output = self.name, reason, retry_in = ?delay, "destination is away; its chunks wait");
        }
        self.requeue(pending);
    }

    /// Tries a chunk again that failed, if `Retry_Limit` allows.
    fn retry_or_give_up(&mut self, mut pending: Pending, reason: &str) {
        pending.failures = pending.failures.saturating_add(1);
        if self.policy.retry_limit.is_some_and(|limit| pending.failures > limit) {
            self.give_up(pending, reason);
        } else {
            self.retry(pending, reason);
        }
    }

    fn retry(&mut self, mut pending: Pending, reason: &str) {
        let delay = if self.is_ordered() {
            self.probe_delay(pending.tries)
        } else {
            self.policy.backoff.delay(pending.tries)
        };
        pending.tries = pending.tries.saturating_add(1);
        pending.due = Instant::now() + delay;
        let records = pending.open.len();
        warn!(output = self.name, reason, records, retry_in = ?delay, "chunk will be sent again");
        self.requeue(pending);
    }

    /// The wait before a try that all chunks wait for.
    fn probe_delay(&self, tries: u32) -> Duration {
        self.probe_backoff().delay(tries)
    }

    fn probe_backoff(&self) -> Backoff {
        let Backoff { base, cap } = self.policy.backoff;
        Backoff { base, cap: cap.min(PROBE_WAIT_MAX) }
    }

    /// `Retry_Limit` is reached: what is open is not sent any more.
    fn give_up(&mut self, mut pending: Pending, reason: &str) {
        let records = pending.open.len();
        self.metrics.retries_failed.add(1);
        self.metrics.dropped_records.add(records.into());
        if self.dead_letters.is_some() {
            for record in pending.open.iter() {
                pending.rejects.add(record, GIVEN_UP, reason);
            }
            warn!(output = self.name, reason, records, "`Retry_Limit` is reached: dead letters");
        } else {
            warn!(output = self.name, reason, records, "chunk dropped: `Retry_Limit` is reached");
        }
        self.finish(pending);
    }

    /// Back to its place: before all that came later.
    fn requeue(&mut self, pending: Pending) {
        self.metrics.retries.add(1);
        self.metrics.retried_records.add(pending.open.len().into());
        let index = self.queue.partition_point(|other| other.place < pending.place);
        self.queue.insert(index, pending);
    }
}

/// What is said of a chunk that is refused as a whole, with an error of some type, while nothing else is taken.
fn refusal(status: u16, blamed: Option<&Blamed>) -> String {
    let kind = blamed.map_or("no type", |blamed| &blamed.kind);
    format!(
        "refused as a whole (status {status}, error {kind}), and nothing else is taken: check the path and the \
         other properties of this output, and the store"
    )
}

/// Waits for a moment; without one, for ever.
async fn wait_until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::super::rig::{CHUNK_BYTES, OK, Reply, Rig, Setup, UNFIT};
    use super::*;
    use std::sync::atomic::Ordering;

    /// Longer than any wait for a probe.
    const PROBE: Duration = Duration::from_secs(61);

    /// The first wait between two tries of a chunk is never longer.
    const FIRST: Duration = Duration::from_secs(6);

    const BUSY: Reply = Reply::Full(429, "");
    const FAILED: Reply = Reply::Full(500, "");
    const TOO_LARGE: Reply = Reply::Full(413, "");
    const REFUSED: Reply = Reply::Full(400, "");

    #[tokio::test(start_paused = true)]
    async fn the_first_goes_alone_and_then_as_many_as_may() {
        let mut rig = Rig::start(Setup::default());
        for name in ["a", "b", "c", "d"] {
            rig.send(name, 1);
        }
        let first = rig.request().await;
        rig.silence(Duration::ZERO).await;
        first.reply(OK);
        let two = [rig.request().await, rig.request().await];
        let mut names = two.each_ref().map(|waiting| waiting.what.clone());
        names.sort();
        assert_eq!(names, ["b0", "c0"]);
        rig.silence(Duration::ZERO).await;
        let [one, other] = two;
        other.reply(OK);
        rig.answer("d0", OK).await;
        one.reply(OK);
        for _ in 0..4 {
            rig.settled().await;
        }
        assert_eq!(rig.counts(), "taken 4");
        assert_eq!(rig.metrics.proc_bytes.value(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_to_be_sent_again_goes_alone_and_is_no_failure() {
        let mut rig = Rig::start(Setup::default());
        rig.send("a", 5);
        let verdicts = "0 ok\n1 retry\n2 bad_field\n3 repeated\n4 conflict\n";
        rig.answer("a0 a1 a2 a3 a4", Reply::Full(200, verdicts)).await;
        rig.pass(1, FIRST).await;
        rig.answer("a1", OK).await;
        assert_eq!(rig.settled().await, "a0");
        let counts = "taken 3, repeated 1, conflicts 1, dropped 1, errors 1, retried 1, refused 1";
        assert_eq!(rig.counts(), counts);
        // Of 14 bytes two fifths, and 2.
        assert_eq!(rig.metrics.proc_bytes.value(), 5 + 2);
    }

    /// As a store answers whose queue takes a part of each bulk.
    #[tokio::test(start_paused = true)]
    async fn a_chunk_of_which_some_is_taken_each_time_does_not_wait_longer_each_time() {
        let mut rig = Rig::start(Setup::default());
        rig.send("a", 20);
        for retry in 1..20 {
            rig.request().await.reply(Reply::Full(200, "0 ok\n"));
            rig.pass(retry, FIRST).await;
        }
        rig.answer("a19", OK).await;
        assert_eq!(rig.settled().await, "a0");
    }

    #[tokio::test(start_paused = true)]
    async fn what_no_request_can_carry_is_refused_and_counted() {
        let mut rig = Rig::start(Setup::default());
        rig.send(UNFIT, 2);
        assert_eq!(rig.settled().await, "unfit0");
        assert_eq!(rig.counts(), "dropped 2, errors 1, refused 2");
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_destination_is_busy_one_chunk_probes_and_none_fails() {
        let mut rig = Rig::start(Setup::default());
        rig.send("a", 1);
        rig.answer("a0", OK).await;
        rig.send("b", 1);
        rig.send("c", 1);
        let two = [rig.request().await, rig.request().await];
        for waiting in two {
            waiting.reply(BUSY);
        }
        rig.pass(2, PROBE).await;
        for probe in 3..10 {
            rig.answer("b0", BUSY).await;
            rig.until(|rig| rig.metrics.retries.value() == probe).await;
            rig.silence(Duration::from_secs(5)).await;
            rig.pass(probe, PROBE).await;
        }
        rig.answer("b0", OK).await;
        rig.answer("c0", OK).await;
        for name in ["a0", "b0", "c0"] {
            assert_eq!(rig.settled().await, name);
        }
        assert_eq!(rig.counts(), "taken 3, retried 9");
    }

    #[tokio::test(start_paused = true)]
    async fn while_nothing_connects_no_chunk_fails() {
        let mut rig = Rig::start(Setup { is_listening: false, ..Setup::default() });
        rig.send("a", 1);
        rig.send("b", 1);
        for probe in 1..10 {
            rig.pass(probe, PROBE).await;
        }
        rig.until(|rig| rig.metrics.retries.value() == 10).await;
        rig.listen();
        rig.pass(10, PROBE).await;
        rig.answer("a0", OK).await;
        rig.answer("b0", OK).await;
        assert_eq!(rig.settled().await, "a0");
        assert_eq!(rig.settled().await, "b0");
        assert_eq!(rig.counts(), "taken 2, retried 10");
    }

    /// A chunk that fails each time is dropped when it has been tried again as often as it may.
    async fn check_failure(reply: Reply) {
        let mut rig = Rig::start(Setup { retry_limit: Some(2), ..Setup::default() });
        rig.send("a", 2);
        rig.answer("a0 a1", reply).await;
        rig.pass(1, FIRST).await;
        // No failure, and no second chance either.
        rig.answer("a0 a1", BUSY).await;
        rig.pass(2, PROBE).await;
        rig.answer("a0 a1", reply).await;
        rig.pass(3, PROBE).await;
        rig.answer("a0 a1", reply).await;
        assert_eq!(rig.settled().await, "a0");
        assert_eq!(rig.counts(), "dropped 2, failed 1, retried 6", "{reply:?}");
        rig.send("b", 1);
        rig.answer("b0", OK).await;
        assert_eq!(rig.settled().await, "b0");
    }

    #[tokio::test(start_paused = true)]
    async fn a_chunk_that_fails_too_often_is_dropped_and_counted() {
        check_failure(FAILED).await;
        check_failure(Reply::Close).await;
        check_failure(Reply::Cut("")).await;
    }

    #[tokio::test(start_paused = true)]
    async fn of_an_answer_that_is_cut_what_was_read_counts() {
        let mut rig = Rig::start(Setup { retry_limit: None, ..Setup::default() });
        rig.send("a", 3);
        rig.answer("a0 a1 a2", Reply::Cut("0 ok\n2 ok\n")).await;
        rig.pass(1, FIRST).await;
        rig.answer("a1", Reply::Cut("0 ok\n")).await;
        assert_eq!(rig.settled().await, "a0");
        assert_eq!(rig.counts(), "taken 3, retried 1");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_as_a_whole_is_halved_until_single_records_are() {
        let mut rig = Rig::start(Setup { records_per_request: 4, keeps: true, ..Setup::default() });
        rig.send("a", 8);
        rig.answer("a0 a1 a2 a3", TOO_LARGE).await;
        rig.answer("a0 a1", OK).await;
        rig.answer("a2 a3", TOO_LARGE).await;
        rig.answer("a2", OK).await;
        rig.answer("a3", TOO_LARGE).await;
        rig.answer("a4 a5 a6 a7", Reply::Full(200, "1 ok\n")).await;
        rig.pass(1, FIRST).await;
        rig.answer("a4 a6 a7", TOO_LARGE).await;
        rig.answer("a4", BUSY).await;
        rig.pass(2, PROBE).await;
        rig.answer("a4 a6 a7", OK).await;
        assert_eq!(rig.settled().await, "a0");
        let counts = "taken 7, dropped 1, errors 1, retried 6, letters 1, refused 1";
        assert_eq!(rig.counts(), counts);
        assert_eq!(*rig.letters.kept.lock().unwrap(), ["a3: large (why)"]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_record_that_a_request_is_refused_for_is_found_once_another_is_taken() {
        let mut rig = Rig::start(Setup { keeps: true, ..Setup::default() });
        rig.send("a", 8);
        rig.answer("a0 a1 a2 a3 a4 a5 a6 a7", REFUSED).await;
        // Each by itself, until one is taken.
        rig.answer("a0", REFUSED).await;
        rig.answer("a1", Reply::Full(200, "0 conflict\n")).await;
        rig.answer("a0 a2 a3", REFUSED).await;
        rig.answer("a0", REFUSED).await;
        rig.answer("a2 a3", OK).await;
        rig.answer("a4 a5 a6 a7", REFUSED).await;
        rig.answer("a4 a5", OK).await;
        rig.answer("a6 a7", REFUSED).await;
        rig.answer("a6", OK).await;
        rig.answer("a7", REFUSED).await;
        assert_eq!(rig.settled().await, "a0");
        assert_eq!(rig.counts(), "taken 5, conflicts 1, dropped 2, errors 1, letters 2, refused 2");
        assert_eq!(*rig.letters.kept.lock().unwrap(), ["a0: odd (why)", "a7: odd (why)"]);
    }

    #[tokio::test(start_paused = true)]
    async fn where_everything_is_refused_no_record_is_to_blame() {
        let mut rig = Rig::start(Setup { retry_limit: Some(2), ..Setup::default() });
        rig.send("a", 100);
        for retry in 1..=3 {
            let whole = rig.request().await;
            assert!(whole.what.starts_with("a0 a1 ") && whole.what.ends_with(" a99"));
            whole.reply(REFUSED);
            for sample in [0, 14, 28, 42, 56, 70, 84, 99] {
                rig.answer(&format!("a{sample}"), REFUSED).await;
            }
            if retry <= 2 {
                rig.pass(retry, PROBE).await;
            }
        }
        assert_eq!(rig.settled().await, "a0");
        assert_eq!(rig.counts(), "dropped 100, failed 1, retried 200");
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_by_itself_is_to_blame_once_another_chunk_is_taken() {
        let mut rig = Rig::start(Setup { retry_limit: None, keeps: true, ..Setup::default() });
        rig.send("a", 1);
        for retry in 1..=3 {
            rig.answer("a0", REFUSED).await;
            rig.pass(retry, PROBE).await;
        }
        rig.answer("a0", REFUSED).await;
        rig.send("b", 1);
        rig.answer("b0", OK).await;
        assert_eq!(rig.settled().await, "b0");
        rig.pass(4, PROBE).await;
        rig.answer("a0", REFUSED).await;
        assert_eq!(rig.settled().await, "a0");
        assert_eq!(*rig.letters.kept.lock().unwrap(), ["a0: odd (why)"]);
    }

    #[tokio::test(start_paused = true)]
    async fn where_order_counts_a_record_by_itself_is_to_blame_if_anything_was_ever_taken() {
        let ordered = Setup { concurrency: 1, retry_limit: None, ..Setup::default() };
        let mut rig = Rig::start(ordered);
        rig.send("a", 1);
        rig.answer("a0", REFUSED).await;
        rig.pass(1, PROBE).await;
        rig.answer("a0", OK).await;
        assert_eq!(rig.settled().await, "a0");
        rig.send("b", 1);
        rig.answer("b0", REFUSED).await;
        assert_eq!(rig.settled().await, "b0");
        assert_eq!(rig.counts(), "taken 1, dropped 1, errors 1, retried 1, refused 1");
    }

    #[tokio::test(start_paused = true)]
    async fn a_search_ends_with_the_destination() {
        let mut rig = Rig::start(Setup { retry_limit: None, ..Setup::default() });
        rig.send("a", 4);
        rig.answer("a0 a1 a2 a3", REFUSED).await;
        rig.answer("a0", BUSY).await;
        rig.pass(1, PROBE).await;
        rig.answer("a0 a1 a2 a3", REFUSED).await;
        rig.answer("a0", OK).await;
        rig.answer("a1", Reply::Close).await;
        rig.pass(2, PROBE).await;
        rig.answer("a1 a2 a3", OK).await;
        assert_eq!(rig.settled().await, "a0");
        assert_eq!(rig.counts(), "taken 4, retried 7");
    }

    #[tokio::test(start_paused = true)]
    async fn dead_letters_are_written_before_their_chunk_is_settled() {
        let mut rig = Rig::start(Setup { keeps: true, retry_limit: Some(0), ..Setup::default() });
        rig.letters.failures.store(3, Ordering::Relaxed);
        rig.send("a", 3);
        rig.answer("a0 a1 a2", Reply::Full(200, "0 ok\n1 bad\n2 retry\n")).await;
        rig.pass(1, FIRST).await;
        rig.answer("a2", FAILED).await;
        rig.until(|rig| rig.letters.failures.load(Ordering::Relaxed) == 2).await;
        assert_eq!(*rig.letters.kept.lock().unwrap(), [""; 0]);
        // Other chunks go their way meanwhile.
        rig.send("b", 1);
        rig.answer("b0", OK).await;
        assert_eq!(rig.settled().await, "b0");
        rig.until_later(|rig| !rig.letters.kept.lock().unwrap().is_empty()).await;
        assert_eq!(rig.settled().await, "a0");
        let kept = ["a1: bad (it is bad)", "a2: retry_limit (status 500)"];
        assert_eq!(*rig.letters.kept.lock().unwrap(), kept);
        let counts = "taken 2, dropped 2, errors 1, failed 1, retried 1, letters 2, refused 1";
        assert_eq!(rig.counts(), counts);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_refused_of_a_chunk_that_is_dropped_is_kept() {
        let room = Setup { keeps: true, disk_bytes_max: Some(CHUNK_BYTES), ..Setup::default() };
        let mut rig = Rig::start(room);
        rig.send("a", 3);
        rig.answer("a0 a1 a2", Reply::Full(200, "0 ok\n1 bad\n2 retry\n")).await;
        rig.until(|rig| rig.metrics.retries.value() == 1).await;
        rig.send("b", 1);
        rig.answer("b0", OK).await;
        let mut settled = [rig.settled().await, rig.settled().await];
        settled.sort();
        assert_eq!(settled, ["a0", "b0"]);
        assert_eq!(*rig.letters.kept.lock().unwrap(), ["a1: bad (it is bad)"]);
        let counts = "taken 2, dropped 2, errors 2, retried 1, letters 1, refused 1";
        assert_eq!(rig.counts(), counts);
    }

    #[tokio::test(start_paused = true)]
    async fn a_destination_is_left_alone_as_long_as_it_asks() {
        for (status, wait, seconds) in [(429, "90", 90), (503, "2", 2), (429, "9000", 600)] {
            let mut rig = Rig::start(Setup::default());
            rig.send("a", 1);
            rig.answer("a0", Reply::Wait(status, wait)).await;
            rig.until(|rig| rig.metrics.retries.value() == 1).await;
            rig.silence(Duration::from_secs(seconds)).await;
            tokio::time::advance(Duration::from_secs(1)).await;
            rig.answer("a0", OK).await;
            assert_eq!(rig.settled().await, "a0");
            assert_eq!(rig.counts(), "taken 1, retried 1");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_destination_that_tells_when_there_is_room_is_tried_from_then_on() {
        let mut rig = Rig::start(Setup::default());
        rig.send("a", 1);
        // Two seconds and one; then up to twice as long, then four times.
        for (retry, rest) in [(1, 100), (2, 2_100), (3, 6_100)] {
            rig.answer("a0", Reply::Full(429, "2")).await;
            rig.until(|rig| rig.metrics.retries.value() == retry).await;
            rig.silence(Duration::from_millis(2_900)).await;
            tokio::time::advance(Duration::from_millis(rest)).await;
        }
        rig.answer("a0", OK).await;
        assert_eq!(rig.settled().await, "a0");
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_tried_once_more_when_the_agent_is_to_end() {
        for reply in [BUSY, FAILED, Reply::Wait(429, "600")] {
            let mut rig = Rig::start(Setup { retry_limit: None, ..Setup::default() });
            rig.send("a", 1);
            rig.send("b", 1);
            rig.answer("a0", reply).await;
            rig.until(|rig| rig.metrics.retries.value() == 1).await;
            if let Reply::Full(500, _) = reply {
                rig.answer("b0", OK).await;
            }
            rig.silence(Duration::ZERO).await;
            rig.stop();
            rig.answer("a0", reply).await;
            rig.until(|rig| rig.metrics.retries.value() == 2).await;
            rig.silence(Duration::from_secs(2)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn where_order_counts_a_chunk_holds_up_those_behind_it() {
        let ordered = Setup { concurrency: 1, retry_limit: None, ..Setup::default() };
        let mut rig = Rig::start(Setup { records_per_request: 2, ..ordered });
        rig.send("a", 3);
        rig.send("b", 1);
        rig.answer("a0 a1", OK).await;
        for (retry, reply) in (1..).zip([FAILED, BUSY, Reply::Close, Reply::Cut("")].repeat(3)) {
            rig.answer("a2", reply).await;
            rig.until(|rig| rig.metrics.retries.value() == retry).await;
            rig.silence(Duration::from_secs(5)).await;
            rig.pass(retry, PROBE).await;
        }
        rig.answer("a2", OK).await;
        rig.answer("b0", OK).await;
        assert_eq!(rig.settled().await, "a0");
        assert_eq!(rig.settled().await, "b0");
    }

    #[tokio::test(start_paused = true)]
    async fn a_greeting_is_asked_until_it_is_answered_and_fails_no_chunk() {
        let mut rig = Rig::start(Setup { greets: true, ..Setup::default() });
        rig.send("a", 1);
        rig.send("b", 1);
        rig.answer("GET", BUSY).await;
        rig.pass(1, PROBE).await;
        rig.answer("GET", Reply::Full(502, "")).await;
        rig.pass(2, PROBE).await;
        rig.answer("GET", Reply::Full(404, "")).await;
        rig.answer("a0", OK).await;
        assert_eq!(rig.settled().await, "a0");
        assert_eq!(rig.counts(), "taken 1, retried 2");
        rig.answer("b0", OK).await;
    }

    /// What it is stays unknown then; that must not keep it from its records.
    #[tokio::test(start_paused = true)]
    async fn a_greeting_that_gets_no_answer_is_not_asked_again() {
        let mut rig = Rig::start(Setup { greets: true, ..Setup::default() });
        rig.send("a", 1);
        let silent = rig.request().await;
        assert_eq!(silent.what, "GET");
        rig.silence(Duration::from_mins(4)).await;
        tokio::time::advance(Duration::from_mins(2)).await;
        rig.answer("a0", OK).await;
        assert_eq!(rig.settled().await, "a0");
        assert_eq!(rig.counts(), "taken 1");
        drop(silent);
    }

    #[tokio::test(start_paused = true)]
    async fn chunks_are_sent_again_in_the_order_in_which_they_came() {
        let mut rig = Rig::start(Setup { retry_limit: None, ..Setup::default() });
        rig.send("a", 1);
        rig.answer("a0", OK).await;
        for name in ["b", "c", "d"] {
            rig.send(name, 1);
        }
        let two = [rig.request().await, rig.request().await];
        for waiting in two {
            waiting.reply(FAILED);
        }
        // Neither of the two may be tried again yet.
        rig.answer("d0", FAILED).await;
        rig.until(|rig| rig.metrics.retries.value() == 3).await;
        rig.silence(Duration::from_secs(5)).await;
        tokio::time::advance(Duration::from_secs(1)).await;
        let two = [rig.request().await, rig.request().await];
        let mut names = two.each_ref().map(|waiting| waiting.what.clone());
        names.sort();
        assert_eq!(names, ["b0", "c0"]);
        for waiting in two {
            waiting.reply(OK);
        }
        rig.answer("d0", OK).await;
        for _ in 0..4 {
            rig.settled().await;
        }
        assert_eq!(rig.counts(), "taken 4, retried 3");
    }

    #[tokio::test(start_paused = true)]
    async fn a_courier_ends_with_the_pipeline() {
        let mut rig = Rig::start(Setup { is_listening: false, ..Setup::default() });
        rig.send("a", 1);
        rig.until(|rig| rig.metrics.retries.value() == 1).await;
        rig.hang_up();
        (&mut rig.courier).await.unwrap();
    }
}
