//! The disk beside the router: which chunks are files, when they are synced, and what is done when it fails.
//!
//! A chunk on the disk is safe once it is synced, which is due a moment after it was sealed. One that is settled
//! before is never synced: an agent whose stores keep up pays for none. Where the disk takes nothing more, chunks lie in
//! memory as with `storage.type memory`, and the input pauses when that is full, until there is room again.

use crate::buffer::{
    Chunk, ChunkFile, DiskError, Folder, OutputName, Parcel, RESERVE_PERCENT, RouteKey, RouteSet,
    Shelf, Survivors, Unsynced,
};
use crate::clock;
use crate::mailbox;
use crate::record::{Batch, Record};
use bumpalo::collections::Vec as BumpVec;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Weak, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use tracing::{error, info, warn};

/// Chunks on the disk may lie in memory as well up to so many bytes, whatever `storage.max_chunks_up` says: an
/// output that keeps up finds them there, and for one that does not they are read when it comes to them.
const RECENT_BYTES_MAX: usize = 8 << 20;

/// Only a chunk that an output comes to within so many lies in memory as well: behind a longer backlog it would be gone
/// again by then.
const NEAR_COUNT_MAX: u64 = 8;

/// Files that wait for their sync at most: each takes a descriptor, of which a process has a thousand as a rule.
/// Beyond that inputs pause until the disk has caught up.
const UNSYNCED_COUNT_MAX: usize = 256;

/// While the disk takes nothing, it is tried again this often at most.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Why the disk takes nothing more.
#[derive(Debug, thiserror::Error)]
enum Closed {
    /// It fails.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The reserve is reached.
    #[error(
        "less than {RESERVE_PERCENT} % of the file system of `storage.path` is free; make room there, or give \
         every output a `storage.total_limit_size`"
    )]
    Reserve,
}

/// How the disk is used.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpoolOptions {
    /// How long after it was written something is synced.
    pub(super) sync_wait: Duration,
    /// `storage.max_chunks_up`.
    pub(super) chunks_up_max: usize,
    /// Whether the file system's reserve counts: not where every output has a `storage.total_limit_size`.
    pub(super) keeps_reserve: bool,
    /// Bytes that may be moved there from memory for one output; `None` without a bound of its own.
    pub(super) spill_bytes_max: Option<u64>,
}

/// Asks for a sync of the chunk with this number, and does not wait for it.
pub(super) type AskSync = Box<dyn Fn(u64, Unsynced) + Send>;

/// The chunks on the disk.
pub(super) struct Spool {
    shelf: Arc<Shelf>,
    options: SpoolOptions,
    /// The folder of each output, by its number.
    names: Vec<OutputName>,
    survivors: Survivors,
    ask_sync: AskSync,
    /// The latest chunks, oldest first, by number.
    recent: VecDeque<(u64, Arc<Chunk>)>,
    recent_bytes: usize,
    /// Sealed chunks of which no sync was asked for yet, oldest first, and when that is due. Not by when they were
    /// opened: with a `Flush` of a second each would be synced before it could be delivered.
    due: VecDeque<(u64, Instant)>,
    /// Sealed chunks that are neither synced nor settled.
    unsynced_count: usize,
    /// Where the disk takes nothing: when it is tried again.
    failing: Option<Instant>,
}

impl std::fmt::Debug for Spool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spool").field("names", &self.names).finish_non_exhaustive()
    }
}

impl Spool {
    /// What lies on the `shelf`, for the outputs of these names.
    pub(super) fn new(
        shelf: Arc<Shelf>,
        names: Vec<OutputName>,
        survivors: Survivors,
        options: SpoolOptions,
        ask_sync: AskSync,
    ) -> Self {
        Self {
            shelf,
            options,
            names,
            survivors,
            ask_sync,
            recent: VecDeque::new(),
            recent_bytes: 0,
            due: VecDeque::new(),
            unsynced_count: 0,
            failing: None,
        }
    }

