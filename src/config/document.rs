//! What configuration files say, in whichever syntax: sections and settings; and where the files come from.

use std::path::Path;

use super::classic;
use super::diagnostics::{Diagnostics, Location, Severity, finding};
use super::near::nearest;
use super::section::{Section, SectionKind};
use super::yaml;

/// Files read for one configuration, as in Fluent Bit.
pub const FILE_COUNT_MAX: usize = 1_000;
/// Includes inside of includes; each level holds one stack frame and one file.
pub const INCLUDE_DEPTH_MAX: usize = 50;
/// Fluent Bit's bound of a line; a whole file is bounded by it here.
pub const FILE_BYTES_MAX: u64 = 32 << 20;

/// Where files come from: the disk, or a test's memory.
pub trait Source {
    /// The file at `path`, which is relative to `base`.
    fn open(&mut self, path: &str, base: Base<'_>) -> Result<Opened, String>;

    /// The files that match a pattern relative to `base`, sorted; never none.
    fn matching(&mut self, pattern: &str, base: Base<'_>) -> Result<Vec<String>, String>;
}

/// What a relative path in a configuration is relative to.
#[derive(Clone, Copy, Debug)]
pub enum Base<'a> {
    /// The working directory, else the main file's folder (a pattern: that folder alone), as in the
    /// classic syntax.
    Main,
    /// The folder of this file, as in YAML.
    Beside(&'a str),
}

/// A file as a [`Source`] gave it.
#[derive(Debug)]
pub struct Opened {
    /// How messages call it.
    pub name: String,
    /// The same for two names of one file: device and inode.
    pub identity: (u64, u64),
    /// Its content; that of a folder is empty.
    pub bytes: Vec<u8>,
    /// Whether it is a folder.
    pub is_folder: bool,
}

/// A variable: `@SET name=value`, or an entry of YAML's `env`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The variable.
    pub name: String,
    /// What `${name}` stands for, everywhere in the configuration.
    pub value: String,
    /// Where it was written.
    pub location: Location,
    /// What it is when the value names a file that cannot be read: Fluent Bit starts with `@SET`, not
    /// with `env`.
    pub severity: Severity,
}

/// What was read: sections in order, `SERVICE` sections joined into the first.
#[derive(Debug, Default)]
pub struct Document {
    /// Sections, in order.
    pub sections: Vec<Section>,
    /// Variables, in order; the last one of a name counts.
    pub settings: Vec<Setting>,
    /// Whether parsers may stand in a main file: only in YAML.
    pub may_define_parsers: bool,
}

impl Document {
    /// The index of the `SERVICE` section, if there is one already.
    pub(super) fn service(&self) -> Option<usize> {
        self.sections.iter().position(|section| section.kind == SectionKind::Service)
    }
}

/// Reads a file and everything it includes; its ending says in which syntax, as in Fluent Bit. Mistakes
/// are recorded.
pub fn read(path: &str, source: &mut dyn Source, diagnostics: &mut Diagnostics) -> Document {
    let is_yaml = Path::new(path)
        .extension()
        .is_some_and(|it| it.eq_ignore_ascii_case("yaml") || it.eq_ignore_ascii_case("yml"));
    let files = Files { source, seen: Vec::new() };
    if is_yaml {
        yaml::read(path, files, diagnostics)
    } else {
        classic::read(path, files, diagnostics)
    }
}

/// Reads arbitrary bytes as a file of that name, whose includes all lead back to it.
pub(super) fn fuzz(name: &str, bytes: &[u8]) {
    /// Every path is the same bytes under another identity, so that includes nest to the bound.
    struct Memory<'a>(&'a [u8], u64);

    /// Files to include before the source runs dry: the work stays small.
    const OPEN_COUNT_MAX: u64 = 8;

    impl Source for Memory<'_> {
        fn open(&mut self, path: &str, _base: Base<'_>) -> Result<Opened, String> {
            self.1 += 1;
            if self.1 > OPEN_COUNT_MAX {
                return Err("enough".to_owned());
            }
            Ok(Opened {
                name: path.to_owned(),
                identity: (0, self.1),
                bytes: self.0.to_vec(),
                is_folder: false,
            })
        }

        fn matching(&mut self, pattern: &str, _base: Base<'_>) -> Result<Vec<String>, String> {
            Ok(vec![pattern.to_owned(), pattern.to_owned()])
        }
    }

    read(name, &mut Memory(bytes, 0), &mut Diagnostics::new());
}

