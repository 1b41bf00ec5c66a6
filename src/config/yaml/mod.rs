//! YAML, as Fluent Bit 5.1 reads it: the same sections as the classic syntax, in another dress.
//!
//! Scalars count as they are written (`on`, `5`, `null` are texts), a list is its property several times,
//! and `readFromHead` is `read_from_head`. Aliases are refused. Unlike Fluent Bit, reading goes on behind a
//! mistake that is not the syntax's own, so that all of them are told at once.

mod telemetry;
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

#[cfg(test)]
mod tests {
    use super::super::fixture::show;
    use super::*;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: &Expect) {
        expected.assert_eq(&show("main.yaml", text));
    }

    #[test]
    fn every_section() {
        check(
            "env:\n  a: b c\nservice: {flush: 1, parsersFile: p.conf}\npipeline:\n  inputs:\n    - name: tail\n      \
             readFromHead: on\n      mem_buf_limit: 5MB\n  filters:\n    - {name: grep, match: '*'}\n  \
             outputs:\n    - name: stdout\n      match: \"*\"\nparsers:\n  - name: p\n    format: json\n\
             multiline_parsers:\n  - name: m\n    type: regex\n    rules:\n      - state: start_state\n        \
             regex: '/^\\d/'\n        nextState: cont\ncustoms:\n  - name: c\nplugins: [/x.so]\n\
             upstream_servers:\n  - name: u\n    nodes: [{host: h}]\nstream_processor:\n  - exec: SQL\n\
             extensions: {x: [1]}\n",
            &expect![[r#"
                a = "b c"
                [SERVICE]
                  main.yaml:3 flush: "1"
                  main.yaml:3 parsers_file: "p.conf"
                [INPUT]
                  main.yaml:6 name: "tail"
                  main.yaml:7 read_from_head: "on"
                  main.yaml:8 mem_buf_limit: "5MB"
                [FILTER]
                  main.yaml:10 name: "grep"
                  main.yaml:10 match: "*"
                [OUTPUT]
                  main.yaml:12 name: "stdout"
                  main.yaml:13 match: "*"
                [PARSER]
                  main.yaml:15 name: "p"
                  main.yaml:16 format: "json"
                [MULTILINE_PARSER]
                  main.yaml:18 name: "m"
                  main.yaml:19 type: "regex"
                [rules]
                  main.yaml:21 state: "start_state"
                  main.yaml:22 regex: "/^\\d/"
                  main.yaml:23 next_state: "cont"
                [CUSTOM]
                  main.yaml:25 name: "c"
                [PLUGINS]
                  main.yaml:26 Path: "/x.so"
                [UPSTREAM_SERVERS]
                  main.yaml:28 name: "u"
                [STREAM_PROCESSOR]
                  main.yaml:31 exec: "SQL"
                main.yaml:32: note: `extensions` has no effect
            "#]],
        );
    }

    #[test]
    fn scalars_are_texts() {
        check(
            "pipeline:\n  inputs:\n    - name: 'it''s'\n      a: true\n      b: 0x1F\n      c: null\n      d:\n      \
             e: ~\n      f: 1.50\n      g: \"x\\ty # no comment\" # comment\n      h: >\n        two\n        lines\n      \
             i: |\n        two\n        lines\n      j: !!int 5\n      k: &anchor here\n      l: [1, yes, 'x y']\n      \
             Read_from_Head: on\n      storage.type: memory\n      useUri: http://a:1/b#c\n",
            &expect![[r#"
                [INPUT]
                  main.yaml:3 name: "it's"
                  main.yaml:4 a: "true"
                  main.yaml:5 b: "0x1F"
                  main.yaml:6 c: "null"
                  main.yaml:7 d: ""
                  main.yaml:8 e: "~"
                  main.yaml:9 f: "1.50"
                  main.yaml:10 g: "x\ty # no comment"
                  main.yaml:11 h: "two lines"
                  main.yaml:14 i: "two\nlines"
                  main.yaml:17 j: "5"
                  main.yaml:18 k: "here"
                  main.yaml:19 l: "1"
                  main.yaml:19 l: "yes"
                  main.yaml:19 l: "x y"
                  main.yaml:20 Read_from_Head: "on"
                  main.yaml:21 storage.type: "memory"
                  main.yaml:22 use_uri: "http://a:1/b#c"
            "#]],
        );
    }

    #[test]
    fn variables() {
        check(
            "env:\n  - name: a\n    value: 1\n  - name: b\n    uri: file:///b\n    refresh_interval: 5s\n  \
             - c: 2\n  - value: 3\n  - x\n",
            &expect![[r#"
                a = "1"
                b = "file:///b"
                c = "2"
                main.yaml:6: note: `refresh_interval` has no effect: files are read at the start
                main.yaml:8: warning: an item of `env` without `name`
                main.yaml:9: an item of `env` must be a map
            "#]],
        );
    }

    #[test]
    fn files_in_files() {
        check(
            "includes:\n  - one.yaml\n  - part-*\nservice:\n  flush: 1\n\
             --- one.yaml\nincludes: [two.yaml]\n--- two.yaml\npipeline: {inputs: [{name: a}]}\n\
             --- part-1\npipeline: {filters: [{name: b}]}\n--- part-2\n# nothing\n",
            &expect![[r#"
                [INPUT]
                  two.yaml:1 name: "a"
                [FILTER]
                  part-1:1 name: "b"
                [SERVICE]
                  main.yaml:5 flush: "1"
            "#]],
        );
        check(
            "includes: [main.yaml, missing.yaml, none-*, [x]]\n",
            &expect![[r#"
            main.yaml:1: `main.yaml` is included twice
            main.yaml:1: `missing.yaml` cannot be read: no such file
            main.yaml:1: `none-*`: no file matches
            main.yaml:1: `includes` must be a single value, it is a list
        "#]],
        );
        check(
            "includes: one.yaml\n",
            &expect![[r#"
            main.yaml:1: `includes` must be a list, it is a single value
        "#]],
        );
        check(
            "service: {flush: 1}\nincludes: [b]\n--- b\nservice: {grace: 1}\n",
            &expect![[r#"
                [SERVICE]
                  main.yaml:1 flush: "1"
                [SERVICE]
                  b:1 grace: "1"
                b:1: there is a second `service`; all files together have one
            "#]],
        );
    }

    #[test]
    fn shapes_that_are_refused() {
        check(
            "- a\n",
            &expect![[r#"
            main.yaml:1: a configuration is a map: `service:`, `pipeline:` and so on
        "#]],
        );
        check(
            "service:\npipeline:\nenv: x\n",
            &expect![[r#"
            [SERVICE]
            main.yaml:1: `service` must be a map, it is nothing
            main.yaml:2: `pipeline` must be a map, it is nothing
            main.yaml:3: `env` must be a map, it is a single value
        "#]],
        );
        check(
            "pipeline:\n  inputs:\n  filter: []\n  outputs: {name: a}\n",
            &expect![[r#"
            main.yaml:2: `inputs` must be a list, it is nothing
            main.yaml:3: `pipeline` has no `filter`; it has `inputs`, `filters` and `outputs`
            main.yaml:4: `outputs` must be a list, it is a map
        "#]],
        );
        check(
            "pipeline:\n  inputs:\n    - tail\n    - [a]\n",
            &expect![[r#"
            main.yaml:3: an item of `inputs` must be a map that begins with `name`
            main.yaml:4: an item of `inputs` must be a map that begins with `name`
        "#]],
        );
        check(
            "pipeline:\n  inputs:\n    - name: a\n      b: {c: d}\n      e: []\n      f: [[1]]\n",
            &expect![[r#"
                [INPUT]
                  main.yaml:3 name: "a"
                main.yaml:4: `b` cannot be a map
                main.yaml:5: `e` is an empty list
                main.yaml:6: `f` must be a single value, it is a list
            "#]],
        );
        check(
            "service:\n  a: [1]\n  b: {c: 1}\n",
            &expect![[r#"
            [SERVICE]
            main.yaml:2: `a` must be a single value, it is a list
            main.yaml:3: `b` must be a single value, it is a map
        "#]],
        );
        check(
            "parsers:\n  - name: [a]\n  - x\nparsers: {name: x}\n",
            &expect![[r#"
            [PARSER]
            main.yaml:2: `name` must be a single value, it is a list
            main.yaml:3: an item of `parsers` must be a map
            main.yaml:4: `parsers` must be a list, it is a map
        "#]],
        );
        check(
            "multiline_parsers:\n  - rules: {state: a}\n  - rules: [x]\n",
            &expect![[r#"
            [MULTILINE_PARSER]
            [MULTILINE_PARSER]
            main.yaml:2: `rules` must be a list, it is a map
            main.yaml:3: an item of `rules` must be a map
        "#]],
        );
    }

    #[test]
    fn what_is_not_there_yet() {
        check(
            "pipeline:\n  inputs:\n    - name: a\n      routes: {logs: [{to: {}}]}\n      processors:\n        \
             logs: [{name: x}]\n    - name: b\n      processors: {logs: [], trace: []}\n  filters:\n    - name: c\n      \
             processors: {logs: [{name: x}]}\n  outputs:\n    - name: d\n      routes: [x]\n",
            &expect![[r#"
                [INPUT]
                  main.yaml:3 name: "a"
                [INPUT]
                  main.yaml:7 name: "b"
                [FILTER]
                  main.yaml:10 name: "c"
                [OUTPUT]
                  main.yaml:13 name: "d"
                main.yaml:4: `routes` are not supported yet; let `match` of the outputs select by tag
                main.yaml:6: processor `x` is not supported yet; use filters: `modify`, `grep`, `parser`
                main.yaml:8: `processors` has no `trace`; it has `logs`
                main.yaml:11: warning: a filter has no processors: no effect
                main.yaml:14: note: `routes` has no effect here
            "#]],
        );
    }

    #[test]
    fn telemetry() {
        let enabled = "metrics: {logs: {tag_records: {enabled: on, max_series: 5}}}";
        check(
            &format!("service: {{telemetry: {{{enabled}}}}}\n"),
            &expect![[r#"
            [SERVICE]
            main.yaml:1: note: `telemetry` has no effect: records are not counted by tag
        "#]],
        );
        check(
            &format!("pipeline: {{inputs: [{{name: a, telemetry: {{{enabled}}}}}]}}\n"),
            &expect![[r#"
                [INPUT]
                  main.yaml:1 name: "a"
                main.yaml:1: `tag_records` has no `max_series`
                main.yaml:1: note: `telemetry` has no effect: records are not counted by tag
            "#]],
        );
        check(
            "service: {telemetry: {metrics: {traces: {}}}}\n",
            &expect![[r#"
            [SERVICE]
            main.yaml:1: `telemetry` has no `traces`; it has `logs` there
        "#]],
        );
        check(
            "service: {telemetry: {metrics: {logs: {tag_records: {enabled: maybe}}}}}\n",
            &expect![[r#"
                [SERVICE]
                main.yaml:1: `enabled` cannot be `maybe`
                main.yaml:1: note: `telemetry` has no effect: records are not counted by tag
            "#]],
        );
        check(
            "service: {telemetry: {metrics: on}}\n",
            &expect![[r#"
            [SERVICE]
            main.yaml:1: `telemetry`: `logs` stands in no map
        "#]],
        );
    }

    #[test]
    fn other_keys_are_taken_as_headers_are() {
        check(
            "input:\n  name: a\nservic:\n  flush: 1\nsomething: {a: b}\nelse: x\n",
            &expect![[r#"
                [INPUT]
                  main.yaml:2 name: "a"
                [SERVICE]
                  main.yaml:4 flush: "1"
                [something]
                  main.yaml:5 a: "b"
                [else]
                main.yaml:3: warning: `servic` is taken as `SERVICE`
                main.yaml:5: warning: `something` is no section and is passed over
                main.yaml:6: warning: `else` is no section and is passed over
                main.yaml:6: `else` must be a map, it is a single value
            "#]],
        );
    }

    #[test]
    fn broken_syntax() {
        check(
            "pipeline:\n  outputs:\n    - match: *\n",
            &expect![[r#"
            main.yaml:3: not valid YAML: while scanning an anchor or alias, did not find expected alphabetic or numeric character; a value that begins with `*` must stand in quotes
        "#]],
        );
        check(
            "a: &x b\nb: *x\n",
            &expect![[r#"
            main.yaml:2: not valid YAML: aliases (`*name`) are not allowed, as in Fluent Bit; a value that begins with `*` must stand in quotes
        "#]],
        );
        check(
            "pipeline:\n  bad: [1, 2\n",
            &expect![[r#"
            main.yaml:3: not valid YAML: while parsing a flow sequence, expected ',' or ']'; look for a missing `:` or an indentation there or in the line above
        "#]],
        );
        check(
            "service:\n  flush 1\n  grace: 1\n",
            &expect![[r#"
            main.yaml:3: not valid YAML: mapping values are not allowed in this context; look for a missing `:` or an indentation there or in the line above
        "#]],
        );
        check(
            "service:\n\tflush: 1\n",
            &expect![[r#"
            main.yaml:2: not valid YAML: tabs disallowed within this context (block indentation); look for a missing `:` or an indentation there or in the line above
        "#]],
        );
        check(
            "service: \u{7}\n",
            &expect![[r#"
            main.yaml:1: control character '\u{7}', which YAML does not allow
        "#]],
        );
        check(
            "? [a]\n: b\n",
            &expect![[r#"
            main.yaml:1: not valid YAML: a list or map cannot be a key; look for a missing `:` or an indentation there or in the line above
        "#]],
        );
        check(
            &format!("a: {}", "[".repeat(100)),
            &expect![[r#"
            main.yaml:1: not valid YAML: nested deeper than 64; look for a missing `:` or an indentation there or in the line above
        "#]],
        );
        fuzz_yaml(b"service: \xff");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_to_their_end(bytes: Vec<u8>) {
            fuzz_yaml(&bytes);
        }

        #[test]
        fn any_lines_are_read_to_their_end(
            text in "((  ){0,3}(- )?(service|pipeline|inputs|name|includes|env|a): ?([a*&\\[{,'\"|]|x)?\n){0,20}",
        ) {
            fuzz_yaml(text.as_bytes());
        }
    }
}
