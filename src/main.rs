//! tailwater: a log shipper that takes Fluent Bit's place.
//! Arguments in, exit code out.

use std::io::{self, Write as _};
use std::process::ExitCode;

use tailwater::cli::{self, Command};
use tailwater::config::{Catalog, Diagnostics, Severity};

/// The plugins built in.
const CATALOG: Catalog = Catalog(&[]);

fn main() -> io::Result<ExitCode> {
    let mut diagnostics = Diagnostics::new();
    let arguments = std::env::args_os().skip(1);
    let command = cli::command(arguments, CATALOG, |_, _| {}, &mut diagnostics);
    let least = match &command {
        Command::Run(model) => cli::severity_shown(model.service.log_level),
        Command::Print(_) | Command::Passed(_) | Command::Refused => Severity::Note,
    };
    io::stderr().write_all(diagnostics.report(least).as_bytes())?;
    match command {
        Command::Run(_) => {}
        Command::Print(text) => io::stdout().write_all(text.as_bytes())?,
        Command::Passed(text) => io::stderr().write_all(text.as_bytes())?,
        Command::Refused => return Ok(ExitCode::FAILURE),
    }
    Ok(ExitCode::SUCCESS)
}
