//! The position database: Fluent Bit's table, which either program can go on with, and ours beside it.
//!
//! `in_tail_files` is as Fluent Bit 5.1 makes it. What it cannot hold lies in tables that Fluent
//! Bit does not look at:
//!
//! | table | holds |
//! |---|---|
//! | `tailwater_node` | one row: the version of these tables, the node's random id |
//! | `tailwater_cuts` | per row of `in_tail_files`: ends of lines behind which a record was ended for want of its next line |
//! | `tailwater_files` | per row of `in_tail_files`: the file's identity, the name under which it was first found, and how far it was seen to reach |
//!
//! A file's identity is its inode, the XXH3-128 of its first bytes (as many as there were when it was
//! first seen, at most [`FINGERPRINT_BYTES_MAX`]) and the moment when it was first seen. That moment
//! tells two files apart whose beginnings are equal: a file that is truncated and written anew gets a
//! new one. All of it is on disk before the file's first record is handed over, and so a source's key
//! is the same whenever the process dies.
//!
//! A row whose inode another file has now stays until it is known what became of its own: perhaps that was packed
//! (`x.log.2.gz`) or copied (copytruncate), and is read to its end there. Its inode in `in_tail_files` is 0 then.

use super::content::Content;
use super::error::TailError;
use super::marker::{FINGERPRINT_BYTES_MAX, Head, MARKER_BYTES, Marker};
use crate::clock;
use crate::input::sqlite;
use crate::record::{Nanos, SOURCE_KEY_LEN, SourceKey};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::collections::HashSet;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128;

/// Version of our tables.
const VERSION: i64 = 1;

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
      real_path       TEXT NOT NULL,
      size            INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE IF NOT EXISTS tailwater_cuts (
      id      INTEGER NOT NULL,
      offset  INTEGER NOT NULL,
      PRIMARY KEY (id, offset)
    ) WITHOUT ROWID;";

/// Files are looked up by inode: without these, a start with 10,000 of them reads the tables 10,000 times. Fluent
/// Bit minds neither.
const INDICES: &str = "
    CREATE INDEX IF NOT EXISTS tailwater_by_inode ON in_tail_files (inode);
    CREATE INDEX IF NOT EXISTS tailwater_files_by_inode ON tailwater_files (inode, first_seen);";

/// Columns that every release of Fluent Bit has made.
const COLUMNS: [&str; 6] = ["id", "name", "offset", "inode", "created", "rotated"];

/// Columns that were added later, by Fluent Bit or by us: an older database lacks them.
const COLUMNS_ADDED: [(&str, &str); 3] = [
    ("in_tail_files", "offset_marker"),
    ("in_tail_files", "offset_marker_size"),
    ("tailwater_files", "size"),
];

/// A row with what we know of it beyond Fluent Bit, if that belongs to the same inode: Fluent Bit may have
/// deleted a row and given its number to another file. Inode 0 is one that another file has now.
const ROWS: &str = "
    SELECT f.id, f.name, f.offset, f.inode, f.offset_marker, f.offset_marker_size,
           t.device, t.fingerprint, t.fingerprint_len, t.first_seen, t.path, t.real_path, t.inode, t.size
    FROM in_tail_files f LEFT JOIN tailwater_files t ON t.id = f.id AND f.inode IN (t.inode, 0)";

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

/// Where a file stands of which nothing is to be read: what it holds is read in another, of which it is a packed
/// copy.
pub(super) const ELSEWHERE: u64 = i64::MAX.cast_unsigned();

/// Where a file that nobody knows is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Its first byte.
    Head,
    /// Its end.
    End,
    /// This offset: it was skipped up to here as too old.
    At(u64),
    /// Nowhere: what it holds is read in another file.
    Elsewhere,
}

/// A file that is to be followed.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// The open file.
    pub file: Arc<Content>,
    /// The name that it was found under.
    pub path: PathBuf,
    /// Where to begin if it is not known.
    pub start: Start,
    /// Set if it was followed already and then replaced in place.
    pub replaces: Option<Replaced>,
}

/// What a file was that was cut or written anew.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replaced {
    /// The row that it had.
    pub row: i64,
    /// What it began with.
    pub head: Head,
    /// How far it had been read.
    pub offset: u64,
    /// What stood before that.
    pub marker: Marker,
    /// How far it had been seen to reach.
    pub reach: u64,
}

