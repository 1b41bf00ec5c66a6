//! `storage.path` at the start: what an earlier run left, the spool, and the place of dead letters.

use super::build::Plan;
use super::router::Router;
use super::spool::{Spool, SpoolOptions, start_syncing};
use crate::buffer::{
    Checksum, Damaged, Disk, DiskError, OutputName, Recovered, RejectedFolder, Shelf, ShelfOptions,
};
use crate::config::{ServiceOptions, StorageSync};
use crate::mailbox;
use crate::metrics::ServiceMetrics;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tracing::{info, warn};

/// How long after it was written something is synced, with `storage.sync normal`.
const SYNC_WAIT: Duration = Duration::from_secs(1);

/// Without a `storage.path`, so much of what one output lags behind with may be moved from memory to the folder
/// beside the position database: an hour of a busy node.
const SPILL_BYTES_MAX: u64 = 1 << 30;

/// What lies under `storage.path`, or beside the database.
pub(super) struct Storage {
    shelf: Arc<Shelf>,
    /// The next number of a chunk, dead letters included.
    numbers: Arc<AtomicU64>,
    names: Vec<OutputName>,
    found: Recovered,
    keeps_reserve: bool,
    spill_bytes_max: Option<u64>,
}

impl Storage {
    /// Takes the folder for this process and puts in order what lies there; `None` if there is none, or no use for
    /// one.
    pub(super) fn open(plan: &Plan) -> Result<Option<Self>, DiskError> {
        let service = plan.service();
        let Some(path) = plan.storage_folder() else { return Ok(None) };
        let spill_bytes_max = service.storage_path.is_none().then_some(SPILL_BYTES_MAX);
        let options = ShelfOptions {
            path,
            rejected: service.rejected_path.0.clone(),
            checksum: if service.storage_checksum { Checksum::Crc32c } else { Checksum::None },
            damaged: if service.storage_delete_irrecoverable_chunks {
                Damaged::Delete
            } else {
                Damaged::Keep
            },
        };
        let names = plan.folders();
        let disk = Disk::counted(Arc::clone(plan.registry().service()));
        let (shelf, found) = Shelf::open(Arc::new(disk), &options, &names)?;
        tell(&found, plan.registry().service());
        let keeps_reserve = plan.has_unlimited_output();
        let (shelf, numbers) = (Arc::new(shelf), Arc::new(AtomicU64::new(found.next_number)));
        Ok(Some(Self { shelf, numbers, names, found, keeps_reserve, spill_bytes_max }))
    }

    /// The folder, which another agent can take only when nobody holds this any more.
    pub(super) fn shelf(&self) -> Weak<Shelf> {
        Arc::downgrade(&self.shelf)
    }

    /// Where the dead letters of an output go, if they are kept: `storage.keep.rejected` and a `storage.path`, as in
    /// Fluent Bit.
    pub(super) fn rejected(
        &self,
        output: OutputName,
        service: &ServiceOptions,
    ) -> Option<RejectedFolder> {
        service.storage_path.as_ref().filter(|_| service.keep_rejected)?;
        Some(RejectedFolder {
            shelf: Arc::clone(&self.shelf),
            output,
            numbers: Arc::clone(&self.numbers),
            bytes_max: service.rejected_limit.0.bytes(),
        })
    }

    /// Lets the router use it.
    pub(super) fn join(
        self,
        router: Router,
        service: &ServiceOptions,
        synced: mailbox::Sender<u64>,
    ) -> io::Result<Router> {
        let Self { shelf, numbers, names, mut found, keeps_reserve, spill_bytes_max } = self;
        let options = SpoolOptions {
            sync_wait: match service.storage_sync {
                StorageSync::Normal => SYNC_WAIT,
                StorageSync::Full => Duration::ZERO,
            },
            chunks_up_max: service.storage_max_chunks_up as usize,
            keeps_reserve,
            spill_bytes_max,
        };
        let survivors = std::mem::take(&mut found.survivors);
        let ask_sync = start_syncing(&shelf, synced)?;
        let spool = Spool::new(shelf, names, survivors, options, ask_sync);
        let waits = service.storage_backlog_flush_on_shutdown;
        Ok(router.with_spool(spool, numbers, &found, waits))
    }
}

/// Says and counts what an earlier run left.
fn tell(found: &Recovered, metrics: &ServiceMetrics) {
    metrics.torn_files.add(found.torn);
    metrics.corrupt_files.add(found.corrupt);
    metrics.unclaimed_chunks.set(found.unclaimed.values().map(|size| size.chunks).sum());
    for (output, chunks) in found.backlog.iter().filter(|(_, chunks)| !chunks.is_empty()) {
        let records: u64 = chunks.iter().map(|chunk| chunk.records).sum();
        info!(%output, chunks = chunks.len(), records, "on disk from before, sent first");
    }
    for (folder, size) in &found.unclaimed {
        warn!(
            %folder,
            chunks = size.chunks,
            records = size.records,
            "no output claims this folder under `storage.path`: it is kept; give an output its name as `Alias`, \
             or remove it"
        );
    }
    if found.torn > 0 {
        info!(
            files = found.torn,
            "ends that a crash cut off were removed; what they held is read again"
        );
    }
    if found.corrupt > 0 {
        warn!(files = found.corrupt, "damaged files were set aside in `corrupt`");
    }
}
