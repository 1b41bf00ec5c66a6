//! Where the outputs' dead letters go, as `[SERVICE]` says: `storage.keep.rejected` and its kind.

use crate::buffer::{
    Checksum, Damaged, Disk, DiskError, OutputName, RejectedFolder, Shelf, ShelfOptions,
};
use crate::config::ServiceOptions;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// The place of all outputs' dead letters.
#[derive(Debug)]
pub(super) struct Rejected {
    shelf: Arc<Shelf>,
    numbers: Arc<AtomicU64>,
    bytes_max: Option<u64>,
}

impl Rejected {
    /// Opens it, if there is to be one: `storage.keep.rejected` and a `storage.path`, as in Fluent Bit.
    pub(super) fn open(
        service: &ServiceOptions,
        outputs: &[OutputName],
    ) -> Result<Option<Self>, DiskError> {
        let Some(path) = service.storage_path.as_ref().filter(|_| service.keep_rejected) else {
            return Ok(None);
        };
        let options = ShelfOptions {
            path: path.into(),
            rejected: service.rejected_path.0.clone(),
            checksum: Checksum::Crc32c,
            damaged: Damaged::Keep,
        };
        let (shelf, found) = Shelf::open(Arc::new(Disk), &options, outputs)?;
        let numbers = Arc::new(AtomicU64::new(found.next_number));
        let bytes_max = service.rejected_limit.0.bytes();
        Ok(Some(Self { shelf: Arc::new(shelf), numbers, bytes_max }))
    }

    /// The part of one output.
    pub(super) fn folder_of(&self, output: OutputName) -> RejectedFolder {
        let Self { shelf, numbers, bytes_max } = self;
        RejectedFolder {
            shelf: Arc::clone(shelf),
            output,
            numbers: Arc::clone(numbers),
            bytes_max: *bytes_max,
        }
    }
}
