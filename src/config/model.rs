//! The whole configuration: files and command line become one checked model.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::diagnostics::{Diagnostics, Location, Severity, finding};
use super::disk::{self, Disk};
use super::document::{self, Base, Document, Source as _};
use super::environment::Environment;
use super::instance::{FilterCommon, InputCommon, Instance, OutputCommon};
use super::multiline::MultilineParser;
use super::network::{NetOptions, TlsOptions, examine_host};
use super::parser::{ParserDefinition, ParserOptions};
use super::plugin::{Catalog, Plugin, PluginKind, Transport};
use super::property::{Field as _, Kind, Located, Property, Rules, no_refusal};
use super::routes;
use super::section::{Section, SectionKind};
use super::service::{LogLevel, ServiceOptions, StorageType};
use super::value::{Reading, Value as _};

/// What the user asked for: options of the command line, and a file.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Sections made of options. They come before the file's, so that of keys that stand only
    /// once in `SERVICE` the file's counts, as in Fluent Bit.
    pub sections: Vec<Section>,
    /// The main configuration file.
    pub file: Option<String>,
}

/// A configuration that was checked.
#[derive(Clone, Debug)]
pub struct Model {
    /// What holds for the whole agent.
    pub service: ServiceOptions,
    /// Parsers, in order; names are unique.
    pub parsers: Vec<ParserDefinition>,
    /// Multiline parsers, in order.
    pub multiline_parsers: Vec<MultilineParser>,
    /// Inputs, in order.
    pub inputs: Vec<Instance<InputCommon>>,
    /// Filters, in the order in which records pass them. One without a pattern sees no record.
    pub filters: Vec<Instance<FilterCommon>>,
    /// Outputs, in order. One without a pattern ships nothing.
    pub outputs: Vec<Instance<OutputCommon>>,
}

impl Model {
    /// Reads everything the request names. All problems are recorded; the model is whole only if
    /// there was no error.
    pub fn load(request: Request, catalog: Catalog, diagnostics: &mut Diagnostics) -> Self {
        let mut document = Document { sections: request.sections, ..Document::default() };
        let mut disk = Disk::seen_from(Path::new(request.file.as_deref().unwrap_or(".")));
        let start = match &request.file {
            Some(file) => Location::new(&Arc::from(file.as_str()), 0),
            None => Location::command_line(),
        };
        if let Some(file) = &request.file {
            add_main_file(file, &mut disk, &mut document, diagnostics);
        }
        let environment = environment(&document, diagnostics);
        Loader { catalog, environment, disk, diagnostics, start, numbers: BTreeMap::new() }
            .load(document)
    }
}

/// Reads the main file behind the sections of the command line.
fn add_main_file(
    file: &str,
    disk: &mut Disk,
    document: &mut Document,
    diagnostics: &mut Diagnostics,
) {
    let main = document::read(file, disk, diagnostics);
    for section in main.sections {
        let service = document.service().and_then(|index| document.sections.get_mut(index));
        match service {
            Some(service) if section.kind == SectionKind::Service => service.append(section),
            _ => document.sections.push(section),
        }
    }
    document.settings = main.settings;
    document.may_define_parsers = main.may_define_parsers;
}

/// The variables of the process and of `@SET`; a value `file:///path` stands for that file.
fn environment(document: &Document, diagnostics: &mut Diagnostics) -> Environment<'static> {
    let mut environment = Environment::new(&disk::process_variable);
    for setting in &document.settings {
        let value = match setting.value.strip_prefix("file://").filter(|path| !path.is_empty()) {
            None => Ok(setting.value.clone()),
            Some(path) => disk::secret_file(path),
        };
        match value {
            Ok(value) => environment.set(&setting.name, value),
            Err(why) => {
                let message =
                    format!("`{}` is not set, its file cannot be read: {why}", setting.name);
                diagnostics.add(finding(setting.severity, &setting.location, message));
            }
        }
    }
    environment
}

