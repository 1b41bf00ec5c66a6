//! Fluent Bit's command line, `check` and `help`: arguments become one [`Command`].

mod flags;
mod help;
mod log;

pub use log::log;

use std::ffi::OsString;

use flags::{Effect, FLAGS, Flag, by_letter, by_name};
use lexopt::Arg;

use crate::config::diagnostics::finding;
use crate::config::{
    Catalog, Diagnostics, Location, LogLevel, Model, PluginKind, Request, Section, SectionKind,
    Severity, nearest,
};

/// Fluent Bit says these very words, and scripts look for them.
const CHECK_PASSED: &str = "configuration test is successful\n";

/// What the process is to do.
#[derive(Debug)]
pub enum Command<P> {
    /// Run the agent.
    Run(P),
    /// Print to standard output and exit 0.
    Print(String),
    /// The configuration was to be checked and passed: print to standard error and exit 0.
    Passed(&'static str),
    /// Exit 1; the diagnostics say why.
    Refused,
}

/// Reads arguments (without the program's name) and the configuration they name. `plan` makes of the
/// model what can be run, and reports what no section knows by itself: that a parser which is named
/// exists, and the like.
pub fn command<P>(
    arguments: impl IntoIterator<Item = OsString>,
    catalog: Catalog,
    plan: fn(Model, &mut Diagnostics) -> Option<P>,
    diagnostics: &mut Diagnostics,
) -> Command<P> {
    let asked = match parse(arguments, catalog, diagnostics) {
        Ok(asked) => asked,
        Err(error) => {
            diagnostics.error(&Location::command_line(), error.to_string());
            return Command::Refused;
        }
    };
    if diagnostics.has_errors() {
        return Command::Refused;
    }
    let (request, workdir, check) = match asked {
        Asked::Print(text) => return Command::Print(text),
        Asked::Load { request, workdir, check } => (request, workdir, check),
    };
    if let Some(folder) = workdir
        && let Err(error) = std::env::set_current_dir(&folder)
    {
        let message = format!("cannot change to folder `{folder}`: {error}");
        diagnostics.error(&Location::command_line(), message);
        return Command::Refused;
    }
    let model = Model::load(request, catalog, diagnostics);
    if diagnostics.has_errors() {
        return Command::Refused;
    }
    let plan = plan(model, diagnostics);
    let is_strict = check == Some(Strictness::Warnings);
    match plan {
        Some(_) if diagnostics.has_errors() || (is_strict && diagnostics.has_warnings()) => {
            Command::Refused
        }
        Some(_) if check.is_some() => Command::Passed(CHECK_PASSED),
        Some(plan) => Command::Run(plan),
        None => Command::Refused,
    }
}

/// What must be told of the diagnostics at a log level: errors always.
pub fn severity_shown(level: LogLevel) -> Severity {
    match level {
        LogLevel::Off | LogLevel::Error => Severity::Error,
        LogLevel::Warn => Severity::Warning,
        LogLevel::Info | LogLevel::Debug | LogLevel::Trace => Severity::Note,
    }
}

/// What the arguments ask for, before any file is read.
#[derive(Debug)]
enum Asked {
    Print(String),
    Load { request: Request, workdir: Option<String>, check: Option<Strictness> },
}

/// What makes a check fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strictness {
    /// What makes a start fail.
    Errors,
    /// Warnings too.
    Warnings,
}

fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    catalog: Catalog,
    diagnostics: &mut Diagnostics,
) -> Result<Asked, lexopt::Error> {
    let mut arguments = arguments.into_iter().peekable();
    match arguments.peek().and_then(|first| first.to_str()) {
        Some("check") => parse_check(lexopt::Parser::from_args(arguments.skip(1)), diagnostics),
        Some("help") => {
            let name = arguments.nth(1).map(|name| name.to_string_lossy().into_owned());
            Ok(Asked::Print(parse_help(name.as_deref(), catalog, diagnostics)))
        }
        _ => Options::new(catalog, diagnostics).parse(lexopt::Parser::from_args(arguments)),
    }
}

