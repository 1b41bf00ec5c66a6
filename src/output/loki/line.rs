//! The line of an entry: the record without the fields that became something else.

use super::options::{DropSingleKey, LineFormat};
use crate::output::Letters;
use crate::output::letters::copy;
use crate::output::number::shortest;
use crate::record::{Accessor, Name};
use memchr::memchr;
use memchr::memmem::Finder;
use tailwater_parsers::json::{self, Text, Value};

/// Fields that are left out or looked at, as a tree of their names.
#[derive(Debug, Default)]
pub(super) struct Cuts {
    all: Vec<Cut>,
    /// The longest object that one of them was in the last record: a pod's metadata is the same from line to line, and is
    /// not read again.
    known: String,
}

#[derive(Debug)]
struct Cut {
    place: Place,
    /// Whether the value itself is left out, or some of what is in it, or nothing.
    whole: bool,
    /// Whether labels come from the value.
    is_watched: bool,
    below: Cuts,
    /// The value that was cut last, and what was left of it: a pod's metadata is the same from line to line.
    last: (String, Vec<u8>),
}

/// Where a value lies in what holds it.
#[derive(Debug)]
enum Place {
    /// In an object, under this name.
    Field {
        name: String,
        /// Finds the name as it stands before a field's value: most records lack most names.
        finder: Box<Finder<'static>>,
    },
    /// In an array.
    Item(usize),
}

impl Cuts {
    /// Leaves the value out that an accessor names.
    pub(super) fn add(&mut self, accessor: &Accessor) {
        self.add_path(&accessor.names().collect::<Vec<_>>());
    }

