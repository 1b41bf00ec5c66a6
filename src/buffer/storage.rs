//! The seam between the buffer and the file system: what it needs of one, and the real one.
//!
//! Everything that the buffer does to a disk goes through [`Storage`], so that a test can let the n-th
//! operation fail or cut the power between any two ([`super::Simulated`]).

use crate::metrics::ServiceMetrics;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, statvfs};
use rustix::io::{Errno, pwritev};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

/// Of a file system so much stays free: other programs on the machine need room, too.
pub const RESERVE_PERCENT: u64 = 15;

/// Rights of new files: what they hold are other programs' logs.
const FILE_MODE: u32 = 0o600;

/// Where the kernel says which boot this is: another one after a power cut, the same after a `kill -9`.
const BOOT_ID_FILE: &str = "/proc/sys/kernel/random/boot_id";

/// What an opened file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To be read only: it may lie in a copy that nobody may change.
    Read,
    /// To be cut or written as well.
    Write,
}

/// What a name in a folder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A folder.
    Folder,
}

/// Room of a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What this process may still write.
    pub free: u64,
    /// That and what is written, as df(1) counts: without what is kept back for others.
    pub total: u64,
}

impl Space {
    /// Whether so little is left that the buffer must not grow.
    pub fn is_scarce(self) -> bool {
        u128::from(self.free) * 100 < u128::from(self.total) * u128::from(RESERVE_PERCENT)
    }
}

/// A file system, as far as the buffer needs one.
pub trait Storage: fmt::Debug + Send + Sync {
    /// Makes a new file, to be read and written; an error if the name is taken.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn StoredFile>>;

    /// Opens a file that exists.
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn StoredFile>>;

    /// Gives a file a second name; an error if that is taken.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Moves a file to a name, in the place of what has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a name away; a file without a name is gone once nobody has it open.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Tells each name in a folder, in any order.
    fn list(&self, folder: &Path, each: &mut dyn FnMut(&str, Kind)) -> io::Result<()>;

    /// Makes a folder and those above it, where they are missing.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// Makes the names in a folder survive a power cut.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Room of the file system that a folder lies in.
    fn space(&self, folder: &Path) -> io::Result<Space>;

    /// Opens a file, made where it is missing, that no other process holds: [`io::ErrorKind::WouldBlock`]
    /// if one does. Held until it is dropped.
    fn lock(&self, path: &Path) -> io::Result<Arc<dyn StoredFile>>;

    /// What names this run of the kernel; `None` if nothing does.
    fn boot_id(&self) -> Option<String>;
}

/// An open file. Reads and writes name their offset, so that it may be shared.
pub trait StoredFile: fmt::Debug + Send + Sync {
    /// Writes both parts, one behind the other. After an error any number of bytes may have been written.
    fn write_at(&self, parts: [&[u8]; 2], offset: u64) -> io::Result<()>;

    /// Fills as much of `bytes` as the file has there; less only at its end.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Bytes that the file has.
    fn size(&self) -> io::Result<u64>;

    /// Cuts the file behind this many bytes.
    fn truncate(&self, size: u64) -> io::Result<()>;

    /// Makes what was written survive a power cut; its name is the folder's to sync.
    fn sync(&self) -> io::Result<()>;
}

/// The file system of this machine.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    metrics: Arc<ServiceMetrics>,
}

impl Disk {
    /// One whose syncs are counted there.
    pub fn counted(metrics: Arc<ServiceMetrics>) -> Self {
        Self { metrics }
    }

    fn file(&self, file: File) -> Arc<dyn StoredFile> {
        Arc::new(DiskFile { file, metrics: Arc::clone(&self.metrics) })
    }
}

