//! The line of an entry: the record without the fields that became something else.

use super::options::{DropSingleKey, LineFormat};
use crate::record::{Accessor, Name};
use memchr::memmem::Finder;
use tailwater_parsers::json::{self, Text, Value};

/// Fields that are left out or looked at, as a tree of their names.
#[derive(Debug, Default)]
pub(super) struct Cuts(Vec<Cut>);

#[derive(Debug)]
struct Cut {
    name: String,
    /// Finds the name as it stands before a field's value: most records lack most names.
    finder: Finder<'static>,
    /// Whether the field itself is left out, or some of what is in it, or nothing.
    whole: bool,
    /// Whether labels come from the field.
    is_watched: bool,
    below: Cuts,
    /// The value that was cut last, and what was left of it: a pod's metadata is the same from line to line.
    last: (String, Vec<u8>),
}

impl Cuts {
    /// Leaves the field out that an accessor names; one in an array stays, as in Fluent Bit.
    pub(super) fn add(&mut self, accessor: &Accessor) {
        let mut names = Vec::new();
        for name in accessor.names() {
            let Name::Key(name) = name else { return };
            names.push(name);
        }
        self.add_path(&names);
    }

    fn add_path(&mut self, path: &[&str]) {
        let Some((name, below)) = path.split_first() else { return };
        if let Some(cut) = self.named(name) {
            cut.whole |= below.is_empty();
            cut.below.add_path(below);
        }
    }

    /// Tells by [`Line::seen`] when the value changes that an accessor names.
    pub(super) fn watch(&mut self, accessor: &Accessor) {
        if let Some(Name::Key(name)) = accessor.names().next()
            && let Some(cut) = self.named(name)
        {
            cut.is_watched = true;
        }
    }

    /// The entry of this name, made if there is none.
    fn named(&mut self, name: &str) -> Option<&mut Cut> {
        let at = self.0.iter().position(|cut| cut.name == *name).unwrap_or_else(|| {
            self.0.push(Cut::new(name));
            self.0.len() - 1
        });
        self.0.get_mut(at)
    }

    /// Whether any of the names is somewhere in a record.
    fn may_be_in(&self, record: &[u8]) -> bool {
        self.0.iter().any(|cut| cut.finder.find(record).is_some())
    }

    /// Appends the object without what is left out, and to `seen` the values that are watched. It goes as
    /// deep as the longest accessor.
    fn write(&mut self, object: &str, out: &mut Vec<u8>, seen: &mut Vec<u8>) {
        out.push(b'{');
        let mut separator: &[u8] = b"\"";
        // It was valid when it was encoded.
        let _end = json::object(object, |key, value, _| {
            let mut cut = self.0.iter_mut().find(|cut| key.is(&cut.name));
            if let Some(cut) = cut.as_mut().filter(|cut| cut.is_watched) {
                write_json(Value::String(Text::Plain(&cut.name)), seen);
                write_json(value, seen);
            }
            if cut.as_ref().is_some_and(|cut| cut.whole) {
                return;
            }
            out.extend_from_slice(separator);
            separator = b",\"";
            key.write(out);
            out.extend_from_slice(b"\":");
            match (cut, value) {
                (Some(cut), Value::Nested(text)) if text.starts_with('{') => {
                    out.extend_from_slice(cut.rest_of(text));
                }
                _ => write_json(value, out),
            }
        });
        out.push(b'}');
    }
}

impl Cut {
    fn new(name: &str) -> Self {
        let mut needle = b"\"".to_vec();
        json::escape(name, &mut needle);
        needle.extend_from_slice(b"\":");
        Self {
            name: name.to_owned(),
            finder: Finder::new(&needle).into_owned(),
            whole: false,
            is_watched: false,
            below: Cuts::default(),
            last: Default::default(),
        }
    }

    /// What is left of the object `text`, the field's value.
    fn rest_of<'r>(&'r mut self, text: &'r str) -> &'r [u8] {
        if self.below.0.is_empty() {
            return text.as_bytes();
        }
        let (last, rest) = &mut self.last;
        if last != text || rest.is_empty() {
            text.clone_into(last);
            rest.clear();
            // Only what lies at the top is watched.
            self.below.write(text, rest, &mut Vec::new());
        }
        rest
    }
}

/// A record's line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'l> {
    /// Its text.
    pub(super) text: &'l [u8],
    /// The watched fields: as long as it stays the same, so do they.
    pub(super) seen: &'l [u8],
}

