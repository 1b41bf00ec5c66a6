//! Which files there are: `Path` and `Exclude_Path`, read as glob(3) and fnmatch(3) read them.

use super::error::TailError;
use glob::{MatchOptions, Pattern};
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
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
    text: String,
    pattern: Pattern,
}

/// What a scan found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Regular files, in the order of the patterns and then of names. One file may be there by several names.
    pub found: Vec<Found>,
    /// What could not be looked at.
    pub refused: Vec<(PathBuf, io::Error)>,
}

/// A regular file.
#[derive(Debug)]
pub(super) struct Found {
    pub path: PathBuf,
    pub place: Place,
    pub size: u64,
    pub modified: Option<SystemTime>,
    pub created: Option<SystemTime>,
}

/// A folder in which what matters may appear.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    pub path: PathBuf,
    /// What matters there.
    pub names: Pattern,
}

impl Patterns {
    /// Reads the two properties.
    pub(super) fn read(paths: &[String], excluded: &[String]) -> Result<Self, TailError> {
        if paths.is_empty() {
            return Err(TailError::PathMissing);
        }
        let include = |text: &String| {
            let text = translate(&expand_home(text));
            Ok(Included { pattern: compile(&text)?, text })
        };
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
        for included in &self.included {
            // Compiled before, so this is no error of the pattern.
            let Ok(paths) = glob::glob_with(&included.text, AS_GLOB) else { continue };
            for path in paths {
                match path {
                    Ok(path) if self.exclude(&path) => {}
                    Ok(path) => scan.add(path),
                    Err(error) => {
                        let path = error.path().to_path_buf();
                        scan.refused.push((path, io::Error::from(error)));
                    }
                }
            }
        }
        scan
    }

    /// The folders that exist now and in which a file or a further folder of `Path` may appear.
    pub(super) fn folders(&self) -> Vec<Folder> {
        self.included.iter().flat_map(|included| folders(&included.text)).collect()
    }
}

impl Scan {
    fn add(&mut self, path: PathBuf) {
        match path.metadata() {
            Ok(status) if status.is_file() => self.found.push(Found {
                place: Place::of(&status),
                size: status.len(),
                modified: status.modified().ok(),
                created: status.created().ok(),
                path,
            }),
            // A folder or a pipe; or a link that leads nowhere, as after a rotation.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.refused.push((path, error)),
        }
    }
}

/// For each component of a pattern, the folders that may come to hold a match for it.
fn folders(text: &str) -> Vec<Folder> {
    let mut folders = Vec::new();
    let mut parents = vec![PathBuf::from(if text.starts_with('/') { "/" } else { "." })];
    let components = Path::new(text).components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        Component::ParentDir => Some("..".to_owned()),
        _ => None,
    });
    let mut components = components.peekable();
    while let Some(name) = components.next() {
        let Ok(names) = compile(&name) else { break };
        let is_fixed = !name.contains(['*', '?', '[']);
        let is_last = components.peek().is_none();
        let deeper: Vec<PathBuf> =
            parents.iter().flat_map(|parent| children(parent, &name, is_fixed)).collect();
        // A fixed folder that exists is not watched for: it would wake us for every file beside it.
        if is_last || !is_fixed || deeper.is_empty() {
            let path = |path: PathBuf| Folder { path, names: names.clone() };
            folders.extend(parents.into_iter().map(path));
        }
        parents = deeper;
    }
    folders
}

/// The folders under `parent` that match one component.
fn children(parent: &Path, name: &str, is_fixed: bool) -> Vec<PathBuf> {
    if is_fixed {
        let path = parent.join(name);
        return if path.is_dir() { vec![path] } else { Vec::new() };
    }
    let pattern = format!("{}/{name}", Pattern::escape(&parent.to_string_lossy()));
    let paths = glob::glob_with(&pattern, AS_GLOB).into_iter().flatten().flatten();
    paths.filter(|path| path.is_dir()).collect()
}

fn compile(text: &str) -> Result<Pattern, TailError> {
    Pattern::new(text).map_err(|error| TailError::Pattern {
        pattern: text.to_owned(),
        reason: error.msg.to_owned(),
    })
}

/// From glob(3)'s syntax to the crate's: `\x` escapes, `[^…]` negates as `[!…]` does, `**` is `*`.
fn translate(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                let escaped = characters.next().unwrap_or('\\');
                out.push_str(&Pattern::escape(escaped.encode_utf8(&mut [0; 4])));
            }
            '*' if out.ends_with('*') => {}
            '[' if characters.peek() == Some(&'^') => {
                characters.next();
                out.push_str("[!");
            }
            other => out.push(other),
        }
    }
    out
}

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
        for found in patterns.scan().found {
            assert!(patterns.select(&found.path));
            writeln!(text, "{}", shorten(&found.path)).unwrap();
        }
        for folder in patterns.folders() {
            writeln!(text, "in {}/ {}", shorten(&folder.path), folder.names).unwrap();
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
                in /p/2/ *
                in /p/1/x/ *.log
                in /p/2/y/ *.log
            "#]],
        );
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
        expect!["`/a/[b` is not a path pattern: invalid range pattern"]
            .assert_eq(&message(&["/a/[b".to_owned()]));
    }
}
