//! YAML, as Fluent Bit 5.1 reads it: the same sections as the classic syntax, in another dress.
//!
//! Scalars count as they are written (`on`, `5`, `null` are texts), a list is its property several times,
//! and `readFromHead` is `read_from_head`. Aliases are refused. Unlike Fluent Bit, reading goes on behind a
//! mistake that is not the syntax's own, so that all of them are told at once.

mod telemetry;
#[cfg(test)]
mod tests;
mod tree;

use std::sync::Arc;

use super::diagnostics::{Diagnostics, Location, Severity, finding};
use super::document::{Base, Document, Files, Opened, Setting, fuzz, kind_of};
use super::section::{Section, SectionKind};
use tree::{Broken, Node, Pair, Value};

/// Reads a file and everything it includes. Mistakes are recorded.
pub(super) fn read<'a>(path: &str, files: Files<'a>, diagnostics: &'a mut Diagnostics) -> Document {
    let document = Document { may_define_parsers: true, ..Document::default() };
    let mut reader = Reader { files, diagnostics, document, has_service: false };
    let start = Location::new(&Arc::from(path), 0);
    reader.open(path, Base::Main, &start, 0);
    reader.document
}

/// Reads arbitrary bytes as a configuration whose includes all lead back to it: the fuzz entry.
pub fn fuzz_yaml(bytes: &[u8]) {
    fuzz("fuzz.yaml", bytes);
}

struct Reader<'a> {
    files: Files<'a>,
    diagnostics: &'a mut Diagnostics,
    document: Document,
    /// Whether a file had a `service`: there is only one.
    has_service: bool,
}

/// The file that is being read.
#[derive(Clone)]
struct File {
    name: Arc<str>,
    depth: usize,
}

impl File {
    fn at(&self, line: u32) -> Location {
        Location::new(&self.name, line)
    }
}

