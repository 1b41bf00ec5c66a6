//! `storage.path` at the start: what the outputs' folders are called, what an earlier run left, and the spool.

use super::build::Plan;
use super::router::Router;
use super::spool::{Spool, SpoolOptions, Synced};
use crate::buffer::{
    Checksum, Damaged, Disk, DiskError, OutputName, REJECTED, Recovered, Shelf, ShelfOptions,
};
use crate::config::{Instance, OutputCommon, ServiceOptions, StorageSync};
use crate::mailbox;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};

/// How long after it was written something is synced, with `storage.sync normal`.
const SYNC_WAIT: Duration = Duration::from_secs(1);

/// Properties that decide where an output's records end up, beside its host and port. An output whose other
/// properties change still owes what it owed.
const DECIDING: [&str; 12] = [
    "Index",
    "Logstash_Format",
    "Logstash_Prefix",
    "Logstash_Prefix_Key",
    "Path",
    "Uri",
    "Pipeline",
    "Labels",
    "Label_Keys",
    "Label_Map_Path",
    "Tenant_ID",
    "File",
];

/// What the folder of an output is called.
pub(super) fn folder_of(instance: &Instance<OutputCommon>) -> OutputName {
    let common = &instance.common;
    if let Some(alias) = &common.alias {
        return OutputName::from_alias(alias);
    }
    let port = common.port.map(|port| port.to_string()).unwrap_or_default();
    let shown = [instance.plugin.name, common.host.as_deref().unwrap_or_default(), &port];
    let entries = instance.section.entries();
    let deciding: Vec<&str> = DECIDING
        .iter()
        .filter_map(|name| {
            let entry = entries.iter().find(|entry| entry.key.eq_ignore_ascii_case(name))?;
            Some([*name, entry.value.as_str()])
        })
        .flatten()
        .collect();
    OutputName::from_destination(&shown, &deciding)
}

/// Gives outputs that lead to the same place folders of their own.
pub(super) fn tell_apart<'a>(names: impl Iterator<Item = &'a mut OutputName>) {
    let mut places: Vec<&mut OutputName> = names.collect();
    let mut names: Vec<OutputName> = places.iter().map(|name| (**name).clone()).collect();
    OutputName::distinct(&mut names);
    for (place, name) in places.iter_mut().zip(names) {
        **place = name;
    }
}

/// Without a `storage.path`, so much of what one output lags behind with may be moved from memory to the folder
/// beside the position database: an hour of a busy node.
const SPILL_BYTES_MAX: u64 = 1 << 30;

/// What lies under `storage.path`, or beside the database.
pub(super) struct Storage {
    shelf: Arc<Shelf>,
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
            rejected: REJECTED.to_owned(),
            checksum: if service.storage_checksum { Checksum::Crc32c } else { Checksum::None },
            damaged: if service.storage_delete_irrecoverable_chunks {
                Damaged::Delete
            } else {
                Damaged::Keep
            },
        };
        let names = plan.folders();
        let (shelf, found) = Shelf::open(Arc::new(Disk), &options, &names)?;
        tell(&found);
        let keeps_reserve = plan.has_unlimited_output();
        Ok(Some(Self { shelf: Arc::new(shelf), names, found, keeps_reserve, spill_bytes_max }))
    }

    /// Lets the router use it.
    pub(super) fn join(
        self,
        router: Router,
        service: &ServiceOptions,
        synced: mailbox::Sender<Synced>,
    ) -> io::Result<Router> {
        let Self { shelf, names, mut found, keeps_reserve, spill_bytes_max } = self;
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
        let spool = Spool::start(shelf, names.clone(), survivors, options, synced)?;
        Ok(router.with_spool(spool, &names, &found, service.storage_backlog_flush_on_shutdown))
    }
}

/// Says what an earlier run left.
fn tell(found: &Recovered) {
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
