//! From a batch to chunks: filters, routing, the memory that each input may hold, and back from
//! settled chunks to safe positions.

use super::ledger::Ledger;
use crate::buffer::{CHUNK_BYTES_MAX, Chunk, ChunkBuilder, RouteSet, Settled};
use crate::filter::Filter;
use crate::input::Intake;
use crate::metrics::{FilterMetrics, InputMetrics};
use crate::record::{Batch, Match, SourceId, Tag};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// `Mem_Buf_Limit` of an input that sets none. Fluent Bit has no limit then and grows until it is
/// killed; here the input pauses, and its files wait.
pub(super) const MEM_BUF_LIMIT_DEFAULT: usize = 16 << 20;

/// Chunks that one input's limit is shared out to: one is filled while others are under way.
const CHUNKS_PER_LIMIT: usize = 4;

/// Tags whose plan is remembered. Beyond that all are forgotten and found again, which costs a match
/// against each pattern.
const PLANS_MAX: usize = 16 << 10;

/// A chunk is expected to pass its limit by a frame: one read, and what its encoding adds.
const FRAME_BYTES_EXPECTED: usize = 512 << 10;

/// A filter with its place in the configuration.
pub(super) struct FilterSlot {
    pub(super) matches: Match,
    pub(super) filter: Box<dyn Filter>,
    pub(super) metrics: Arc<FilterMetrics>,
}

impl fmt::Debug for FilterSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilterSlot").field("matches", &self.matches).finish_non_exhaustive()
    }
}

/// Hands a chunk to an output's courier or writer; never waits.
pub(super) type Deliver = Box<dyn Fn(Arc<Chunk>) + Send>;

/// An output as the router sees it.
pub(super) struct Outlet {
    /// `None` takes nothing.
    pub(super) matches: Option<Match>,
    pub(super) deliver: Deliver,
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlet").field("matches", &self.matches).finish_non_exhaustive()
    }
}

/// What one input holds of the buffer.
#[derive(Debug)]
pub(super) struct Share {
    /// Bytes in chunks that are not settled.
    held: usize,
    /// How many chunks these are.
    chunks: u64,
    /// `Mem_Buf_Limit`.
    limit: usize,
    metrics: Arc<InputMetrics>,
}

impl Share {
    /// Nothing held yet.
    pub(super) fn new(limit: usize, metrics: Arc<InputMetrics>) -> Self {
        Self { held: 0, chunks: 0, limit, metrics }
    }

    fn is_full(&self) -> bool {
        self.held >= self.limit
    }

    /// Shows the metrics where the share stands.
    fn note(&self) {
        self.metrics.storage_memory_bytes.set(self.held as u64);
        self.metrics.storage_chunks.set(self.chunks);
        self.metrics.storage_overlimit.set(self.is_full().into());
        self.metrics.ingestion_paused.set(self.is_full().into());
    }

    fn chunk_bytes_max(&self) -> usize {
        CHUNK_BYTES_MAX.min(self.limit / CHUNKS_PER_LIMIT)
    }
}

/// What happens to the records of one tag.
#[derive(Clone, Debug)]
struct Plan {
    /// Indices of the filters that match.
    filters: Arc<[usize]>,
    routes: RouteSet,
}

/// Takes the batches of all inputs and hands chunks to all outputs.
#[derive(Debug)]
pub(super) struct Router {
    filters: Vec<FilterSlot>,
    outlets: Vec<Outlet>,
    shares: Vec<Share>,
    /// Longest time that a record waits in an open chunk: `Flush`.
    flush: Duration,
    plans: HashMap<Tag, Plan>,
    /// At most one for each route set.
    open: Vec<ChunkBuilder>,
    /// Outputs that still owe a sealed chunk, by its number.
    owed: HashMap<u64, u32>,
    next_number: u64,
    ledger: Ledger,
    /// Positions that became safe and were not told yet.
    safe: Vec<(SourceId, u64)>,
}

impl Router {
    pub(super) fn new(
        filters: Vec<FilterSlot>,
        outlets: Vec<Outlet>,
        shares: Vec<Share>,
        flush: Duration,
    ) -> Self {
        Self {
            filters,
            outlets,
            shares,
            flush,
            plans: HashMap::new(),
            open: Vec::new(),
            owed: HashMap::new(),
            next_number: 0,
            ledger: Ledger::default(),
            safe: Vec::new(),
        }
    }

