//! A file system in memory whose disk fails and whose power is cut on purpose.
//!
//! Every call of [`Storage`] and [`StoredFile`] is one operation. One of them can be told to fail, or all from one
//! on, as if the process had been killed there. What follows is the start of another: after a kill it sees
//! all that was done; after a power cut only what was synced is certain, and of the rest, every name and every
//! byte by itself, a seed decides.

use super::storage::{Access, Kind, Space, Storage, StoredFile};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Room of a file system, unless it is told otherwise: more than any test writes.
const TOTAL_BYTES: u64 = 1 << 40;

/// A file system in memory; clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Simulated(Arc<Mutex<State>>);

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The operation of this number fails so, and no other.
    Once(u64, io::ErrorKind),
    /// Every operation from this number on fails: the process is gone.
    Killed(u64),
}

#[derive(Debug, Default)]
struct State {
    files: Vec<Content>,
    /// Names of files, by path.
    names: BTreeMap<PathBuf, usize>,
    /// Those that a power cut leaves.
    synced_names: BTreeMap<PathBuf, usize>,
    /// Folders, and whether a power cut leaves them.
    folders: BTreeMap<PathBuf, bool>,
    operations: u64,
    /// Those of them that were syncs.
    syncs: u64,
    fault: Option<Fault>,
    has_no_links: bool,
    boot: u64,
    lock: Weak<()>,
    random: Random,
    /// Room of the file system, in bytes; `None`: more than is ever used.
    total: Option<u64>,
}

#[derive(Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    synced: Vec<u8>,
}

/// A small generator whose sequence its seed decides.
#[derive(Clone, Debug, Default)]
struct Random(u64);

impl Random {
    /// Anything below `limit`, which is not zero.
    fn below(&mut self, limit: usize) -> usize {
        // SplitMix64, whose every seed is as good as another.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let mixed = usize::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or_default();
        mixed % limit
    }
}

impl Simulated {
    /// An empty file system.
    pub fn new() -> Self {
        Self::default()
    }

    /// One without hard links.
    pub fn without_links() -> Self {
        let simulated = Self::default();
        simulated.state().has_no_links = true;
        simulated
    }

    /// How many operations there were so far: the number of the next.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// How many syncs there were so far.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Lets operations fail from now on.
    pub fn fail(&self, fault: Fault) {
        self.state().fault = Some(fault);
    }

    /// Bytes of all files that have a name.
    pub fn used(&self) -> u64 {
        self.state().used()
    }

    /// Gives the file system so much room from now on; what would take more fails. `None`: more than is ever used.
    pub fn resize(&self, total: Option<u64>) {
        self.state().total = total;
    }

    /// What a process finds that starts after the last one was killed.
    pub fn after_kill(&self) {
        let mut state = self.state();
        state.fault = None;
        state.lock = Weak::new();
    }

    /// What a process finds that starts after the power was cut.
    pub fn after_power_cut(&self, seed: u64) {
        let mut state = self.state();
        state.fault = None;
        state.lock = Weak::new();
        state.boot += 1;
        state.random = Random(seed);
        state.cut_power();
    }

    /// Puts a file there, synced, as something else than the program under test did.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.state();
        for folder in path.ancestors().skip(1) {
            state.folders.insert(folder.to_owned(), true);
        }
        state.files.push(Content { bytes: bytes.to_vec(), synced: bytes.to_vec() });
        let index = state.files.len() - 1;
        state.names.insert(path.to_owned(), index);
        state.synced_names.insert(path.to_owned(), index);
    }

    /// The bytes of a file.
    pub fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        let index = *state.names.get(path)?;
        Some(state.files.get(index)?.bytes.clone())
    }

    /// The paths of all files.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.state().names.keys().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One operation, unless it is one that fails.
    fn operate(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        let number = state.operations;
        state.operations += 1;
        match state.fault {
            Some(Fault::Once(nth, kind)) if nth == number => Err(kind.into()),
            Some(Fault::Killed(nth)) if nth <= number => Err(io::Error::other("killed")),
            _ => Ok(state),
        }
    }

    fn file(&self, index: usize) -> Arc<dyn StoredFile> {
        Arc::new(SimulatedFile { system: self.clone(), index, _lock: None })
    }
}

