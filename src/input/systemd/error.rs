//! Why a `systemd` input cannot start.

use std::io;
use std::path::PathBuf;

/// Why a `systemd` input cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SystemdError {
    /// The journal cannot be read for want of rights.
    #[error("no permission to read the journal in {}: {remedy}", path.display())]
    Denied {
        /// Its folder.
        path: PathBuf,
        /// What lets it be read.
        remedy: String,
    },
    /// There is no libsystemd.
    #[error(
        "cannot load libsystemd, which reads the journal: {reason}; install the package `libsystemd0` (Debian, \
         Ubuntu, SUSE) or `systemd-libs` (Fedora, RHEL)"
    )]
    NoLibrary {
        /// What the loader says.
        reason: String,
    },
    /// `Path` is no folder: Fluent Bit does not start either.
    #[error("`Path` {} is no folder: {reason}", path.display())]
    NoFolder {
        /// As it is set.
        path: PathBuf,
        /// What it is instead.
        reason: io::Error,
    },
    /// The library refuses the journal.
    #[error("cannot open the journal{}: {reason}", path.as_ref().map(|it| format!(" in {}", it.display())).unwrap_or_default())]
    Refused {
        /// Its folder, if it is not the machine's own.
        path: Option<PathBuf>,
        /// The library's answer.
        reason: io::Error,
    },
    /// The system refused a thread.
    #[error("cannot set up {what}: {source}")]
    Setup {
        /// What was asked for.
        what: &'static str,
        /// The system's answer.
        source: io::Error,
    },
}
