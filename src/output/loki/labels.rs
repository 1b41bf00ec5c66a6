//! Which labels and which metadata a record gets.

use super::label_map;
use super::line::Cuts;
use super::options::LokiOptions;
use super::pairs::{Pairs, write_metadata_name, write_name};
use crate::config::{Diagnostics, Section};
use crate::output::number::shortest;
use crate::output::template::{Template, write_text};
use crate::record::{Accessor, AccessorError};
use tailwater_parsers::json::{self, Value};

/// Where the labels of a record's pod are.
const POD_LABELS: &str = "$kubernetes['labels']";

/// Names and where their values come from, in written order: a later one that has a value stands in for
/// an earlier one of the same name, so that `app=$a, app=$b` means "`b`, else `a`".
#[derive(Debug, Default)]
pub(super) struct Names(Vec<(String, Source)>);

#[derive(Debug)]
enum Source {
    Text(String),
    Record(Template),
}

/// Makes a name fit for Loki.
type WriteName = fn(&str, &mut String);

/// What an item of a list of names says.
enum Item {
    /// A name and where its value comes from.
    Pair(String, Source),
    /// Nothing that any record has, for this reason: Fluent Bit takes it, and goes on without.
    Nothing(String),
    /// Nothing that can be read, for this reason: Fluent Bit does not start.
    Bad(String),
}

impl Names {
    /// Reads `name=text`, `name=$accessor` and `$accessor`. Fields that are used are cut from the line.
    pub(super) fn read(
        items: &[String],
        property: &str,
        write_name: WriteName,
        cuts: &mut Cuts,
        section: &Section,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let mut names = Self::default();
        for item in items {
            let place = section.location_of(property);
            match Item::read(item, write_name) {
                Item::Pair(name, source) => names.add(name, source, cuts),
                Item::Nothing(why) => {
                    diagnostics.warning(place, format!("`{property}`: `{item}`: {why}"));
                }
                Item::Bad(why) => {
                    diagnostics.error(place, format!("`{property}`: `{item}`: {why}"));
                    return None;
                }
            }
        }
        Some(names)
    }

    /// A label `name` from the record.
    fn add_field(&mut self, name: &str, accessor: Accessor, cuts: &mut Cuts) {
        let mut clean = String::new();
        write_name(name, &mut clean);
        self.add(clean, Source::Record(Template::of(accessor)), cuts);
    }

    fn add(&mut self, name: String, source: Source, cuts: &mut Cuts) {
        if let Source::Record(template) = &source
            && let Some(accessor) = template.first_accessor()
        {
            cuts.add(accessor);
        }
        self.0.push((name, source));
    }

    /// The fields that values come from.
    fn accessors(&self) -> impl Iterator<Item = &Accessor> {
        self.0.iter().flat_map(|(_, source)| {
            match source {
                Source::Record(template) => Some(template.accessors()),
                Source::Text(_) => None,
            }
            .into_iter()
            .flatten()
        })
    }

    /// Whether any value comes from the record.
    pub(super) fn vary(&self) -> bool {
        self.0.iter().any(|(_, source)| matches!(source, Source::Record(_)))
    }

    /// Adds the pairs that a record has; empty values are left out.
    pub(super) fn write(&self, tag: &str, record: &str, scratch: &mut String, pairs: &mut Pairs) {
        for (name, source) in &self.0 {
            match source {
                Source::Text(text) => pairs.add(name, text),
                Source::Record(template) => {
                    scratch.clear();
                    template.write(tag, record, scratch);
                    if !scratch.is_empty() {
                        pairs.add(name, scratch);
                    }
                }
            }
        }
    }
}

impl Item {
    fn read(item: &str, write_name: WriteName) -> Self {
        let mut name = String::new();
        if item == "$" || item.starts_with("$TAG") {
            return Self::Nothing("names no field of a record".to_owned());
        }
        if item.starts_with('$') {
            return match Template::parse(item) {
                Ok(template) => {
                    write_name(&template.name(), &mut name);
                    Self::Pair(name, Source::Record(template))
                }
                Err(error) => Self::Bad(error.to_string()),
            };
        }
        let Some((key, value)) = item.split_once('=') else {
            return Self::Bad("write `name=value` or `$accessor`".to_owned());
        };
        let (key, value) = (key.trim(), value.trim());
        if key.is_empty() || value.is_empty() {
            return Self::Bad("a name or a value is missing".to_owned());
        }
        write_name(key, &mut name);
        if !value.starts_with('$') {
            return Self::Pair(name, Source::Text(value.to_owned()));
        }
        match Template::parse(value) {
            Ok(template) => Self::Pair(name, Source::Record(template)),
            Err(error @ AccessorError::NotAField(_)) => Self::Nothing(error.to_string()),
            Err(error) if value == "$" => Self::Nothing(error.to_string()),
            Err(error) => Self::Bad(error.to_string()),
        }
    }
}

