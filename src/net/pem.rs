//! Certificate files: read within a bound, and seen to change.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use super::TlsError;

/// A longer file is refused: the authorities of the whole web have a quarter of a MiB.
const PEM_BYTES_MAX: u64 = 4 << 20;
/// Files of a folder that are read; the authorities of the whole web are 150.
const FOLDER_FILES_MAX: usize = 1000;

/// The text of a PEM file.
pub(super) fn read(property: &str, path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |reason: String| TlsError::File {
        property: property.to_owned(),
        path: path.to_owned(),
        reason,
    };
    let mut text = Vec::new();
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    file.take(PEM_BYTES_MAX + 1)
        .read_to_end(&mut text)
        .map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > PEM_BYTES_MAX {
        return Err(failed(format!("it has more than {PEM_BYTES_MAX} bytes")));
    }
    Ok(text)
}

/// All certificates of a PEM file; at least one.
pub(super) fn certificates(
    property: &str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(property, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| TlsError::File {
        property: property.to_owned(),
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    if found.is_empty() {
        let (property, path) = (property.to_owned(), path.to_owned());
        return Err(TlsError::NoCertificate { property, path });
    }
    Ok(found)
}

/// The certificates of all PEM files in a folder, without those of other files; perhaps none.
pub(super) fn certificates_in(
    property: &str,
    folder: &Path,
) -> io::Result<Vec<CertificateDer<'static>>> {
    let files = files_in(folder)?.into_iter().filter(|path| path.is_file());
    Ok(files.filter_map(|path| certificates(property, &path).ok()).flatten().collect())
}

fn files_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = folder.read_dir()?.take(FOLDER_FILES_MAX);
    entries.map(|entry| entry.map(|entry| entry.path())).collect()
}

/// What tells that a file is another one, or was written again. Symbolic links are followed, so a
/// mounted Kubernetes secret that changes is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    size: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl Stamp {
    fn new(metadata: &Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            size: metadata.size(),
            seconds: metadata.mtime(),
            nanoseconds: metadata.mtime_nsec(),
        }
    }

    /// The stamp of a file, or of each file in a folder; `None` where there is none.
    pub(super) fn all(path: &Path) -> Vec<Option<Self>> {
        let stamp = |path: &Path| path.metadata().ok().as_ref().map(Self::new);
        let mut files = files_in(path).unwrap_or_default();
        // The order in which a folder names its files has no meaning.
        files.sort_unstable();
        std::iter::once(stamp(path)).chain(files.iter().map(|file| stamp(file))).collect()
    }
}
