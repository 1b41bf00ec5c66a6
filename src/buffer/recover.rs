//! What a start makes of the chunks that an earlier run left, however that ended.
//!
//! 1. Files that were being written are removed.
//! 2. Each chunk in `open/` was never sent: its torn end is cut, it is linked wherever it is not yet, and its name
//!    there is taken away once the others are synced.
//! 3. Each chunk in the folder of an output is looked through: heads of frames only, and checksums if it may not be
//!    what was written. That is so if the machine was down since all was last verified, which the lock file
//!    tells by the kernel's boot id: after a mere `kill -9` the kernel still has every byte. Otherwise a
//!    checksum is verified when the chunk is loaded.
//! 4. Damaged files are set aside in `corrupt/`; what stands before the damage stays, cut to that.
//! 5. What is kept is synced, so that positions may pass it, and so is what is gone: numbers go on after the
//!    largest that is found, and a name that a power cut brought back would be taken for another chunk's.
//!
//! Each step can be cut off anywhere and done again. A file is truncated only where an end can be torn: in `open/`,
//! and anywhere if the machine was down; an end that is torn otherwise is damage.

use super::folder::{self, Folder, OutputName, Paths};
use super::layout::{Damage, Header, Purpose};
use super::reader::{ChunkReader, Head, ReadError};
use super::shelf::{DiskError, Shelf, ShelfOptions, Size, Stored, failed};
use super::storage::{Access, Kind, Storage, StoredFile};
use super::survivors::{RouteKey, Survivors};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Before the boot id in the lock file.
const VERIFIED: &str = "verified under boot ";

/// A start that takes longer says this often how far it is.
const TELL_PAUSE: Duration = Duration::from_secs(5);

/// The lock file is never longer.
const LOCK_BYTES_MAX: usize = 256;

/// What an earlier run left.
#[derive(Debug, Default)]
pub struct Recovered {
    /// For the next chunk: higher than all that are there.
    pub next_number: u64,
    /// What each output still owes, oldest first.
    pub backlog: BTreeMap<OutputName, Vec<Stored>>,
    /// What of the sources lies there.
    pub survivors: Survivors,
    /// Files whose torn end was cut, or of which nothing was left.
    pub torn: u64,
    /// Files that are damaged.
    pub corrupt: u64,
    /// Folders that no output claims, which are kept.
    pub unclaimed: BTreeMap<OutputName, Size>,
}

impl Shelf {
    /// Takes `storage.path` for this process and puts in order what lies there. `outputs` are all that the
    /// configuration has. Reads all of the backlog if the machine was down, else a small part of it.
    pub fn open(
        storage: Arc<dyn Storage>,
        options: &ShelfOptions,
        outputs: &[OutputName],
    ) -> Result<(Self, Recovered), DiskError> {
        let paths = Paths::new(&options.path, &options.rejected);
        make_folders(&*storage, &paths, outputs)?;
        let lock_path = paths.lock();
        let lock = storage.lock(&lock_path).map_err(failed("lock", &lock_path))?;
        let shelf = Self::new(storage, options, paths, lock);
        let boot = Boot::of(&shelf);
        let mut recovery = Recovery {
            shelf: &shelf,
            trust: boot.trust,
            age: boot.age,
            claimed: outputs.iter().collect(),
            found: Recovered::default(),
        };
        recovery.run()?;
        let found = recovery.found;
        boot.note(&shelf, found.next_number > 0)?;
        Ok((shelf, found))
    }
}

/// Makes the folders that are missing. Their names are synced together with the first chunk.
fn make_folders(
    storage: &dyn Storage,
    paths: &Paths,
    outputs: &[OutputName],
) -> Result<(), DiskError> {
    let outputs = outputs.iter().map(|name| paths.folder(&Folder::Output(name.clone())));
    let fixed = [paths.root().to_owned(), paths.open(), paths.out(), paths.corrupt()];
    let rejected = paths.folder(&Folder::Rejected);
    for path in fixed.into_iter().chain([rejected]).chain(outputs) {
        match storage.list(&path, &mut |_, _| ()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                storage.create_folder(&path).map_err(failed("make the folder", &path))?;
            }
            result => result.map_err(failed("read the folder", &path))?,
        }
    }
    Ok(())
}

