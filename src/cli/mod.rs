//! Fluent Bit's command line, `check`, `help`, `buffer` and `dead-letter`: arguments become one [`Command`].

mod buffer;
mod dead_letter;
mod flags;
mod help;
mod log;
mod options;
mod progress;
#[cfg(test)]
mod tests;

pub use buffer::{Inspection, InspectionError};
pub use dead_letter::{DeadLetterCommand, DeadLetterError};
pub use log::log;
pub use progress::Progress;

use std::ffi::OsString;

use lexopt::Arg;
use options::Options;

use crate::config::diagnostics::finding;
use crate::config::{Catalog, Diagnostics, Location, LogLevel, Model, Request, Severity, nearest};

/// Fluent Bit says these very words, and scripts look for them.
const CHECK_PASSED: &str = "configuration test is successful\n";

/// What the process is to do.
#[derive(Debug)]
pub enum Command<P> {
    /// Run the agent; by the request its configuration can be read again.
    Run(P, Request),
    /// Print to standard output and exit 0.
    Print(String),
    /// Look into a buffer.
    Buffer(Inspection),
    /// The configuration was to be checked and passed: print to standard error and exit 0.
    Passed(&'static str),
    /// Look after dead letters.
    DeadLetters(DeadLetterCommand),
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
        Asked::Buffer(inspection) => return Command::Buffer(inspection),
        Asked::DeadLetters(command) => return Command::DeadLetters(command),
        Asked::Load { request, workdir, check } => (request, workdir, check),
    };
    if let Some(folder) = workdir
        && let Err(error) = std::env::set_current_dir(&folder)
    {
        let message = format!("cannot change to folder `{folder}`: {error}");
        diagnostics.error(&Location::command_line(), message);
        return Command::Refused;
    }
    let again = request.clone();
    let is_strict = check == Some(Strictness::Warnings);
    match read(request, catalog, plan, diagnostics) {
        Some(_) if is_strict && diagnostics.has_warnings() => Command::Refused,
        Some(_) if check.is_some() => Command::Passed(CHECK_PASSED),
        Some(plan) => Command::Run(plan, again),
        None => Command::Refused,
    }
}

/// Reads the configuration that a request names, at the start and at every reload; `None` if there is an error in it.
pub fn read<P>(
    request: Request,
    catalog: Catalog,
    plan: fn(Model, &mut Diagnostics) -> Option<P>,
    diagnostics: &mut Diagnostics,
) -> Option<P> {
    let model = Model::load(request, catalog, diagnostics);
    if diagnostics.has_errors() {
        return None;
    }
    plan(model, diagnostics).filter(|_| !diagnostics.has_errors())
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
    Buffer(Inspection),
    DeadLetters(DeadLetterCommand),
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
        Some("buffer") => {
            Inspection::parse(lexopt::Parser::from_args(arguments.skip(1))).map(Asked::Buffer)
        }
        Some("dead-letter") => {
            let parser = lexopt::Parser::from_args(arguments.skip(1));
            let command = DeadLetterCommand::parse(parser, diagnostics)?;
            // Without one the diagnostics say why, and nothing is printed.
            Ok(command.map_or_else(|| Asked::Print(String::new()), Asked::DeadLetters))
        }
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