/// How lines are made.
#[derive(Debug)]
pub(super) struct Lines {
    cuts: Cuts,
    format: LineFormat,
    single: DropSingleKey,
    /// The record without what is left out.
    rest: Vec<u8>,
    /// The watched fields.
    seen: Vec<u8>,
    /// The line, if it is not the record itself or `rest`.
    line: Vec<u8>,
}

impl Lines {
    /// Lines of this format.
    pub(super) fn new(cuts: Cuts, format: LineFormat, single: DropSingleKey) -> Self {
        Self { cuts, format, single, rest: Vec::new(), seen: Vec::new(), line: Vec::new() }
    }

    /// The line of a record; the record itself, where nothing is to be done.
    pub(super) fn line<'l>(&'l mut self, record: &'l [u8]) -> Line<'l> {
        self.seen.clear();
        let rest = if self.cuts.may_be_in(record) {
            self.rest.clear();
            self.cuts.write(text(record), &mut self.rest, &mut self.seen);
            &self.rest
        } else {
            record
        };
        if self.format == LineFormat::Json && self.single == DropSingleKey::Off {
            return Line { text: rest, seen: &self.seen };
        }
        self.line.clear();
        let rest = text(rest);
        match single_value(rest).filter(|_| self.single != DropSingleKey::Off) {
            Some(value) => write_single(value, self.format, self.single, &mut self.line),
            None if self.format == LineFormat::Json => self.line.extend_from_slice(rest.as_bytes()),
            None => write_pairs(rest, &mut self.line),
        }
        Line { text: &self.line, seen: &self.seen }
    }
}

/// A record as text. It was written from text.
fn text(record: &[u8]) -> &str {
    str::from_utf8(record).unwrap_or("{}")
}

/// The value of an object's only field.
fn single_value(object: &str) -> Option<Value<'_>> {
    let mut count = 0;
    let mut first = None;
    json::object(object, |_, value, _| {
        count += 1;
        first = Some(value);
    })
    .ok()?;
    first.filter(|_| count == 1)
}

fn write_single(value: Value<'_>, format: LineFormat, single: DropSingleKey, out: &mut Vec<u8>) {
    match (value, format) {
        (Value::String(text), LineFormat::KeyValue) => text.write_decoded(out),
        (Value::String(text), LineFormat::Json) if single == DropSingleKey::Raw => {
            text.write_decoded(out);
        }
        (_, LineFormat::Json) => write_json(value, out),
        (_, LineFormat::KeyValue) => write_value(value, out),
    }
}

/// Appends `key=value` for each field.
fn write_pairs(object: &str, out: &mut Vec<u8>) {
    let mut separator: &[u8] = b"";
    let _end = json::object(object, |key, value, _| {
        out.extend_from_slice(separator);
        separator = b" ";
        key.write_decoded(out);
        out.push(b'=');
        write_value(value, out);
    });
}

/// Appends a value as Fluent Bit has it in `key=value`: text in quotes but not escaped, maps in Go's notation.
/// How deep it nests was bounded when it was read.
fn write_value(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::String(text) => {
            out.push(b'"');
            text.write_decoded(out);
            out.push(b'"');
        }
        Value::Nested(text) | Value::SpacedNested(text) | Value::DirtyNested(text)
            if text.starts_with('[') =>
        {
            let mut separator: &[u8] = b"\"[";
            let _end = json::array(text, |item| {
                out.extend_from_slice(separator);
                separator = b" ";
                write_value(item, out);
            });
            out.extend_from_slice(if separator == b" " { b"]\"" } else { b"\"[]\"" });
        }
        Value::Nested(text) | Value::SpacedNested(text) | Value::DirtyNested(text) => {
            let mut separator: &[u8] = b"\"map[";
            let _end = json::object(text, |key, item, _| {
                out.extend_from_slice(separator);
                separator = b" ";
                key.write_decoded(out);
                out.push(b':');
                write_value(item, out);
            });
            out.extend_from_slice(if separator == b" " { b"]\"" } else { b"\"map[]\"" });
        }
        Value::Null | Value::True | Value::False | Value::Number(_) => write_json(value, out),
    }
}

/// Appends a value as JSON; what comes from a record is clean.
fn write_json(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::True => out.extend_from_slice(b"true"),
        Value::False => out.extend_from_slice(b"false"),
        Value::Number(text)
        | Value::Nested(text)
        | Value::SpacedNested(text)
        | Value::DirtyNested(text) => {
            out.extend_from_slice(text.as_bytes());
        }
        Value::String(text) => {
            out.push(b'"');
            text.write(out);
            out.push(b'"');
        }
    }
}