/// Labels of streams.
#[derive(Debug)]
pub(super) struct Labels {
    names: Names,
    /// Where the pod's labels are, if they are to be labels.
    pod: Option<Accessor>,
}

impl Labels {
    /// The labels of these options: `Labels`, then `Label_Keys`, then those of `Label_Map_Path`.
    pub(super) fn build(
        options: &LokiOptions,
        cuts: &mut Cuts,
        section: &Section,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let mut names =
            Names::read(&options.labels, "Labels", write_name, cuts, section, diagnostics)?;
        if let Some(key) = options.label_keys.iter().find(|key| !key.starts_with('$')) {
            let message = format!("`Label_Keys`: `{key}` is no record accessor; write `${key}`");
            diagnostics.error(section.location_of("Label_Keys"), message);
            return None;
        }
        let keys =
            Names::read(&options.label_keys, "Label_Keys", write_name, cuts, section, diagnostics)?;
        names.0.extend(keys.0);
        if let Some(path) = &options.label_map_path {
            for (label, accessor) in label_map::read(path, diagnostics) {
                names.add_field(&label, accessor, cuts);
            }
        }
        let pod =
            if options.auto_kubernetes_labels { Accessor::parse(POD_LABELS).ok() } else { None };
        for accessor in names.accessors().chain(&pod) {
            cuts.watch(accessor);
        }
        Some(Self { names, pod })
    }

    /// Whether they depend on the record.
    pub(super) fn vary(&self) -> bool {
        self.pod.is_some() || self.names.vary()
    }

    /// Writes a record's labels, the pod's last; a stream has at least one.
    pub(super) fn write(&self, tag: &str, record: &str, scratch: &mut String, pairs: &mut Pairs) {
        self.names.write(tag, record, scratch, pairs);
        if let Some(Value::Nested(labels)) = self.pod.as_ref().and_then(|pod| pod.on_json(record)) {
            write_map(labels, write_name, scratch, |name, value, scratch| {
                let Value::String(_) = value else { return };
                scratch.clear();
                write_text(value, scratch);
                pairs.add(name, scratch);
            });
        }
        if pairs.len() == 0 {
            pairs.add("job", "fluent-bit");
        }
        pairs.end();
    }
}

/// Structured metadata of entries.
#[derive(Debug)]
pub(super) struct Metadata {
    names: Names,
    maps: Vec<Accessor>,
}

impl Metadata {
    /// The metadata of these options.
    pub(super) fn build(
        options: &LokiOptions,
        cuts: &mut Cuts,
        section: &Section,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let names = Names::read(
            &options.structured_metadata,
            "Structured_Metadata",
            write_metadata_name,
            cuts,
            section,
            diagnostics,
        )?;
        let mut maps = Vec::new();
        for key in &options.structured_metadata_map_keys {
            match Accessor::read(key) {
                Ok((accessor, _)) => {
                    cuts.add(&accessor);
                    maps.push(accessor);
                }
                Err(error) if key == "$" => {
                    let message = format!("`Structured_Metadata_Map_Keys`: `$`: {error}");
                    diagnostics
                        .warning(section.location_of("Structured_Metadata_Map_Keys"), message);
                }
                Err(error) => {
                    let message = format!("`Structured_Metadata_Map_Keys`: `{key}`: {error}");
                    diagnostics.error(section.location_of("Structured_Metadata_Map_Keys"), message);
                    return None;
                }
            }
        }
        Some(Self { names, maps })
    }

    /// Whether no record has any.
    pub(super) fn is_empty(&self) -> bool {
        self.names.0.is_empty() && self.maps.is_empty()
    }

    /// Writes a record's metadata: the fields of the maps in their order, overridden by what is named.
    pub(super) fn write(&self, tag: &str, record: &str, scratch: &mut String, pairs: &mut Pairs) {
        for map in &self.maps {
            let Some(Value::Nested(fields)) = map.on_json(record) else { continue };
            write_map(fields, write_metadata_name, scratch, |name, value, scratch| {
                scratch.clear();
                match value {
                    Value::Number(text) => scratch.push_str(&shortest(text)),
                    Value::Nested(text) => scratch.push_str(text),
                    _ => write_text(value, scratch),
                }
                pairs.add(name, scratch);
            });
        }
        self.names.write(tag, record, scratch, pairs);
        pairs.end();
    }
}

/// Calls `field` with each name, made fit for Loki, and value of a map; arrays have none.
fn write_map<'a>(
    map: &'a str,
    write_name: WriteName,
    scratch: &mut String,
    mut field: impl FnMut(&str, Value<'a>, &mut String),
) {
    let mut name = String::new();
    let _end = json::object(map, |key, value, _| {
        name.clear();
        write_name(key.decode(scratch), &mut name);
        field(&name, value, scratch);
    });
}
