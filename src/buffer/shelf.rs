//! The chunks on the disk, and what is done to them: open, append, seal, load, settle.
//!
//! A chunk is one file. Sealing links it into the folder of every output that it is for, then takes its name in
//! `open/` away; an output that has settled it takes its own link away. The file system counts the references.
//! Whatever is found in `open/` after a crash was therefore never sent.
//!
//! Nothing is synced that is not asked for ([`Shelf::sync`]), with one exception: a chunk that has been
//! synced while it was open is not taken out of `open/` before its new names are synced as well. And what is
//! written is never repaired by guess: after an error the file is cut to its last whole entry before anything
//! else is done to it, and after a sync that failed nothing of the chunk counts as synced any more, since a
//! kernel may report such a failure only once.
//!
//! All methods may be called from any thread; those that sync or load may take long.

use super::chunk::CHUNK_BYTES_MAX;
use super::folder::{self, Folder, OutputName, Paths, REJECTED};
use super::frame::Frames;
use super::layout::{self, Checksum, Damage, EntryStart, Header, Purpose};
use super::reader::{ChunkReader, ReadError};
use super::storage::{Access, Space, Storage, StoredFile};
use crate::record::Nanos;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use thiserror::Error;

/// A chunk is rarely larger, so that its memory is taken at once; a file may claim any size.
pub(super) const CHUNK_BYTES_EXPECTED: usize = 2 * CHUNK_BYTES_MAX;

/// Damaged files that are kept: a disk that goes on breaking must not fill itself.
const CORRUPT_COUNT_MAX: usize = 1 << 10;

/// Bytes that are copied at once, where a file system has no hard links.
const COPY_BYTES: usize = 256 << 10;

/// An operation on the disk that failed.
#[derive(Debug, Error)]
#[error("cannot {doing} `{path}`: {source}{}", advice(source))]
pub struct DiskError {
    /// What was to be done.
    doing: &'static str,
    path: PathBuf,
    /// What the system says.
    pub source: io::Error,
}

impl DiskError {
    pub(super) fn new(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self { doing, path: path.to_owned(), source }
    }
}

/// What to do about an error, behind its text.
fn advice(error: &io::Error) -> &'static str {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::StorageFull | Kind::QuotaExceeded => {
            "; make room there, or bound the backlog with `storage.total_limit_size`"
        }
        Kind::PermissionDenied => "; give the agent's user the right to write there",
        Kind::ReadOnlyFilesystem => "; mount that file system writable",
        Kind::WouldBlock => "; another agent uses this `storage.path`: give each its own",
        Kind::NotADirectory | Kind::IsADirectory => "; `storage.path` is to be a folder of its own",
        _ => "",
    }
}

/// Adds to an error what was done to which file.
pub(super) fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DiskError {
    move |source| DiskError::new(doing, path, source)
}

/// What becomes of a damaged chunk: `storage.delete_irrecoverable_chunks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damaged {
    /// Set aside in `corrupt/`.
    Keep,
    /// Deleted.
    Delete,
}

/// How chunks are kept.
#[derive(Clone, Debug)]
pub struct ShelfOptions {
    /// `storage.path`.
    pub path: PathBuf,
    /// Folder of the dead letters, under `path`: `storage.rejected.path`.
    pub rejected: String,
    /// `storage.checksum`.
    pub checksum: Checksum,
    /// `storage.delete_irrecoverable_chunks`.
    pub damaged: Damaged,
}

impl ShelfOptions {
    /// Chunks under this path, kept as is usual.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            rejected: REJECTED.to_owned(),
            checksum: Checksum::Crc32c,
            damaged: Damaged::Keep,
        }
    }
}

/// A sealed chunk on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The chunk's number: a lower one is older.
    pub number: u64,
    /// Bytes of its file.
    pub bytes: u64,
    /// Records in it, as its frames say.
    pub records: u64,
}

/// What lies in a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Chunks.
    pub chunks: u64,
    /// Bytes of their files. A chunk that several outputs owe counts for each.
    pub bytes: u64,
    /// Their records.
    pub records: u64,
}

/// The content of a chunk.
#[derive(Debug)]
pub struct Loaded {
    /// Its frames, one behind the other.
    pub frames: Vec<u8>,
    /// How many records they have.
    pub count: u32,
    /// What ended them early.
    pub damage: Option<Damage>,
}

