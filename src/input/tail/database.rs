//! The position database: Fluent Bit's table, which either program can go on with, and ours beside it.
//!
//! `in_tail_files` is as Fluent Bit 5.1 makes it. What it cannot hold lies in tables that Fluent
//! Bit does not look at:
//!
//! | table | holds |
//! |---|---|
//! | `tailwater_node` | one row: the version of these tables, the node's random id |
//! | `tailwater_cuts` | per row of `in_tail_files`: ends of lines behind which a record was ended for want of its next line |
//! | `tailwater_files` | per row of `in_tail_files`: the file's identity and the name under which it was first found |
//!
//! A file's identity is its inode, the XXH3-128 of its first bytes (as many as there were when it was
//! first seen, at most [`FINGERPRINT_BYTES_MAX`]) and the moment when it was first seen. That moment
//! tells two files apart whose beginnings are equal: a file that is truncated and written anew gets a
//! new one. All of it is on disk before the file's first record is handed over, and so a source's key
//! is the same whenever the process dies.

use super::error::TailError;
use super::marker::{FINGERPRINT_BYTES_MAX, Head, Marker, read_full_at};
use crate::clock;
use crate::record::{Nanos, SOURCE_KEY_LEN, SourceKey};
use rusqlite::{
    Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params,
};
use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_128;

/// Version of our tables.
const VERSION: i64 = 1;

/// How long another process may hold the database before that is an error.
const BUSY_MAX: Duration = Duration::from_secs(1);

/// Fluent Bit's table as it stands after its own migrations.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS in_tail_files (
      id      INTEGER PRIMARY KEY,
      name    TEXT NOT NULL,
      offset  INTEGER,
      inode   INTEGER,
      created INTEGER,
      rotated INTEGER DEFAULT 0,
      offset_marker INTEGER DEFAULT 0,
      offset_marker_size INTEGER DEFAULT 0
    );
    CREATE TABLE IF NOT EXISTS tailwater_node (
      id      INTEGER PRIMARY KEY CHECK (id = 1),
      version INTEGER NOT NULL,
      node    BLOB NOT NULL
    );
    CREATE TABLE IF NOT EXISTS tailwater_files (
      id              INTEGER PRIMARY KEY,
      inode           INTEGER NOT NULL,
      device          INTEGER NOT NULL,
      fingerprint     BLOB NOT NULL,
      fingerprint_len INTEGER NOT NULL,
      first_seen      INTEGER NOT NULL,
      path            TEXT NOT NULL,
      real_path       TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS tailwater_cuts (
      id      INTEGER NOT NULL,
      offset  INTEGER NOT NULL,
      PRIMARY KEY (id, offset)
    ) WITHOUT ROWID;";

/// Columns that every release of Fluent Bit has made.
const COLUMNS: [&str; 6] = ["id", "name", "offset", "inode", "created", "rotated"];

/// Columns that Fluent Bit added later: an older database lacks them.
const COLUMNS_ADDED: [&str; 2] = ["offset_marker", "offset_marker_size"];

/// A row with what we know of it beyond Fluent Bit, if that belongs to the same inode: Fluent Bit may have
/// deleted a row and given its number to another file.
const ROWS: &str = "
    SELECT f.id, f.name, f.offset, f.inode, f.offset_marker, f.offset_marker_size,
           t.device, t.fingerprint, t.fingerprint_len, t.first_seen, t.path, t.real_path
    FROM in_tail_files f LEFT JOIN tailwater_files t ON t.id = f.id AND t.inode = f.inode";

/// How the database is to be opened.
#[derive(Clone, Debug)]
pub(super) struct DatabaseOptions {
    /// The file.
    pub path: PathBuf,
    /// `PRAGMA synchronous`.
    pub sync: &'static str,
    /// `PRAGMA journal_mode`.
    pub journal_mode: &'static str,
    /// Whether to keep all other connections out.
    pub is_exclusive: bool,
    /// Whether a row counts for a file only if the base name is the same as well.
    pub compares_names: bool,
}

/// Where a file that nobody knows is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Its first byte.
    Head,
    /// Its end.
    End,
    /// This offset: it was skipped up to here as too old.
    At(u64),
}

/// A file that is to be followed.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// The open file.
    pub file: Arc<File>,
    /// The name that it was found under.
    pub path: PathBuf,
    /// Where to begin if it is not known.
    pub start: Start,
    /// Set if it was followed already and then replaced in place: the row that it had.
    pub replaces: Option<i64>,
}