    /// One input's way in.
    pub(super) fn port(&mut self, input: usize) -> Port<'_> {
        Port { router: self, input }
    }

    /// Whether the input holds all that it may: it has no turn until chunks are settled.
    pub(super) fn is_full(&self, input: usize) -> bool {
        self.shares.get(input).is_none_or(Share::is_full)
    }

    /// Whether everything that was taken is settled.
    pub(super) fn is_settled(&self) -> bool {
        self.open.is_empty() && self.owed.is_empty() && self.ledger.is_settled()
    }

    /// The positions that became safe since the last call, in the order in which they did.
    pub(super) fn take_safe(&mut self) -> Vec<(SourceId, u64)> {
        std::mem::take(&mut self.safe)
    }

    /// When the oldest open chunk is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.open.iter().map(|chunk| chunk.opened() + self.flush).min()
    }

    /// Seals and hands out the chunks whose time is over.
    pub(super) fn seal_due(&mut self, now: Instant) {
        self.seal_if(|chunk, flush| chunk.opened() + flush <= now);
    }

    /// Seals and hands out every open chunk.
    pub(super) fn seal_all(&mut self) {
        self.seal_if(|_, _| true);
    }

    fn seal_if(&mut self, is_due: impl Fn(&ChunkBuilder, Duration) -> bool) {
        let flush = self.flush;
        while let Some(index) = self.open.iter().position(|chunk| is_due(chunk, flush)) {
            self.seal(index);
        }
    }

    fn seal(&mut self, index: usize) {
        let chunk = Arc::new(self.open.swap_remove(index).seal());
        self.owed.insert(chunk.number, chunk.routes.len());
        for output in chunk.routes.outputs() {
            if let Some(outlet) = self.outlets.get(output) {
                (outlet.deliver)(Arc::clone(&chunk));
            }
        }
    }

    /// One output is done with a chunk.
    pub(super) fn settle(&mut self, settled: &Settled) {
        let chunk = &settled.chunk;
        for covered in &chunk.covered {
            if let Some(to) = self.ledger.settle(*covered) {
                self.safe.push((covered.source, to));
            }
        }
        let Some(owed) = self.owed.get_mut(&chunk.number) else { return };
        *owed -= 1;
        if *owed == 0 {
            self.owed.remove(&chunk.number);
            self.release(chunk);
        }
    }

    /// Gives the memory of a settled chunk back to the inputs it came from.
    fn release(&mut self, chunk: &Chunk) {
        for (input, bytes) in &chunk.held {
            if let Some(share) = self.shares.get_mut(*input as usize) {
                share.held -= bytes;
                share.chunks -= 1;
                share.note();
            }
        }
    }

    /// Filters a batch, routes it and appends it to the open chunk of its route set.
    fn take(&mut self, input: usize, mut batch: Batch<'_>) {
        let plan = self.plan(&batch.tag);
        let Some(share) = self.shares.get_mut(input) else { return };
        share.metrics.records.add(batch.records.len() as u64);
        share.metrics.bytes.add(batch.bytes);
        for index in plan.filters.iter() {
            let Some(slot) = self.filters.get_mut(*index) else { continue };
            slot.apply(&mut batch);
        }
        let pairs = if batch.records.is_empty() {
            0
        } else if plan.routes.is_empty() {
            share.metrics.unrouted_records.add(batch.records.len() as u64);
            0
        } else {
            self.append(input, plan.routes, &batch);
            plan.routes.len()
        };
        if let Some(to) = self.ledger.enter(batch.source.id, batch.to, pairs) {
            self.safe.push((batch.source.id, to));
        }
    }

    fn append(&mut self, input: usize, routes: RouteSet, batch: &Batch<'_>) {
        let Some(share) = self.shares.get_mut(input) else { return };
        let chunk_bytes_max = share.chunk_bytes_max();
        let index = self.open.iter().position(|chunk| chunk.routes() == routes);
        let index = index.unwrap_or_else(|| {
            let expected = chunk_bytes_max + FRAME_BYTES_EXPECTED;
            self.open.push(ChunkBuilder::new(self.next_number, routes, expected, Instant::now()));
            self.next_number += 1;
            self.open.len() - 1
        });
        let Some(chunk) = self.open.get_mut(index) else { return };
        share.chunks += u64::from(!chunk.holds(batch.source.id.input));
        share.held += chunk.append(batch, self.ledger.next(batch.source.id));
        share.note();
        if share.is_full() {
            // A full buffer never waits for `Flush`: what is in it can only leave by being sent.
            self.seal_all();
        } else if chunk.len() >= chunk_bytes_max {
            self.seal(index);
        }
    }

    fn plan(&mut self, tag: &Tag) -> Plan {
        if let Some(plan) = self.plans.get(tag) {
            return plan.clone();
        }
        if self.plans.len() >= PLANS_MAX {
            self.plans.clear();
        }
        let filters = self.filters.iter().enumerate();
        let filters =
            filters.filter(|(_, slot)| slot.matches.is_match(tag)).map(|(index, _)| index);
        let outlets = self.outlets.iter().enumerate();
        let outlets = outlets.filter(|(_, outlet)| {
            outlet.matches.as_ref().is_some_and(|matches| matches.is_match(tag))
        });
        let routes = outlets.fold(RouteSet::default(), |routes, (index, _)| routes.with(index));
        let plan = Plan { filters: filters.collect(), routes };
        self.plans.insert(tag.clone(), plan.clone());
        plan
    }
}

impl FilterSlot {
    fn apply(&mut self, batch: &mut Batch<'_>) {
        let before = batch.records.len() as u64;
        if before == 0 {
            return;
        }
        self.filter.apply(batch);
        let after = batch.records.len() as u64;
        self.metrics.records.add(before);
        self.metrics.drop_records.add(before.saturating_sub(after));
        self.metrics.add_records.add(after.saturating_sub(before));
    }
}

/// The way into the router for one input.
#[derive(Debug)]
pub(super) struct Port<'r> {
    router: &'r mut Router,
    input: usize,
}

impl Intake for Port<'_> {
    fn take(&mut self, batch: Batch<'_>) {
        self.router.take(self.input, batch);
    }

    fn is_full(&self) -> bool {
        self.router.is_full(self.input)
    }
}
