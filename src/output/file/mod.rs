//! `file`: appends records to files, as Fluent Bit does, one for each tag if no other name is given.
//!
//! A chunk is parted by its records' files. Nothing is lost where a file cannot be written: the piece waits and goes on
//! behind its last byte.

mod append;
mod destination;
mod layout;
mod msgpack;
mod rotation;

use super::{Letters, Local, Taken};
use crate::buffer::{Chunk, Encoded};
use crate::config::{Diagnostics, Located, Section, Size, Verbatim, choices, properties};
use append::{Appender, Piece};
use destination::{Destination, Lost, Part};
use layout::Layout;
use rotation::Rotation;
use std::collections::{HashMap, HashSet};
use std::io;

choices! {
    /// How records are written.
    pub enum FileFormat {
        /// Tag, time and JSON.
        OutFile = "out_file",
        /// JSON.
        Plain = "plain",
        /// Values with commas between them.
        Csv = "csv",
        /// Names and values with tabs between them.
        Ltsv = "ltsv",
        /// Text with the values of fields in it.
        Template = "template",
        /// What Fluent Bit keeps in its buffer.
        Msgpack = "msgpack",
    }
}

choices! {
    /// What becomes of a record that has no file.
    pub enum Action {
        /// It is dropped, counted and told as an error.
        Error = "error",
        /// It is dropped and counted.
        Drop = "drop",
        /// It is written to the fallback.
        Fallback = "fallback",
    }
}

properties! {
    /// Appends records to files.
    pub struct FileOptions for "file" {
        /// The folder; unset, the working directory. May hold accessors (`$TAG`, `$a['b']`) behind a beginning that is fixed.
        path: Option<Located<String>> ["Path"],
        /// The file; unset, the tag is its name. May hold accessors.
        file: Option<Located<String>> ["File"],
        /// Whether `%Y`, `%m` and so on in `Path` and `File` stand for the record's time, in UTC.
        enable_strftime: bool ["enable_strftime" = "false"],
        /// So many different files at most, where `Path` or `File` holds accessors or dates; 0 for any number.
        max_dynamic_files: usize ["max_dynamic_files" = "1024"],
        /// What becomes of a record that lacks a field which `Path` or `File` asks for, or in which it is no name.
        on_missing_field: Action ["on_missing_field" = "error"],
        /// What becomes of a record whose file would be one more than `max_dynamic_files`.
        on_limit_reached: Action ["on_limit_reached" = "error"],
        /// Folder of the file that `fallback` means.
        fallback_path: Option<String> ["fallback_path"],
        /// The file that `fallback` means; needed where `Path` or `File` holds accessors or dates.
        fallback_file: Option<String> ["fallback_file"],
        /// How records are written: `out_file` (tag, time and JSON), `plain` (JSON), `csv`, `ltsv`, `template` or `msgpack`.
        format: FileFormat ["Format" = "out_file"],
        /// What stands between two fields of `csv` and `ltsv`: `comma`, `tab` or `space`.
        delimiter: Option<Located<String>> ["Delimiter"],
        /// What stands between a name and its value in `ltsv`: `comma`, `tab` or `space`; unset, a colon.
        label_delimiter: Option<Located<String>> ["Label_Delimiter"],
        /// The line of `Format template`: `{time}` and `{KEY}` stand for the time and the fields of the record.
        template: Verbatim ["Template" = "{time} {message}"],
        /// Whether the first line of a new `csv` file holds the names of the first record's fields.
        csv_column_names: bool ["csv_column_names" = "false"],
        /// Whether missing folders are created.
        mkdir: bool ["Mkdir" = "false"],
        /// Whether a file is rotated once it has `rotate_max_size`.
        rotate: bool ["rotate" = "false"],
        /// Size from which on a file is rotated.
        rotate_max_size: Size ["rotate_max_size" = "100M"],
        /// Rotated files that are kept beside a file.
        rotate_max_files: i64 ["rotate_max_files" = "7"],
        /// Whether rotated files are packed.
        rotate_gzip: bool ["rotate_gzip" = "true"],
    }
}

