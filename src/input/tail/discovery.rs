//! Which files there are: `Path` and `Exclude_Path`, read as glob(3) and fnmatch(3) read them.

use super::error::TailError;
use glob::{MatchOptions, Pattern};
use std::ffi::OsStr;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// glob(3): `*` stops at a slash, and a leading dot must be written.
const AS_GLOB: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// fnmatch(3) without flags: `*` stands for anything.
const AS_FNMATCH: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: false,
    require_literal_leading_dot: false,
};

/// A file's name within the file system; as long as it is open, no other file can have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub device: u64,
    pub inode: u64,
}

impl Place {
    pub(super) fn of(status: &Metadata) -> Self {
        Self { device: status.dev(), inode: status.ino() }
    }

    /// The place that a name leads to.
    pub(super) fn at(path: &Path) -> Option<Self> {
        path.metadata().as_ref().map(Self::of).ok()
    }
}

/// `Path` and `Exclude_Path`.
#[derive(Clone, Debug)]
pub(super) struct Patterns {
    included: Vec<Included>,
    excluded: Vec<Pattern>,
}

/// One pattern of `Path`.
#[derive(Clone, Debug)]
struct Included {
    pattern: Pattern,
    /// Where `parts` begin: `/`, `./`, or nothing, which is where the process runs.
    root: PathBuf,
    parts: Vec<Part>,
}

/// What stands between two slashes.
#[derive(Clone, Debug)]
enum Part {
    /// A name, and the slashes and dots behind it if there are more than one needs: paths are shown as they are
    /// written.
    Fixed(String),
    /// Any name that matches.
    Wild(Pattern),
}

/// What a scan found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Regular files, in the order of the patterns and then of names. One file may be there by several names.
    pub found: Vec<Found>,
    /// What could not be looked at, or is no file.
    pub refused: Vec<(PathBuf, io::Error)>,
    /// The folders in which a file or a further folder may appear.
    pub folders: Vec<Folder>,
}

/// A regular file.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub path: PathBuf,
    pub place: Place,
    pub size: u64,
    pub modified: Option<SystemTime>,
    pub created: Option<SystemTime>,
}

impl Found {
    pub(super) fn new(path: PathBuf, status: &Metadata) -> Self {
        Self {
            path,
            place: Place::of(status),
            size: status.len(),
            modified: status.modified().ok(),
            created: status.created().ok(),
        }
    }
}

/// A folder in which what matters may appear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Folder {
    pub path: PathBuf,
    /// What matters there.
    pub names: Pattern,
    /// The link that leads there; otherwise the name itself is what matters.
    pub link: Option<PathBuf>,
}

impl Patterns {
    /// Reads the two properties.
    pub(super) fn read(paths: &[String], excluded: &[String]) -> Result<Self, TailError> {
        if paths.is_empty() {
            return Err(TailError::PathMissing);
        }
        let include = |text: &String| Included::read(&translate(&expand_home(text)));
        let exclude = |text: &String| compile(&translate(text));
        Ok(Self {
            included: paths.iter().map(include).collect::<Result<_, TailError>>()?,
            excluded: excluded.iter().map(exclude).collect::<Result<_, TailError>>()?,
        })
    }

    /// Whether a file of this name is meant.
    pub(super) fn select(&self, path: &Path) -> bool {
        let is_included =
            self.included.iter().any(|one| one.pattern.matches_path_with(path, AS_GLOB));
        is_included && !self.exclude(path)
    }

    fn exclude(&self, path: &Path) -> bool {
        self.excluded.iter().any(|pattern| pattern.matches_path_with(path, AS_FNMATCH))
    }

    /// Looks which files there are.
    pub(super) fn scan(&self) -> Scan {
        let mut scan = Scan::default();
        for Included { root, parts, .. } in &self.included {
            self.walk(parts, root, &mut scan);
        }
        scan
    }