    /// Opens a file for a chunk; `None` while the disk takes nothing, which was told.
    pub(super) fn create(&mut self, number: u64, routes: RouteSet) -> Option<ChunkFile> {
        let outputs: Arc<[OutputName]> = self.names_of(routes).cloned().collect();
        self.try_to_begin(|shelf| shelf.open_chunk(number, outputs, clock::now()))
    }

    /// Writes a frame; false if the disk does not take it, which was told.
    pub(super) fn append(&mut self, file: &mut ChunkFile, frame: &[u8], count: u32) -> bool {
        let appended = self.shelf.append(file, frame, count);
        self.checked(appended.map_err(Closed::from)).is_some()
    }

    /// Puts a chunk into the folders of its outputs; `None` if the disk fails.
    pub(super) fn seal(
        &mut self,
        mut file: ChunkFile,
        chunk: &Arc<Chunk>,
    ) -> Option<(Unsynced, Parcel)> {
        let sealed = self.shelf.seal(&mut file);
        self.checked(sealed.map_err(Closed::from))?;
        let (number, bytes) = (file.number(), file.size());
        let memory = Arc::downgrade(chunk);
        let parcel = Parcel::on_disk(number, chunk.count, bytes, memory, &self.shelf);
        let waiting = |name: &OutputName| self.shelf.size(&Folder::Output(name.clone())).chunks;
        if file.outputs().iter().any(|name| waiting(name) <= NEAR_COUNT_MAX) {
            self.keep_recent(number, chunk);
        }
        self.expect_sync(number);
        Some((file.unsynced(), parcel))
    }

    /// Takes away a file without a frame.
    pub(super) fn discard(&self, mut file: ChunkFile) {
        if let Err(error) = self.shelf.seal(&mut file) {
            warn!(%error, "an empty file stays until the next start");
        }
    }

    /// What an earlier run left.
    pub(super) fn found(&self, number: u64, count: u32, bytes: u64) -> Parcel {
        Parcel::on_disk(number, count, bytes, Weak::new(), &self.shelf)
    }

    /// What the folder of an output is called.
    pub(super) fn name(&self, output: usize) -> Option<&OutputName> {
        self.names.get(output)
    }

    /// Moves a chunk from memory to the disk, for the outputs that still owe it; `None` if it has to stay.
    pub(super) fn spill(&mut self, parcel: &Parcel, left: RouteSet) -> Option<Unsynced> {
        if self.is_behind() {
            return None;
        }
        let chunk = parcel.chunk_in_memory()?;
        let names: Arc<[OutputName]> = self.names_of(left).cloned().collect();
        let waiting = |name: &OutputName| self.shelf.size(&Folder::Output(name.clone())).bytes;
        let is_bounded =
            |max: u64| names.iter().all(|name| waiting(name) + chunk.len() as u64 <= max);
        if !self.options.spill_bytes_max.is_none_or(is_bounded) {
            return None;
        }
        let (number, frames) = (parcel.number, chunk.frames());
        let file = self.try_to_begin(|shelf| shelf.spill(number, names, clock::now(), frames))?;
        parcel.move_to_disk(&self.shelf, chunk.len() as u64);
        self.expect_sync(number);
        Some(file)
    }

    fn names_of(&self, routes: RouteSet) -> impl Iterator<Item = &OutputName> {
        routes.outputs().filter_map(|output| self.names.get(output))
    }

    /// A chunk is to be synced, unless it is settled before that is due.
    fn expect_sync(&mut self, number: u64) {
        self.due.push_back((number, clock::instant() + self.options.sync_wait));
        self.unsynced_count += 1;
    }

    /// A chunk is synced.
    pub(super) fn end_sync(&mut self) {
        self.unsynced_count -= 1;
    }

    /// Whether the disk is so far behind that nothing more may be written.
    pub(super) fn is_behind(&self) -> bool {
        self.unsynced_count >= UNSYNCED_COUNT_MAX
    }