impl Reader<'_> {
    /// Reads the file at `path`, named at `from`.
    fn open(&mut self, path: &str, base: Base<'_>, from: &Location, depth: usize) {
        let Some(opened) = self.files.open(path, base, from, depth, self.diagnostics) else {
            return;
        };
        let file = File { name: Arc::from(opened.name.as_str()), depth };
        if opened.is_folder {
            self.diagnostics.error(from, format!("`{}` is a folder", opened.name));
            return;
        }
        let Some(text) = self.text(&opened, &file) else { return };
        match tree::documents(text) {
            Ok(documents) => {
                for document in documents {
                    self.document(document, &file);
                }
            }
            Err(broken) => self.broken(&broken, text, &file),
        }
    }

    /// The text of a file, if YAML allows all its letters.
    fn text<'t>(&mut self, opened: &'t Opened, file: &File) -> Option<&'t str> {
        let bytes = opened.bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&opened.bytes);
        let Ok(text) = std::str::from_utf8(bytes) else {
            self.diagnostics.error(&file.at(0), "it is not UTF-8");
            return None;
        };
        let is_odd = |letter: char| letter.is_control() && !"\t\n\r\u{85}".contains(letter);
        for (number, line) in (1..).zip(text.split('\n')) {
            if let Some(letter) = line.chars().find(|letter| is_odd(*letter)) {
                let message = format!("control character {letter:?}, which YAML does not allow");
                self.diagnostics.error(&file.at(number), message);
                return None;
            }
        }
        Some(text)
    }

    fn broken(&mut self, broken: &Broken, text: &str, file: &File) {
        let message = format!("not valid YAML: {}", broken.message);
        let found = finding(Severity::Error, &file.at(broken.line), message);
        let line = usize::try_from(broken.line.saturating_sub(1)).unwrap_or(usize::MAX);
        let has_star = text.lines().nth(line).is_some_and(|line| line.contains(" *"));
        self.diagnostics.add(if has_star {
            found.with_remedy("a value that begins with `*` must stand in quotes")
        } else {
            found.with_remedy("look for a missing `:` or an indentation there or in the line above")
        });
    }

    fn document(&mut self, document: Node, file: &File) {
        let Value::Map(sections) = document.value else {
            let message = "a configuration is a map: `service:`, `pipeline:` and so on";
            self.diagnostics.error(&file.at(document.line), message);
            return;
        };
        for section in sections {
            self.top(section, file);
        }
    }

    /// One of the keys of a file.
    fn top(&mut self, pair: Pair, file: &File) {
        match pair.key.to_ascii_lowercase().as_str() {
            "env" => self.env(pair, file),
            "includes" => self.includes(pair, file),
            "service" => self.service(pair, file),
            "pipeline" => self.pipeline(pair, file),
            "customs" => self.plugins(pair, &SectionKind::Custom, file),
            "parsers" => self.scalar_maps(pair, &SectionKind::Parser, file),
            "multiline_parsers" => self.scalar_maps(pair, &SectionKind::MultilineParser, file),
            "stream_processor" => self.scalar_maps(pair, &SectionKind::StreamProcessor, file),
            "upstream_servers" => self.scalar_maps(pair, &SectionKind::UpstreamServers, file),
            "plugins" => self.libraries(pair, file),
            "extensions" => {
                let location = file.at(pair.line);
                if self.map(pair, file).is_some_and(|pairs| !pairs.is_empty()) {
                    self.diagnostics.note(&location, "`extensions` has no effect");
                }
            }
            _ => self.other(pair, file),
        }
    }

    /// `env`: a map, or a list of maps with `name` and `value` or `uri`.
    fn env(&mut self, pair: Pair, file: &File) {
        if let Value::List(items) = pair.node.value {
            for item in items {
                self.env_item(item, file);
            }
            return;
        }
        for Pair { key, line, node } in self.map(pair, file).unwrap_or_default() {
            if let Some(value) = self.scalar(&key, line, node, file) {
                self.set(&key, value, file.at(line));
            }
        }
    }

    /// `{name: A, value: b}`, `{name: A, uri: file:///b}`, or `{A: b}`.
    fn env_item(&mut self, item: Node, file: &File) {
        let location = file.at(item.line);
        let Value::Map(pairs) = item.value else {
            self.diagnostics.error(&location, "an item of `env` must be a map");
            return;
        };
        let (mut name, mut value, mut uri) = (None, None, None);
        for Pair { key, line, node } in pairs {
            let Some(text) = self.scalar(&key, line, node, file) else { return };
            match key.to_ascii_lowercase().as_str() {
                "name" => name = Some(text),
                "value" => value = Some(text),
                "uri" => uri = Some(text),
                "refresh_interval" => {
                    let message = "`refresh_interval` has no effect: files are read at the start";
                    self.diagnostics.note(&file.at(line), message);
                }
                _ if name.is_none() => (name, value) = (Some(key), Some(text)),
                _ => {}
            }
        }
        match name {
            Some(name) => self.set(&name, uri.or(value).unwrap_or_default(), location),
            None => self.diagnostics.warning(&location, "an item of `env` without `name`"),
        }
    }

    fn set(&mut self, name: &str, value: String, location: Location) {
        let name = name.to_owned();
        self.document.settings.push(Setting { name, value, location, severity: Severity::Error });
    }

    /// `includes`: files beside this one, read where they are named.
    fn includes(&mut self, pair: Pair, file: &File) {
        let key = pair.key.clone();
        for node in self.list(pair, file).unwrap_or_default() {
            let line = node.line;
            let Some(path) = self.scalar(&key, line, node, file) else { continue };
            let (base, from) = (Base::Beside(&file.name), file.at(line));
            for path in self.files.included(&path, base, &from, self.diagnostics) {
                self.open(&path, base, &from, file.depth + 1);
            }
        }
    }

    fn service(&mut self, pair: Pair, file: &File) {
        let location = file.at(pair.line);
        if std::mem::replace(&mut self.has_service, true) {
            let message = "there is a second `service`; all files together have one";
            self.diagnostics.error(&location, message);
        }
        let mut section = Section::new(SectionKind::Service, location);
        for Pair { key, line, node } in self.map(pair, file).unwrap_or_default() {
            if key.eq_ignore_ascii_case("telemetry") && matches!(node.value, Value::Map(_)) {
                telemetry::check(node, telemetry::Level::Service, file, self.diagnostics);
            } else if let Some(value) = self.scalar(&key, line, node, file) {
                section.push_whole(&property_name(&key), value.trim(), file.at(line));
            }
        }
        self.document.sections.push(section);
    }

    fn pipeline(&mut self, pair: Pair, file: &File) {
        for pair in self.map(pair, file).unwrap_or_default() {
            let kind = match pair.key.to_ascii_lowercase().as_str() {
                "inputs" => SectionKind::Input,
                "filters" => SectionKind::Filter,
                "outputs" => SectionKind::Output,
                _ => {
                    let message = format!("`pipeline` has no `{}`", pair.key);
                    self.diagnostics.add(
                        finding(Severity::Error, &file.at(pair.line), message)
                            .with_remedy("it has `inputs`, `filters` and `outputs`"),
                    );
                    continue;
                }
            };
            self.plugins(pair, &kind, file);
        }
    }

    /// A list of plugins.
    fn plugins(&mut self, pair: Pair, kind: &SectionKind, file: &File) {
        let key = pair.key.clone();
        for item in self.list(pair, file).unwrap_or_default() {
            let location = file.at(item.line);
            let Value::Map(pairs) = item.value else {
                let message = format!("an item of `{key}` must be a map that begins with `name`");
                self.diagnostics.error(&location, message);
                continue;
            };
            let mut section = Section::new(kind.clone(), location);
            for pair in pairs {
                self.property(&mut section, pair, file);
            }
            self.document.sections.push(section);
        }
    }

    /// A property of a plugin: a scalar, or a list of scalars.
    fn property(&mut self, section: &mut Section, pair: Pair, file: &File) {
        let Pair { key, line, node } = pair;
        let location = file.at(line);
        let is_input = section.kind == SectionKind::Input;
        match node.value {
            Value::Scalar(value) => {
                section.push_whole(&property_name(&key), value.trim(), location);
            }
            _ if key.eq_ignore_ascii_case("routes") && !is_input => {
                self.diagnostics.note(&location, "`routes` has no effect here");
            }
            _ if key.eq_ignore_ascii_case("routes") => self.diagnostics.add(
                finding(Severity::Error, &location, "`routes` are not supported yet")
                    .with_remedy("let `match` of the outputs select by tag"),
            ),
            Value::Map(pairs) if key == "processors" => {
                self.processors(&pairs, &section.kind, &location, file);
            }
            Value::Map(_) if key.eq_ignore_ascii_case("telemetry") && is_input => {
                telemetry::check(node, telemetry::Level::Input, file, self.diagnostics);
            }
            Value::Map(_) => {
                self.diagnostics.error(&location, format!("`{key}` cannot be a map"));
            }
            Value::List(items) if items.is_empty() => {
                self.diagnostics.error(&location, format!("`{key}` is an empty list"));
            }
            Value::List(items) => {
                for item in items {
                    let line = item.line;
                    if let Some(value) = self.scalar(&key, line, item, file) {
                        section.push_whole(&property_name(&key), value.trim(), file.at(line));
                    }
                }
            }
        }
    }

    /// `processors`: none are there yet, so they may only be empty; filters have none in Fluent Bit.
    fn processors(
        &mut self,
        signals: &[Pair],
        kind: &SectionKind,
        location: &Location,
        file: &File,
    ) {
        for Pair { key, line, node } in signals {
            let is_known =
                ["logs", "metrics", "traces"].iter().any(|it| key.eq_ignore_ascii_case(it));
            match &node.value {
                _ if !is_known => {
                    let message = format!("`processors` has no `{key}`; it has `logs`");
                    self.diagnostics.error(&file.at(*line), message);
                }
                Value::List(items) if items.is_empty() => {}
                Value::List(_) if *kind == SectionKind::Filter => {
                    self.diagnostics.warning(location, "a filter has no processors: no effect");
                }
                Value::List(items) => {
                    for item in items {
                        self.processor(item, file);
                    }
                }
                other => self.misshapen(key, "a list", other, &file.at(*line)),
            }
        }
    }

    fn processor(&mut self, item: &Node, file: &File) {
        let pairs = if let Value::Map(pairs) = &item.value { pairs.as_slice() } else { &[] };
        let name = pairs.iter().find(|pair| pair.key.eq_ignore_ascii_case("name"));
        let message = match name.map(|pair| &pair.node.value) {
            Some(Value::Scalar(name)) => format!("processor `{name}` is not supported yet"),
            _ => "a processor must be a map that begins with `name`".to_owned(),
        };
        self.diagnostics.add(
            finding(Severity::Error, &file.at(item.line), message)
                .with_remedy("use filters: `modify`, `grep`, `parser`"),
        );
    }

    /// A list of maps whose values are scalars, but for `rules` and `nodes`.
    fn scalar_maps(&mut self, pair: Pair, kind: &SectionKind, file: &File) {
        let name = pair.key.clone();
        for item in self.list(pair, file).unwrap_or_default() {
            let Some(mut section) = self.empty(&name, kind, &item, file) else { continue };
            let Value::Map(pairs) = item.value else { continue };
            for pair in pairs {
                match (kind, pair.key.as_str()) {
                    (SectionKind::MultilineParser, "rules") => {
                        self.groups(pair, &mut section, file);
                    }
                    // What the hosts are is of no account: no output can have several.
                    (SectionKind::UpstreamServers, "nodes") => {}
                    _ => self.scalar_property(pair, &mut section, file),
                }
            }
            self.document.sections.push(section);
        }
    }

    /// A section for an item that is a map.
    fn empty(
        &mut self,
        name: &str,
        kind: &SectionKind,
        item: &Node,
        file: &File,
    ) -> Option<Section> {
        let location = file.at(item.line);
        if matches!(item.value, Value::Map(_)) {
            return Some(Section::new(kind.clone(), location));
        }
        self.diagnostics.error(&location, format!("an item of `{name}` must be a map"));
        None
    }

    /// The `rules` of a multiline parser.
    fn groups(&mut self, pair: Pair, section: &mut Section, file: &File) {
        let name = pair.key.clone();
        for item in self.list(pair, file).unwrap_or_default() {
            let Some(mut rule) = self.empty(&name, &SectionKind::Rule, &item, file) else {
                continue;
            };
            let Value::Map(pairs) = item.value else { continue };
            for pair in pairs {
                self.scalar_property(pair, &mut rule, file);
            }
            section.push_group(rule);
        }
    }

    fn scalar_property(&mut self, pair: Pair, section: &mut Section, file: &File) {
        let Pair { key, line, node } = pair;
        if let Some(value) = self.scalar(&key, line, node, file) {
            section.push_whole(&property_name(&key), value.trim(), file.at(line));
        }
    }

    /// `plugins`: paths of shared libraries.
    fn libraries(&mut self, pair: Pair, file: &File) {
        let (name, location) = (pair.key.clone(), file.at(pair.line));
        let mut section = Section::new(SectionKind::Plugins, location);
        for node in self.list(pair, file).unwrap_or_default() {
            let line = node.line;
            if let Some(path) = self.scalar(&name, line, node, file) {
                section.push_whole("Path", path.trim(), file.at(line));
            }
        }
        self.document.sections.push(section);
    }

    /// Any other key: a map, taken by the rule that classic headers have, so that `input:` is an input.
    fn other(&mut self, pair: Pair, file: &File) {
        let location = file.at(pair.line);
        let kind = kind_of(&pair.key, &location, self.diagnostics);
        let mut section = Section::new(kind, location);
        for pair in self.map(pair, file).unwrap_or_default() {
            self.scalar_property(pair, &mut section, file);
        }
        self.document.sections.push(section);
    }

    fn map(&mut self, pair: Pair, file: &File) -> Option<Vec<Pair>> {
        match pair.node.value {
            Value::Map(pairs) => Some(pairs),
            other => {
                self.misshapen(&pair.key, "a map", &other, &file.at(pair.line));
                None
            }
        }
    }

    fn list(&mut self, pair: Pair, file: &File) -> Option<Vec<Node>> {
        match pair.node.value {
            Value::List(items) => Some(items),
            other => {
                self.misshapen(&pair.key, "a list", &other, &file.at(pair.line));
                None
            }
        }
    }

    fn scalar(&mut self, key: &str, line: u32, node: Node, file: &File) -> Option<String> {
        match node.value {
            Value::Scalar(text) => Some(text),
            other => {
                self.misshapen(key, "a single value", &other, &file.at(line));
                None
            }
        }
    }

    fn misshapen(&mut self, key: &str, wanted: &str, value: &Value, location: &Location) {
        let is = match value {
            Value::Scalar(text) if text.is_empty() => "nothing",
            Value::Scalar(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        };
        self.diagnostics.error(location, format!("`{key}` must be {wanted}, it is {is}"));
    }
}

/// A key as the classic syntax has it: `readFromHead` is `read_from_head`.
fn property_name(key: &str) -> String {
    let is_camel = key.starts_with(|letter: char| letter.is_ascii_lowercase())
        && !key.contains('_')
        && key.contains(|letter: char| letter.is_ascii_uppercase());
    if !is_camel {
        return key.to_owned();
    }
    key.chars().fold(String::with_capacity(key.len() * 2), |mut name, letter| {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
        name
    })
}