/// Whether what the kernel was given is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// The kernel has not stopped since everything was verified.
    SameBoot,
    /// The machine was down, or nobody knows.
    AnotherBoot,
}

/// Whether there was an agent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    /// None that came so far as to number a chunk.
    New,
    /// It may have removed what a power cut brings back.
    Used,
}

/// What the lock file says of the boot.
#[derive(Debug)]
struct Boot {
    trust: Trust,
    age: Age,
    /// The line for this boot, if the kernel names it.
    line: Option<String>,
}

impl Boot {
    fn of(shelf: &Shelf) -> Self {
        let line = shelf.storage.boot_id().map(|id| format!("{VERIFIED}{id}\n"));
        let mut bytes = [0; LOCK_BYTES_MAX];
        // What cannot be read is not believed, which costs time and nothing else.
        let read = shelf.lock.read_at(&mut bytes, 0).ok();
        let said = read.and_then(|read| bytes.get(..read));
        let is_same = said.is_some() && said == line.as_deref().map(str::as_bytes);
        let trust = if is_same { Trust::SameBoot } else { Trust::AnotherBoot };
        let age = if read == Some(0) { Age::New } else { Age::Used };
        Self { trust, age, line }
    }

    /// All is verified under this boot now. Where there never was a chunk that is noted with the first one: a
    /// folder that is there only in case an output lags costs the next start nothing either.
    fn note(self, of: &Shelf, has_chunks: bool) -> Result<(), DiskError> {
        let (Trust::AnotherBoot, Some(line)) = (self.trust, self.line) else { return Ok(()) };
        of.expect_boot(line, has_chunks || self.age == Age::Used)
    }
}

#[derive(Debug)]
struct Recovery<'s> {
    shelf: &'s Shelf,
    trust: Trust,
    age: Age,
    claimed: BTreeSet<&'s OutputName>,
    found: Recovered,
}

/// A chunk file that was looked through.
#[derive(Debug)]
struct Inspected {
    file: Arc<dyn StoredFile>,
    header: Header,
    stored: Stored,
    /// Bytes up to the end of its last whole entry.
    whole: u64,
    damage: Option<Damage>,
}