impl State {
    fn used(&self) -> u64 {
        let named: BTreeSet<_> = self.names.values().collect();
        let files = named.into_iter().filter_map(|index| self.files.get(*index));
        files.map(|file| file.bytes.len() as u64).sum()
    }

    fn total(&self) -> u64 {
        self.total.unwrap_or(TOTAL_BYTES)
    }

    /// Bytes that may still be written.
    fn room(&self) -> u64 {
        self.total().saturating_sub(self.used())
    }

    /// An error if there is no room for so many bytes more.
    fn make_room(&self, bytes: usize) -> io::Result<()> {
        if self.total.is_some() && self.room() < bytes as u64 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    /// Takes away what a power cut takes.
    fn cut_power(&mut self) {
        let random = &mut self.random;
        for Content { bytes, synced } in &mut self.files {
            if bytes == synced {
                continue;
            }
            // Any part of what was not synced may have reached the disk, and some of that as zeros.
            let common = bytes.iter().zip(&*synced).take_while(|(byte, old)| byte == old).count();
            let kept = common + random.below(bytes.len() - common + 1);
            bytes.truncate(kept.max(synced.len().min(bytes.len())));
            if random.below(3) == 0 {
                let zeros_from = common + random.below(bytes.len() - common + 1);
                bytes.iter_mut().skip(zeros_from.max(synced.len())).for_each(|byte| *byte = 0);
            }
            synced.clone_from(bytes);
        }
        let mut names = std::mem::take(&mut self.synced_names);
        let paths: Vec<_> = names.keys().chain(self.names.keys()).cloned().collect();
        for path in paths {
            if random.below(2) == 0 {
                match self.names.get(&path) {
                    Some(index) => names.insert(path, *index),
                    None => names.remove(&path),
                };
            }
        }
        self.folders.retain(|_, is_synced| {
            *is_synced = *is_synced || random.below(2) == 0;
            *is_synced
        });
        names
            .retain(|path, _| path.parent().is_none_or(|folder| self.folders.contains_key(folder)));
        self.names.clone_from(&names);
        self.synced_names = names;
    }

    fn name(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Gives a file a name, in a folder that exists.
    fn insert(&mut self, path: &Path, index: usize) -> io::Result<()> {
        self.folder(path.parent().unwrap_or(path))?;
        self.names.insert(path.to_owned(), index);
        Ok(())
    }

    /// A new file of this name.
    fn add(&mut self, path: &Path) -> io::Result<usize> {
        let index = self.files.len();
        self.insert(path, index)?;
        self.files.push(Content::default());
        Ok(index)
    }

    fn folder(&self, path: &Path) -> io::Result<()> {
        if self.folders.contains_key(path) { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }
}

impl Storage for Simulated {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn StoredFile>> {
        let mut state = self.operate()?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let index = state.add(path)?;
        Ok(self.file(index))
    }

    fn open(&self, path: &Path, _access: Access) -> io::Result<Arc<dyn StoredFile>> {
        let index = self.operate()?.name(path)?;
        Ok(self.file(index))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.operate()?;
        if state.has_no_links {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let index = state.name(from)?;
        if state.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.insert(to, index)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.operate()?;
        let index = state.name(from)?;
        state.insert(to, index)?;
        state.names.remove(from);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.operate()?;
        state.name(path)?;
        state.names.remove(path);
        Ok(())
    }

    fn list(&self, folder: &Path, each: &mut dyn FnMut(&str, Kind)) -> io::Result<()> {
        let state = self.operate()?;
        state.folder(folder)?;
        let files = state.names.keys().map(|path| (path, Kind::File));
        for (path, kind) in files.chain(state.folders.keys().map(|path| (path, Kind::Folder))) {
            let name = path.file_name().and_then(|name| name.to_str());
            if let (Some(name), true) = (name, path.parent() == Some(folder)) {
                each(name, kind);
            }
        }
        Ok(())
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.operate()?;
        for folder in folder.ancestors() {
            state.folders.entry(folder.to_owned()).or_insert(false);
        }
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.operate()?;
        state.syncs += 1;
        let state = &mut *state;
        state.synced_names.retain(|path, _| path.parent() != Some(folder));
        let names = state.names.iter().filter(|(path, _)| path.parent() == Some(folder));
        state.synced_names.extend(names.map(|(path, index)| (path.clone(), *index)));
        for (path, is_synced) in &mut state.folders {
            *is_synced |= path.parent() == Some(folder);
        }
        Ok(())
    }

    fn space(&self, _folder: &Path) -> io::Result<Space> {
        let state = self.operate()?;
        Ok(Space { free: state.room(), total: state.total() })
    }

    fn lock(&self, path: &Path) -> io::Result<Arc<dyn StoredFile>> {
        let mut state = self.operate()?;
        if state.lock.strong_count() > 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let index = match state.name(path) {
            Ok(index) => index,
            Err(_) => state.add(path)?,
        };
        let lock = Arc::new(());
        state.lock = Arc::downgrade(&lock);
        Ok(Arc::new(SimulatedFile { system: self.clone(), index, _lock: Some(lock) }))
    }

    fn boot_id(&self) -> Option<String> {
        Some(self.state().boot.to_string())
    }
}

/// A file of a [`Simulated`].
#[derive(Debug)]
struct SimulatedFile {
    system: Simulated,
    index: usize,
    /// Held as long as the file is.
    _lock: Option<Arc<()>>,
}

impl SimulatedFile {
    /// One operation on the file's content.
    fn operate<T>(&self, operation: impl FnOnce(&mut Content) -> T) -> io::Result<T> {
        let mut state = self.system.operate()?;
        let content = state.files.get_mut(self.index).ok_or(io::ErrorKind::NotFound)?;
        Ok(operation(content))
    }
}

impl StoredFile for SimulatedFile {
    fn write_at(&self, parts: [&[u8]; 2], offset: u64) -> io::Result<()> {
        let whole = parts.concat();
        let write = |content: &mut Content, bytes: &[u8]| {
            let offset = usize::try_from(offset).unwrap_or(usize::MAX);
            let end = offset.saturating_add(bytes.len());
            content.bytes.resize(content.bytes.len().max(end), 0);
            if let Some(place) = content.bytes.get_mut(offset..end) {
                place.copy_from_slice(bytes);
            }
        };
        let operated = self.system.operate().and_then(|state| {
            state.make_room(whole.len())?;
            Ok(state)
        });
        let (mut state, result) = match operated {
            Ok(state) => (state, Ok(())),
            Err(error) => (self.system.state(), Err(error)),
        };
        let some = state.random.below(whole.len() + 1);
        let is_full = state.fault.is_none() && state.room() < some as u64;
        let written = match &result {
            Ok(()) => whole.len(),
            // Some of it is there all the same.
            Err(_) if is_full => usize::try_from(state.room()).unwrap_or_default(),
            Err(_) if is_the_one(state.fault, state.operations) => some,
            Err(_) => 0,
        };
        if let Some(content) = state.files.get_mut(self.index) {
            write(content, whole.get(..written).unwrap_or_default());
        }
        result
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.operate(|content| {
            let offset = usize::try_from(offset).unwrap_or(usize::MAX);
            let there = content.bytes.get(offset..).unwrap_or_default();
            let len = there.len().min(bytes.len());
            for (to, from) in bytes.iter_mut().zip(there) {
                *to = *from;
            }
            len
        })
    }

    fn size(&self) -> io::Result<u64> {
        self.operate(|content| content.bytes.len() as u64)
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.operate(|content| content.bytes.resize(usize::try_from(size).unwrap_or_default(), 0))
    }

    fn sync(&self) -> io::Result<()> {
        self.operate(|content| content.synced.clone_from(&content.bytes))?;
        self.system.state().syncs += 1;
        Ok(())
    }
}

/// Whether the operation before this number was the one that failed, and not one of a process that is
/// gone.
fn is_the_one(fault: Option<Fault>, next: u64) -> bool {
    match fault {
        Some(Fault::Once(nth, _) | Fault::Killed(nth)) => nth + 1 == next,
        None => false,
    }
}