    /// Looks at these names alone, and at what lies under them.
    pub(super) fn scan_names<'a>(&self, names: impl IntoIterator<Item = &'a PathBuf>) -> Scan {
        let mut scan = Scan::default();
        for path in names {
            for parts in self.included.iter().filter_map(|included| included.below(path)) {
                if parts.is_empty() {
                    self.add(path.clone(), &mut scan);
                } else if path.is_dir() {
                    self.walk(parts, path, &mut scan);
                }
            }
        }
        scan
    }

    /// Goes down from `parent`, which is a folder.
    fn walk(&self, parts: &[Part], parent: &Path, scan: &mut Scan) {
        let Some((part, rest)) = parts.split_first() else { return };
        match part {
            Part::Fixed(name) => {
                let path = parent.join(name);
                if rest.is_empty() {
                    scan.watch(parent, escaped(bare(name)));
                    self.add(path, scan);
                } else if path.is_dir() {
                    // A fixed folder that exists is not watched for: it would wake us for every file beside it.
                    self.walk(rest, &path, scan);
                } else {
                    scan.watch(parent, escaped(bare(name)));
                }
            }
            Part::Wild(pattern) => {
                scan.watch(parent, Some(pattern.clone()));
                for path in children(parent, pattern, scan) {
                    if rest.is_empty() {
                        self.add(path, scan);
                    } else if path.is_dir() {
                        self.walk(rest, &path, scan);
                    }
                }
            }
        }
    }

    /// Takes a name into the scan, if it leads to a file.
    fn add(&self, path: PathBuf, scan: &mut Scan) {
        if self.exclude(&path) {
            return;
        }
        match path.metadata() {
            Ok(status) if status.is_file() => scan.found.push(Found::new(path, &status)),
            Ok(status) => scan.refused.push((path, io::Error::other(kind(&status)))),
            // A link that leads nowhere, as between two steps of a rotation, or before its file is made.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                scan.folders.extend(behind_dangling(&path));
            }
            Err(error) => scan.refused.push((path, error)),
        }
    }
}

impl Included {
    fn read(text: &str) -> Result<Self, TailError> {
        let (root, parts) = split(text);
        let part = |name: String| {
            let is_fixed = !name.contains(['*', '?', '[']);
            Ok(if is_fixed { Part::Fixed(name) } else { Part::Wild(compile(bare(&name))?) })
        };
        Ok(Self {
            pattern: compile(text)?,
            root: PathBuf::from(root),
            parts: parts.into_iter().map(part).collect::<Result<_, TailError>>()?,
        })
    }

    /// What of the pattern is to be found under this name; `None`: nothing is.
    fn below(&self, path: &Path) -> Option<&[Part]> {
        let mut parts = self.parts.as_slice();
        for name in path.strip_prefix(&self.root).ok()? {
            let (part, rest) = parts.split_first()?;
            let is_it = match part {
                Part::Fixed(fixed) => name == OsStr::new(bare(fixed)),
                Part::Wild(pattern) => pattern.matches_with(&name.to_string_lossy(), AS_GLOB),
            };
            if !is_it {
                return None;
            }
            parts = rest;
        }
        Some(parts)
    }
}

impl Scan {
    fn watch(&mut self, folder: &Path, names: Option<Pattern>) {
        let path = or_here(folder).to_path_buf();
        self.folders.extend(names.map(|names| Folder { path, names, link: None }));
    }
}

/// What a pattern begins with, and its names, each with what is behind it but for one slash.
fn split(text: &str) -> (String, Vec<String>) {
    let mut root = String::new();
    let mut parts: Vec<String> = Vec::new();
    for piece in text.split_inclusive('/') {
        match (bare(piece), parts.last_mut()) {
            ("" | ".", Some(last)) => {
                if !last.ends_with('/') {
                    last.push('/');
                }
                last.push_str(piece);
            }
            ("" | ".", None) => root.push_str(piece),
            (name, _) => parts.push(name.to_owned()),
        }
    }
    (root, parts)
}

/// A name without what is behind it.
fn bare(name: &str) -> &str {
    name.split_once('/').map_or(name, |(name, _)| name)
}

/// The names under `parent` that match, in their order.
fn children(parent: &Path, pattern: &Pattern, scan: &mut Scan) -> Vec<PathBuf> {
    let entries = match std::fs::read_dir(or_here(parent)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            scan.refused.push((parent.to_path_buf(), error));
            return Vec::new();
        }
    };
    let names = entries.flatten().map(|entry| entry.file_name());
    let mut names: Vec<_> =
        names.filter(|name| pattern.matches_with(&name.to_string_lossy(), AS_GLOB)).collect();
    names.sort_unstable();
    names.into_iter().map(|name| parent.join(name)).collect()
}