    /// When the next sync is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.front().map(|(_, due)| *due)
    }

    /// The next chunk whose sync is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<u64> {
        self.due.pop_front_if(|(_, due)| *due <= now).map(|(number, _)| number)
    }

    /// Asks for a sync of a chunk.
    pub(super) fn sync(&self, number: u64, unsynced: &Unsynced) {
        (self.ask_sync)(number, unsynced.clone());
    }

    /// Syncs a chunk at once; whether that succeeded.
    pub(super) fn sync_now(&self, unsynced: &Unsynced) -> bool {
        is_synced(&self.shelf, unsynced)
    }

    /// An output is done with a chunk.
    pub(super) fn settle(&self, output: usize, number: u64) {
        let Some(name) = self.names.get(output) else { return };
        if let Err(error) = self.shelf.settle(&Folder::Output(name.clone()), number) {
            warn!(%error, "a delivered chunk stays on disk and is sent again after the next start");
        }
    }

    /// No output needs the chunk any longer, and so it need not be synced, if it was not.
    pub(super) fn forget(&mut self, number: u64, is_unsynced: bool) {
        self.unsynced_count -= usize::from(is_unsynced);
        if let Some(at) = self.recent.iter().position(|(recent, _)| *recent == number)
            && let Some((_, chunk)) = self.recent.remove(at)
        {
            self.recent_bytes -= chunk.len();
        }
        if let Some(at) = self.due.iter().position(|(due, _)| *due == number) {
            self.due.remove(at);
        }
    }

    /// Takes the records out of a batch that outputs have on the disk from before; returns the batches of
    /// those that not all of its outputs need.
    pub(super) fn split<'a>(
        &self,
        routes: RouteSet,
        batch: &mut Batch<'a>,
    ) -> Vec<(RouteSet, Batch<'a>)> {
        let mut parts: Vec<(RouteSet, Batch<'a>)> = Vec::new();
        if self.survivors.is_empty() {
            return parts;
        }
        let survived: Vec<_> = routes
            .outputs()
            .filter_map(|output| {
                let route = RouteKey::new(self.names_of(routes), self.names.get(output)?);
                let tag = batch.tag.as_str();
                Some((output, self.survivors.ranges(&batch.source.key, tag, route)?))
            })
            .collect();
        if survived.is_empty() {
            return parts;
        }
        let all = std::mem::replace(&mut batch.records, BumpVec::new_in(batch.bump));
        for record in all {
            let needed = survived.iter().fold(routes, |needed, (output, ranges)| {
                let has_it = ranges.cover(record.from, record.to);
                if has_it { needed.without(*output) } else { needed }
            });
            if needed == routes {
                batch.records.push(record);
            } else if !needed.is_empty() {
                part_of(&mut parts, needed, batch).push(record);
            }
        }
        parts
    }

    /// Begins something new on the disk; `None` while that takes nothing, which was told.
    fn try_to_begin<T>(&mut self, begin: impl FnOnce(&Shelf) -> Result<T, DiskError>) -> Option<T> {
        if self.failing.is_some_and(|until| clock::instant() < until) {
            return None;
        }
        let done = self.room().and_then(|()| Ok(begin(&self.shelf)?));
        self.checked(done)
    }

    /// An error if so little is free that nothing more may be written.
    fn room(&self) -> Result<(), Closed> {
        if self.options.keeps_reserve && self.shelf.space()?.is_scarce() {
            return Err(Closed::Reserve);
        }
        Ok(())
    }

    fn keep_recent(&mut self, number: u64, chunk: &Arc<Chunk>) {
        self.recent.push_back((number, Arc::clone(chunk)));
        self.recent_bytes += chunk.len();
        while self.recent_bytes > RECENT_BYTES_MAX || self.recent.len() > self.options.chunks_up_max
        {
            let Some((_, chunk)) = self.recent.pop_front() else { break };
            self.recent_bytes -= chunk.len();
        }
    }

    /// Notes whether the disk works; an error is told when it begins.
    fn checked<T>(&mut self, result: Result<T, Closed>) -> Option<T> {
        match result {
            Ok(value) => {
                if self.failing.take().is_some() {
                    info!("what waits is written to disk again");
                }
                Some(value)
            }
            Err(error) => {
                if self.failing.is_none() {
                    warn!(%error, "what waits lies in memory meanwhile, and inputs pause when that is full");
                }
                self.failing = Some(clock::instant() + RETRY_PAUSE);
                None
            }
        }
    }
}

