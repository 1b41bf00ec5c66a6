//! Which labels and which metadata a record gets.

use super::line::Cuts;
use super::options::LokiOptions;
use super::pairs::{Pairs, write_name};
use crate::config::{Diagnostics, Section};
use crate::output::template::{Template, write_compact, write_text};
use crate::record::{Accessor, Name};
use tailwater_parsers::json::{self, Value};

/// Labels that Loki takes of one stream by default are 15; no configuration of more is meant.
const LABELS_MAX: usize = 64;

/// Where the labels of a record's pod are.
const POD_LABELS: &str = "$kubernetes['labels']";

/// Names and where their values come from.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<(String, Source)>);

#[derive(Debug)]
enum Source {
    Text(String),
    Record(Template),
}

impl Names {
    /// Reads `name=text`, `name=$accessor` and `$accessor`. Fields that are used are cut from the line.
    pub(super) fn read(
        items: &[String],
        property: &str,
        cuts: &mut Cuts,
        section: &Section,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let mut names = Self::default();
        for item in items {
            match read_item(item) {
                Ok((name, source)) => names.add(name, source, cuts),
                Err(reason) => {
                    let message = format!("`{property}`: `{item}`: {reason}");
                    diagnostics.error(section.location_of(property), message);
                    return None;
                }
            }
        }
        if names.0.len() > LABELS_MAX {
            let message = format!("`{property}`: more than {LABELS_MAX} of them");
            diagnostics.error(section.location_of(property), message);
            return None;
        }
        Some(names)
    }

    /// Of a repeated name the last one counts.
    fn add(&mut self, name: String, source: Source, cuts: &mut Cuts) {
        if let Source::Record(template) = &source {
            template.accessors().for_each(|accessor| cuts.add(accessor));
        }
        self.0.retain(|(known, _)| *known != name);
        self.0.push((name, source));
    }

    /// Puts `others` behind these.
    pub(super) fn append(&mut self, others: Self) {
        for (name, source) in others.0 {
            self.0.retain(|(known, _)| *known != name);
            self.0.push((name, source));
        }
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

    /// Whether `name` is one of them.
    fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
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

/// Reads one item of a list of names.
fn read_item(item: &str) -> Result<(String, Source), String> {
    let mut name = String::new();
    if item.starts_with('$') {
        let template = Template::parse(item).map_err(|error| error.to_string())?;
        let accessor = template.accessors().next().ok_or("names no field of a record")?;
        write_accessor_name(accessor, &mut name);
        return Ok((name, Source::Record(template)));
    }
    let (key, value) = item.split_once('=').ok_or("write `name=value` or `$accessor`")?;
    let (key, value) = (key.trim(), value.trim());
    if key.is_empty() || value.is_empty() {
        return Err("a name or a value is missing".to_owned());
    }
    write_name(key, &mut name);
    if value.starts_with('$') {
        let template = Template::parse(value).map_err(|error| error.to_string())?;
        return Ok((name, Source::Record(template)));
    }
    Ok((name, Source::Text(value.to_owned())))
}

/// `$kubernetes['labels']['app']` becomes `kubernetes_labels_app`.
fn write_accessor_name(accessor: &Accessor, out: &mut String) {
    let mut whole = String::new();
    for part in accessor.names() {
        if !whole.is_empty() {
            whole.push('_');
        }
        match part {
            Name::Key(key) => whole.push_str(key),
            Name::Index(index) => whole.push_str(&index.to_string()),
        }
    }
    write_name(&whole, out);
}

/// Labels of streams.
#[derive(Debug)]
pub(super) struct Labels {
    names: Names,
    /// Where the pod's labels are, if they are to be labels.
    pod: Option<Accessor>,
}

impl Labels {
    /// The labels of these options.
    pub(super) fn build(
        options: &LokiOptions,
        cuts: &mut Cuts,
        section: &Section,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let mut names = Names::read(&options.labels, "Labels", cuts, section, diagnostics)?;
        if let Some(key) = options.label_keys.iter().find(|key| !key.starts_with('$')) {
            let message = format!("`Label_Keys`: `{key}` is no record accessor; write `${key}`");
            diagnostics.error(section.location_of("Label_Keys"), message);
            return None;
        }
        names.append(Names::read(&options.label_keys, "Label_Keys", cuts, section, diagnostics)?);
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

    /// Writes a record's labels; a stream has at least one.
    pub(super) fn write(&self, tag: &str, record: &str, scratch: &mut String, pairs: &mut Pairs) {
        self.names.write(tag, record, scratch, pairs);
        if let Some(Value::Nested(labels)) = self.pod.as_ref().and_then(|pod| pod.on_json(record)) {
            write_map(labels, scratch, |name, value, scratch| {
                let Value::String(_) = value else { return };
                if !self.names.contains(name) {
                    scratch.clear();
                    write_text(value, scratch);
                    pairs.add(name, scratch);
                }
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

    /// Writes a record's metadata: the fields of the maps, overridden by what is named.
    pub(super) fn write(&self, tag: &str, record: &str, scratch: &mut String, pairs: &mut Pairs) {
        for map in &self.maps {
            let Some(Value::Nested(fields)) = map.on_json(record) else { continue };
            write_map(fields, scratch, |name, value, scratch| {
                if self.names.contains(name) {
                    return;
                }
                scratch.clear();
                match value {
                    Value::Nested(text) => write_compact(text, scratch),
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