/// `check FILE [--strict]`.
fn parse_check(
    mut parser: lexopt::Parser,
    diagnostics: &mut Diagnostics,
) -> Result<Asked, lexopt::Error> {
    let mut file = None;
    let mut strictness = Strictness::Errors;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("strict") => strictness = Strictness::Warnings,
            Arg::Value(path) if file.is_none() => file = Some(path.to_string_lossy().into_owned()),
            other => return Err(other.unexpected()),
        }
    }
    if file.is_none() {
        diagnostics.error(&Location::command_line(), "check what? write `tailwater check FILE`");
    }
    let request = Request { sections: Vec::new(), file };
    Ok(Asked::Load { request, workdir: None, check: Some(strictness) })
}

/// `help [PLUGIN]`.
fn parse_help(name: Option<&str>, catalog: Catalog, diagnostics: &mut Diagnostics) -> String {
    let Some(name) = name else { return help::overview(catalog) };
    let texts: Vec<String> = catalog.named(name).map(help::plugin).collect();
    if texts.is_empty() {
        let message = format!("there is no plugin `{name}`");
        let found = finding(Severity::Error, &Location::command_line(), message);
        let near = nearest(name, catalog.0.iter().map(|plugin| plugin.name));
        diagnostics.add(match near {
            Some(near) => found.with_remedy(format!("did you mean `{near}`?")),
            None => found,
        });
    }
    texts.join("\n")
}