/// The output `file`.
#[derive(Debug)]
pub struct File {
    /// Name of the instance, for the log.
    name: String,
    destination: Destination,
    /// The file that takes what has no other.
    fallback: Option<String>,
    on_missing: Action,
    on_limit: Action,
    /// Files of a destination that varies, as many as may be; 0 for any number.
    known_max: usize,
    known: HashSet<String>,
    layout: Layout,
    has_names: bool,
    appender: Appender,
    /// What is to be written of the chunk at hand.
    pieces: Vec<Piece>,
    /// The piece of each file.
    piece_of: HashMap<String, usize>,
    /// Pieces that are written.
    written: usize,
    /// Whether it was told already that records are dropped.
    is_told: bool,
}

impl File {
    /// The output of the instance `name` with these options; `None` if it cannot work, which is reported.
    pub fn build(
        name: &str,
        options: &FileOptions,
        letters: Letters,
        section: &Section,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let destination = read_destination(options, diagnostics)?;
        let falls_back = [options.on_missing_field, options.on_limit_reached];
        if options.fallback_file.is_none()
            && (destination.varies() || falls_back.contains(&Action::Fallback))
        {
            let message = "`file` needs `fallback_file` where `Path` or `File` holds accessors or dates, or \
                           where something is to go to the fallback";
            diagnostics.error(&section.location, message);
            return None;
        }
        let fallback = options.fallback_file.as_ref().map(|file| match &options.fallback_path {
            Some(path) => format!("{path}/{file}"),
            None => file.clone(),
        });
        let delimiter = read_delimiter("Delimiter", options.delimiter.as_ref(), diagnostics);
        let label_delimiter =
            read_delimiter("Label_Delimiter", options.label_delimiter.as_ref(), diagnostics);
        Some(Self {
            name: name.to_owned(),
            destination,
            fallback,
            on_missing: options.on_missing_field,
            on_limit: options.on_limit_reached,
            known_max: options.max_dynamic_files,
            known: HashSet::new(),
            layout: Layout::new(
                options.format,
                letters,
                delimiter,
                label_delimiter,
                &options.template,
            ),
            has_names: options.csv_column_names,
            appender: Appender {
                mkdir: options.mkdir,
                rotation: read_rotation(name, options, section, diagnostics)?,
            },
            pieces: Vec::new(),
            piece_of: HashMap::new(),
            written: 0,
            is_told: false,
        })
    }

    /// Puts the file of a record into `path`; false if it is to be dropped.
    fn place(&mut self, tag: &str, record: &Encoded<'_>, path: &mut String) -> bool {
        let (action, reason) = match self.destination.of_record(tag, record, path) {
            Ok(()) if self.known_max == 0 || self.known.contains(path.as_str()) => return true,
            Ok(()) if self.known.len() < self.known_max => {
                self.known.insert(path.clone());
                return true;
            }
            Ok(()) => (self.on_limit, "their file would be one more than `max_dynamic_files`"),
            Err(Lost::Missing) => {
                (self.on_missing, "they lack a field that `Path` or `File` asks for")
            }
            Err(Lost::Unsafe) => {
                (self.on_missing, "a field that `Path` or `File` asks for is no name of a file")
            }
        };
        match (action, &self.fallback) {
            (Action::Fallback, Some(fallback)) => {
                path.clone_from(fallback);
                return true;
            }
            (Action::Error | Action::Fallback, _) if !self.is_told => {
                tracing::error!(output = self.name, reason, "records are dropped and counted");
            }
            (Action::Drop, _) if !self.is_told => {
                tracing::warn!(output = self.name, reason, "records are dropped and counted");
            }
            _ => {}
        }
        self.is_told = true;
        false
    }

    /// Adds a record to what the file `path` gets.
    fn add(&mut self, path: &str, tag: &str, record: &Encoded<'_>) {
        let index = if let Some(index) = self.piece_of.get(path) {
            *index
        } else {
            self.piece_of.insert(path.to_owned(), self.pieces.len());
            self.pieces.push(Piece { path: path.to_owned(), ..Piece::default() });
            self.pieces.len() - 1
        };
        let Some(piece) = self.pieces.get_mut(index) else { return };
        if piece.bytes.is_empty() && self.has_names {
            self.layout.write_names(record, &mut piece.bytes);
            piece.names_len = piece.bytes.len();
        }
        self.layout.write(tag, record, &mut piece.bytes);
    }
}

