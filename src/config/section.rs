//! A section of the configuration: entries in written order, taken one property at a time.

use super::diagnostics::{Diagnostics, Finding, Location, Severity, finding};
use super::near::nearest;
use super::property::{Kind, Property, Rules};

/// Keys that Fluent Bit accepts in every plugin section and that mean nothing in classic files.
const KEYS_ALWAYS_ACCEPTED: &[&str] = &["active", "condition", "routes"];

/// What a section configures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionKind {
    /// `[SERVICE]`: the agent itself.
    Service,
    /// `[INPUT]`: one input.
    Input,
    /// `[FILTER]`: one filter.
    Filter,
    /// `[OUTPUT]`: one output.
    Output,
    /// `[PARSER]` of a parsers file.
    Parser,
    /// `[MULTILINE_PARSER]` of a parsers file.
    MultilineParser,
    /// `[CUSTOM]`: plugins of Fluent Bit's vendor.
    Custom,
    /// `[PLUGINS]`: shared libraries to load.
    Plugins,
    /// `stream_processor`: SQL over records.
    StreamProcessor,
    /// `upstream_servers`, `[UPSTREAM]`: several hosts of one output.
    UpstreamServers,
    /// One of the `rules` of YAML's `multiline_parsers`.
    Rule,
    /// Any other name, as written.
    Other(String),
}

/// One `key value` pair.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key as written; compared without letter case.
    pub key: String,
    /// The value as written, before `${VAR}` was expanded: what a snippet shows.
    pub written: String,
    /// The value with variables expanded; empty unsets the key.
    pub value: String,
    /// Where it was written.
    pub location: Location,
    /// Whether the syntax knows comments of its own, so that a ` #` here is meant.
    is_whole: bool,
    /// Whether a property of some table has read it.
    taken: bool,
}

impl Entry {
    /// The value without what may be a ` # comment` behind it: changing that changes nothing.
    pub fn without_comment(&self) -> &str {
        let comment = if self.is_whole { None } else { comment_start(&self.value) };
        comment.and_then(|at| self.value.get(..at)).unwrap_or(&self.value).trim_end()
    }
}

/// Entries of one section, built alike by the classic reader, the command line and YAML.
#[derive(Clone, Debug)]
pub struct Section {
    /// What it configures.
    pub kind: SectionKind,
    /// Where its header is.
    pub location: Location,
    entries: Vec<Entry>,
    /// Sections inside of it: the `rules` of a multiline parser in YAML.
    groups: Vec<Self>,
    /// The tables that have read this section: where near names come from.
    tables: Vec<&'static [Property]>,
    /// How messages call it: the plugin's name, or `SERVICE`.
    title: String,
}

impl Section {
    /// A section without entries.
    pub fn new(kind: SectionKind, location: Location) -> Self {
        let title = match &kind {
            SectionKind::Service => "SERVICE",
            SectionKind::Input => "INPUT",
            SectionKind::Filter => "FILTER",
            SectionKind::Output => "OUTPUT",
            SectionKind::Parser => "PARSER",
            SectionKind::MultilineParser => "MULTILINE_PARSER",
            SectionKind::Custom => "CUSTOM",
            SectionKind::Plugins => "PLUGINS",
            SectionKind::StreamProcessor => "STREAM_PROCESSOR",
            SectionKind::UpstreamServers => "UPSTREAM_SERVERS",
            SectionKind::Rule => "rules",
            SectionKind::Other(name) => name,
        };
        let title = title.to_owned();
        Self { kind, location, entries: Vec::new(), groups: Vec::new(), tables: Vec::new(), title }
    }

    /// Appends an entry; `value` may still hold `${VAR}`, see [`Section::expand`].
    pub fn push(&mut self, key: &str, value: &str, location: Location) {
        self.entries.push(Entry {
            key: key.to_owned(),
            written: value.to_owned(),
            value: value.to_owned(),
            location,
            is_whole: false,
            taken: false,
        });
    }

    /// Appends an entry of a syntax that has comments of its own: a ` #` is a part of the value.
    pub fn push_whole(&mut self, key: &str, value: &str, location: Location) {
        self.push(key, value, location);
        if let Some(entry) = self.entries.last_mut() {
            entry.is_whole = true;
        }
    }

    /// Appends a section inside of this one.
    pub fn push_group(&mut self, group: Self) {
        self.groups.push(group);
    }

    /// Takes the sections inside of this one.
    pub fn take_groups(&mut self) -> Vec<Self> {
        std::mem::take(&mut self.groups)
    }

    /// Replaces every value by what `expand` makes of it as written.
    pub fn expand(&mut self, mut expand: impl FnMut(&str, &Location) -> String) {
        // A group's are taken as they are, as in Fluent Bit.
        for entry in &mut self.entries {
            entry.value = expand(&entry.written, &entry.location);
        }
    }

    /// Moves the entries of a later section of the same kind behind the own ones (`[SERVICE]`).
    pub fn append(&mut self, later: Self) {
        self.entries.extend(later.entries);
    }

    /// Whether nothing is written in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Every entry, in written order, read or not.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How messages call the section.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Names the section in messages, usually by its plugin.
    pub fn set_title(&mut self, title: &str) {
        title.clone_into(&mut self.title);
    }

    /// Where the first entry of that key is, else where the section is.
    pub fn location_of(&self, key: &str) -> &Location {
        let entry = self.entries.iter().find(|entry| entry.key.eq_ignore_ascii_case(key));
        entry.map_or(&self.location, |entry| &entry.location)
    }