/// The folder in which the next step to the file of a link will appear that leads nowhere yet.
fn behind_dangling(link: &Path) -> Option<Folder> {
    let target = link.parent()?.join(std::fs::read_link(link).ok()?);
    let missing = target.ancestors().find(|path| path.parent().is_some_and(Path::is_dir))?;
    let names = escaped(&missing.file_name()?.to_string_lossy())?;
    Some(Folder { path: missing.parent()?.to_path_buf(), names, link: Some(link.to_path_buf()) })
}

/// The pattern of one name.
fn escaped(name: &str) -> Option<Pattern> {
    // Nothing is special in it, so it cannot be wrong.
    Pattern::new(&Pattern::escape(name)).ok()
}

/// The empty path is where the process runs.
pub(super) fn or_here(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

/// What it is that is no file.
fn kind(status: &Metadata) -> &'static str {
    let kind = status.file_type();
    if kind.is_dir() {
        "it is a folder, not a file"
    } else if kind.is_fifo() {
        "it is a pipe, not a file"
    } else if kind.is_socket() {
        "it is a socket, not a file"
    } else {
        "it is a device, not a file"
    }
}

fn compile(text: &str) -> Result<Pattern, TailError> {
    Pattern::new(text).map_err(|error| TailError::Pattern {
        pattern: text.to_owned(),
        reason: error.msg.to_owned(),
    })
}

/// From glob(3)'s syntax to the crate's: `\x` escapes, `[^…]` negates as `[!…]` does, `**` is `*`, a `[` that is not
/// closed is one, and `[[:alpha:]]` is `[A-Za-z]`.
fn translate(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '\\' => {
                let escaped = rest.next().unwrap_or('\\');
                out.push_str(&Pattern::escape(escaped.encode_utf8(&mut [0; 4])));
            }
            '*' if out.ends_with('*') => {}
            '[' => match class(rest.as_str()) {
                Some((class, behind)) => {
                    out.push_str(&class);
                    rest = behind.chars();
                }
                None => out.push_str("[[]"),
            },
            other => out.push(other),
        }
    }
    out
}

/// A set of characters behind its `[`, and what is behind it. `None`: it has no end.
fn class(text: &str) -> Option<(String, &str)> {
    let negated = text.strip_prefix(['!', '^']);
    let mut rest = negated.unwrap_or(text);
    let mut out = if negated.is_some() { "[!".to_owned() } else { "[".to_owned() };
    // Here, `]` is a character.
    if let Some(behind) = rest.strip_prefix(']') {
        out.push(']');
        rest = behind;
    }
    loop {
        let named = CLASSES.iter().find_map(|(name, set)| Some((set, rest.strip_prefix(name)?)));
        if let Some((set, behind)) = named {
            out.push_str(set);
            rest = behind;
            continue;
        }
        let mut characters = rest.chars();
        let character = characters.next()?;
        out.push(character);
        rest = characters.as_str();
        if character == ']' {
            return Some((out, rest));
        }
    }
}

/// POSIX's names of sets, of which the crate knows none.
const CLASSES: [(&str, &str); 6] = [
    ("[:alnum:]", "A-Za-z0-9"),
    ("[:alpha:]", "A-Za-z"),
    ("[:digit:]", "0-9"),
    ("[:lower:]", "a-z"),
    ("[:upper:]", "A-Z"),
    ("[:xdigit:]", "0-9A-Fa-f"),
];