/// Starts the thread that syncs, which tells `synced` the number of each chunk with which that succeeded.
pub(super) fn start_syncing(
    shelf: &Arc<Shelf>,
    synced: mailbox::Sender<u64>,
) -> io::Result<AskSync> {
    let (jobs, due) = mpsc::channel::<(u64, Unsynced)>();
    let shelf = Arc::clone(shelf);
    thread::Builder::new().name("sync".to_owned()).spawn(move || {
        for (number, unsynced) in due {
            if is_synced(&shelf, &unsynced) {
                synced.send(number);
            }
        }
    })?;
    // The thread ends only with the agent.
    Ok(Box::new(move |number, unsynced| drop(jobs.send((number, unsynced)))))
}

/// Syncs a chunk; whether that succeeded. Otherwise its records stay unsafe until they are delivered.
pub(super) fn is_synced(shelf: &Shelf, unsynced: &Unsynced) -> bool {
    let synced = shelf.sync(unsynced);
    if let Err(error) = &synced {
        error!(%error, "what waits on disk may not survive a power cut");
    }
    synced.is_ok()
}

/// The records of the part that goes to `routes`.
fn part_of<'p, 'a>(
    parts: &'p mut Vec<(RouteSet, Batch<'a>)>,
    routes: RouteSet,
    whole: &Batch<'a>,
) -> &'p mut BumpVec<'a, Record<'a>> {
    let at = parts.iter().position(|(known, _)| *known == routes).unwrap_or_else(|| {
        let mut part = Batch::new(whole.bump, whole.tag.clone(), whole.source, whole.from);
        part.to = whole.to;
        parts.push((routes, part));
        parts.len() - 1
    });
    #[expect(clippy::indexing_slicing, reason = "it was found or pushed above")]
    &mut parts[at].1.records
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::{ChunkBuilder, ShelfOptions, Simulated};

    #[test]
    fn files_that_wait_for_their_sync_are_bounded() {
        let names = vec![OutputName::from_alias("a")];
        let options = ShelfOptions::new("buffer");
        let (shelf, _) = Shelf::open(Arc::new(Simulated::new()), &options, &names).unwrap();
        let options = SpoolOptions {
            sync_wait: Duration::from_hours(1),
            chunks_up_max: 1,
            keeps_reserve: false,
            spill_bytes_max: None,
        };
        let ask_sync = Box::new(|_, _| ());
        let survivors = Survivors::default();
        let mut spool = Spool::new(Arc::new(shelf), names, survivors, options, ask_sync);
        let routes = RouteSet::default().with(0);
        for number in 0..UNSYNCED_COUNT_MAX as u64 {
            assert!(!spool.is_behind());
            let mut file = spool.create(number, routes).unwrap();
            assert!(spool.append(&mut file, b"frame", 1));
            let (chunk, _) = ChunkBuilder::new(number, routes, 0, Instant::now()).seal();
            spool.seal(file, &chunk).unwrap();
        }
        assert!(spool.is_behind());
        // One is settled before its sync was due, of another the sync came to its end.
        spool.forget(0, true);
        assert!(!spool.is_behind());
        assert_eq!(spool.due.len(), UNSYNCED_COUNT_MAX - 1);
        spool.end_sync();
        assert_eq!(spool.unsynced_count, UNSYNCED_COUNT_MAX - 2);
    }
}
