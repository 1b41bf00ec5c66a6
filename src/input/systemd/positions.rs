//! The position in the journal: Fluent Bit's table with its one cursor, written by a thread of its own.
//!
//! Either program can go on with what the other wrote.

use super::cursor::Cursor;
use crate::clock;
use crate::input::sqlite::{self, JournalMode};
use crate::metrics::InputMetrics;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long positions are gathered before one is written: what a `kill -9` makes to be read again. What the
/// database refused is tried again after as long.
const COMMIT_PAUSE: Duration = Duration::from_secs(1);

/// Fluent Bit's table.
const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS in_systemd_cursor (cursor TEXT NOT NULL, updated INTEGER)";

/// An open position database.
#[derive(Debug)]
pub(super) struct Database(Connection);

impl Database {
    /// Opens or makes it; the error says what is wrong and what to do.
    pub(super) fn open(path: &Path, sync: &str) -> Result<Self, String> {
        if let Some((what, remedy)) = sqlite::missing_folder(path) {
            return Err(format!("{what}; {remedy}"));
        }
        Self::connect(path, sync)
            .map_err(|error| format!("{error}; {}", sqlite::remedy(error.sqlite_error_code())))
    }

    fn connect(path: &Path, sync: &str) -> rusqlite::Result<Self> {
        let mut connection = sqlite::open(path, JournalMode::default().word(), false)?;
        connection.pragma_update(None, "synchronous", sync)?;
        sqlite::check_pages(&connection)?;
        // Takes the write lock, so that a database that somebody else holds is noticed now.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(TABLE)?;
        transaction.commit()?;
        Ok(Self(connection))
    }

    /// The cursor that was written last, as it stands there.
    pub(super) fn cursor(&self) -> rusqlite::Result<Option<String>> {
        let sql = "SELECT cursor FROM in_systemd_cursor ORDER BY rowid DESC LIMIT 1";
        self.0.query_row(sql, [], |columns| columns.get(0)).optional()
    }

    fn write(&mut self, cursor: Cursor) -> rusqlite::Result<()> {
        let transaction = self.0.transaction()?;
        let values = params![cursor.to_text(), clock::now() / 1_000_000_000];
        let sql = "UPDATE in_systemd_cursor SET cursor = ?1, updated = ?2
                   WHERE rowid = (SELECT max(rowid) FROM in_systemd_cursor)";
        if transaction.prepare_cached(sql)?.execute(values)? == 0 {
            let sql = "INSERT INTO in_systemd_cursor (cursor, updated) VALUES (?1, ?2)";
            transaction.prepare_cached(sql)?.execute(values)?;
        }
        // There is one position; Fluent Bit mends it in the same way.
        let sql = "DELETE FROM in_systemd_cursor WHERE rowid < (SELECT max(rowid) FROM in_systemd_cursor)";
        transaction.prepare_cached(sql)?.execute([])?;
        transaction.commit()
    }
}

/// Writes positions down, without keeping anybody waiting. Dropping it writes the last one.
#[derive(Debug)]
pub(super) struct Positions {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

/// Where the next position lies, and what tells of it.
#[derive(Debug, Default)]
struct Desk {
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct State {
    next: Option<Cursor>,
    is_over: bool,
}

impl Positions {
    /// Positions in a database.
    pub(super) fn keep(database: Database, metrics: Arc<InputMetrics>) -> io::Result<Self> {
        let desk = Arc::<Desk>::default();
        let clerk = Clerk { database, desk: Arc::clone(&desk), metrics, is_failing: false };
        let thread = std::thread::Builder::new().name("journal position".into());
        Ok(Self { desk, thread: Some(thread.spawn(|| clerk.run())?) })
    }

    /// The position may stand behind this entry.
    pub(super) fn safe(&self, cursor: Cursor) {
        self.desk.change(|state| state.next = Some(cursor));
    }
}

impl Drop for Positions {
    fn drop(&mut self) {
        self.desk.change(|state| state.is_over = true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the position database broke down");
        }
    }
}

impl Desk {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.bell.notify_one();
    }

    /// Waits for a position, and then for those that come soon behind it; and whether it is the last.
    fn next(&self) -> (Option<Cursor>, bool) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_idle = |state: &mut State| state.next.is_none() && !state.is_over;
        let state = self.bell.wait_while(state, is_idle).unwrap_or_else(PoisonError::into_inner);
        let (mut state, _) = self
            .bell
            .wait_timeout_while(state, COMMIT_PAUSE, |state| !state.is_over)
            .unwrap_or_else(PoisonError::into_inner);
        (state.next.take(), state.is_over)
    }
}

/// Who owns the database.
struct Clerk {
    database: Database,
    desk: Arc<Desk>,
    metrics: Arc<InputMetrics>,
    /// Whether the last write was refused: said once.
    is_failing: bool,
}

impl Clerk {
    fn run(mut self) {
        loop {
            let (cursor, is_last) = self.desk.next();
            if let Some(cursor) = cursor {
                self.write(cursor);
            }
            if is_last {
                return;
            }
        }
    }

    fn write(&mut self, cursor: Cursor) {
        match self.database.write(cursor) {
            Ok(()) if self.is_failing => {
                self.is_failing = false;
                tracing::info!("the position database works again");
            }
            Ok(()) => {}
            Err(error) => {
                self.metrics.database_errors.add(1);
                // Unless a later one came meanwhile.
                self.desk.change(|state| state.next = state.next.or(Some(cursor)));
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::error!(
                        %error,
                        "the position database could not write the position in the journal; trying again"
                    );
                }
            }
        }
    }
}