/// `~/…` is in the user's home.
fn expand_home(text: &str) -> String {
    match (text.strip_prefix("~/"), std::env::var("HOME")) {
        (Some(rest), Ok(home)) => format!("{}/{rest}", Pattern::escape(&home)),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use std::fmt::Write;
    use std::fs;

    /// Makes the files, then shows what a scan of `paths` without `excluded` finds, and which folders matter.
    fn check(files: &[&str], paths: &[&str], excluded: &[&str], expected: &Expect) {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().to_str().unwrap();
        for file in files {
            let path = home.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        let full = |texts: &[&str]| -> Vec<String> {
            texts.iter().map(|text| format!("{root}/{text}")).collect()
        };
        let patterns = Patterns::read(&full(paths), &full(excluded)).unwrap();
        let shorten = |path: &Path| path.to_str().unwrap().replace(root, "");
        let mut text = String::new();
        let scan = patterns.scan();
        for found in scan.found {
            assert!(patterns.select(&found.path));
            let alone = patterns.scan_names([&found.path]);
            assert!(alone.found.iter().all(|again| again.path == found.path), "{alone:?}");
            assert!(!alone.found.is_empty(), "not found by its name: {}", found.path.display());
            writeln!(text, "{}", shorten(&found.path)).unwrap();
        }
        for folder in scan.folders {
            writeln!(text, "in {}/ {}", shorten(&folder.path), folder.names).unwrap();
        }
        for (path, error) in scan.refused {
            writeln!(text, "{}: {error}", shorten(&path)).unwrap();
        }
        expected.assert_eq(&text);
    }

    #[test]
    fn patterns_are_read_as_the_c_library_reads_them() {
        check(
            &["a.log", "b.log", ".c.log", "d.txt", "sub/e.log"],
            &["*.log"],
            &[],
            &expect![[r#"
                /a.log
                /b.log
                in / *.log
            "#]],
        );
        check(
            &["a.log", "b.log", "[.log"],
            &["[^b].log", "\\[.log"],
            &[],
            &expect![[r#"
                /[.log
                /a.log
                /[.log
                in / [!b].log
                in / [[].log
            "#]],
        );
        check(
            &["p/1/x/0.log", "p/2/y/0.log", "p/2/y/deep/0.log"],
            &["p/**/*/*.log"],
            &[],
            &expect![[r#"
                /p/1/x/0.log
                /p/2/y/0.log
                in /p/ *
                in /p/1/ *
                in /p/1/x/ *.log
                in /p/2/ *
                in /p/2/y/ *.log
            "#]],
        );
    }

    #[test]
    fn a_set_that_is_not_closed_is_none() {
        check(
            &["a.log", "[a.log", "7.log", "].log"],
            &["[a*", "[[:digit:][:upper:]].log", "[]].log"],
            &[],
            &expect![[r#"
                /[a.log
                /7.log
                /].log
                in / [[]a*
                in / [0-9A-Z].log
                in / []].log
            "#]],
        );
    }

    #[test]
    fn a_path_is_shown_as_it_is_written() {
        check(
            &["a.log", "sub/b.log", "sub/deep/c.log"],
            &["/a.log", "./a.log", "sub//b.log", "sub/.//*.log", "*/deep/./c.log", "sub/../a.log"],
            &[],
            &expect![[r#"
                //a.log
                /./a.log
                /sub//b.log
                /sub/.//b.log
                /sub/deep/./c.log
                /sub/../a.log
                in /// a.log
                in /.// a.log
                in /sub/// b.log
                in /sub/./// *.log
                in / *
                in /sub/deep/.// c.log
                in /sub/../ a.log
            "#]],
        );
    }

    #[test]
    fn a_name_that_is_no_text_is_a_name() {
        let home = tempfile::tempdir().unwrap();
        let name = std::os::unix::ffi::OsStrExt::from_bytes(b"\xFF.log");
        fs::write(home.path().join::<&OsStr>(name), "x").unwrap();
        let patterns = Patterns::read(&[format!("{}/*.log", home.path().display())], &[]).unwrap();
        assert_eq!(patterns.scan().found[0].path.file_name(), Some(name));
    }

    #[test]
    fn excluding_does_not_stop_at_slashes() {
        check(
            &["a.log", "old/b.log", "old/c.log"],
            &["*.log", "old/*.log"],
            &["*b.log"],
            &expect![[r#"
                /a.log
                /old/c.log
                in / *.log
                in /old/ *.log
            "#]],
        );
    }

    #[test]
    fn a_folder_that_does_not_exist_is_waited_for_where_it_would_appear() {
        check(
            &["a/x"],
            &["a/later/deeper/*.log"],
            &[],
            &expect![[r#"
                in /a/ later
            "#]],
        );
    }

    #[test]
    fn a_path_that_cannot_be_is_refused() {
        let message = |paths: &[String]| Patterns::read(paths, &[]).unwrap_err().to_string();
        expect!["`Path` is not set: it names the files to follow"].assert_eq(&message(&[]));
    }
}