impl Local for File {
    fn take(&mut self, chunk: &Chunk) -> Taken {
        self.pieces.clear();
        self.piece_of.clear();
        self.written = 0;
        let varies = self.destination.varies();
        let mut path = String::new();
        let mut dropped = 0;
        for frame in chunk.frames() {
            let tag = frame.header.tag;
            if !varies {
                self.destination.of_tag(tag, &mut path);
            }
            for record in frame {
                if !varies || self.place(tag, &record, &mut path) {
                    self.add(&path, tag, &record);
                } else {
                    dropped += 1;
                }
            }
        }
        let bytes = self.pieces.iter().map(|piece| piece.bytes.len() as u64).sum();
        Taken { bytes, dropped }
    }

    fn write(&mut self) -> io::Result<()> {
        while let Some(piece) = self.pieces.get_mut(self.written) {
            self.appender.write(piece)?;
            self.written += 1;
        }
        Ok(())
    }
}

/// Reads `Path` and `File`.
fn read_destination(options: &FileOptions, diagnostics: &mut Diagnostics) -> Option<Destination> {
    let mut read = |property: &str, text: Option<&Located<String>>| {
        let Some(text) = text else { return Some(None) };
        let part = Part::read(text, options.enable_strftime).map_err(|error| {
            diagnostics.error(&text.location, format!("`{property}`: {error}"));
        });
        let part = part.ok()?;
        if let Some(directive) = part.unknown_date() {
            let message = format!("`{directive}` in `{property}` is no date, and stays as it is");
            diagnostics.warning(&text.location, message);
        }
        Some(Some(part))
    };
    let (path, file) = (read("Path", options.path.as_ref())?, read("File", options.file.as_ref())?);
    if let Some(text) = &options.path
        && text.starts_with('$')
    {
        let message = "`Path` needs a beginning that is fixed before its first accessor";
        diagnostics.error(&text.location, message);
        return None;
    }
    Some(Destination::new(path, file))
}

/// Reads the name of a delimiter.
fn read_delimiter(
    property: &str,
    word: Option<&Located<String>>,
    diagnostics: &mut Diagnostics,
) -> Option<&'static str> {
    let word = word?;
    match word.to_ascii_lowercase().as_str() {
        "\\t" | "tab" => Some("\t"),
        "space" => Some(" "),
        "comma" => Some(","),
        _ => {
            let message = format!(
                "`{property}` is left at its default, as in Fluent Bit: `{}` is none of comma, tab, space",
                word.value
            );
            diagnostics.warning(&word.location, message);
            None
        }
    }
}