/// What every input or output can be told, and what may not be nothing: Fluent Bit then takes the key for one
/// of the plugin's own that it does not know, and does not start.
const KEYS_NEVER_EMPTY: &[&str] = &[
    "tag",
    "match_regex",
    "alias",
    "log_level",
    "log_suppress_interval",
    "routable",
    "mem_buf_limit",
    "ipv6",
    "net.*",
    "tls",
    "tls.verify",
    "tls.verify_hostname",
    "tls.debug",
    "storage.*",
    "threaded",
    "thread.*",
    "rate_*",
    "workers",
];

/// What loading needs along the way.
struct Loader<'a> {
    catalog: Catalog,
    environment: Environment<'static>,
    disk: Disk,
    diagnostics: &'a mut Diagnostics,
    /// The configuration as a whole.
    start: Location,
    /// How many instances of a plugin there are so far.
    numbers: BTreeMap<(&'static str, &'static str), usize>,
}

impl Loader<'_> {
    fn load(mut self, document: Document) -> Model {
        let mut sections = document.sections;
        let mut service = None;
        for section in &mut sections {
            self.expand(section);
            if section.kind == SectionKind::Service {
                service = Some(section);
            }
        }
        let mut empty = Section::new(SectionKind::Service, Location::command_line());
        let service = self.service(service.unwrap_or(&mut empty));
        let mut model = Model {
            service,
            parsers: Vec::new(),
            multiline_parsers: Vec::new(),
            inputs: Vec::new(),
            filters: Vec::new(),
            outputs: Vec::new(),
        };
        for file in model.service.parsers_files.clone().iter() {
            self.parsers_file(file, &mut model);
        }
        for file in model.service.plugins_files.clone().iter() {
            self.plugins_file(file);
        }
        for section in sections {
            self.section(section, document.may_define_parsers, &mut model);
        }
        if !self.diagnostics.has_errors() {
            self.routes(&mut model);
        }
        self.inputs(&model);
        model
    }

    /// Expands the variables of a section; those without a value leave nothing.
    fn expand(&mut self, section: &mut Section) {
        let Self { environment, diagnostics, .. } = self;
        section.expand(|written, location| {
            let mut unset = Vec::new();
            let value = environment.expand(written, &mut unset);
            for name in unset {
                diagnostics.warning(location, format!("variable `{name}` is not set"));
            }
            value
        });
    }

    fn service(&mut self, section: &mut Section) -> ServiceOptions {
        // Both are read as nothing then, which Fluent Bit does not start with.
        for entry in section.entries().iter().filter(|entry| entry.value.is_empty()) {
            if ["Flush", "Log_Level"].iter().any(|key| entry.key.eq_ignore_ascii_case(key)) {
                let message = format!("`{}` has no value; give its variable one", entry.key);
                self.diagnostics.error(&entry.location, message);
            }
        }
        let mut service = ServiceOptions::read(section, self.diagnostics);
        section.finish(self.diagnostics);
        if service.keep_rejected && service.storage_path.is_none() {
            let location = section.location_of("storage.keep.rejected");
            let message = "`storage.keep.rejected` without `storage.path`: what a store refuses for good is \
                           counted and dropped";
            self.diagnostics.warning(location, message);
        }
        if service.flush.is_zero() {
            let message = "`Flush` must be above 0";
            self.diagnostics.error(section.location_of("Flush"), message);
        }
        if service.http_server && service.http_port == 0 {
            let message = "`HTTP_Server` is on and `HTTP_Port` is no port";
            self.diagnostics.error(section.location_of("HTTP_Port"), message);
        }
        let level = disk::process_variable("FLB_LOG_LEVEL");
        if let Some(Reading::Clear(level)) = level.map(|level| LogLevel::read(&level)) {
            service.log_level = level;
        }
        service
    }

    /// Reads a file that `SERVICE` names. Its includes are looked for beside it.
    fn file_of(&mut self, kind: &str, file: &Located<String>) -> Option<Document> {
        let path = self.disk.locate(file).display().to_string();
        let mut disk = Disk::seen_from(Path::new(&path));
        if let Err(why) = disk.open(&path, Base::Main) {
            let message = format!("{kind} file `{path}` cannot be read: {why}");
            self.diagnostics.error(&file.location, message);
            return None;
        }
        Some(document::read(&path, &mut disk, self.diagnostics))
    }

    /// Reads a `Parsers_File`.
    fn parsers_file(&mut self, file: &Located<String>, model: &mut Model) {
        let Some(document) = self.file_of("parsers", file) else { return };
        for setting in &document.settings {
            let message = format!("`{}` has no effect: a parsers file sets nothing", setting.name);
            self.diagnostics.warning(&setting.location, message);
        }
        for mut section in document.sections {
            self.expand(&mut section);
            match section.kind {
                SectionKind::Parser => self.parser(section, model),
                SectionKind::MultilineParser => self.multiline_parser(section, model),
                SectionKind::Other(_) => {}
                _ => {
                    let message =
                        format!("`[{}]` has no effect in a parsers file", section.title());
                    self.diagnostics.warning(&section.location, message);
                }
            }
        }
    }

    fn parser(&mut self, mut section: Section, model: &mut Model) {
        let error_count = self.diagnostics.error_count();
        let options = ParserOptions::read(&mut section, self.diagnostics);
        section.finish(self.diagnostics);
        if self.diagnostics.error_count() > error_count {
            // What is missing now was there, but could not be read.
            return;
        }
        match ParserDefinition::new(options, &section.location) {
            Ok(parser) => match model.parsers.iter().find(|earlier| earlier.name == parser.name) {
                None => model.parsers.push(parser),
                Some(earlier) => self.diagnostics.error(
                    &section.location,
                    format!("parser `{}` exists already, {}", parser.name, earlier.location),
                ),
            },
            Err(found) => self.diagnostics.add(found),
        }
    }

    fn multiline_parser(&mut self, section: Section, model: &mut Model) {
        model.multiline_parsers.extend(MultilineParser::read(section, self.diagnostics));
    }

    fn section(&mut self, section: Section, may_define_parsers: bool, model: &mut Model) {
        match section.kind {
            SectionKind::Input => {
                if let Some(input) = self.instance(section, PluginKind::Input, InputCommon::read) {
                    model.inputs.push(self.named(input, |common| common.alias.as_deref()));
                }
            }
            SectionKind::Filter => {
                if let Some(filter) = self.instance(section, PluginKind::Filter, FilterCommon::read)
                {
                    model.filters.push(self.named(filter, |common| common.alias.as_deref()));
                }
            }
            SectionKind::Output => {
                if let Some(output) = self.instance(section, PluginKind::Output, OutputCommon::read)
                {
                    if let Some(host) = &output.common.host {
                        examine_host(host, output.section.location_of("Host"), self.diagnostics);
                    }
                    model.outputs.push(self.named(output, |common| common.alias.as_deref()));
                }
            }
            SectionKind::Parser if may_define_parsers => self.parser(section, model),
            SectionKind::MultilineParser if may_define_parsers => {
                self.multiline_parser(section, model);
            }
            SectionKind::Parser | SectionKind::MultilineParser => self.diagnostics.add(
                finding(
                    Severity::Error,
                    &section.location,
                    format!("`[{}]` cannot stand in the main file", section.title()),
                )
                .with_remedy("put it into a file named by `Parsers_File` of `[SERVICE]`"),
            ),
            SectionKind::Custom => self.custom(section),
            SectionKind::Plugins => self.libraries(&section),
            SectionKind::StreamProcessor => {
                let message = "the stream processor is not supported";
                self.diagnostics.add(
                    finding(Severity::Error, &section.location, message)
                        .with_remedy("use filters, or keep Fluent Bit for this one"),
                );
            }
            SectionKind::UpstreamServers => {
                let message = "several hosts of one output are not supported yet: no effect";
                self.diagnostics.add(
                    finding(Severity::Warning, &section.location, message)
                        .with_remedy("let a load balancer or a DNS name stand for them"),
                );
            }
            // Read already, or told when it was met.
            SectionKind::Service | SectionKind::Rule | SectionKind::Other(_) => {}
        }
    }

    /// `[CUSTOM]`: Fluent Bit has one plugin of that kind.
    fn custom(&mut self, mut section: Section) {
        let taken = section.take(&[NAME], Rules::Parser, self.diagnostics);
        let (message, location) = match taken.into_iter().next() {
            Some(name) => (format!("custom `{}` is not supported", name.value), name.location),
            None => (format!("`[{}]` has no `Name`", section.title()), section.location),
        };
        self.diagnostics.add(
            finding(Severity::Error, &location, message)
                .with_remedy("leave it out: it reports to its vendor's service"),
        );
    }

    /// `[PLUGINS]`: a stock file has the section and nothing in it.
    fn libraries(&mut self, section: &Section) {
        for entry in section.entries() {
            let message = format!("`{}` cannot be loaded, nor can any shared library", entry.value);
            self.diagnostics.add(
                finding(Severity::Error, &entry.location, message)
                    .with_remedy("leave it out, or keep Fluent Bit for this one"),
            );
        }
    }

    /// Reads a `Plugins_File` for what would have to be loaded.
    fn plugins_file(&mut self, file: &Located<String>) {
        let Some(document) = self.file_of("plugins", file) else { return };
        for mut section in document.sections {
            self.expand(&mut section);
            if section.kind == SectionKind::Plugins {
                self.libraries(&section);
            }
        }
    }

    /// Reads a section of a plugin: what it shares with others, and its own for the reports.
    fn instance<C>(
        &mut self,
        mut section: Section,
        kind: PluginKind,
        common: fn(&mut Section, &mut Diagnostics) -> C,
    ) -> Option<Instance<C>> {
        let plugin = self.plugin(&mut section, kind)?;
        section.set_title(plugin.name);
        self.emptied(&section, plugin);
        let common = common(&mut section, self.diagnostics);
        // To a filter that opens no connection, `net.*` and `tls.*` are unknown keys.
        let mut nothing = Section::new(section.kind.clone(), section.location.clone());
        let is_unknown = kind == PluginKind::Filter && plugin.transport == Transport::Local;
        let connection = if is_unknown { &mut nothing } else { &mut section };
        let net = NetOptions::read(connection, self.diagnostics);
        let tls = TlsOptions::read(connection, self.diagnostics);
        tls.examine(connection, self.diagnostics);
        if tls.tls && plugin.transport == Transport::Local {
            let message = format!("`{}` opens no connection, so it has no TLS", plugin.name);
            self.diagnostics.error(section.location_of("tls"), message);
        }
        (plugin.check)(&mut section, self.diagnostics);
        section.finish(self.diagnostics);
        let location = section.location.clone();
        Some(Instance { plugin, name: String::new(), location, common, net, tls, section })
    }

    /// Reports what is nothing since a variable has no value, and may not be: the rules of a filter, and what
    /// every input and output can be told.
    fn emptied(&mut self, section: &Section, plugin: &Plugin) {
        let is_common = |key: &str, row: &&str| match row.strip_suffix('*') {
            Some(prefix) => key.to_ascii_lowercase().starts_with(prefix),
            None => key.eq_ignore_ascii_case(row),
        };
        let is_rule = |key: &str, row: &Property| {
            row.kind == Kind::Verbatim && row.repeated && row.matches(key)
        };
        for entry in section.entries().iter().filter(|entry| entry.value.is_empty()) {
            let is_needed = match plugin.kind {
                PluginKind::Filter => plugin.properties.iter().any(|row| is_rule(&entry.key, row)),
                PluginKind::Input | PluginKind::Output => {
                    KEYS_NEVER_EMPTY.iter().any(|row| is_common(&entry.key, row))
                }
            };
            if is_needed {
                let message = format!("`{}` has no value; give its variable one", entry.key);
                self.diagnostics.error(&entry.location, message);
            }
        }
    }

    /// The plugin that a section names.
    fn plugin(&mut self, section: &mut Section, kind: PluginKind) -> Option<&'static Plugin> {
        let taken = section.take(&[NAME], Rules::Parser, self.diagnostics);
        let name = taken.first().map(|name| (name.value.clone(), name.location.clone()));
        let Some((name, location)) = name else {
            let message = format!("`[{}]` has no `Name`", section.title());
            self.diagnostics.error(&section.location, message);
            return None;
        };
        let name = match name.split_once("://") {
            None => name,
            Some((plugin, address)) => {
                self.address(section, address, &location);
                plugin.to_owned()
            }
        };
        match self.catalog.find(kind, &name, &location) {
            Ok(plugin) => Some(plugin),
            Err(found) => {
                self.diagnostics.add(found);
                None
            }
        }
    }

    /// `-o es://host:port`: an address in place of `Host` and `Port`.
    fn address(&mut self, section: &mut Section, address: &str, location: &Location) {
        let (authority, path) = address.split_once('/').unwrap_or((address, ""));
        let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
        for (key, value) in [("Host", host), ("Port", port)] {
            if !value.is_empty() {
                section.push(key, value, location.clone());
            }
        }
        if !path.is_empty() {
            let message = format!("`/{path}` in the plugin's name is not supported");
            self.diagnostics.add(
                finding(Severity::Error, location, message)
                    .with_remedy("set it by its property: `Index`, `URI`"),
            );
        }
    }

    /// Gives an instance its name.
    fn named<C>(
        &mut self,
        mut instance: Instance<C>,
        alias: fn(&C) -> Option<&str>,
    ) -> Instance<C> {
        let plugin = instance.plugin;
        let number = self.numbers.entry((plugin.kind.name(), plugin.name)).or_default();
        instance.name = match alias(&instance.common) {
            Some(alias) => alias.to_owned(),
            None => format!("{}.{number}", plugin.name),
        };
        *number += 1;
        instance
    }

    /// What is missing, and what no record comes to.
    fn routes(&mut self, model: &mut Model) {
        if model.inputs.is_empty() {
            self.diagnostics.warning(&self.start, "there is no input");
        }
        if model.outputs.is_empty() {
            self.diagnostics.warning(&self.start, "there is no output");
        }
        let Model { inputs, filters, outputs, .. } = model;
        routes::check(inputs, filters, outputs, self.diagnostics);
    }

    /// What inputs ask for that has no meaning here.
    fn inputs(&mut self, model: &Model) {
        for input in &model.inputs {
            if !input.common.routable {
                let location = input.section.location_of("routable");
                let message = "`routable off` is not supported: leave the input out";
                self.diagnostics.error(location, message);
            }
            let location = input.section.location_of("storage.type");
            match input.common.storage_type(&model.service) {
                StorageType::Filesystem if model.service.storage_path.is_none() => {
                    self.diagnostics.add(
                        finding(
                            Severity::Error,
                            location,
                            format!("input `{}` waits on disk, but there is no folder", input.name),
                        )
                        .with_remedy("set `storage.path` in `[SERVICE]`"),
                    );
                }
                StorageType::MemRb => self.diagnostics.warning(
                    location,
                    "`memrb` is taken as `memory`: the input pauses instead of dropping records",
                ),
                StorageType::Memory | StorageType::Filesystem => {}
            }
        }
    }
}

/// Every plugin section's first property.
const NAME: Property = Property {
    name: "Name",
    kind: Kind::Text,
    default: None,
    doc: "The plugin.",
    repeated: String::REPEATED,
    refusal: no_refusal,
};