impl Recovery<'_> {
    fn run(&mut self) -> Result<(), DiskError> {
        self.number_above_corrupt()?;
        self.recover_open()?;
        let mut outputs = BTreeSet::new();
        let out = self.shelf.paths.out();
        let note = &mut |name: &str, kind| {
            if kind == Kind::Folder {
                outputs.insert(OutputName::found(name));
            }
        };
        self.shelf.storage.list(&out, note).map_err(failed("read the folder", &out))?;
        for output in &outputs {
            self.recover_output(output.clone())?;
        }
        self.recover_folder(&Folder::Rejected, &mut |_, _| ())?;
        self.sync(outputs)
    }

    /// Makes all names, and that others are gone, survive: from here on numbers are used again that had been, and a
    /// name that came back would be taken for the new chunk's.
    fn sync(&self, outputs: BTreeSet<OutputName>) -> Result<(), DiskError> {
        let Recovered { next_number, torn, corrupt, .. } = self.found;
        if self.age == Age::New && (next_number, torn, corrupt) == (0, 0, 0) {
            return Ok(());
        }
        let paths = &self.shelf.paths;
        let outputs = outputs.into_iter().map(Folder::Output).map(|folder| paths.folder(&folder));
        let rejected = paths.folder(&Folder::Rejected);
        let all = [paths.corrupt(), rejected, paths.open()].into_iter().chain(outputs);
        self.shelf.expect_sync(all);
        self.shelf.sync_folders()
    }

    /// Chunks to come have higher numbers than those that were set aside.
    fn number_above_corrupt(&mut self) -> Result<(), DiskError> {
        let path = self.shelf.paths.corrupt();
        let mut last = None;
        let note = &mut |name: &str, _| last = last.max(folder::corrupt_number(name));
        self.shelf.storage.list(&path, note).map_err(failed("read the folder", &path))?;
        self.number_above(last);
        Ok(())
    }

    /// Chunks to come have higher numbers than the last of those that are there.
    fn number_above(&mut self, last: Option<u64>) {
        let above = last.map_or(0, |last| last.saturating_add(1));
        self.found.next_number = self.found.next_number.max(above);
    }

    /// The numbers of a folder's chunks, ascending. Removes what was being written there.
    fn numbers(&mut self, path: &Path) -> Result<Vec<u64>, DiskError> {
        let (mut numbers, mut parts) = (Vec::new(), Vec::new());
        let note = &mut |name: &str, _| {
            if let Some(number) = folder::chunk_number(name) {
                numbers.push(number);
            } else if folder::is_part(name) {
                parts.push(path.join(name));
            }
        };
        self.shelf.storage.list(path, note).map_err(failed("read the folder", path))?;
        for part in parts {
            self.shelf.remove(&part)?;
        }
        numbers.sort_unstable();
        self.number_above(numbers.last().copied());
        Ok(numbers)
    }

    /// Hands the chunks of `open/` to their outputs.
    fn recover_open(&mut self) -> Result<(), DiskError> {
        let folder = self.shelf.paths.open();
        let mut linked = Vec::new();
        let mut outputs = BTreeSet::new();
        for number in self.numbers(&folder)? {
            let path = self.shelf.paths.open_chunk(number);
            let Some(chunk) =
                self.inspect(folder::OPEN, &path, number, CanTear::Yes, &mut |_, _| ())?
            else {
                continue;
            };
            let names: Vec<_> =
                chunk.header.outputs.iter().map(|name| OutputName::found(name)).collect();
            for name in &names {
                // An output that is gone from the configuration may never have had a folder.
                let output = self.shelf.paths.folder(&Folder::Output(name.clone()));
                self.shelf
                    .storage
                    .create_folder(&output)
                    .map_err(failed("make the folder", &output))?;
            }
            chunk.file.sync().map_err(failed("sync", &path))?;
            self.shelf.link_to_outputs(&path, number, names.iter())?;
            outputs.extend(names);
            linked.push(path);
        }
        if !linked.is_empty() {
            let out = self.shelf.paths.out();
            self.shelf.storage.sync_folder(&out).map_err(failed("sync the folder", &out))?;
        }
        self.shelf.sync_outputs(outputs.iter())?;
        linked.iter().try_for_each(|path| self.shelf.remove(path))
    }

    fn recover_output(&mut self, output: OutputName) -> Result<(), DiskError> {
        let folder = Folder::Output(output.clone());
        if !self.claimed.contains(&output) {
            self.recover_folder(&folder, &mut |_, _| ())?;
            let size = self.shelf.size(&folder);
            if size.chunks > 0 {
                self.found.unclaimed.insert(output, size);
            }
            return Ok(());
        }
        let mut survivors = std::mem::take(&mut self.found.survivors);
        // Most chunks are for the same outputs as the one before.
        let mut routes: Option<(Vec<String>, RouteKey)> = None;
        let result = self.recover_folder(&folder, &mut |header, head| {
            if header.purpose == Purpose::DeadLetter {
                return;
            }
            let key = match &routes {
                Some((names, key)) if *names == header.outputs => *key,
                _ => {
                    let names: Vec<_> =
                        header.outputs.iter().map(|name| OutputName::found(name)).collect();
                    let key = RouteKey::new(&names, &output);
                    routes = Some((header.outputs.clone(), key));
                    key
                }
            };
            survivors.add(&head.source, &head.tag, key, head.from, head.to);
        });
        self.found.survivors = survivors;
        let backlog = result?;
        self.found.backlog.insert(output, backlog);
        Ok(())
    }

    /// Looks through the chunks of a folder and tells each head of a frame in them.
    fn recover_folder(
        &mut self,
        folder: &Folder,
        each: &mut dyn FnMut(&Header, &Head),
    ) -> Result<Vec<Stored>, DiskError> {
        let path = self.shelf.paths.folder(folder);
        let can_tear = CanTear::after(self.trust);
        let mut kept = Vec::new();
        let numbers = self.numbers(&path)?;
        let mut told = Instant::now();
        for (done, number) in numbers.iter().copied().enumerate() {
            if told.elapsed() >= TELL_PAUSE {
                told = Instant::now();
                let (folder, chunks) = (folder.name(), numbers.len());
                tracing::info!(folder, done, chunks, "looking through what waits on disk");
            }
            let path = self.shelf.paths.chunk(folder, number);
            if let Some(chunk) = self.inspect(folder.name(), &path, number, can_tear, each)? {
                chunk.file.sync().map_err(failed("sync", &path))?;
                self.shelf.note(folder, chunk.stored);
                kept.push(chunk.stored);
            }
        }
        Ok(kept)
    }

    /// Looks through a chunk, cuts its torn end and sets it aside if it is damaged. `None`: nothing of it is
    /// left.
    fn inspect(
        &mut self,
        folder: &str,
        path: &Path,
        number: u64,
        can_tear: CanTear,
        each: &mut dyn FnMut(&Header, &Head),
    ) -> Result<Option<Inspected>, DiskError> {
        let file = self.shelf.storage.open(path, Access::Write).map_err(failed("open", path))?;
        let is_verified = can_tear == CanTear::No;
        let inspected = match look_through(file, number, is_verified, each) {
            Ok(inspected) => inspected,
            Err(ReadError::Io(error)) => return Err(DiskError::new("read", path, error)),
            Err(ReadError::Damage(Damage::Torn)) if can_tear == CanTear::Yes => {
                self.found.torn += 1;
                self.shelf.remove(path)?;
                return Ok(None);
            }
            Err(ReadError::Damage(damage)) => {
                self.found.corrupt += 1;
                self.shelf.set_aside(folder, number, path, damage, None)?;
                return Ok(None);
            }
        };
        let whole = (inspected.stored.records > 0).then_some(inspected.whole);
        match (inspected.damage, can_tear) {
            (None, _) => {}
            (Some(Damage::Torn), CanTear::Yes) => {
                self.found.torn += 1;
                inspected.file.truncate(inspected.whole).map_err(failed("cut", path))?;
            }
            (Some(damage), _) => {
                self.found.corrupt += 1;
                self.shelf.set_aside(folder, number, path, damage, whole)?;
            }
        }
        if whole.is_none() {
            self.shelf.remove(path)?;
            return Ok(None);
        }
        Ok(Some(inspected))
    }
}

