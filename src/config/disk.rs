//! Configuration files on the disk, found as Fluent Bit finds them, and the process's variables.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::classic::{FILE_BYTES_MAX, FILE_COUNT_MAX, Opened, Source};

/// Where the kernel says the machine's name; shells know it, but rarely export it.
const HOSTNAME_FILE: &str = "/proc/sys/kernel/hostname";

/// The disk, seen from the folder of one main file.
#[derive(Debug)]
pub(super) struct Disk {
    /// The folder relative names are looked for in, when the working directory has none.
    root: PathBuf,
}

impl Disk {
    /// The disk as seen from a main file, whose links are followed first.
    pub(super) fn seen_from(main: &Path) -> Self {
        let real = fs::canonicalize(main).unwrap_or_else(|_| main.to_owned());
        Self { root: real.parent().unwrap_or(Path::new("")).to_owned() }
    }

    /// The path at which a file named in the configuration is found.
    pub(super) fn locate(&self, path: &str) -> PathBuf {
        let path = Path::new(path);
        if path.is_absolute() || path.exists() { path.to_owned() } else { self.root.join(path) }
    }
}

impl Source for Disk {
    fn open(&mut self, path: &str) -> Result<Opened, String> {
        let path = self.locate(path);
        let text = |error: std::io::Error| error.to_string();
        let file = fs::File::open(&path).map_err(text)?;
        let metadata = file.metadata().map_err(text)?;
        if metadata.is_dir() {
            return Err("it is a folder".to_owned());
        }
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(text)?;
        if u64::try_from(bytes.len()).is_ok_and(|len| len > FILE_BYTES_MAX) {
            return Err(format!("it is longer than {FILE_BYTES_MAX} bytes"));
        }
        let identity = (metadata.dev(), metadata.ino());
        Ok(Opened { name: path.display().to_string(), identity, bytes })
    }

    fn matching(&mut self, pattern: &str) -> Result<Vec<String>, String> {
        let full = self.root.join(pattern);
        let found = glob::glob(&full.to_string_lossy()).map_err(|error| error.to_string())?;
        let paths = found.filter_map(Result::ok).take(FILE_COUNT_MAX + 1);
        // An absolute path is found as it is, whatever the working directory.
        let paths: Vec<String> = paths.map(|path| path.display().to_string()).collect();
        if paths.is_empty() { Err("no file matches".to_owned()) } else { Ok(paths) }
    }
}

/// A variable of the process; `HOSTNAME` is always there.
pub(super) fn process_variable(name: &str) -> Option<String> {
    let value = std::env::var(name).ok();
    if value.is_none() && name == "HOSTNAME" {
        return fs::read_to_string(HOSTNAME_FILE).ok().map(|name| name.trim().to_owned());
    }
    value
}

/// The content of a file that `@SET name=file:///path` names, without its last line end.
pub(super) fn secret_file(path: &str) -> Result<String, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let text = text.strip_suffix(['\n', '\r']).unwrap_or(&text);
    if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(text.to_owned()) }
}
