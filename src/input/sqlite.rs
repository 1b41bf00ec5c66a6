//! SQLite files in which inputs keep their positions: how they are opened, and what to do if they cannot be.

use crate::config::choices;
use rusqlite::{Connection, ErrorCode};
use std::path::Path;
use std::time::Duration;

/// How long another process may hold the database before that is an error.
const BUSY_MAX: Duration = Duration::from_secs(1);

choices! {
    /// `PRAGMA synchronous` of the position database.
    pub enum DatabaseSync {
        /// Positions are safe from a crash; after a power cut a little is read again.
        Normal = "normal",
        /// Positions are safe from a power cut.
        Full = "full",
        /// As `full`, and the folder is synced as well.
        Extra = "extra",
        /// The operating system decides.
        Off = "off",
    }
}

choices! {
    /// `PRAGMA journal_mode` of the position database.
    pub enum JournalMode {
        /// A log beside the database.
        Wal = "WAL",
        /// A journal that is deleted after each change.
        Delete = "DELETE",
        /// A journal that is emptied after each change.
        Truncate = "TRUNCATE",
        /// A journal whose header is cleared after each change.
        Persist = "PERSIST",
        /// A journal in memory.
        Memory = "MEMORY",
        /// No journal.
        Off = "OFF",
    }
}

impl DatabaseSync {
    /// The word of the pragma.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Normal => "NORMAL",
            Self::Full => "FULL",
            Self::Extra => "EXTRA",
            Self::Off => "OFF",
        }
    }
}

impl JournalMode {
    /// The word of the pragma.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Wal => "WAL",
            Self::Delete => "DELETE",
            Self::Truncate => "TRUNCATE",
            Self::Persist => "PERSIST",
            Self::Memory => "MEMORY",
            Self::Off => "OFF",
        }
    }
}

/// Opens or makes the file. `is_exclusive`: every other connection is kept out.
pub(super) fn open(
    path: &Path,
    journal_mode: &str,
    is_exclusive: bool,
) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_MAX)?;
    if is_exclusive {
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    }
    connection.pragma_update_and_check(None, "journal_mode", journal_mode, |_| Ok(()))?;
    Ok(connection)
}

/// Reads every page once: a torn database must not be found out in the middle of the work.
pub(super) fn check_pages(connection: &Connection) -> rusqlite::Result<()> {
    let verdict: String =
        connection.query_row("PRAGMA quick_check(1)", [], |columns| columns.get(0))?;
    if verdict == "ok" {
        return Ok(());
    }
    let corrupt = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    Err(rusqlite::Error::SqliteFailure(corrupt, Some(verdict)))
}

/// What is wrong, and what to do about it, where the folder of the file is missing.
pub(super) fn missing_folder(path: &Path) -> Option<(String, &'static str)> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty() && !it.is_dir())?;
    let what = format!("the folder {} does not exist", folder.display());
    Some((what, "create it or change `DB`"))
}

/// What to do about a file that SQLite refuses.
pub(super) fn remedy(code: Option<ErrorCode>) -> &'static str {
    match code {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            "restore it, or move it away to begin anew, as without positions"
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process holds it: stop that one (Fluent Bit?) or give each its own `DB`"
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            "let this user read and write it and its folder"
        }
        Some(ErrorCode::DiskFull) => "free some space",
        _ => "check the file, or choose another `DB`",
    }
}
