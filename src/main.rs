//! tailwater: a log shipper that takes Fluent Bit's place.
//! Arguments in, exit code out.

use std::io::{BufWriter, IsTerminal as _, Write as _};
use std::process::ExitCode;

use tailwater::cli::{self, Command, DeadLetterCommand, Progress};
use tailwater::config::{Diagnostics, LogLevel, Request, Severity};
use tailwater::pipeline::{self, CATALOG, Plan, RunError};

/// The exit code where the input came to its end, or a pipe was cut short, and not all of it was delivered. 1: it did not
/// run, or the command line was wrong.
const NOT_ALL_DELIVERED: u8 = 2;

fn main() -> ExitCode {
    take_up_capabilities();
    let mut diagnostics = Diagnostics::new();
    let arguments = std::env::args_os().skip(1);
    let command = cli::command(arguments, CATALOG, Plan::new, &mut diagnostics);
    let least = match &command {
        Command::Run(plan, _) => cli::severity_shown(plan.log_level()),
        _ => Severity::Note,
    };
    tell(&diagnostics.report(least));
    match command {
        Command::Run(plan, request) => run(plan, &request, least),
        Command::Print(text) => match std::io::stdout().write_all(text.as_bytes()) {
            Ok(()) if !diagnostics.has_errors() => ExitCode::SUCCESS,
            Ok(()) | Err(_) => ExitCode::FAILURE,
        },
        Command::Buffer(inspection) => match inspection.run() {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                tell(&format!("{error}\n"));
                ExitCode::FAILURE
            }
        },
        Command::DeadLetters(command) => look_after(&command),
        Command::Passed(text) => {
            tell(text);
            ExitCode::SUCCESS
        }
        Command::Refused => ExitCode::FAILURE,
    }
}

/// Starts the agent and runs it to its end.
fn run(plan: Plan, request: &Request, least: Severity) -> ExitCode {
    cli::log(plan.log_level(), plan.log_file());
    let shows_progress = shows_progress(&plan);
    raise_open_files_max();
    let reread = || {
        let mut diagnostics = Diagnostics::new();
        let plan = cli::read(request.clone(), CATALOG, Plan::new, &mut diagnostics);
        (plan, diagnostics.report(least))
    };
    let watch = |registry| shows_progress.then(|| Progress::begin(registry));
    match pipeline::run(plan, &reread, &watch) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("{error}\n"));
            match error {
                RunError::GivenUp(_) | RunError::CutShort(_) => ExitCode::from(NOT_ALL_DELIVERED),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

/// Whether somebody looks who would not be told otherwise how far a pipe has come, and whom nothing else is shown there.
fn shows_progress(plan: &Plan) -> bool {
    let is_elsewhere = !plan.prints() || !std::io::stdout().is_terminal();
    plan.reads_pipe()
        && plan.log_level() != LogLevel::Off
        && std::io::stderr().is_terminal()
        && !std::io::stdin().is_terminal()
        && is_elsewhere
}

/// Lets the process open as many files as it may: each that is followed is one. The usual 1,024 are for programs that
/// know select(2) only.
fn raise_open_files_max() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        let open_max = limit.current.unwrap_or(u64::MAX);
        tracing::warn!(%error, open_max, "cannot raise the limit of open files");
    }
}

/// Reads and writes as root does, if it is permitted to but is not root: so the image's file capabilities have it
/// (see `Dockerfile`). They only permit, since a program that asks for more than a pod grants would not even start.
fn take_up_capabilities() {
    use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
    // Where a filter of system calls forbids to ask, there is nothing to take up.
    let Ok(held) = capabilities(None) else { return };
    let files = CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
    let effective = held.effective | (held.permitted & files);
    if effective != held.effective {
        // Without it, what cannot be read is named and counted.
        let _went_without = set_capabilities(None, CapabilitySets { effective, ..held });
    }
}

/// Lists dead letters, shows them or sends them again.
fn look_after(command: &DeadLetterCommand) -> ExitCode {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let result = command.run(&mut out).and_then(|()| Ok(out.flush()?));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("{error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Prints to standard error. When that is gone, nobody is left to be told so.
fn tell(text: &str) {
    let _nobody_listens = std::io::stderr().write_all(text.as_bytes());
}