    fn add_path(&mut self, path: &[Name<'_>]) {
        let Some((name, below)) = path.split_first() else { return };
        if let Some(cut) = self.named(*name) {
            cut.whole |= below.is_empty();
            cut.below.add_path(below);
        }
    }

    /// Tells by [`Line::seen`] when the value changes that an accessor names.
    pub(super) fn watch(&mut self, accessor: &Accessor) {
        if let Some(name) = accessor.names().next()
            && let Some(cut) = self.named(name)
        {
            cut.is_watched = true;
        }
    }

    /// The entry of this name, made if there is none.
    fn named(&mut self, name: Name<'_>) -> Option<&mut Cut> {
        let at = self.all.iter().position(|cut| cut.place.is(name)).unwrap_or_else(|| {
            self.all.push(Cut::new(name));
            self.all.len() - 1
        });
        self.all.get_mut(at)
    }

    /// Whether any of the names is somewhere in a record.
    fn may_be_in(&self, record: &[u8]) -> bool {
        self.all.iter().any(|cut| match &cut.place {
            Place::Field { finder, .. } => finder.find(record).is_some(),
            Place::Item(_) => false,
        })
    }

    /// Does what `write` does without reading the record, if this is about one field alone, and that has the value that it
    /// had last: a pod's metadata is the same from line to line.
    fn write_known(&mut self, record: &[u8], out: &mut Vec<u8>, seen: &mut Vec<u8>) -> bool {
        let Self { all, known } = self;
        let [cut] = all.as_mut_slice() else { return false };
        let Place::Field { name, finder } = &cut.place else { return false };
        let Some(at) = finder.find(record) else { return false };
        let Some((before, field)) = record.split_at_checked(at) else { return false };
        let value = field.strip_prefix(finder.needle()).unwrap_or_default();
        let Some(behind) = value.strip_prefix(known.as_bytes()) else { return false };
        // Where one bracket is left, it is the record's: the field is its own, and no deeper one.
        let is_last_bracket = memchr(b'}', behind).is_some_and(|at| at + 1 == behind.len());
        if known.is_empty() || !is_last_bracket || finder.find(behind).is_some() {
            return false;
        }
        if cut.is_watched {
            copy(Value::String(Text::Plain(name)), seen);
            seen.extend_from_slice(known.as_bytes());
        }
        if cut.whole {
            let (before, behind) = match before.strip_suffix(b",") {
                Some(before) => (before, behind),
                None => (before, behind.strip_prefix(b",").unwrap_or(behind)),
            };
            out.extend_from_slice(before);
            out.extend_from_slice(behind);
        } else {
            out.extend_from_slice(before);
            out.extend_from_slice(finder.needle());
            out.extend_from_slice(cut.rest_of(known));
            out.extend_from_slice(behind);
        }
        true
    }

    /// Appends the record without what is left out, and to `seen` the values that are watched. As everywhere
    /// in Fluent Bit, a path that ends early, at a value that is no object and no array, means that value.
    fn write(&mut self, record: &str, out: &mut Vec<u8>, seen: &mut Vec<u8>) {
        self.write_fields(record, out, |cut, value| {
            if let (true, Place::Field { name, .. }) = (cut.is_watched, &cut.place) {
                copy(Value::String(Text::Plain(name)), seen);
                copy(value, seen);
            }
            let is_nested =
                matches!(value, Value::Nested(_) | Value::SpacedNested(_) | Value::DirtyNested(_));
            cut.whole || !is_nested && !cut.below.all.is_empty()
        });
    }

    /// Appends the object without what `is_cut` and what is to be left out of its values.
    fn write_fields(
        &mut self,
        object: &str,
        out: &mut Vec<u8>,
        mut is_cut: impl FnMut(&Cut, Value<'_>) -> bool,
    ) {
        out.push(b'{');
        let mut separator: &[u8] = b"\"";
        let Self { all, known } = self;
        let mut longest = "";
        // It was valid when it was encoded.
        let _end = json::object_knowing(object, known, |key, value, _| {
            let cut = all.iter_mut().find(|cut| cut.place.is_field(key));
            if let (Some(_), Value::Nested(text)) = (&cut, value)
                && text.len() > longest.len()
            {
                longest = text;
            }
            if cut.as_ref().is_some_and(|cut| is_cut(cut, value)) {
                return;
            }
            out.extend_from_slice(separator);
            separator = b",\"";
            key.write(out);
            out.extend_from_slice(b"\":");
            write_rest(cut, value, out);
        });
        out.push(b'}');
        if longest != known && !longest.is_empty() {
            longest.clone_into(known);
        }
    }

    /// Appends the array without what is left out.
    fn write_items(&mut self, array: &str, out: &mut Vec<u8>) {
        out.push(b'[');
        let mut index = 0;
        let mut separator: &[u8] = b"";
        let _end = json::array(array, |value| {
            let cut = self.all.iter_mut().find(|cut| cut.place.is(Name::Index(index)));
            index += 1;
            if cut.as_ref().is_some_and(|cut| cut.whole) {
                return;
            }
            out.extend_from_slice(separator);
            separator = b",";
            write_rest(cut, value, out);
        });
        out.push(b']');
    }
}

/// Appends what is left of a value. It goes as deep as the longest accessor.
fn write_rest(cut: Option<&mut Cut>, value: Value<'_>, out: &mut Vec<u8>) {
    match (cut, value) {
        (Some(cut), Value::Nested(text)) => out.extend_from_slice(cut.rest_of(text)),
        _ => copy(value, out),
    }
}

impl Cut {
    fn new(name: Name<'_>) -> Self {
        Self {
            place: Place::new(name),
            whole: false,
            is_watched: false,
            below: Cuts::default(),
            last: Default::default(),
        }
    }

    /// What is left of the object or array `text`, the value.
    fn rest_of<'r>(&'r mut self, text: &'r str) -> &'r [u8] {
        if self.below.all.is_empty() {
            return text.as_bytes();
        }
        let (last, rest) = &mut self.last;
        if last != text || rest.is_empty() {
            text.clone_into(last);
            rest.clear();
            if text.starts_with('{') {
                self.below.write_fields(text, rest, |cut, _| cut.whole);
            } else {
                self.below.write_items(text, rest);
            }
        }
        rest
    }
}

impl Place {
    fn new(name: Name<'_>) -> Self {
        match name {
            Name::Key(name) => {
                let mut needle = b"\"".to_vec();
                json::escape(name, &mut needle);
                needle.extend_from_slice(b"\":");
                let finder = Box::new(Finder::new(&needle).into_owned());
                Self::Field { name: name.to_owned(), finder }
            }
            Name::Index(index) => Self::Item(index),
        }
    }

    /// Whether an accessor's step leads here.
    fn is(&self, step: Name<'_>) -> bool {
        match (self, step) {
            (Self::Field { name, .. }, Name::Key(key)) => name == key,
            (Self::Item(index), Name::Index(at)) => *index == at,
            (Self::Field { .. }, Name::Index(_)) | (Self::Item(_), Name::Key(_)) => false,
        }
    }

    /// Whether it is the place of the field `key`.
    fn is_field(&self, key: Text<'_>) -> bool {
        matches!(self, Self::Field { name, .. } if key.is(name))
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
    letters: Letters,
    /// The record without what is left out.
    rest: Vec<u8>,
    /// The watched fields.
    seen: Vec<u8>,
    /// The line, if it is not the record itself or `rest`.
    line: Vec<u8>,
}

impl Lines {
    /// Lines of this format.
    pub(super) fn new(
        cuts: Cuts,
        format: LineFormat,
        single: DropSingleKey,
        letters: Letters,
    ) -> Self {
        let (rest, seen, line) = Default::default();
        Self { cuts, format, single, letters, rest, seen, line }
    }

    /// The line of a record; the record itself, where nothing is to be done.
    pub(super) fn line<'l>(&'l mut self, record: &'l [u8]) -> Line<'l> {
        self.seen.clear();
        let rest = if self.cuts.may_be_in(record) {
            let Self { cuts, rest, seen, .. } = self;
            rest.clear();
            if !cuts.write_known(record, rest, seen) {
                cuts.write(text(record), rest, seen);
            }
            &self.rest
        } else {
            record
        };
        let letters = self.letters;
        let is_json = self.format == LineFormat::Json;
        let is_kept = is_json && !letters.change(rest);
        if is_kept && self.single == DropSingleKey::Off {
            return Line { text: rest, seen: &self.seen };
        }
        self.line.clear();
        let rest = text(rest);
        match single_value(rest).filter(|_| self.single != DropSingleKey::Off) {
            Some(value) if is_json => write_single(value, self.single, letters, &mut self.line),
            Some(Value::String(text)) => text.write_decoded(&mut self.line),
            Some(value) => write_value(value, &mut self.line),
            None if is_kept => self.line.extend_from_slice(rest.as_bytes()),
            None if is_json => letters.write(Value::Nested(rest), &mut self.line),
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

/// Appends the only value of a record as JSON, or as the text that it is.
fn write_single(value: Value<'_>, single: DropSingleKey, letters: Letters, out: &mut Vec<u8>) {
    match value {
        Value::String(text) if single == DropSingleKey::Raw => text.write_decoded(out),
        _ => letters.write(value, out),
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
        Value::Number(text) => out.extend_from_slice(shortest(text).as_bytes()),
        Value::Null | Value::True | Value::False => copy(value, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Lines without some fields, of whose values labels come.
    fn lines(cut: &[&str], watched: &[&str]) -> Lines {
        let mut cuts = Cuts::default();
        for path in cut {
            cuts.add(&Accessor::parse(path).unwrap());
        }
        for path in watched {
            cuts.watch(&Accessor::parse(path).unwrap());
        }
        Lines::new(cuts, LineFormat::Json, DropSingleKey::Off, Letters::Plain)
    }

    /// Fields as records have them: metadata that is the same or nearly, under its name or another, deeper, or as text.
    const FIELDS: [&str; 12] = [
        r#""log":"hello""#,
        r#""log":"{\"kubernetes\":{\"pod\":\"a\"}}""#,
        r#""x":{"kubernetes":{"pod":"a"}}"#,
        r#""kubernetes":{"pod":"a"}"#,
        r#""kubernetes":{"pod":"a","kubernetes":{"pod":"a"}}"#,
        r#""kubernetes":{"pod":"b"}"#,
        r#""kubernetes":{}"#,
        r#""kubernetes":"a""#,
        r#""kubernetes":[{"pod":"a"}]"#,
        r#""kubernetes":{"ns":{"pod":"a"}}"#,
        r#""more kubernetes":{"pod":"a"}"#,
        r#""x":{"y":1}"#,
    ];

    proptest! {
        #[test]
        fn a_line_is_the_same_whatever_stood_before_it(
            records in prop::collection::vec(prop::collection::vec(0..FIELDS.len(), 0..4), 0..9),
        ) {
            let pod = "$kubernetes['pod']";
            for (cut, watched) in [
                (&[pod][..], &[pod][..]),
                (&[pod], &[]),
                (&["$kubernetes"], &[pod]),
                (&["$kubernetes", pod], &[pod]),
                (&["$kubernetes['ns']['pod']", pod], &["$kubernetes"]),
                (&[pod, "$x"], &[pod, "$log"]),
            ] {
                let mut all = lines(cut, watched);
                for record in &records {
                    let fields: Vec<_> = record.iter().map(|field| FIELDS[*field]).collect();
                    let record = format!("{{{}}}", fields.join(","));
                    let mut alone = lines(cut, watched);
                    let expected = alone.line(record.as_bytes());
                    let line = all.line(record.as_bytes());
                    prop_assert_eq!(text(line.text), text(expected.text), "{}", record);
                    prop_assert_eq!(line.seen, expected.seen, "{}", record);
                }
            }
        }
    }
}
