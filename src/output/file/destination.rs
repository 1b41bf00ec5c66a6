//! Where a record goes: `Path` and `File`, with dates and fields in them, or its tag.

use crate::buffer::Encoded;
use crate::output::template::Template;
use crate::record::{AccessorError, Nanos};
use tailwater_parsers::time::Strftime;

/// A longer name is none that Linux takes.
const NAME_BYTES_MAX: usize = 255;

/// A longer path is none that Linux takes: the system counts a zero at its end.
const PATH_BYTES_MAX: usize = 4_095;

/// Names the file of each record.
#[derive(Debug)]
pub(super) struct Destination {
    /// The folder; without one the working directory.
    path: Option<Part>,
    /// The file; without one the tag names it.
    file: Option<Part>,
}

/// Why a record has no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// It lacks a field that the name asks for.
    Missing,
    /// The name would lead elsewhere, or is none: `..`, control characters, more than 255 bytes.
    Unsafe,
}

/// A half of the destination.
#[derive(Debug)]
pub(super) enum Part {
    /// The same for every record.
    Fixed(String),
    /// Differs from record to record.
    Varying(Varying),
}

/// Text with fields of the record and dates of its time in it.
#[derive(Debug)]
pub(super) struct Varying {
    /// `None`: there are no dates in it.
    dates: Option<Strftime>,
    /// The second that the dates in `template` are of.
    second: Option<Nanos>,
    template: Template,
    /// Bytes of the folders at its start that are the same for every record.
    fixed_len: usize,
    /// What it said of the last record.
    text: String,
}

impl Destination {
    /// A destination of these halves.
    pub(super) fn new(path: Option<Part>, file: Option<Part>) -> Self {
        Self { path, file }
    }

    /// Whether records of one tag can go to several files.
    pub(super) fn varies(&self) -> bool {
        [&self.path, &self.file].into_iter().flatten().any(|part| matches!(part, Part::Varying(_)))
    }

    /// Writes down the file of the records under `tag`, for a destination that does not vary.
    pub(super) fn of_tag(&self, tag: &str, out: &mut String) {
        out.clear();
        if let Some(Part::Fixed(path)) = &self.path {
            out.push_str(path);
            out.push('/');
        }
        match &self.file {
            Some(Part::Fixed(file)) => out.push_str(file),
            _ => write_tag(tag, out),
        }
    }

    /// Writes down the file of one record.
    pub(super) fn of_record(
        &mut self,
        tag: &str,
        record: &Encoded<'_>,
        out: &mut String,
    ) -> Result<(), Lost> {
        out.clear();
        match &mut self.path {
            None => {}
            Some(Part::Fixed(path)) => out.push_str(path),
            Some(Part::Varying(path)) => {
                let fixed_len = path.fixed_len;
                let path = path.of(tag, record)?;
                if path.is_empty() || !path.get(fixed_len..).is_some_and(is_safe_path) {
                    return Err(Lost::Unsafe);
                }
                out.push_str(path);
            }
        }
        if self.path.is_some() {
            out.push('/');
        }
        match &mut self.file {
            None => write_tag(tag, out),
            Some(Part::Fixed(file)) => out.push_str(file),
            Some(Part::Varying(file)) => {
                let file = file.of(tag, record)?;
                if !is_safe_name(file) {
                    return Err(Lost::Unsafe);
                }
                out.push_str(file);
            }
        }
        if out.len() > PATH_BYTES_MAX { Err(Lost::Unsafe) } else { Ok(()) }
    }
}

impl Part {
    /// Reads one; `%` begins a date only if `has_dates`.
    pub(super) fn read(text: &str, has_dates: bool) -> Result<Self, AccessorError> {
        let has_dates = has_dates && text.contains('%');
        if !has_dates && !text.contains('$') {
            return Ok(Self::Fixed(text.to_owned()));
        }
        Ok(Self::Varying(Varying {
            dates: has_dates.then(|| Strftime::new(text)),
            second: None,
            template: Template::parse(text)?,
            fixed_len: fixed_len(text, has_dates),
            text: String::new(),
        }))
    }

    /// A date in it that does not exist.
    pub(super) fn unknown_date(&self) -> Option<&str> {
        match self {
            Self::Fixed(_) => None,
            Self::Varying(varying) => varying.dates.as_ref()?.unknown(),
        }
    }
}

impl Varying {
    /// What it says of a record. Dates are written first, so that a `%` in a field is no date.
    fn of(&mut self, tag: &str, record: &Encoded<'_>) -> Result<&str, Lost> {
        let second = record.time.div_euclid(1_000_000_000);
        if let Some(dates) = &self.dates
            && self.second != Some(second)
        {
            let mut dated = Vec::new();
            dates.write(record.time, &mut dated);
            let dated = str::from_utf8(&dated).map_err(|_no_text| Lost::Unsafe)?;
            self.template = Template::parse(dated).map_err(|_no_template| Lost::Unsafe)?;
            self.second = Some(second);
        }
        self.text.clear();
        let json = str::from_utf8(record.json).unwrap_or("{}");
        if self.template.write(tag, json, &mut self.text) {
            Ok(&self.text)
        } else {
            Err(Lost::Missing)
        }
    }
}

/// Bytes up to the last `/` before the first accessor or date.
fn fixed_len(text: &str, has_dates: bool) -> usize {
    let varies = |letter| letter == '$' || has_dates && letter == '%';
    let fixed = text.split(varies).next().unwrap_or_default();
    fixed.rfind('/').map_or(0, |at| at + 1)
}

/// Whether a path leads nowhere but down.
fn is_safe_path(path: &str) -> bool {
    let is_safe = |name: &str| !matches!(name, "." | "..") && name.len() <= NAME_BYTES_MAX;
    !path.bytes().any(|byte| byte.is_ascii_control()) && path.split(['/', '\\']).all(is_safe)
}

