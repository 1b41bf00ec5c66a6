//! Where everything lies under `storage.path`, and what it is called.
//!
//! ```text
//! storage.path/
//!   tailwater.lock                       held by the agent; says under which boot all was last verified
//!   open/00000000000000000042.chunk      appended to, or not linked everywhere yet
//!   out/<output>/00000000000000000041.chunk   owed by this output
//!   rejected/00000000000000000040.chunk  dead letters
//!   corrupt/<folder>-00000000000000000039.chunk   set aside, for people to look at
//! ```
//!
//! A name ending in `.part` is being written and means nothing yet.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// Held by the agent that uses the folder.
pub(super) const LOCK: &str = "tailwater.lock";

/// Chunks that are appended to.
pub(super) const OPEN: &str = "open";

/// The folders of the outputs.
pub(super) const OUT: &str = "out";

/// Damaged files.
pub(super) const CORRUPT: &str = "corrupt";

/// Dead letters, unless `storage.rejected.path` calls them otherwise.
pub const REJECTED: &str = "rejected";

/// Ends the name of a chunk file.
const SUFFIX: &str = ".chunk";

/// Ends the name of a file that is being written.
const PART_SUFFIX: &str = ".part";

/// Digits of a number in a name: as many as the largest has, so that `ls` sorts by age.
const DIGITS: usize = 20;

/// An output's folder is called by no more than this of its plugin, host and so on: leaves room for the hash,
/// and for `-<number>.chunk` behind it in `corrupt/`.
const NAME_LEN_MAX: usize = 128;

/// A folder that chunks wait in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Folder {
    /// Of an output.
    Output(OutputName),
    /// Of the dead letters.
    Rejected,
}

impl Folder {
    /// What it is called in the name of a damaged chunk.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Output(name) => name.as_str(),
            Self::Rejected => REJECTED,
        }
    }
}

/// What an output's folder is called, for ever: its `Alias`, or what decides where its records go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutputName(Arc<str>);

impl OutputName {
    /// For an output with an `Alias`.
    pub fn from_alias(alias: &str) -> Self {
        let name = sanitised(alias);
        // Two aliases that look alike once sanitised must not share a folder.
        if name == alias {
            Self(name.into())
        } else {
            Self(format!("{name}-{}", hash(&[alias])).into())
        }
    }

    /// For an output without one: the plugin, then host and port or whatever people tell it by, and all
    /// that decides the destination (an index, labels, a URI). Never the output's place in the file:
    /// inserting one must not redirect what others still owe.
    pub fn from_destination(shown: &[&str], deciding: &[&str]) -> Self {
        let parts: Vec<_> = shown.iter().copied().filter(|part| !part.is_empty()).collect();
        let all: Vec<_> = shown.iter().chain(deciding).copied().collect();
        Self(format!("{}-{}", sanitised(&parts.join("-")), hash(&all)).into())
    }

    /// Tells outputs apart that lead to the same place: the second of a name gets a `-2`.
    pub fn distinct(names: &mut [Self]) {
        let mut seen: HashMap<Arc<str>, u32> = HashMap::new();
        for name in names {
            let count = seen.entry(Arc::clone(&name.0)).or_default();
            *count += 1;
            if *count > 1 {
                name.0 = format!("{}-{count}", name.0).into();
            }
        }
    }

    /// The name as found on a disk.
    pub fn found(name: &str) -> Self {
        Self(name.into())
    }

    /// The name of the folder.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OutputName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text with nothing in it that a shell or a file system takes for more than a letter.
fn sanitised(text: &str) -> String {
    let keep =
        |char: char| if char.is_ascii_alphanumeric() || "._-".contains(char) { char } else { '_' };
    let name: String = text.chars().take(NAME_LEN_MAX).map(keep).collect();
    // `.` and `..` are folders already, and what begins with a dot does not show in `ls`.
    match name.strip_prefix('.') {
        Some(rest) => format!("_{rest}"),
        None if name.is_empty() => "_".to_owned(),
        None => name,
    }
}

/// Eight hexadecimal digits of all texts, told apart wherever one ends.
fn hash(texts: &[&str]) -> String {
    let mut joined = String::new();
    for text in texts {
        joined.push_str(text);
        joined.push('\0');
    }
    let [a, b, c, d, ..] = xxh3_64(joined.as_bytes()).to_le_bytes();
    format!("{a:02x}{b:02x}{c:02x}{d:02x}")
}

/// The paths under one `storage.path`.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    root: PathBuf,
    rejected: PathBuf,
}