    /// Remembers a table for the near names of [`Section::finish`].
    pub fn reads(&mut self, table: &'static [Property]) {
        self.tables.push(table);
    }

    /// Takes the entries whose key matches one of the rows, in written order: cleaned of trailing
    /// comments, without those whose variables expanded to nothing. What may stand only once and
    /// stands twice is treated as `rules` say.
    pub fn take(
        &mut self,
        rows: &[Property],
        rules: Rules,
        diagnostics: &mut Diagnostics,
    ) -> Vec<Taken> {
        let mut taken = Vec::new();
        for entry in &mut self.entries {
            let Some(row) = rows.iter().find(|row| row.matches(&entry.key)) else { continue };
            entry.taken = true;
            let value = strip_comment(entry, row, diagnostics);
            if !value.is_empty() {
                taken.push(Taken {
                    property: row.name,
                    key: entry.key.clone(),
                    secret: row.kind == Kind::Secret,
                    written: entry.written.clone(),
                    location: entry.location.clone(),
                    value,
                });
            }
        }
        let repeated = rows.first().is_none_or(|row| row.repeated);
        if !repeated && taken.len() > 1 {
            self.keep_one(&mut taken, rules, diagnostics);
        }
        taken
    }

    /// Reports every entry that no table has read. To be called when all have.
    pub fn finish(&mut self, diagnostics: &mut Diagnostics) {
        let names: Vec<&str> = self.property_names().collect();
        for entry in self.entries.iter_mut().filter(|entry| !entry.taken) {
            entry.taken = true;
            if KEYS_ALWAYS_ACCEPTED.iter().any(|key| key.eq_ignore_ascii_case(&entry.key)) {
                let message = format!("`{}` has no effect in `{}`", entry.key, self.title);
                diagnostics.note(&entry.location, message);
                continue;
            }
            let message = format!("`{}` has no property `{}`", self.title, entry.key);
            // A mistyped `HTTP_Passwd` is not known to be a secret, so no value is shown.
            let severity = match self.kind {
                SectionKind::Service
                | SectionKind::Parser
                | SectionKind::MultilineParser
                | SectionKind::Rule => Severity::Warning,
                _ => Severity::Error,
            };
            let found = finding(severity, &entry.location, message);
            let near = nearest(&entry.key, names.iter().copied());
            diagnostics.add(match near {
                Some(name) => found.with_remedy(format!("did you mean `{name}`?")),
                None => found,
            });
        }
    }

    /// The names of all properties of the tables that have read this section.
    fn property_names(&self) -> impl Iterator<Item = &'static str> + use<> {
        let tables = self.tables.clone();
        tables.into_iter().flatten().map(|row| row.name)
    }

    /// Decides between several entries of a property that may stand only once.
    fn keep_one(&self, taken: &mut Vec<Taken>, rules: Rules, diagnostics: &mut Diagnostics) {
        let count = taken.len();
        let kept = match rules {
            Rules::Plugin | Rules::Common => taken.pop(),
            Rules::Parser => taken.drain(..).next(),
        };
        let Some(kept) = kept else { return };
        let message = format!("`{}` of `{}` is set {count} times", kept.key, self.title);
        diagnostics.add(match rules {
            Rules::Plugin => kept.finding(Severity::Error, message),
            Rules::Common => kept
                .finding(Severity::Warning, message)
                .with_remedy("the last one counts, as in Fluent Bit"),
            Rules::Parser => kept
                .finding(Severity::Warning, message)
                .with_remedy("the first one counts, as in Fluent Bit"),
        });
        *taken = vec![kept];
    }
}

/// An entry on its way into a property.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The property's name as its table spells it.
    pub property: &'static str,
    /// The key as written.
    pub key: String,
    /// The value, expanded, trimmed, without a trailing comment; never empty.
    pub value: String,
    /// Where it was written.
    pub location: Location,
    /// Whether the value must not be shown.
    secret: bool,
    /// The value before expansion, for the snippet.
    written: String,
}

impl Taken {
    /// A finding about this entry, with its line as the snippet.
    pub fn finding(&self, severity: Severity, message: impl Into<String>) -> Finding {
        let shown = if self.secret { "…" } else { self.written.as_str() };
        finding(severity, &self.location, message).with_snippet(format!("{} {shown}", self.key))
    }
}

/// The value without a trailing ` # comment`, where the property cannot hold one. Fluent Bit
/// takes the comment as part of the value, and then mostly fails on it; so it is said.
fn strip_comment(entry: &Entry, row: &Property, diagnostics: &mut Diagnostics) -> String {
    let value = entry.without_comment();
    let comment = entry.value.strip_prefix(value).unwrap_or_default().trim_start();
    if comment.is_empty() || row.kind == Kind::Secret {
        return entry.value.clone();
    }
    if row.kind.may_hold_a_comment() {
        let message = format!("`{}` keeps `{comment}` as a part of its value", entry.key);
        diagnostics.note(&entry.location, message);
        return entry.value.clone();
    }
    let message = format!("`{comment}` is taken as a comment, not as a part of the value");
    diagnostics.add(
        finding(Severity::Warning, &entry.location, message)
            .with_remedy("put comments on lines of their own, Fluent Bit knows no others"),
    );
    value.to_owned()
}

/// Where the blank before a `#` is, if there is a value before it.
fn comment_start(value: &str) -> Option<usize> {
    let mut before = ' ';
    for (at, letter) in value.char_indices() {
        if letter == '#' && at > 0 && (before == ' ' || before == '\t') {
            return Some(at - 1);
        }
        before = letter;
    }
    None
}