impl Storage for Disk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn StoredFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(FILE_MODE);
        Ok(self.file(options.open(path)?))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn StoredFile>> {
        let write = access == Access::Write;
        Ok(self.file(OpenOptions::new().read(true).write(write).open(path)?))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, folder: &Path, each: &mut dyn FnMut(&str, Kind)) -> io::Result<()> {
        for entry in folder.read_dir()? {
            let entry = entry?;
            let kind = if entry.file_type()?.is_dir() { Kind::Folder } else { Kind::File };
            // A name that is no text is none that the buffer gave.
            if let Some(name) = entry.file_name().to_str() {
                each(name, kind);
            }
        }
        Ok(())
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.metrics.syncs.add(1);
        match File::open(folder)?.sync_all() {
            // Some file systems, network ones mostly, have no sync for folders.
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => Ok(()),
            result => result,
        }
    }

    fn space(&self, folder: &Path) -> io::Result<Space> {
        let found = statvfs(folder)?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        let used = found.f_blocks.saturating_sub(found.f_bfree);
        Ok(Space { free: bytes(found.f_bavail), total: bytes(used.saturating_add(found.f_bavail)) })
    }

    fn lock(&self, path: &Path) -> io::Result<Arc<dyn StoredFile>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(path, flags, Mode::from_raw_mode(FILE_MODE))?);
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(self.file(file))
    }

    fn boot_id(&self) -> Option<String> {
        Some(fs::read_to_string(BOOT_ID_FILE).ok()?.trim().to_owned())
    }
}

/// A file of this machine.
#[derive(Debug)]
struct DiskFile {
    file: File,
    metrics: Arc<ServiceMetrics>,
}

impl StoredFile for DiskFile {
    fn write_at(&self, parts: [&[u8]; 2], mut offset: u64) -> io::Result<()> {
        let mut slices = parts.map(IoSlice::new);
        let mut left = slices.as_mut_slice();
        // An empty slice at the front is skipped, so that what is left is something to write.
        IoSlice::advance_slices(&mut left, 0);
        while !left.is_empty() {
            let written = match pwritev(&self.file, left, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => written,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            offset += written as u64;
            IoSlice::advance_slices(&mut left, written);
        }
        Ok(())
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.file.set_len(size)
    }

    fn sync(&self) -> io::Result<()> {
        self.metrics.syncs.add(1);
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_disk_keeps_what_it_is_given() {
        let disk = Disk::default();
        let folder = tempfile::tempdir().unwrap();
        let [one, two, deep] = ["one", "two", "a/b"].map(|name| folder.path().join(name));
        let file = disk.create(&one).unwrap();
        assert_eq!(disk.create(&one).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        file.write_at([b"", b"hello"], 0).unwrap();
        file.write_at([b" wide ", b"world"], 5).unwrap();
        file.sync().unwrap();
        let mut bytes = [0; 20];
        assert_eq!(file.read_at(&mut bytes, 6).unwrap(), 10);
        assert_eq!(&bytes[..10], b"wide world");
        file.truncate(5).unwrap();
        disk.link(&one, &two).unwrap();
        assert_eq!(disk.link(&one, &two).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        disk.remove(&one).unwrap();
        disk.rename(&two, &one).unwrap();
        assert_eq!(disk.open(&one, Access::Read).unwrap().size().unwrap(), 5);
        disk.create_folder(&deep).unwrap();
        disk.sync_folder(folder.path()).unwrap();
        let mut names = BTreeMap::new();
        disk.list(folder.path(), &mut |name, kind| {
            names.insert(name.to_owned(), kind);
        })
        .unwrap();
        assert_eq!(
            names.into_iter().collect::<Vec<_>>(),
            [("a".to_owned(), Kind::Folder), ("one".to_owned(), Kind::File)]
        );
        let space = disk.space(folder.path()).unwrap();
        assert_eq!(disk.metrics.syncs.value(), 2);
        assert!(0 < space.free && space.free <= space.total);
    }

    #[test]
    fn a_lock_is_held_once() {
        let disk = Disk::default();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = disk.lock(&path).unwrap();
        assert_eq!(disk.lock(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(held);
        disk.lock(&path).unwrap();
    }
}