/// What a file is called across restarts, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Registration {
    /// Its row.
    pub row: i64,
    /// Where to read on.
    pub offset: u64,
    /// What stands before that.
    pub marker: Marker,
    /// What the file begins with.
    pub head: Head,
    /// The source's key.
    pub key: SourceKey,
    /// When it was first seen.
    pub first_seen: Nanos,
    /// The name that it was first found under: tags and `Path_Key` stay the same after a restart.
    pub path: PathBuf,
    /// Ends of lines behind its offset at which a record was ended for want of its next line.
    pub cuts: Vec<u64>,
}

/// One row, read.
#[derive(Debug)]
pub(super) struct Row {
    pub id: i64,
    pub inode: u64,
    name: String,
    offset: u64,
    marker: u64,
    marker_size: u64,
    identity: Option<Identity>,
}

/// What `tailwater_files` says.
#[derive(Clone, Debug)]
struct Identity {
    device: u64,
    fingerprint: u128,
    fingerprint_len: usize,
    first_seen: Nanos,
    path: String,
    real_path: String,
}

/// An open position database.
#[derive(Debug)]
pub(super) struct Database {
    connection: Connection,
    options: DatabaseOptions,
    node: [u8; 16],
    /// Rows that may have cuts: as many as there are files.
    cut_rows: HashSet<i64>,
}

impl Database {
    /// Opens or makes the database; the error says what is wrong with the file and what to do.
    pub(super) fn open(options: DatabaseOptions) -> Result<Self, TailError> {
        let path = options.path.clone();
        if let Some(folder) = path.parent()
            && !folder.as_os_str().is_empty()
            && !folder.is_dir()
        {
            let what = format!("the folder {} does not exist", folder.display());
            return Err(TailError::Database { path, what, remedy: "create it or change `DB`" });
        }
        // Made by hand, or all that a full disk or a crash left of it: SQLite takes it for a new one.
        if path.metadata().is_ok_and(|status| status.is_file() && status.len() == 0) {
            tracing::warn!(
                path = %path.display(),
                "the position database is an empty file: files are read as `Read_from_Head` says"
            );
        }
        Self::connect(options).map_err(|error| refused(path, &error))
    }

    fn connect(options: DatabaseOptions) -> Result<Self, Unusable> {
        let mut connection = Connection::open(&options.path)?;
        connection.busy_timeout(BUSY_MAX)?;
        if options.is_exclusive {
            connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        }
        connection
            .pragma_update_and_check(None, "journal_mode", options.journal_mode, |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", durable(options.sync))?;
        check_pages(&connection)?;
        // Takes the write lock, so that a database that somebody else holds is noticed now.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let node = migrate(&transaction)?;
        transaction.commit()?;
        connection.pragma_update(None, "synchronous", options.sync)?;
        Ok(Self { connection, options, node, cut_rows: HashSet::new() })
    }

    /// Registers files, all in one transaction that is on disk when this returns. `None`: the file is empty,
    /// and nothing can tell it from another yet.
    pub(super) fn register(
        &mut self,
        candidates: &[Candidate],
    ) -> rusqlite::Result<Vec<Option<Registration>>> {
        let sync = self.options.sync;
        self.connection.pragma_update(None, "synchronous", durable(sync))?;
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let desk = Desk { rows: &transaction, options: &self.options, node: &self.node };
        let answers = candidates.iter().map(|candidate| desk.register(candidate));
        let answers = answers.collect::<rusqlite::Result<Vec<_>>>()?;
        transaction.commit()?;
        self.connection.pragma_update(None, "synchronous", sync)?;
        let has_cuts = |registration: &&Registration| !registration.cuts.is_empty();
        self.cut_rows.extend(answers.iter().flatten().filter(has_cuts).map(|it| it.row));
        Ok(answers)
    }

    /// Moves positions, all in one transaction. A row that somebody deleted is put back.
    pub(super) fn commit(&mut self, positions: &[Position<'_>]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        for position in positions {
            transaction.prepare_cached(
                "INSERT INTO in_tail_files (id, name, offset, inode, created, offset_marker, offset_marker_size)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (id) DO UPDATE SET offset = excluded.offset,
                   offset_marker = excluded.offset_marker, offset_marker_size = excluded.offset_marker_size",
            )?.execute(params![
                position.row,
                position.name.to_string_lossy(),
                position.offset.cast_signed(),
                position.inode.cast_signed(),
                clock::now() / 1_000_000_000,
                position.marker.hash().cast_signed(),
                signed(position.marker.len()),
            ])?;
            if self.cut_rows.contains(&position.row) {
                transaction
                    .prepare_cached("DELETE FROM tailwater_cuts WHERE id = ?1 AND offset <= ?2")?
                    .execute(params![position.row, position.offset.cast_signed()])?;
            }
        }
        transaction.commit()
    }

    /// Writes down that records of these rows were ended at these ends of lines.
    pub(super) fn cut<'c>(
        &mut self,
        cuts: impl Iterator<Item = (i64, &'c [u64])>,
    ) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        for (row, ends) in cuts {
            self.cut_rows.insert(row);
            let sql = "INSERT OR IGNORE INTO tailwater_cuts (id, offset) VALUES (?1, ?2)";
            let mut statement = transaction.prepare_cached(sql)?;
            for end in ends {
                statement.execute(params![row, end.cast_signed()])?;
            }
        }
        transaction.commit()
    }

