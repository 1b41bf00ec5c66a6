//! What the reader has to say about a configuration: severity, place, message, snippet, remedy.

use std::fmt::{self, Write as _};
use std::sync::Arc;

/// More findings than this say nothing new; it keeps a hostile file from filling memory.
pub const FINDING_COUNT_MAX: usize = 1_000;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something is accepted and has no effect, or one that may surprise.
    Note,
    /// It runs, but hardly as meant; `check --strict` refuses it.
    Warning,
    /// It does not run.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// A line of a configuration file, or the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    file: Arc<str>,
    /// Counted from one; zero when the place is no file.
    line: u32,
}

impl Location {
    /// A line (counted from one) of a file.
    pub fn new(file: &Arc<str>, line: u32) -> Self {
        Self { file: Arc::clone(file), line }
    }

    /// The arguments of the process.
    pub fn command_line() -> Self {
        Self { file: Arc::from("command line"), line: 0 }
    }

    /// The file's name as it was opened, or `command line`.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line, counted from one; zero for the command line and for a file as a whole.
    pub fn line(&self) -> u32 {
        self.line
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 { write!(f, ":{}", self.line) } else { Ok(()) }
    }
}

/// One thing found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// Where it was found.
    pub location: Location,
    /// What is the matter: lower case, no full stop.
    pub message: String,
    /// The line as it was written, without the value of anything that may be a secret.
    pub snippet: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl Finding {
    /// Adds the line as it was written. The caller leaves secrets out.
    #[must_use]
    pub fn with_snippet(mut self, snippet: impl Into<String>) -> Self {
        self.snippet = Some(snippet.into());
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.location)?;
        if self.severity != Severity::Error {
            write!(f, "{}: ", self.severity)?;
        }
        f.write_str(&self.message)?;
        if let Some(remedy) = &self.remedy {
            write!(f, "; {remedy}")?;
        }
        if let Some(snippet) = &self.snippet {
            write!(f, "\n    {snippet}")?;
        }
        Ok(())
    }
}

/// Everything found, in the order it was met; printed at once.
#[derive(Debug, Default)]
pub struct Diagnostics {
    /// At most `FINDING_COUNT_MAX`.
    findings: Vec<Finding>,
    /// Findings beyond the bound.
    left_out_count: usize,
    /// Errors, also those left out.
    error_count: usize,
    /// Warnings, also those left out.
    warning_count: usize,
}

impl Diagnostics {
    /// Nothing found yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records an error: the configuration does not run.
    pub fn error(&mut self, location: &Location, message: impl Into<String>) {
        self.add(finding(Severity::Error, location, message));
    }

    /// Records a warning: it runs, but hardly as meant.
    pub fn warning(&mut self, location: &Location, message: impl Into<String>) {
        self.add(finding(Severity::Warning, location, message));
    }

    /// Records a note.
    pub fn note(&mut self, location: &Location, message: impl Into<String>) {
        self.add(finding(Severity::Note, location, message));
    }

    /// Records a finding that was built with a snippet or a remedy.
    pub fn add(&mut self, finding: Finding) {
        match finding.severity {
            Severity::Error => self.error_count += 1,
            Severity::Warning => self.warning_count += 1,
            Severity::Note => {}
        }
        if self.findings.len() < FINDING_COUNT_MAX {
            self.findings.push(finding);
        } else {
            self.left_out_count += 1;
        }
    }

    /// Whether the configuration must be refused.
    pub fn has_errors(&self) -> bool {
        self.error_count > 0
    }

    /// Errors so far, also those beyond the bound.
    pub fn error_count(&self) -> usize {
        self.error_count
    }

    /// Whether `check --strict` must refuse it.
    pub fn has_warnings(&self) -> bool {
        self.warning_count > 0
    }

    /// What matters at least so much, a finding after the other: files in the order they were
    /// met, lines in theirs.
    pub fn report(&self, least: Severity) -> String {
        let mut files: Vec<&str> = Vec::new();
        for finding in &self.findings {
            if !files.contains(&finding.location.file()) {
                files.push(finding.location.file());
            }
        }
        let place = |finding: &&Finding| {
            let file = files.iter().position(|file| *file == finding.location.file());
            (file, finding.location.line())
        };
        let mut shown: Vec<&Finding> =
            self.findings.iter().filter(|finding| finding.severity >= least).collect();
        shown.sort_by_key(place);
        shown.iter().fold(String::new(), |mut report, finding| {
            // Writing to memory does not fail.
            let _infallible = writeln!(report, "{finding}");
            report
        })
    }

    /// What was found, in order, up to [`FINDING_COUNT_MAX`].
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.report(Severity::Note))?;
        if self.left_out_count > 0 {
            writeln!(f, "… and {} more", self.left_out_count)?;
        }
        Ok(())
    }
}

/// A finding with neither snippet nor remedy; for [`Diagnostics::add`].
pub fn finding(severity: Severity, location: &Location, message: impl Into<String>) -> Finding {
    Finding {
        severity,
        location: location.clone(),
        message: message.into(),
        snippet: None,
        remedy: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(build: impl FnOnce(&mut Diagnostics), expected: &Expect) {
        let mut diagnostics = Diagnostics::new();
        build(&mut diagnostics);
        expected.assert_eq(&diagnostics.to_string());
    }

    #[test]
    fn place_message_remedy_snippet() {
        let location = Location::new(&Arc::from("a.conf"), 12);
        check(
            |diagnostics| {
                diagnostics.add(
                    finding(Severity::Error, &location, "no such thing")
                        .with_remedy("write another")
                        .with_snippet("Thing x"),
                );
                diagnostics.warning(&Location::command_line(), "odd");
            },
            &expect![[r"
                a.conf:12: no such thing; write another
                    Thing x
                command line: warning: odd
            "]],
        );
    }

    #[test]
    fn a_flood_is_counted() {
        let location = Location::command_line();
        let mut diagnostics = Diagnostics::new();
        for _ in 0..FINDING_COUNT_MAX + 2 {
            diagnostics.error(&location, "x");
        }
        assert_eq!(diagnostics.findings().len(), FINDING_COUNT_MAX);
        assert!(diagnostics.to_string().ends_with("… and 2 more\n"));
    }
}
