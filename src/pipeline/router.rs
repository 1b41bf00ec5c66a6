//! From a batch to chunks: filters, routing, the memory that each input may hold, and back from
//! settled chunks to safe positions.

use super::filter_slot::FilterSlot;
use super::lags::Lags;
use super::ledger::Ledger;
use super::spool::Spool;
use crate::buffer::{
    CHUNK_BYTES_MAX, ChunkBuilder, ChunkFile, Covered, Parcel, Recovered, RouteSet, Settled,
    Spares, Stakes, Stored, Unsynced,
};
use crate::clock;
use crate::input::Intake;
use crate::metrics::InputMetrics;
use crate::record::{Batch, Match, SourceId, Tag};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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

/// Hands a chunk to an output's courier or writer; never waits.
pub(super) type Deliver = Box<dyn Fn(Parcel) + Send>;

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
    /// Chunks that these bytes lie in.
    chunks: u64,
    /// `Mem_Buf_Limit`.
    limit: usize,
    /// Whether its records wait on the disk, as long as that takes them: `storage.type filesystem`.
    on_disk: bool,
    /// Whether the disk has first to sync what it was given.
    waits_for_disk: bool,
    metrics: Arc<InputMetrics>,
}

impl Share {
    /// Nothing held yet.
    pub(super) fn new(limit: usize, metrics: Arc<InputMetrics>) -> Self {
        Self { held: 0, chunks: 0, limit, on_disk: false, waits_for_disk: false, metrics }
    }

    /// The same for an input whose records wait on the disk.
    pub(super) fn on_disk(self) -> Self {
        Self { on_disk: true, ..self }
    }

    fn is_full(&self) -> bool {
        self.held >= self.limit || self.waits_for_disk
    }