    /// A file has another name now.
    pub(super) fn rename(&self, row: i64, name: &Path) -> rusqlite::Result<()> {
        let name = name.to_string_lossy();
        self.connection
            .prepare_cached("UPDATE in_tail_files SET name = ?1, rotated = 1 WHERE id = ?2")?
            .execute(params![name, row])?;
        self.connection
            .prepare_cached("UPDATE tailwater_files SET real_path = ?1 WHERE id = ?2")?
            .execute(params![name, row])?;
        Ok(())
    }

    /// Forgets a file.
    pub(super) fn delete(&self, row: i64) -> rusqlite::Result<()> {
        delete(&self.connection, row)
    }

    /// All rows, those of other inputs as well.
    pub(super) fn rows(&self) -> rusqlite::Result<Vec<Row>> {
        let mut statement = self.connection.prepare(ROWS)?;
        statement.query_map([], read_row)?.collect()
    }
}

/// Why a file cannot be the position database.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    /// SQLite refuses it.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// Its table of files is another program's.
    #[error("its table `in_tail_files` has no column `{0}`")]
    Foreign(&'static str),
    /// Our tables are of a later version.
    #[error("its tables have version {0}, and this tailwater knows {VERSION}")]
    Newer(i64),
}

/// A position that is to be committed.
#[derive(Debug)]
pub(super) struct Position<'a> {
    pub row: i64,
    pub name: &'a Path,
    pub inode: u64,
    pub offset: u64,
    pub marker: Marker,
}

impl Row {
    /// The name that decides which input's `Path` the file belongs to.
    pub(super) fn path(&self) -> &str {
        self.identity.as_ref().map_or(&self.name, |identity| &identity.path)
    }

    /// The last name known of the file itself, links resolved.
    pub(super) fn real_path(&self) -> PathBuf {
        let known = self.identity.as_ref().map(|identity| PathBuf::from(&identity.real_path));
        known.unwrap_or_else(|| {
            std::fs::canonicalize(&self.name).unwrap_or_else(|_| PathBuf::from(&self.name))
        })
    }

    /// Whether `file`, found by its inode under another name, is surely the one that this row is about: a
    /// file that merely got the inode later must never be shipped.
    pub(super) fn describes(&self, file: &File) -> bool {
        let Ok(view) = View::of(file) else { return false };
        match &self.identity {
            Some(identity) => identity.is_of(&view) && self.is_at(file, view.size),
            None => self.marker_size > 0 && self.is_at(file, view.size),
        }
    }

    /// Whether what stands before the row's offset is what stood there when the offset was written.
    fn is_at(&self, file: &File, size: u64) -> bool {
        self.offset <= size
            && (self.marker_size == 0
                || Marker::before(file, self.offset).is_ok_and(|marker| {
                    marker.len() as u64 == self.marker_size && marker.hash() == self.marker
                }))
    }
}

impl Identity {
    fn is_of(&self, view: &View) -> bool {
        Head { hash: self.fingerprint, len: self.fingerprint_len }.begins(&view.head)
    }
}