/// A chunk that is appended to.
#[derive(Debug)]
pub struct ChunkFile {
    number: u64,
    outputs: Arc<[OutputName]>,
    file: Arc<dyn StoredFile>,
    /// Bytes up to the end of the last whole entry.
    size: u64,
    records: u64,
    /// Whether the file may have bytes behind `size`.
    is_torn: bool,
    syncing: Arc<Syncing>,
}

/// What the threads that append and that sync know of one another.
#[derive(Debug, Default)]
struct Syncing {
    /// Its name in `open/` may have to survive.
    is_begun: AtomicBool,
    /// Nothing that a later sync says can be believed.
    is_failed: AtomicBool,
}

impl ChunkFile {
    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The outputs that it is for.
    pub fn outputs(&self) -> &[OutputName] {
        &self.outputs
    }

    /// Bytes of its file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What is to be synced for all that was appended so far to survive a power cut.
    pub fn unsynced(&self) -> Unsynced {
        Unsynced {
            number: self.number,
            file: Arc::clone(&self.file),
            syncing: Arc::clone(&self.syncing),
        }
    }

    /// Cuts off what an append left that failed.
    fn mend(&mut self) -> io::Result<()> {
        if self.is_torn {
            self.file.truncate(self.size)?;
            self.is_torn = false;
        }
        Ok(())
    }
}

/// A chunk to be synced: open, or sealed since.
#[derive(Clone, Debug)]
pub struct Unsynced {
    number: u64,
    file: Arc<dyn StoredFile>,
    syncing: Arc<Syncing>,
}

impl Unsynced {
    /// The chunk's number.
    pub fn number(&self) -> u64 {
        self.number
    }
}

/// The chunks under one `storage.path`, which no other process uses.
#[derive(Debug)]
pub struct Shelf {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) paths: Paths,
    checksum: Checksum,
    damaged: Damaged,
    state: Mutex<State>,
    /// Held while folders are synced, so that nobody takes one for synced that is not yet.
    syncing_folders: Mutex<()>,
    /// Whether the file system has no hard links.
    copies: AtomicBool,
    /// Held as long as the shelf is.
    pub(super) lock: Arc<dyn StoredFile>,
}

#[derive(Debug, Default)]
struct State {
    stored: BTreeMap<Folder, Listing>,
    /// Folders with names that a power cut would take.
    unsynced: BTreeSet<PathBuf>,
    /// What the lock file is to say once there is a chunk; `None`: it says so already.
    boot_line: Option<String>,
}

/// What lies in a folder.
#[derive(Debug, Default)]
struct Listing {
    chunks: BTreeMap<u64, Stored>,
    /// The sum of `chunks`.
    size: Size,
}

impl Listing {
    fn insert(&mut self, stored: Stored) {
        self.remove(stored.number);
        self.chunks.insert(stored.number, stored);
        self.size.chunks += 1;
        self.size.bytes += stored.bytes;
        self.size.records += stored.records;
    }

    fn oldest_first(&self) -> impl Iterator<Item = Stored> {
        self.chunks.values().copied()
    }

    fn remove(&mut self, number: u64) {
        if let Some(stored) = self.chunks.remove(&number) {
            self.size.chunks -= 1;
            self.size.bytes -= stored.bytes;
            self.size.records -= stored.records;
        }
    }
}

impl Shelf {
    pub(super) fn new(
        storage: Arc<dyn Storage>,
        options: &ShelfOptions,
        paths: Paths,
        lock: Arc<dyn StoredFile>,
    ) -> Self {
        // Whoever made the folders, nobody may have synced their names: that is done with the first sync.
        let unsynced = paths.parents();
        let state = State { unsynced, ..State::default() };
        Self {
            storage,
            paths,
            checksum: options.checksum,
            damaged: options.damaged,
            state: Mutex::new(state),
            syncing_folders: Mutex::default(),
            copies: AtomicBool::new(false),
            lock,
        }
    }

    /// Opens a chunk for these outputs. The number must be higher than that of every chunk before; after an
    /// error it may be tried again.
    pub fn open_chunk(
        &self,
        number: u64,
        outputs: Arc<[OutputName]>,
        opened_at: Nanos,
    ) -> Result<ChunkFile, DiskError> {
        let path = self.paths.open_chunk(number);
        let header = self.header(number, &outputs, opened_at, Purpose::Delivery);
        let (file, size) = self.create(&path, &header).map_err(failed("create", &path))?;
        self.expect_sync([self.paths.open()]);
        let syncing = Arc::default();
        Ok(ChunkFile { number, outputs, file, size, records: 0, is_torn: false, syncing })
    }