/// The files of one configuration. None is read twice, so includes end.
pub(super) struct Files<'a> {
    source: &'a mut dyn Source,
    /// Every file read so far.
    seen: Vec<(u64, u64)>,
}

impl Files<'_> {
    /// The file at `path`, named at `from`, inside of so many others. What is in the way is recorded.
    pub(super) fn open(
        &mut self,
        path: &str,
        base: Base<'_>,
        from: &Location,
        depth: usize,
        diagnostics: &mut Diagnostics,
    ) -> Option<Opened> {
        if self.seen.len() >= FILE_COUNT_MAX || depth > INCLUDE_DEPTH_MAX {
            diagnostics.error(
                from,
                format!(
                    "`{path}` is not read: at most {FILE_COUNT_MAX} files, \
                     {INCLUDE_DEPTH_MAX} of them inside of each other"
                ),
            );
            return None;
        }
        match self.source.open(path, base) {
            Ok(opened) if self.seen.contains(&opened.identity) => {
                diagnostics.error(from, format!("`{}` is included twice", opened.name));
                None
            }
            Ok(opened) => {
                self.seen.push(opened.identity);
                Some(opened)
            }
            Err(why) => {
                diagnostics.error(from, format!("`{path}` cannot be read: {why}"));
                None
            }
        }
    }

    /// The files that an include names: those that match a path with a `*`, else itself.
    pub(super) fn included(
        &mut self,
        path: &str,
        base: Base<'_>,
        from: &Location,
        diagnostics: &mut Diagnostics,
    ) -> Vec<String> {
        if !path.contains('*') {
            return vec![path.to_owned()];
        }
        self.source.matching(path, base).unwrap_or_else(|why| {
            // Fluent Bit starts only without what a relative pattern in YAML does not find.
            let severity = match base {
                Base::Beside(_) if !path.starts_with('/') => Severity::Warning,
                Base::Beside(_) | Base::Main => Severity::Error,
            };
            diagnostics.add(finding(severity, from, format!("`{path}`: {why}")));
            Vec::new()
        })
    }
}

/// Section names in the order in which Fluent Bit compares them.
const KINDS: &[(&str, SectionKind)] = &[
    ("service", SectionKind::Service),
    ("parser", SectionKind::Parser),
    ("multiline_parser", SectionKind::MultilineParser),
    ("stream_processor", SectionKind::StreamProcessor),
    ("plugins", SectionKind::Plugins),
    // The name in the files of upstreams; in Fluent Bit the start of the next one.
    ("upstream", SectionKind::UpstreamServers),
    ("upstream_servers", SectionKind::UpstreamServers),
    ("customs", SectionKind::Custom),
    ("inputs", SectionKind::Input),
    ("filters", SectionKind::Filter),
    ("outputs", SectionKind::Output),
];

/// Sections of files that only Fluent Bit reads.
const ELSEWHERE: &[(&str, &str)] =
    &[("stream_task", "a `Streams_File`"), ("node", "the file that an `Upstream` names")];

/// What a section's name means. Fluent Bit compares as many letters as the name has, so that `[IN]` is an
/// input; other names it ignores in silence.
pub(super) fn kind_of(
    name: &str,
    location: &Location,
    diagnostics: &mut Diagnostics,
) -> SectionKind {
    let begins = |word: &str| {
        !name.is_empty()
            && word.split_at_checked(name.len()).is_some_and(|(a, _)| a.eq_ignore_ascii_case(name))
    };
    for (word, kind) in KINDS {
        if !begins(word) {
            continue;
        }
        let stem = word.strip_suffix('s').unwrap_or(word);
        if name.len() < stem.len() {
            diagnostics
                .warning(location, format!("`{name}` is taken as `{}`", stem.to_uppercase()));
        }
        return kind.clone();
    }
    let kind = SectionKind::Other(name.to_owned());
    if let Some((_, file)) = ELSEWHERE.iter().find(|(word, _)| word.eq_ignore_ascii_case(name)) {
        let message = format!("`{name}` has no effect here: it belongs into {file}");
        diagnostics.warning(location, message);
        return kind;
    }
    let found =
        finding(Severity::Warning, location, format!("`{name}` is no section and is passed over"));
    let near = nearest(name.trim(), KINDS.iter().map(|(word, _)| *word));
    diagnostics.add(match near {
        Some(word) => found.with_remedy(format!("did you mean `{}`?", word.to_uppercase())),
        None => found,
    });
    kind
}
