//! tailwater: a log shipper that takes Fluent Bit's place.
//! Arguments in, exit code out.

use std::io::Write as _;
use std::process::ExitCode;

use tailwater::cli::{self, Command};
use tailwater::config::{Catalog, Diagnostics, Severity};

/// The plugins built in.
const CATALOG: Catalog = Catalog(&[]);

fn main() -> ExitCode {
    let mut diagnostics = Diagnostics::new();
    let command = cli::command(std::env::args_os().skip(1), CATALOG, &mut diagnostics);
    let least = match &command {
        Command::Run(model) => cli::severity_shown(model.service.log_level),
        Command::Print(_) | Command::Passed(_) | Command::Refused => Severity::Note,
    };
    let report = diagnostics.report(least);
    // Nobody is left to tell that standard error or output is gone.
    let told = std::io::stderr().write_all(report.as_bytes());
    let printed = match &command {
        Command::Print(text) => std::io::stdout().write_all(text.as_bytes()),
        Command::Passed(text) => std::io::stderr().write_all(text.as_bytes()),
        Command::Run(_) | Command::Refused => Ok(()),
    };
    match command {
        Command::Refused => ExitCode::FAILURE,
        Command::Run(_) | Command::Print(_) | Command::Passed(_) if told.and(printed).is_ok() => {
            ExitCode::SUCCESS
        }
        Command::Run(_) | Command::Print(_) | Command::Passed(_) => ExitCode::FAILURE,
    }
}