    fn header(
        &self,
        number: u64,
        outputs: &[OutputName],
        opened_at: Nanos,
        purpose: Purpose,
    ) -> Header {
        let outputs = outputs.iter().map(|name| name.as_str().to_owned()).collect();
        Header { number, opened_at, checksum: self.checksum, purpose, outputs }
    }

    /// A new file with this header, and its size.
    fn create(&self, path: &Path, header: &Header) -> io::Result<(Arc<dyn StoredFile>, u64)> {
        self.note_boot()?;
        let file = match self.storage.create(path) {
            // An earlier try got so far: no other chunk has this number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let file = self.storage.open(path, Access::Write)?;
                file.truncate(0)?;
                file
            }
            result => result?,
        };
        let header = header.encode();
        match file.write_at([&header, &[]], 0) {
            Ok(()) => Ok((file, header.len() as u64)),
            Err(error) => {
                // If that fails, too, the next start finds a torn header and removes it.
                let _left_behind = self.storage.remove(path);
                Err(error)
            }
        }
    }

    /// Sets down under which boot all is verified, once there is something that could be.
    fn note_boot(&self) -> io::Result<()> {
        let Some(line) = self.state().boot_line.take() else { return Ok(()) };
        let cut = self.lock.truncate(0);
        let written = cut.and_then(|()| self.lock.write_at([line.as_bytes(), &[]], 0));
        if written.is_err() {
            self.state().boot_line = Some(line);
        }
        written
    }

    /// Notes what the lock file is to say, at once or together with the first chunk.
    pub(super) fn expect_boot(&self, line: String, is_used: bool) -> Result<(), DiskError> {
        self.state().boot_line = Some(line);
        if is_used { self.note_boot().map_err(failed("write", &self.paths.lock())) } else { Ok(()) }
    }

    /// Appends a frame with so many records; one copy, into the kernel's. After an error the chunk is as
    /// it was before.
    pub fn append(
        &self,
        chunk: &mut ChunkFile,
        frame: &[u8],
        records: u32,
    ) -> Result<(), DiskError> {
        let result = self.append_entry(chunk, frame, records);
        result.map_err(failed("append to", &self.paths.open_chunk(chunk.number)))
    }

    fn append_entry(&self, chunk: &mut ChunkFile, frame: &[u8], records: u32) -> io::Result<()> {
        chunk.mend()?;
        let start = EntryStart::of(frame, self.checksum).ok_or(io::ErrorKind::InvalidInput)?;
        chunk.is_torn = true;
        if let Err(error) = chunk.file.write_at([&start.encode(), frame], chunk.size) {
            // Gives the room back at once; if that fails, it is cut before the next entry.
            let _later = chunk.mend();
            return Err(error);
        }
        chunk.is_torn = false;
        chunk.size += (layout::ENTRY_LEN + frame.len()) as u64;
        chunk.records += u64::from(records);
        Ok(())
    }

    /// Makes all that was appended when [`ChunkFile::unsynced`] was called survive a power cut. After an
    /// error nothing in the chunk may be taken as synced, now or later.
    pub fn sync(&self, chunk: &Unsynced) -> Result<(), DiskError> {
        let Unsynced { number, file, syncing } = chunk;
        let path = self.paths.open_chunk(*number);
        if syncing.is_failed.load(Ordering::SeqCst) {
            let error = io::Error::other("an earlier sync of it failed");
            return Err(DiskError::new("sync", &path, error));
        }
        // Before anything else: from here on the name in `open/` may be what survives.
        syncing.is_begun.store(true, Ordering::SeqCst);
        if let Err(error) = file.sync() {
            syncing.is_failed.store(true, Ordering::SeqCst);
            return Err(DiskError::new("sync", &path, error));
        }
        self.sync_folders()
    }

    /// Notes folders that are to be synced with whatever is synced next.
    pub(super) fn expect_sync(&self, folders: impl IntoIterator<Item = PathBuf>) {
        self.state().unsynced.extend(folders);
    }

    /// Syncs the folders that have new names, `open/` last: that a name is gone there must not survive
    /// alone.
    pub(super) fn sync_folders(&self) -> Result<(), DiskError> {
        let _one_at_a_time = self.syncing_folders.lock().unwrap_or_else(PoisonError::into_inner);
        let mut folders = std::mem::take(&mut self.state().unsynced);
        let open = folders.take(&self.paths.open());
        for path in folders.iter().chain(&open) {
            if let Err(error) = self.sync_folder(path) {
                self.expect_sync(folders.iter().chain(&open).cloned());
                return Err(DiskError::new("sync the folder", path, error));
            }
        }
        Ok(())
    }

    /// Syncs a folder; for that of all others its own name as well.
    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        use io::ErrorKind as Kind;
        if path == self.paths.root()
            && let Some(above) = path.parent()
        {
            match self.storage.sync_folder(above) {
                // One that this process may not read was there before, and whoever made it has synced it.
                Err(error) if !matches!(error.kind(), Kind::NotFound | Kind::PermissionDenied) => {
                    return Err(error);
                }
                _ => {}
            }
        }
        self.storage.sync_folder(path)
    }

    /// Hands a chunk to its outputs: from here on it lies in their folders. One without records is removed.
    /// After an error it is to be called again, before any output is told.
    pub fn seal(&self, chunk: &mut ChunkFile) -> Result<(), DiskError> {
        let open = self.paths.open_chunk(chunk.number);
        chunk.mend().map_err(failed("cut", &open))?;
        if chunk.records == 0 {
            return self.remove(&open);
        }
        self.link_to_outputs(&open, chunk.number, chunk.outputs.iter())?;
        if chunk.syncing.is_begun.load(Ordering::SeqCst) {
            self.sync_outputs(chunk.outputs.iter())?;
        }
        self.remove(&open)?;
        let ChunkFile { number, size: bytes, records, .. } = *chunk;
        let stored = Stored { number, bytes, records };
        for output in &*chunk.outputs {
            self.note(&Folder::Output(output.clone()), stored);
        }
        Ok(())
    }

    /// Links a chunk of `open/` into the folders of outputs, as far as it is not there.
    pub(super) fn link_to_outputs<'a>(
        &self,
        open: &Path,
        number: u64,
        outputs: impl Iterator<Item = &'a OutputName>,
    ) -> Result<(), DiskError> {
        for output in outputs {
            let folder = Folder::Output(output.clone());
            let path = self.paths.chunk(&folder, number);
            self.link(open, &path).map_err(failed("link a chunk as", &path))?;
            self.expect_sync([self.paths.folder(&folder)]);
        }
        Ok(())
    }

    /// Makes the names in the folders of these outputs survive.
    pub(super) fn sync_outputs<'a>(
        &self,
        outputs: impl Iterator<Item = &'a OutputName>,
    ) -> Result<(), DiskError> {
        for output in outputs {
            let path = self.paths.folder(&Folder::Output(output.clone()));
            self.storage.sync_folder(&path).map_err(failed("sync the folder", &path))?;
        }
        Ok(())
    }

    /// Writes a whole chunk of memory to the disk, for those outputs that still owe it. After an error
    /// nothing of it lies there.
    pub fn spill(
        &self,
        number: u64,
        outputs: Arc<[OutputName]>,
        opened_at: Nanos,
        frames: Frames<'_>,
    ) -> Result<Unsynced, DiskError> {
        let mut chunk = self.open_chunk(number, outputs, opened_at)?;
        let mut frames = frames;
        let mut write = || {
            while let Some((frame, bytes)) = frames.next_with_bytes() {
                self.append(&mut chunk, bytes, frame.header.count)?;
            }
            self.seal(&mut chunk)
        };
        match write() {
            Ok(()) => Ok(chunk.unsynced()),
            Err(error) => {
                self.unwind(&chunk);
                Err(error)
            }
        }
    }

    /// Takes back what a spill got done. What stays because the disk fails altogether is sent once more
    /// after the next start, which its ids absorb.
    fn unwind(&self, chunk: &ChunkFile) {
        let outputs = chunk.outputs.iter().cloned().map(Folder::Output);
        for path in outputs.map(|folder| self.paths.chunk(&folder, chunk.number)) {
            let _left_behind = self.remove(&path);
        }
        let _left_behind = self.remove(&self.paths.open_chunk(chunk.number));
    }

    /// Writes the records that a store refused for good, each frame with the reason, and syncs them: only
    /// then may the chunk they came from be settled. After an error it may be tried again.
    pub fn reject(
        &self,
        number: u64,
        output: &OutputName,
        rejected_at: Nanos,
        frames: &[Refused<'_>],
    ) -> Result<Stored, DiskError> {
        let path = self.paths.chunk(&Folder::Rejected, number);
        let part = folder::part(&path);
        let header =
            self.header(number, std::slice::from_ref(output), rejected_at, Purpose::DeadLetter);
        let bytes = self.write_refused(&part, &header, frames);
        let bytes = bytes.map_err(failed("write dead letters to", &part))?;
        self.storage.rename(&part, &path).map_err(failed("write dead letters to", &path))?;
        self.expect_sync([self.paths.folder(&Folder::Rejected)]);
        self.sync_folders()?;
        let records = frames.iter().map(|refused| u64::from(refused.count)).sum();
        let stored = Stored { number, bytes, records };
        self.note(&Folder::Rejected, stored);
        Ok(stored)
    }

    fn write_refused(
        &self,
        path: &Path,
        header: &Header,
        frames: &[Refused<'_>],
    ) -> io::Result<u64> {
        let (file, mut size) = self.create(path, header)?;
        let mut payload = Vec::new();
        for Refused { reason, frame, .. } in frames {
            payload.clear();
            layout::append_reasoned(reason, frame, &mut payload);
            let start =
                EntryStart::of(&payload, self.checksum).ok_or(io::ErrorKind::InvalidInput)?;
            file.write_at([&start.encode(), &payload], size)?;
            size += (layout::ENTRY_LEN + payload.len()) as u64;
        }
        file.sync()?;
        Ok(size)
    }

    /// The content of a chunk; `None` if it is gone. Of a damaged one, what is whole is given and kept, and the
    /// file as it was is set aside.
    pub fn load(&self, folder: &Folder, number: u64) -> Result<Option<Loaded>, DiskError> {
        self.load_into(Vec::new(), folder, number)
    }

    /// Like [`Shelf::load`], in memory that the caller has taken.
    pub(super) fn load_into(
        &self,
        memory: Vec<u8>,
        folder: &Folder,
        number: u64,
    ) -> Result<Option<Loaded>, DiskError> {
        let path = self.paths.chunk(folder, number);
        let file = match self.storage.open(&path, Access::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            result => result.map_err(failed("open", &path))?,
        };
        let mut content = Content { frames: memory, count: 0, whole: 0 };
        let damage = match content.read(file, number) {
            Ok(()) => None,
            Err(ReadError::Io(error)) => return Err(DiskError::new("read", &path, error)),
            Err(ReadError::Damage(damage)) => {
                let whole = (content.count > 0).then_some(content.whole);
                self.set_aside(folder.name(), number, &path, damage, whole)?;
                Some(damage)
            }
        };
        Ok(Some(Loaded { frames: content.frames, count: content.count, damage }))
    }

    /// Puts a damaged file where people find it, or deletes it. What is whole of it stays where it is, and
    /// nothing else: so it is damaged no more.
    pub(super) fn set_aside(
        &self,
        folder: &str,
        number: u64,
        path: &Path,
        damage: Damage,
        whole: Option<u64>,
    ) -> Result<(), DiskError> {
        tracing::error!(path = %path.display(), "a chunk on the disk is damaged: {damage}");
        let aside = self.paths.corrupt().join(folder::corrupt_name(folder, number));
        let failed_aside = || failed("set aside a damaged chunk as", &aside);
        let keeps = self.damaged == Damaged::Keep && self.has_room_for_damaged()?;
        let Some(whole) = whole else {
            if keeps {
                return self.storage.rename(path, &aside).map_err(failed_aside());
            }
            return self.remove(path);
        };
        if keeps {
            match self.copy(path, &aside) {
                // What is whole is needed more than what is not.
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {}
                result => result.map_err(failed_aside())?,
            }
        }
        let file = self.storage.open(path, Access::Write).map_err(failed("open", path))?;
        file.truncate(whole).map_err(failed("cut", path))
    }

    fn has_room_for_damaged(&self) -> Result<bool, DiskError> {
        let mut count = 0;
        let folder = self.paths.corrupt();
        self.storage
            .list(&folder, &mut |_, _| count += 1)
            .map_err(failed("read the folder", &folder))?;
        Ok(count < CORRUPT_COUNT_MAX)
    }

    /// An output is done with a chunk, whether it was there or not.
    pub fn settle(&self, folder: &Folder, number: u64) -> Result<(), DiskError> {
        self.remove(&self.paths.chunk(folder, number))?;
        if let Some(stored) = self.state().stored.get_mut(folder) {
            stored.remove(number);
        }
        Ok(())
    }

    /// Drops the oldest chunk of a folder, passing over those that are `spared`, which are being sent. `None`:
    /// there is no other.
    pub fn drop_oldest(
        &self,
        folder: &Folder,
        is_spared: impl Fn(u64) -> bool,
    ) -> Result<Option<Stored>, DiskError> {
        let oldest = {
            let state = self.state();
            let mut chunks = state.stored.get(folder).into_iter().flat_map(Listing::oldest_first);
            chunks.find(|stored| !is_spared(stored.number))
        };
        let Some(oldest) = oldest else { return Ok(None) };
        self.settle(folder, oldest.number)?;
        Ok(Some(oldest))
    }

    /// What lies in a folder.
    pub fn size(&self, folder: &Folder) -> Size {
        self.state().stored.get(folder).map(|listing| listing.size).unwrap_or_default()
    }

    /// The chunks in a folder, oldest first.
    #[cfg(test)]
    pub(super) fn chunks(&self, folder: &Folder) -> Vec<Stored> {
        let state = self.state();
        state.stored.get(folder).into_iter().flat_map(Listing::oldest_first).collect()
    }

    /// Room of the file system.
    pub fn space(&self) -> Result<Space, DiskError> {
        let root = self.paths.root();
        self.storage.space(root).map_err(failed("ask for the room of the file system of", root))
    }

    /// Notes that a chunk lies in a folder.
    pub(super) fn note(&self, folder: &Folder, stored: Stored) {
        self.state().stored.entry(folder.clone()).or_default().insert(stored);
    }

    /// Takes a name away that may be gone already.
    pub(super) fn remove(&self, path: &Path) -> Result<(), DiskError> {
        match self.storage.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(DiskError::new("remove", path, error))
            }
            _ => Ok(()),
        }
    }

    /// Gives a file a second name, unless it has it; a copy of it, where there are no hard links.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        use io::ErrorKind as Kind;
        if !self.copies.load(Ordering::Relaxed) {
            match self.storage.link(from, to) {
                Ok(()) => return Ok(()),
                Err(error) => match error.kind() {
                    Kind::AlreadyExists => return Ok(()),
                    Kind::PermissionDenied
                    | Kind::Unsupported
                    | Kind::CrossesDevices
                    | Kind::TooManyLinks => {
                        if !self.copies.swap(true, Ordering::Relaxed) {
                            let root = self.paths.root().display();
                            tracing::warn!(path = %root, "no hard links here: chunks are copied");
                        }
                    }
                    _ => return Err(error),
                },
            }
        }
        self.copy(from, to)
    }

    /// Copies a file, whole or not at all. Synced, because a copy does not share what is synced later.
    fn copy(&self, from: &Path, to: &Path) -> io::Result<()> {
        let from = self.storage.open(from, Access::Read)?;
        match self.storage.open(to, Access::Read) {
            // A smaller one is of an earlier try, since which the chunk has grown; a larger one has kept
            // what a power cut took of the other.
            Ok(there) if there.size()? >= from.size()? => return Ok(()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let part = folder::part(to);
        match self.storage.remove(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let copy = self.storage.create(&part)?;
        let mut bytes = vec![0; COPY_BYTES];
        let mut offset = 0;
        loop {
            let read = from.read_at(&mut bytes, offset)?;
            if read == 0 {
                break;
            }
            copy.write_at([bytes.get(..read).unwrap_or_default(), &[]], offset)?;
            offset += read as u64;
        }
        copy.sync()?;
        self.storage.rename(&part, to)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic ends the process, so there is nothing half done to be seen.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Records that a store refused, as a frame of their own ([`super::append_some`]).
#[derive(Clone, Copy, Debug)]
pub struct Refused<'a> {
    /// What the store said.
    pub reason: &'a str,
    /// The records.
    pub frame: &'a [u8],
    /// How many there are.
    pub count: u32,
}

/// What was read of a chunk file so far.
struct Content {
    frames: Vec<u8>,
    count: u32,
    /// Bytes of the file up to the end of the last frame.
    whole: u64,
}

impl Content {
    /// Reads the frames of a chunk, as far as they are whole.
    fn read(&mut self, file: Arc<dyn StoredFile>, number: u64) -> Result<(), ReadError> {
        let mut reader = ChunkReader::new(file)?;
        if reader.header().number != number {
            return Err(Damage::Number(reader.header().number).into());
        }
        let size = usize::try_from(reader.size()).unwrap_or(usize::MAX);
        self.frames.reserve_exact(size.min(CHUNK_BYTES_EXPECTED));
        while let Some(entry) = reader.next_entry()? {
            let (_, records) = reader.append_frame(&entry, &mut self.frames)?;
            self.count = self.count.saturating_add(records);
            self.whole = reader.whole();
        }
        Ok(())
    }
}
