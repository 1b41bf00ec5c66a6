//! What became of a file that is not where it was: renamed, packed, or copied and cut.
//!
//! It is sought beside its last name, first by its inode, then by what it holds among the files whose names begin
//! alike: `x.log.1`, `x.log-20260101.gz`, `x-20260101.log.gz`. What it holds is compared by the caller.

use super::content::Content;
use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};

/// Files that are opened to see whether one goes on for another: more than a rotation keeps.
const SUCCESSORS_MAX: usize = 100;

/// Looks into folders, into each once.
#[derive(Debug, Default)]
pub(super) struct Tracer {
    folders: HashMap<PathBuf, Vec<Name>>,
}

/// A name in a folder.
#[derive(Debug)]
struct Name {
    name: OsString,
    inode: u64,
}

impl Tracer {
    /// The file with this inode in the folder of `path`, by whatever name.
    pub(super) fn by_inode(&mut self, path: &Path, inode: u64) -> Option<(Content, PathBuf)> {
        let folder = path.parent()?;
        let name = self.names(folder).iter().find(|name| name.inode == inode)?;
        open_file(folder.join(&name.name))
    }

    /// The first file beside `path` of which `is_it`.
    pub(super) fn by_content(
        &mut self,
        path: &Path,
        is_it: impl Fn(&Content) -> bool,
    ) -> Option<(Content, PathBuf)> {
        let folder = path.parent()?;
        let stem = stem(path)?;
        let names = self.names(folder).iter();
        let alike = names.filter(|name| name.name.as_bytes().starts_with(stem));
        let mut opened =
            alike.take(SUCCESSORS_MAX).filter_map(|name| open_file(folder.join(&name.name)));
        opened.find(|(content, _)| is_it(content))
    }

    /// The names in a folder, in their order.
    fn names(&mut self, folder: &Path) -> &[Name] {
        self.folders.entry(folder.to_path_buf()).or_insert_with(|| {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            let mut names: Vec<_> =
                entries.map(|entry| Name { inode: entry.ino(), name: entry.file_name() }).collect();
            names.sort_unstable_by(|one, other| one.name.cmp(&other.name));
            names
        })
    }
}

/// What the names of a file and of those that go on for it begin with: `x` of `x.log`, `0` of `0.log`.
fn stem(path: &Path) -> Option<&[u8]> {
    let name = path.file_name()?.as_bytes();
    let end = memchr::memchr(b'.', name).filter(|end| *end > 0).unwrap_or(name.len());
    name.get(..end)
}

/// Whether one of these names may be given to what another had held.
pub(super) fn are_alike(one: &Path, other: &Path) -> bool {
    one.parent() == other.parent()
        && stem(one)
            .zip(other.file_name())
            .is_some_and(|(stem, name)| name.as_bytes().starts_with(stem))
}

fn open_file(path: PathBuf) -> Option<(Content, PathBuf)> {
    if !path.symlink_metadata().ok()?.is_file() {
        return None;
    }
    Some((Content::open(&path).ok()?, path))
}
