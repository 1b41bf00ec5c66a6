//! Which chunk files there are, for those who only look: an agent may be at work on them, or none.

use super::folder;
use super::storage::{Kind, Storage};
use std::io;
use std::path::{Path, PathBuf};

/// What a folder's chunks are there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// They wait for an output.
    Output,
    /// They are appended to.
    Open,
    /// They are damaged.
    Corrupt,
    /// Dead letters, or a folder by itself.
    Other,
}

/// A chunk file that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// What it is there for.
    pub place: Place,
    /// The name of its folder.
    pub folder: String,
    /// The number in its name.
    pub number: u64,
    /// Its path.
    pub path: PathBuf,
}

/// The chunk files under `path`, which may be a `storage.path`, a folder in one, or a file: by place, folder and
/// number.
pub fn survey(storage: &dyn Storage, path: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut folders = Vec::new();
    match list(storage, path, &mut found, &mut folders) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let number = number(name).unwrap_or_default();
            let folder = path.parent().unwrap_or(path);
            let (place, folder) = (place(folder), folder_name(folder));
            return Ok(vec![Found { place, folder, number, path: path.to_owned() }]);
        }
        result => result?,
    }
    let is_buffer = folders.iter().any(|below| below.ends_with(folder::OUT));
    let is_in_one = place(path) != Place::Other
        || path.ends_with(folder::OUT)
        || path.ends_with(folder::REJECTED);
    // An empty buffer and a mistyped path must not look alike.
    if found.is_empty() && !is_buffer && !is_in_one {
        let hint = "it is no buffer; name a `storage.path`, a folder in one, or a chunk file";
        return Err(io::Error::other(hint));
    }
    while let Some(folder) = folders.pop() {
        let mut below = Vec::new();
        list(storage, &folder, &mut found, &mut below)?;
        // Below `out/` is a folder for each output; below another is nothing of the buffer's.
        if folder.ends_with(folder::OUT) {
            folders.append(&mut below);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// What the chunks in a folder are there for, as its path tells.
fn place(folder: &Path) -> Place {
    if folder.parent().is_some_and(|above| above.ends_with(folder::OUT)) {
        Place::Output
    } else if folder.ends_with(folder::OPEN) {
        Place::Open
    } else if folder.ends_with(folder::CORRUPT) {
        Place::Corrupt
    } else {
        Place::Other
    }
}

fn number(name: &str) -> Option<u64> {
    folder::chunk_number(name).or_else(|| folder::corrupt_number(name))
}

/// Adds the chunks of a folder to `found` and the folders in it to `folders`.
fn list(
    storage: &dyn Storage,
    folder: &Path,
    found: &mut Vec<Found>,
    folders: &mut Vec<PathBuf>,
) -> io::Result<()> {
    storage.list(folder, &mut |name, kind| {
        let path = folder.join(name);
        match (kind, number(name)) {
            (Kind::Folder, _) => folders.push(path),
            (Kind::File, Some(number)) => {
                let (place, folder) = (place(folder), folder_name(folder));
                found.push(Found { place, folder, number, path });
            }
            (Kind::File, None) => {}
        }
    })
}

fn folder_name(folder: &Path) -> String {
    folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
