//! What became of a file that is not where it was: renamed, packed, or copied and cut.
//!
//! It is sought beside its last name, first by its inode, then by what it holds among the files whose names begin
//! alike: `x.log.1`, `x.log-20260101.gz`, `x-20260101.log.gz`. What it holds is compared by the caller.

use super::content::Content;
use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};

/// Files that are opened to see whether one goes on for another: more than a rotation keeps.
const SUCCESSORS_MAX: usize = 100;

/// Looks into folders, into each once.
#[derive(Debug, Default)]
pub(super) struct Tracer {
    folders: HashMap<PathBuf, Vec<Name>>,
    /// Why a file or folder could not be looked into that may have been the right one.
    failure: Option<io::Error>,
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
        let path = folder.join(&name.name);
        self.open(path)
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
        let paths: Vec<_> =
            alike.take(SUCCESSORS_MAX).map(|name| folder.join(&name.name)).collect();
        let mut opened = paths.into_iter().filter_map(|path| self.open(path));
        opened.find(|(content, _)| is_it(content))
    }

    /// Why one that was not found may be there all the same.
    pub(super) fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    fn open(&mut self, path: PathBuf) -> Option<(Content, PathBuf)> {
        if !path.symlink_metadata().ok()?.is_file() {
            return None;
        }
        match Content::open(&path) {
            Ok(content) => Some((content, path)),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    self.failure = Some(error);
                }
                None
            }
        }
    }

    /// The names in a folder, in their order.
    fn names(&mut self, folder: &Path) -> &[Name] {
        let failure = &mut self.failure;
        self.folders.entry(folder.to_path_buf()).or_insert_with(|| {
            let entries = std::fs::read_dir(folder).map_err(|error| {
                if error.kind() != io::ErrorKind::NotFound {
                    *failure = Some(error);
                }
            });
            let mut names: Vec<_> = entries
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| Name { inode: entry.ino(), name: entry.file_name() })
                .collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_begins_alike_is_looked_at_and_what_cannot_be_is_told() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        for name in ["0.log", "0.log.20260101-000000", "1.log", "x.log-1"] {
            fs::write(path(name), name).unwrap();
        }
        let found = |of: &str| {
            let is_it = |content: &Content| content.len().unwrap() > 5;
            let found = Tracer::default().by_content(&path(of), is_it);
            found.map(|(_, path)| path.file_name().unwrap().to_owned())
        };
        assert_eq!(found("0.log"), Some("0.log.20260101-000000".into()));
        assert_eq!(found("1.log"), None);
        assert_eq!(found("x.log"), Some("x.log-1".into()));
        assert!(are_alike(&path("0.log"), &path("0.log.1.gz")));
        assert!(!are_alike(&path("0.log"), Path::new("/elsewhere/0.log.1.gz")));
        let mut tracer = Tracer::default();
        assert!(tracer.by_inode(&path("gone/0.log"), 1).is_none());
        assert!(tracer.take_failure().is_none());
        // No folder, for the time being.
        assert!(tracer.by_inode(&path("1.log/0.log"), 1).is_none());
        assert!(tracer.take_failure().is_some());
    }
}