/// What a file shows of itself.
struct View {
    inode: u64,
    device: u64,
    size: u64,
    /// Its first bytes, at most [`FINGERPRINT_BYTES_MAX`].
    head: Vec<u8>,
}

impl View {
    fn of(file: &File) -> std::io::Result<Self> {
        let status = file.metadata()?;
        let mut head = vec![0; FINGERPRINT_BYTES_MAX];
        let len = read_full_at(file, &mut head, 0)?;
        head.truncate(len);
        let size = status.len().max(len as u64);
        Ok(Self { inode: status.ino(), device: status.dev(), size, head })
    }
}

/// Registers files within a transaction.
struct Desk<'a> {
    rows: &'a Transaction<'a>,
    options: &'a DatabaseOptions,
    node: &'a [u8; 16],
}

/// What a known row means for a file that has its inode.
enum Found {
    /// It is this file: read on here.
    Same(Row, u64),
    /// It was this file, which got shorter without a change at its beginning.
    Shrunk(Row, u64),
    /// It was another file, whose inode this one has.
    Other,
    /// No row has its inode.
    Unknown,
}

impl Desk<'_> {
    fn register(&self, candidate: &Candidate) -> rusqlite::Result<Option<Registration>> {
        if let Some(row) = candidate.replaces {
            delete(self.rows, row)?;
        }
        let Ok(view) = View::of(&candidate.file) else { return Ok(None) };
        if view.head.is_empty() {
            self.delete_same_inode(&view)?;
            return Ok(None);
        }
        match self.find(candidate, &view)? {
            Found::Same(row, offset) => self.resume(candidate, &view, row, offset).map(Some),
            Found::Shrunk(row, offset) => {
                // The bytes that come now stand where others stood: their ids must differ.
                let row = Row { identity: None, ..row };
                self.resume(candidate, &view, row, offset).map(Some)
            }
            Found::Other => {
                self.delete_same_inode(&view)?;
                self.insert(candidate, &view, 0).map(Some)
            }
            Found::Unknown => {
                self.delete_same_inode(&view)?;
                let offset = match candidate.start {
                    Start::Head => 0,
                    Start::End => view.size,
                    Start::At(offset) => offset.min(view.size),
                };
                self.insert(candidate, &view, offset).map(Some)
            }
        }
    }

    /// What the rows with the file's inode say, the newest first.
    fn find(&self, candidate: &Candidate, view: &View) -> rusqlite::Result<Found> {
        if candidate.replaces.is_some() {
            return Ok(Found::Other);
        }
        let rows = self.same_inode(view.inode)?;
        let mut found = Found::Unknown;
        for row in rows {
            if self.options.compares_names && !same_base_name(&row.name, &candidate.path) {
                continue;
            }
            let is_same = row.identity.as_ref().is_none_or(|known| known.is_of(view));
            if is_same && row.is_at(&candidate.file, view.size) {
                let offset = row.offset;
                return Ok(Found::Same(row, offset));
            }
            if is_same && row.identity.is_some() && row.offset > view.size {
                return Ok(Found::Shrunk(row, view.size));
            }
            found = Found::Other;
        }
        Ok(found)
    }

    fn same_inode(&self, inode: u64) -> rusqlite::Result<Vec<Row>> {
        let sql = format!("{ROWS} WHERE f.inode = ?1 ORDER BY f.id DESC");
        let mut statement = self.rows.prepare_cached(&sql)?;
        statement.query_map([inode.cast_signed()], read_row)?.collect()
    }

    /// Deletes what was known of the inode. On one device it can only have been what is gone now; a row of
    /// another device is left to its own file.
    fn delete_same_inode(&self, view: &View) -> rusqlite::Result<()> {
        for row in self.same_inode(view.inode)? {
            if row.identity.is_none_or(|known| known.device == view.device) {
                delete(self.rows, row.id)?;
            }
        }
        Ok(())
    }

    /// Goes on with a row. One without our identity, made by Fluent Bit or by a shrunken file, gets one.
    fn resume(
        &self,
        candidate: &Candidate,
        view: &View,
        row: Row,
        offset: u64,
    ) -> rusqlite::Result<Registration> {
        let marker = Marker::before(&candidate.file, offset).unwrap_or_default();
        let identity = if let Some(identity) = row.identity {
            identity
        } else {
            self.rows
                .prepare_cached(
                    "UPDATE in_tail_files SET offset = ?1, offset_marker = ?2, offset_marker_size = ?3
                     WHERE id = ?4",
                )?
                .execute(params![
                    offset.cast_signed(),
                    marker.hash().cast_signed(),
                    signed(marker.len()),
                    row.id
                ])?;
            self.identify(row.id, candidate, view)?
        };
        let mut registration = self.registration(row.id, identity, view.inode, offset, marker);
        let sql = "SELECT offset FROM tailwater_cuts WHERE id = ?1 AND offset > ?2";
        let mut statement = self.rows.prepare_cached(sql)?;
        let end = |columns: &rusqlite::Row<'_>| Ok(columns.get::<_, i64>(0)?.cast_unsigned());
        let cuts = statement.query_map(params![row.id, offset.cast_signed()], end)?;
        registration.cuts = cuts.collect::<rusqlite::Result<_>>()?;
        Ok(registration)
    }

    fn insert(
        &self,
        candidate: &Candidate,
        view: &View,
        offset: u64,
    ) -> rusqlite::Result<Registration> {
        let marker = Marker::before(&candidate.file, offset).unwrap_or_default();
        self.rows.prepare_cached(
            "INSERT INTO in_tail_files (name, offset, inode, created, offset_marker, offset_marker_size)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?.execute(params![
            candidate.path.to_string_lossy(),
            offset.cast_signed(),
            view.inode.cast_signed(),
            clock::now() / 1_000_000_000,
            marker.hash().cast_signed(),
            signed(marker.len()),
        ])?;
        let row = self.rows.last_insert_rowid();
        let identity = self.identify(row, candidate, view)?;
        Ok(self.registration(row, identity, view.inode, offset, marker))
    }

    /// Writes down a new identity for a row.
    fn identify(&self, row: i64, candidate: &Candidate, view: &View) -> rusqlite::Result<Identity> {
        let latest: Option<i64> = self
            .rows
            .prepare_cached("SELECT max(first_seen) FROM tailwater_files WHERE inode = ?1")?
            .query_row([view.inode.cast_signed()], |columns| columns.get(0))?;
        // A clock that stands still or goes back must not make two files one.
        let first_seen = clock::now().max(latest.unwrap_or(0) + 1);
        let real_path = std::fs::canonicalize(&candidate.path);
        let identity = Identity {
            device: view.device,
            fingerprint: xxh3_128(&view.head),
            fingerprint_len: view.head.len(),
            first_seen,
            path: candidate.path.to_string_lossy().into_owned(),
            real_path: real_path
                .as_deref()
                .unwrap_or(&candidate.path)
                .to_string_lossy()
                .into_owned(),
        };
        self.rows
            .prepare_cached(
                "INSERT OR REPLACE INTO tailwater_files
               (id, inode, device, fingerprint, fingerprint_len, first_seen, path, real_path)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                row,
                view.inode.cast_signed(),
                identity.device.cast_signed(),
                identity.fingerprint.to_le_bytes(),
                signed(identity.fingerprint_len),
                identity.first_seen,
                identity.path,
                identity.real_path,
            ])?;
        Ok(identity)
    }

    fn registration(
        &self,
        row: i64,
        identity: Identity,
        inode: u64,
        offset: u64,
        marker: Marker,
    ) -> Registration {
        Registration {
            row,
            offset,
            marker,
            head: Head { hash: identity.fingerprint, len: identity.fingerprint_len },
            key: source_key(self.node, inode, identity.fingerprint, identity.first_seen),
            first_seen: identity.first_seen,
            path: PathBuf::from(identity.path),
            cuts: Vec::new(),
        }
    }
}