    /// Shows the metrics where the share stands.
    fn note(&self) {
        self.metrics.storage_memory_bytes.set(self.held as u64);
        self.metrics.storage_chunks.set(self.chunks);
        self.metrics.storage_overlimit.set((self.held >= self.limit).into());
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

/// A chunk that is appended to.
#[derive(Debug)]
struct OpenChunk {
    builder: ChunkBuilder,
    file: Option<ChunkFile>,
}

/// A sealed chunk that is not settled.
#[derive(Debug)]
struct Owed {
    stakes: Stakes,
    /// Outputs that still owe it.
    left: RouteSet,
    place: Place,
}

impl Owed {
    /// Whether it holds memory of an input whose share is full.
    fn fills(&self, shares: &[Share]) -> bool {
        let is_full = |input: u32| shares.get(input as usize).is_some_and(Share::is_full);
        self.stakes.held.iter().any(|(input, _)| is_full(*input))
    }
}

/// Where a sealed chunk lies.
#[derive(Debug)]
enum Place {
    Memory(Parcel),
    /// Its reads are safe only once it is settled, or synced.
    Disk(Unsynced),
    /// On the disk, and its reads are safe whatever becomes of its outputs. There may be any number of these, so
    /// that nothing is held of them that takes room.
    Synced,
    /// On the disk since before the start.
    Backlog,
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
    /// At most one for each route set, and one more where some records wait in memory and some on the disk.
    open: Vec<OpenChunk>,
    spares: Spares,
    /// Sealed chunks that an output still owes, by number: oldest first.
    owed: BTreeMap<u64, Owed>,
    /// Those of them in memory that another output is done with.
    lags: Lags,
    /// The next number of a chunk; dead letters take some of them.
    numbers: Arc<AtomicU64>,
    ledger: Ledger,
    /// Positions that became safe and were not told yet.
    safe: Vec<(SourceId, u64)>,
    spool: Option<Spool>,
    /// Whether the end waits for what an earlier run left: `storage.backlog.flush_on_shutdown`.
    waits_for_backlog: bool,
}

impl Router {
    pub(super) fn new(
        filters: Vec<FilterSlot>,
        outlets: Vec<Outlet>,
        shares: Vec<Share>,
        flush: Duration,
    ) -> Self {
        Self {
            lags: Lags::new(outlets.len()),
            filters,
            outlets,
            shares,
            flush,
            plans: HashMap::new(),
            open: Vec::new(),
            spares: Spares::default(),
            owed: BTreeMap::new(),
            numbers: Arc::default(),
            ledger: Ledger::default(),
            safe: Vec::new(),
            spool: None,
            waits_for_backlog: false,
        }
    }

    /// Lets records wait on the disk, and hands out what an earlier run left there, oldest first.
    pub(super) fn with_spool(
        mut self,
        spool: Spool,
        numbers: Arc<AtomicU64>,
        found: &Recovered,
        waits_for_backlog: bool,
    ) -> Self {
        self.numbers = numbers;
        self.waits_for_backlog = waits_for_backlog;
        for (output, outlet) in self.outlets.iter().enumerate() {
            let Some(name) = spool.name(output) else { continue };
            for Stored { number, bytes, records } in found.backlog.get(name).into_iter().flatten() {
                let count = u32::try_from(*records).unwrap_or(u32::MAX);
                let owed = self.owed.entry(*number).or_insert_with(|| Owed {
                    stakes: Stakes::default(),
                    left: RouteSet::default(),
                    place: Place::Backlog,
                });
                owed.left = owed.left.with(output);
                (outlet.deliver)(spool.found(*number, count, *bytes).of(Some(name)));
            }
        }
        self.spool = Some(spool);
        self
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
        let may_stay =
            |owed: &Owed| !self.waits_for_backlog && matches!(owed.place, Place::Backlog);
        self.open.is_empty() && self.owed.values().all(may_stay) && self.ledger.is_settled()
    }

    /// How many sealed chunks outputs still owe: in memory, and on the disk.
    pub(super) fn left(&self) -> (usize, usize) {
        let is_in_memory = |owed: &&Owed| matches!(owed.place, Place::Memory(_));
        let in_memory = self.owed.values().filter(is_in_memory).count();
        (in_memory, self.owed.len() - in_memory)
    }

    /// The positions that became safe since the last call, in the order in which they did.
    pub(super) fn take_safe(&mut self) -> Vec<(SourceId, u64)> {
        std::mem::take(&mut self.safe)
    }

    /// When the oldest open chunk is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let sealing = self.open.iter().map(|chunk| chunk.builder.opened() + self.flush).min();
        let syncing = self.spool.as_ref().and_then(Spool::next_due);
        sealing.into_iter().chain(syncing).chain(self.relief_due()).min()
    }

    /// When the next chunk is to be moved to the disk that fills an input's share.
    fn relief_due(&self) -> Option<Instant> {
        if self.spool.is_none() || !self.shares.iter().any(Share::is_full) {
            return None;
        }
        let due = |(number, since)| {
            let owed = self.owed.get(&number).filter(|owed| owed.fills(&self.shares))?;
            Some(self.lags.due(since, owed.left))
        };
        self.lags.iter().filter_map(due).min()
    }

    /// Asks for the syncs that are due.
    pub(super) fn sync_due(&mut self, now: Instant) {
        let Some(spool) = &mut self.spool else { return };
        while let Some(number) = spool.take_due(now) {
            if let Some(Owed { place: Place::Disk(unsynced), .. }) = self.owed.get(&number) {
                spool.sync(number, unsynced);
            }
        }
    }

    /// Syncs all that waits on the disk and is sealed, so that positions may pass it: before the end.
    pub(super) fn sync_all(&mut self) {
        let Some(spool) = &self.spool else { return };
        let done: Vec<_> = self
            .owed
            .iter()
            .filter_map(|(number, owed)| match &owed.place {
                Place::Disk(unsynced) => spool.sync_now(unsynced).then_some(*number),
                _ => None,
            })
            .collect();
        for number in done {
            self.synced(number);
        }
    }

    /// A chunk is synced: its reads are safe now, whatever becomes of its outputs.
    pub(super) fn synced(&mut self, number: u64) {
        // Otherwise it was delivered meanwhile.
        let Some(owed) = self.owed.get_mut(&number) else { return };
        let Place::Disk(_) = owed.place else { return };
        owed.place = Place::Synced;
        let covered = std::mem::take(&mut owed.stakes.covered);
        for _output in owed.left.outputs() {
            settle_reads(&mut self.ledger, &covered, &mut self.safe);
        }
        if let Some(spool) = &mut self.spool {
            spool.end_sync();
        }
        self.note_disk();
    }

    /// Lets inputs pause whose records wait on the disk, or go on.
    fn note_disk(&mut self) {
        let is_behind = self.spool.as_ref().is_some_and(Spool::is_behind);
        for share in self.shares.iter_mut().filter(|share| share.on_disk) {
            if share.waits_for_disk != is_behind {
                share.waits_for_disk = is_behind;
                share.note();
            }
        }
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
        while let Some(index) = self.open.iter().position(|chunk| is_due(&chunk.builder, flush)) {
            self.seal(index);
        }
    }

    fn seal(&mut self, index: usize) {
        // In the order in which they were opened; there are only as many as route sets.
        let OpenChunk { builder, file } = self.open.remove(index);
        let number = builder.number();
        let (chunk, mut stakes) = builder.seal();
        let routes = stakes.routes;
        let on_disk = file.and_then(|file| {
            let (disk, parcel) = self.spool.as_mut()?.seal(file, &chunk)?;
            Some((Place::Disk(disk), parcel))
        });
        let (place, parcel) = on_disk.unwrap_or_else(|| {
            self.hold_all(&mut stakes, chunk.len());
            let parcel = Parcel::in_memory(number, &chunk);
            (Place::Memory(parcel.clone()), parcel)
        });
        self.note_disk();
        // Before an output can be done with it.
        self.owed.insert(number, Owed { stakes, left: routes, place });
        for output in routes.outputs() {
            let name = self.spool.as_ref().and_then(|spool| spool.name(output));
            if let Some(outlet) = self.outlets.get(output) {
                (outlet.deliver)(parcel.of(name));
            }
        }
    }

    /// Sees to it that somebody holds the memory of a chunk that was to lie on the disk.
    fn hold_all(&mut self, stakes: &mut Stakes, len: usize) {
        if stakes.held.iter().any(|(_, bytes)| *bytes > 0) {
            return;
        }
        if let Some((input, bytes)) = stakes.held.first_mut()
            && let Some(share) = self.shares.get_mut(*input as usize)
        {
            *bytes = len;
            share.held += len;
            share.note();
        }
    }

    /// One output is done with a chunk.
    pub(super) fn settle(&mut self, settled: &Settled) {
        let Some(owed) = self.owed.get_mut(&settled.number) else { return };
        settle_reads(&mut self.ledger, &owed.stakes.covered, &mut self.safe);
        owed.left = owed.left.without(settled.output);
        self.lags.note(settled.output);
        let is_over = owed.left.is_empty();
        let lies_in_memory = matches!(owed.place, Place::Memory(_));
        if let (Some(spool), false) = (&mut self.spool, lies_in_memory) {
            spool.settle(settled.output, settled.number);
            if is_over {
                spool.forget(settled.number, matches!(owed.place, Place::Disk(_)));
            }
        }
        if !is_over {
            if lies_in_memory {
                self.lags.begin(settled.number);
            }
        } else if let Some(owed) = self.owed.remove(&settled.number) {
            self.lags.end(settled.number);
            self.release(&owed.stakes);
            self.note_disk();
        }
    }

    /// Gives a settled chunk back to the inputs it came from.
    fn release(&mut self, stakes: &Stakes) {
        for (input, bytes) in &stakes.held {
            if let Some(share) = self.shares.get_mut(*input as usize) {
                share.held -= bytes;
                share.chunks -= 1;
                share.note();
            }
        }
    }

    /// Moves chunks to the disk, oldest first, that fill an input's share only because some of their outputs
    /// lag behind the others, so that the others go on.
    pub(super) fn relieve(&mut self) {
        let Self { spool: Some(spool), shares, owed, lags, .. } = self else { return };
        if !shares.iter().any(Share::is_full) {
            return;
        }
        let now = clock::instant();
        for (number, since) in lags.iter().collect::<Vec<_>>() {
            let Some(lagging) = owed.get_mut(&number) else { continue };
            let Place::Memory(parcel) = &lagging.place else { continue };
            if !lagging.fills(shares) || now < lags.due(since, lagging.left) {
                continue;
            }
            let Some(unsynced) = spool.spill(parcel, lagging.left) else {
                lags.put_off();
                return;
            };
            lagging.place = Place::Disk(unsynced);
            lags.end(number);
            for (input, bytes) in &mut lagging.stakes.held {
                if let Some(share) = shares.get_mut(*input as usize) {
                    share.held -= std::mem::take(bytes);
                    share.note();
                }
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
            self.append_needed(input, plan.routes, &mut batch)
        };
        if let Some(to) = self.ledger.enter(batch.source.id, batch.to, pairs) {
            self.safe.push((batch.source.id, to));
        }
    }

    /// Appends what outputs do not have from before a crash; returns how many pairs of a chunk and an output
    /// that opened.
    fn append_needed(&mut self, input: usize, routes: RouteSet, batch: &mut Batch<'_>) -> u32 {
        let parts = self.spool.as_ref().map(|spool| spool.split(routes, batch)).unwrap_or_default();
        let mut pairs = 0;
        for (routes, batch) in
            parts.iter().map(|(routes, part)| (*routes, part)).chain([(routes, &*batch)])
        {
            if !batch.records.is_empty() {
                self.append(input, routes, batch);
                pairs += routes.len();
            }
        }
        pairs
    }

    fn append(&mut self, input: usize, routes: RouteSet, batch: &Batch<'_>) {
        let wants_disk = self.shares.get(input).is_some_and(|share| share.on_disk);
        if !(wants_disk && self.append_to_disk(input, routes, batch)) {
            self.append_to_memory(input, routes, batch);
        }
    }

    /// Appends to a chunk on the disk; false if that takes nothing.
    fn append_to_disk(&mut self, input: usize, routes: RouteSet, batch: &Batch<'_>) -> bool {
        let index = if let Some(index) = self.open_for(routes, true) {
            index
        } else {
            let number = self.take_number();
            let Some(file) = self.spool.as_mut().and_then(|it| it.create(number, routes)) else {
                return false;
            };
            self.seal_what_found_no_room(batch.source.id.input, routes);
            self.push_open(number, routes, CHUNK_BYTES_MAX, Some(file))
        };
        let Some(OpenChunk { builder, file: Some(file) }) = self.open.get_mut(index) else {
            return false;
        };
        let (Some(spool), Some(share)) = (&mut self.spool, self.shares.get_mut(input)) else {
            return false;
        };
        let appended = builder.append(batch, self.ledger.next(batch.source.id));
        if !spool.append(file, builder.last_frame(appended), appended.count) {
            builder.take_back(appended);
            // What it holds can be sent; without anything it is gone.
            if builder.is_empty() {
                let chunk = self.open.remove(index);
                if let (Some(spool), Some(file)) = (&self.spool, chunk.file) {
                    spool.discard(file);
                }
            } else {
                self.seal(index);
            }
            return false;
        }
        share.chunks += u64::from(!builder.holds(batch.source.id.input));
        builder.hold(batch.source.id.input, 0);
        share.note();
        if builder.len() >= CHUNK_BYTES_MAX {
            self.seal(index);
        }
        true
    }

    /// Hands out what an input has in memory because the disk took nothing: lines that come before those which it
    /// takes again.
    fn seal_what_found_no_room(&mut self, input: u32, routes: RouteSet) {
        if let Some(index) = self.open_for(routes, false)
            && self.open.get(index).is_some_and(|chunk| chunk.builder.holds(input))
        {
            self.seal(index);
        }
    }

    fn append_to_memory(&mut self, input: usize, routes: RouteSet, batch: &Batch<'_>) {
        let Some(share) = self.shares.get_mut(input) else { return };
        let chunk_bytes_max = share.chunk_bytes_max();
        let index = if let Some(index) = self.open_for(routes, false) {
            index
        } else {
            let number = self.take_number();
            self.push_open(number, routes, chunk_bytes_max, None)
        };
        let Some(OpenChunk { builder: chunk, .. }) = self.open.get_mut(index) else { return };
        let Some(share) = self.shares.get_mut(input) else { return };
        share.chunks += u64::from(!chunk.holds(batch.source.id.input));
        let appended = chunk.append(batch, self.ledger.next(batch.source.id));
        chunk.hold(batch.source.id.input, appended.memory);
        share.held += appended.memory;
        share.note();
        if share.is_full() {
            // A full buffer never waits for `Flush`: what is in it can only leave by being sent.
            self.seal_all();
        } else if chunk.len() >= chunk_bytes_max {
            self.seal(index);
        }
    }

    /// The index of the open chunk for `routes`, on the disk or in memory.
    fn open_for(&self, routes: RouteSet, on_disk: bool) -> Option<usize> {
        let is_it =
            |chunk: &OpenChunk| chunk.file.is_some() == on_disk && chunk.builder.routes() == routes;
        self.open.iter().position(is_it)
    }

    fn take_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Opens a chunk that is expected to grow to so many bytes; returns its index.
    fn push_open(
        &mut self,
        number: u64,
        routes: RouteSet,
        bytes_max: usize,
        file: Option<ChunkFile>,
    ) -> usize {
        let expected = bytes_max + FRAME_BYTES_EXPECTED;
        let now = clock::instant();
        let builder = ChunkBuilder::reusing(&self.spares, number, routes, expected, now);
        self.open.push(OpenChunk { builder, file });
        self.open.len() - 1
    }

    /// Whether a filter that is for this tag waits for something.
    fn awaits(&mut self, tag: &Tag) -> bool {
        let plan = self.plan(tag);
        let mut slots = plan.filters.iter().copied();
        slots.any(|index| self.filters.get_mut(index).is_some_and(|it| it.filter.awaits(tag)))
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

/// One output needs the reads of a chunk no longer: adds the positions that this makes safe.
fn settle_reads(ledger: &mut Ledger, covered: &[Covered], safe: &mut Vec<(SourceId, u64)>) {
    for covered in covered {
        if let Some(to) = ledger.settle(*covered) {
            safe.push((covered.source, to));
        }
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

    fn awaits(&mut self, tag: &Tag) -> bool {
        self.router.awaits(tag)
    }
}

#[cfg(test)]
mod tests {
    use super::super::spool::SpoolOptions;
    use super::*;
    use crate::buffer::{OutputName, Shelf, ShelfOptions, Simulated};
    use crate::filter::Filter;
    use crate::metrics::FilterMetrics;
    use crate::metrics::Registry;
    use crate::record::{Field, Fields, Record, Source, Value};
    use bumpalo::Bump;
    use std::sync::mpsc::{Receiver, channel};
    use std::time::SystemTime;

    const HOUR: Duration = Duration::from_hours(1);

    const NOTHING: [u64; 0] = [];

    /// Takes out the records of the first byte of a source.
    struct DropFirst;

    impl Filter for DropFirst {
        fn apply(&mut self, batch: &mut Batch<'_>) {
            batch.records.retain(|record| record.from > 0);
        }
    }

    /// A router, and the outputs behind it.
    struct Rig {
        router: Router,
        outputs: Vec<Receiver<Parcel>>,
        inputs: Vec<Arc<InputMetrics>>,
        filter: Arc<FilterMetrics>,
    }

    impl Rig {
        /// `patterns` of the outputs, `limits` of the inputs; a filter of the tag `thin` drops records.
        fn new(patterns: &[&str], limits: &[usize]) -> Self {
            let mut registry = Registry::new(SystemTime::UNIX_EPOCH);
            let matches = |pattern: &str| Match::Wildcard(pattern.to_owned());
            let (outlets, outputs) = patterns
                .iter()
                .map(|pattern| {
                    let (sender, receiver) = channel();
                    let deliver: Deliver = Box::new(move |chunk| sender.send(chunk).unwrap());
                    (Outlet { matches: Some(matches(pattern)), deliver }, receiver)
                })
                .unzip();
            let inputs: Vec<_> = limits.iter().map(|_| registry.input("in", "tail")).collect();
            let shares = limits.iter().zip(&inputs);
            let shares = shares.map(|(limit, metrics)| Share::new(*limit, Arc::clone(metrics)));
            let filter = registry.filter("f", "grep");
            let slot = FilterSlot {
                matches: matches("thin"),
                filter: Box::new(DropFirst),
                metrics: Arc::clone(&filter),
            };
            let router = Router::new(vec![slot], outlets, shares.collect(), HOUR);
            Self { router, outputs, inputs, filter }
        }

        /// From now on input 0 is of `storage.type filesystem`, and this its disk.
        fn lie_on_a_disk(&mut self) -> Simulated {
            let disk = Simulated::new();
            let options = ShelfOptions::new("buffer");
            let names = vec![OutputName::from_alias("a")];
            let (chunks, mut found) =
                Shelf::open(Arc::new(disk.clone()), &options, &names).unwrap();
            let options = SpoolOptions {
                sync_wait: HOUR,
                chunks_up_max: 9,
                keeps_reserve: false,
                spill_bytes_max: None,
            };
            let survivors = std::mem::take(&mut found.survivors);
            let nobody = Box::new(|_, _| {});
            let spool = Spool::new(Arc::new(chunks), names, survivors, options, nobody);
            let router = std::mem::replace(
                &mut self.router,
                Router::new(Vec::new(), Vec::new(), Vec::new(), HOUR),
            );
            self.router = router.with_spool(spool, Arc::default(), &found, false);
            self.router.shares[0].on_disk = true;
            disk
        }

        /// One record of `len` bytes, about, from `[from, from + 10)` of the input's only source.
        fn take(&mut self, input: u32, tag: &str, from: u64, len: usize) {
            let bump = Bump::new();
            let source = Source { id: source(input), key: [1; 16], first_seen: 5 };
            let mut batch = Batch::new(&bump, Tag::new(tag), source, from);
            let mut fields = Fields::new_in(&bump);
            let text = bump.alloc_str(&"x".repeat(len));
            fields.push(Field::new("log", Value::Str(text)));
            (batch.to, batch.bytes) = (from + 10, 10);
            let to = batch.to;
            batch.records.push(Record { time: 9, own_time: true, from, to, ordinal: 0, fields });
            self.router.port(input as usize).take(batch);
        }

        /// The chunks that an output was handed since the last call.
        fn delivered(&self, output: usize) -> Vec<Parcel> {
            self.outputs[output].try_iter().collect()
        }

        fn settle(&mut self, output: usize, parcel: &Parcel) {
            self.router.settle(&Settled { number: parcel.number, output });
        }

        /// Where the sources of input 0 are safe since the last call.
        fn safe(&mut self) -> Vec<u64> {
            self.router.take_safe().into_iter().map(|(_, to)| to).collect()
        }

        /// The gauges of an input: chunks, whether any memory is held, whether it is paused.
        fn gauges(&self, input: usize) -> (u64, bool, u64) {
            let metrics = &self.inputs[input];
            assert_eq!(metrics.ingestion_paused.value(), metrics.storage_overlimit.value());
            let holds = metrics.storage_memory_bytes.value() > 0;
            (metrics.storage_chunks.value(), holds, metrics.ingestion_paused.value())
        }
    }

    fn source(input: u32) -> SourceId {
        SourceId { input, number: 7 }
    }

    #[test]
    fn a_full_buffer_is_sent_at_once_and_freed_by_the_last_output() {
        let mut rig = Rig::new(&["*", "*"], &[3_000]);
        // More than the limit in one batch: it is taken whole, and nothing behind it.
        rig.take(0, "t", 0, 20_000);
        assert!(rig.router.is_full(0));
        assert_eq!(rig.gauges(0), (1, true, 1));
        let [one, other] = [0, 1].map(|output| rig.delivered(output));
        assert_eq!((one.len(), other.len()), (1, 1));
        rig.settle(1, &other[0]);
        assert!(rig.router.is_full(0) && !rig.router.is_settled());
        assert_eq!(rig.safe(), NOTHING);
        rig.settle(0, &one[0]);
        assert!(!rig.router.is_full(0) && rig.router.is_settled());
        assert_eq!(rig.safe(), [10]);
        assert_eq!(rig.gauges(0), (0, false, 0));
    }

    #[test]
    fn a_position_is_safe_once_all_before_it_is() {
        let mut rig = Rig::new(&["*"], &[100_000]);
        // A quarter of the limit is a chunk.
        for from in [0, 10, 20] {
            rig.take(0, "t", from, 26_000);
        }
        let chunks = rig.delivered(0);
        assert_eq!(chunks.len(), 3);
        rig.settle(0, &chunks[1]);
        rig.settle(0, &chunks[2]);
        assert_eq!(rig.safe(), NOTHING);
        rig.settle(0, &chunks[0]);
        assert_eq!(rig.safe(), [30]);
    }

    #[test]
    fn what_goes_nowhere_is_safe_in_its_turn() {
        let mut rig = Rig::new(&["t*"], &[100_000]);
        rig.take(0, "thin", 0, 10);
        assert_eq!(rig.safe(), [10]);
        rig.take(0, "t", 10, 10);
        rig.take(0, "other", 20, 10);
        assert_eq!(rig.safe(), NOTHING);
        assert!(rig.delivered(0).is_empty());
        rig.router.seal_all();
        let chunks = rig.delivered(0);
        rig.settle(0, &chunks[0]);
        assert_eq!(rig.safe(), [30]);
        assert!(rig.router.is_settled());
        assert_eq!(rig.inputs[0].unrouted_records.value(), 1);
        assert_eq!(rig.inputs[0].records.value(), 3);
        let FilterMetrics { records, bytes, drop_records, drop_bytes, add_records, .. } =
            &*rig.filter;
        let counts = [records, bytes, drop_records, drop_bytes, add_records];
        assert_eq!(counts.map(crate::metrics::Counter::value), [1, 10, 1, 10, 0]);
    }

    #[test]
    fn inputs_share_a_chunk_and_each_gets_back_what_it_holds() {
        let mut rig = Rig::new(&["*"], &[1 << 20, 4_000]);
        rig.take(0, "t", 0, 100);
        // A quarter of this input's limit, so the chunk is full.
        rig.take(1, "t", 0, 1_000);
        rig.take(0, "t", 10, 100);
        // This fills the input, so that nothing waits for `Flush`.
        rig.take(1, "t", 10, 3_000);
        assert!(rig.router.is_full(1) && !rig.router.is_full(0));
        assert_eq!((rig.gauges(0), rig.gauges(1)), ((2, true, 0), (2, true, 1)));
        let chunks = rig.delivered(0);
        assert_eq!(chunks.iter().map(|chunk| chunk.count).collect::<Vec<_>>(), [2, 2]);
        for chunk in &chunks {
            rig.settle(0, chunk);
        }
        assert_eq!((rig.gauges(0), rig.gauges(1)), ((0, false, 0), (0, false, 0)));
        let safe = [(source(0), 10), (source(1), 10), (source(0), 20), (source(1), 20)];
        assert_eq!(rig.router.take_safe(), safe);
    }

    #[test]
    fn each_set_of_outputs_has_its_chunk_and_the_oldest_goes_first() {
        let mut rig = Rig::new(&["a*", "*"], &[1 << 20]);
        for (from, tag) in [(0, "b"), (10, "a"), (20, "b"), (30, "ab")] {
            rig.take(0, tag, from, 10);
        }
        let due = rig.router.next_due().unwrap();
        rig.router.seal_due(due.checked_sub(Duration::from_nanos(1)).unwrap());
        assert!(rig.delivered(1).is_empty());
        rig.router.seal_due(due + HOUR);
        assert_eq!(rig.router.next_due(), None);
        let numbers = |chunks: &[Parcel]| -> Vec<_> {
            chunks.iter().map(|chunk| (chunk.number, chunk.count)).collect()
        };
        let [first, second] = [0, 1].map(|output| rig.delivered(output));
        assert_eq!(numbers(&first), [(1, 2)]);
        assert_eq!(numbers(&second), [(0, 2), (1, 2)]);
        rig.settle(1, &second[1]);
        rig.settle(0, &first[0]);
        assert_eq!(rig.safe(), NOTHING);
        rig.settle(1, &second[0]);
        assert_eq!(rig.safe(), [20, 40]);
    }

    #[tokio::test(start_paused = true)]
    async fn lines_keep_their_order_when_the_disk_is_full_now_and_then() {
        clock::simulate(Some(Duration::ZERO));
        let mut rig = Rig::new(&["*"], &[1 << 20]);
        let disk = rig.lie_on_a_disk();
        for from in [0, 10, 20, 30, 40] {
            // Full for every other line, and tried again for the next.
            disk.resize((from % 20 == 10).then(|| disk.used()));
            tokio::time::advance(Duration::from_secs(2)).await;
            rig.take(0, "t", from, 10);
        }
        rig.router.seal_all();
        let chunks = rig.delivered(0);
        let chunks = chunks.iter().map(|parcel| parcel.chunk().unwrap());
        let froms: Vec<_> = chunks
            .flat_map(|chunk| chunk.frames().map(|frame| frame.header.from).collect::<Vec<_>>())
            .collect();
        assert_eq!(froms, [0, 10, 20, 30, 40]);
        clock::simulate(None);
    }

    #[test]
    fn chunks_of_a_line_each_do_not_outgrow_the_limit() {
        let mut rig = Rig::new(&["*"], &[64 << 10]);
        let lines = (0..).take_while(|line| {
            rig.take(0, "t", line * 10, 1);
            rig.router.seal_all();
            !rig.router.is_full(0)
        });
        assert!(lines.count() < 128);
    }

    #[test]
    fn plans_are_bounded() {
        let mut rig = Rig::new(&["*"], &[usize::MAX]);
        for tag in 0..=PLANS_MAX {
            rig.router.plan(&Tag::new(&tag.to_string()));
        }
        assert!(rig.router.plans.len() <= PLANS_MAX);
    }
}