impl Replaced {
    /// Bytes that had been seen, and not read.
    pub(super) fn unread(&self) -> u64 {
        self.reach.saturating_sub(self.offset)
    }

    /// Whether `file` holds what was there.
    pub(super) fn stands_in(&self, file: &Content) -> bool {
        self.head.stands_in(file).unwrap_or(false)
            && Marker::before(file, self.offset).is_ok_and(|marker| marker == self.marker)
    }
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
    /// How far the file was seen to reach.
    size: u64,
}

/// What `tailwater_files` says.
#[derive(Clone, Debug)]
struct Identity {
    inode: u64,
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
        if let Some((what, remedy)) = sqlite::missing_folder(&path) {
            return Err(TailError::Database { path, what, remedy });
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
        let mut connection =
            sqlite::open(&options.path, options.journal_mode, options.is_exclusive)?;
        connection.pragma_update(None, "synchronous", durable(options.sync))?;
        sqlite::check_pages(&connection)?;
        // Takes the write lock, so that a database that somebody else holds is noticed now.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let node = migrate(&transaction)?;
        transaction.commit()?;
        connection.pragma_update(None, "synchronous", options.sync)?;
        Ok(Self { connection, options, node, cut_rows: HashSet::new() })
    }

    /// Registers files, all in one transaction that is on disk when this returns. `None`: the file is empty,
    /// and nothing can tell it from another yet. An inner error: the file cannot be read.
    pub(super) fn register(
        &mut self,
        candidates: &[Candidate],
    ) -> rusqlite::Result<Vec<io::Result<Option<Registration>>>> {
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
        self.cut_rows.extend(answers.iter().flatten().flatten().filter(has_cuts).map(|it| it.row));
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
            note_size(&transaction, position.row, position.size)?;
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

    /// Notes how far files reach, so that it is known what was lost should they go while nobody looks.
    pub(super) fn note_sizes(
        &mut self,
        sizes: impl Iterator<Item = (i64, u64)>,
    ) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        for (row, size) in sizes {
            note_size(&transaction, row, size)?;
        }
        transaction.commit()
    }

    /// Goes on with a row in another file than the one that it was made for: one that holds the same bytes.
    /// `None`: it cannot be read.
    pub(super) fn resume(
        &mut self,
        row: Row,
        file: &Content,
    ) -> rusqlite::Result<Option<Registration>> {
        let sync = self.options.sync;
        self.connection.pragma_update(None, "synchronous", durable(sync))?;
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let desk = Desk { rows: &transaction, options: &self.options, node: &self.node };
        let Ok(view) = View::of(file) else { return Ok(None) };
        let offset = row.offset;
        let path = PathBuf::from(row.path());
        let registration = desk.resume(file, &view, &path, row, offset)?;
        transaction.commit()?;
        self.connection.pragma_update(None, "synchronous", sync)?;
        if !registration.cuts.is_empty() {
            self.cut_rows.insert(registration.row);
        }
        Ok(Some(registration))
    }

    /// A row, if it is still there.
    pub(super) fn row(&self, id: i64) -> rusqlite::Result<Option<Row>> {
        let sql = format!("{ROWS} WHERE f.id = ?1");
        self.connection.prepare_cached(&sql)?.query_row([id], read_row).optional()
    }

    /// A file has another name now.
    pub(super) fn rename(&self, row: i64, name: &Path) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("UPDATE in_tail_files SET name = ?1, rotated = 1 WHERE id = ?2")?
            .execute(params![name.to_string_lossy(), row])?;
        let real_path = std::fs::canonicalize(name);
        self.relocate(row, real_path.as_deref().unwrap_or(name))
    }

    /// A file lies elsewhere now, by a name that no `Path` finds.
    pub(super) fn relocate(&self, row: i64, real_path: &Path) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("UPDATE tailwater_files SET real_path = ?1 WHERE id = ?2")?
            .execute(params![real_path.to_string_lossy(), row])?;
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
    pub size: u64,
}

impl Row {
    /// The name that decides which input's `Path` the file belongs to.
    pub(super) fn path(&self) -> &str {
        self.identity.as_ref().map_or(&self.name, |identity| &identity.path)
    }