/// Whether a file's name is one, on any system.
fn is_safe_name(name: &str) -> bool {
    let is_unsafe = |byte: u8| {
        byte.is_ascii_control()
            || matches!(byte, b'/' | b'\\' | b':' | b'*' | b'?' | b'"' | b'<' | b'>' | b'|')
    };
    !matches!(name, "" | "." | "..") && name.len() <= NAME_BYTES_MAX && !name.bytes().any(is_unsafe)
}

/// Appends a tag as the path of a file below the folder: other bytes than `[A-Za-z0-9._-]` become `_`, and what is
/// too long for a name is cut.
fn write_tag(tag: &str, out: &mut String) {
    let start = out.len();
    for name in tag.split(['/', '\\']).filter(|name| !name.is_empty()) {
        if out.len() > start {
            out.push('/');
        }
        match name {
            "." | ".." => out.push('_'),
            name => out.extend(name.bytes().take(NAME_BYTES_MAX).map(|byte| match byte {
                b'-' | b'_' | b'.' => char::from(byte),
                _ if byte.is_ascii_alphanumeric() => char::from(byte),
                _ => '_',
            })),
        }
    }
    if out.len() == start {
        out.push('_');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;
    use expect_test::{Expect, expect};
    use std::fmt::Write as _;

    /// The files of three records under the tag `a.b/c`.
    fn check(path: Option<&str>, file: Option<&str>, expected: &Expect) {
        let part = |text: Option<&str>| text.map(|text| Part::read(text, true).unwrap());
        let mut destination = Destination::new(part(path), part(file));
        let chunk = samples::chunk(&[
            ("a.b/c", samples::TIME, r#"{"h":"web-1","n":5,"o":{"p":"50%d"},"l":["x"]}"#),
            (
                "a.b/c",
                samples::TIME + 86_400_000_000_000,
                r#"{"h":"..","n":"x/y","o":{"p":"../q"}}"#,
            ),
            ("a.b/c", samples::TIME, r#"{"n":""}"#),
        ]);
        let mut shown = String::new();
        for (header, record) in chunk.records() {
            let mut out = String::new();
            match destination.of_record(header.tag, &record, &mut out) {
                Ok(()) => shown.push_str(&out),
                Err(lost) => write!(shown, "{lost:?}").unwrap(),
            }
            shown.push('\n');
            if !destination.varies() {
                let mut of_tag = String::new();
                destination.of_tag(header.tag, &mut of_tag);
                assert_eq!(of_tag, out);
            }
        }
        expected.assert_eq(&shown);
    }

    #[test]
    fn fixed_names_and_tags() {
        check(
            Some("/logs"),
            Some("f"),
            &expect![[r#"
            /logs/f
            /logs/f
            /logs/f
        "#]],
        );
        check(
            Some("/logs"),
            None,
            &expect![[r#"
            /logs/a.b/c
            /logs/a.b/c
            /logs/a.b/c
        "#]],
        );
        check(
            None,
            None,
            &expect![[r#"
            a.b/c
            a.b/c
            a.b/c
        "#]],
        );
    }

    #[test]
    fn fields_and_dates() {
        check(
            Some("/logs"),
            Some("$h.log"),
            &expect![[r#"
            /logs/web-1.log
            /logs/...log
            Missing
        "#]],
        );
        check(
            Some("/logs/$h"),
            None,
            &expect![[r#"
            /logs/web-1/a.b/c
            Unsafe
            Missing
        "#]],
        );
        check(
            Some("/logs/$o['p']"),
            Some("%Y-%m-%d.$TAG[0]"),
            &expect![[r#"
            /logs/50%d/2015-11-24.a
            Unsafe
            Missing
        "#]],
        );
        check(
            Some("/logs/%d"),
            Some("$n"),
            &expect![[r#"
            /logs/24/5
            Unsafe
            Unsafe
        "#]],
        );
        check(
            Some("../logs/%Y.$h"),
            Some("f"),
            &expect![[r#"
            ../logs/2015.web-1/f
            ../logs/2015.../f
            Missing
        "#]],
        );
        check(
            Some("logs/.$h"),
            Some("f"),
            &expect![[r#"
            logs/.web-1/f
            logs/.../f
            Missing
        "#]],
        );
        check(
            None,
            Some("$l"),
            &expect![[r#"
            Missing
            Missing
            Missing
        "#]],
        );
    }

    #[test]
    fn tags_become_names() {
        let (long, cut) = ("x".repeat(300), "x".repeat(255));
        for (tag, expected) in [
            ("kube.var.log", "kube.var.log"),
            ("/a//b\\c/", "a/b/c"),
            ("../.././x", "_/_/_/x"),
            ("a b:c*ä", "a_b_c___"),
            ("", "_"),
            ("//", "_"),
            (&long, &cut),
        ] {
            let mut out = String::new();
            write_tag(tag, &mut out);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn an_empty_field_is_no_folder() {
        check(
            Some("/logs/$n"),
            Some("f"),
            &expect![[r#"
            /logs/5/f
            /logs/x/y/f
            /logs//f
        "#]],
        );
    }

    #[test]
    fn names_that_lead_elsewhere() {
        for name in
            ["", ".", "..", "a/b", "a\\b", "c:", "*", "?", "\"", "<", ">", "|", "\n", "\x7f"]
        {
            assert!(!is_safe_name(name), "{name:?}");
        }
        for path in ["/a/..", "./a", "a/./b", "a\\..", "a\tb"] {
            assert!(!is_safe_path(path), "{path:?}");
        }
        assert!(is_safe_path("/a//b.c/...") && is_safe_name("a b%ä"));
    }
}