/// The key of a file: what follows from its identity. Frozen by a test, since ids follow from it.
pub(super) fn source_key(
    node: &[u8; 16],
    inode: u64,
    fingerprint: u128,
    first_seen: Nanos,
) -> SourceKey {
    let mut text = [0; 16 + 8 + 16 + 8];
    let parts = node
        .iter()
        .copied()
        .chain(inode.to_le_bytes())
        .chain(fingerprint.to_le_bytes())
        .chain(first_seen.to_le_bytes());
    for (to, from) in text.iter_mut().zip(parts) {
        *to = from;
    }
    let key: [u8; SOURCE_KEY_LEN] = xxh3_128(&text).to_le_bytes();
    key
}

/// Makes what tables and columns are missing; the node's id.
fn migrate(transaction: &Transaction<'_>) -> Result<[u8; 16], Unusable> {
    transaction.execute_batch(TABLES)?;
    let has = |column: &str| -> rusqlite::Result<bool> {
        let sql = "SELECT 1 FROM pragma_table_info('in_tail_files') WHERE name = ?1";
        Ok(transaction.query_row(sql, [column], |_| Ok(())).optional()?.is_some())
    };
    for column in COLUMNS {
        if !has(column)? {
            return Err(Unusable::Foreign(column));
        }
    }
    for column in COLUMNS_ADDED {
        if !has(column)? {
            let sql = format!("ALTER TABLE in_tail_files ADD COLUMN {column} INTEGER DEFAULT 0");
            transaction.execute_batch(&sql)?;
        }
    }
    transaction.execute(
        "INSERT OR IGNORE INTO tailwater_node (id, version, node) VALUES (1, ?1, randomblob(16))",
        [VERSION],
    )?;
    let sql = "SELECT version, node FROM tailwater_node";
    let (version, node) =
        transaction.query_row(sql, [], |columns| Ok((columns.get(0)?, columns.get(1)?)))?;
    if version == VERSION { Ok(node) } else { Err(Unusable::Newer(version)) }
}