impl Paths {
    /// Dead letters lie in `rejected`, under `root`.
    pub(super) fn new(root: &Path, rejected: &str) -> Self {
        Self { root: root.to_owned(), rejected: root.join(rejected) }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.root.join(LOCK)
    }

    pub(super) fn open(&self) -> PathBuf {
        self.root.join(OPEN)
    }

    pub(super) fn out(&self) -> PathBuf {
        self.root.join(OUT)
    }

    pub(super) fn corrupt(&self) -> PathBuf {
        self.root.join(CORRUPT)
    }

    pub(super) fn folder(&self, folder: &Folder) -> PathBuf {
        match folder {
            Folder::Output(name) => self.out().join(name.as_str()),
            Folder::Rejected => self.rejected.clone(),
        }
    }

    /// The folders whose names in others must survive as well: those that hold folders.
    pub(super) fn parents(&self) -> BTreeSet<PathBuf> {
        let above_rejected = self.rejected.parent().map(Path::to_owned);
        [self.root.clone(), self.out()].into_iter().chain(above_rejected).collect()
    }

    pub(super) fn chunk(&self, folder: &Folder, number: u64) -> PathBuf {
        self.folder(folder).join(chunk_name(number))
    }

    pub(super) fn open_chunk(&self, number: u64) -> PathBuf {
        self.open().join(chunk_name(number))
    }
}

/// `00000000000000000042.chunk`.
pub(super) fn chunk_name(number: u64) -> String {
    format!("{number:0DIGITS$}{SUFFIX}")
}

/// The chunk's number, if this is the name of one.
pub(super) fn chunk_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    let is_number = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { digits.parse().ok() } else { None }
}

/// Where the file is written that is to have this name.
pub(super) fn part(path: &Path) -> PathBuf {
    path.with_extension(PART_SUFFIX.trim_start_matches('.'))
}

/// Whether this is the name of a file that was being written.
pub(super) fn is_part(name: &str) -> bool {
    name.ends_with(PART_SUFFIX)
}

/// What a damaged chunk of a folder (`open`, an output's or the dead letters') is called in `corrupt/`.
pub(super) fn corrupt_name(folder: &str, number: u64) -> String {
    format!("{folder}-{}", chunk_name(number))
}

/// The number in such a name.
pub(super) fn corrupt_number(name: &str) -> Option<u64> {
    chunk_number(name.rsplit_once('-')?.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn names_sort_by_number_and_are_read_back() {
        assert_eq!(chunk_name(42), "00000000000000000042.chunk");
        for number in [0, 42, u64::MAX] {
            assert_eq!(chunk_number(&chunk_name(number)), Some(number));
            assert_eq!(corrupt_number(&corrupt_name("es-a", number)), Some(number));
        }
        for name in ["42.chunk", "+0000000000000000042.chunk", "00000000000000000042.part", ""] {
            assert_eq!(chunk_number(name), None, "{name}");
        }
        let path = part(Path::new("a/00000000000000000042.chunk"));
        assert_eq!(path, Path::new("a/00000000000000000042.part"));
        assert!(is_part("00000000000000000042.part"));
    }

    /// Folders on users' disks are called so: these names may never change.
    #[test]
    fn names_of_outputs_are_frozen() {
        let from = OutputName::from_destination;
        let mut names = [
            OutputName::from_alias("main-es"),
            OutputName::from_alias("../up"),
            OutputName::from_alias(""),
            from(&["es", "10.0.0.1", "9200"], &["logs"]),
            from(&["null", ""], &[]),
            from(&["null", ""], &[]),
        ];
        OutputName::distinct(&mut names);
        expect![[r#"
            main-es
            _._up-43bb8218
            _-dbec4e07
            es-10.0.0.1-9200-cfe26a8b
            null-b9291bcd
            null-b9291bcd-2"#]]
        .assert_eq(&names.map(|name| name.0.to_string()).join("\n"));
        assert_ne!(
            OutputName::from_destination(&["es"], &["a", "bc"]),
            OutputName::from_destination(&["es"], &["ab", "c"])
        );
        assert!(OutputName::from_alias(&"ä".repeat(999)).as_str().len() < 150);
    }
}