    /// Bytes that were seen to be there, and are not safe.
    pub(super) fn unread(&self) -> u64 {
        self.size.saturating_sub(self.offset)
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
    pub(super) fn describes(&self, file: &Content) -> bool {
        match &self.identity {
            Some(identity) => identity.head().stands_in(file).unwrap_or(false) && self.is_at(file),
            None => self.marker_size > 0 && self.is_at(file),
        }
    }

    /// Whether `file`, which may still be being packed, is a copy of the one that this row is about.
    pub(super) fn is_copied_in(&self, file: &Content) -> bool {
        let Some(identity) = &self.identity else { return false };
        let is_long = identity.fingerprint_len >= MARKER_BYTES;
        identity.head().stands_in(file).unwrap_or(false) && (is_long || self.is_at(file))
    }

    /// Whether what stands before the row's offset is what stood there when the offset was written.
    fn is_at(&self, file: &Content) -> bool {
        // A packed file is as long as it takes to find out.
        let reaches = if file.is_packed() {
            let before = self.offset.checked_sub(1);
            before.is_none_or(|before| file.read_at(&mut [0], before).is_ok_and(|count| count > 0))
        } else {
            file.len().is_ok_and(|len| self.offset <= len)
        };
        reaches
            && (self.marker_size == 0
                || Marker::before(file, self.offset).is_ok_and(|marker| {
                    marker.len() as u64 == self.marker_size && marker.hash() == self.marker
                }))
    }
}

impl Identity {
    fn head(&self) -> Head {
        Head { hash: self.fingerprint, len: self.fingerprint_len }
    }
}

/// What a file shows of itself.
struct View {
    inode: u64,
    device: u64,
    /// Its first bytes, at most [`FINGERPRINT_BYTES_MAX`].
    head: Vec<u8>,
}

impl View {
    fn of(file: &Content) -> io::Result<Self> {
        let status = file.metadata()?;
        let mut head = vec![0; FINGERPRINT_BYTES_MAX];
        let len = file.read_full_at(&mut head, 0)?;
        head.truncate(len);
        Ok(Self { inode: status.ino(), device: status.dev(), head })
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
    fn register(
        &self,
        candidate: &Candidate,
    ) -> rusqlite::Result<io::Result<Option<Registration>>> {
        if let Some(replaced) = candidate.replaces {
            displace(self.rows, replaced.row)?;
        }
        let file = &candidate.file;
        let view = match View::of(file) {
            Ok(view) => view,
            Err(error) => return Ok(Err(error)),
        };
        if view.head.is_empty() {
            self.displace_same_inode(&view)?;
            return Ok(Ok(None));
        }
        let registration = match self.find(candidate, &view)? {
            Found::Same(row, offset) => self.resume(file, &view, &candidate.path, row, offset)?,
            Found::Shrunk(row, offset) => {
                // The bytes that come now stand where others stood: their ids must differ.
                let row = Row { identity: None, ..row };
                self.resume(file, &view, &candidate.path, row, offset)?
            }
            Found::Other => {
                self.displace_same_inode(&view)?;
                let is_read = candidate.start == Start::Elsewhere;
                self.insert(candidate, &view, if is_read { ELSEWHERE } else { 0 })?
            }
            Found::Unknown => {
                self.displace_same_inode(&view)?;
                let offset = match candidate.start {
                    Start::Head => 0,
                    Start::End => file.measure().unwrap_or(0),
                    Start::At(offset) => offset.min(file.measure().unwrap_or(0)),
                    Start::Elsewhere => ELSEWHERE,
                };
                self.insert(candidate, &view, offset)?
            }
        };
        Ok(Ok(Some(registration)))
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
            let file = &candidate.file;
            let is_same = row.identity.as_ref().is_none_or(|known| known.head().begins(&view.head));
            // Fluent Bit counts the packed bytes: only their end means something to us.
            if row.identity.is_none() && file.is_packed() {
                let is_read = file.metadata().is_ok_and(|status| status.len() == row.offset);
                if let (true, Ok(end)) = (is_read, file.measure()) {
                    return Ok(Found::Same(row, end));
                }
            } else if is_same && (row.offset == ELSEWHERE || row.is_at(file)) {
                let offset = row.offset;
                return Ok(Found::Same(row, offset));
            } else if is_same
                && row.identity.is_some()
                && let Ok(len) = file.len()
                && row.offset > len
                && !file.is_packed()
            {
                return Ok(Found::Shrunk(row, len));
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

    /// What was known of the inode is about another file. On one device it can only have been what is gone now, or
    /// goes on elsewhere; a row of another device is left to its own file.
    fn displace_same_inode(&self, view: &View) -> rusqlite::Result<()> {
        for row in self.same_inode(view.inode)? {
            if row.identity.is_none_or(|known| known.device == view.device) {
                displace(self.rows, row.id)?;
            }
        }
        Ok(())
    }

    /// Goes on with a row. One without our identity, made by Fluent Bit or by a shrunken file, gets one.
    fn resume(
        &self,
        file: &Content,
        view: &View,
        path: &Path,
        row: Row,
        offset: u64,
    ) -> rusqlite::Result<Registration> {
        let marker = Marker::before(file, offset).unwrap_or_default();
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
            self.identify(row.id, path, view)?
        };
        let mut registration = self.registration(row.id, identity, offset, marker);
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
        let identity = self.identify(row, &candidate.path, view)?;
        Ok(self.registration(row, identity, offset, marker))
    }

    /// Writes down a new identity for a row.
    fn identify(&self, row: i64, path: &Path, view: &View) -> rusqlite::Result<Identity> {
        let latest: Option<i64> = self
            .rows
            .prepare_cached("SELECT max(first_seen) FROM tailwater_files WHERE inode = ?1")?
            .query_row([view.inode.cast_signed()], |columns| columns.get(0))?;
        // A clock that stands still or goes back must not make two files one.
        let first_seen = clock::now().max(latest.unwrap_or(0) + 1);
        let real_path = std::fs::canonicalize(path);
        let identity = Identity {
            inode: view.inode,
            device: view.device,
            fingerprint: xxh3_128(&view.head),
            fingerprint_len: view.head.len(),
            first_seen,
            path: path.to_string_lossy().into_owned(),
            real_path: real_path.as_deref().unwrap_or(path).to_string_lossy().into_owned(),
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
        offset: u64,
        marker: Marker,
    ) -> Registration {
        Registration {
            row,
            offset,
            marker,
            head: identity.head(),
            key: source_key(self.node, identity.inode, identity.fingerprint, identity.first_seen),
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
    let has = |table: &str, column: &str| -> rusqlite::Result<bool> {
        let sql = "SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2";
        Ok(transaction.query_row(sql, [table, column], |_| Ok(())).optional()?.is_some())
    };
    for column in COLUMNS {
        if !has("in_tail_files", column)? {
            return Err(Unusable::Foreign(column));
        }
    }
    for (table, column) in COLUMNS_ADDED {
        if !has(table, column)? {
            let sql = format!("ALTER TABLE {table} ADD COLUMN {column} INTEGER DEFAULT 0");
            transaction.execute_batch(&sql)?;
        }
    }
    transaction.execute_batch(INDICES)?;
    transaction.execute(
        "INSERT OR IGNORE INTO tailwater_node (id, version, node) VALUES (1, ?1, randomblob(16))",
        [VERSION],
    )?;
    let sql = "SELECT version, node FROM tailwater_node";
    let (version, node) =
        transaction.query_row(sql, [], |columns| Ok((columns.get(0)?, columns.get(1)?)))?;
    if version == VERSION { Ok(node) } else { Err(Unusable::Newer(version)) }
}

fn read_row(columns: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let number = |index: usize| -> rusqlite::Result<u64> {
        Ok(columns.get::<_, Option<i64>>(index)?.unwrap_or(0).cast_unsigned())
    };
    let fingerprint: Option<[u8; 16]> = columns.get(7)?;
    let known = |fingerprint| -> rusqlite::Result<Identity> {
        Ok(Identity {
            inode: number(12)?,
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
        size: number(13)?,
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

/// Another file has the row's inode now.
fn displace(connection: &Connection, row: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE in_tail_files SET inode = 0 WHERE id = ?1")?
        .execute([row])?;
    Ok(())
}

fn note_size(connection: &Connection, row: i64, size: u64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE tailwater_files SET size = ?1 WHERE id = ?2")?
        .execute(params![size.cast_signed(), row])?;
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
    let remedy = match error {
        Unusable::Newer(_) => "use the newer tailwater, or another `DB`",
        Unusable::Foreign(_) => sqlite::remedy(None),
        Unusable::Sqlite(error) => sqlite::remedy(error.sqlite_error_code()),
    };
    TailError::Database { path, what: error.to_string(), remedy }
}