/// Whether the end of a file may be missing without anything being broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CanTear {
    Yes,
    No,
}

impl CanTear {
    /// For a file that was sealed: it is torn only if the machine went down before it was synced.
    fn after(trust: Trust) -> Self {
        match trust {
            Trust::SameBoot => Self::No,
            Trust::AnotherBoot => Self::Yes,
        }
    }
}

/// Reads the heads of a chunk's frames as far as they are whole.
fn look_through(
    file: Arc<dyn StoredFile>,
    number: u64,
    is_verified: bool,
    each: &mut dyn FnMut(&Header, &Head),
) -> Result<Inspected, ReadError> {
    let mut reader = ChunkReader::new(Arc::clone(&file))?;
    let header = reader.header().clone();
    if header.number != number {
        return Err(Damage::Number(header.number).into());
    }
    if header.outputs.is_empty() {
        return Err(Damage::Header.into());
    }
    let (mut records, mut whole) = (0, reader.whole());
    let damage = loop {
        match next_head(&mut reader, is_verified) {
            Ok(Some(head)) => {
                records += u64::from(head.count);
                whole = reader.whole();
                each(&header, &head);
            }
            Ok(None) => break None,
            Err(ReadError::Damage(damage)) => break Some(damage),
            Err(error) => return Err(error),
        }
    };
    // A chunk is sealed with records in it, so a file that ends where they would begin is torn as well.
    let damage = damage.or((records == 0).then_some(Damage::Torn));
    let stored = Stored { number, bytes: whole, records };
    Ok(Inspected { file, header, stored, whole, damage })
}

fn next_head(reader: &mut ChunkReader, is_verified: bool) -> Result<Option<Head>, ReadError> {
    let Some(entry) = reader.next_entry()? else { return Ok(None) };
    if !is_verified {
        reader.verify(&entry)?;
    }
    reader.head(&entry).map(Some)
}