/// Reads how files are rotated; `None` if they cannot be so, which is reported.
#[expect(clippy::option_option, reason = "an error, or no rotation, or one")]
fn read_rotation(
    name: &str,
    options: &FileOptions,
    section: &Section,
    diagnostics: &mut Diagnostics,
) -> Option<Option<Rotation>> {
    if !options.rotate {
        return Some(None);
    }
    let count_max = usize::try_from(options.rotate_max_files).unwrap_or(0);
    for (property, value) in
        [("rotate_max_size", options.rotate_max_size.0), ("rotate_max_files", count_max as u64)]
    {
        if value == 0 {
            let message = format!("`{property}` has to be above 0 where files are rotated");
            diagnostics.error(section.location_of(property), message);
            return None;
        }
    }
    Some(Some(Rotation {
        bytes_max: options.rotate_max_size.0,
        count_max,
        gzip: options.rotate_gzip,
        name: name.to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples::{self, TIME};
    use expect_test::{Expect, expect};
    use std::fmt::Write as _;

    /// What is written of three records under two tags; else what is said of the configuration.
    fn check(entries: &[(&str, &str)], expected: &Expect) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        let entries: Vec<_> =
            entries.iter().map(|(key, value)| (*key, value.replace("@DIR@", root))).collect();
        let entries: Vec<_> = entries.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let mut section = samples::section(&entries);
        let mut diagnostics = Diagnostics::new();
        let options = FileOptions::read(&mut section, &mut diagnostics);
        let file = File::build("file.0", &options, Letters::Escaped, &section, &mut diagnostics);
        let mut shown = diagnostics.to_string();
        if let Some(mut file) = file.filter(|_| !diagnostics.has_errors()) {
            let chunk = samples::chunk(&[
                ("a.b", TIME, r#"{"message":"x","n":5}"#),
                ("a.b", TIME, r#"{"message":"y"}"#),
                ("c/../d", TIME + 86_400_000_000_000, r#"{"message":"z","n":"6/7"}"#),
            ]);
            let Taken { bytes, dropped } = file.take(&chunk);
            file.write().unwrap();
            file.take(&chunk);
            file.write().unwrap();
            writeln!(shown, "{bytes} bytes, {dropped} dropped").unwrap();
            show(folder.path(), "", &mut shown);
        }
        expected.assert_eq(&shown);
    }

    /// The files below a folder with their contents.
    fn show(folder: &std::path::Path, below: &str, out: &mut String) {
        let mut entries: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            let name = format!("{below}/{}", path.file_name().unwrap().to_str().unwrap());
            if path.is_dir() {
                show(&path, &name, out);
            } else {
                writeln!(out, "{name}:").unwrap();
                out.push_str(&String::from_utf8_lossy(&std::fs::read(&path).unwrap()));
            }
        }
    }

    #[test]
    fn a_file_for_each_tag() {
        check(
            &[("path", "@DIR@"), ("mkdir", "on")],
            &expect![[r#"
            154 bytes, 0 dropped
            /a.b:
            a.b: [1448403340.123456789, {"message":"x","n":5}]
            a.b: [1448403340.123456789, {"message":"y"}]
            a.b: [1448403340.123456789, {"message":"x","n":5}]
            a.b: [1448403340.123456789, {"message":"y"}]
            /c/_/d:
            c/../d: [1448489740.123456789, {"message":"z","n":"6/7"}]
            c/../d: [1448489740.123456789, {"message":"z","n":"6/7"}]
        "#]],
        );
    }

    #[test]
    fn one_file() {
        check(
            &[("path", "@DIR@"), ("file", "f%d"), ("format", "template")],
            &expect![[r#"
            60 bytes, 0 dropped
            /f%d:
            1448403340.123457 x
            1448403340.123457 y
            1448489740.123457 z
            1448403340.123457 x
            1448403340.123457 y
            1448489740.123457 z
        "#]],
        );
        check(
            &[("path", "@DIR@"), ("file", "f"), ("format", "csv"), ("csv_column_names", "on")],
            &expect![[r#"
                107 bytes, 0 dropped
                /f:
                timestamp,"message","n"
                1448403340.123456789,"x",5
                1448403340.123456789,"y"
                1448489740.123456789,"z","6/7"
                1448403340.123456789,"x",5
                1448403340.123456789,"y"
                1448489740.123456789,"z","6/7"
            "#]],
        );
    }

    const VARYING: [(&str, &str); 4] =
        [("path", "@DIR@"), ("file", "$n"), ("fallback_path", "@DIR@"), ("format", "plain")];

    fn check_varying(more: &[(&str, &str)], expected: &Expect) {
        check(&[&VARYING, more].concat(), expected);
    }

    #[test]
    fn a_file_for_each_value() {
        check_varying(
            &[("fallback_file", "rest")],
            &expect![[r#"
            22 bytes, 2 dropped
            /5:
            {"message":"x","n":5}
            {"message":"x","n":5}
        "#]],
        );
        check_varying(
            &[("fallback_file", "rest"), ("on_missing_field", "fallback")],
            &expect![[r#"
                64 bytes, 0 dropped
                /5:
                {"message":"x","n":5}
                {"message":"x","n":5}
                /rest:
                {"message":"y"}
                {"message":"z","n":"6/7"}
                {"message":"y"}
                {"message":"z","n":"6/7"}
            "#]],
        );
        check_varying(
            &[("fallback_file", "rest"), ("on_missing_field", "drop")],
            &expect![[r#"
            22 bytes, 2 dropped
            /5:
            {"message":"x","n":5}
            {"message":"x","n":5}
        "#]],
        );
        check(
            &[
                ("path", "@DIR@/$TAG[0]"),
                ("file", "%Y-%m-%d"),
                ("enable_strftime", "on"),
                ("mkdir", "on"),
                ("fallback_path", "@DIR@"),
                ("fallback_file", "rest"),
                ("max_dynamic_files", "1"),
                ("on_limit_reached", "fallback"),
            ],
            &expect![[r#"
                154 bytes, 0 dropped
                /a/2015-11-24:
                a.b: [1448403340.123456789, {"message":"x","n":5}]
                a.b: [1448403340.123456789, {"message":"y"}]
                a.b: [1448403340.123456789, {"message":"x","n":5}]
                a.b: [1448403340.123456789, {"message":"y"}]
                /rest:
                c/../d: [1448489740.123456789, {"message":"z","n":"6/7"}]
                c/../d: [1448489740.123456789, {"message":"z","n":"6/7"}]
            "#]],
        );
    }

    #[test]
    fn what_cannot_work() {
        check_varying(
            &[],
            &expect![[r#"
            command line: `file` needs `fallback_file` where `Path` or `File` holds accessors or dates, or where something is to go to the fallback
        "#]],
        );
        check(
            &[("on_missing_field", "fallback")],
            &expect![[r#"
            command line: `file` needs `fallback_file` where `Path` or `File` holds accessors or dates, or where something is to go to the fallback
        "#]],
        );
        check(
            &[("on_missing_field", "wait")],
            &expect![[r#"
            command line: `on_missing_field`: none of error, drop, fallback
                on_missing_field wait
        "#]],
        );
        check(
            &[("path", "$a"), ("fallback_file", "f")],
            &expect![[r#"
            command line: `Path` needs a beginning that is fixed before its first accessor
        "#]],
        );
        check(
            &[("file", "$a["), ("fallback_file", "f")],
            &expect![[r#"
            command line: `File`: `[` cannot be read; a step down is `['name']` or `[0]`
        "#]],
        );
        check(
            &[("rotate", "on"), ("rotate_max_files", "0")],
            &expect![[r#"
            command line: `rotate_max_files` has to be above 0 where files are rotated
        "#]],
        );
        check(
            &[("rotate", "on"), ("rotate_max_size", "0")],
            &expect![[r#"
            command line: `rotate_max_size` has to be above 0 where files are rotated
        "#]],
        );
        check(
            &[("format", "json")],
            &expect![[r#"
            command line: `format`: none of out_file, plain, csv, ltsv, template, msgpack
                format json
        "#]],
        );
        check(
            &[("max_dynamic_files", "-1")],
            &expect![[r#"
            command line: `max_dynamic_files`: no whole number from 0 to 18446744073709551615
                max_dynamic_files -1
        "#]],
        );
    }

    #[test]
    fn what_is_hardly_meant() {
        check(
            &[
                ("path", "@DIR@"),
                ("file", "f"),
                ("format", "ltsv"),
                ("delimiter", ";"),
                ("label_delimiter", "SPACE"),
            ],
            &expect![[r#"
                command line: warning: `Delimiter` is left at its default, as in Fluent Bit: `;` is none of comma, tab, space
                133 bytes, 0 dropped
                /f:
                "time" 1448403340.123457	"message" "x"	"n" 5
                "time" 1448403340.123457	"message" "y"
                "time" 1448489740.123457	"message" "z"	"n" "6/7"
                "time" 1448403340.123457	"message" "x"	"n" 5
                "time" 1448403340.123457	"message" "y"
                "time" 1448489740.123457	"message" "z"	"n" "6/7"
            "#]],
        );
        check(
            &[
                ("path", "@DIR@/./$TAG[0]"),
                ("mkdir", "on"),
                ("file", "%Q"),
                ("enable_strftime", "on"),
                ("fallback_file", "f"),
            ],
            &expect![[r#"
                command line: warning: `%Q` in `File` is no date, and stays as it is
                154 bytes, 0 dropped
                /a/%Q:
                a.b: [1448403340.123456789, {"message":"x","n":5}]
                a.b: [1448403340.123456789, {"message":"y"}]
                a.b: [1448403340.123456789, {"message":"x","n":5}]
                a.b: [1448403340.123456789, {"message":"y"}]
                /c/%Q:
                c/../d: [1448489740.123456789, {"message":"z","n":"6/7"}]
                c/../d: [1448489740.123456789, {"message":"z","n":"6/7"}]
            "#]],
        );
    }
}