/// Reads every page once: a torn database must not be found out in the middle of the work.
fn check_pages(connection: &Connection) -> rusqlite::Result<()> {
    let verdict: String =
        connection.query_row("PRAGMA quick_check(1)", [], |columns| columns.get(0))?;
    if verdict == "ok" {
        return Ok(());
    }
    let corrupt = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    Err(rusqlite::Error::SqliteFailure(corrupt, Some(verdict)))
}

fn read_row(columns: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let number = |index: usize| -> rusqlite::Result<u64> {
        Ok(columns.get::<_, Option<i64>>(index)?.unwrap_or(0).cast_unsigned())
    };
    let fingerprint: Option<[u8; 16]> = columns.get(7)?;
    let known = |fingerprint| -> rusqlite::Result<Identity> {
        Ok(Identity {
            device: number(6)?,
            fingerprint: u128::from_le_bytes(fingerprint),
            fingerprint_len: usize::try_from(number(8)?).unwrap_or(usize::MAX),
            first_seen: columns.get(9)?,
            path: columns.get(10)?,
            real_path: columns.get(11)?,
        })
    };
    let identity = fingerprint.map(known).transpose()?;
    Ok(Row {
        id: columns.get(0)?,
        name: columns.get(1)?,
        offset: number(2)?,
        inode: number(3)?,
        marker: number(4)?,
        marker_size: number(5)?,
        identity,
    })
}

fn delete(connection: &Connection, row: i64) -> rusqlite::Result<()> {
    for sql in [
        "DELETE FROM in_tail_files WHERE id = ?1",
        "DELETE FROM tailwater_files WHERE id = ?1",
        "DELETE FROM tailwater_cuts WHERE id = ?1",
    ] {
        connection.prepare_cached(sql)?.execute([row])?;
    }
    Ok(())
}

/// Registrations must be on disk before a record is sent, or a power cut would rename its file. `off`
/// stays `off`: the user asked for it.
fn durable(sync: &'static str) -> &'static str {
    if sync == "NORMAL" { "FULL" } else { sync }
}

fn same_base_name(name: &str, path: &Path) -> bool {
    Path::new(name).file_name() == path.file_name()
}

/// A length as SQLite stores it.
fn signed(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

/// Why the database cannot be used, and what to do.
fn refused(path: PathBuf, error: &Unusable) -> TailError {
    let code = match error {
        Unusable::Sqlite(error) => error.sqlite_error_code(),
        Unusable::Foreign(_) | Unusable::Newer(_) => None,
    };
    let remedy = match code {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            "restore it, or move it away to begin anew: files are then read as `Read_from_Head` says"
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process holds it: stop that one (Fluent Bit?) or give each its own `DB`"
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            "let this user read and write it and its folder"
        }
        Some(ErrorCode::DiskFull) => "free some space",
        _ if matches!(error, Unusable::Newer(_)) => "use the newer tailwater, or another `DB`",
        _ => "check the file, or choose another `DB`",
    };
    TailError::Database { path, what: error.to_string(), remedy }
}
