//! Configuration files on the disk, found as Fluent Bit finds them, and the process's variables.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use glob::MatchOptions;

use super::document::{Base, FILE_BYTES_MAX, FILE_COUNT_MAX, Opened, Source};

/// As glob(3) matches: a ConfigMap's folder has links that begin with a dot.
const LIKE_GLOB: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

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
    fn open(&mut self, path: &str, base: Base<'_>) -> Result<Opened, String> {
        let path = match base {
            Base::Main => self.locate(path),
            Base::Beside(file) => beside(file, path),
        };
        let text = |error: std::io::Error| error.to_string();
        let file = fs::File::open(&path).map_err(text)?;
        let metadata = file.metadata().map_err(text)?;
        let is_folder = metadata.is_dir();
        let mut bytes = Vec::new();
        if !is_folder {
            file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(text)?;
        }
        if u64::try_from(bytes.len()).is_ok_and(|len| len > FILE_BYTES_MAX) {
            return Err(format!("it is longer than {FILE_BYTES_MAX} bytes"));
        }
        let identity = (metadata.dev(), metadata.ino());
        Ok(Opened { name: path.display().to_string(), identity, bytes, is_folder })
    }

    fn matching(&mut self, pattern: &str, base: Base<'_>) -> Result<Vec<String>, String> {
        let full = match base {
            Base::Main => self.root.join(pattern),
            Base::Beside(file) => beside(file, pattern),
        };
        // What is found is opened beside the same file again.
        let full = std::path::absolute(full).map_err(|error| error.to_string())?;
        let found = glob::glob_with(&full.to_string_lossy(), LIKE_GLOB);
        let paths = found.map_err(|error| error.to_string())?.filter_map(Result::ok);
        let paths = paths.take(FILE_COUNT_MAX + 1).map(|path| path.display().to_string());
        let paths: Vec<String> = paths.collect();
        if paths.is_empty() { Err("no file matches".to_owned()) } else { Ok(paths) }
    }
}

/// A path as it is seen from the folder of a file; an absolute one stays.
fn beside(file: &str, path: &str) -> PathBuf {
    Path::new(file).with_file_name("").join(path)
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