/// Fluent Bit's own options, in the order they are met.
struct Options<'a> {
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
    fn new(catalog: Catalog, diagnostics: &'a mut Diagnostics) -> Self {
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

    fn parse(mut self, mut parser: lexopt::Parser) -> Result<Asked, lexopt::Error> {
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
            Effect::Help => return Some(self.help()),
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
    fn help(&mut self) -> String {
        let Some(section) = self.plugins.last() else { return help::overview(self.catalog) };
        let kind = match section.kind {
            SectionKind::Input => PluginKind::Input,
            SectionKind::Filter => PluginKind::Filter,
            _ => PluginKind::Output,
        };
        let name = section.entries().first().map(|name| name.value.clone()).unwrap_or_default();
        match self.catalog.find(kind, &name, &self.location) {
            Ok(plugin) => help::plugin(plugin),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Plugin, Property, Transport, properties};
    use expect_test::{Expect, expect};
    use std::fmt::Write as _;

    properties! {
        /// Follows files by path pattern.
        struct FollowOptions for "tail" {
            /// Files to follow.
            path: Vec<String> ["Path"],
            /// Upper bound of one line; a longer one is cut and flagged, or passed over whole with
            /// `Skip_Long_Lines`.
            buffer_max_size: crate::config::Size ["Buffer_Max_Size" = "32k"],
        }
    }

    properties! {
        /// Writes records to standard output.
        struct PrintOptions for "stdout" {
            /// The syntax.
            format: Option<String> ["Format"],
        }
    }

    const fn plugin(
        name: &'static str,
        kind: PluginKind,
        doc: &'static str,
        properties: &'static [Property],
        check: fn(&mut Section, &mut Diagnostics),
    ) -> Plugin {
        Plugin { name, kind, doc, properties, transport: Transport::Local, check }
    }

    const CATALOG: Catalog = Catalog(&[
        &plugin(
            FollowOptions::NAME,
            PluginKind::Input,
            FollowOptions::DOC,
            FollowOptions::PROPERTIES,
            FollowOptions::check,
        ),
        &plugin(
            PrintOptions::NAME,
            PluginKind::Output,
            PrintOptions::DOC,
            PrintOptions::PROPERTIES,
            PrintOptions::check,
        ),
    ]);

    /// An output's `Format` must name a parser.
    fn plan(model: Model, diagnostics: &mut Diagnostics) -> Option<Model> {
        for output in &model.outputs {
            if let Some(name) = output.options(PrintOptions::read).format
                && let Err(found) = model.parser(&name, output.section.location_of("Format"))
            {
                diagnostics.add(found);
            }
        }
        (!diagnostics.has_errors()).then_some(model)
    }

    /// Runs a command line, `@DIR@` standing for a folder with these files.
    fn check_files(files: &[(&str, &str)], line: &[&str], expected: &Expect) {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        let dir = real.to_str().unwrap();
        for (name, text) in files {
            std::fs::write(real.join(name), text.replace("@DIR@", dir)).unwrap();
        }
        let arguments = line.iter().map(|argument| OsString::from(argument.replace("@DIR@", dir)));
        let mut diagnostics = Diagnostics::new();
        let mut out = match command(arguments, CATALOG, plan, &mut diagnostics) {
            Command::Run(model) => shown(&model),
            Command::Print(text) => text,
            Command::Passed(text) => format!("passed: {text}"),
            Command::Refused => "refused\n".to_owned(),
        };
        write!(out, "{diagnostics}").unwrap();
        expected.assert_eq(&out.replace(dir, "@DIR@"));
    }

    fn check(line: &[&str], expected: &Expect) {
        check_files(&[], line, expected);
    }

    fn shown(model: &Model) -> String {
        let service = &model.service;
        let mut out = format!("flush {:?}, log {:?}\n", service.flush, service.log_level);
        for parser in &model.parsers {
            writeln!(out, "parser {} {:?}", parser.name, parser.format).unwrap();
        }
        for input in &model.inputs {
            let FollowOptions { path, buffer_max_size } = input.options(FollowOptions::read);
            let tag = input.common.tag.as_deref();
            writeln!(out, "input {} tag {tag:?} {path:?} {buffer_max_size:?}", input.name).unwrap();
        }
        for output in &model.outputs {
            let PrintOptions { format } = output.options(PrintOptions::read);
            let pattern = output.common.pattern.as_deref();
            writeln!(out, "output {} match {pattern:?} {format:?}", output.name).unwrap();
        }
        out
    }

    #[test]
    fn a_pipeline_of_options() {
        check(
            &["-q", "-f", "2", "-i", "tail", "-p", "path=/a", "-t", "x", "-o", "stdout", "-m", "*"],
            &expect![[r#"
                flush 2s, log Off
                input tail.0 tag Some("x") ["/a"] Size(32000)
                output stdout.0 match Some("*") None
            "#]],
        );
        check(
            &["-vi", "TAIL", "--output=stdout"],
            &expect![[r#"
            flush 1s, log Debug
            input tail.0 tag None [] Size(32000)
            output stdout.0 match Some("*") None
        "#]],
        );
    }

    #[test]
    fn what_is_not_understood() {
        check(
            &["-p", "a=b"],
            &expect![[r#"
            refused
            command line: `-p` belongs to no plugin; write it behind `-i`, `-F` or `-o`
        "#]],
        );
        check(
            &["-i", "tial"],
            &expect![[r#"
            refused
            command line: there is no input `tial`; did you mean `tail`?
        "#]],
        );
        check(
            &["-i", "tail", "-m", "x", "-p", "path", "-p", "pth=/x"],
            &expect![[r#"
            refused
            command line: warning: `-m` has no effect: it belongs behind `-F` or `-o`
            command line: warning: `-p` without `=` sets nothing
            command line: `tail` has no property `pth`; did you mean `Path`?
        "#]],
        );
        check(
            &["-i", "systemd", "-o", "stdout"],
            &expect![[r#"
            refused
            command line: input `systemd` is not supported yet; let journald write to files and `tail` them
        "#]],
        );
    }

    #[test]
    fn arguments_that_are_refused() {
        check(
            &["--confg", "x"],
            &expect![[r#"
            refused
            command line: there is no option `--confg`; did you mean `--config`?
        "#]],
        );
        check(
            &["-c"],
            &expect![[r#"
            refused
            command line: missing argument for option '-c'
        "#]],
        );
        check(
            &["-e", "x.so", "-x"],
            &expect![[r#"
            refused
            command line: `-e` is not supported: shared libraries cannot be loaded
            command line: there is no option `-x`; `-h` lists them
        "#]],
        );
        check(
            &["-o", "stdout://h:1/x", "-i", "tail", "stray"],
            &expect![[r#"
            refused
            command line: warning: `stray` is no option and is passed over
            command line: `/x` in the plugin's name is not supported; set it by its property: `Index`, `URI`
        "#]],
        );
        check(
            &["-c", "@DIR@/none.conf", "-w", "@DIR@/none"],
            &expect![[r#"
            refused
            command line: cannot change to folder `@DIR@/none`: No such file or directory (os error 2)
        "#]],
        );
        check(
            &["check"],
            &expect![[r#"
            refused
            command line: check what? write `tailwater check FILE`
        "#]],
        );
    }

    #[test]
    fn help_and_version() {
        check(
            &["help", "stdot"],
            &expect![[r#"
            refused
            command line: there is no plugin `stdot`; did you mean `stdout`?
        "#]],
        );
        check(
            &["-V"],
            &expect![[r#"
            tailwater v0.1.0
        "#]],
        );
    }

    #[test]
    fn the_help_lists_flags_and_plugins() {
        check(
            &["--help"],
            &expect![[r#"
            Usage: tailwater [OPTION]…
                   tailwater check FILE [--strict]
                   tailwater help [PLUGIN]

            Options
              -c, --config=FILE               configuration file
              -i, --input=INPUT               add an input
              -F, --filter=FILTER             add a filter
              -o, --output=OUTPUT             add an output
              -p, --prop=KEY=VALUE            property of the plugin named last
              -m, --match=MATCH               tags that the filter or output named last takes
              -t, --tag=TAG                   tag of the input named last
              -f, --flush=SECONDS             longest time a record waits
              -R, --parser=FILE               parsers file; may be repeated
              -D, --dry-run                   check the configuration and stop
              -q, --quiet                     log nothing
              -v, --verbose                   log more; -vv logs most
              -l, --log_file=FILE             log to a file
              -b, --storage_path=PATH         folder of what waits on disk
              -w, --workdir=PATH              change to this folder first
              -H, --http                      serve metrics and health
              -L, --http_listen=ADDRESS       address of the HTTP server
              -P, --port=PORT                 port of the HTTP server
              -Y, --enable-hot-reload         read the configuration again on SIGHUP
              -W, --disable-thread-safety-on-hot-reload
                                              no effect: a reload always waits
              -d, --daemon                    no effect: the agent stays in the foreground
              -s, --coro_stack_size=BYTES     no effect: there are no coroutines
              -Z, --enable-chunk-trace        no effect: there is no tap
                  --supervisor                no effect: let systemd or Kubernetes start it again
              -V, --version                   print the version
              -h, --help                      print this help; after -i, -F or -o, the plugin's

            Inputs
              tail                            Follows files by path pattern.

            Filters

            Outputs
              stdout                          Writes records to standard output.
        "#]],
        );
    }

    #[test]
    fn the_help_of_a_plugin_is_its_table() {
        let mut diagnostics = Diagnostics::new();
        let line = ["-i", "TAIL", "-h"].map(OsString::from);
        let Command::Print(text) = command(line, CATALOG, plan, &mut diagnostics) else {
            panic!("{diagnostics}")
        };
        let (own, common) = text.split_once("Properties of every input").unwrap();
        expect![[r#"
            input tail: Follows files by path pattern.

            Properties of tail
              Path                            Files to follow.
                                              > comma list
              Buffer_Max_Size                 Upper bound of one line; a longer one is cut and flagged, or
                                              passed over whole with `Skip_Long_Lines`.
                                              > size, default: 32k

        "#]].assert_eq(own);
        assert!(common.contains("Mem_Buf_Limit"));
    }

    const MAIN: &str = "@SET tag=kube\n[SERVICE]\n    Flush 5\n    Parsers_File parsers.conf\n\
        [INPUT]\n    Name tail\n    Path @DIR@/*.log\n    Tag ${tag}.*  # pods\n\
        [OUTPUT]\n    Name stdout\n    Match *\n    Alias ${NO_SUCH_VARIABLE_HERE}\n";
    const PARSERS: &str = "[PARSER]\n    Name cri\n    Format json\n";

    #[test]
    fn file_and_options_together() {
        let files = [("main.conf", MAIN), ("parsers.conf", PARSERS)];
        check_files(
            &files,
            &["-c", "@DIR@/main.conf", "-f", "1", "-o", "stdout"],
            &expect![[r#"
            flush 5s, log Info
            parser cri Json
            input tail.0 tag Some("kube.*") ["@DIR@/*.log"] Size(32000)
            output stdout.0 match None None
            output stdout.1 match Some("*") None
            @DIR@/main.conf:3: warning: `Flush` of `SERVICE` is set 2 times; the last one counts, as in Fluent Bit
                Flush 5
            @DIR@/main.conf:8: warning: `# pods` is taken as a comment, not as a part of the value; put comments on lines of their own, Fluent Bit knows no others
            @DIR@/main.conf:12: warning: variable `NO_SUCH_VARIABLE_HERE` is not set
            command line: warning: output `stdout.0` has no `Match`: it ships nothing
        "#]],
        );
        check_files(
            &files,
            &["-c", "@DIR@/main.conf", "-D"],
            &expect![[r#"
            passed: configuration test is successful
            @DIR@/main.conf:8: warning: `# pods` is taken as a comment, not as a part of the value; put comments on lines of their own, Fluent Bit knows no others
            @DIR@/main.conf:12: warning: variable `NO_SUCH_VARIABLE_HERE` is not set
        "#]],
        );
        check_files(
            &files,
            &["check", "@DIR@/main.conf", "--strict"],
            &expect![[r#"
            refused
            @DIR@/main.conf:8: warning: `# pods` is taken as a comment, not as a part of the value; put comments on lines of their own, Fluent Bit knows no others
            @DIR@/main.conf:12: warning: variable `NO_SUCH_VARIABLE_HERE` is not set
        "#]],
        );
    }

    #[test]
    fn includes_lie_beside_the_main_file() {
        let main = "@INCLUDE in-*.inc\n@INCLUDE out.inc\n";
        let input = "[INPUT]\n Name tail\n Path @DIR@/${HOSTNAME:-none}\n Alias a\n";
        let second = "[INPUT]\n\tName tail\n\tPath /b\n";
        let output = "[OUTPUT]\n    Name stdout\n    Match *\n    Retry_Limit many\n";
        let files =
            [("main.conf", main), ("in-2.inc", second), ("in-1.inc", input), ("out.inc", output)];
        check_files(
            &files,
            &["-c", "@DIR@/main.conf", "-D"],
            &expect![[r#"
            passed: configuration test is successful
            @DIR@/out.inc:4: warning: `Retry_Limit`: neither a number above 0, `no_limits` nor `no_retries`; taken as 1
                Retry_Limit many
        "#]],
        );
        check_files(
            &files[..1],
            &["-c", "@DIR@/main.conf"],
            &expect![[r#"
            refused
            @DIR@/main.conf:1: `in-*.inc`: no file matches
            @DIR@/main.conf:2: `out.inc` cannot be read: No such file or directory (os error 2)
        "#]],
        );
        let again = [("main.conf", "@INCLUDE a.inc\n@INCLUDE a.inc\n"), ("a.inc", "# nothing\n")];
        check_files(
            &again,
            &["-c", "@DIR@/main.conf"],
            &expect![[r#"
            refused
            @DIR@/main.conf:2: `@DIR@/a.inc` is included twice
        "#]],
        );
        check_files(
            &[("a.yaml", "")],
            &["-c", "@DIR@/a.yaml"],
            &expect![[r#"
            refused
            @DIR@/a.yaml: the YAML syntax is not supported yet; write the classic syntax
        "#]],
        );
    }

    #[test]
    fn values_may_come_from_files() {
        let main = "@SET path=file://@DIR@/secret\n@SET gone=file://@DIR@/gone\n[INPUT]\n  \
            Name tail\n  Path ${path},${gone:-/else}\n[OUTPUT]\n  Name stdout\n";
        check_files(
            &[("main.conf", main), ("secret", "/kept\n")],
            &["-c", "@DIR@/main.conf"],
            &expect![[r#"
                flush 1s, log Info
                input tail.0 tag None ["/kept", "/else"] Size(32000)
                output stdout.0 match Some("*") None
                @DIR@/main.conf:2: warning: `gone` is not set, its file cannot be read: No such file or directory (os error 2)
            "#]],
        );
    }

    #[test]
    fn parsers_that_are_named_must_exist() {
        let main = "[SERVICE]\n  Parsers_File p\n[INPUT]\n  Name tail\n[OUTPUT]\n  \
            Name stdout\n  Format cry\n";
        let files = [("main.conf", main), ("p", PARSERS)];
        check_files(
            &files,
            &["-c", "@DIR@/main.conf"],
            &expect![[r#"
            refused
            @DIR@/main.conf:7: there is no parser `cry`; did you mean `cri`?
        "#]],
        );
        check(
            &["-i", "tail", "-o", "stdout", "-p", "format=cri"],
            &expect![[r#"
            refused
            command line: there is no parser `cri`; name a file with it by `Parsers_File` of `[SERVICE]`
        "#]],
        );
    }

    #[test]
    fn files_that_are_refused() {
        let main = "[SERVICE]\n  Flush 0\n  Whatever 1\n  Daemon 1\n  Parsers_File none\n  \
            Parsers_File p\n[PARSER]\n  Name x\n[INPUT]\n  Path x\n[INPUT]\n  Name tail\n  \
            storage.type filesystem\n  Mem_Buf_Limit lots\n  tls on\n[CUSTOM]\n  Name c\n";
        let parsers = "@SET a=b\n[PARSER]\n Name a\n Format regex\n[PARSER]\n Name b\n \
            Format jsn\n[PARSER]\n Name c\n Format json\n[PARSER]\n Name c\n Format json\n\
            [PARSER]\n Format json\n Nme x\n[SERVICE]\n Flush 1\n";
        check_files(
            &[("main.conf", main), ("p", parsers)],
            &["-c", "@DIR@/main.conf"],
            &expect![[r#"
                refused
                @DIR@/main.conf:2: `Flush` must be above 0
                @DIR@/main.conf:3: warning: `SERVICE` has no property `Whatever`
                @DIR@/main.conf:4: note: `Daemon` of `SERVICE` has no effect: the agent stays in the foreground, where its supervisor sees it
                    Daemon 1
                @DIR@/main.conf:5: parsers file `@DIR@/none` cannot be read: No such file or directory (os error 2)
                @DIR@/main.conf:7: `[PARSER]` cannot stand in the main file; put it into a file named by `Parsers_File` of `[SERVICE]`
                @DIR@/main.conf:9: `[INPUT]` has no `Name`
                @DIR@/main.conf:13: input `tail.0` waits on disk, but there is no folder; set `storage.path` in `[SERVICE]`
                @DIR@/main.conf:14: `Mem_Buf_Limit`: no size; write bytes, or a number with K, M or G
                    Mem_Buf_Limit lots
                @DIR@/main.conf:15: `tail` opens no connection, so it has no TLS
                @DIR@/main.conf:16: `[CUSTOM]` is not supported
                @DIR@/p:1: warning: `@SET` has no effect in a parsers file
                @DIR@/p:2: the parser has no `Regex`
                @DIR@/p:7: `Format`: none of regex, json, logfmt, ltsv; did you mean `json`?
                    Format jsn
                @DIR@/p:11: parser `c` exists already, @DIR@/p:8
                @DIR@/p:14: the parser has no `Name`
                @DIR@/p:16: warning: `PARSER` has no property `Nme`; did you mean `Name`?
                @DIR@/p:17: warning: `[SERVICE]` has no effect in a parsers file
            "#]],
        );
    }
}
