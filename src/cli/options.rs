//! Fluent Bit's own options, in the order they are met.

use lexopt::Arg;

use super::flags::{Effect, FLAGS, Flag, by_letter, by_name};
use super::{Asked, Strictness, help};
use crate::config::diagnostics::finding;
use crate::config::{
    Catalog, Diagnostics, Location, Plugin, PluginKind, Request, Section, SectionKind, Severity,
    nearest,
};

/// What the options say so far.
pub(super) struct Options<'a> {
    catalog: Catalog,
    diagnostics: &'a mut Diagnostics,
    location: Location,
    service: Section,
    /// Plugins so far; properties belong to the last one.
    plugins: Vec<Section>,
    file: Option<String>,
    workdir: Option<String>,
    /// From 0 (off) over 3 (info) up, as Fluent Bit counts; unset, nothing was said.
    verbosity: Option<usize>,
    dry_run: Option<Strictness>,
}

/// Log levels as Fluent Bit counts them; more `-v` than that changes nothing.
const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];
/// Where in `LEVELS` counting starts.
const LEVEL_INFO: usize = 3;

impl<'a> Options<'a> {
    pub(super) fn new(catalog: Catalog, diagnostics: &'a mut Diagnostics) -> Self {
        let location = Location::command_line();
        let service = Section::new(SectionKind::Service, location.clone());
        Self {
            catalog,
            diagnostics,
            location,
            service,
            plugins: Vec::new(),
            file: None,
            workdir: None,
            verbosity: None,
            dry_run: None,
        }
    }

    pub(super) fn parse(mut self, mut parser: lexopt::Parser) -> Result<Asked, lexopt::Error> {
        while let Some(argument) = parser.next()? {
            let (flag, name) = match argument {
                Arg::Short(letter) => (by_letter(letter), format!("-{letter}")),
                Arg::Long(name) => (by_name(name), format!("--{name}")),
                Arg::Value(value) => {
                    let message = format!("`{}` is no option and is passed over", value.display());
                    self.diagnostics.warning(&self.location, message);
                    continue;
                }
            };
            let Some(flag) = flag else {
                // Whether a value follows is not known, so nothing behind can be understood.
                self.unknown(&name);
                break;
            };
            let value = match flag.value {
                Some(_) => parser.value()?.to_string_lossy().into_owned(),
                None => String::new(),
            };
            if let Some(text) = self.apply(flag, &name, value) {
                return Ok(Asked::Print(text));
            }
        }
        Ok(self.asked())
    }

    /// Carries out a flag; a text is to be printed at once, whatever follows.
    fn apply(&mut self, flag: &Flag, name: &str, value: String) -> Option<String> {
        match flag.effect {
            Effect::Service(key, "") => self.service.push(key, &value, self.location.clone()),
            Effect::Service(key, fixed) => self.service.push(key, fixed, self.location.clone()),
            Effect::Plugin(kind) => self.begin(kind, &value),
            Effect::Property => self.assignment(name, &value),
            Effect::Match => self.set_match(name, &value),
            Effect::Tag => self.property(name, "Tag", &value),
            Effect::Config => self.file = Some(value),
            Effect::Workdir => self.workdir = Some(value),
            Effect::Verbose => {
                self.verbosity = Some(self.verbosity.unwrap_or(LEVEL_INFO).saturating_add(1));
            }
            Effect::Quiet => self.verbosity = Some(0),
            Effect::DryRun => self.dry_run = Some(Strictness::Errors),
            Effect::Version => return Some(version()),
            Effect::Help => return Some(self.help(help::plugin, help::overview)),
            Effect::HelpJson => return Some(self.help(help::plugin_json, help::overview_json)),
            Effect::Accepted => {
                self.diagnostics.note(&self.location, format!("`{name}`: {}", flag.doc));
            }
            Effect::Refused => {
                let message = format!("`{name}` is not supported: {}", flag.doc);
                self.diagnostics.error(&self.location, message);
            }
        }
        None
    }

    fn begin(&mut self, kind: PluginKind, name: &str) {
        let kind = match kind {
            PluginKind::Input => SectionKind::Input,
            PluginKind::Filter => SectionKind::Filter,
            PluginKind::Output => SectionKind::Output,
        };
        let mut section = Section::new(kind, self.location.clone());
        section.push("Name", name, self.location.clone());
        self.plugins.push(section);
    }

    /// `-p key=value`. One without `=` Fluent Bit passes over in silence.
    fn assignment(&mut self, flag: &str, text: &str) {
        if let Some((key, value)) = text.split_once('=') {
            self.property(flag, key.trim(), value.trim());
        } else {
            let message = format!("`{flag}` without `=` sets nothing");
            self.diagnostics.warning(&self.location, message);
        }
    }

    fn property(&mut self, flag: &str, key: &str, value: &str) {
        if let Some(plugin) = self.plugins.last_mut() {
            plugin.push(key, value, self.location.clone());
        } else {
            let message = format!("`{flag}` belongs to no plugin");
            self.diagnostics.add(
                finding(Severity::Error, &self.location, message)
                    .with_remedy("write it behind `-i`, `-F` or `-o`"),
            );
        }
    }

    /// `-m` behind an input Fluent Bit passes over in silence.
    fn set_match(&mut self, flag: &str, value: &str) {
        if self.plugins.last().is_some_and(|plugin| plugin.kind != SectionKind::Input) {
            self.property(flag, "Match", value);
        } else {
            let message = format!("`{flag}` has no effect: it belongs behind `-F` or `-o`");
            self.diagnostics.warning(&self.location, message);
        }
    }

    /// The overview, or behind `-i`, `-F` or `-o` the plugin's own.
    fn help(&mut self, of_plugin: fn(&Plugin) -> String, of_all: fn(Catalog) -> String) -> String {
        let Some(section) = self.plugins.last() else { return of_all(self.catalog) };
        let kind = match section.kind {
            SectionKind::Input => PluginKind::Input,
            SectionKind::Filter => PluginKind::Filter,
            _ => PluginKind::Output,
        };
        let name = section.entries().first().map(|name| name.value.clone()).unwrap_or_default();
        match self.catalog.find(kind, &name, &self.location) {
            Ok(plugin) => of_plugin(plugin),
            Err(found) => {
                self.diagnostics.add(found);
                String::new()
            }
        }
    }

    fn unknown(&mut self, name: &str) {
        let message = format!("there is no option `{name}`");
        let found = finding(Severity::Error, &self.location, message);
        let names = FLAGS.iter().flat_map(|flag| flag.long.iter().copied());
        let near = name.strip_prefix("--").and_then(|name| nearest(name, names));
        self.diagnostics.add(match near {
            Some(near) => found.with_remedy(format!("did you mean `--{near}`?")),
            None => found.with_remedy("`-h` lists them"),
        });
    }

    fn asked(mut self) -> Asked {
        if let Some(verbosity) = self.verbosity
            && let Some(level) = LEVELS.get(verbosity.min(LEVELS.len() - 1))
        {
            self.service.push("Log_Level", level, self.location.clone());
        }
        let mut sections = vec![self.service];
        sections.append(&mut self.plugins);
        let request = Request { sections, file: self.file };
        Asked::Load { request, workdir: self.workdir, check: self.dry_run }
    }
}

fn version() -> String {
    format!("tailwater v{}\n", env!("CARGO_PKG_VERSION"))
}
